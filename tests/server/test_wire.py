"""The bytes on the wire: statuses, errors, headers, events, and what routes tell of themselves."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from contract import CONTRACT, matches
from loopback import serving
from tiny import tiny_engine

from lockstitch.engine.async_engine import AsyncEngine
from lockstitch.engine.server.settings import Settings
from lockstitch.schemas.parameters import Limits

KEY = {"authorization": "Bearer Secret"}
CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
PROTECTED = {
    "/": {"inputs": "x", "parameters": {"max_new_tokens": 1}},
    "/v1": {"inputs": "x", "parameters": {"max_new_tokens": 1}},
    "/generate": {"inputs": "x", "parameters": {"max_new_tokens": 1}},
    "/generate_stream": {"inputs": "x", "parameters": {"max_new_tokens": 1}},
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"prompt": "x", "max_tokens": 1},
    "/tokenize": {"inputs": "x"},
    "/invocations": {"inputs": "x", "parameters": {"max_new_tokens": 1}},
    "/vertex": {"instances": [{"inputs": "x", "parameters": {"max_new_tokens": 1}}]},
}


@pytest.fixture(scope="module")
def http(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    """A server with a key, small limits and the old default of `POST /`."""
    engine = AsyncEngine(
        tiny_engine(context=8192, limits=Limits(max_best_of=1, accept_one=False)),
        max_concurrent_requests=2,
    )
    settings = Settings(
        api_key="secret",
        payload_limit=2000,
        max_concurrent_requests=2,
        full_text_default=True,
        strict_parameters=True,
    )
    with serving(engine, settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("path", PROTECTED)
def test_the_key_is_asked_for(guarded: httpx.Client, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Secret"}):
        answer = guarded.post(path, json=PROTECTED[path], headers=headers)
        assert (answer.status_code, answer.content) == (401, b"")
    assert guarded.post(path, json=PROTECTED[path], headers=KEY).status_code == 200


def test_the_other_routes_need_no_key(guarded: httpx.Client) -> None:
    for path in ("/", "/health", "/ping", "/info", "/metrics", "/v1/models", "/docs"):
        assert guarded.get(path).status_code == 200
    assert guarded.post("/chat_tokenize", json=CHAT).status_code == 200


@pytest.mark.parametrize("path", ["/generate", "/", "/v1/chat/completions"])
def test_bodies_that_are_not_read(guarded: httpx.Client, path: str) -> None:
    def status(**what: Any) -> int:
        answer = guarded.post(path, **what)
        body = answer.json()
        matches("OpenAiError" if path.startswith("/v1") else "Error", body)
        assert body["error_type"] == "validation"
        return answer.status_code

    json_type = {**KEY, "content-type": "application/json"}
    assert status(content=b"{", headers=json_type) == 400
    assert status(content=b'{"inputs": NaN}', headers=json_type) == 400
    assert status(content=b"\xff", headers=json_type) == 400
    assert status(content=b"[" * 1900, headers=json_type) == 400
    assert status(content=b"{}", headers={**KEY, "content-type": "text/plain"}) == 415
    assert status(content=b"x" * 3000, headers=json_type) == 413
    assert status(content=iter([b"x" * 1500] * 2), headers=json_type) == 413  # no content-length
    assert status(json=[], headers=KEY) == 422
    vendor = {**KEY, "content-type": "application/vnd.x+json; charset=utf-8"}
    assert guarded.post(path, content=json.dumps(PROTECTED[path]), headers=vendor).is_success


def test_routes_that_are_not_there(http: httpx.Client) -> None:
    for method, path, status in (("POST", "/nope", 404), ("GET", "/generate", 405)):
        answer = http.request(method, path)
        assert answer.status_code == status
        matches("Error", answer.json())


def test_server_switches(guarded: httpx.Client) -> None:
    def ask(path: str = "/generate", **parameters: Any) -> httpx.Response:
        body = {"inputs": "abc", "parameters": {"max_new_tokens": 1, **parameters}}
        return guarded.post(path, json=body, headers=KEY)

    assert ask("/").json()[0]["generated_text"].startswith("abc")
    assert not ask("/", return_full_text=False).json()[0]["generated_text"].startswith("abc")
    assert not ask().json()["generated_text"].startswith("abc")
    for refused, words in (
        ({"top_p": 1.0}, "top_p must lie in"),
        ({"best_of": 2, "do_sample": True}, "does not offer best_of"),
        ({"stop_sequences": ["a"]}, "there is no parameter stop_sequences"),
    ):
        answer = ask(**refused)
        assert answer.status_code == 422
        assert words in answer.json()["error"]


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_overload_is_answered_at_once(guarded: httpx.Client, path: str) -> None:
    long = {"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": "[a-z]{40000}"}}}
    with guarded.stream("POST", "/generate_stream", json=long, headers=KEY) as first:
        reading = first.iter_lines()  # closes the connection when it is dropped
        next(reading)
        with guarded.stream("POST", "/generate_stream", json=long, headers=KEY) as second:
            reading_too = second.iter_lines()
            next(reading_too)
            answer = guarded.post(path, json=PROTECTED[path], headers=KEY)
            assert answer.status_code == 429
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == {"error": "Model is overloaded", "error_type": "overloaded"}
    deadline = time.monotonic() + 20  # both clients have gone, so both rows come free
    while (answer := guarded.post(path, json=PROTECTED[path], headers=KEY)).status_code == 429:
        assert time.monotonic() < deadline
    assert answer.status_code == 200


def test_case_45_headers(http: httpx.Client) -> None:
    body = {"inputs": "the 🐲", "parameters": {"max_new_tokens": 4}}
    answer = http.post("/generate", json=body, headers={"x-request-id": "mine"})
    headers = answer.headers
    assert headers["x-request-id"] == "mine"
    assert headers["x-compute-type"] == "cpu"
    assert headers["x-compute-characters"] == "5"
    assert headers["x-generated-tokens"] == "4"
    assert float(headers["x-compute-time"]) > 0
    for name in ("total", "validation", "queue", "inference"):
        assert re.fullmatch(r"\d+", headers[f"x-{name}-time"])
    assert re.fullmatch(r"\d+", headers["x-time-per-token"])
    assert int(headers["x-prompt-tokens"]) == len(http.post("/tokenize", json=body).json())
    stream = http.post("/generate_stream", json=body)
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-cache"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.headers["x-compute-characters"] == "5"
    assert "x-generated-tokens" not in stream.headers
    both = http.post("/v1/completions", json={"prompt": ["a", "b"], "max_tokens": 3})
    assert both.headers["x-generated-tokens"] == "6"
    assert "x-compute-time" not in both.headers


def test_any_origin_may_ask(http: httpx.Client) -> None:
    asked = {"origin": "http://a.b", "access-control-request-method": "POST"}
    answer = http.options(
        "/generate", headers={**asked, "access-control-request-headers": "content-type"}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]


def test_frames(http: httpx.Client) -> None:
    body = {
        "inputs": "x",
        "parameters": {
            "grammar": {"type": "regex", "value": "ab"},
            "details": True,
            "top_n_tokens": 1,
        },
    }
    text = http.post("/generate_stream", json=body).text
    *frames, rest = text.split("\n\n")
    assert rest == ""
    events = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    assert frames == ["data: " + json.dumps(e, separators=(",", ":")) for e in events]
    for event in events:
        matches("StreamEvent", event)
        assert list(event) == ["index", "token", "top_tokens", "generated_text", "details"]
    assert [event["index"] for event in events] == list(range(1, len(events) + 1))
    assert all(event["details"] is event["generated_text"] is None for event in events[:-1])
    assert events[-1]["token"]["special"]
    assert events[-1]["generated_text"] == "ab"
    assert list(events[-1]["details"]) == [
        "finish_reason",
        "generated_tokens",
        "seed",
        "input_length",
    ]


def test_chat_frames(http: httpx.Client) -> None:
    asked = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    *frames, done, rest = http.post("/v1/chat/completions", json=asked).text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    for chunk in chunks:
        matches("ChatChunk", chunk)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 3
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"


def test_line_ends_of_unicode_are_escaped(http: httpx.Client) -> None:
    grammar = {"type": "regex", "value": "a\u2028b\u0085c\u2029🐲"}
    body = {"inputs": "x", "parameters": {"grammar": grammar}}
    text = http.post("/generate_stream", json=body).text
    assert text.isascii()
    events = [json.loads(line[6:]) for line in text.splitlines() if line]
    assert events[-1]["generated_text"] == grammar["value"]
    assert (
        "".join(e["token"]["text"] for e in events if not e["token"]["special"])
        == (grammar["value"])
    )


def test_a_refused_stream_is_no_stream(http: httpx.Client) -> None:
    for path, body in (
        ("/generate_stream", {"inputs": "x", "parameters": {"temperature": 0}}),
        ("/", {"inputs": "x", "stream": True, "parameters": {"best_of": 2}}),
    ):
        answer = http.post(path, json=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/json"
        matches("Error", answer.json())


def test_case_23_a_client_that_hangs_up_frees_its_row(
    http: httpx.Client, served: AsyncEngine
) -> None:
    url = http.base_url
    body = json.dumps({"inputs": "x", "parameters": {"do_sample": True, "seed": 9}}).encode()
    for path in (b"/generate", b"/generate_stream"):
        head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" % path
        with socket.create_connection((url.host, url.port)) as line:
            line.sendall(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))
            while served.statistics()["batch_current_size"] == 0:
                time.sleep(0.001)
        deadline = time.monotonic() + 20
        while served.statistics()["free_permits"] < 64:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        while served.statistics()["batch_current_size"]:
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_a_client_that_hangs_up_inside_its_body_is_no_defect(
    http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    url = http.base_url
    with socket.create_connection((url.host, url.port)) as line:
        line.sendall(
            b"POST /generate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b'content-length: 100\r\n\r\n{"inputs'
        )
        time.sleep(0.2)
    time.sleep(0.2)
    assert http.get("/health").status_code == 200
    assert "a request failed" not in caplog.text


def test_metrics_add_up(http: httpx.Client) -> None:
    def read() -> dict[str, float]:
        pairs = (line.rsplit(" ", 1) for line in http.get("/metrics").text.splitlines())
        return {name: float(value) for name, value in pairs if not name.startswith("#")}

    before = read()
    http.post("/generate", json={"inputs": "x", "parameters": {"max_new_tokens": 5}})
    http.post("/generate_stream", json={"inputs": "x", "parameters": {"max_new_tokens": 2}})
    http.post("/generate", json={"inputs": "x", "parameters": {"temperature": 0}})
    after = read()

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more("tgi_request_count") == 3
    assert more("tgi_request_success") == 2
    assert more('tgi_request_failure{err="validation"}') == 1
    assert more("tgi_request_generated_tokens_sum") == 7
    assert more("tgi_request_max_new_tokens_count") == 2
    for name in ("duration", "validation_duration", "queue_duration", "inference_duration",
                 "mean_time_per_token_duration", "input_length", "skipped_tokens"):  # fmt: skip
        assert more(f"tgi_request_{name}_count") == 2
    assert after["tgi_queue_size"] == 0
    assert {"tgi_batch_current_size", "tgi_batch_current_tokens"} <= after.keys()


def test_case_45_information(http: httpx.Client) -> None:
    told = http.get("/info").json()
    assert told["max_total_tokens"] == 2048
    assert told["max_best_of"] == 3
    wanted = "model_id model_sha model_pipeline_tag max_concurrent_requests max_stop_sequences"
    wanted += " max_input_tokens validation_workers max_client_batch_size router version sha"
    assert {*wanted.split(), "docker_label"} <= told.keys()
    document = http.get("/api-doc/openapi.json").json()
    assert document["components"]["schemas"].keys() >= CONTRACT["$defs"].keys()
    assert "/generate" in document["paths"]


def test_case_45_tokens_have_byte_offsets(http: httpx.Client) -> None:
    text = "naïve 🐲 the"
    for token in http.post("/tokenize", json={"inputs": text}).json():
        assert text.encode()[token["start"] : token["stop"]].decode() == token["text"]
    chat = http.post("/chat_tokenize", json=CHAT).json()
    prompt = chat["templated_text"].encode()
    spelled = b"".join(prompt[t["start"] : t["stop"]] for t in chat["tokenize_response"])
    assert spelled == prompt
