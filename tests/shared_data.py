"""Where the official and real-world cases lie, if they are beside the checkout."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SUITE = SHARED / "json-schema-test-suite" / "tests"


def need(path: Path) -> Path:
    """Return `path`, or skip the test and say what is missing."""
    if not path.exists():
        pytest.skip(f"needs the case collection ../shared/data ({path.name} is not there)")
    return path


def suite_groups(draft: str, *, part: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file stem, group) of one draft of the official suite; `part` is a folder of it."""
    folder = need(SUITE / draft) / part
    for path in sorted(folder.glob("*.json")):
        for group in json.loads(path.read_text()):
            yield path.stem, group


def suite_remotes() -> dict[str, Any]:
    """Return the documents that the suite's schemas refer to, by URI."""
    folder = need(SHARED / "json-schema-test-suite" / "remotes")
    return {
        f"http://localhost:1234/{path.relative_to(folder).as_posix()}": json.loads(path.read_text())
        for path in sorted(folder.rglob("*.json"))
    }


def real_schemas(name: str) -> Iterator[dict[str, Any]]:
    """Yield the records of one collection of real schemas with their instances."""
    with gzip.open(need(SHARED / "real" / f"{name}.jsonl.gz"), "rt") as lines:
        for line in lines:
            yield json.loads(line)
