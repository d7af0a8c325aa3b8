"""The shared regex cases, hand-written and from real schemas, in both dialects."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest

from lockstitch.constraint.regex.compiler import compile_regex
from lockstitch.constraint.regex.utf8 import Utf8Alphabet
from lockstitch.constraint.terms.terms import Terms
from lockstitch.schemas.errors import UnsupportedGrammarError

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "regex"


def cases(name: str) -> list[dict[str, Any]]:
    path = DATA / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside this checkout")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def verdict(case: dict[str, Any], dialect: Literal["python", "ecma"]) -> str:
    column = "py" if dialect == "python" else "js"
    judged = [entry for entry in case["strings"] if entry[column] is not None]
    if not judged:
        return "undefined"
    terms = Terms()
    alphabet = Utf8Alphabet(terms)
    try:
        term = compile_regex(terms, case["pattern"], alphabet, dialect=dialect, search=False)
    except UnsupportedGrammarError as error:
        return error.feature
    for entry in judged:
        if terms.accepts(term, entry["s"].encode()) != entry[column]:
            return f"wrong: {case['pattern']!r} on {entry['s']!r}"
    return "right"


@pytest.mark.parametrize("dialect", ["python", "ecma"])
@pytest.mark.parametrize(("name", "refused"), [("cases", 3), ("real", 1)])
def test_no_verdict_is_wrong(name: str, refused: int, dialect: Literal["python", "ecma"]) -> None:
    found = Counter(verdict(case, dialect) for case in cases(name))
    right = found.pop("right")
    del found["undefined"]
    assert set(found) <= {"backreference", r"\p{Alphabetic}"}
    assert sum(found.values()) <= refused
    assert right > 0
