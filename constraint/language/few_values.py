"""The values of a node where they are few: needed to know that different items are left to write.

A node has few values (at most 64) or many; of many it matters only how many at least. Values are
put together from those of the parts; what else a shape asks for (`contains`, names that must exist)
is checked on each value by its text. Where that leaves open whether few or many are there, the
schema is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice, product
from typing import NamedTuple, Protocol

from ...schemas.errors import UnsupportedGrammarError
from ..schema.graph import SchemaGraph
from ..schema.shapes import ArrayShape, ObjectShape
from ..terms.shortest import INFINITE
from ..text.numbers import NumberSet, point
from .name_languages import MOST_NAMES, count_names, few_names
from .object_layout import Layout
from .values import DEEPEST, Comparable, decimal, too_deep


class Values(NamedTuple):
    """At least `least` values; `few` has all of them if they are few."""

    least: int
    few: frozenset[Comparable] | None


class Lengths(Protocol):
    """What is known of the parts of a shape: whether they have values at all."""

    def length(self, node: int) -> int:
        """Return the length of a shortest text, INFINITE if there is none."""
        ...

    def most_items(self, shape: ArrayShape) -> int:
        """Return how many items an array can have."""
        ...

    def array_length(self, shape: ArrayShape) -> int:
        """Return the length of a shortest text, INFINITE if there is none."""
        ...

    def object_length(self, shape: ObjectShape) -> int:
        """Return the length of a shortest text, INFINITE if there is none."""
        ...

    def layout(self, shape: ObjectShape) -> Layout:
        """Return the members of an object shape."""
        ...


MOST_STEPS = 2000
NONE = Values(0, frozenset())
MANY = Values(INFINITE, None)


class FewValues:
    """Counts and lists the values of nodes; `accepts` decides what the parts leave open."""

    def __init__(
        self, graph: SchemaGraph, lengths: Lengths, accepts: Callable[[int, Comparable], bool]
    ) -> None:
        self.graph = graph
        self._lengths = lengths
        self._accepts = accepts
        self._known: dict[int, Values] = {}
        self._open: set[int] = set()

    def of(self, node: int) -> Values:
        """Return the values of a node; one that contains itself has many."""
        found = self._known.get(node)
        if found is not None:
            return found
        if node in self._open:
            return MANY
        if len(self._open) >= DEEPEST:
            raise too_deep()
        self._open.add(node)
        found = NONE if self._lengths.length(node) >= INFINITE else self._count(node)
        self._open.discard(node)
        self._known[node] = found
        return found

    def _count(self, node: int) -> Values:
        shapes = self.graph.shapes(node)
        parts = [scalars(self.graph, node)]
        unsure = False
        for array in shapes.arrays:
            if self._lengths.array_length(array) < INFINITE:
                parts.append(self._of_array(array))
                unsure |= bool(array.counts)
        for shape in shapes.objects:
            if self._lengths.object_length(shape) < INFINITE:
                parts.append(self._of_object(shape))
                unsure |= bool(shape.exists)
        found = _united(parts)
        if found.few is not None:
            kept = frozenset(value for value in found.few if self._accepts(node, value))
            return Values(len(kept), kept)
        if unsure and parts[0].few is not None:
            raise UnsupportedGrammarError(
                "uniqueItems",
                "items that are arrays with contains or negated objects are not counted",
                pointer=(self.graph.pointers(node) or ("",))[0],
            )
        return found

    def _of_array(self, shape: ArrayShape) -> Values:
        most = self._lengths.most_items(shape)
        if shape.unique and not shape.prefix and most > 1:
            most = min(most, self.of(shape.rest).least)
        if most - shape.low > MOST_NAMES or most > MOST_NAMES:
            return MANY if most >= INFINITE else Values(MOST_NAMES + 1, None)
        found = []
        for length in range(shape.low, most + 1):
            items = [self.of(shape.item(i)) for i in range(length)]
            found.append(_combined(items, lambda values: ("array", values), distinct=shape.unique))
        return _united(found)

    def _of_object(self, shape: ObjectShape) -> Values:
        layout = self._lengths.layout(shape)
        room = shape.high is None or shape.high > len(shape.required)
        if room and any(self._lengths.length(node) < INFINITE for node in layout.cell_nodes):
            return MANY
        members = []
        for index, name in enumerate(layout.names):
            values = self.of(layout.nodes[index])
            named = _combined([values], lambda v, name=name: ("member", (name, v[0])))  # type: ignore[misc]
            optional = not layout.required >> index & 1
            absent = [Values(1, frozenset([("absent",)]))] if optional else []
            members.append(_united([named, *absent]))
        return _combined(
            members,
            lambda values: ("object", frozenset(v[1] for v in values if v[0] == "member")),
        )


def _united(parts: Iterable[Values]) -> Values:
    """Return the values of any of the parts, which may overlap."""
    values: set[Comparable] = set()
    count, few = 0, True
    for part in parts:
        count = max(count, part.least)
        few &= part.few is not None
        values |= part.few or frozenset()
    if few and len(values) <= MOST_NAMES:
        return Values(len(values), frozenset(values))
    return Values(max(count, len(values)), None)


def _combined(
    parts: list[Values],
    build: Callable[[tuple[Comparable, ...]], Comparable],
    *,
    distinct: bool = False,
) -> Values:
    """Return what can be built with one value of each part."""
    count = 1
    for part in parts:
        count = min(count * part.least, INFINITE)
    if count == 0:
        return NONE
    few = [part.few for part in parts if part.few is not None]
    if len(few) < len(parts) or (count > MOST_NAMES and not distinct) or count > MOST_NAMES**2:
        return Values(MOST_NAMES + 1 if distinct else count, None)
    chosen = (v for v in product(*few) if not distinct or len(set(v)) == len(v))
    built = frozenset(build(values) for values in chosen)
    return Values(len(built), built if len(built) <= MOST_NAMES else None)


def scalars(graph: SchemaGraph, node: int) -> Values:
    """Return the values of a node that are neither arrays nor objects."""
    shapes = graph.shapes(node)
    values: list[Comparable] = [("boolean", truth) for truth in shapes.booleans]
    values += [("null", None)] if shapes.null else []
    parts = [Values(len(values), frozenset(values))]
    plain = graph.plain_shapes(node).strings
    if plain:
        names = few_names(graph.terms, plain)
        texts = frozenset(("string", name) for name in names or ())
        count = count_names(graph.terms, plain)
        parts.append(Values(INFINITE if count is None else count, None if names is None else texts))
    parts.extend(_numbers(numbers) for numbers in shapes.numbers)
    return _united(parts)


def _numbers(numbers: NumberSet) -> Values:
    """Return the numbers of a set: many unless they are bounded and regularly spaced."""
    if numbers.is_void():
        return NONE
    if numbers.low is None or numbers.high is None:
        return MANY
    low, high = Fraction(numbers.low.value), Fraction(numbers.high.value)
    if low == high:
        return Values(1, frozenset([("number", low)]))
    if numbers.step is None:
        return MANY
    most = int((high - low) / numbers.step)
    if most > 2 * MOST_NAMES and not numbers.avoid:
        return Values(most - 1, None)
    steps = islice(_steps(numbers, low, high), MOST_STEPS)
    found = frozenset(("number", n) for n in steps if _inside(n, numbers))
    return Values(len(found), found if len(found) <= MOST_NAMES and most < MOST_STEPS else None)


def _steps(numbers: NumberSet, low: Fraction, high: Fraction) -> Iterator[Fraction]:
    step = numbers.step or Fraction(1)
    number = -(-low // step) * step
    while number <= high:
        yield number
        number += step


def _inside(number: Fraction, numbers: NumberSet) -> bool:
    return not numbers.intersect(point(decimal(number))).is_void()
