"""Completion requests: prompts, refusals, what reaches the engine."""

from __future__ import annotations

from typing import Any

import pytest

from lockstitch.schemas.completions import CompletionRequest
from lockstitch.schemas.errors import BatchSizeError, SuffixError, ValidationError
from lockstitch.schemas.openai_parameters import OpenAiParameters
from lockstitch.schemas.request import GenerateRequest


def parse(prompt: object = "x", **fields: Any) -> CompletionRequest:
    return CompletionRequest.parse({"prompt": prompt, **fields})


def test_prompts() -> None:
    assert parse("a").prompts == ("a",)
    assert parse(["a", "b"]).prompts == ("a", "b")


def test_the_request_for_the_engine() -> None:
    request = parse(
        max_tokens=5,
        temperature=0,
        seed=1,
        stop="s",
        repetition_penalty=2,
        frequency_penalty=1,
        presence_penalty=0.5,
        logprobs=2,
        best_of=1,
        model="m",
    ).to_generate("a", stream=True)
    assert request == GenerateRequest(
        inputs="a",
        stream=True,
        parameters=OpenAiParameters(
            details=True,
            do_sample=False,
            max_new_tokens=5,
            seed=1,
            stop=("s",),
            repetition_penalty=2.0,
            count_penalty=1.0,
            presence_penalty=0.5,
            top_n_tokens=2,
        ),
    )
    assert parse().to_generate("a", stream=False).parameters.sampling


def test_null_is_unset_everywhere() -> None:
    names = set(CompletionRequest.model_fields) - {"prompt"}
    assert parse(**dict.fromkeys(names)) == parse()


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [["a"]]}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"echo": True}, "echo"),
        ({"best_of": 2}, "best_of"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"repetition_penalty": "a"}, "repetition_penalty"),
    ],
    ids=str,
)
def test_refusals_name_the_field(fields: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(**fields)
    assert caught.value.parameter == parameter
    assert parameter in caught.value.message


@pytest.mark.parametrize("suffix", ["", "end"])
def test_a_suffix_is_an_error_of_its_own(suffix: str) -> None:
    with pytest.raises(SuffixError) as caught:
        parse(suffix=suffix)
    assert (caught.value.status, caught.value.error_type) == (422, "suffix not supported")


def test_too_many_prompts_are_an_error_of_their_own() -> None:
    parse(["a"] * 4).check_batch()
    parse(["a"] * 5).check_batch(5)
    with pytest.raises(BatchSizeError, match="at most 4 prompts in one request, got 5") as caught:
        parse(["a"] * 5).check_batch()
    assert (caught.value.status, caught.value.error_type) == (422, "batch size exceeded")
