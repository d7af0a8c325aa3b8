"""The engine for event loops: no request feels another, and whoever leaves frees what it held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lockstitch import Engine
from lockstitch.constraint.grammar import Grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.engine import async_engine, grammar_cache
from lockstitch.engine.async_engine import Answered, AsyncEngine
from lockstitch.engine.batch import Batch
from lockstitch.engine.compile_apart import compile_apart
from lockstitch.engine.sequence import RunningSequence
from lockstitch.schemas.errors import (
    GenerationError,
    GrammarError,
    OverloadedError,
    UnsatisfiableGrammarError,
    ValidationError,
)
from lockstitch.schemas.parameters import GenerateParameters
from lockstitch.schemas.request import GenerateRequest

LONGEST = 120  # seconds; a test that hangs fails
WORDS = ["the quick", "北京 🐲", "0123456789", '{"name": "Bob"}', "x"]
VALUES: list[dict[str, Any]] = [
    {},
    {"do_sample": True, "seed": 1},
    {"repetition_penalty": 1.5, "frequency_penalty": 1.0},
    {"grammar": {"type": "regex", "value": "[a-z]{4,9}(-[0-9]+)?"}, "temperature": 2.0, "seed": 2},
    {"grammar": {"type": "json", "value": {"type": "array", "items": {"type": "integer"}}}},
    {"top_k": 7, "seed": 3, "watermark": True},
    {"top_p": 0.8, "typical_p": 0.9, "seed": 4, "stop": ["e"]},
    {"decoder_input_details": True, "truncate": 2},
]
SLOW = {"type": "regex", "value": "[ab]{3}slow"}  # made slow by the fixture of that name


def request(index: int = 0, **values: Any) -> GenerateRequest:
    """One of many requests, all of them different."""
    chosen = {"max_new_tokens": 10 + index % 7, **VALUES[index % len(VALUES)], **values}
    parameters = GenerateParameters.parse({"details": True, **chosen})
    return GenerateRequest(
        inputs=WORDS[index % len(WORDS)] * (1 + index % 3), parameters=parameters
    )


def ids(answered: Answered) -> list[int]:
    details = answered.response.details
    assert details is not None
    return [token.id for token in details.tokens]


def run(tiny: Engine, work: Callable[[AsyncEngine], Awaitable[None]], permits: int = 64) -> None:
    """Do something with an engine that runs."""

    async def main() -> None:
        async with running(tiny, permits) as engine:
            await work(engine)
            await quiet(engine, permits)

    asyncio.run(asyncio.wait_for(main(), LONGEST))


@asynccontextmanager
async def running(tiny: Engine, permits: int = 64) -> AsyncIterator[AsyncEngine]:
    engine = AsyncEngine(tiny, max_concurrent_requests=permits)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def quiet(engine: AsyncEngine, permits: int) -> None:
    """All permits are back; and the rows, as soon as the decoding thread has seen the orders."""
    assert engine.statistics()["free_permits"] == permits
    async with asyncio.timeout(20):
        while engine.statistics()["batch_current_size"] or engine.statistics()["queue_size"]:
            await asyncio.sleep(0.001)


async def begun(engine: AsyncEngine, rows: int = 1) -> None:
    """Wait until so many rows are in the model."""
    async with asyncio.timeout(20):
        while engine.statistics()["batch_current_size"] < rows:
            await asyncio.sleep(0.001)


def test_many_at_once_are_as_alone(tiny: Engine) -> None:
    async def work(engine: AsyncEngine) -> None:
        alone = [ids(await engine.answer(request(i))) for i in range(40)]
        together = await asyncio.gather(*(engine.answer(request(i)) for i in range(40)))
        assert [ids(answered) for answered in together] == alone
        streams = await asyncio.gather(*(streamed(engine, i) for i in range(40)))
        assert streams == alone

    run(tiny, work)


async def streamed(engine: AsyncEngine, index: int) -> list[int]:
    unasked = {"decoder_input_details": None}
    stream = await engine.stream(request(index, **unasked))
    return [event.token.id async for event in stream]


def test_best_of_seeds_can_be_repeated_alone(tiny: Engine) -> None:
    async def work(engine: AsyncEngine) -> None:
        found = await engine.answer(request(best_of=2, do_sample=True))
        assert found.response.details is not None
        seed = found.response.details.seed
        again = await engine.answer(request(do_sample=True, seed=seed))
        assert ids(again) == ids(found)

    run(tiny, work)


def test_timings_are_of_the_request(tiny: Engine) -> None:
    async def work(engine: AsyncEngine) -> None:
        t = (await engine.answer(request(max_new_tokens=5))).timings
        assert t.generated_tokens == 5
        assert t.prompt_tokens == len(tiny.tokenizer(request().inputs)["input_ids"])
        assert t.total == pytest.approx(t.validation + t.queue + t.inference)
        assert min(t.validation, t.queue, t.inference) >= 0

    run(tiny, work)


# --- leaving early ------------------------------------------------------------------------------


class Steps:
    """The tokens of every row that a batch ever had, seen from outside."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[RunningSequence] = []
        self.dropped: dict[RunningSequence, int] = {}
        plain_add, plain_drop = Batch.add, Batch.drop

        def add(batch: Batch, row: RunningSequence) -> None:
            self.rows.append(row)
            plain_add(batch, row)

        def drop(batch: Batch, row: RunningSequence) -> None:
            plain_drop(batch, row)
            self.dropped[row] = len(row.tokens)
            assert row not in batch.running

        monkeypatch.setattr(Batch, "add", add)
        monkeypatch.setattr(Batch, "drop", drop)


