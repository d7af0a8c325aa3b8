"""Where a text leaves a language and why: the byte, the value there, what could stand instead.

The automaton knows the byte, but not what it is about. Up to that byte the text is the beginning of
some JSON text, so a small scanner can follow it without asking whether it is well formed, and the
same way is walked down the schema: the shapes that fit what was written so far give the places that
the value must satisfy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from ..schema.documents import child_pointer
from ..schema.shapes import ArrayShape, ObjectShape, Shapes
from ..schema.strings import covers
from ..terms.shortest import INFINITE
from ..terms.terms import Terms
from .describe import BLANK, END, Words, amount, next_texts, quoted_name, shortened, shown_name
from .json_language import JsonLanguage

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[][{}:,]|[^][{}:,"\s]+', re.DOTALL)
_BLANK = b" \t\r\n"
_MOST_TOKEN = 40


class Language(Protocol):
    """What is asked of a grammar; a `Grammar` has it."""

    terms: Terms
    start: int
    schema: tuple[JsonLanguage, int] | None

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while terms are made."""
        ...


@dataclass(frozen=True)
class Explanation:
    """Whether a text is in a language, and if not, where it leaves it.

    `offset` counts bytes up to the first one that leaves the language; it is the length of a text
    that is only cut short. `json_pointer` names the value being written there, `schema_pointers`
    the places of the schema that this value must satisfy, `expected` what can stand at the offset.
    For a regular expression both pointers say nothing ("" and none).
    """

    accepted: bool
    offset: int
    json_pointer: str
    schema_pointers: tuple[str, ...]
    expected: tuple[str, ...]
    sentence: str


def explain(grammar: Language, text: bytes) -> Explanation:
    """Return why `text` is or is not in the language. Cost: linear in the text.

    Raises GrammarTooLargeError as `Grammar.accepts` does.
    """
    with grammar.lock:
        terms = grammar.terms
        offset, term = _walk(terms, grammar.start, text)
        if offset == len(text) and terms.nullable(term):
            return Explanation(True, offset, "", (), (), "the text is in the language")
        expected = next_texts(terms, term)
        if grammar.schema is None:
            sentence = _plain_sentence(text, offset, expected)
            return Explanation(False, offset, "", (), expected, sentence)
        found = _Finding(*grammar.schema, text, offset, term)
        return Explanation(False, offset, *found.pointers(), expected, found.sentence(expected))


def _walk(terms: Terms, term: int, text: bytes) -> tuple[int, int]:
    """Return how many bytes stay in the language, and the term after them."""
    for offset, byte in enumerate(text):
        after = terms.step(term, byte)
        if after == terms.EMPTY:
            return offset, term
        term = after
    return len(text), term


def _plain_sentence(text: bytes, offset: int, expected: tuple[str, ...]) -> str:
    if offset == len(text):
        return "the text is cut short; more must follow"
    got = _character(text, offset)
    if expected == (END,):
        return f"the text is complete here; {got} cannot follow"
    return f"{got} cannot stand here"


class Position(Enum):
    """Where in a JSON text its beginning ends."""

    VALUE = "before a value"
    INSIDE = "in a string, a number or a word"
    NAME = "before a name"
    IN_NAME = "in a name"
    COLON = "between a name and its value"
    AFTER = "in an array or object"
    END = "after the whole value"


@dataclass
class _Frame:
    """An array or object that is open; `written` has the scalar members and None for others."""

    is_array: bool
    index: int = 0
    name: str | None = None
    written: dict[str, bytes | None] = field(default_factory=dict)


