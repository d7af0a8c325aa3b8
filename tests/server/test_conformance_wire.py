"""Conformance cases 14, 23 and 43 to 45: adapters, silence in streams, what clients read.

The last test is the list: every case of the specification has a test that bears its number.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract import Watched
from tiny import tiny_adapters, tiny_engine

from lockstitch.engine.async_engine import AsyncEngine
from lockstitch.engine.server.sse import KEEP_ALIVE, event_response

SAY = [{"role": "user", "content": "hi"}]
CASES = range(1, 46)


@pytest.fixture(scope="module")
def http(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, timeout=60) as client:
        yield client


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_case_14_adapters(tmp_path: Path, open_api: Any) -> None:
    pytest.importorskip("peft", reason="adapters need the extra lora")
    engine = AsyncEngine(tiny_engine(adapters=tiny_adapters(tmp_path)))
    with open_api(engine) as api:
        texts = {
            name: api.generate(adapter_id=name)["generated_text"]
            for name in (None, "", "first", "second")
        }
        assert texts[None] == texts[""] == api.generate()["generated_text"]
        assert len({texts[None], texts["first"], texts["second"]}) == 3
        assert "adapter third is not loaded" in api.refused(adapter_id="third")
        (chosen,) = api.chat(model="first", temperature=0)["choices"]
        assert chosen != api.chat(model="model", temperature=0)["choices"][0]


def test_case_23_silence_is_filled() -> None:
    async def frames() -> list[bytes]:
        gate = asyncio.Event()

        async def slow() -> AsyncGenerator[str]:
            await gate.wait()
            yield "{}"

        found = []
        async for frame in event_response(slow(), 0.001, {}).body_iterator:
            assert isinstance(frame, bytes)
            found.append(frame)
            if len(found) == 3:
                gate.set()
        return found

    *silence, event = asyncio.run(frames())
    assert len(silence) >= 3
    assert set(silence) == {KEEP_ALIVE}
    assert event == b"data: {}\n\n"


def test_case_43_fields_as_openai_sends_them(api: Any) -> None:
    whole = api.chat(temperature=0)["choices"][0]["message"]["content"]
    stop = whole[2:4]
    for form in (stop, [stop]):
        said = api.chat(temperature=0, stop=form)["choices"][0]
        assert said["message"]["content"] == whole[: whole.index(stop) + len(stop)]
        assert said["finish_reason"] == "stop"
    assert api.chat(temperature=0, logit_bias={})["choices"][0]["message"]["content"] == whole
    assert api.chat(temperature=0, logit_bias=[])["choices"][0]["message"]["content"] == whole


def test_case_44_the_type_of_an_error_wins_over_its_status() -> None:
    errors = pytest.importorskip("text_generation.errors", reason="needs text-generation")
    parse = errors.parse_error
    for kind, expected in (
        ("generation", errors.GenerationError),
        ("incomplete_generation", errors.IncompleteGenerationError),
        ("overloaded", errors.OverloadedError),
        ("validation", errors.ValidationError),
    ):
        for status in (400, 403, 404, 422, 424, 429, 504):
            told = parse(status, {"error": "x", "error_type": kind})
            assert type(told) is expected
    by_status = {400: errors.BadRequestError, 404: errors.NotFoundError,
                 424: errors.ShardNotReadyError, 429: errors.RateLimitExceededError}  # fmt: skip
    for status, expected in by_status.items():
        assert type(parse(status, {"error": "x"})) is expected


def test_case_45_health(http: httpx.Client) -> None:
    for path in ("/health", "/ping", "/"):
        answer = http.get(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_case_45_models(http: httpx.Client) -> None:
    found = http.get("/v1/models").json()
    assert found["object"] == "list"
    (model,) = found["data"]
    assert model.keys() == {"id", "object", "created", "owned_by"}
    assert (model["object"], model["owned_by"]) == ("model", model["id"])


def test_case_45_chat_tokenize(http: httpx.Client) -> None:
    found = http.post("/chat_tokenize", json={"messages": SAY}).json()
    assert found.keys() == {"tokenize_response", "templated_text"}
    assert all(t.keys() == {"id", "text", "start", "stop"} for t in found["tokenize_response"])


def test_case_45_names_of_metrics(http: httpx.Client) -> None:
    text = http.get("/metrics").text
    for name in ("duration", "validation_duration", "queue_duration", "inference_duration",
                 "mean_time_per_token_duration", "generated_tokens", "input_length",
                 "max_new_tokens", "skipped_tokens"):  # fmt: skip
        assert f"# TYPE tgi_request_{name} histogram" in text
    assert "# TYPE tgi_queue_size gauge" in text


def test_json_of_the_answers_is_plain(http: httpx.Client) -> None:
    """Numbers that are not finite are no JSON; they are null."""
    body = {"inputs": "x", "parameters": {"details": True, "top_n_tokens": 5,
            "grammar": {"type": "regex", "value": "a"}}}  # fmt: skip

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(http.post("/generate", json=body).text, parse_constant=refuse)
    assert found["details"]["tokens"][0]["logprob"] is not None


def test_every_case_has_a_test() -> None:
    """Names are `test_case_38_...`; one test may stand for several (`case_21_and_24`)."""
    text = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    names = re.findall(r"^def test_case_((?:\d\d_(?:and_|to_)?)+)", text, re.MULTILINE)
    assert {int(n) for name in names for n in re.findall(r"\d+", name)} == set(CASES)


def test_a_wrong_answer_is_seen() -> None:
    async def wrong(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"text": 1}'})

    async def nothing(message: Any = None) -> None: ...

    watched = Watched(wrong)
    scope = {"type": "http", "method": "POST", "path": "/generate"}
    asyncio.run(watched(scope, nothing, nothing))
    assert watched.seen == 1
    assert "generated_text" in watched.faults[0]
