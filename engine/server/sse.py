"""Server-sent events: one line of JSON each, comments while nothing comes, the end when it ends.

Some clients split a stream at every character that Unicode calls a line end, so payloads are ASCII
(the wire objects see to that).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from starlette.responses import StreamingResponse

KEEP_ALIVE = b":\n\n"
HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


def event_response(
    payloads: AsyncGenerator[str], keep_alive: float, headers: Mapping[str, str]
) -> StreamingResponse:
    """Return a response that sends each payload as an event; `payloads` is closed in any case."""
    return StreamingResponse(_framed(payloads, keep_alive), headers={**HEADERS, **headers})


async def _framed(payloads: AsyncGenerator[str], keep_alive: float) -> AsyncIterator[bytes]:
    following: asyncio.Task[str] | None = None
    try:
        while True:
            if following is None:
                following = asyncio.ensure_future(anext(payloads))
            done, _ = await asyncio.wait([following], timeout=keep_alive)
            if not done:
                yield KEEP_ALIVE
                continue
            try:
                payload = following.result()
            except StopAsyncIteration:
                return
            following = None
            yield f"data: {payload}\n\n".encode("ascii")
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await payloads.aclose()
