"""The client of text-generation-inference, and plain curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

tgi: Any = pytest.importorskip("text_generation", reason="pip install --no-deps text-generation")
errors: Any = pytest.importorskip("text_generation.errors", reason="the same")
types: Any = pytest.importorskip("text_generation.types", reason="the same")

pytestmark = pytest.mark.filterwarnings("ignore:The `dict` method:DeprecationWarning")
curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


@pytest.fixture
def client(base_url: str) -> Any:
    return tgi.Client(base_url)


def test_its_plain_request(client: Any) -> None:
    answer = client.generate("the quick", max_new_tokens=10, decoder_input_details=True)
    assert answer.details.generated_tokens == 10
    assert answer.details.seed is None
    assert answer.details.prefill[0].logprob is None


def test_its_full_request(client: Any) -> None:
    answer = client.generate(
        "the quick brown fox jumps over the lazy dog",
        best_of=2,
        do_sample=True,
        max_new_tokens=10,
        repetition_penalty=1.2,
        return_full_text=True,
        stop_sequences=["zz"],
        temperature=0.5,
        top_p=0.9,
        top_k=10,
        truncate=5,
        typical_p=0.9,
        watermark=True,
        decoder_input_details=True,
        top_n_tokens=2,
    )
    assert answer.generated_text.startswith("the quick brown fox jumps over the lazy dog")
    assert len(answer.details.prefill) == 5
    assert len(answer.details.best_of_sequences) == 1
    assert answer.details.best_of_sequences[0].seed is not None


def test_its_grammar(client: Any) -> None:
    grammar = types.Grammar(type=types.GrammarType.Regex, value="[0-9]{4}")
    answer = client.generate("x", grammar=grammar, max_new_tokens=10)
    assert len(answer.generated_text) == 4
    assert answer.generated_text.isdigit()


def test_its_stream(client: Any) -> None:
    events = list(client.generate_stream("the quick", max_new_tokens=6))
    assert len(events) == 6
    assert events[-1].generated_text == "".join(e.token.text for e in events)
    assert events[-1].details.finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_its_errors(client: Any, stream: bool) -> None:
    ask = client.generate_stream if stream else client.generate
    with pytest.raises(errors.ValidationError, match="exceed"):
        list(ask("x", max_new_tokens=10_000))


def curled(url: str, body: object, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["curl", "-sS", "-i", url, *options, "-d", json.dumps(body)]
    command += ["-H", "content-type: application/json"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


@curl
def test_curl(base_url: str) -> None:
    body = {"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": "ab"}}}
    head, _, text = curled(base_url + "/generate", body).stdout.partition("\n\n")
    assert " 200 " in head.splitlines()[0]
    assert json.loads(text) == {"generated_text": "ab"}


@curl
def test_curl_reads_a_stream(base_url: str) -> None:
    body = {"inputs": "x", "parameters": {"max_new_tokens": 3, "details": True}}
    head, _, text = curled(base_url + "/generate_stream", body, "-N").stdout.partition("\n\n")
    assert "content-type: text/event-stream\n" in head
    events = [line for line in text.split("\n\n") if line]
    assert len(events) == 3
    assert all(event.startswith("data: {") for event in events)


@curl
def test_curl_without_parameters_samples(base_url: str) -> None:
    found = set()
    for _ in range(4):
        text = curled(base_url + "/", {"inputs": "the"}, "--max-time", "30").stdout
        found.add(text.partition("\n\n")[2])
    assert len(found) > 1
