"""Throughput and time to first token of the server, beside its peers on the same model and prompts.

`python benchmarks/serving.py [--requests 16] [--tokens 48] [--repeats 3]` starts `lockstitch serve`
and `transformers serve` (with and without its continuous batching) on the default model and asks
each the same prompts at once over HTTP. In its own process, where no client needs the cores, it
runs the engine and `model.generate` (one static batch) on them. What is compared runs interleaved,
one after the other in each repeat; read the ratios, not the figures.
Needs the extras `server` and `gguf`, and httpx.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from lockstitch import Engine
from lockstitch.engine.embedded import embedded_model_dir
from lockstitch.schemas.parameters import GenerateParameters
from lockstitch.schemas.request import GenerateRequest

WORDS = ["invoice", "number", "of", "order", "from", "Berlin", "total", "amount", "shipping", "to"]
ROWS = {  # long enough that the budget ends it
    "type": "array",
    "minItems": 8,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 3},
            "amount": {"type": "number"},
            "kind": {"enum": ["invoice", "order", "reminder"]},
        },
        "required": ["name", "amount", "kind"],
        "additionalProperties": False,
    },
}
MODEL = str(embedded_model_dir())
PATIENCE = 180  # seconds until a server must listen


def prompts_of(count: int) -> list[str]:
    """Return prompts of 30 to 90 words, the same in every run."""
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randint(30, 90))) for _ in range(count)]


@contextmanager
def served(*command: str) -> Iterator[str]:
    """Run a server that takes `--port`; yield its base URL once it is healthy."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"{process.args} does not listen")


