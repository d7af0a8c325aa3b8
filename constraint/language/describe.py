"""A grammar in words: what each place allows, and what may follow a text, in short lines.

A value that needs no more than a phrase is told where it stands; one with members or items gets a
paragraph of its own under the pointer of its schema, and is named by that pointer everywhere else.
So recursion ends in names. Places come breadth first, each once, up to a limit that is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fractions import Fraction

from ..schema.shapes import ArrayShape, ObjectShape, Shapes
from ..terms.arena import Kind
from ..terms.shortest import INFINITE
from ..terms.terms import Terms
from ..text.number_set import Bound, NumberSet
from .json_language import JsonLanguage

MOST_PLACES = 40
MOST_PARTS = 20
MOST_CHOICES = 8
MOST_TEXT = 40
MOST_HOPS = 8
REGEX_WORDS = "a text that matches the regular expression from its first to its last character"
END, BLANK, OTHERS = "end of text", "white space", "non-ASCII characters"
_BESIDE_REF = {"title", "description", "$comment", "default", "examples", "deprecated"}
_CLASSES = (b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
_PRINTABLE = frozenset(range(0x21, 0x7F)) - set(b'"\\')


def describe(language: JsonLanguage, root: int) -> tuple[str, ...]:
    """Return lines about every place that a value of `root` can lead to; nested ones are indented.

    Schemas are named as `$ref` would (`#/$defs/node`). Cost: linear in the lines.
    """
    words = Words(language)
    lines: list[str] = []
    words.name(root)
    for count, node in enumerate(words.queue):
        if count >= MOST_PLACES:
            lines.append(f"(only the first {MOST_PLACES} places are described)")
            break
        lines.extend(words.paragraph(node))
    return tuple(lines)


class Words:
    """Phrases for the nodes of one language; `queue` has the nodes that were named, in order."""

    def __init__(self, language: JsonLanguage) -> None:
        self.language = language
        self.graph = language.graph
        self.terms = language.terms
        self.productive = language.productive
        self.shortest = language.productive.shortest
        self.queue: list[int] = []
        self._names: dict[Shapes, str] = {}
        self._taken: set[str] = set()

    def name(self, node: int) -> str:
        """Return the name of a place; nodes with the same normal form share one."""
        shapes = self.graph.shapes(node)
        found = self._names.get(shapes)
        if found is None:
            found = self._names[shapes] = self._new_name(node)
            self.queue.append(node)
        return found

    def _new_name(self, node: int) -> str:
        pointers = dict.fromkeys(self._reference(p) for p in self.graph.pointers(node))
        base = name = shortened(list(pointers), " and ", most=3) or "a combination"
        number = 1
        while name in self._taken:
            number += 1
            name = f"{base} ({number})"
        self._taken.add(name)
        return name

    def _reference(self, pointer: str) -> str:
        """Return the name of a pointer: where a bare `$ref` leads, else the pointer itself."""
        name = pointer if pointer and not pointer.startswith("/") else f"#{pointer}"
        for _ in range(MOST_HOPS):
            schema = self._at(name)
            if not isinstance(schema, dict) or schema.keys() - _BESIDE_REF != {"$ref"}:
                break
            if self._at(schema["$ref"]) is None:
                break
            name = schema["$ref"]
        return name

    def _at(self, reference: object) -> object:
        """Return the schema of a `#/...` in the document, None where an `$id` lies on the way."""
        if not isinstance(reference, str) or not (reference + "/").startswith("#/"):
            return None
        here: object = self.graph.source.root.schema
        for part in reference.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(here, list) and key.isdecimal() and int(key) < len(here):
                here = here[int(key)]
            else:
                here = here.get(key) if isinstance(here, dict) else None
            if isinstance(here, dict) and isinstance(here.get("$id"), str):
                return None
        return here

    def paragraph(self, node: int) -> Iterator[str]:
        """Yield the lines about one place."""
        shapes = self.graph.shapes(node)
        yield f"{self.name(node)}: {self.phrase(node)}"
        parts = [(self._array_head(a), list(self._array_lines(a))) for a in self._arrays(shapes)]
        parts += [(object_head(o), list(self._object_lines(o))) for o in self._objects(shapes)]
        parts = [(head, lines) for head, lines in parts if lines]
        for head, lines in parts[:MOST_CHOICES]:
            if len(parts) > 1:
                yield f"  as {head}:"
            yield from (f"  {'  ' * (len(parts) > 1)}{line}" for line in lines)
        if len(parts) > MOST_CHOICES:
            yield f"  ({len(parts) - MOST_CHOICES} more forms)"

    def phrase(self, node: int) -> str:
        """Return the values of a node without what is inside of them."""
        if node == self.graph.TRUE:
            return "any value"
        if self.productive.length(node) >= INFINITE:
            return "never"
        shapes = self.graph.shapes(node)
        if shapes == self.graph.everything:
            return "any value"
        return shortened(list(dict.fromkeys(self._choices(shapes))), " or ")

    def _choices(self, shapes: Shapes) -> Iterator[str]:
        if shapes.null:
            yield "null"
        if shapes.booleans:
            both = len(shapes.booleans) == 2
            yield "a boolean" if both else str(*shapes.booleans).lower()
        living = (n for n in shapes.numbers if not n.is_void())
        yield from (number_phrase(n) for n in living if self.language.numbers.term(n))
        if not self.terms.is_empty(shapes.strings):
            yield from self._strings(shapes.strings)
        yield from (self._array_head(shape) for shape in self._arrays(shapes))
        yield from (object_head(shape) for shape in self._objects(shapes))

    def _arrays(self, shapes: Shapes) -> list[ArrayShape]:
        return [a for a in shapes.arrays if self.productive.array_length(a) < INFINITE]

    def _objects(self, shapes: Shapes) -> list[ObjectShape]:
        return [o for o in shapes.objects if self.productive.object_length(o) < INFINITE]

    def inline(self, node: int) -> str:
        """Return a phrase for a node, with the name of its place if there is more to say."""
        phrase = self.phrase(node)
        if phrase in ("any value", "never"):
            return phrase
        shapes = self.graph.shapes(node)
        more = any(a != ArrayShape((), self.graph.TRUE) for a in self._arrays(shapes))
        if more or any(shape != ObjectShape() for shape in self._objects(shapes)):
            return f"{phrase}, see {self.name(node)}"
        return phrase

    def _strings(self, body: int) -> Iterator[str]:
        few = self._few_texts(body)
        if few is not None:
            yield from dict.fromkeys(map(_quoted, few))
            return
        any_char = self.language.text.alphabet.any_char
        node = self.terms.nodes[body]
        members = node[1] if node[0] == Kind.INTERSECT else (body,)
        counted = [m for m in members if self.terms.nodes[m][:2] == (Kind.REPEAT, any_char)]
        phrase = "a string"
        if counted:
            low = max(self.terms.nodes[m][2] for m in counted)
            highs = [self.terms.nodes[m][3] for m in counted if self.terms.nodes[m][3] is not None]
            phrase += amount(low, min(highs, default=None), "character")
        yield phrase if len(counted) == len(members) else phrase + self._limited(body)

    def _limited(self, body: int) -> str:
        if self.shortest.length(body) > MOST_TEXT:
            return " of a limited form"
        return f" of a limited form, such as {_quoted(self.shortest.text(body))}"

    def _few_texts(self, body: int) -> list[bytes] | None:
        """Return the texts of a body if they are few and short, else None."""
        found: list[bytes] = []
        open_ = [(body, b"")]
        while open_:
            term, text = open_.pop()
            found += [text] if self.terms.nullable(term) else []
            row = self.terms.row(term)
            pending = len(found) + len(open_) + sum(mask.bit_count() for mask, _ in row)
            if pending > MOST_CHOICES or len(text) > MOST_TEXT:
                return None
            for mask, successor in reversed(row):
                bytes_ = (bytes([b]) for b in reversed(range(256)) if mask >> b & 1)
                open_.extend((successor, text + byte) for byte in bytes_)
        return sorted(found, key=lambda t: (len(t), t))

    def _array_head(self, shape: ArrayShape) -> str:
        alike = ", all different" if self.productive.has_distinct_items(shape) else ""
        return "an array" + amount(shape.low, self._high(shape), "item") + alike

    def _high(self, shape: ArrayShape) -> int | None:
        most = self.productive.most_items(shape)
        return None if most >= INFINITE else most

    def _array_lines(self, shape: ArrayShape) -> Iterator[str]:
        most, count = self.productive.most_items(shape), len(shape.prefix)
        for index, node in enumerate(shape.prefix[: min(most, MOST_PARTS)]):
            yield f"item {index}: {self.inline(node)}"
        if min(most, count) > MOST_PARTS:
            yield f"({min(most, count) - MOST_PARTS} more items)"
        if most > count and (count or shape.rest != self.graph.TRUE):
            yield f"{'further items' if count else 'each item'}: {self.inline(shape.rest)}"
        for each in shape.counts:
            since = f" from item {each.start} on" if each.start else ""
            number = amount(each.low, each.high, "item").removeprefix(" of ")
            node = self.graph.conjunction(shape.item(each.start), each.node)
            yield f"{number}{since}: {self.inline(node)}"

    def _object_lines(self, shape: ObjectShape) -> Iterator[str]:
        layout = self.productive.layout(shape)
        if shape.required:
            names = [name for name in layout.names if name in shape.required]
            yield f"required: {shortened([shown_name(n) for n in names], ', ', MOST_PARTS)}"
        members = list(zip(layout.names, layout.nodes, strict=True))
        for name, node in members[:MOST_PARTS]:
            yield f"{shown_name(name)}: {self.inline(node)}"
        if len(members) > MOST_PARTS:
            yield f"({len(members) - MOST_PARTS} more names)"
        yield from self._other_names(shape)
        for index in range(len(shape.exists)):
            bearers = zip(
                (*layout.cell_carries, *layout.carries),
                (*layout.cell_nodes, *layout.nodes),
                strict=True,
            )
            nodes = [
                layout.carrying(node, 1 << index) for bits, node in bearers if bits >> index & 1
            ]
            if nodes:
                yield f"at least 1 member: {self.inline(nodes[0])}"

    def _other_names(self, shape: ObjectShape) -> Iterator[str]:
        """Yield what holds for the names that are not listed, by kind if there are several."""
        layout = self.productive.layout(shape)
        alone = len(layout.cells) == 1 and not any(r.keys.inside for r in shape.rules)
        living = [
            (cell, node)
            for cell, node in zip(layout.cells, layout.cell_nodes, strict=True)
            if self.productive.length(node) < INFINITE
        ]
        if not living:
            yield "other names: never"
        for cell, node in living[:MOST_CHOICES] if not alone else []:
            example = self.shortest.text(cell.plain).decode()
            yield f"other names such as {quoted_name(example)}: {self.inline(node)}"
        if living and alone and (living[0][1] != self.graph.TRUE or layout.names):
            yield f"other names: {self.inline(living[0][1])}"


def shortened(parts: list[str], joint: str, most: int = MOST_CHOICES) -> str:
    """Join the first parts and say how many there are more; the last joint alone if it is a word.

    `null, true or 3` for three parts and " or ".
    """
    shown = parts[:most]
    if len(parts) > most:
        shown.append(f"{len(parts) - most} more")
    comma = ", " if joint.strip().isalpha() else joint
    return joint.join((comma.join(shown[:-1]), shown[-1])) if len(shown) > 1 else "".join(shown)


def amount(low: int, high: int | None, what: str) -> str:
    """Return how many there may be: ` of 2 to 5 items`, nothing if any number may."""
    if high is None:
        return f" of at least {_number_of(low, what)}" if low else ""
    if low == high:
        return f" of exactly {_number_of(low, what)}"
    return (
        f" of {low} to {_number_of(high, what)}" if low else f" of at most {_number_of(high, what)}"
    )


def _number_of(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def object_head(shape: ObjectShape) -> str:
    """Return the phrase for an object without its names."""
    return "an object" + amount(shape.low, shape.high, "member")


def number_phrase(numbers: NumberSet) -> str:
    """Return the phrase for a set of numbers; one number is told as such."""
    low, high, step, avoid = numbers
    if low is not None and low == high:
        return f"{low.value:f}" if abs(low.value) < 10**MOST_TEXT else str(low.value)
    words = "an integer" if step == 1 else "a number"
    words += _between(low, high)
    if step not in (None, 1):
        words += f", a multiple of {_decimal(step)}"
    others = (
        f", not {'whole' if s == 1 else f'a multiple of {_decimal(s)}'}" for s in sorted(avoid)
    )
    return words + "".join(others)


def _between(low: Bound | None, high: Bound | None) -> str:
    if low and high and low.closed and high.closed:
        return f" from {low.value} to {high.value}"
    ends: list[str] = []
    if low:
        ends.append(f"{'of at least' if low.closed else 'above'} {low.value}")
    if high:
        ends.append(f"{'of at most' if high.closed else 'below'} {high.value}")
    return " " + " and ".join(ends) if ends else ""


def _decimal(step: Fraction | None) -> str:
    """Return a step of a decimal schema in decimal digits, which it always has."""
    step = step or Fraction(0)
    digits = 0
    while (step * 10**digits).denominator != 1:
        digits += 1
    whole = f"{int(step * 10**digits):0{digits + 1}d}"
    return f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole


def shown_name(name: str) -> str:
    """Return a name bare if nobody can mistake where it ends, else in quotes."""
    return name if name.isidentifier() and len(name) <= MOST_TEXT else quoted_name(name)


def quoted_name(name: str) -> str:
    """Return a name as a JSON string, shortened."""
    text = name if len(name) <= MOST_TEXT else name[: MOST_TEXT - 3] + "..."
    return json.dumps(text, ensure_ascii=False)


def _quoted(body: bytes) -> str:
    """Return a string as JSON text from one of its spellings."""
    return json.dumps(json.loads(b'"' + body + b'"'), ensure_ascii=False)


def next_texts(terms: Terms, term: int) -> tuple[str, ...]:
    """Return what may follow: texts as far as they are forced, ranges of bytes, `END`."""
    ways = _ways(terms, term)
    missing = " ".join(chr(byte) for byte in sorted(_PRINTABLE - ways.keys()))
    if len(missing) < 2 * MOST_CHOICES:
        found = [f"any character{' but ' * bool(missing)}{missing}"]
        found += ['"'] * (ord('"') in ways)
    else:
        found = list(_listed(terms, ways))
    found = found[:MOST_CHOICES] + ["..."] * (len(found) > MOST_CHOICES)
    return (*found, END) if terms.nullable(term) else tuple(found)


def _listed(terms: Terms, ways: dict[int, int]) -> Iterator[str]:
    groups = [(f"{run[0]:c}-{run[-1]:c}", run) for run in _ranges(ways)]
    for name, members in ((OTHERS, bytes(range(0x80, 0x100))), (BLANK, b" \t\r\n")):
        some = bytes(byte for byte in members if byte in ways)
        groups += [(name, some)] * (len(some) > 1)
    grouped = {byte for _, run in groups for byte in run}
    singles = [(bytes([byte]), after) for byte, after in ways.items() if byte not in grouped]
    yield from (text.decode(errors="ignore") or OTHERS for text in _forced(terms, singles))
    yield from (name for name, _ in groups)


def _ways(terms: Terms, term: int) -> dict[int, int]:
    """Return the successor by each byte that may follow."""
    if terms.begins_with_capture(term):
        stepped = ((byte, terms.step(term, byte)) for byte in range(256))
        return {byte: successor for byte, successor in stepped if successor != terms.EMPTY}
    row = terms.row(term)
    return {byte: s for byte in range(256) for mask, s in row if mask >> byte & 1}


def _ranges(ways: Iterable[int]) -> Iterator[bytes]:
    """Yield runs of at least three digits or letters."""
    for letters in _CLASSES:
        shown = bytes(byte if byte in ways else 0 for byte in letters)
        yield from (run for run in shown.split(b"\0") if len(run) > 2)


def _forced(terms: Terms, open_: list[tuple[bytes, int]]) -> Iterator[bytes]:
    """Yield texts prolonged as far as nothing else may follow; a string is told whole."""
    done = 0
    while open_:
        text, term = open_.pop(0)
        stop = terms.nullable(term) or len(text) >= MOST_TEXT or terms.begins_with_capture(term)
        ways = {} if stop else _ways(terms, term)
        few = text.count(b'"') == 1 and done + len(open_) + len(ways) <= MOST_CHOICES
        if ways and (len(ways) == 1 or few):
            open_[:0] = [(text + bytes([byte]), after) for byte, after in ways.items()]
        else:
            done += 1
            yield text
