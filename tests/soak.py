"""Many clients at once, for a while: grammars and none, cut streams, bad and hostile requests.

`python tests/soak.py --seconds 600` (with `src` and `tests` on the path) runs it against a server
of its own and prints the figures; a short run is one of the tests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from loopback import serving
from tiny import tiny_engine

from lockstitch.engine.async_engine import AsyncEngine
from lockstitch.engine.server.settings import Settings

CLIENTS = 64
PERMITS = 48  # fewer than clients, so that some are turned away
PAGE = os.sysconf("SC_PAGE_SIZE")
RECORD = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 3},
        "size": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "size"],
    "additionalProperties": False,
}
NUMBER = r"[0-9]{2}-[a-f]{3}"
BAD: list[dict[str, Any]] = [
    {"inputs": ""},
    {"inputs": "x", "parameters": {"temperature": 0}},
    {"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": "(a"}}},
    {"inputs": "x", "parameters": {"grammar": {"type": "json", "value": {"type": "nothing"}}}},
    {"inputs": 5},
]
HOSTILE: list[dict[str, Any]] = [
    {"type": "json", "value": {"allOf": [{"oneOf": [{"required": [f"{i}{j}"]} for j in range(6)]}
                                         for i in range(6)]}},
    {"type": "regex", "value": "(a{1,900}){1,900}"},
    {"type": "json", "value": {"$ref": "#"}},
    {"type": "regex", "value": "(" * 300 + ")" * 300},
]  # fmt: skip


@dataclass
class Figures:
    """What was seen."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    unhealthy: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)

    @property
    def turned_away(self) -> int:
        """How many requests were answered 429."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.endswith("429"))


def memory() -> int:
    """Return the resident bytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def request(rng: random.Random) -> dict[str, Any]:
    """Return a good request of any kind."""
    parameters: dict[str, Any] = {"max_new_tokens": rng.choice([5, 30, 80]), "complete": True}
    kind = rng.randrange(4)
    if kind < 3:
        parameters["max_new_tokens"] = rng.choice([20, 40])
    if kind == 0:
        parameters["grammar"] = {"type": "json", "value": RECORD}
        parameters["max_new_tokens"] = 80
    elif kind == 1:
        parameters["grammar"] = {"type": "regex", "value": NUMBER}
    elif kind == 2:  # a schema that nobody has sent before
        size = rng.randrange(10**9)
        parameters["grammar"] = {"type": "json", "value": {"enum": [size, [size]]}}
    if rng.random() < 0.5:
        parameters |= {"do_sample": True, "seed": rng.randrange(100)}
    if rng.random() < 0.2:
        parameters |= {"repetition_penalty": 1.2, "top_k": 20}
    return {"inputs": rng.choice(["the quick", "北京 🐲", "x " * 60]), "parameters": parameters}


def fault(asked: dict[str, Any], text: str) -> str | None:
    """Return what is wrong with an answer."""
    grammar = asked["parameters"].get("grammar")
    if grammar is None:
        return None
    if grammar["type"] == "regex":
        return None if re.fullmatch(grammar["value"], text) else f"{text!r} is no {NUMBER}"
    try:
        value = json.loads(text)
    except ValueError:
        return f"{text!r} is no JSON"
    valid = Draft202012Validator(grammar["value"]).is_valid(value)
    return None if valid else f"{text!r} is not valid"


async def one(client: httpx.AsyncClient, rng: random.Random, figures: Figures) -> None:
    """Do one thing that a client does."""
    chance = rng.random()
    if chance < 0.1:
        answer = await client.post("/generate", json=rng.choice(BAD))
        figures.outcomes[f"bad {answer.status_code}"] += 1
        if answer.status_code not in (422, 429):
            figures.wrong.append(f"a bad request got {answer.status_code}")
    elif chance < 0.11:
        body = {"inputs": "x", "parameters": {"grammar": rng.choice(HOSTILE), "max_new_tokens": 3}}
        answer = await client.post("/generate", json=body)
        figures.outcomes[f"hostile {answer.status_code}"] += 1
    elif chance < 0.4:
        await streamed(client, rng, figures)
    else:
        asked = request(rng)
        answer = await client.post("/generate", json=asked)
        figures.outcomes[f"whole {answer.status_code}"] += 1
        if answer.status_code == 200:
            found = fault(asked, answer.json()["generated_text"])
            figures.wrong.extend([found] if found else [])
        elif answer.status_code != 429:
            figures.wrong.append(answer.text)


async def streamed(client: httpx.AsyncClient, rng: random.Random, figures: Figures) -> None:
    """Read a stream to its end, or hang up somewhere."""
    asked, last = request(rng), None
    patience = rng.choice([1, 3, 1000])
    async with client.stream("POST", "/generate_stream", json=asked) as answer:
        if answer.status_code != 200:
            figures.outcomes[f"stream {answer.status_code}"] += 1
            return
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                last = json.loads(line[6:])
                patience -= 1
            if patience == 0:
                break
    if last is None or last.get("generated_text") is None:
        figures.outcomes["stream cut"] += 1
        return
    figures.outcomes["stream whole"] += 1
    found = fault(asked, last["generated_text"])
    figures.wrong.extend([found] if found else [])


async def client_for(url: str, seed: int, until: float, figures: Figures) -> None:
    """Be one client until the time is over."""
    rng = random.Random(seed)
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        while time.monotonic() < until:
            turned_away = figures.turned_away
            await one(client, rng, figures)
            if figures.turned_away > turned_away:
                await asyncio.sleep(rng.uniform(0.2, 1.0))  # as the answer asks for


async def watch(url: str, until: float, figures: Figures) -> None:
    """Ask for the health and note the memory."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        while time.monotonic() < until:
            figures.unhealthy += (await client.get("/health")).status_code != 200
            figures.memory.append(memory())
            await asyncio.sleep(0.5)


async def load(url: str, seconds: float, figures: Figures) -> None:
    """Run all clients."""
    until = time.monotonic() + seconds
    clients = [client_for(url, seed, until, figures) for seed in range(CLIENTS)]
    await asyncio.gather(watch(url, until, figures), *clients)


def soak(seconds: float, *, checked: bool = False) -> Figures:
    """Serve, load, and return what was seen, with the metrics and gauges afterwards.

    `checked` holds every answer against the contract, which takes time from the server.
    """
    figures = Figures()
    engine = AsyncEngine(tiny_engine(), max_concurrent_requests=PERMITS)
    settings = Settings(max_concurrent_requests=PERMITS)
    with serving(engine, settings, checked=checked) as url:
        asyncio.run(load(url, seconds, figures))
        deadline = time.monotonic() + 60
        while engine.statistics()["free_permits"] < PERMITS and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.2)
        figures.gauges = engine.statistics()
        for line in httpx.get(url + "/metrics").text.splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                figures.metrics[name] = float(value)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    seen = soak(parser.parse_args().seconds)
    print(dict(sorted(seen.outcomes.items())))
    print(f"wrong: {seen.wrong[:5]}, unhealthy: {seen.unhealthy}, gauges: {seen.gauges}")
    steps = max(1, len(seen.memory) // 12)
    print("MiB:", [value >> 20 for value in seen.memory[::steps]])
