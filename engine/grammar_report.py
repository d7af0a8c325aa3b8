"""What `check-grammar` prints: the report of a grammar, or a refusal with the place it is about."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..constraint.grammar import Grammar
from ..schemas.errors import GrammarError

MOST_SNIPPET = 200


def print_report(grammar: Grammar, *, as_json: bool) -> None:
    """Print each keyword with what becomes of it, and a shortest text."""
    shortest = grammar.shortest().decode(errors="replace")
    if as_json:
        keywords = [
            {"pointer": entry.pointer, "keyword": entry.keyword, "status": entry.status}
            for entry in grammar.report
        ]
        sys.stdout.write(json.dumps({"keywords": keywords, "shortest": shortest}) + "\n")
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
    console.print(Text(f"shortest text ({grammar.min_bytes} bytes): {shortest}"))


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