async def _events(client: httpx.AsyncClient, path: str, body: Any) -> AsyncIterator[dict[str, Any]]:
    async with client.stream("POST", path, json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                yield json.loads(line[6:])


async def completion(client: httpx.AsyncClient, prompt: str, tokens: int) -> tuple[int, float]:
    """Stream a completion. Returns its tokens and the seconds until the first text."""
    began, first, count = time.perf_counter(), 0.0, 0
    body = {"model": MODEL, "prompt": prompt, "max_tokens": tokens, "temperature": 0.0}
    extra = {"stream": True, "stream_options": {"include_usage": True}}
    async for event in _events(client, "/v1/completions", {**body, **extra}):
        if not first and any(choice.get("text") for choice in event["choices"]):
            first = time.perf_counter() - began
        if event.get("usage"):
            count = event["usage"]["completion_tokens"]
    return count, first


def generation(grammar: Any) -> Callable[..., Awaitable[tuple[int, float]]]:
    """Return what asks `/generate_stream` under a grammar, or under none."""

    async def ask(client: httpx.AsyncClient, prompt: str, tokens: int) -> tuple[int, float]:
        began, first, count = time.perf_counter(), 0.0, 0
        parameters = {"max_new_tokens": tokens, "grammar": grammar}
        body = {"inputs": prompt, "parameters": parameters}
        async for _ in _events(client, "/generate_stream", body):
            count += 1
            first = first or time.perf_counter() - began
        return count, first

    return ask


Asking = Callable[[httpx.AsyncClient, str, int], Awaitable[tuple[int, float]]]


def at_once(url: str, ask: Asking, prompts: list[str], tokens: int) -> tuple[float, list[float]]:
    """Ask all prompts at the same time. Returns tokens per second, and the first-token times."""

    async def main() -> tuple[float, list[float]]:
        limits = httpx.Limits(max_connections=len(prompts))
        async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
            began = time.perf_counter()
            found = await asyncio.gather(*(ask(client, prompt, tokens) for prompt in prompts))
            seconds = time.perf_counter() - began
        return sum(count for count, _ in found) / seconds, [first for _, first in found]

    return asyncio.run(main())


def newcomer(url: str, prompts: list[str], tokens: int) -> float:
    """Return the seconds to the first token of a request that comes while others are decoded."""

    async def main() -> float:
        async with httpx.AsyncClient(base_url=url, timeout=600) as client:
            running = [
                asyncio.create_task(completion(client, prompt, tokens)) for prompt in prompts[1:]
            ]
            await asyncio.sleep(1.0)
            _, first = await completion(client, prompts[0], 4)
            await asyncio.gather(*running)
            return first

    return asyncio.run(main())


def in_process(engine: Engine, prompts: list[str], tokens: int) -> float:
    """Return the tokens per second of the engine itself: no HTTP, no client on the same cores."""
    parameters = GenerateParameters(max_new_tokens=tokens, details=True)
    asked = [GenerateRequest(inputs=prompt, parameters=parameters) for prompt in prompts]
    began = time.perf_counter()
    answers = engine.generate_requests(asked)
    seconds = time.perf_counter() - began
    return sum(answer.details.generated_tokens for answer in answers if answer.details) / seconds


class Generate:
    """`model.generate` on the prompts as one static batch, padded on the left."""

    def __init__(self, engine: Engine) -> None:
        self._model, self._tokenizer = engine.model, engine.tokenizer
        self._tokenizer.padding_side = "left"
        self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token

    def __call__(self, prompts: list[str], tokens: int) -> float:
        """Return tokens per second."""
        batch = self._tokenizer(prompts, return_tensors="pt", padding=True)
        began = time.perf_counter()
        self._model.generate(
            **batch,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=self._tokenizer.pad_token_id,
        )
        return len(prompts) * tokens / (time.perf_counter() - began)


def show(name: str, values: list[float], unit: str) -> None:
    """Print the least, the median and the largest of some figures."""
    low, mid, high = min(values), statistics.median(values), max(values)
    print(f"{name:58} {low:8.2f} {mid:8.2f} {high:8.2f}  {unit}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    prompts = prompts_of(given.requests)
    bins = Path(sys.executable).parent
    theirs = (str(bins / "transformers"), "serve", MODEL, "--dtype", "float32", "--device", "cpu")
    engine = Engine.from_pretrained()
    generate = Generate(engine)
    rates: dict[str, list[float]] = {}
    firsts: dict[str, list[float]] = {}
    grammar = {"type": "json", "value": ROWS}
    with ExitStack() as stack:
        ours = stack.enter_context(served(str(bins / "lockstitch"), "serve", "--model", MODEL))
        plain = stack.enter_context(served(*theirs))
        paged = stack.enter_context(served(*theirs, "--continuous-batching"))
        servers: list[tuple[str, str, Asking]] = [
            ("lockstitch serve", ours, completion),
            ("transformers serve", plain, completion),
            ("transformers serve --continuous-batching", paged, completion),
            ("lockstitch serve, /generate_stream, no grammar", ours, generation(None)),
            ("lockstitch serve, /generate_stream, JSON Schema", ours, generation(grammar)),
        ]
        for _, url, ask in servers:  # warm up
            at_once(url, ask, prompts[:2], 4)
        generate(prompts[:2], 4)
        in_process(engine, prompts[:2], 4)
        for _ in range(given.repeats):
            rates.setdefault("model.generate, one static batch", []).append(
                generate(prompts, given.tokens)
            )
            rates.setdefault("lockstitch, in process", []).append(
                in_process(engine, prompts, given.tokens)
            )
            for name, url, ask in servers:
                try:
                    rate, times = at_once(url, ask, prompts, given.tokens)
                except httpx.HTTPError as error:  # its answer has no end
                    print(f"{name}: failed: {error}", file=sys.stderr, flush=True)
                    continue
                rates.setdefault(name, []).append(rate)
                print(f"{name}: {rate:.1f} tokens/s", file=sys.stderr, flush=True)
                firsts.setdefault(name, []).extend(times)
            for name, url, _ in servers[:3]:
                key = f"{name}: newcomer among {given.requests - 1}"
                try:
                    firsts.setdefault(key, []).append(newcomer(url, prompts, given.tokens))
                except httpx.HTTPError as error:
                    print(f"{key}: failed: {error}", file=sys.stderr, flush=True)
    print(f"{given.requests} requests at once, {given.tokens} tokens each: min, median, max")
    for name, values in rates.items():
        show(name, values, "tokens/s")
    for name, values in firsts.items():
        show(f"first token, {name}", values, "s")
    static, own, *_ = rates
    pairs = [
        (own, static),
        *(("lockstitch serve", n) for n in (static, *(s[0] for s in servers[1:3]))),
    ]
    for name, other in pairs:
        ratios = [a / b for a, b in zip(rates[name], rates[other], strict=False)]  # some may fail
        show(f"{name} / {other}", ratios, "x")
    free, bound = (rates[name] for name, *_ in servers[3:])
    ratios = [a / b for a, b in zip(bound, free, strict=True)]
    show("constrained / unconstrained", ratios, "x")


if __name__ == "__main__":
    main()
