"""Rows come and go between steps, and none changes what another computes."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from tiny import tiny_engine
from transformers import MistralConfig, MistralForCausalLM

from lockstitch import Engine
from lockstitch.engine import batch as batching
from lockstitch.engine.answers import answer
from lockstitch.engine.batch import Batch
from lockstitch.engine.forward import Rows
from lockstitch.engine.sequence import RunningSequence
from lockstitch.schemas.errors import GenerationError
from lockstitch.schemas.parameters import GenerateParameters, Limits
from lockstitch.schemas.request import GenerateRequest

RECORD = {
    "type": "json",
    "value": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string", "maxLength": 5}},
        "required": ["a", "b"],
    },
}
WORDS = ["the ", "quick ", "brown ", "fox ", "北京", "🐲", "0123 "]


def request(index: int) -> GenerateRequest:
    """One of many requests, all of them different."""
    rng = random.Random(index)
    grammar = RECORD if index % 3 == 0 else None
    values: list[dict[str, Any]] = [
        {"do_sample": True, "seed": index},
        {"repetition_penalty": 1.3},
        {"top_k": 5, "seed": index, "frequency_penalty": 1.0},
        {"decoder_input_details": True},
        {"watermark": True, "temperature": 0.7, "seed": index},
    ]
    return GenerateRequest(
        inputs="".join(rng.choices(WORDS, k=rng.randint(1, 40))),
        parameters=GenerateParameters(
            details=True, max_new_tokens=rng.randint(1, 30), grammar=grammar, **values[index % 5]
        ),
    )


def sequences(engine: Engine, count: int) -> list[RunningSequence]:
    return [engine.preparation.sequences(request(i))[0] for i in range(count)]


def ids(run: RunningSequence) -> list[int]:
    return [token.id for token in run.tokens]


def drain(batch: Batch) -> None:
    while not batch.idle:
        batch.step()


@pytest.fixture(scope="module")
def alone(engine: Engine) -> list[list[int]]:
    """The tokens of each of 24 requests, run by itself."""
    found = []
    for run in sequences(engine, 24):
        batch = engine.new_batch()
        batch.add(run)
        drain(batch)
        found.append(ids(run))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_join_and_leave_at_random_are_as_alone(
    engine: Engine, alone: list[list[int]], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "CHUNK", 64)  # prompts take several steps, short ones share
    rng = random.Random(seed)
    runs = sequences(engine, 24)
    batch = Batch(engine.model, max_rows=rng.choice([2, 5, 24]), max_positions=100_000)
    waiting = list(range(24))
    rng.shuffle(waiting)
    dropped = set()
    while waiting or not batch.idle:
        for _ in range(rng.randint(0, 3)):
            if waiting:
                batch.add(runs[waiting.pop()])
        batch.step()
        if batch.running and rng.random() < 0.1:
            run = rng.choice(batch.running)
            dropped.add(runs.index(run))
            batch.drop(run)
    for index, run in enumerate(runs):
        if index in dropped:
            assert ids(run) == alone[index][: len(run.tokens)]
        else:
            assert run.finish_reason is not None
            assert ids(run) == alone[index]
    assert len(dropped) < 24


def test_chunked_prompts_have_the_logprobs_of_whole_ones(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prefill(chunk: int) -> list[float | None]:
        monkeypatch.setattr(batching, "LOGPROB_CHUNK", chunk)
        parameters = GenerateParameters(decoder_input_details=True, max_new_tokens=1)
        asked = GenerateRequest(inputs=WORDS[0] * 40, parameters=parameters)
        response = engine.generate_requests([asked])[0]
        assert response.details is not None
        return [token.logprob for token in response.details.prefill]

    whole, chunked = prefill(1000), prefill(7)
    assert whole[0] is chunked[0] is None
    assert len(whole) == len(chunked) > 30
    assert chunked[1:] == pytest.approx(whole[1:], abs=1e-4)


def test_rows_run_on_while_a_long_prompt_comes_in(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "CHUNK", 16)
    parameters = GenerateParameters(do_sample=True, seed=3, max_new_tokens=60)
    first, second = (
        engine.preparation.sequences(GenerateRequest(inputs=text, parameters=parameters))[0]
        for text in ("the ", "the quick brown fox " * 12)
    )
    batch = engine.new_batch()
    batch.add(first)
    batch.step()
    batch.add(second)
    steps = 0
    while not second.tokens:
        before = len(first.tokens)
        batch.step()
        steps += 1
        assert len(first.tokens) == before + 1  # one token a step, whatever else happens
    assert steps == -(-len(second.task.prompt_ids) // 16)


def test_the_cache_is_bounded_and_the_others_wait(engine: Engine) -> None:
    batch = Batch(engine.model, max_rows=24, max_positions=200)
    runs = sequences(engine, 24)
    for run in runs:
        batch.add(run)
    seen = 0
    while not batch.idle:
        batch.step()
        running = batch.running
        longest = max((len(r.task.prompt_ids) + r.task.max_new_tokens for r in running), default=0)
        assert len(running) <= 1 or len(running) * longest <= 200
        seen = max(seen, len(running))
    assert seen > 1
    assert all(run.finish_reason is not None for run in runs)


def test_a_failing_model_ends_its_rows_and_not_the_batch(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    run = type(engine.model.lm_head).forward
    tokens: list[int] = []
    embed = engine.model.get_input_embeddings()

    def counted(module: Any, inputs: Any) -> None:
        tokens[:] = [inputs[0].numel()]

    def failing(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        if tokens[0] > 30:
            raise RuntimeError("out of memory")  # with keys and values of every layer stored
        logits: torch.Tensor = run(self, hidden)
        return logits

    handle = embed.register_forward_pre_hook(counted)
    request.addfinalizer(handle.remove)
    monkeypatch.setattr(type(engine.model.lm_head), "forward", failing)
    parameters = GenerateParameters(max_new_tokens=20, do_sample=True, seed=1)
    good, bad = (
        engine.preparation.sequences(GenerateRequest(inputs=text, parameters=parameters))[0]
        for text in ("the ", "fox 北京 " * 20)
    )
    batch = engine.new_batch()
    batch.add(good)
    batch.step()
    batch.add(bad)
    drain(batch)
    assert isinstance(bad.error, GenerationError)
    assert not bad.tokens
    assert good.error is None
    assert good.finish_reason is not None
    again = engine.preparation.sequences(GenerateRequest(inputs="the ", parameters=parameters))[0]
    batch.add(again)
    drain(batch)
    assert again.tokens == good.tokens  # which had shared the call that failed


NESTED = {"type": "object", "additionalProperties": {"enum": ["new", "old", [1, 2], {"a": None}]}}


@pytest.mark.parametrize("fuel", [5, 400, 3000])
def test_a_grammar_that_takes_long_ends_its_row_and_no_other(fuel: int) -> None:
    engine = tiny_engine()
    limit: dict[str, Any] = {"grammar": {"type": "json", "value": NESTED}, "complete": True}
    asked = [
        GenerateParameters(max_new_tokens=30, do_sample=True, seed=seed, **extra)
        for seed in range(4)
        for extra in (limit, {})
    ]
    requests = [GenerateRequest(inputs="the ", parameters=values) for values in asked]
    free = [engine.preparation.sequences(request)[0] for request in requests[1::2]]
    engine.preparation.token_fuel = fuel
    bound = [engine.preparation.sequences(request)[0] for request in requests[::2]]
    batch = engine.new_batch()
    for run in (*free, *bound):
        batch.add(run)
    drain(batch)
    assert all(run.error is None and run.finish_reason is not None for run in free)
    for run in bound:
        assert (run.error is None) != (run.finish_reason is None)
        assert run.error is None or "steps for one token, the limit is" in str(run.error)
    failed = sum(run.error is not None for run in bound)
    assert failed == 4 if fuel == 5 else failed < 4


def test_a_model_with_sliding_windows_keeps_each_row_to_itself() -> None:
    plain = tiny_engine()
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=plain.vocabulary.size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        sliding_window=8,
        eos_token_id=[0, 1],
        bos_token_id=None,
        pad_token_id=None,
        initializer_range=0.4,
    )
    model: Any = MistralForCausalLM(config)
    engine = Engine.from_pretrained(model.eval(), plain.tokenizer)
    assert not Rows(engine.model, 1).joins
    together = engine.generate_requests([request(i) for i in range(6)])
    for index, response in enumerate(together):
        run = engine.preparation.sequences(request(index))[0]
        batch = engine.new_batch()
        batch.add(run)
        drain(batch)
        assert answer([run]) == response


def test_limits_name_a_cache_that_is_too_small() -> None:
    with pytest.raises(Exception, match="max_batch_total_tokens must be >= 512"):
        tiny_engine(limits=Limits(max_batch_total_tokens=100))