class _Scan:
    """The beginning of a JSON text: the containers that are open and the place in the last one."""

    def __init__(self, text: bytes) -> None:
        self.frames: list[_Frame] = []
        self.position = Position.VALUE
        self.token = b""
        for match in _TOKEN.finditer(text):
            self._read(match.group(), at_end=match.end() == len(text))

    def _read(self, token: bytes, *, at_end: bool) -> None:
        if token in (b"[", b"{"):
            self._note(None)
            self.frames.append(_Frame(token == b"["))
            self.position = Position.VALUE if token == b"[" else Position.NAME
        elif token in (b"]", b"}"):
            self.frames.pop()
            self._finish_value()
        elif token == b",":
            frame = self.frames[-1]
            frame.index += 1
            frame.name = None
            self.position = Position.VALUE if frame.is_array else Position.NAME
        elif token == b":":
            self.position = Position.VALUE
        else:
            self.read_scalar(token, is_open=at_end and not _is_closed(token))

    def read_scalar(self, token: bytes, *, is_open: bool) -> None:
        """Take a string, number or word; an open one may go on after the text."""
        self.token = token
        if self.position is Position.NAME:
            self.position = Position.IN_NAME if is_open else Position.COLON
            if not is_open:
                self.frames[-1].name = json.loads(token)
        elif is_open:
            self.position = Position.INSIDE
        else:
            self._note(token)
            self._finish_value()

    def _note(self, token: bytes | None) -> None:
        if self.frames and self.frames[-1].name is not None:
            self.frames[-1].written[self.frames[-1].name] = token

    def _finish_value(self) -> None:
        self.position = Position.AFTER if self.frames else Position.END

    def path(self) -> list[_Frame]:
        """Return the frames that lead to the value in question, the last one without its own."""
        about_value = (Position.VALUE, Position.INSIDE, Position.COLON, Position.END)
        return self.frames if self.position in about_value else self.frames[:-1]


def _is_closed(token: bytes) -> bool:
    """Return whether nothing can be added to a token that is the last of a text."""
    if token.startswith(b'"'):
        body = token[1:]
        escapes = len(body[:-1]) - len(body[:-1].rstrip(b"\\"))
        return body.endswith(b'"') and escapes % 2 == 0
    return token in (b"null", b"true", b"false")


