"""A small job for tests: its schema, its rows (some of them broken), its options."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from lockstitch import Job, Source

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "kind": {"enum": ["new", "old", None]},
    },
    "required": ["name", "count", "kind"],
    "additionalProperties": False,
}
PARAMETERS = {"max_new_tokens": 60, "temperature": 1.5, "seed": 7}


def rows_file(folder: Path, count: int = 30) -> Path:
    """Rows with texts, of which some are equal and some cannot be read."""
    rng = random.Random(1)
    lines = [json.dumps({"id": i, "text": f"row {rng.randrange(count)}"}) for i in range(count)]
    lines[3] = "{not json"
    lines[5] = json.dumps({"id": 5, "body": "no text"})
    path = folder / "rows.jsonl"
    raw = "\n".join(lines).encode()
    path.write_bytes(raw.replace(b"row 7", b"row \xff") + b"\n\n")
    return path


def job_in(folder: Path, *, output: str = "out.jsonl", **options: Any) -> Job:
    given = {"schema": SCHEMA, "parameters": PARAMETERS, **options}
    return Job(Source.at(folder / "rows.jsonl"), folder / output, **given)
