"""The engine end to end on a tiny model: grammars, parameters, batches, streams, refusals."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from schema_maker import grammars
from tiny import tiny_engine

from lockstitch import Engine, TextStyle, compile_grammar
from lockstitch.schemas.errors import (
    GenerationError,
    GrammarError,
    UnsatisfiableGrammarError,
    ValidationError,
)
from lockstitch.schemas.parameters import GenerateParameters, Limits
from lockstitch.schemas.request import GenerateRequest
from lockstitch.schemas.response import GenerateResponse

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["new", "used", None]}, "maxItems": 3},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
GRAMMAR = {"type": "json", "value": SCHEMA}
DATE = {"type": "regex", "value": r"20\d\d-(0[1-9]|1[0-2])"}
NOTHING = {"type": "json", "value": False}
BUDGET = 120


def tokens_of(response: GenerateResponse) -> list[tuple[int, str, float | None]]:
    assert response.details is not None
    return [(t.id, t.text, t.logprob) for t in response.details.tokens]


@pytest.mark.parametrize("seed", range(12))
def test_every_finished_text_validates(engine: Engine, seed: int) -> None:
    options: dict[str, Any] = {} if seed == 0 else {"temperature": 2.0, "seed": seed}
    response = engine.generate(
        "Who?", grammar=GRAMMAR, max_new_tokens=BUDGET, details=True, **options
    )
    assert response.details is not None
    assert response.details.finish_reason == "eos_token"
    assert Draft202012Validator(SCHEMA).is_valid(json.loads(response.generated_text))
    assert response.details.tokens[-1].special
    assert "".join(t.text for t in response.details.tokens if not t.special) == (
        response.generated_text
    )
    assert response.details.seed == (None if seed == 0 else seed)


def test_the_end_comes_without_asking_the_model(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_forwards(engine, monkeypatch)
    response = engine.generate("x", grammar={"type": "regex", "value": "[xy]ab"}, details=True)
    assert response.generated_text[1:] == "ab"
    assert response.details is not None
    assert response.details.finish_reason == "eos_token"
    assert response.details.tokens[-1].logprob == 0.0
    assert len(calls) == 1
    assert response.details.forced_tokens == response.details.generated_tokens - 1
    calls.clear()
    empty = engine.generate("x", grammar={"type": "regex", "value": ""}, details=True)
    assert empty.generated_text == ""
    assert empty.details is not None
    assert (empty.details.generated_tokens, empty.details.finish_reason) == (1, "eos_token")
    assert not calls


def count_forwards(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    forward = engine.model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return forward(*args, **kwargs)

    monkeypatch.setattr(engine.model, "forward", counted)
    return calls


def test_one_pass_serves_a_batch_with_different_grammars(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_forwards(engine, monkeypatch)
    prompts = ["Who?", "When was it, exactly?", "Say something."]
    responses = engine.generate(
        prompts, grammar=[GRAMMAR, DATE, None], max_new_tokens=40, details=True
    )
    assert re.fullmatch(DATE["value"], responses[1].generated_text)
    longest = max(r.details.generated_tokens for r in responses if r.details)
    assert len(calls) <= longest


PARAMETERS: list[dict[str, Any]] = [
    {},
    {"temperature": 1.7, "seed": 5},
    {"top_k": 3, "seed": 1},
    {"top_p": 0.4, "seed": 2, "repetition_penalty": 1.4},
    {"typical_p": 0.3, "seed": 3},
    {"frequency_penalty": 1.5, "watermark": True},
    {"do_sample": True, "seed": 9, "top_n_tokens": 3, "stop": ["e"]},
]


def test_a_batch_equals_its_rows_alone(engine: Engine) -> None:
    prompts = ["Hi", "A longer prompt than the others, really", "北京 🐲", "x", "y y y", "z", "q"]
    rules = [GRAMMAR, None, DATE, GRAMMAR, None, DATE, None]
    requests = [
        GenerateRequest(
            inputs=prompt,
            parameters=GenerateParameters.parse(
                {"grammar": grammar, "details": True, "max_new_tokens": 24, **parameters}
            ),
        )
        for prompt, grammar, parameters in zip(prompts, rules, PARAMETERS, strict=True)
    ]
    together = engine.generate_requests(requests)
    alone = [engine.generate_requests([request])[0] for request in requests]
    for first, second in zip(together, alone, strict=True):
        assert first.generated_text == second.generated_text
        assert [t[:2] for t in tokens_of(first)] == [t[:2] for t in tokens_of(second)]
        for (_, _, a), (_, _, b) in zip(tokens_of(first), tokens_of(second), strict=True):
            assert a == pytest.approx(b, abs=1e-4)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("grammar", [None, GRAMMAR, DATE], ids=["free", "json", "regex"])
def test_a_stream_says_the_same(
    engine: Engine, grammar: dict[str, Any] | None, parameters: dict[str, Any]
) -> None:
    options = {"grammar": grammar, "max_new_tokens": 30, "details": True, **parameters}
    whole = engine.generate("Once", **options)
    events = list(engine.stream("Once", **options))
    assert [e.index for e in events] == list(range(1, len(events) + 1))
    assert [(e.token.id, e.token.text, e.token.logprob) for e in events] == tokens_of(whole)
    assert [e.generated_text for e in events[:-1]] == [None] * (len(events) - 1)
    assert events[-1].generated_text == whole.generated_text
    assert events[-1].details is not None
    assert whole.details is not None
    assert events[-1].details.finish_reason == whole.details.finish_reason
    assert events[-1].details.forced_tokens == whole.details.forced_tokens


EXTREMES: list[dict[str, Any]] = [
    {"best_of": 2, "do_sample": True},
    {"top_n_tokens": 5},
    {"watermark": True},
    {"repetition_penalty": 1.5},
    {"repetition_penalty": 0.01},
    {"frequency_penalty": 2.0},
    {"frequency_penalty": -2.0},
    {"temperature": 0.01, "seed": 1},
    {"temperature": 50.0, "seed": 1},
    {"top_k": 1},
    {"top_k": 10**9, "seed": 1},
    {"top_p": 0.01, "seed": 1},
    {"typical_p": 0.01, "seed": 1},
    {"stop": ["a", '"'], "seed": 2, "temperature": 3.0},
    {"truncate": 2},
    {"return_full_text": True},
    {"decoder_input_details": True},
]


@pytest.mark.parametrize("parameters", EXTREMES, ids=str)
def test_no_parameter_breaks_a_grammar(engine: Engine, parameters: dict[str, Any]) -> None:
    prompt = "Tell me about it"
    compiled = compile_grammar(GRAMMAR)
    for budget in (3, BUDGET):
        response = engine.generate(
            prompt,
            grammar=GRAMMAR,
            max_new_tokens=budget,
            complete=False,
            details=True,
            **parameters,
        )
        text, details = response.generated_text, response.details
        assert details is not None
        if parameters.get("return_full_text"):
            assert text.startswith(prompt)
            text = text[len(prompt) :]
        assert details.generated_tokens == len(details.tokens) <= budget
        if details.finish_reason == "eos_token":
            assert compiled.accepts(text.encode())
        else:
            assert compiled.is_prefix(text.encode())
            assert details.finish_reason in ("length", "stop_sequence")
        assert all(t.logprob is not None and t.logprob <= 0 for t in details.tokens)


def test_random_schemas_on_the_model(engine: Engine) -> None:
    finished = 0
    for number, (schema, grammar) in enumerate(grammars(40, seed=3)):
        response = engine.generate(
            "Give me",
            grammar=grammar,
            max_new_tokens=80,
            complete=False,
            details=True,
            seed=number,
            do_sample=True,
        )
        assert response.details is not None
        if response.details.finish_reason == "eos_token":
            finished += 1
            value = json.loads(response.generated_text)
            assert Draft202012Validator(schema).is_valid(value), (schema, value)
        else:
            assert grammar.is_prefix(response.generated_text.encode())
    assert finished > 15


def test_streamed_text_never_shows_half_a_character(engine: Engine) -> None:
    grammar = {"type": "regex", "value": "(🐲|北|é|a){20}"}
    pieces = [e.token.text for e in engine.stream("x", grammar=grammar, seed=4, do_sample=True)]
    assert "" in pieces
    assert "\ufffd" not in "".join(pieces)
    assert re.fullmatch("(🐲|北|é|a){20}", "".join(pieces[:-1]))


def test_a_cut_character_is_left_out(engine: Engine) -> None:
    grammar = {"type": "regex", "value": "(🙃|🙄){9}"}
    for budget in range(1, 9):
        response = engine.generate("x", grammar=grammar, max_new_tokens=budget, complete=False)
        text = response.generated_text
        assert re.fullmatch("(🙃|🙄)*", text)


def test_best_of_returns_the_likeliest(engine: Engine) -> None:
    response = engine.generate(
        "Hello", best_of=2, do_sample=True, max_new_tokens=6, details=True, top_n_tokens=2
    )
    details = response.details
    assert details is not None
    assert details.best_of_sequences is not None
    (other,) = details.best_of_sequences
    means = [sum(t.logprob or 0 for t in run.tokens) / len(run.tokens) for run in (details, other)]
    assert means[0] >= means[1]
    assert details.seed not in (None, other.seed)


def test_prompt_details_are_the_models_own(engine: Engine) -> None:
    response = engine.generate("Hello there, you", decoder_input_details=True, max_new_tokens=1)
    assert response.details is not None
    prefill = response.details.prefill
    ids = engine.tokenizer("Hello there, you")["input_ids"]
    assert [token.id for token in prefill] == ids
    assert prefill[0].logprob is None
    with torch.no_grad():
        logits = engine.model(torch.tensor([ids])).logits[0].float()
    expected = torch.log_softmax(logits, -1)
    for position, token in enumerate(prefill[1:]):
        assert token.logprob == pytest.approx(float(expected[position, token.id]), abs=1e-5)


def test_greedy_is_the_models_argmax(engine: Engine) -> None:
    response = engine.generate("abc", max_new_tokens=10, details=True)
    ids = engine.tokenizer("abc")["input_ids"]
    for token_id, _, _ in tokens_of(response):
        with torch.no_grad():
            logits = engine.model(torch.tensor([ids])).logits[0, -1]
        assert token_id == int(logits.argmax())
        ids = [*ids, token_id]


def test_budget_defaults_to_the_rest_of_the_context(engine: Engine) -> None:
    grammar = {"type": "regex", "value": "a{600}"}
    response = engine.generate("abc", grammar=grammar, complete=False, details=True)
    assert response.details is not None
    assert response.details.finish_reason == "length"
    assert response.details.generated_tokens == 512 - len(engine.tokenizer("abc")["input_ids"])


REFUSED: list[tuple[dict[str, Any], type[ValidationError], str, str | None]] = [
    ({"max_new_tokens": 0}, ValidationError, ">= 1", "max_new_tokens"),
    ({"max_new_tokens": "5"}, ValidationError, "integer", "max_new_tokens"),
    ({"max_new_tokens": 9999}, ValidationError, "exceed 512", "max_new_tokens"),
    ({"temperature": 0}, ValidationError, "> 0", "temperature"),
    ({"max_tokens": 5}, ValidationError, "max_tokens", "max_tokens"),
    ({"adapter_id": "x"}, ValidationError, "not loaded", "adapter_id"),
    ({"best_of": 2}, ValidationError, "best_of", "best_of"),
    ({"grammar": {"type": "json"}}, GrammarError, "value", "grammar"),
    ({"grammar": {"type": "xml", "value": ""}}, GrammarError, "xml", "grammar"),
    ({"grammar": {"type": "regex", "value": "(a"}}, GrammarError, "offset", "grammar"),
    ({"grammar": NOTHING}, UnsatisfiableGrammarError, "no value", "grammar"),
    ({"grammar": {"type": "json", "value": {"$ref": "#/x"}}}, GrammarError, "nowhere", "grammar"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "words", "parameter"), REFUSED, ids=str)
def test_refusals_come_before_the_first_token(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[ValidationError],
    words: str,
    parameter: str | None,
) -> None:
    calls = count_forwards(engine, monkeypatch)
    ask: Callable[..., Any]
    for ask in (engine.generate, engine.stream):
        with pytest.raises(error, match=re.escape(words)) as caught:
            ask("Hi", **options)
        assert caught.value.parameter == parameter
        assert caught.value.status == 422
    assert not calls


def test_empty_and_foreign_inputs(engine: Engine) -> None:
    for bad in ("", "\ud800"):
        with pytest.raises(ValidationError):
            engine.generate(bad)
    with pytest.raises(ValidationError, match="grammars"):
        engine.generate(["a", "b"], grammar=[None])


def test_a_defect_is_never_an_answer(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_grammar({"type": "regex", "value": "abc"})
    monkeypatch.setattr(compiled, "accepts", lambda text: False)
    with pytest.raises(GenerationError, match="does not match"):
        engine.generate("x", grammar=compiled)


def test_limits_and_styles_are_the_callers(engine: Engine) -> None:
    strict = tiny_engine(limits=Limits(grammar_support=False))
    with pytest.raises(ValidationError, match="disabled"):
        strict.generate("x", grammar=DATE)
    compact = tiny_engine(style=TextStyle("compact"))
    text = compact.generate("x", grammar={"type": "json", "value": {"const": [1, 2]}})
    assert text.generated_text == "[1,2]"


def test_chat_prompts_use_the_template(engine: Engine) -> None:
    assert (
        engine.chat_prompt([{"role": "user", "content": "Hi"}])
        == "<|im_start|>user\nHi<|im_end|>\n"
    )


def test_token_statistics_tell_how_the_model_stood(engine: Engine) -> None:
    grammar = {"type": "regex", "value": "(yes|no), [ab]{3}"}
    asked = {"grammar": grammar, "details": True, "do_sample": True, "seed": 3}
    plain = engine.generate("the", **asked)
    response = engine.generate("the", token_statistics=True, temperature=0.5, **asked)
    assert plain.details is not None
    assert response.details is not None
    assert "statistics" not in plain.details.tokens[0].to_dict()
    *tokens, end = response.details.tokens
    assert {token.statistics.forced for token in tokens if token.statistics} == {False, True}
    for token in tokens:
        told = token.statistics
        assert told is not None
        if told.raw_logprob is None or told.legal_mass is None:
            assert (told.forced, told.legal_mass, token.logprob) == (True, None, 0.0)
            continue
        assert math.exp(told.raw_logprob) <= told.legal_mass * (1 + 1e-6)
        assert told.legal_mass < 1
    assert end.to_dict()["statistics"] == {
        "raw_logprob": None,
        "legal_mass": None,
        "forced": True,
    }
    first = engine.generate("the", details=True, max_new_tokens=1, top_n_tokens=5)
    free = engine.generate("the", details=True, max_new_tokens=1, token_statistics=True)
    assert first.details is not None
    assert free.details is not None
    told = free.details.tokens[0].statistics
    assert told is not None
    assert told.legal_mass == 1.0
    assert told.raw_logprob == pytest.approx(first.details.tokens[0].logprob)
