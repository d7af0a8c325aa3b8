"""Parameters and requests: types, bounds, sentences, and the order in which they are checked."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lockstitch.schemas.errors import ValidationError
from lockstitch.schemas.parameters import GenerateParameters, Limits
from lockstitch.schemas.request import GenerateRequest, check_request

CONTEXT = 100
NAMES = sorted(GenerateParameters.model_fields)
PREFIX = "Input validation error: "


def check(
    parameters: object, *, inputs: object = "x", stream: object = None, **limits: Any
) -> GenerateParameters:
    body = {"inputs": inputs, "parameters": parameters, "stream": stream}
    request = GenerateRequest.parse(body)
    check_request(request, Limits(**limits).for_context(CONTEXT))
    return request.parameters


def refusal(parameters: object, **options: Any) -> tuple[str | None, str]:
    with pytest.raises(ValidationError, match=f"^{PREFIX}") as caught:
        check(parameters, **options)
    assert (caught.value.status, caught.value.error_type) == (422, "validation")
    return caught.value.parameter, caught.value.message.removeprefix(PREFIX)


def test_the_field_names_are_those_of_the_contract_and_two_more() -> None:
    assert set(NAMES) - {"complete", "token_statistics"} == {
        "adapter_id",
        "best_of",
        "decoder_input_details",
        "details",
        "do_sample",
        "frequency_penalty",
        "grammar",
        "max_new_tokens",
        "repetition_penalty",
        "return_full_text",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_n_tokens",
        "top_p",
        "truncate",
        "typical_p",
        "watermark",
    }


def test_null_is_unset_everywhere() -> None:
    assert check(dict.fromkeys(NAMES)) == GenerateParameters()


def test_absent_parameters_sample_and_empty_ones_do_not() -> None:
    assert check(None).sampling
    assert GenerateRequest.parse({"inputs": "x"}).parameters.sampling
    assert not check({}).sampling
    assert not GenerateRequest(inputs="x").parameters.sampling


@pytest.mark.parametrize(
    ("values", "sampling"),
    [
        ({"temperature": 1.0}, False),
        ({"temperature": 0.5}, True),
        ({"top_k": 1}, True),
        ({"top_p": 0.9}, True),
        ({"typical_p": 0.9}, True),
        ({"do_sample": True}, True),
        ({"do_sample": False, "top_k": 3}, True),
        ({"repetition_penalty": 2, "frequency_penalty": 1, "watermark": True, "seed": 1}, False),
        ({"grammar": {"type": "text"}}, False),
    ],
)
def test_what_turns_sampling_on(values: dict[str, Any], sampling: bool) -> None:
    assert check(values).sampling is sampling


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"best_of": 3, "do_sample": True}, "best_of must be between 1 and 2, got 3"),
        ({"best_of": 0}, "best_of must be between 1 and 2, got 0"),
        (
            {"best_of": 2},
            "best_of needs sampling (set do_sample, temperature, top_k, top_p or typical_p)",
        ),
        ({"temperature": 0}, "temperature must be > 0"),
        ({"temperature": -1}, "temperature must be > 0"),
        ({"repetition_penalty": 0.0}, "repetition_penalty must be > 0"),
        ({"repetition_penalty": -0.5}, "repetition_penalty must be > 0"),
        ({"frequency_penalty": 2.1}, "frequency_penalty must lie in [-2, 2]"),
        ({"frequency_penalty": -2.1}, "frequency_penalty must lie in [-2, 2]"),
        ({"top_p": 0}, "top_p must lie in (0, 1)"),
        ({"top_p": 1.1}, "top_p must lie in (0, 1)"),
        ({"typical_p": 0}, "typical_p must lie in (0, 1)"),
        ({"typical_p": -1}, "typical_p must lie in (0, 1)"),
        ({"top_k": 0}, "top_k must be >= 1"),
        ({"top_k": -1}, "top_k must be >= 1"),
        ({"max_new_tokens": 0}, "max_new_tokens must be >= 1"),
        ({"max_new_tokens": -1}, "max_new_tokens must be >= 0"),
        ({"max_new_tokens": 2**32}, "max_new_tokens must be <= 4294967295"),
        ({"stop": list("abcde")}, "at most 4 stop sequences, got 5"),
        ({"stop": ["a", ""]}, "stop strings must not be empty"),
        ({"seed": 1, "do_sample": True, "best_of": 2}, "seed cannot be combined with best_of > 1"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"seed": 2**64}, "seed must be <= 18446744073709551615"),
        ({"top_n_tokens": 6}, "top_n_tokens must lie in [0, 5], got 6"),
        ({"truncate": 0}, "truncate must lie in [1, 99], got 0"),
        ({"truncate": 100}, "truncate must lie in [1, 99], got 100"),
        ({"adapter_id": "nope"}, "adapter nope is not loaded"),
    ],
    ids=str,
)
def test_values_out_of_bounds(values: dict[str, Any], sentence: str) -> None:
    assert refusal(values) == (next(iter(values)), sentence)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        *(({name: value}, "must be an integer")
          for name in ("best_of", "max_new_tokens", "seed", "top_k", "top_n_tokens", "truncate")
          for value in list[object](("1", 1.0, True, [1]))),
        *(({name: value}, "must be a number")
          for name in ("temperature", "top_p", "typical_p", "repetition_penalty",
                       "frequency_penalty")
          for value in list[object](("1", True, {}))),
        *(({name: value}, "must be true or false")
          for name in ("details", "do_sample", "watermark", "return_full_text",
                       "decoder_input_details")
          for value in (0, "true")),
        ({"adapter_id": 5}, "must be a string"),
        ({"stop": "word"}, "must be an array of strings"),
        ({"temperature": math.nan}, "must be a finite number"),
        ({"temperature": math.inf}, "must be a finite number"),
        ({"repetition_penalty": 1e39}, "must fit a 32-bit float"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_types_name_the_parameter(values: dict[str, Any], kind: str) -> None:
    (name,) = values
    assert refusal(values) == (name, f"{name} {kind}")


def test_a_wrong_member_is_named_by_its_place() -> None:
    assert refusal({"stop": ["a", 1]}) == ("stop", "stop.1 must be a string")


@pytest.mark.parametrize(
    "values",
    [
        {"top_p": 1.0, "typical_p": 1},
        {"top_p": 0.99999999},  # 1.0 as a 32-bit float
        {"seed": 0},
        {"seed": 2**64 - 1},
        {"top_k": 2**31 - 1},
        {"top_n_tokens": 0},
        {"top_n_tokens": 5},
        {"frequency_penalty": -2},
        {"temperature": 1e30},
        {"stop": list("abcd")},
        {"truncate": 99},
        {"adapter_id": ""},
        {"best_of": 2, "temperature": 1.0},
        {"best_of": 1, "seed": 3},
        {"unknown": ["anything"]},
    ],
    ids=str,
)
def test_values_at_their_bounds_pass(values: dict[str, Any]) -> None:
    check(values)


def test_floats_are_rounded_to_32_bits() -> None:
    assert check({"temperature": 0.1}).temperature == 0.10000000149011612
    assert refusal({"temperature": 1e-50}) == ("temperature", "temperature must be > 0")
    assert refusal({"top_p": 0.99999999}, accept_one=False)[1] == "top_p must lie in (0, 1)"


WRONG_IN_ORDER: list[tuple[str, dict[str, Any]]] = [
    ("temperature", {"temperature": 0}),
    ("repetition_penalty", {"repetition_penalty": 0}),
    ("frequency_penalty", {"frequency_penalty": 3}),
    ("top_p", {"top_p": 2}),
    ("typical_p", {"typical_p": 2}),
    ("top_k", {"top_k": 0}),
    ("max_new_tokens", {"max_new_tokens": 0}),
    ("stop", {"stop": list("abcde")}),
    ("top_n_tokens", {"top_n_tokens": 9}),
    ("inputs", {}),
]


@pytest.mark.parametrize("first", range(len(WRONG_IN_ORDER)))
@pytest.mark.parametrize("stream", [False, True])
def test_the_first_fault_in_the_order_is_reported(first: int, stream: bool) -> None:
    values = {"truncate": 0}
    for _, wrong in reversed(WRONG_IN_ORDER[first:]):  # the order of the keys must not matter
        values |= wrong
    assert refusal(values, inputs="", stream=stream)[0] == WRONG_IN_ORDER[first][0]


def test_best_of_and_streams() -> None:
    assert refusal({"best_of": 2}, max_best_of=1)[1] == "this server does not offer best_of"
    # A temperature that is present counts as sampling here, and is then refused itself.
    assert refusal({"best_of": 2, "temperature": 0})[1] == "temperature must be > 0"
    assert refusal({"best_of": 2}, stream=True)[1] == "best_of cannot be streamed"
    assert refusal({"best_of": 0}, stream=True)[1] == "best_of cannot be streamed"
    sentence = "decoder_input_details cannot be streamed"
    assert refusal({"decoder_input_details": True}, stream=True)[1] == sentence


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ([], None),
        ("x", None),
        ({}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": ["x"]}, "inputs"),
        ({"inputs": "x", "parameters": []}, "parameters"),
        ({"inputs": "x", "stream": "yes"}, "stream"),
    ],
    ids=str,
)
def test_bodies_of_the_wrong_shape(body: object, parameter: str | None) -> None:
    with pytest.raises(ValidationError, match=f"^{PREFIX}") as caught:
        GenerateRequest.parse(body)
    assert caught.value.parameter == parameter


def test_half_a_surrogate_pair_is_no_input() -> None:
    assert refusal({}, inputs="a\ud800")[0] == "inputs"


def test_unknown_names_are_refused_only_when_asked() -> None:
    with pytest.raises(ValidationError, match="there is no parameter max_tokens") as caught:
        GenerateParameters.parse({"max_tokens": 1}, strict_names=True)
    assert caught.value.parameter == "max_tokens"
    with pytest.raises(ValidationError, match="stop_sequences"):
        GenerateRequest.parse(
            {"inputs": "x", "parameters": {"stop_sequences": []}}, strict_names=True
        )


def test_parameters_cannot_be_changed() -> None:
    parameters = GenerateParameters.parse({"stop": ["a"]})
    assert parameters.stop == ("a",)
    with pytest.raises(ValueError, match="frozen"):
        parameters.top_k = 3


@pytest.mark.parametrize(
    "limits",
    [
        {"max_total_tokens": CONTEXT + 1},
        {"max_total_tokens": 1},
        {"max_total_tokens": 50, "max_input_tokens": 50},
        {"max_input_tokens": 0},
        {"max_batch_size": 0},
    ],
    ids=str,
)
def test_limits_must_fit_the_model(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Limits(**limits).for_context(CONTEXT)
    assert caught.value.parameter == list(limits)[-1]


def test_limits_follow_the_model() -> None:
    filled = Limits().for_context(CONTEXT)
    assert (filled.max_total_tokens, filled.max_input_tokens) == (100, 99)
    smaller = Limits(max_total_tokens=40).for_context(CONTEXT)
    assert (smaller.max_total_tokens, smaller.max_input_tokens) == (40, 39)
