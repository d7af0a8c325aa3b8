"""The conformance cases of the text-generation specification, by their numbers.

What asks for a client library is in the tests of that client; limits and statuses are in
`test_wire.py`. Tokens and texts of a random model mean nothing, so structure and self-consistency
are asserted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = {
    "$id": "https://example.com/person.schema.json",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Person",
    "type": "object",
    "properties": {
        "first": {"type": "string", "maxLength": 6},
        "last": {"type": "string", "maxLength": 6},
        "hobby": {"enum": ["chess", "cheese"]},
        "numCats": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["first", "last", "hobby", "numCats"],
}
ADDRESS = r"((25[0-5]|2[0-4]\d|[01]?\d\d?)\.){3}(25[0-5]|2[0-4]\d|[01]?\d\d?)"


@pytest.fixture(scope="module")
def http(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, timeout=60) as client:
        yield client


@pytest.fixture
def ask(http: httpx.Client) -> Any:
    """Return what asks for text and gives the generation object, with details."""

    def asked(inputs: str = "the quick brown", **parameters: Any) -> dict[str, Any]:
        body = {"inputs": inputs, "parameters": {"details": True, **parameters}}
        answer = http.post("/generate", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        details = found["details"]
        assert details["generated_tokens"] == len(details["tokens"])
        assert len(details.get("top_tokens", details["tokens"])) == len(details["tokens"])
        if details["finish_reason"] == "length" and "max_new_tokens" in parameters:
            assert details["generated_tokens"] == parameters["max_new_tokens"]
        return found

    return asked


def ids(found: dict[str, Any]) -> list[int]:
    return [token["id"] for token in found["details"]["tokens"]]


def test_case_01_greedy_with_the_prompt(ask: Any, http: httpx.Client) -> None:
    details = ask(max_new_tokens=10, decoder_input_details=True)["details"]
    assert (details["finish_reason"], details["seed"]) == ("length", None)
    prompt = http.post("/tokenize", json={"inputs": "the quick brown"}).json()
    assert [t["id"] for t in details["prefill"]] == [t["id"] for t in prompt]
    first, *others = details["prefill"]
    assert first["logprob"] is None
    assert all(token["logprob"] <= 0 for token in others)


def test_case_02_all_parameters(ask: Any) -> None:
    prompt = "the quick brown fox jumps over the lazy dog"
    found = ask(
        prompt, max_new_tokens=10, repetition_penalty=1.2, return_full_text=True, stop=["test"],
        temperature=0.5, top_p=0.9, top_k=10, truncate=5, typical_p=0.9, watermark=True,
        decoder_input_details=True, seed=0,
    )  # fmt: skip
    assert found["details"]["seed"] == 0
    assert found["generated_text"].startswith(prompt)
    assert len(found["details"]["prefill"]) == 5
    assert found["details"]["generated_tokens"] <= 10


def test_case_03_load(ask: Any) -> None:
    alone = ids(ask(max_new_tokens=12))
    others: list[dict[str, Any]] = [
        {},
        {"grammar": {"type": "json", "value": SCHEMA}},
        {"repetition_penalty": 1.5},
        {"do_sample": True, "seed": 5},
    ] * 2
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(ask, max_new_tokens=12, **values) for values in others]
        assert ids(found[0].result()) == ids(found[4].result()) == alone
        for index in range(1, 4):
            assert ids(found[index].result()) == ids(found[index + 4].result())


def test_case_04_seeds_repeat(ask: Any) -> None:
    assert ids(ask(top_p=0.9, seed=0)) == ids(ask(top_p=0.9, seed=0))


def test_case_05_best_of(ask: Any) -> None:
    details = ask(best_of=2, do_sample=True, max_new_tokens=6)["details"]
    (other,) = details["best_of_sequences"]
    assert details["seed"] is not None
    assert other["seed"] not in (None, details["seed"])

    def mean(sequence: dict[str, Any]) -> float:
        logprobs: list[float] = [token["logprob"] for token in sequence["tokens"]]
        return sum(logprobs) / len(logprobs)

    assert mean(details) >= mean(other)


@pytest.mark.parametrize("length", [1, 3, 7])
def test_case_06_stop_words(ask: Any, length: int) -> None:
    text = ask(max_new_tokens=20)["generated_text"].replace("\ufffd", "")
    whole = ask(max_new_tokens=20)["generated_text"]
    word = whole[5 : 5 + length]
    found = ask(max_new_tokens=20, stop=[word, "<|never|>", "(.*"])
    assert text
    assert found["details"]["finish_reason"] == "stop_sequence"
    assert found["generated_text"] == whole[: whole.index(word) + length]


def test_case_07_stop_units(ask: Any) -> None:
    for text, stop, expected in (
        ("a/test;b", "/test;", "a/test;"),
        ("a/test", "/test;", "a/test"),
        ("a/test; b", "/test;", "a/test;"),
    ):
        found = ask(grammar={"type": "regex", "value": re.escape(text)}, stop=[stop])
        assert found["generated_text"] == expected


def test_case_08_what_ends_a_text(ask: Any) -> None:
    assert ask(max_new_tokens=5)["details"]["finish_reason"] == "length"
    grammar = {"type": "regex", "value": "ab"}
    whole = ask(grammar=grammar)["details"]
    assert whole["finish_reason"] == "eos_token"
    assert whole["tokens"][-1]["special"]
    count = whole["generated_tokens"]
    last = ask(grammar=grammar, max_new_tokens=count)["details"]
    assert last["finish_reason"] == "length"  # the end token is the last that is allowed
    stopped = ask(grammar=grammar, stop=["b"], max_new_tokens=count - 1)["details"]
    assert stopped["finish_reason"] == "length"
    assert ask(grammar=grammar, stop=["b"])["details"]["finish_reason"] == "stop_sequence"


def test_case_09_top_tokens(ask: Any) -> None:
    found = ask(max_new_tokens=5, top_n_tokens=3)["details"]
    for token, top in zip(found["tokens"], found["top_tokens"], strict=True):
        assert len(top) >= 3
        assert top[0]["id"] == token["id"]
        assert [t["logprob"] for t in top] == sorted((t["logprob"] for t in top), reverse=True)
    few = ask(grammar={"type": "regex", "value": "[ab]c"}, top_n_tokens=5)["details"]
    assert [len(top) <= 2 for top in few["top_tokens"]] == [True] * len(few["tokens"])
    assert all(t["logprob"] > -1e30 for top in few["top_tokens"] for t in top)


def test_case_11_what_turns_sampling_on(ask: Any) -> None:
    for values in ({"temperature": 0.9}, {"top_k": 5}, {"top_p": 0.5}, {"typical_p": 0.5}):
        assert ask(max_new_tokens=1, **values)["details"]["seed"] is not None
    assert ask(max_new_tokens=1, temperature=1.0, seed=4)["details"]["seed"] is None


def test_case_12_without_parameters_it_samples(http: httpx.Client) -> None:
    def text(**more: Any) -> str:
        return str(http.post("/", json={"inputs": "the", **more}).json()[0]["generated_text"])

    assert len({text() for _ in range(3)}) > 1
    assert text(parameters={}) == text(parameters={})


def test_case_13_logprobs_are_consistent(ask: Any) -> None:
    details = ask(
        grammar={"type": "regex", "value": "[ab]{3}"}, top_n_tokens=5, do_sample=True, seed=1
    )["details"]
    for top in details["top_tokens"]:
        if len(top) < 5:
            assert math.log(sum(math.exp(t["logprob"]) for t in top)) == pytest.approx(0, abs=1e-5)
    assert details["tokens"][-1]["logprob"] == 0.0


def test_case_19_one_token_is_one_event(http: httpx.Client) -> None:
    body = {"inputs": "x", "parameters": {"max_new_tokens": 1, "details": True}}
    (line,) = http.post("/generate_stream", json=body).text.split("\n\n")[:-1]
    event = json.loads(line[6:])
    assert event["generated_text"] is not None
    assert event["details"]["generated_tokens"] == 1


def test_case_21_and_24_a_stream_is_the_whole(ask: Any, http: httpx.Client) -> None:
    for values in ({"seed": 3, "do_sample": True}, {"grammar": {"type": "json", "value": SCHEMA}}):
        parameters = {"max_new_tokens": 60, "details": True, "top_n_tokens": 2, **values}
        whole = ask(**parameters)
        body = {"inputs": "the quick brown", "parameters": parameters}
        lines = http.post("/generate_stream", json=body).text.split("\n\n")[:-1]
        events = [json.loads(line[6:]) for line in lines]
        assert [event["index"] for event in events] == list(range(1, len(events) + 1))
        assert [event["token"]["id"] for event in events] == ids(whole)
        said = "".join(e["token"]["text"] for e in events if not e["token"]["special"])
        assert whole["generated_text"] in (said, said.rstrip("\ufffd"))
        assert events[-1]["generated_text"] == whole["generated_text"]


def test_case_25_an_address(ask: Any) -> None:
    grammar = {"type": "regex", "value": ADDRESS}
    cut = ask(grammar=grammar, max_new_tokens=3, seed=0)
    assert re.fullmatch(r"[\d.]+", cut["generated_text"])
    whole = ask(grammar=grammar, seed=0)
    assert re.fullmatch(ADDRESS, whole["generated_text"])
    assert whole["details"]["finish_reason"] == "eos_token"


def test_case_26_a_person_as_a_string_of_json(ask: Any) -> None:
    found = ask(grammar={"type": "json", "value": json.dumps(SCHEMA)}, max_new_tokens=300)
    details = found["details"]
    if details["finish_reason"] == "eos_token":
        Draft202012Validator(SCHEMA).validate(json.loads(found["generated_text"]))
        assert details["tokens"][-1]["special"]
    assert details["seed"] is None


def test_case_27_mail_with_a_stop(ask: Any) -> None:
    asked = {"grammar": {"type": "regex", "value": r"[a-z]{3}@[a-z]{2}\.com[a-z]*"}}
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(ask, stop=[".com"], **asked) for _ in range(4)]
        texts = {future.result()["generated_text"] for future in found}
    (text,) = texts
    assert text.endswith(".com")


def test_case_28_bounds_and_no_type(ask: Any) -> None:
    schema = {
        "properties": {
            "location": {"type": "string", "maxLength": 4},
            "stars": {"type": "integer", "minimum": 1, "maximum": 5},
            "tags": {"type": "array", "maxItems": 2, "items": {"enum": ["a", "b"]}},
        },
        "required": ["location", "stars", "tags"],
        "type": "object",
        "additionalProperties": False,
    }
    found = ask(grammar={"type": "json", "value": schema}, max_new_tokens=300)
    assert found["details"]["finish_reason"] == "eos_token"
    Draft202012Validator(schema).validate(json.loads(found["generated_text"]))


def test_case_30_unknown_keywords_allow_all(ask: Any) -> None:
    grammar = {"type": "json", "value": {"abc": "def"}}
    found = ask(grammar=grammar, complete=True, max_new_tokens=20, do_sample=True, seed=3)
    json.loads(found["generated_text"])


def test_case_32_long_texts_stay_in_their_grammar(ask: Any) -> None:
    grammar = {"type": "regex", "value": "(ab|cd){700}"}
    found = ask(grammar=grammar, max_new_tokens=1500)
    assert re.fullmatch("(ab|cd){700}", found["generated_text"])
    cut = ask(grammar=grammar, max_new_tokens=77)
    assert cut["details"]["generated_tokens"] == 77


@pytest.mark.parametrize(
    "values",
    [
        {"best_of": 2, "do_sample": True},
        {"top_n_tokens": 5},
        {"watermark": True},
        {"repetition_penalty": 1.5},
        {"frequency_penalty": -2.0},
        {"temperature": 0.1},
        {"temperature": 5.0},
        {"top_k": 1},
        {"top_p": 0.01},
        {"typical_p": 0.01},
        {"truncate": 2},
        {"complete": True, "max_new_tokens": 60},
    ],
)
def test_case_33_a_grammar_with_everything(ask: Any, values: dict[str, Any]) -> None:
    found = ask(**{"grammar": {"type": "json", "value": SCHEMA}, "max_new_tokens": 200, **values})
    if found["details"]["finish_reason"] == "eos_token" or "complete" in values:
        Draft202012Validator(SCHEMA).validate(json.loads(found["generated_text"]))


def test_case_34_a_bad_regex_harms_nobody(ask: Any, http: httpx.Client) -> None:
    bad = {"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": "[a"}}}
    with ThreadPoolExecutor(4) as pool:
        good = [pool.submit(ask, max_new_tokens=20) for _ in range(2)]
        refused = [pool.submit(http.post, "/generate", json=bad) for _ in range(2)]
        assert ids(good[0].result()) == ids(good[1].result())
        assert [answer.result().status_code for answer in refused] == [422, 422]


def test_case_35_and_36_response_formats(http: httpx.Client) -> None:
    said = set()
    for response_format in (
        {"type": "json_object", "value": SCHEMA},
        {"type": "json", "value": SCHEMA},
        {"type": "json_schema", "value": {"name": "p", "strict": True, "schema": SCHEMA}},
    ):
        body = {
            "messages": [{"role": "user", "content": "hi"}],
            "temperature": 0,
            "max_tokens": 400,
            "response_format": response_format,
        }
        choice = http.post("/v1/chat/completions", json=body).json()["choices"][0]
        said.add((choice["message"]["content"], choice["finish_reason"]))
        both = http.post("/v1/chat/completions", json={**body, "tools": []})
        assert both.status_code == 422
        assert both.json()["error_type"] == "tool_error"
    assert len(said) == 1


def test_case_42_an_answer_is_continued(http: httpx.Client) -> None:
    begun = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    text = http.post("/chat_tokenize", json=begun).json()["templated_text"]
    assert text.endswith("b")