@pytest.mark.parametrize("best_of", [1, 2])
def test_a_cancelled_answer_leaves(
    tiny: Engine, monkeypatch: pytest.MonkeyPatch, best_of: int
) -> None:
    seen = Steps(monkeypatch)

    async def work(engine: AsyncEngine) -> None:
        asked = request(max_new_tokens=4000, do_sample=True, best_of=best_of)
        neighbour = asyncio.create_task(engine.answer(request(1)))
        task = asyncio.create_task(engine.answer(asked))
        async with asyncio.timeout(20):
            while sum(row.task.max_new_tokens == 4000 for row in seen.rows) < best_of:
                await asyncio.sleep(0.001)
        assert engine.statistics()["free_permits"] <= 64 - best_of
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ids(await neighbour) == ids(await engine.answer(request(1)))

    run(tiny, work)
    left = [row for row in seen.rows if row.task.max_new_tokens == 4000]
    assert len(left) == best_of
    for row in left:
        assert not row.ended
        assert len(row.tokens) == seen.dropped[row]  # not one more after it was dropped


def test_a_closed_stream_leaves(tiny: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Steps(monkeypatch)

    async def work(engine: AsyncEngine) -> None:
        stream = await engine.stream(request(max_new_tokens=4000))
        events = aiter(stream)
        assert [(await anext(events)).index for _ in range(3)] == [1, 2, 3]
        await stream.aclose()
        await stream.aclose()  # twice does no harm
        unread = await engine.stream(request(max_new_tokens=4000))
        await unread.aclose()

    run(tiny, work, permits=1)
    assert all(len(row.tokens) == seen.dropped[row] for row in seen.rows)
    assert len(seen.dropped) == 2


def test_a_row_that_waits_can_leave(tiny: Engine) -> None:
    async def work(engine: AsyncEngine) -> None:
        rows = tiny.limits.max_batch_size
        long = [
            asyncio.create_task(engine.answer(request(max_new_tokens=3000))) for _ in range(rows)
        ]
        await begun(engine)
        waiting = await engine.stream(request())
        await waiting.aclose()
        for task in long:
            task.cancel()
        await asyncio.gather(*long, return_exceptions=True)
        assert ids(await engine.answer(request()))

    run(tiny, work)


def test_cancelled_before_it_is_prepared(tiny: Engine) -> None:
    async def work(engine: AsyncEngine) -> None:
        for pause in range(4):
            task = asyncio.create_task(engine.answer(request()))
            for _ in range(pause):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert engine.statistics()["free_permits"] == 1

    run(tiny, work, permits=1)


# --- permits ------------------------------------------------------------------------------------


def test_overload_is_told_at_once(tiny: Engine) -> None:
    async def work(engine: AsyncEngine) -> None:
        held = await engine.stream(request(max_new_tokens=4000))
        held_too = await engine.stream(request(max_new_tokens=4000))
        assert engine.statistics()["free_permits"] == 1
        with pytest.raises(OverloadedError):  # two rows, one permit
            await engine.answer(request(do_sample=True, best_of=2))
        third = await engine.stream(request(max_new_tokens=4000))
        invalid = request(temperature=-1.0)
        for refused in (engine.answer(invalid), engine.stream(invalid)):
            with pytest.raises(OverloadedError):  # before anything else is looked at
                await refused
        for stream in (held, held_too, third):
            await stream.aclose()
        assert ids(await engine.answer(request(do_sample=True, best_of=2)))

    run(tiny, work, permits=3)


def test_a_refused_request_gives_its_permit_back(tiny: Engine) -> None:
    async def work(engine: AsyncEngine) -> None:
        for refused in (
            request(temperature=-1.0),
            request(grammar={"type": "regex", "value": "("}),
        ):
            for begin in (engine.answer, engine.stream):
                with pytest.raises(ValidationError):
                    await begin(refused)
                assert engine.statistics()["free_permits"] == 1

    run(tiny, work, permits=1)


def test_closing_finishes_what_runs(tiny: Engine) -> None:
    async def main() -> None:
        engine = AsyncEngine(tiny)
        assert not engine.healthy
        await engine.start()
        assert engine.healthy
        tasks = [asyncio.create_task(engine.answer(request(i))) for i in range(6)]
        stream = await engine.stream(request(0, max_new_tokens=200))
        await begun(engine, 7)
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await engine.answer(request())
        events = [event async for event in stream]
        assert len(events) == 200
        assert all(ids(answered) for answered in await asyncio.gather(*tasks))
        await closing
        assert not engine.healthy

    asyncio.run(asyncio.wait_for(main(), LONGEST))


# --- slow grammars ------------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every grammar take the way of the slow ones, to a process of its own."""

    def too_slow(grammar: object, style: TextStyle) -> Grammar:
        raise grammar_cache.SlowGrammarError

    monkeypatch.setattr(grammar_cache, "_compile_quickly", too_slow)


def grammar_of(index: int) -> dict[str, Any]:
    """A grammar that no other test has brought into the cache."""
    return {"type": "regex", "value": f"[ab]{{3}}-slow-{index}"}


@pytest.mark.usefixtures("slow")
def test_a_slow_grammar_delays_nobody(tiny: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    begun_, go_on = asyncio.Event(), threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def held(grammar: object, style: TextStyle) -> Grammar:
            loop.call_soon_threadsafe(begun_.set)
            assert go_on.wait(20)
            return compile_apart(grammar, style)

        monkeypatch.setattr(async_engine, "compile_apart", held)
        async with running(tiny) as engine:
            tasks = [
                asyncio.create_task(
                    engine.answer(request(grammar=grammar_of(i), max_new_tokens=30))
                )
                for i in (1, 1, 2, 3, 4)
            ]
            await asyncio.wait_for(begun_.wait(), 20)
            for index in range(3):  # more than there are threads that compile are held
                assert ids(await engine.answer(request(index)))
            assert not any(task.done() for task in tasks)
            go_on.set()
            answers = await asyncio.gather(*tasks)
            texts = [answered.response.generated_text for answered in answers]
            assert [text[3:] for text in texts] == [f"-slow-{i}" for i in (1, 1, 2, 3, 4)]
            assert all(set(text[:3]) <= {"a", "b"} for text in texts)
            await quiet(engine, 64)

    asyncio.run(asyncio.wait_for(main(), LONGEST))


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"type": "integer", "minimum": 3.25, "maximum": 3.5}, UnsatisfiableGrammarError),
        ({"type": "string", "pattern": "(?=a)b(?!c)\\1"}, GrammarError),
    ],
)
def test_errors_of_slow_grammars_keep_their_type(
    tiny: Engine, value: object, kind: type[GrammarError]
) -> None:
    async def work(engine: AsyncEngine) -> None:
        bad = request(grammar={"type": "json", "value": value})
        for begin in (engine.answer, engine.stream):
            with pytest.raises(kind) as caught:
                await begin(bad)
            assert caught.value.reason

    run(tiny, work)


# --- defects ------------------------------------------------------------------------------------


def test_a_step_that_fails_ends_only_what_ran(
    tiny: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = Batch.step
    armed = [False]

    def step(batch: Batch) -> list[RunningSequence]:
        if armed[0] and len(batch.running) == 3:
            armed[0] = False
            raise RuntimeError("out of luck")
        return plain(batch)

    monkeypatch.setattr(Batch, "step", step)

    async def work(engine: AsyncEngine) -> None:
        expected = ids(await engine.answer(request(1)))
        tasks = [
            asyncio.create_task(engine.answer(request(i, max_new_tokens=3000))) for i in range(2)
        ]
        stream = await engine.stream(request(max_new_tokens=3000))
        await begun(engine, 3)
        armed[0] = True
        with pytest.raises(GenerationError, match="Request failed during generation"):
            await collect(stream)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, GenerationError)
        assert engine.healthy
        assert ids(await engine.answer(request(1))) == expected

    run(tiny, work)
    assert "out of luck" in caplog.text


async def collect(stream: async_engine.EventStream) -> list[int]:
    return [event.index async for event in stream]
