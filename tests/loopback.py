"""A real server over loopback, for tests."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from contract import Watched

from lockstitch.engine.async_engine import AsyncEngine
from lockstitch.engine.server.app import create_app
from lockstitch.engine.server.settings import Settings


@contextlib.contextmanager
def serving(engine: AsyncEngine, settings: Settings, *, checked: bool = True) -> Iterator[str]:
    """Serve on a free port; yield the base URL. In the end every answer held to the contract."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = create_app(engine, settings)
    watched = Watched(app)
    config = uvicorn.Config(
        watched if checked else app, log_config=None, ws="none", timeout_keep_alive=75
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
    assert not watched.faults, watched.faults[:3]
