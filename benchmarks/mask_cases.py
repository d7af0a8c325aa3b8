"""Cases that a sample of schemas does not show, beside another engine of the same harness.

`python benchmarks/mask_cases.py HARNESS --tokenizer DIR --corpora DIR [--peer llg]`, with HARNESS
as for `masks.py`, prints one line a case: what this engine takes, what the other takes, and the
ratio, each the median of `--repeats` runs that take turns. Cases that compare the engine with
itself (bounded against unbounded, late against early) have no peer.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import masks
import numpy as np
import torch

from lockstitch.engine.masking import apply_masks


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def beside(name: str, unit: float, ours: Callable[[], float], theirs: Callable[[], float]) -> None:
    """Print the medians of two measurements that take turns, in `unit` seconds."""
    pairs = [(ours(), theirs()) for _ in range(REPEATS)]
    first, second = (statistics.median(column) / unit for column in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    told = f"{ratios[0]:.3f} {statistics.median(ratios):.3f} {ratios[-1]:.3f}"
    print(f"{name:44} {first:10.3f} {second:10.3f}   {told}", flush=True)


def tokens_of(tok: Any, value: Any) -> list[int]:
    """Return the tokens of a JSON text."""
    ids: list[int] = tok.hf.encode(json.dumps(value, ensure_ascii=False), add_special_tokens=False)
    return ids


def steps(compiled: Any, ids: list[int]) -> Iterator[float]:
    """Yield the seconds that the mask and the advance take, for each token that is allowed."""
    session = compiled.start()
    for token in ids:
        began = time.perf_counter()
        mask = session.mask()
        allowed = int(mask[token >> 5]) >> (token & 31) & 1
        if not allowed:
            return
        session.advance(token)
        yield time.perf_counter() - began


def large_grammars() -> dict[str, Any]:
    """Return schemas that are large or branch a lot."""
    text = {"type": "string"}
    nested: dict[str, Any] = text
    for depth in range(12):
        nested = {"type": "object", "properties": {f"level_{depth}": nested, "note": text}}
    tools = [
        {
            "type": "object",
            "properties": {
                "name": {"const": f"tool_{i}"},
                "arguments": {"properties": {"a": text}},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for i in range(128)
    ]
    return {
        "an enum of 50 000 strings": {"enum": [f"value {i * 7919}" for i in range(50_000)]},
        "5 000 properties": {"type": "object", "properties": {f"p{i}": text for i in range(5000)}},
        "60 optional properties": {
            "type": "object",
            "properties": {f"field_{i}": text for i in range(60)},
            "additionalProperties": False,
        },
        "12 objects inside each other": nested,
        "128 tools in an anyOf": {"anyOf": tools},
    }


def first_mask(engine: Any, schema: str) -> float:
    """Return the seconds to compile a schema and to tell its first mask."""
    return timed(lambda: engine.compile("json_schema", schema).start().mask())


def known_schemas(engines: list[Any], tok: Any, records: list[Any]) -> list[list[float]]:
    """Return the times of the second pass over the valid instances of schemas all compile."""
    found: list[list[float]] = [[] for _ in engines]
    for record in records:
        texts = [tokens_of(tok, test["data"]) for test in record["tests"] if test["valid"]]
        try:
            compiled = [
                engine.compile("json_schema", json.dumps(record["schema"])) for engine in engines
            ]
        except Exception as error:  # whatever an engine refuses a schema with
            print(f"left out: {record['id']} ({type(error).__name__})", file=sys.stderr)
            continue
        for own, times in zip(compiled, found, strict=True):
            for ids in texts:
                list(steps(own, ids))
                times += steps(own, ids)
    return found


def told(name: str, times: list[list[float]]) -> None:
    """Print the average and the 99th percentile of two lists of seconds."""
    for what, of in (("avg", np.mean), ("p99", partial(np.percentile, q=99))):
        first, second = (float(of(column)) * 1e6 for column in times)
        print(f"{name + ', ' + what:44} {first:10.3f} {second:10.3f}   {first / second:.3f}")


def counters(engine: Any, tok: Any) -> None:
    """Print what masks inside a counter cost, against the same grammar without one."""
    text = tokens_of(tok, "The quick brown fox jumps over the lazy dog, and then again. " * 40)
    many = tokens_of(tok, list(range(290)))
    string = {"type": "string"}
    cases: list[tuple[str, str, Any, Any, list[int]]] = [
        (f"maxLength {n}", "json_schema", {**string, "maxLength": n}, string, text)
        for n in (60, 5000, 100_000)
    ]
    items = {"type": "array", "items": {"type": "integer"}}
    cases.append(("minItems 300", "json_schema", {**items, "minItems": 300}, items, many))
    letters = tokens_of(tok, "a" * 900)[1:-1]
    cases.append(("a{1,1000}", "regex", "a{1,1000}", "a+", letters))
    for name, kind, bounded, free, ids in cases:
        values = [v if kind == "regex" else json.dumps(v) for v in (bounded, free)]
        beside(
            f"{name} / without, one mask, us",
            1e-6,
            lambda kind=kind, ids=ids, v=values[0]: mean(engine.compile(kind, v), ids),
            lambda kind=kind, ids=ids, v=values[1]: mean(engine.compile(kind, v), ids),
        )


def mean(compiled: Any, ids: list[int]) -> float:
    """Return the mean seconds of a step."""
    return statistics.mean(steps(compiled, ids))


def late(engine: Any, tok: Any) -> None:
    """Print what a step costs about token 10 000 of a document, against token 100."""
    row = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    value = [{"a": f"text {i * 31}", "b": i * 17} for i in range(1200)]
    ids = tokens_of(tok, value)[:10_200]
    schema = json.dumps({"type": "array", "items": row})

    def means() -> tuple[float, float]:
        times = list(steps(engine.compile("json_schema", schema), ids))
        return statistics.median(times[-200:]), statistics.median(times[100:300])

    pairs = [means() for _ in range(REPEATS)]
    beside(
        "token 10 000 / token 100, us",
        1e-6,
        iter(p[0] for p in pairs).__next__,
        iter(p[1] for p in pairs).__next__,
    )


def applied(size: int) -> None:
    """Print what it takes to apply masks to logits, against unpacking them with NumPy."""
    rng = np.random.default_rng(0)
    for rows in (1, 8, 64):
        packed = rng.integers(0, 2**32, (rows, (size + 31) // 32), np.uint32).view(np.int32)
        logits = torch.zeros(rows, size)
        own = list(packed)

        def unpacked(logits: Any = logits, packed: Any = packed) -> None:
            bits = np.unpackbits(packed.view(np.uint8), axis=1, bitorder="little", count=size)
            np.copyto(logits.numpy(), -np.inf, where=bits == 0)

        beside(
            f"masks applied, {rows} rows / unpacked, us",
            1e-6,
            partial(
                timed,
                lambda logits=logits, own=own: apply_masks(logits, list(range(len(own))), own),
            ),
            partial(timed, unpacked),
        )


def main() -> None:
    """Measure and print."""
    global REPEATS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("harness", type=Path)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--corpora", required=True)
    parser.add_argument("--per-split", type=int, default=2)
    parser.add_argument("--peer", default="llg")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    REPEATS = given.repeats
    sys.path.insert(0, str(given.harness.resolve()))
    run, protocol, adapters = map(importlib.import_module, ("run", "protocol", "adapters"))
    tok = protocol.TokenizerBundle.load(given.tokenizer)
    print(f"{'':44} {'this':>10} {'other':>10}   ratio: min, median, max")
    beside(
        "start-up for a tokenizer, s",
        1,
        lambda: timed(lambda: masks.Adapter(tok)),
        lambda: timed(lambda: adapters.load_engine(given.peer, tok)),
    )
    own, other = masks.Adapter(tok), adapters.load_engine(given.peer, tok)
    other.prepare()
    told(
        "met before: mask + advance, us",
        known_schemas([own, other], tok, run.sample(given.corpora, given.per_split)),
    )
    for name, schema in large_grammars().items():
        text = json.dumps(schema)
        beside(
            f"{name}, ms", 1e-3, partial(first_mask, own, text), partial(first_mask, other, text)
        )
    counters(own, tok)
    late(own, tok)
    applied(tok.n_vocab)


REPEATS = 3


if __name__ == "__main__":
    main()
