"""The command `lockstitch serve`: an engine, an application and uvicorn, from options.

Imported when the command runs: the server needs packages of an extra.
"""

from __future__ import annotations

import gc
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from ..schemas.errors import ValidationError
from ..schemas.parameters import Limits
from .async_engine import AsyncEngine
from .engine import Engine
from .server.app import create_app
from .server.logs import JsonFormatter
from .server.settings import Settings

KEEP_ALIVE = 75  # seconds an idle connection stays; longer than clients keep theirs
SWITCH_INTERVAL = 0.0005  # seconds; a thread that works in Python gives way to the decoder sooner


@dataclass(frozen=True)
class Source:
    """Which model is served, and where it runs."""

    model: str | None = None
    device: str | None = None
    dtype: str | None = None
    adapters: tuple[str, ...] = ()


def serve(source: Source, limits: Limits, settings: Settings, *, host: str, port: int) -> None:
    """Serve until a signal, then finish what runs. Raises LockstitchError before it listens."""
    engine = Engine.from_pretrained(
        source.model,
        device=source.device,
        dtype=source.dtype,
        limits=limits,
        adapters=parse_adapters(source.adapters),
    )
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()  # model and vocabulary stay; a full collection over them stops all rows for 0.1 s
    decoder = AsyncEngine(engine, max_concurrent_requests=settings.max_concurrent_requests)
    app = create_app(decoder, settings)
    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE,
    )


def parse_adapters(given: tuple[str, ...]) -> dict[str, Path]:
    """Read `ID=FOLDER` for each adapter. Raises ValidationError."""
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder) or name in found:
            raise ValidationError(
                f"--adapter {text}: write ID=FOLDER, each ID once", parameter="adapter"
            )
        found[name] = Path(folder)
    return found


def log_to_stderr(*, as_json: bool) -> None:
    """Send the logs of the server to standard error, as lines of text or of JSON."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
