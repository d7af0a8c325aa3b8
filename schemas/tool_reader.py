"""Reads what the model writes under a tool grammar, while it is being written.

The text comes in arbitrary pieces, and out come a call's name as soon as it is known, then its
arguments character for character, or the unescaped words of an answer. Fed in one piece or in
many, the parts add up to the same; text that was cut off gives what there was of it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from .tools import ToolPlan

_STRING = r'"(?:[^"\\]|\\.)*"'
_NAME = re.compile(rf"\s*\{{\s*({_STRING})\s*:\s*({_STRING})")
_MEMBER = re.compile(rf"\s*,\s*({_STRING})\s*:\s*")
_FIRST = re.compile(rf"\s*\{{\s*({_STRING})\s*:\s*")
_END = re.compile(r"\s*\}")
_LOW = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_UNIT = re.compile(rf'[^"\\]+|{_HIGH}{_LOW}|\\u[0-9a-fA-F]{{4}}|\\[^u]')
_HALF = re.compile(rf"{_HIGH}(?:\\(?:u[0-9a-fA-F]{{0,3}})?)?\Z")  # the rest of a pair may come


@dataclass(frozen=True)
class CallStart:
    """The model calls the function `name`."""

    id: str
    name: str


@dataclass(frozen=True)
class ArgumentText:
    """More of the JSON text of the arguments."""

    text: str


@dataclass(frozen=True)
class ContentText:
    """More of an answer in words."""

    text: str


Part = CallStart | ArgumentText | ContentText


def new_call_id() -> str:
    """Return a fresh id for a tool call."""
    return f"call_{secrets.token_hex(12)}"


class ToolReader:
    """Reads one generated text; `called` is set once it is a call, `complete` once it has ended.

    Feed the text of tokens, not that of special ones. Stop strings of the request apply to the
    JSON text that is fed here, in which a line end is spelled `\\n`.
    """

    def __init__(self, plan: ToolPlan, new_id: Callable[[], str] = new_call_id) -> None:
        self.called = False
        self.complete = False
        self._plan = plan
        self._new_id = new_id
        self._pending = ""
        self._value_end = ValueEnd()
        self._step: Callable[[], list[Part] | None] | None = self._read_name

    def feed(self, text: str) -> list[Part]:
        """Take the next piece of the text and return what it adds."""
        self._pending += text
        return list(self._read())

    def finish(self) -> list[Part]:
        """Return what is left once no more text comes."""
        if self._step != self._hold:
            return []
        return self._read_any_order()

    def finish_reason(self, reason: str) -> Literal["stop", "length", "tool_calls"]:
        """Return OpenAI's finish reason for the engine's; one word tells a whole call apart."""
        if self.complete:
            return "tool_calls" if self.called else "stop"
        return "length" if reason == "length" else "stop"

    def _read(self) -> Iterator[Part]:
        while self._step is not None and (found := self._step()) is not None:
            yield from found

    def _take(self, end: int) -> str:
        taken, self._pending = self._pending[:end], self._pending[end:]
        return taken

    def _read_name(self) -> list[Part] | None:
        first = _FIRST.match(self._pending)
        if first is not None and json.loads(first[1]) != "name":
            self._step = self._hold
        match = _NAME.match(self._pending)
        if match is None or self._step == self._hold:
            return None
        self._take(match.end())
        self._step = self._read_key
        return self._named(json.loads(match[2]))

    def _named(self, name: str) -> list[Part]:
        self.called = name != self._plan.no_tool
        return [CallStart(self._new_id(), name)] if self.called else []

    def _read_key(self) -> list[Part] | None:
        match = _MEMBER.match(self._pending)
        if match is None:
            return None
        self._take(match.end())
        self._step = self._read_arguments if self.called else self._read_quote
        return []

    def _read_arguments(self) -> list[Part] | None:
        if self._value_end.fresh:
            self._pending = self._pending.lstrip()
        if not self._pending:
            return None
        end = self._value_end.find(self._pending)
        if end is not None:
            self._step = self._read_end
        text = self._take(len(self._pending) if end is None else end)
        return [ArgumentText(text)]

    def _read_quote(self) -> list[Part] | None:
        self._pending = self._pending.lstrip()
        if not self._pending:
            return None
        self._take(1)
        self._step = self._read_content
        return []

    def _read_content(self) -> list[Part] | None:
        text, end = unescape(self._pending)
        self._take(end)
        if self._pending.startswith('"'):
            self._take(1)
            self._step = self._read_end
        elif not text:
            return None
        return [ContentText(text)] if text else []

    def _read_end(self) -> list[Part] | None:
        if not _END.match(self._pending):
            return None
        self.complete = True
        self._step = None
        return []

    def _hold(self) -> None:
        """Under a style that lets properties come in any order, the name may be the last."""

    def _read_any_order(self) -> list[Part]:
        members = dict(_members(self._pending))
        if "name" not in members:
            return []
        found = self._named(json.loads(members["name"]))
        if "arguments" in members:
            found.append(ArgumentText(members["arguments"]))
        elif "content" in members:
            found.append(ContentText(json.loads(members["content"])))
        self.complete = len(members) == 2 and self._pending.rstrip().endswith("}")
        return found


class ValueEnd:
    """Finds where a JSON value ends in a text that comes in pieces."""

    def __init__(self) -> None:
        self.fresh = True
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def find(self, text: str) -> int | None:
        """Return where in `text` the value ends; None if it goes on. Cost: linear in `text`."""
        self.fresh = self.fresh and not text
        for index, character in enumerate(text):
            if self._in_string:
                ended = self._inside(character)
            elif self._depth == 0 and character in ",}] \t\r\n":
                return index  # behind a number, true, false or null
            else:
                ended = self._outside(character)
            if ended:
                return index + 1
        return None

    def _inside(self, character: str) -> bool:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == '"':
            self._in_string = False
            return self._depth == 0
        return False

    def _outside(self, character: str) -> bool:
        if character == '"':
            self._in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            return self._depth == 0
        return False


def unescape(text: str) -> tuple[str, int]:
    """Return the start of a JSON string's content in plain characters, and how much was read.

    Stops at the closing quote, and before an escape that is not there as a whole.
    """
    found, position = [], 0
    while (match := _UNIT.match(text, position)) and not _HALF.match(text, position):
        unit = match[0]
        found.append(json.loads(f'"{unit}"') if unit[0] == "\\" else unit)
        position = match.end()
    return "".join(found), position


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The members of an object with the text of their values, as far as they are whole."""
    match = _FIRST.match(text)
    while match:
        rest = text[match.end() :]
        end = ValueEnd().find(rest)
        if end is None:
            return
        yield json.loads(match[1]), rest[:end]
        match = _MEMBER.match(text, match.end() + end)
