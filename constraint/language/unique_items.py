"""Arrays whose items differ: the values that were written are part of the state.

Items are scalars here (null, booleans, numbers, strings), so the language of the next item is a
regular one less the spellings of the values that are taken, and whether an item is left is decided
like any emptiness. An item is captured up to the comma or bracket after it; then its value is
known.

Where few values are possible, an item must not take the last value that a later, required item
needs. Later items with few values are matched with values of their own (bipartite matching by
augmenting paths), and a value without which no matching exists is not offered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from ...schemas.errors import UnsupportedGrammarError
from ..schema.graph import SchemaGraph
from ..schema.shapes import ArrayShape, Shapes
from ..terms.arena import EVERY_BYTE
from ..terms.shortest import INFINITE, Shortest
from ..text.json_text import JsonText
from ..text.numbers import NumberSet, NumberText, point
from ..text.style import TextStyle
from .name_languages import MOST_NAMES, few_names

Scalar: TypeAlias = tuple[Any, ...]
_EXPONENT = 1 << ord("e") | 1 << ord("E")


class Distinct(NamedTuple):
    """A place in an array: items written (capped where more makes no difference), their values."""

    position: int
    taken: frozenset[Scalar]


class Closing(NamedTuple):
    """The key of a captured item: the place before it, and whether the array ends after it."""

    before: Distinct
    last: bool


class UniqueItems:
    """One array shape with distinct items; the owner of its references and captures.

    Raises UnsupportedGrammarError if an item may be an array or an object.
    """

    def __init__(
        self,
        graph: SchemaGraph,
        shape: ArrayShape,
        text: JsonText,
        numbers: NumberText,
        shortest: Shortest,
    ) -> None:
        self.graph, self.shape, self.text = graph, shape, text
        self.numbers, self.shortest = numbers, shortest
        self.terms = graph.terms
        if shape.counts:
            raise UnsupportedGrammarError("uniqueItems", "not together with contains")
        self._few = {node: self._few_values(node) for node in {*shape.prefix, shape.rest}}
        self._comma = shortest.length(text.comma)
        # Of a number that is taken every plain spelling goes (1, 1.0, -0), so none has an exponent.
        self._spellings = NumberText(graph.terms, TextStyle(escapes="any"))
        self._plain = graph.terms.repeat(graph.terms.byte_set(EVERY_BYTE & ~_EXPONENT), 1, None)
        self._expanded: dict[Distinct, int] = {}
        self._lengths: dict[Distinct, int] = {}

    @property
    def start(self) -> Distinct:
        """The place before the first item."""
        return Distinct(0, frozenset())

    def _few_values(self, node: int) -> frozenset[Scalar] | None:
        """Return all values of a node, None if there are many."""
        shapes = self.graph.shapes(node)
        if (
            not all(self.graph.is_void(Shapes(arrays=(a,))) for a in shapes.arrays)
            or shapes.objects
        ):
            raise UnsupportedGrammarError(
                "uniqueItems",
                "items that may be arrays or objects are not told apart yet",
                pointer=(self.graph.pointers(node) or ("",))[0],
            )
        plain = self.graph.plain_shapes(node).strings
        names = few_names(self.terms, plain) if plain else []
        counted = [_whole_numbers(numbers) for numbers in shapes.numbers]
        if names is None or None in counted:
            return None
        values: set[Scalar] = {("string", name) for name in names}
        values.update(("number", number) for found in counted for number in found or ())
        values.update(("boolean", truth) for truth in shapes.booleans)
        return frozenset(values | ({("null",)} if shapes.null else set()))

    def _item(self, at: Distinct, without: frozenset[Scalar]) -> int:
        """Return the texts of the next item, `without` some values beside those that are taken."""
        node = self.shape.item(at.position)
        shapes, terms = self.graph.shapes(node), self.terms
        taken = at.taken | without | self._reserved(at)
        literals: list[tuple[bytes, Scalar, bool]] = [(b"null", ("null",), shapes.null)]
        literals += [(b"true", ("boolean", True), True in shapes.booleans)]
        literals += [(b"false", ("boolean", False), False in shapes.booleans)]
        parts = [terms.literal(t) for t, value, there in literals if there and value not in taken]
        numbers = terms.union(self.numbers.term(n) for n in shapes.numbers)
        spelled = [self._spellings.term(point(_decimal(v[1]))) for v in _of(taken, "number")]
        parts.append(self._less(terms.intersect((numbers, self._plain)), spelled))
        bodies = [self.text.body(v[1]) for v in _of(taken, "string")]
        if shapes.strings:
            parts.append(self.text.string(self._less(shapes.strings, bodies)))
        return terms.union(parts)

    def _less(self, language: int, without: list[int]) -> int:
        terms = self.terms
        if language == terms.EMPTY:
            return language
        rest = terms.intersect((language, terms.complement(terms.union(without))))
        return terms.EMPTY if terms.is_empty(rest) else terms.lexeme(rest)

    def _reserved(self, at: Distinct) -> frozenset[Scalar]:
        """Return the values that the items still required cannot do without."""
        later = self._later(at.position + 1)
        scarce = frozenset(value for values in later for value in values) - at.taken
        return frozenset(v for v in scarce if not _can_differ(later, at.taken | {v}))

    def _later(self, position: int) -> list[frozenset[Scalar]]:
        """Return the values of the required items from `position` on that have few."""
        found = (self._few[self.shape.item(i)] for i in range(position, self.shape.low))
        return [values for values in found if values is not None]

    def may_begin(self) -> bool:
        """Return whether the required items can differ from each other at all."""
        if self.shape.low > MOST_NAMES and self._few[self.shape.rest] is None:
            return True
        return _can_differ(self._later(0), frozenset())

    def expand(self, key: Distinct) -> int:
        """Return the next item, captured, with what follows it, or the bracket of no items."""
        found = self._expanded.get(key)
        if found is None:
            found = self._expanded[key] = self._build(key)
        return found

    def _build(self, at: Distinct) -> int:
        terms, gap, parts = self.terms, self.text.gap, []
        if at.position == 0 and self.shape.low == 0:
            parts.append(terms.literal(b"]"))
        if at.position + 1 >= self.shape.low:
            end = terms.concat(self._item(at, frozenset()), gap, terms.literal(b"]"))
            parts.append(self._captured(end, Closing(at, last=True)))
        needed = self._needed_next(at)
        if needed is not None:
            more = terms.concat(self._item(at, needed), gap, terms.literal(b","))
            parts.append(self._captured(more, Closing(at, last=False)))
        return terms.union(parts)

    def _captured(self, head: int, key: Closing) -> int:
        return head if head == self.terms.EMPTY else self.terms.capture(head, self, key)

    def _needed_next(self, at: Distinct) -> frozenset[Scalar] | None:
        """Return the values to leave for an item after the next one, None if none can follow."""
        after = at.position + 1
        if self.shape.high is not None and after >= self.shape.high:
            return None
        few = self._few[self.shape.item(after)]
        if few is None:
            return frozenset()
        left = few - at.taken
        return None if not left else left if len(left) == 1 else frozenset()

    def finish(self, key: Closing, text: bytes | None) -> int:
        """Return what follows an item: nothing, or the next one."""
        if key.last:
            return self.terms.EPSILON
        assert text is not None
        value = _value(text[:-1])
        before = key.before
        after = Distinct(before.position + 1, before.taken | {value})
        later = self.terms.reference(self, after, nullable=False, certain=True)
        return self.terms.concat(self.text.after_comma, later)

    def blocked(self, key: Closing, text: bytes) -> tuple[bytes, ...] | None:
        """Return None: what follows depends on every text."""
        return None

    def min_length(self, key: Distinct) -> int:
        """Return the length of a shortest rest, taking a shortest item each time."""
        found = self._lengths.get(key)
        if found is None:
            found = self._lengths[key] = self._measure(key)
        return found

    def _measure(self, at: Distinct) -> int:
        length = 1
        while at.position < self.shape.low or (length == 1 and at.position):
            last = at.position + 1 >= self.shape.low
            needed = frozenset() if last else self._needed_next(at)
            item = self.terms.EMPTY if needed is None else self._item(at, needed)
            if self.terms.is_empty(item):
                return INFINITE
            text = self.shortest.text(item)
            length += len(text) + (0 if last else self._comma)
            at = Distinct(at.position + 1, at.taken | {_value(text)})
        return length


def _value(text: bytes) -> Scalar:
    """Return the value of the text of a scalar."""
    return scalar(json.loads(text, parse_float=Decimal, parse_int=Decimal))


def scalar(value: object) -> Scalar:
    """Return a JSON scalar (numbers as Decimal) in a form in which equal values are equal."""
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, Decimal):
        return ("number", Fraction(value))
    return ("string", value)


def _of(values: Iterable[Scalar], kind: str) -> list[Scalar]:
    return sorted((value for value in values if value[0] == kind), key=repr)


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def _whole_numbers(numbers: NumberSet) -> list[Fraction] | None:
    """Return the numbers of a set if they are few and regularly spaced, else None."""
    if numbers.is_void():
        return []
    if numbers.low is None or numbers.high is None:
        return None
    low, high = Fraction(numbers.low.value), Fraction(numbers.high.value)
    if low == high:
        return [low]
    step = numbers.step
    if step is None or (high - low) / step > MOST_NAMES:
        return None
    first = -(-low // step) * step
    found = [first + i * step for i in range(int((high - first) // step) + 1)]
    return [n for n in found if _inside(n, numbers)]


def _inside(number: Fraction, numbers: NumberSet) -> bool:
    return not numbers.intersect(point(_decimal(number))).is_void()


def _can_differ(wanted: list[frozenset[Scalar]], taken: frozenset[Scalar]) -> bool:
    """Return whether each set can give a value of its own, none of those taken."""
    owner: dict[Scalar, int] = {}

    def give(index: int, tried: set[Scalar]) -> bool:
        for value in wanted[index] - taken - tried:
            tried.add(value)
            if value not in owner or give(owner[value], tried):
                owner[value] = index
                return True
        return False

    return all(give(index, set()) for index in range(len(wanted)))
