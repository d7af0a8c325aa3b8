"""A job of many short rows: memory stays flat, the ledger small, and the time is the model's.

`python tests/many_rows.py --rows 100000` (with `src` and `tests` on the path) prints what it takes;
the tests run some thousand rows. Each row asks for a text of its own, so none is computed twice.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soak import memory
from tiny import tiny_engine

from lockstitch import Job, Source
from lockstitch.engine import forward
from lockstitch.engine.jobs.job import Summary, run_job

SCHEMA = {"enum": ["new", "old", None]}
PARAMETERS = {"max_new_tokens": 8, "temperature": 1.5, "seed": 7}


@dataclass
class Figures:
    """What was seen: bytes of memory on the way and of the files, seconds, those of the model."""

    every: int
    memory: list[int] = field(default_factory=list)
    ledger: int = 0
    output: int = 0
    model: float = 0.0

    def told(self, *, rows: int, total: int, tokens: int, errors: int) -> None:
        """Take note of the memory after each `every` rows; what a watcher of a job does."""
        if rows >= self.every * (len(self.memory) + 1):
            self.memory.append(memory())


@contextmanager
def timed(figures: Figures) -> Iterator[None]:
    """Add up the seconds that calls of the model take."""
    call = forward._logits

    def counted(model: Any, **inputs: Any) -> Any:
        began = time.perf_counter()
        found = call(model, **inputs)
        figures.model += time.perf_counter() - began
        return found

    forward._logits = counted
    try:
        yield
    finally:
        forward._logits = call


def run(folder: Path, count: int) -> tuple[Summary, Figures]:
    """Do a job of `count` rows in a folder."""
    rows = folder / "rows.jsonl"
    with rows.open("w") as file:
        for number in range(count):
            file.write(json.dumps({"id": number, "text": f"row {number}"}) + "\n")
    figures = Figures(max(1, count // 12))
    job = Job(Source.at(rows), folder / "out.jsonl", schema=SCHEMA, parameters=PARAMETERS)
    with timed(figures):
        summary = run_job(tiny_engine(), job, figures)
    figures.ledger = job.ledger_path.stat().st_size if job.ledger_path.exists() else 0
    figures.output = job.output.stat().st_size
    return summary, figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    with tempfile.TemporaryDirectory() as folder:
        summary, seen = run(Path(folder), parser.parse_args().rows)
    print(summary.to_dict())
    print(f"rows/s: {summary.rows / summary.seconds:.0f}")
    print(f"share of the model: {seen.model / summary.seconds:.2f}")
    print("MiB:", [value >> 20 for value in seen.memory])
    print(f"ledger: {seen.ledger >> 10} KiB, output: {seen.output >> 10} KiB")
