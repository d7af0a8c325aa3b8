"""Cases that a sample of schemas does not show, beside another engine of the same harness.

`python benchmarks/mask_cases.py HARNESS --tokenizer DIR --corpora DIR [--peer llg] [--json FILE]`,
with HARNESS as for `masks.py`, prints one line a case: what this engine takes, what the other
takes, and the ratio, `--repeats` times in turn; CPU time where a case is longer than the clock.
Cases that compare the engine with itself (bounded against unbounded, late against early) have the
second form of the grammar, or the early tokens, in the place of the other.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import logits_cases
import masks
from rows import MS, US, Rows


def timed(work: Callable[[], Any]) -> float:
    """Return the CPU seconds that some work takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def tokens_of(tok: Any, value: Any) -> list[int]:
    """Return the tokens of a JSON text."""
    ids: list[int] = tok.hf.encode(json.dumps(value, ensure_ascii=False), add_special_tokens=False)
    return ids


def steps(compiled: Any, ids: list[int]) -> Iterator[float]:
    """Yield the seconds that the mask and the advance take, for each token."""
    session = compiled.start()
    for token in ids:
        began = time.perf_counter()
        mask = session.mask()
        allowed = int(mask[token >> 5]) >> (token & 31) & 1
        assert allowed, "the document of a case must fit its grammar"
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


def counters(rows: Rows, engine: Any, tok: Any) -> None:
    """Measure masks inside a counter against the same grammar without one."""
    text = tokens_of(tok, "The quick brown fox jumps over the lazy dog, and then again. " * 40)
    many = tokens_of(tok, list(range(310)))
    short = tokens_of(tok, "The quick brown fox jumps over the lazy dog, and then.")
    string = {"type": "string"}
    cases: list[tuple[str, str, Any, Any, list[int]]] = [
        (f"maxLength {n}", "json_schema", {**string, "maxLength": n}, string, text)
        for n in (5000, 100_000)
    ]
    cases.insert(0, ("maxLength 60", "json_schema", {**string, "maxLength": 60}, string, short))
    items = {"type": "array", "items": {"type": "integer"}}
    cases.append(("minItems 300", "json_schema", {**items, "minItems": 300}, items, many))
    letters = tok.hf.encode("a" * 900, add_special_tokens=False)
    cases.append(("a{1,1000}", "regex", "a{1,1000}", "a+", letters))
    for name, kind, bounded, free, ids in cases:
        values = [v if kind == "regex" else json.dumps(v) for v in (bounded, free)]
        rows.beside(
            f"{name} / without: mask + advance",
            US,
            lambda kind=kind, ids=ids, v=values[0]: mean(engine.compile(kind, v), ids),
            lambda kind=kind, ids=ids, v=values[1]: mean(engine.compile(kind, v), ids),
            3.0,
        )


def mean(compiled: Any, ids: list[int]) -> float:
    """Return the mean CPU seconds of a step."""
    return timed(lambda: list(steps(compiled, ids))) / len(ids)


def late(rows: Rows, engine: Any, tok: Any) -> None:
    """Measure a step about token 10 000 of a document against one about token 100."""
    row = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    value = [{"a": f"text {i * 31}", "b": i * 17} for i in range(1200)]
    ids = tokens_of(tok, value)[:10_200]
    schema = json.dumps({"type": "array", "items": row})

    def medians() -> tuple[float, float]:
        times = list(steps(engine.compile("json_schema", schema), ids))
        return statistics.median(times[-200:]), statistics.median(times[100:300])

    pairs = [medians() for _ in range(rows.repeats)]
    first, second = zip(*pairs, strict=True)
    name = "token 10 000 / token 100 of a document: median"
    rows.beside(name, US, iter(first).__next__, iter(second).__next__, 1.2)


def follows(compiled: Any, ids: list[int], eos: int) -> bool:
    """Return whether an engine takes a document to its end."""
    session = compiled.start()
    for token in [*ids, eos]:
        if not int(session.mask()[token >> 5]) >> (token & 31) & 1:
            return False
        if token != eos:
            session.advance(token)
    return True


def documents(tok: Any, engines: list[Any], records: list[Any], count: int) -> list[Any]:
    """Return (compiled by each engine, tokens) for schemas and documents that all engines take."""
    found: list[Any] = []
    refused = 0
    for record in records:
        data = next((t.get("ordered", t["data"]) for t in record["tests"] if t["valid"]), None)
        schema, ids = json.dumps(record["schema"]), tokens_of(tok, data)
        try:
            compiled = [engine.compile("json_schema", schema) for engine in engines]
            if data is not None and all(follows(one, ids, tok.eos_id) for one in compiled):
                found.append((compiled, ids))
        except Exception:  # whatever an engine refuses a schema with
            refused += 1
            continue
        if len(found) == count:
            break
    print(f"documents of {len(found)} schemas; left out: {refused} that an engine refuses")
    return found


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("harness", type=Path)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--corpora", required=True)
    parser.add_argument("--peer", default="llg")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    given = arguments()
    harness = given.harness.resolve()
    adapters = masks.harness_module(harness, "adapters")
    tok = masks.harness_module(harness, "protocol").TokenizerBundle.load(given.tokenizer)
    sample = masks.harness_module(harness, "run").sample
    engines = [adapters.load_engine(name, tok) for name in ("lockstitch", given.peer)]
    for engine in engines:
        engine.prepare()
    gc.collect()
    gc.freeze()  # as the harness does before it measures
    rows = Rows(given.repeats)
    for name, schema in large_grammars().items():
        own, other = (partial(first_mask, engine, json.dumps(schema)) for engine in engines)
        rows.beside(f"{name}: compile + first mask", MS, own, other, 1.0)
    counters(rows, engines[0], tok)
    late(rows, engines[0], tok)
    if given.peer == "llg":
        found = documents(tok, engines, sample(given.corpora, 20), logits_cases.BATCH)
        batch = [[compiled[i] for compiled, _ in found] for i in range(2)]
        logits_cases.batch_fill(rows, *batch, [ids for _, ids in found])
    logits_cases.applied(rows, tok.n_vocab)
    if given.json:
        given.json.write_text(json.dumps([row.to_json() for row in rows.rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
