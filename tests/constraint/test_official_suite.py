"""The official JSON Schema test suite: whatever is compiled is right, in every spelling.

A group is right if its schema compiles and each instance is accepted exactly if it is valid; a
schema without instances is right if it is refused as unsatisfiable. Refusals are counted, not
forgiven: the table is part of `docs/json-schema.md` and has to be true.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shared_data import suite_groups, suite_remotes

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import UnsatisfiableGrammarError, UnsupportedGrammarError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "json-schema.md"
STYLE = TextStyle("flexible", "any", "any")
LEFT_OUT = {
    ("draft7", "content"),  # contentEncoding, contentMediaType: since 2019-09 they assert nothing
    ("draft4", "float-overflow"),  # says that 1e308 is an integer, where 1.0 is none
}
DRAFTS = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft4": "http://json-schema.org/draft-04/schema#",
}


def spellings(value: Any) -> Iterator[bytes]:
    """Several texts of one value, keys shuffled too."""
    yield json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    yield json.dumps(value).encode()
    yield json.dumps(value, ensure_ascii=False, indent=2).encode()
    if isinstance(value, dict):
        yield json.dumps(dict(reversed(value.items()))).encode()


def judge(
    group: dict[str, Any], draft: str, remotes: dict[str, Any], *, formats: bool = True
) -> str:
    """Return "right" or the refused keyword; fail on any wrong verdict."""
    schema = group["schema"]
    if isinstance(schema, dict):
        schema = {"$schema": DRAFTS[draft], **schema}
    try:
        grammar = compile_grammar(
            {"type": "json", "value": schema}, style=STYLE, registry=remotes, assert_format=formats
        )
    except UnsupportedGrammarError as error:
        return error.feature
    except UnsatisfiableGrammarError:
        assert not any(case["valid"] for case in group["tests"]), group["description"]
        return "right"
    for case in group["tests"]:
        for text in spellings(case["data"]):
            assert grammar.accepts(text) is case["valid"], (group["description"], text)
    return "right"


def table_row(draft: str, *, optional: bool) -> str:
    remotes = suite_remotes()
    found = Counter(
        judge(group, draft, remotes, formats=stem != "format")
        for stem, group in suite_groups(draft, optional=optional)
        if (draft, stem) not in LEFT_OUT
    )
    right = found.pop("right")
    refused = ", ".join(f"`{name}` {count}" for name, count in sorted(found.items()))
    part = "optional" if optional else "required"
    return f"| {draft} {part} | {right + found.total()} | {right} | {refused} |"


@pytest.mark.parametrize("optional", [False, True], ids=["required", "optional"])
@pytest.mark.parametrize("draft", DRAFTS)
def test_what_is_compiled_is_right(draft: str, optional: bool) -> None:
    row = table_row(draft, optional=optional)
    print(row)
    assert row in DOCS.read_text(), f"docs/json-schema.md should say\n{row}"
