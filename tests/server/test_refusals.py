"""The catalogue of refusals of the specification (appendix C): trigger, status, type, sentence.

Each request is refused by the application before a token, and each sentence is the whole of it, so
a change of wording is a change of this table.
"""

from __future__ import annotations

from typing import Any

import pytest
from tiny import tiny_engine

from lockstitch.engine.async_engine import AsyncEngine
from lockstitch.schemas.parameters import Limits

PREFIX = "Input validation error: "
SAMPLE = {"do_sample": True}
EMPTY = {"type": "integer", "minimum": 3, "maximum": 2}

CATALOGUE: list[tuple[str, str, dict[str, Any]]] = [
    ("best_of must be between 1 and 2, got 3", "x", {"best_of": 3, **SAMPLE}),
    (
        "best_of needs sampling (set do_sample, temperature, top_k, top_p or typical_p)",
        "x",
        {"best_of": 2},
    ),
    ("seed cannot be combined with best_of > 1", "x", {"best_of": 2, "seed": 1, **SAMPLE}),
    ("temperature must be > 0", "x", {"temperature": 0}),
    ("repetition_penalty must be > 0", "x", {"repetition_penalty": 0}),
    ("frequency_penalty must lie in [-2, 2]", "x", {"frequency_penalty": 2.5}),
    ("top_p must lie in (0, 1)", "x", {"top_p": 1.5}),
    ("typical_p must lie in (0, 1)", "x", {"typical_p": 0}),
    ("top_k must be >= 1", "x", {"top_k": 0}),
    ("max_new_tokens must be >= 1", "x", {"max_new_tokens": 0}),
    ("at most 4 stop sequences, got 5", "x", {"stop": list("abcde")}),
    ("stop strings must not be empty", "x", {"stop": [""]}),
    ("top_n_tokens must lie in [0, 5], got 6", "x", {"top_n_tokens": 6}),
    ("inputs must not be empty", "", {}),
    ("truncate must lie in [1, 99], got 0", "x", {"truncate": 0}),
    ("truncate must lie in [1, 99], got 100", "x", {"truncate": 100}),
    ("1 prompt tokens + 100 max_new_tokens exceed 100", "x", {"max_new_tokens": 100}),
    ("adapter nope is not loaded", "x", {"adapter_id": "nope"}),
]
GRAMMARS: list[tuple[str, dict[str, Any]]] = [
    ("grammar value must be an object or a JSON string", {"type": "json", "value": 5}),
    ("grammar is not a valid JSON Schema", {"type": "json", "value": "{"}),
    ("/type: type must be one", {"type": "json", "value": {"type": "integr"}}),
    ("/properties/a", {"type": "json", "value": {"properties": {"a": {"minimum": "1"}}}}),
    (
        "/items: uniqueItems",
        {"type": "json", "value": {"items": {"uniqueItems": True, "contains": {"const": 1}}}},
    ),
    ("/type, /minimum and /maximum", {"type": "json", "value": EMPTY}),
    ("at offset 2: this class is not closed", {"type": "regex", "value": "ab["}),
    ("backreference", {"type": "regex", "value": r"(a)\1"}),
]


@pytest.fixture(scope="module")
def small(open_api: Any) -> Any:
    with open_api(AsyncEngine(tiny_engine(context=100))) as api:
        yield api


@pytest.mark.parametrize(("sentence", "inputs", "values"), CATALOGUE, ids=str)
def test_parameters(small: Any, sentence: str, inputs: str, values: dict[str, Any]) -> None:
    assert small.refused(inputs, **values) == PREFIX + sentence


@pytest.mark.parametrize(("words", "grammar"), GRAMMARS, ids=str)
def test_grammars(small: Any, words: str, grammar: dict[str, Any]) -> None:
    sentence = small.refused("x", grammar=grammar)
    assert sentence.startswith(PREFIX + "grammar")
    assert words in sentence


def test_prompts_that_are_too_long(small: Any) -> None:
    sentence = small.refused("z " * 300, max_new_tokens=None)
    assert sentence.startswith(PREFIX + "prompt has ")
    assert sentence.endswith("limit 99 (equality is allowed)")


@pytest.mark.parametrize("name", ["best_of", "decoder_input_details"])
def test_what_cannot_be_streamed(small: Any, name: str) -> None:
    values = {"best_of": 2, **SAMPLE} if name == "best_of" else {name: True}
    body = {"inputs": "x", "parameters": values}
    refused = small.post("/generate_stream", body, 422)
    assert refused == {"error": f"{PREFIX}{name} cannot be streamed", "error_type": "validation"}


def test_what_a_server_does_not_offer(open_api: Any) -> None:
    limits = Limits(max_best_of=1, accept_one=False, grammar_support=False)
    engine = AsyncEngine(tiny_engine(context=100, limits=limits))
    with open_api(engine) as api:
        assert api.refused(best_of=2, **SAMPLE) == PREFIX + "this server does not offer best_of"
        assert api.refused(top_p=1.0) == PREFIX + "top_p must lie in (0, 1)"
        regex = {"type": "regex", "value": "a"}
        assert api.refused(grammar=regex) == PREFIX + "grammar is disabled on this server"
