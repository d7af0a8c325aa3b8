"""The engine for an event loop: many requests at once, one thread that decodes.

Requests are prepared (tokenised, their grammars compiled) on worker threads; what can be refused is
refused there. A grammar that takes long is compiled in a process of its own, where it holds up
nobody else. Then their sequences go to the decoding
thread, the only one that runs the model, and progress comes back to the loop after each step.

A permit is taken before anything else, one for each sequence; without one the answer is
OverloadedError at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter

from ..schemas.errors import GenerationError, OverloadedError
from ..schemas.request import GenerateRequest
from ..schemas.response import GenerateResponse, StreamEvent
from .answers import answer, events, likeliest
from .compile_apart import compile_apart
from .engine import Engine
from .grammar_cache import SlowGrammarError
from .sequence import RunningSequence

log = logging.getLogger(__name__)
PREPARING_THREADS = 4
COMPILING_PROCESSES = 2
TOKEN_FUEL = 100_000  # twenty times what real schemas need; a second at most


@dataclass(frozen=True)
class Timings:
    """Seconds that a request took in all and in parts, and its tokens; of the winner of best_of."""

    total: float
    validation: float
    queue: float
    inference: float
    prompt_tokens: int
    generated_tokens: int


@dataclass(frozen=True)
class Answered:
    """The answer to a request, and what it took."""

    response: GenerateResponse
    timings: Timings


class Ticket:
    """A sequence on its way through the decoding thread, as the event loop sees it."""

    def __init__(self, run: RunningSequence) -> None:
        self.run = run
        self.tokens = 0  # of the sequence, as far as the loop knows
        self.ended = False
        self.submitted = perf_counter()
        self.finished = self.submitted
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Pass the state of the sequence to the loop; called by the decoding thread."""
        run = self.run
        self._loop.call_soon_threadsafe(self._told, len(run.tokens), run.ended, perf_counter())

    def _told(self, tokens: int, ended: bool, now: float) -> None:
        self.tokens, self.ended, self.finished = tokens, ended, now
        self._changed.set()

    async def changed(self) -> None:
        """Wait until there are more tokens, or the end."""
        await self._changed.wait()
        self._changed.clear()

    async def end(self) -> None:
        """Wait for the end. Raises the error of the sequence."""
        while not self.ended:
            await self.changed()
        if self.run.error is not None:
            raise self.run.error


