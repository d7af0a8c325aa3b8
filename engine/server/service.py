"""What all routes share: the way from a request to an answer, counted, and given up when the client
goes away.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from ...schemas.errors import LockstitchError
from ...schemas.request import GenerateRequest
from ...schemas.response import StreamEvent
from ..async_engine import Answered, AsyncEngine, EventStream, Timings
from .bodies import Disconnected, read_json
from .errors import Unauthorized
from .metrics import Metrics
from .settings import Settings, compute_type

T = TypeVar("T")


class Service:
    """An engine with the settings of its server and its metrics."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.metrics = Metrics(engine.statistics)

    def admit(self, request: Request) -> None:
        """Check the key, if there is one. Raises Unauthorized."""
        key = self.settings.api_key
        given = request.headers.get("authorization", "")
        if key is not None and not hmac.compare_digest(
            given.lower().encode(), f"bearer {key}".lower().encode()
        ):
            raise Unauthorized

    async def body(self, request: Request) -> Any:
        """Return the parsed body of a request whose client may come in."""
        self.admit(request)
        return await self.open_body(request)

    async def open_body(self, request: Request) -> Any:
        """Return the parsed body of a request that needs no key."""
        return await read_json(request, self.settings.payload_limit)

    async def answer(
        self, http: Request, request: GenerateRequest, *, special_tokens: bool = True
    ) -> Answered:
        """Answer a request whole. Raises LockstitchError; Disconnected if nobody waits any more."""
        self.metrics.came()
        work = self.engine.answer(request, special_tokens=special_tokens)
        with self._failures_counted():
            answered = await while_connected(http, work)
        self.metrics.answered(answered.timings, request.parameters.max_new_tokens)
        return answered

    @contextmanager
    def _failures_counted(self) -> Iterator[None]:
        try:
            yield
        except LockstitchError as error:
            self.metrics.failed(error.error_type)
            raise
        except (Disconnected, asyncio.CancelledError):
            self.metrics.failed("dropped")
            raise
        except Exception:  # a defect, which is answered further out
            self.metrics.failed("generation")
            raise

    async def stream(self, request: GenerateRequest, *, special_tokens: bool = True) -> EventStream:
        """Begin a stream; what is refused is refused before it begins. Read it with `payloads`."""
        self.metrics.came()
        with self._failures_counted():
            return await self.engine.stream(request, special_tokens=special_tokens)

    async def abandon(self, stream: EventStream) -> None:
        """Close a stream that nobody has begun to read."""
        await stream.aclose()
        self.metrics.failed("dropped")

    async def payloads(
        self,
        request: GenerateRequest,
        stream: EventStream,
        written: Callable[[StreamEvent], list[str]],
        failed: Callable[[LockstitchError], list[str]],
    ) -> AsyncGenerator[str]:
        """Yield what is written for each event of a stream, or for the error that ends it."""
        outcome = "dropped"
        try:
            async for event in stream:
                for payload in written(event):
                    yield payload
            outcome = ""
        except LockstitchError as error:
            outcome = error.error_type
            for payload in failed(error):
                yield payload
        finally:
            await stream.aclose()
            if outcome or stream.timings is None:
                self.metrics.failed(outcome or "incomplete")
            else:
                self.metrics.answered(stream.timings, request.parameters.max_new_tokens)

    @property
    def stream_headers(self) -> dict[str, str]:
        """The headers of any stream."""
        return {"x-compute-type": compute_type(self.engine.engine.model.device.type)}

    def headers(self, timings: Timings, characters: int | None = None) -> dict[str, str]:
        """Return the headers that tell what an answer took; `characters` counts the prompt's."""
        found = {
            **self.stream_headers,
            "x-total-time": _milliseconds(timings.total),
            "x-validation-time": _milliseconds(timings.validation),
            "x-queue-time": _milliseconds(timings.queue),
            "x-inference-time": _milliseconds(timings.inference),
            "x-time-per-token": _milliseconds(timings.inference / timings.generated_tokens),
            "x-prompt-tokens": str(timings.prompt_tokens),
            "x-generated-tokens": str(timings.generated_tokens),
        }
        if characters is not None:
            found["x-compute-time"] = f"{timings.total:.6f}"
            found["x-compute-characters"] = str(characters)
        return found


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


async def while_connected(http: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns; cancel it when the client goes away, and raise Disconnected."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(http))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Disconnected
    finally:
        for open_ in (task, gone):
            open_.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnect(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
