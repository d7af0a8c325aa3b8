"""The pass table of the official suite: judged by keyword and draft, written into the docs.

`python tests/suite_table.py` (with `src` and `tests` on the path) writes it anew.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared_data import suite_groups, suite_remotes

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import UnsatisfiableGrammarError, UnsupportedGrammarError

DOCS = Path(__file__).resolve().parents[1] / "docs" / "json-schema.md"
STYLE = TextStyle("flexible", "any", "any")
PARTS = ("", "optional", "optional/format")
DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
LEFT_OUT = {
    ("draft7", "content"),  # contentEncoding, contentMediaType: since 2019-09 they assert nothing
    ("draft4", "float-overflow"),  # says that 1e308 is an integer, where 1.0 is none
    ("draft4", "unknown"),  # the same group as elsewhere, an annotation
}
BEGIN, END = "<!-- pass table -->\n", "<!-- end -->\n"
Row = dict[str, str]


def spellings(value: Any) -> Iterator[bytes]:
    """Yield several texts of one value, keys shuffled too."""
    yield json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    yield json.dumps(value).encode()
    yield json.dumps(value, ensure_ascii=False, indent=2).encode()
    if isinstance(value, dict):
        yield json.dumps(dict(reversed(value.items()))).encode()


def judge(group: dict[str, Any], draft: str, remotes: dict[str, Any], *, formats: bool) -> str:
    """Return "right", the refused keyword, or "WRONG" with the first wrong verdict."""
    schema = group["schema"]
    if isinstance(schema, dict):
        schema = {"$schema": DRAFTS[draft], **schema}
    field = {"type": "json", "value": schema}
    try:
        grammar = compile_grammar(field, style=STYLE, registry=remotes, assert_format=formats)
    except UnsupportedGrammarError as error:
        return error.feature
    except UnsatisfiableGrammarError:
        wrong = any(case["valid"] for case in group["tests"])
        return f"WRONG: {group['description']} has values" if wrong else "right"
    too_strict = ""
    for case in group["tests"]:
        for text in spellings(case["data"]):
            if grammar.accepts(text) and not case["valid"]:
                return f"WRONG: {group['description']} accepts {text!r}"
            if case["valid"] and not grammar.accepts(text):
                too_strict = f"left out: {group['description']} {text!r}"
    return too_strict or "right"


def column(draft: str) -> dict[tuple[str, str], Counter[str]]:
    """Return the verdicts of one draft by (part, keyword)."""
    remotes = suite_remotes()
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for part in PARTS:
        for stem, group in suite_groups(draft, part=part):
            if (draft, stem) not in LEFT_OUT:
                formats = part != "" or stem != "format"
                found[part, stem][judge(group, draft, remotes, formats=formats)] += 1
    return found


def cell(verdicts: Counter[str]) -> str:
    """Return what the table says about some groups: how many are right, of how many."""
    return f"{verdicts['right']}/{verdicts.total()}"


def table() -> str:
    """Return the whole table as Markdown."""
    columns = {draft: column(draft) for draft in DRAFTS}
    keys = sorted({key for found in columns.values() for key in found})
    lines = ["| cases | " + " | ".join(DRAFTS) + " | the others |", "|---" * 7 + "|"]
    for key in [*keys, *((part, "") for part in PARTS)]:
        cells = [_total(found, key) for found in columns.values()]
        others = {v for found in columns.values() for v in found.get(key, {}) if v != "right"}
        texts = [cell(verdicts) if verdicts else "" for verdicts in cells]
        lines.append(f"| {name(key)} | {' | '.join(texts)} | {_reasons(others)} |")
    return "\n".join(lines) + "\n"


def name(key: tuple[str, str]) -> str:
    """Return the first cell of a row."""
    part, stem = key
    return f"{part}/{stem}".strip("/") if stem else f"**{part or 'required'}, all**"


def _total(found: dict[tuple[str, str], Counter[str]], key: tuple[str, str]) -> Counter[str]:
    part, stem = key
    return sum((c for (p, s), c in found.items() if p == part and stem in ("", s)), Counter[str]())


def _reasons(others: set[str]) -> str:
    kinds = {"left out, see below" if "left out" in v else f"`{v}` refused" for v in others}
    return ", ".join(sorted(kinds))


def documented() -> dict[tuple[str, str], str]:
    """Return the cells of the table in the docs by (row, draft)."""
    text = DOCS.read_text()
    rows = [line.strip("| ").split(" | ") for line in _inside(text).splitlines()]
    return {
        (row[0], draft): value.strip()
        for row in rows[2:]
        for draft, value in zip(DRAFTS, row[1:], strict=False)
    }


def _inside(text: str) -> str:
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


if __name__ == "__main__":
    before, _, rest = DOCS.read_text().partition(BEGIN)
    DOCS.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
