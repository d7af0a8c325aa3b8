"""Conformance cases 15 to 24: refusals and streams, through the application."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tiny import tiny_engine

from lockstitch.engine.async_engine import AsyncEngine
from lockstitch.schemas.parameters import GenerateParameters, Limits

ODD = 'a\u2028b\u0085c\u2029"\\\n\t🐲é\x00</s>\r\n\r\ndata: x'


def ids(answer: Any) -> list[int]:
    return [token["id"] for token in answer["details"]["tokens"]]


def literal(text: str) -> dict[str, str]:
    """A grammar of one text."""
    return {"type": "regex", "value": re.escape(text)}


def test_case_15_bounds(api: Any, open_api: Any) -> None:
    for name in ("top_p", "typical_p"):
        assert ids(api.generate(**{name: 1.0})) == ids(api.generate())  # which is off
        assert api.generate(**{name: 0.99})["details"]["seed"] is not None
        assert f"{name} must lie in (0, 1)" in api.refused(**{name: 1.5})
    for count in (0, 5, None):
        api.generate(top_n_tokens=count)
    assert "[0, 5], got 6" in api.refused(top_n_tokens=6)
    strict = tiny_engine(limits=Limits(accept_one=False, max_top_n_tokens=4))
    with open_api(AsyncEngine(strict)) as parity:
        assert "top_p must lie" in parity.refused(top_p=1.0)
        assert "typical_p must lie" in parity.refused(typical_p=0.99999999)
        assert "[0, 4], got 5" in parity.refused(top_n_tokens=5)
        parity.generate(top_n_tokens=4)


def test_case_16_combinations(api: Any) -> None:
    assert "best_of needs sampling" in api.refused(best_of=2)
    assert "seed cannot be combined" in api.refused(best_of=2, do_sample=True, seed=1)
    body = {"inputs": "x", "parameters": {"best_of": 2, "do_sample": True}}
    assert "cannot be streamed" in api.post("/generate_stream", body, 422)["error"]
    sentence = api.refused("the quick", max_new_tokens=4094)
    assert "3 prompt tokens + 4094 max_new_tokens exceed 4096" in sentence


@pytest.mark.parametrize(
    "values",
    [
        {"repetition_penalty": 0},
        {"repetition_penalty": -1},
        {"seed": -1},
        {"temperature": 0},
        {"temperature": -1},
        {"top_k": 0},
        {"top_k": -1},
        {"typical_p": 0},
        {"typical_p": -1},
        {"truncate": 0},
        {"truncate": -1},
    ],
)
def test_case_17_values_that_clients_refuse(api: Any, values: dict[str, Any]) -> None:
    assert next(iter(values)) in api.refused(**values)


def test_case_17_empty_inputs(api: Any) -> None:
    assert api.refused("").endswith("inputs must not be empty")


@pytest.mark.parametrize("name", sorted(GenerateParameters.model_fields))
def test_case_18_null_is_unset(api: Any, name: str) -> None:
    values: dict[str, Any] = {"max_new_tokens": 3, "details": True, name: None}
    if name == "max_new_tokens":  # then the answer would fill the context
        values["stop"] = [" "]
        values["grammar"] = {"type": "regex", "value": "a{1,9}"}
    body = {"inputs": "x", "parameters": values, "stream": None}
    answer = api.post("/generate", body)
    assert answer["generated_text"] or answer["details"]["tokens"]


def test_case_18_unknown_names_are_ignored(api: Any) -> None:
    parameters = {"max_new_tokens": 3, "stop_sequences": [" "], "unheard_of": {"a": [1]}}
    body = {"inputs": "x", "parameters": parameters, "else": 1}
    plain = {"inputs": "x", "parameters": {"max_new_tokens": 3}}
    assert api.post("/generate", body) == api.post("/generate", plain)


WRONG: dict[str, list[Any]] = {
    "adapter_id": [1, []],
    "best_of": [1.5, "2", True, -1, 2**64],
    "decoder_input_details": [1, "true"],
    "details": ["yes", 0],
    "do_sample": [1],
    "frequency_penalty": ["1", True, 1e39],
    "grammar": [[], "a", 1, True],
    "max_new_tokens": [1.0, "5", -1, 2**32],
    "repetition_penalty": [[], True],
    "return_full_text": ["no"],
    "seed": [1.5, -1, 2**64],
    "stop": ["a", [1], [None], {"a": 1}],
    "temperature": ["hot", True],
    "top_k": [1.5, 2**31],
    "top_n_tokens": [-1, 0.5],
    "top_p": ["1", {}],
    "truncate": [2.5, -2],
    "typical_p": [[0.5]],
    "watermark": [0, "false"],
}


@pytest.mark.parametrize("name", WRONG)
def test_case_18_wrong_types(api: Any, name: str) -> None:
    for value in WRONG[name]:
        assert name in api.refused(**{name: value}), value


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        1.5,
        {},
        {"inputs": None},
        {"inputs": ["a"]},
        {"inputs": 1},
        {"inputs": "x", "stream": 1},
        {"inputs": "x", "parameters": []},
        {"inputs": "x", "parameters": "a"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/generate", "/generate_stream"])
def test_case_18_bodies_of_a_wrong_shape(api: Any, path: str, body: Any) -> None:
    assert api.post(path, body, 422)["error_type"] == "validation"


@pytest.mark.parametrize("body", [[], "text", {}, {"inputs": None}, {"inputs": 1}])
def test_tokenize_needs_inputs_only(api: Any, body: Any) -> None:
    assert api.post("/tokenize", body, 422)["error_type"] == "validation"
    assert api.post("/tokenize", {"inputs": "x", "parameters": "a"})[0]["start"] == 0


def test_case_19_one_token_is_first_and_last(api: Any) -> None:
    (event,) = api.stream(max_new_tokens=1)
    assert event["generated_text"] is not None
    assert event["details"]["finish_reason"] == "length"


@pytest.mark.parametrize("path", ["/generate_stream", "/", "/v1"])
def test_case_20_a_bad_stream_is_refused_as_json(api: Any, path: str) -> None:
    body = {"inputs": "x", "parameters": {"temperature": -1}, "stream": True}
    assert "temperature must be > 0" in api.post(path, body, 422)["error"]


def test_case_21_events(api: Any) -> None:
    grammar = {"type": "regex", "value": "[a-z ]{12}"}
    *events, end = api.stream(grammar=grammar, top_n_tokens=2)
    assert end["token"]["special"]
    assert end["details"]["finish_reason"] == "eos_token"
    said = "".join(event["token"]["text"] for event in events)
    assert said == end["generated_text"]
    assert all(len(event["top_tokens"]) >= 1 for event in events)
    quiet = api.stream(details=False, return_full_text=True)
    assert quiet[-1]["details"] is None
    assert quiet[-1]["generated_text"].startswith("the quick")


def test_case_22_odd_characters(api: Any) -> None:
    """The stream is read strictly: ASCII, one line for each event."""
    asked = {"grammar": literal(ODD), "max_new_tokens": 100}
    assert api.generate(**asked)["generated_text"] == ODD
    events = api.stream(**asked, top_n_tokens=1)
    assert events[-1]["generated_text"] == ODD
    assert "".join(e["token"]["text"] for e in events if not e["token"]["special"]) == ODD
    whole = api.chat(response_format=literal(ODD), max_tokens=100)
    assert whole["choices"][0]["message"]["content"] == ODD
    chunks = api.chat(response_format=literal(ODD), max_tokens=100, stream=True)
    said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert said == ODD


def test_case_22_odd_characters_in_the_prompt(api: Any) -> None:
    answer = api.generate(ODD, return_full_text=True)
    assert answer["generated_text"].startswith(ODD)
    for sent in ("half \ud83d", "\udc00"):
        text = json.dumps({"inputs": sent})
        for path in ("/generate", "/generate_stream", "/tokenize"):
            headers = {"content-type": "application/json"}
            response = api.client.post(path, content=text, headers=headers)
            assert response.status_code == 422
            assert "tokenizer error" in api.checked(path, {}, response)["error"]


SEEDED: list[dict[str, Any]] = [
    {},
    {"do_sample": True, "seed": 5},
    {"temperature": 3.0, "top_k": 50, "seed": 6, "repetition_penalty": 1.2},
    {"typical_p": 0.7, "seed": 7, "watermark": True, "truncate": 2},
    {"top_p": 0.7, "seed": 8, "grammar": {"type": "regex", "value": "[a-z]{3,15}"}},
    {"stop": ["e", "a"], "frequency_penalty": -1.0, "return_full_text": True},
]


@pytest.mark.parametrize("values", SEEDED)
def test_case_24_a_stream_is_the_whole_answer(api: Any, values: dict[str, Any]) -> None:
    whole = api.generate(**values, top_n_tokens=3)
    events = api.stream(**values, top_n_tokens=3)
    details = whole["details"]
    assert [event["token"] for event in events] == details["tokens"]
    assert [event["top_tokens"] for event in events] == details["top_tokens"]
    assert events[-1]["generated_text"] == whole["generated_text"]
    for name in ("finish_reason", "generated_tokens", "seed"):
        assert events[-1]["details"][name] == details[name]
    compatible = api.post(
        "/",
        {"inputs": "the quick", "parameters": {"max_new_tokens": 20, **values}, "stream": True},
    )
    assert [event["token"] for event in compatible] == details["tokens"]
