"""Forced text: the tokens that the tokenizer would write, whichever way the model sees them.

A text is written the way a model that knows it by heart would: where the grammar forces nothing,
the next token is that of the tokenizer's own division of the whole text. With forced stretches the
tokens must come out the same.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny import tiny_engine

from lockstitch import Engine
from lockstitch.constraint.grammar import compile_grammar
from lockstitch.engine.batch import best_width, widest
from lockstitch.engine.forced_text import ForcedText
from lockstitch.engine.forward import Rows
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.vocabulary import Vocabulary
from lockstitch.schemas.errors import LockstitchError
from lockstitch.schemas.parameters import GenerateParameters
from lockstitch.schemas.request import GenerateRequest
from lockstitch.schemas.response import GenerateResponse

ORDER = {
    "type": "object",
    "properties": {
        "order_number": {"type": "string", "maxLength": 30},
        "customer": {
            "type": "object",
            "properties": {
                "full_name": {"type": "string"},
                "e-mail": {"enum": ["a@b.example", "ann@b.example", None]},
            },
            "required": ["full_name", "e-mail"],
            "additionalProperties": False,
        },
        "total_amount": {"type": "number"},
        "currency": {"enum": ["EUR", "EURO", "USD"]},
        "lines": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"größe 北京": {"type": "integer"}, "paid": {"type": "boolean"}},
                "required": ["größe 北京", "paid"],
                "additionalProperties": False,
            },
        },
        "version": {"const": "2024-01 final </s> text"},
    },
    "required": ["order_number", "customer", "total_amount", "currency", "lines", "version"],
    "additionalProperties": False,
}
NAMES = [
    "Ann",
    " Bob",
    "",
    "Zoë",
    "北京 🐲",
    'say "x"',
    "12",
    "{",
    "-",
    "a\\b",
    "/",
    ": ",
    "the  end ",
]


def order(rng: random.Random) -> dict[str, Any]:
    return {
        "order_number": rng.choice(NAMES),
        "customer": {
            "full_name": rng.choice(NAMES),
            "e-mail": rng.choice(["a@b.example", "ann@b.example", None]),
        },
        "total_amount": rng.choice([0, 12, -3.5, 1e10]),
        "currency": rng.choice(["EUR", "EURO", "USD"]),
        "lines": [
            {"größe 北京": rng.randrange(100), "paid": rng.random() < 0.5}
            for _ in range(rng.randint(1, 3))
        ],
        "version": "2024-01 final </s> text",
    }


class Writer:
    """Writes texts of one grammar by heart."""

    def __init__(self, tokenizer: Any, schema: object) -> None:
        ends = [tokenizer.eos_token_id]
        self.vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_token_ids=ends)
        self.tokenizer = tokenizer
        grammar = compile_grammar({"type": "json", "value": schema})
        self.fsm = TokenFSM(grammar, self.vocabulary)
        self.forced = ForcedText(tokenizer, self.vocabulary, threading.Lock())

    def write(self, text: str) -> tuple[list[int], list[int], int]:
        """Return the tokens written, those of the tokenizer, and how many were forced."""
        before: int = self.tokenizer.encode(":", add_special_tokens=False)[-1]
        wanted: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        written: list[int] = []
        state, forced = self.fsm.start, 0
        while len(written) < len(wanted):
            sure = self.forced.tokens(self.fsm, state, written[-1] if written else before)
            forced += len(sure)
            for token_id in sure or wanted[len(written) : len(written) + 1]:
                state = self.fsm.advance(state, token_id)
                written.append(token_id)
            if written != wanted[: len(written)]:
                break
        return written, wanted, forced


@pytest.mark.parametrize("name", ["smollm2", "deepseek", "qwen"])
def test_forced_tokens_are_the_tokenizers_own(name: str, request: pytest.FixtureRequest) -> None:
    writer = Writer(request.getfixturevalue(f"{name}_tokenizer"), ORDER)
    rng = random.Random(1)
    shares = []
    for _ in range(60):
        text = json.dumps(order(rng), ensure_ascii=False, separators=SEPARATORS)
        written, wanted, forced = writer.write(text)
        assert written == wanted, text
        shares.append(forced / len(wanted))
    assert min(shares) > 0.4


def test_gemma_too(gemma_tokenizer: Any) -> None:
    writer = Writer(gemma_tokenizer, ORDER)
    rng = random.Random(2)
    for _ in range(60):
        text = json.dumps(order(rng), ensure_ascii=False, separators=SEPARATORS)
        written, wanted, _ = writer.write(text)
        assert written == wanted, text


SEPARATORS = (", ", ": ")


@pytest.mark.parametrize(
    ("pattern", "forced"),
    [
        ("abc", b"abc"),  # nothing follows: all of it
        ("(?:abc|abd)", b""),  # `abc` may be one token
        ("é", "é".encode()),
        ("(?:é|è)x", b""),  # half a character
    ],
)
def test_what_may_merge_is_left_open(smollm2_tokenizer: Any, pattern: str, forced: bytes) -> None:
    vocabulary = Vocabulary.from_tokenizer(smollm2_tokenizer)
    fsm = TokenFSM(compile_grammar({"type": "regex", "value": pattern}), vocabulary)
    finder = ForcedText(smollm2_tokenizer, vocabulary, threading.Lock())
    found = finder.tokens(fsm, fsm.start, smollm2_tokenizer.encode("x")[0])
    assert b"".join(vocabulary.token_bytes[i] or b"?" for i in found) == forced


class OneByOne(Rows):
    """Shows each run of tokens to the model a token at a time."""

    def append(self, runs: Sequence[Sequence[int]]) -> torch.Tensor:
        width = max(map(len, runs))
        if len(runs) > 1 or not self.columns:  # a prompt, or rows of different lengths
            return super().append(runs)
        for place in range(width):
            logits = super().append([run[place : place + 1] for run in runs])
        return logits


PARTS: list[dict[str, Any]] = [
    {"type": "integer"},
    {"type": "string", "maxLength": 6},
    {"enum": ["red", "redder", "green", None]},
    {"type": "array", "items": {"enum": ["left", "right"]}, "minItems": 1, "maxItems": 3},
    {"type": "object", "properties": {"in": {"type": "boolean"}}, "required": ["in"]},
    {"type": "string", "pattern": "^[A-Z]{2}-2024-[0-9]{3}$"},
    {"const": "the quick brown fox"},
    {"type": "string", "format": "date"},
    {"anyOf": [{"type": "null"}, {"type": "number", "minimum": 3, "maximum": 5}]},
]


def asked(seed: int) -> GenerateRequest:
    """A schema made from a seed, in which much is forced."""
    rng = random.Random(seed)
    names = rng.sample(["id", "full_name", "größe", "total amount", "e-mail"], 4)
    schema = {
        "type": "object",
        "properties": {name: rng.choice(PARTS) for name in names},
        "required": names,
        "additionalProperties": False,
    }
    values: dict[str, Any] = {"do_sample": True, "seed": seed} if seed % 2 else {}
    if seed % 5 == 0:
        values |= {"repetition_penalty": 1.3, "stop": ["am"]}
    parameters = {"max_new_tokens": 120, "details": True, "complete": seed % 3 == 0, **values}
    grammar = {"type": "json", "value": schema}
    parsed = GenerateParameters.parse({**parameters, "grammar": grammar})
    return GenerateRequest(inputs="the quick ", parameters=parsed)


def ids(answer: GenerateResponse) -> list[int]:
    assert answer.details is not None
    return [token.id for token in answer.details.tokens]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return tiny_engine(context=1024)


def test_one_pass_and_one_by_one_are_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []
    for seed in range(200):
        request = asked(seed)
        try:
            engine.preparation.sequences(request)
        except LockstitchError:  # no such value, or none in so few tokens
            continue
        requests.append(request)
    assert len(requests) > 120
    alone = [engine.generate_requests([request])[0] for request in requests]
    together = engine.generate_requests(requests)  # rows of different lengths
    assert [ids(answer) for answer in together] == [ids(answer) for answer in alone]
    monkeypatch.setattr("lockstitch.engine.batch.Rows", OneByOne)
    slowly = [engine.generate_requests([request])[0] for request in requests]
    assert [ids(answer) for answer in slowly] == [ids(answer) for answer in alone]
    details = [answer.details for answer in alone if answer.details is not None]
    forced = sum(told.forced_tokens for told in details)
    assert forced > 0.4 * sum(told.generated_tokens for told in details)


@pytest.mark.parametrize(
    ("pending", "width"),
    [
        ([7], 7),
        ([1, 1, 1], 1),
        ([1] * 15 + [5], 1),  # one row catches up a token at a time
        ([5] * 8, 5),
        ([1, 40], 40),
        ([3, 4, 4, 4], 4),
    ],
)
def test_width_of_a_step(pending: list[int], width: int) -> None:
    assert best_width(pending, 24) == width


def test_text_that_is_not_forced_is_sampled(engine: Engine) -> None:
    grammar = {"type": "regex", "value": "the quick (fox|dog)"}
    plain = tiny_engine(context=1024)
    plain.preparation.forces_text = False
    forced, sampled = (e.generate("x", grammar=grammar, details=True) for e in (engine, plain))
    assert forced.details is not None
    assert sampled.details is not None
    assert forced.details.forced_tokens > sampled.details.forced_tokens


def test_a_prompt_is_told_of_before_its_text_is_forced(engine: Engine) -> None:
    asked = {"decoder_input_details": True, "max_new_tokens": 40, "grammar": {"type": "json"}}
    for value in ({"const": "the quick brown fox"}, {"enum": ["the quick fox", "the quick dog"]}):
        grammar = {"type": "json", "value": value}
        told = engine.generate("x y", **{**asked, "grammar": grammar}).details
        plain = engine.generate("x y", grammar=grammar, details=True, max_new_tokens=40).details
        assert told is not None
        assert plain is not None
        assert told.tokens == plain.tokens
        assert len(told.prefill) == len(engine.tokenizer("x y")["input_ids"])


@pytest.mark.parametrize(
    ("pending", "width"),
    [([1, 1, 1], 1), ([1, 60], 60), ([40, 60, 1], 60), ([40, 60, 1, 7], 40), ([200, 300], 200)],
)
def test_packed_rows_are_shown_as_much_as_fits(pending: list[int], width: int) -> None:
    assert widest(pending, 101) == width
