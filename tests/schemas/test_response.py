"""Responses on the wire: which keys are there, and that one line of ASCII holds everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lockstitch.schemas import wire_schema as wire_schema_module
from lockstitch.schemas.errors import GenerationError, InvalidGrammarError, OverloadedError
from lockstitch.schemas.response import (
    BestOfSequence,
    Details,
    GenerateResponse,
    PrefillToken,
    StreamDetails,
    StreamEvent,
    Token,
    error_body,
)
from lockstitch.schemas.wire_schema import wire_schema

HI = Token(id=5, text=" hi", logprob=-0.5, special=False)
END = Token(id=2, text="</s>", logprob=0.0, special=True)
SEQUENCE: dict[str, Any] = {
    "finish_reason": "eos_token",
    "generated_tokens": 2,
    "seed": None,
    "prefill": (PrefillToken(id=1, text="<s>", logprob=None),),
    "tokens": (HI, END),
}


def conforms(name: str, value: object) -> bool:
    schema = {**wire_schema(), "$ref": f"#/$defs/{name}"}
    Draft202012Validator.check_schema(schema)
    return bool(Draft202012Validator(schema).is_valid(value))


def test_a_response_without_details_has_one_key() -> None:
    assert GenerateResponse(generated_text=" hi").to_dict() == {"generated_text": " hi"}


def test_details_have_exactly_the_keys_that_were_asked_for() -> None:
    response = GenerateResponse(
        generated_text=" hi", details=Details(**SEQUENCE, forced_tokens=1)
    ).to_dict()
    assert response == {
        "generated_text": " hi",
        "details": {
            "finish_reason": "eos_token",
            "generated_tokens": 2,
            "seed": None,
            "prefill": [{"id": 1, "text": "<s>", "logprob": None}],
            "tokens": [
                {"id": 5, "text": " hi", "logprob": -0.5, "special": False},
                {"id": 2, "text": "</s>", "logprob": 0.0, "special": True},
            ],
        },
    }
    assert conforms("GenerateResponse", response)


def test_details_with_everything() -> None:
    other = BestOfSequence(**SEQUENCE, generated_text="x", top_tokens=((HI,), (END,)))
    details = Details(**SEQUENCE, top_tokens=((HI, END), ()), best_of_sequences=(other,))
    response = GenerateResponse(generated_text="", details=details).to_dict()
    assert list(map(len, response["details"]["top_tokens"])) == [2, 0]
    (sequence,) = response["details"]["best_of_sequences"]
    assert sequence["generated_text"] == "x"
    assert len(sequence["top_tokens"]) == 2
    assert conforms("GenerateResponse", response)


def test_events() -> None:
    first = StreamEvent(index=1, token=HI).to_dict()
    assert first == {
        "index": 1,
        "token": HI.to_dict(),
        "generated_text": None,
        "details": None,
    }
    last = StreamEvent(
        index=2,
        token=END,
        top_tokens=(END,),
        generated_text=" hi",
        details=StreamDetails(
            finish_reason="length", generated_tokens=2, seed=2**64 - 1, input_length=7
        ),
    ).to_dict()
    assert last["top_tokens"] == [END.to_dict()]
    assert last["details"] == {
        "finish_reason": "length",
        "generated_tokens": 2,
        "seed": 18446744073709551615,
        "input_length": 7,
    }
    assert conforms("StreamEvent", first)
    assert conforms("StreamEvent", last)


@pytest.mark.parametrize("text", ["\u2028\u2029\x85", "\n\r\x0b\x0c\x1c", "🐲", '"\\', "\x00"])
def test_json_is_one_ascii_line(text: str) -> None:
    event = StreamEvent(index=1, token=Token(id=1, text=text, logprob=-1.0, special=False))
    line = event.to_json()
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["token"]["text"] == text


def test_errors_on_the_wire() -> None:
    grammar = error_body(InvalidGrammarError("no schema", pointer="/a"))
    assert grammar == {
        "error": "Input validation error: grammar at /a: no schema",
        "error_type": "validation",
    }
    assert error_body(OverloadedError("full")) == {"error": "full", "error_type": "overloaded"}
    assert error_body(GenerationError("x"))["error_type"] == "generation"
    assert conforms("Error", grammar)


def test_the_golden_schema_is_current() -> None:
    golden = Path(wire_schema_module.__file__).with_name("text_generation.json")
    assert json.loads(golden.read_text()) == wire_schema(), (
        "the wire contract changed; if that is meant, write wire_schema() to this file"
    )


@pytest.mark.parametrize(
    ("parameters", "valid"),
    [
        (None, True),
        ({}, True),
        ({"top_k": None, "stop": None, "grammar": None}, True),
        ({"top_k": 0}, False),
        ({"top_k": 1.5}, False),
        ({"temperature": 0}, False),
        ({"top_p": 1}, True),
        ({"seed": 2**64}, False),
        ({"stop": [""]}, False),
        ({"grammar": {"type": "regex", "value": "a"}}, True),
        ({"grammar": {"type": "regex"}}, False),
        ({"grammar": {"type": "json", "value": "{}"}}, True),
        ({"grammar": {"type": "json", "value": 3}}, False),
        ({"grammar": {"type": "json_object"}}, True),
        ({"grammar": {"type": "json_schema", "json_schema": {"schema": {}}}}, True),
        ({"grammar": {"type": "json_schema", "value": {}}}, False),
    ],
    ids=str,
)
def test_the_schema_of_a_request(parameters: object, valid: bool) -> None:
    body = {"inputs": "x", "parameters": parameters, "stream": None}
    assert conforms("GenerateRequest", body) is valid