class _Finding:
    """The end of the viable part of a JSON text, seen from the schema."""

    def __init__(
        self, language: JsonLanguage, root: int, text: bytes, offset: int, term: int
    ) -> None:
        self.language, self.root = language, root
        self.graph, self.terms = language.graph, language.terms
        self.text, self.offset = text, offset
        self.next = text[offset : offset + 1]
        self.scan = _Scan(text[:offset])
        self._settle(term)
        self.nodes = self._nodes(self.scan.path())
        if not self.nodes and self.scan.position is Position.VALUE and self.scan.frames:
            # no item at all may stand here, so it is about the array
            self.scan.position = Position.AFTER
            self.nodes = self._nodes(self.scan.path())

    def _settle(self, term: int) -> None:
        """Let a number end, and an empty array begin to end, where the next byte asks for that."""
        scan = self.scan
        if scan.position is Position.VALUE and self.next == b"]":
            if scan.frames and scan.frames[-1].is_array and not scan.frames[-1].index:
                scan.position = Position.AFTER
        elif scan.position is Position.INSIDE and not scan.token.startswith(b'"'):
            ends = self.next in (b"", b",", b"]", b"}") or self.next in _BLANK
            may_end = any(self.terms.step(term, byte) for byte in b",]}" + _BLANK)
            if ends and (may_end or self.terms.nullable(term)):
                scan.read_scalar(scan.token, is_open=False)

    def pointers(self) -> tuple[str, tuple[str, ...]]:
        """Return the JSON pointer of the value and the pointers of its places in the schema."""
        parts = (f.index if f.is_array else f.name for f in self.scan.path())
        found = (p for n in self.nodes if n != self.graph.TRUE for p in self.graph.pointers(n))
        return child_pointer("", *parts), tuple(dict.fromkeys(found))

    def _nodes(self, path: list[_Frame]) -> list[int]:
        """Return the nodes that the value at the end of a path may have to belong to."""
        nodes = [self.root]
        for frame in path:
            below = (self._below(shape, frame) for n in nodes for shape in self._fitting(n, frame))
            nodes = [n for n in dict.fromkeys(below) if self._has_value(n)]
        return nodes

    def _has_value(self, node: int) -> bool:
        return self.language.productive.length(node) < INFINITE

    def _fitting(self, node: int, frame: _Frame) -> Iterator[ArrayShape | ObjectShape]:
        """Yield the shapes of a node that what was written in a container does not rule out."""
        shapes = self.graph.shapes(node)
        if frame.is_array:
            yield from shapes.arrays
        for shape in () if frame.is_array else shapes.objects:
            members = frame.written.items()
            if all(self._fits(self._member(shape, name), token) for name, token in members):
                yield shape

    def _fits(self, node: int, token: bytes | None) -> bool:
        if not self._has_value(node) or token is None:
            return self._has_value(node)
        shapes: Shapes = self.graph.shapes(node)
        if token.startswith(b'"'):
            return self.terms.accepts(shapes.strings, token[1:-1])
        if token in (b"true", b"false"):
            return (token == b"true") in shapes.booleans
        numbers = (self.language.numbers.term(n) for n in shapes.numbers)
        return (
            shapes.null if token == b"null" else any(self.terms.accepts(n, token) for n in numbers)
        )

    def _below(self, shape: ArrayShape | ObjectShape, frame: _Frame) -> int:
        if isinstance(shape, ArrayShape):
            return shape.item(frame.index)
        return self._member(shape, frame.name or "")

    def _member(self, shape: ObjectShape, name: str) -> int:
        layout = self.language.productive.layout(shape)
        if name in layout.index:
            return layout.nodes[layout.index[name]]
        node = self.graph.TRUE
        for rule in shape.rules:
            if rule.keys.name is None and covers(self.terms, rule.keys, name):
                node = self.graph.conjunction(node, rule.node)
        return node

    def sentence(self, expected: tuple[str, ...]) -> str:
        """Return one sentence about what is wrong at the offset."""
        if not self.next:
            return f"the text is cut short {self.scan.position.value}; {self._cut_short()}"
        got = _character(self.text, self.offset)
        if self.scan.position not in (Position.INSIDE, Position.IN_NAME):
            if self.next in _BLANK:
                return "white space cannot stand here in this style"
            if all(way == BLANK or way.startswith(" ") for way in expected):
                return f"the style writes white space before {got}"
        position = self.scan.position
        if position in (Position.VALUE, Position.INSIDE):
            return f"{self._told()} is not allowed here; {self._wanted()}"
        if position is Position.END:
            return f"the value is complete here; {got} cannot follow"
        if position is Position.COLON:
            return f"a colon is expected after a name, not {got}"
        return self._in_container(got)

    def _cut_short(self) -> str:
        if self.scan.position in (Position.VALUE, Position.INSIDE, Position.COLON):
            return self._wanted()
        return self._missing() or "more must follow"

    def _wanted(self) -> str:
        words = Words(self.language)
        phrases = list(dict.fromkeys(words.phrase(node) for node in self.nodes))
        alike = " (the items of this array must all differ)" if self._unique() else ""
        return f"expected is {shortened(phrases, ' or ')}{alike}"

    def _unique(self) -> bool:
        frames = self.scan.frames
        if not frames or not frames[-1].is_array:
            return False
        arrays = (a for n in self._nodes(frames[:-1]) for a in self._fitting(n, frames[-1]))
        return any(isinstance(a, ArrayShape) and a.unique for a in arrays)

    def _told(self) -> str:
        """Return the value at the offset as the text has it, shortened."""
        inside = self.scan.position is Position.INSIDE
        start = self.offset - len(self.scan.token) * inside
        match = _TOKEN.match(self.text, start)
        token = match.group() if match else self.text[start : start + 1]
        if token in (b"[", b"{"):
            return "an array" if token == b"[" else "an object"
        if len(token) > _MOST_TOKEN:
            token = token[: _MOST_TOKEN - 3] + b"..."
        return token.decode(errors="replace")

    def _in_container(self, got: str) -> str:
        frame, position = self.scan.frames[-1], self.scan.position
        kind, part = ("array", "item") if frame.is_array else ("object", "member")
        if self.next in (b"]", b"}") and position is not Position.IN_NAME:
            why = self._missing()
            return f"the {kind} cannot end here" + (f"; {why}" if why else "")
        name = None if frame.is_array else self._name()
        if name is not None and (position is not Position.AFTER or not self._is_known(name)):
            return f"the name {quoted_name(name)} {self._about_name(frame, name)}"
        if position is Position.AFTER:
            if self.next == b"," or self._is_first(frame):
                return f"no {part} can stand here in this {kind}"
            return f"{got} cannot follow a value in an {kind}"
        if position is Position.NAME:
            return f"a name is expected here, not {got}"
        return f"a name cannot go on with {got} here"

    def _name(self) -> str | None:
        """Return the whole name at the offset or after a comma there, None if there is none."""
        start = self.offset - len(self.scan.token) * (self.scan.position is Position.IN_NAME)
        match = re.compile(rb',?\s*("(?:[^"\\]|\\.)*")', re.DOTALL).match(self.text, start)
        try:
            return str(json.loads(match.group(1))) if match else None
        except ValueError:
            return None

    def _is_known(self, name: str) -> bool:
        return any(self._has_value(self._member(shape, name)) for shape in self._open_objects())

    def _about_name(self, frame: _Frame, name: str) -> str:
        if name in frame.written:
            return "is in this object already"
        if self._is_known(name):
            style = "; the style keeps the order of the schema" if self.language.in_order else ""
            return f"cannot stand at this place{style}"
        layouts = (self.language.productive.layout(shape) for shape in self._open_objects())
        pairs = (pair for o in layouts for pair in zip(o.names, o.nodes, strict=True))
        names = dict.fromkeys(name for name, node in pairs if self._has_value(node))
        known = [shown_name(name) for name in names if name not in frame.written]
        return "is not allowed here" + (f"; names are {shortened(known, ', ')}" if known else "")

    def _open_objects(self) -> list[ObjectShape]:
        frame = self.scan.frames[-1]
        shapes = (s for node in self.nodes for s in self._fitting(node, frame))
        return [shape for shape in shapes if isinstance(shape, ObjectShape)]

    def _missing(self) -> str:
        """Return what the container still needs, as far as the shapes that fit agree on it."""
        if not self.scan.frames:
            return ""
        frame = self.scan.frames[-1]
        if frame.is_array:
            arrays = [a for n in self.nodes for a in self._fitting(n, frame)]
            least = min((a.low for a in arrays if isinstance(a, ArrayShape)), default=0)
            written = 0 if self._is_first(frame) else frame.index + 1
            return f"it must have{amount(least, None, 'item')[3:]}" if written < least else ""
        objects = self._open_objects()
        shared = frozenset.intersection(*(o.required for o in objects)) if objects else frozenset()
        left = [shown_name(name) for name in sorted(shared - frame.written.keys())]
        if left:
            return f"still required: {shortened(left, ', ')}"
        least = min((o.low for o in objects), default=0)
        few = len(frame.written) < least
        return f"it must have{amount(least, None, 'member')[3:]}" if few else ""

    def _is_first(self, frame: _Frame) -> bool:
        """Return whether an array has no item yet."""
        return self.text[: self.offset].rstrip(_BLANK).endswith(b"[") and frame.index == 0


def _character(text: bytes, offset: int) -> str:
    """Return the character at or around an offset, in quotes that JSON does not use."""
    start = offset
    while start > max(offset - 3, 0) and text[start] & 0xC0 == 0x80:
        start -= 1
    character = text[start : start + 4].decode(errors="replace")[0]
    return f"`{character}`" if character.isprintable() else f"U+{ord(character):04X}"
