"""Arrays whose items differ: the values that were written are part of the state.

The language of the next item is that of the schema less the spellings of the values that are taken,
and whether an item is left is decided like any emptiness. An item is captured up to the comma or
bracket after it; then its value is known. An array or object is captured whole; where its text
leaves those of the taken values, nothing is subtracted any more.

Where few values are possible, an item must not take the last value that a later, required item
needs. Later items with few values are matched with values of their own (bipartite matching by
augmenting paths), and a value without which no matching exists is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

from ...schemas.errors import GrammarTooLargeError, UnsupportedGrammarError
from ..schema.graph import SchemaGraph
from ..schema.shapes import ArrayShape, Shapes
from ..terms.shortest import INFINITE, Shortest
from ..text.json_text import JsonText, canonical_body
from ..text.number_set import point
from ..text.numbers import NumberText
from ..text.style import TextStyle
from .few_values import MANY, FewValues, Values, can_differ, scalars
from .name_languages import MOST_NAMES, is_endless
from .values import Comparable, ValueText, decimal, read_value


class Distinct(NamedTuple):
    """A place in an array: items written (capped where more makes no difference), their values."""

    position: int
    taken: frozenset[Comparable]


class Closing(NamedTuple):
    """The key of a captured item: the place before it, and whether the array ends after it."""

    before: Distinct
    last: bool


class Text(NamedTuple):
    """The key of a captured string of which any may be written but those that are taken.

    `more` tells whether another item may follow.
    """

    before: Distinct
    more: bool


def _many(node: int, number: int) -> Values:
    return MANY


class UniqueItems:
    """One array shape with distinct items; the owner of its references and captures.

    `settle` completes it before a text is written; after `loosen` instead it takes the same arrays,
    but begins some that have no end. Raises UnsupportedGrammarError together with `contains`.
    """

    def __init__(
        self,
        graph: SchemaGraph,
        shape: ArrayShape,
        text: JsonText,
        numbers: NumberText,
        shortest: Shortest,
        length: Callable[[int], int],
    ) -> None:
        self.graph, self.shape, self.text = graph, shape, text
        self.numbers, self.shortest, self.length = numbers, shortest, length
        self.terms = graph.terms
        if shape.counts:
            raise UnsupportedGrammarError(
                "uniqueItems", "not together with contains; drop one of them"
            )
        self._values: dict[int, Values] = {}
        self._count: Callable[[int, int], Values] = self._scalars
        self._containers: Callable[[int], int] = self._nothing
        self._spelled = ValueText(text)
        self._points = NumberText(graph.terms, TextStyle(escapes="any"), exponents=False)
        self._comma = shortest.length(text.comma)
        self._expanded: dict[Distinct, int] = {}
        self._lengths: dict[Distinct, int] = {}
        self._endless: dict[int, bool] = {}

    @property
    def start(self) -> Distinct:
        """The place before the first item."""
        return Distinct(0, frozenset())

    def settle(self, containers: Callable[[int], int], few: FewValues) -> None:
        """Give what is known once every part has a language: arrays and objects of a node, counts.

        Raises GrammarTooLargeError where counting the different items is too much work.
        """
        self.shortest.rough |= self.holds_containers
        self._containers, self._count = containers, few.counted
        self._values = {node: few.of(node) for node in {*self.shape.prefix, self.shape.rest}}

    def loosen(self, containers: Callable[[int], int]) -> None:
        """Take any different items without asking whether enough are left for later ones."""
        self._containers, self._count = containers, _many

    def _scalars(self, node: int, number: int) -> Values:
        return scalars(self.graph, node)

    def _nothing(self, node: int) -> int:
        return self.terms.EMPTY

    @cached_property
    def holds_containers(self) -> bool:
        """Return whether an item may be an array or an object."""
        nodes = {*self.shape.prefix[: self.shape.high], self.shape.rest}
        return any(not self._is_scalar(node) for node in nodes)

    def _is_scalar(self, node: int) -> bool:
        shapes, graph = self.graph.shapes(node), self.graph
        return not shapes.objects and all(
            graph.is_void(Shapes(arrays=(array,))) for array in shapes.arrays
        )

    def _few(self, position: int) -> frozenset[Comparable] | None:
        """Return all values of the item at a position, None if there are many."""
        node = self.shape.item(position)
        if node not in self._values:
            self._values[node] = self._count(node, 0)
        return self._values[node].few

    def _item(self, at: Distinct, without: frozenset[Comparable]) -> int:
        """Return the texts of the next item, `without` some values beside those that are taken."""
        node = self.shape.item(at.position)
        shapes, terms = self.graph.shapes(node), self.terms
        taken = at.taken | without | self._reserved(at)
        literals: list[tuple[bytes, Comparable, bool]] = [(b"null", ("null", None), shapes.null)]
        literals += [(b"true", ("boolean", True), True in shapes.booleans)]
        literals += [(b"false", ("boolean", False), False in shapes.booleans)]
        parts = [terms.literal(t) for t, value, there in literals if there and value not in taken]
        parts += self._numbers(shapes, _of(taken, "number"))
        bodies = [self.text.body(v[1]) for v in _of(taken, "string")]
        if shapes.strings:
            parts.append(self.text.string(self._less(shapes.strings, bodies)))
        parts.append(self._container(at.position, _of(taken, "array", "object")))
        return terms.union(parts)

    def _numbers(self, shapes: Shapes, taken: list[Comparable]) -> list[int]:
        """Return the numbers of an item less those that are taken, with and without an exponent."""
        points = [decimal(content) for _, content in taken]
        plain = self.terms.union(self.numbers.term(n) for n in shapes.numbers)
        parts = [self._less(plain, [self._points.term(point(p)) for p in points])]
        if self.numbers.any_spelling:  # a number has many such spellings, so the set is cut instead
            for numbers in shapes.numbers:
                scaled = (self.numbers.with_exponent(n) for n in numbers.without(points))
                parts += [self.terms.lexeme(term) for term in scaled]
        return parts

    def _container(self, position: int, taken: list[Comparable]) -> int:
        """Return the arrays and objects of the item at a position less those that are taken."""
        terms, language = self.terms, self._containers(self.shape.item(position))
        if language == terms.EMPTY or not taken:
            return language
        few = self._few(position)
        if few is not None:  # what is left is told sooner than what is not taken
            left = _of(few.difference(taken), "array", "object")
            spelled = terms.union(self._spelled.term(value) for value in left)
            return spelled if self._spelled.complete else terms.intersect((language, spelled))
        spelled = terms.union(self._spelled.term(value) for value in taken)
        rest = terms.intersect((language, terms.complement(spelled)))
        return terms.EMPTY if terms.is_empty(rest) else rest

    def _less(self, language: int, without: list[int]) -> int:
        terms = self.terms
        if language == terms.EMPTY:
            return language
        rest = terms.intersect((language, terms.complement(terms.union(without))))
        return terms.EMPTY if terms.is_empty(rest) else terms.lexeme(rest)

    def _reserved(self, at: Distinct) -> frozenset[Comparable]:
        """Return the values that the items still required cannot do without."""
        later = self._later(at.position + 1)
        scarce = frozenset(value for values in later for value in values) - at.taken
        return frozenset(v for v in scarce if not can_differ(later, at.taken | {v}))

    def _later(self, position: int) -> list[frozenset[Comparable]]:
        """Return the values of the required items from `position` on that have few."""
        known = min(self.shape.low, len(self.shape.prefix))
        found = [self._few(i) for i in range(position, known)]
        if self.shape.low > max(position, known):
            free = self.shape.low - max(position, known)
            found += [self._few(known)] * min(free, MOST_NAMES + 1)
        return [values for values in found if values is not None]

    def may_begin(self) -> bool:
        """Return whether the required items can differ from each other at all.

        Raises GrammarTooLargeError where some of many values must be kept for later items.
        """
        if not can_differ(self._later(0), frozenset()):
            return False
        low, prefix = self.shape.low, self.shape.prefix[: self.shape.low]
        for node in {*prefix, *([self.shape.rest] if low > len(prefix) else [])}:
            if self._values[node].few is None:
                positions = prefix.count(node) + (low - len(prefix)) * (node == self.shape.rest)
                values = self._count(node, low)
                if values.least < positions and values.exact:
                    return False
                if values.least < low:
                    raise GrammarTooLargeError("values kept for later items", MOST_NAMES, low)
        return True

    def expand(self, key: Distinct) -> int:
        """Return the next item, captured, with what follows it, or the bracket of no items."""
        found = self._expanded.get(key)
        if found is None:
            found = self._expanded[key] = self._build(key)
        return found

    def _build(self, at: Distinct) -> int:
        terms, parts = self.terms, []
        if at.position == 0 and self.shape.low == 0:
            parts.append(terms.literal(b"]"))
        needed = self._needed_next(at)
        if not needed and self._is_free_text(at):
            key = Text(at, more=needed is not None)
            if key.more or at.position + 1 >= self.shape.low:
                strings = self.text.closed(self.graph.shapes(self.shape.item(at.position)).strings)
                parts.append(terms.concat(self.text.quote, terms.capture(strings, self, key)))
            return terms.union(parts)
        if at.position + 1 >= self.shape.low:
            end = terms.concat(self._item(at, frozenset()), self.text.close_array)
            parts.append(self._captured(end, Closing(at, last=True)))
        if needed is not None:
            more = terms.concat(self._item(at, needed), self.text.gap, terms.literal(b","))
            parts.append(self._captured(more, Closing(at, last=False)))
        return terms.union(parts)

    def _is_free_text(self, at: Distinct) -> bool:
        """Return whether the next item is a string, spelled in one way, and never the last left.

        All such items share their lexeme, and `finish` turns down those that are taken.
        """
        node = self.shape.item(at.position)
        shapes = self.graph.shapes(node)
        if not shapes.strings or shapes.null or shapes.booleans or shapes.numbers:
            return False
        if self.text.style.escapes != "canonical" or not self._is_scalar(node):
            return False
        if shapes.strings not in self._endless:
            self._endless[shapes.strings] = is_endless(self.terms, shapes.strings)
        return self._endless[shapes.strings] and not self._reserved(at)

    def _captured(self, head: int, key: Closing) -> int:
        return head if head == self.terms.EMPTY else self.terms.capture(head, self, key)

    def _needed_next(self, at: Distinct) -> frozenset[Comparable] | None:
        """Return the values to leave for an item after the next one, None if none can follow."""
        after = at.position + 1
        if self.shape.high is not None and after >= self.shape.high:
            return None
        few = self._few(after)
        if few is None:
            values = self._values[self.shape.item(after)]
            spare = values.least - len(at.taken) > 1
            return frozenset() if spare else self._scarce(at)
        left = few - at.taken
        return None if not left else left if len(left) == 1 else frozenset()

    def _scarce(self, at: Distinct) -> frozenset[Comparable] | None:
        """Return the value to leave where many values may be used up; None if none is left."""
        after = Distinct(at.position + 1, at.taken)
        left = self._item(after, frozenset())
        if left == self.terms.EMPTY:
            return None
        value = read_value(self.shortest.text(left))
        rest = self._item(after, frozenset([value]))
        return frozenset([value]) if rest == self.terms.EMPTY else frozenset()

    def finish(self, key: Closing | Text, text: bytes | None) -> int:
        """Return what follows an item: the next one, or the end where that is not captured."""
        if isinstance(key, Text):
            return self._after_text(key, text)
        if key.last:
            return self.terms.EPSILON
        assert text is not None
        value = read_value(text[:-1])
        before = key.before
        after = Distinct(before.position + 1, before.taken | {value})
        later = self.terms.reference(self, after, nullable=False, certain=True)
        return self.terms.concat(self.text.after_comma, later)

    def _after_text(self, key: Text, text: bytes | None) -> int:
        """Return the bracket or the next item; `EMPTY` behind a string that is taken."""
        terms, taken = self.terms, key.before.taken
        position = key.before.position + 1
        if text is not None:
            value = read_value(b'"' + text)
            if value in taken:
                return terms.EMPTY
            taken |= {value}
        parts = []
        if position >= self.shape.low:
            parts.append(self.text.close_array)
        if key.more:
            at = Distinct(position, taken)
            later = terms.reference(self, at, nullable=False, certain=True)
            parts.append(terms.concat(self.text.comma, later))
        return terms.union(parts)

    def text_matters(self, key: Closing | Text) -> bool:
        """Return whether items are still required, which an item may not take away."""
        return key.before.position + 1 < self.shape.low

    def sign_behind(self, key: Closing | Text) -> None:
        """Return None: a comma or a bracket."""

    def shares_memory(self, key: Closing | Text, later: Closing | Text) -> bool:
        """Return True: the items of one array have one owner."""
        return True

    def head_remembers(self, key: Closing | Text) -> bool:
        """Return whether the items that are taken are left out of the next one."""
        return not isinstance(key, Text)

    def rest_length(self, key: Closing | Text) -> int | None:
        """Return a lower bound for what follows an item, None where it is known for each item."""
        if not self.holds_containers:
            return None
        if isinstance(key, Text):
            position = key.before.position + 1
            ends = position >= self.shape.low
            return 1 if ends else self._comma + 1 + self._least(position)
        gap = self._comma - 1
        return 0 if key.last else gap + 1 + self._least(key.before.position + 1)

    def blocked(self, key: Closing | Text, text: bytes) -> tuple[bytes, ...] | None:
        """Return the ends of strings that are taken; None where each text counts."""
        if not isinstance(key, Text):
            return None
        strings = (v[1] for v in key.before.taken if v[0] == "string")
        spelled = (canonical_body(string) + b'"' for string in strings)
        return tuple(string[len(text) :] for string in spelled if string.startswith(text))

    def min_length(self, key: Distinct) -> int:
        """Return the length of a shortest rest, taking a shortest item each time.

        Where items may be containers, which can hold such arrays again, it is a lower bound.
        """
        if self.holds_containers:
            return 1 + self._least(key.position)
        found = self._lengths.get(key)
        if found is None:
            found = self._lengths[key] = self._measure(key)
        return found

    def _least(self, position: int) -> int:
        """Return the length of the required items from a position on, were they free to repeat."""
        free = self.shape.low - max(position, len(self.shape.prefix))
        nodes = self.shape.prefix[position : self.shape.low]
        items = sum(self.length(node) for node in nodes)
        if free > 0:
            items += free * self.length(self.shape.rest)
        return min(INFINITE, items + max(self.shape.low - position - 1, 0) * self._comma)

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
            at = Distinct(at.position + 1, at.taken | {read_value(text)})
        return length


def _of(values: Iterable[Comparable], *kinds: str) -> list[Comparable]:
    return sorted((value for value in values if value[0] in kinds), key=repr)
