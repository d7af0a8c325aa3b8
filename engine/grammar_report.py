"""What `check-grammar` prints: the report of a grammar, or a refusal with the place it is about.

A text that is asked about can be wrong in two ways: its value is not allowed, or only its spelling
is not that of the style. The grammar in its most permissive style tells them apart.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..constraint.grammar import Grammar
from ..constraint.language.describe import BLANK, END, OTHERS
from ..constraint.language.explain import Explanation, explain
from ..schemas.errors import GrammarError

MOST_SNIPPET = 200
BEFORE_CARET, AFTER_CARET = 50, 20


class Verdict(NamedTuple):
    """Why a text is or is not in a language.

    `value_allowed` says whether another spelling of it would be, None where nobody can tell.
    `spelling` is the first place where the style alone is at fault, if that comes before the fault
    that `why` is about.
    """

    text: bytes
    why: Explanation
    value_allowed: bool | None
    spelling: Explanation | None = None


def judge(grammar: Grammar, text: bytes, permissive: Callable[[], Grammar]) -> Verdict:
    """Return why `text` is or is not in the language of `grammar`.

    `permissive` compiles the same grammar in the style that allows every spelling; where that is
    refused, only the style asked for is looked at.
    """
    why = explain(grammar, text)
    if why.accepted or grammar.schema is None:
        return Verdict(text, why, why.accepted)
    try:
        free = explain(permissive(), text)
    except GrammarError as error:
        sentence = f"{why.sentence} (other spellings were not looked at: {error.reason})"
        return Verdict(text, replace(why, sentence=sentence), None)
    if free.accepted:
        return Verdict(text, replace(why, sentence=_only_spelling(why)), True)
    if free.offset > why.offset and free.sentence != why.sentence:
        return Verdict(text, free, False, why)
    return Verdict(text, why, False)


def _only_spelling(why: Explanation) -> str:
    instead = " or ".join(map(_marked, why.expected[:3]))
    return f"the value is allowed, but not in this spelling; the style writes {instead} here"


def print_report(grammar: Grammar, verdict: Verdict | None = None, *, as_json: bool) -> None:
    """Print each keyword with what becomes of it, the grammar in words, and a shortest text.

    With a verdict: also where a text leaves the language, and what was expected there.
    """
    shortest = grammar.shortest().decode(errors="replace")
    if as_json:
        keywords = [
            {"pointer": entry.pointer, "keyword": entry.keyword, "status": entry.status}
            for entry in grammar.report
        ]
        report: dict[str, object] = {"keywords": keywords, "words": grammar.describe()}
        report["shortest"] = shortest
        if verdict is not None:
            report["why"] = _as_fields(verdict)
        sys.stdout.write(json.dumps(report) + "\n")
        return
    console = Console()
    if grammar.report:
        table = Table()
        for title in ("pointer", "keyword", "status"):
            table.add_column(title, overflow="fold")
        for entry in grammar.report:
            style = "" if entry.status == "enforced" else "dim"
            table.add_row(Text(entry.pointer), Text(entry.keyword), entry.status, style=style)
        console.print(table)
    console.print(Text("in words:"))
    for line in grammar.describe():
        console.print(Text(f"  {line}"), soft_wrap=True)
    console.print(Text(f"shortest text ({grammar.min_bytes} bytes): {shortest}"))
    if verdict is not None:
        for line in _told(verdict):
            console.print(Text(line), soft_wrap=True)


def _as_fields(verdict: Verdict) -> dict[str, object]:
    spelling = verdict.spelling
    return asdict(verdict.why) | {
        "value_allowed": verdict.value_allowed,
        "spelling": None if spelling is None else asdict(spelling),
    }


def _told(verdict: Verdict) -> list[str]:
    """Return the lines about a text: the place with a caret, the sentence, the pointers."""
    why = verdict.why
    if why.accepted:
        return [why.sentence]
    lines = [f"the text is not in the language, see {_place(verdict.text, why.offset)}:"]
    lines += [f"  {line}" for line in (*_caret(verdict.text, why.offset), _one_line(why.sentence))]
    if why.json_pointer or why.schema_pointers:
        lines.append(f"  value: {why.json_pointer or 'the whole text'}")
    if why.schema_pointers:
        shown = ", ".join(pointer or "the root" for pointer in why.schema_pointers)
        lines.append(f"  schema: {shown}")
    lines.append("  allowed next: " + ", ".join(map(_marked, why.expected)))
    if verdict.spelling is not None:
        place = _place(verdict.text, verdict.spelling.offset)
        lines.append(
            f"  before that, at {place}, only the style: {_one_line(verdict.spelling.sentence)}"
        )
    return lines


def _marked(way: str) -> str:
    """Return a text that may follow in marks, and a description of such texts as it is."""
    described = way in (END, BLANK, OTHERS, "...") or way.startswith("any character")
    return way if described else f"`{_one_line(way)}`"


def _place(text: bytes, offset: int) -> str:
    line = text.count(b"\n", 0, offset) + 1
    return f"byte {offset}" if b"\n" not in text else f"line {line}, byte {offset}"


def _caret(text: bytes, offset: int) -> tuple[str, str]:
    """Return the line of a text around an offset, shortened, and a caret under the place."""
    while 0 < offset < len(text) and text[offset] & 0xC0 == 0x80:
        offset -= 1
    before = text[:offset].decode(errors="replace").rpartition("\n")[2]
    if len(before) > BEFORE_CARET:
        before = "..." + before[-BEFORE_CARET:]
    after = text[offset:].decode(errors="replace")
    rest = after[1:].partition("\n")[0]
    if len(rest) > AFTER_CARET:
        rest = rest[:AFTER_CARET] + "..."
    return _one_line(before + after[:1] + rest), " " * cell_len(_one_line(before)) + "^"


def print_refusal(error: GrammarError, *, regex: str | None, schema: object) -> None:
    """Print a refusal on standard error: the sentence, then the place with a caret under it."""
    lines = [f"lockstitch: {error.message}"]
    pattern = regex
    if error.pointer is not None and schema is not None:
        found = _at(schema, error.pointer)
        if error.offset is not None and isinstance(found, str):
            pattern = found
        else:
            lines.append("  " + _snippet(found))
    if pattern is not None and error.offset is not None:
        lines += ["  " + _one_line(pattern), "  " + " " * error.offset + "^"]
    sys.stderr.write("\n".join(lines) + "\n")


def _at(schema: object, pointer: str) -> object:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict):
            schema = schema.get(key)
        elif isinstance(schema, list) and key.isdecimal() and int(key) < len(schema):
            schema = schema[int(key)]
    return schema


def _snippet(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SNIPPET else text[: MOST_SNIPPET - 3] + "..."


def _one_line(pattern: str) -> str:
    """Return a pattern with one character for each of its own, so that a caret can point at it."""
    return "".join(c if c.isprintable() else "�" for c in pattern)
