"""Who gives meaning to the terms whose content lies outside of an arena.

A reference stands for a term that is made when a text gets there; a capture for a lexeme whose text
decides what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol


class Owner(Protocol):
    """Who gives meaning to references and captures; all keys are hashable values."""

    def expand(self, key: Any) -> int:
        """Return the term that a reference stands for."""
        ...

    def min_length(self, key: Any) -> int:
        """Return the length in bytes of a shortest text of a reference."""
        ...


class Choice(NamedTuple):
    """What some references stand for: one of `texts` and what follows it, or any of `other`.

    `texts` are (text, number) pairs in ascending order; `behind(number)` is the term of what
    follows. Numbers lie below `size`, and what they mean depends on `group` alone.
    """

    texts: tuple[tuple[bytes, int], ...]
    other: int
    group: Hashable
    size: int
    behind: Callable[[int], int]


class ChoiceKey:
    """What the keys of references have in common whose owner tells them as choices."""

    __slots__ = ()


class ChoiceOwner(Owner, Protocol):
    """An owner of references that are choices of texts, of which few are ever looked at."""

    def choice(self, key: Any) -> Choice:
        """Return what a reference stands for, its key a `ChoiceKey`."""
        ...


class CaptureOwner(Protocol):
    """Who decides what follows a captured text."""

    def finish(self, key: Any, text: bytes | None) -> int:
        """Return what follows once the head has matched `text`; None: a text not blocked."""
        ...

    def blocked(self, key: Any, text: bytes) -> tuple[bytes, ...] | None:
        """Return the completions of `text` after which nothing may follow, None if not listed."""
        ...

    def text_matters(self, key: Any) -> bool:
        """Return whether texts that are not blocked differ in how short the whole may end.

        Not if another capture is offered beside this one that always ends sooner.
        """
        ...

    def after_any(self, key: Any) -> int | None:
        """Return what follows every text that is not blocked; None if that depends on the text."""
        ...

    def shares_memory(self, key: Any, later: Any) -> bool:
        """Return whether the text of a capture may be remembered where a later one is captured."""
        ...

    def head_remembers(self, key: Any) -> bool:
        """Return whether the head of a capture leaves out texts that were captured before."""
        ...

    def rest_length(self, key: Any) -> int | None:
        """Return a lower bound for what follows any text, None if it is to be asked for a text."""
        ...