class DecodingThread:
    """The thread that owns the model: takes sequences in, steps, tells of progress."""

    def __init__(self, engine: Engine) -> None:
        self._batch = engine.new_batch()
        self._orders: SimpleQueue[tuple[str, Ticket | None]] = SimpleQueue()
        self._tickets: dict[RunningSequence, Ticket] = {}
        self._thread = threading.Thread(target=self._work, name="lockstitch-decode", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    def submit(self, ticket: Ticket) -> None:
        """Let a sequence wait for its turn."""
        self._orders.put(("add", ticket))

    def drop(self, ticket: Ticket) -> None:
        """Free the row of a sequence before the next step."""
        self._orders.put(("drop", ticket))

    def stop(self) -> None:
        """Finish what runs, then end the thread; waits for it."""
        self._orders.put(("stop", None))
        self._thread.join()

    def _work(self) -> None:
        stopping = False
        while not (stopping and self._batch.idle):
            for order, ticket in self._taken():
                stopping |= order == "stop"
                if ticket is not None:
                    self._obey(order, ticket)
            if not self._batch.idle:
                self._step()

    def _taken(self) -> Iterator[tuple[str, Ticket | None]]:
        """Yield the orders that are there; wait for one while there is nothing to decode."""
        if self._batch.idle:
            yield self._orders.get()
        while True:
            try:
                yield self._orders.get_nowait()
            except Empty:
                return

    def _obey(self, order: str, ticket: Ticket) -> None:
        if order == "add":
            self._tickets[ticket.run] = ticket
            self._batch.add(ticket.run)
        elif self._tickets.pop(ticket.run, None) is not None:
            self._batch.drop(ticket.run)

    def _step(self) -> None:
        try:
            progressed = self._batch.step()
        except Exception:  # a defect: the requests that ran are told, the thread goes on
            log.exception("the decoding step failed")
            failure = GenerationError("Request failed during generation: an internal error")
            progressed = self._batch.fail(failure)
        for run in progressed:
            ticket = self._tickets.get(run)
            if ticket is not None:
                ticket.tell()
                if run.ended:
                    del self._tickets[run]

    def statistics(self) -> dict[str, float]:
        """Return what is going on, by the names of gauges; read from any thread."""
        running = self._batch.running
        tokens = sum(len(run.task.prompt_ids) + len(run.tokens) for run in running)
        return {
            "queue_size": self._batch.waiting,
            "batch_current_size": len(running),
            "batch_current_tokens": tokens,
        }


class EventStream:
    """The events of one request; `timings` is there after the last one."""

    def __init__(self, ticket: Ticket, undo: ExitStack, started: float, validated: float) -> None:
        self.timings: Timings | None = None
        self.input_length = len(ticket.run.task.prompt_ids)
        self._ticket = ticket
        self._undo = undo
        self._times = started, validated

    async def __aiter__(self) -> AsyncIterator[StreamEvent]:
        """Yield one event for each token. Raises GenerationError."""
        ticket, sent, ended = self._ticket, 0, False
        try:
            while not ended:
                await ticket.changed()
                known, ended = ticket.tokens, ticket.ended  # more may come while one is read
                for event in events(ticket.run, sent, known):
                    yield event
                sent = known
            if ticket.run.error is not None:
                raise ticket.run.error
            self.timings = timings(ticket, *self._times)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Free the row of the request within a step, and its permit."""
        self._undo.close()


class Permits:
    """How many sequences may be under way at once."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.closed = False

    def close(self) -> None:
        """Give no more permits."""
        self.closed = True

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Hold some permits. Raises OverloadedError if there are not as many."""
        if self.closed or self.free < count:
            raise OverloadedError("Model is overloaded")
        self.free -= count
        try:
            yield
        finally:
            self.free += count


def timings(ticket: Ticket, started: float, validated: float) -> Timings:
    """Return what a sequence took, from when it was asked for and when it was found valid."""
    run = ticket.run
    began = ticket.finished if run.began is None else run.began
    return Timings(
        total=ticket.finished - started,
        validation=validated - started,
        queue=began - validated,
        inference=ticket.finished - began,
        prompt_tokens=len(run.task.prompt_ids),
        generated_tokens=len(run.tokens),
    )


class AsyncEngine:
    """Answers requests for one event loop. `start` before the first, `close` after the last."""

    def __init__(self, engine: Engine, *, max_concurrent_requests: int = 128) -> None:
        self.engine = engine
        self._permits = Permits(max_concurrent_requests)
        self._decoder = DecodingThread(engine)
        self._preparing = ThreadPoolExecutor(PREPARING_THREADS, "lockstitch-prepare")
        self._compiling = ThreadPoolExecutor(COMPILING_PROCESSES, "lockstitch-compile")
        engine.preparation.grammars.compile_slow = compile_apart
        engine.preparation.token_fuel = TOKEN_FUEL

    @property
    def workers(self) -> int:
        """How many requests are prepared at the same time."""
        return PREPARING_THREADS

    async def start(self) -> None:
        """Start the decoding thread."""
        self._decoder.start()

    async def close(self) -> None:
        """Take no more requests, finish those that run, stop the threads."""
        self._permits.close()
        await asyncio.to_thread(self._decoder.stop)
        self._preparing.shutdown(cancel_futures=True)
        self._compiling.shutdown(cancel_futures=True)

    @property
    def healthy(self) -> bool:
        """Whether requests can be answered."""
        return self._decoder.alive and not self._permits.closed

    def statistics(self) -> dict[str, float]:
        """Return what is going on now, by the names of gauges."""
        return {**self._decoder.statistics(), "free_permits": self._permits.free}

    async def answer(self, request: GenerateRequest, *, special_tokens: bool = True) -> Answered:
        """Answer a request whole. Cancelling the task frees its rows within a step.

        `special_tokens=False` says that the prompt has those that a prompt begins with. Raises
        OverloadedError, ValidationError, GenerationError.
        """
        started = perf_counter()
        with self._permits.taken(self._rows_of(request)):
            runs = await self._prepared(request, special_tokens=special_tokens)
            validated = perf_counter()
            tickets = [self._submitted(run) for run in runs]
            try:
                for ticket in tickets:
                    await ticket.end()
            finally:
                self._drop(tickets)
            best = tickets[runs.index(likeliest(runs))]
            return Answered(answer(runs), timings(best, started, validated))

    async def stream(self, request: GenerateRequest, *, special_tokens: bool = True) -> EventStream:
        """Answer a request token by token; what is refused is refused before this returns.

        The stream must be closed if it is not read to its end. Raises as `answer` does.
        """
        started = perf_counter()
        with ExitStack() as undo:
            undo.enter_context(self._permits.taken(1))
            request = request.model_copy(update={"stream": True})
            runs = await self._prepared(request, special_tokens=special_tokens)
            validated = perf_counter()
            ticket = self._submitted(runs[0])
            undo.callback(self._drop, [ticket])
            return EventStream(ticket, undo.pop_all(), started, validated)

    def _rows_of(self, request: GenerateRequest) -> int:
        """A request for more rows than are offered takes none: it will be refused for that."""
        rows = request.parameters.best_of or 1
        return rows if rows <= self.engine.limits.max_best_of else 0

    async def _prepared(
        self, request: GenerateRequest, *, special_tokens: bool
    ) -> list[RunningSequence]:
        loop = asyncio.get_running_loop()
        prepare = partial(self.engine.preparation.sequences, request, special_tokens=special_tokens)
        try:
            return await loop.run_in_executor(self._preparing, partial(prepare, quick=True))
        except SlowGrammarError:
            return await loop.run_in_executor(self._compiling, prepare)

    def _submitted(self, run: RunningSequence) -> Ticket:
        ticket = Ticket(run)
        self._decoder.submit(ticket)
        return ticket

    def _drop(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            if not ticket.ended:
                self._decoder.drop(ticket)
