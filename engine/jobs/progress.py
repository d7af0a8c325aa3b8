"""How far a job is: a live bar on a terminal, plain lines of the log elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 10.0


class Watcher(Protocol):
    """What a job tells of its progress."""

    def told(self, *, rows: int, total: int, tokens: int, errors: int) -> None:
        """Take note of how many rows, tokens and errors there are so far."""


class Silence:
    """Nobody watches."""

    def told(self, *, rows: int, total: int, tokens: int, errors: int) -> None:
        """Do nothing."""


class Lines:
    """A line in the log every ten seconds."""

    def __init__(self) -> None:
        self._began = self._said = monotonic()
        self._first: int | None = None

    def told(self, *, rows: int, total: int, tokens: int, errors: int) -> None:
        """Say it if it is time."""
        now = monotonic()
        self._first = rows if self._first is None else self._first
        if now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            seconds = now - self._began
            speed = (rows - self._first) / seconds
            log.info(
                "%d of %d rows, %.1f rows/s, %.0f tokens/s, %d errors",
                *(rows, total, speed, tokens / seconds, errors),
            )


class Bar:
    """A bar on the terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._began = monotonic()
        self._task = progress.add_task("", total=None, speed="", errors=0)

    def told(self, *, rows: int, total: int, tokens: int, errors: int) -> None:
        """Move the bar."""
        speed = f"{tokens / max(monotonic() - self._began, 1e-9):.0f} tokens/s"
        self._progress.update(self._task, completed=rows, total=total, speed=speed, errors=errors)


@contextmanager
def shown() -> Iterator[Watcher]:
    """Show progress on standard error, in the way that fits it."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[errors]} errors"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bar(progress)
