"""The values of a node where they are few: needed to know that different items are left to write.

A node has few values (at most 64) or many; of many it matters only how many at least. Values are
put together from those of the parts, as a least fixpoint: a value is there if it can be made of
values that are. What else a shape asks for (`contains`, names that must exist, numbers of members)
is checked on each value by its text; where that leaves open whether few or many are there, values
are taken from the language one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import islice, product
from typing import NamedTuple, Protocol

from ...schemas.errors import GrammarTooLargeError
from ..schema.graph import SchemaGraph
from ..schema.shapes import ArrayShape, ObjectShape
from ..terms.shortest import INFINITE
from ..text.number_set import NumberSet
from .name_languages import MOST_NAMES, count_names, few_names
from .object_layout import Layout
from .values import DEEPEST, Comparable, too_deep


class Values(NamedTuple):
    """At least `least` values, no more if `exact`; `few` has all of them if they are few."""

    least: int
    few: frozenset[Comparable] | None
    exact: bool = True


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


class Members(Protocol):
    """The language of a node, asked for single values."""

    def has_value(self, node: int, value: Comparable) -> bool:
        """Return whether a value belongs to a node."""
        ...

    def another(self, node: int, known: frozenset[Comparable]) -> Comparable | None:
        """Return a value of a node beside those that are known, None if there is no other."""
        ...


MOST_STEPS = 2000
MOST_ITEMS = 1000
NONE = Values(0, frozenset())
MANY = Values(INFINITE, None)


class FewValues:
    """Counts and lists the values of nodes.

    `wanted` is the largest number of different items that anybody asks for: nothing is counted
    further than that without need.
    """

    def __init__(
        self, graph: SchemaGraph, lengths: Lengths, members: Members, wanted: int = MOST_NAMES
    ) -> None:
        self.graph = graph
        self._lengths = lengths
        self._members = members
        self._most = min(MOST_NAMES, wanted) + 1
        self._known: dict[int, Values] = {}
        self._depths: dict[int, int] = {}
        self._accepted: dict[tuple[int, Comparable], bool] = {}
        self._drawn: dict[int, Values] = {}

    def of(self, node: int) -> Values:
        """Return the values of a node: those that can be made of values of its parts."""
        if node not in self._known:
            users = self._reach(node)
            dirty = list(users)
            while dirty:
                changed = [n for n in dirty if self._improve(n)]
                dirty = list(dict.fromkeys(user for n in changed for user in users[n]))
        return self._known[node]

    def counted(self, node: int, number: int) -> Values:
        """Return the values of a node, counted up to `number` where only a bound was known."""
        found = self.of(node)
        if found.exact or found.least >= number:
            return found
        return self._draw(node, number)

    def _reach(self, root: int) -> dict[int, list[int]]:
        """Return the nodes below `root` that are not counted yet, with those that use them."""
        users: dict[int, list[int]] = {root: []}
        queue = [root]
        for node in queue:
            self._known[node], self._depths[node] = NONE, 0
            for child in self._children(node):
                if child not in self._known and child not in users:
                    users[child] = []
                    queue.append(child)
                if child in users:
                    users[child].append(node)
        return {node: users[node] for node in reversed(queue)}

    def _children(self, node: int) -> dict[int, None]:
        shapes = self.graph.shapes(node)
        found: dict[int, None] = {}
        for array in shapes.arrays:
            if not array.counts:
                found.update(dict.fromkeys((*array.prefix, array.rest)))
        for shape in shapes.objects:
            found.update(dict.fromkeys(self._lengths.layout(shape).nodes))
        return found

    def _improve(self, node: int) -> bool:
        before = self._known[node]
        if before == MANY or self._lengths.length(node) >= INFINITE:
            return False
        found = self._count(node)
        if found == before:
            return False
        self._known[node] = found
        below = [self._depths.get(n, 0) for n in self._children(node) if self._known[n].few]
        self._depths[node] = 1 + max(below, default=-1)
        if found.few and self._depths[node] > DEEPEST:
            raise too_deep()
        return True

    def _count(self, node: int) -> Values:
        shapes = self.graph.shapes(node)
        sure, unsure = [scalars(self.graph, node)], []
        for array in shapes.arrays:
            if self._lengths.array_length(array) < INFINITE:
                if array.counts:
                    unsure.append(MANY)
                else:
                    sure.append(self._of_array(array))
        for shape in shapes.objects:
            if self._lengths.object_length(shape) < INFINITE:
                told = shape.exists or self._lengths.layout(shape).counts
                (unsure if told else sure).append(self._of_object(shape))
        found = _united([*sure, *unsure])
        if found.few is not None and unsure:
            kept = frozenset(value for value in found.few if self._accepts(node, value))
            return Values(len(kept), kept)
        if any(part.few is None for part in unsure):
            certain = _united(sure)
            return certain._replace(exact=False) if certain.few is None else self._draw(node)
        return found

    def _accepts(self, node: int, value: Comparable) -> bool:
        found = self._accepted.get((node, value))
        if found is None:
            found = self._accepted[node, value] = self._members.has_value(node, value)
        return found

    def _draw(self, node: int, most: int = 0) -> Values:
        """Take values from the language of a node until there is no other or there are enough."""
        most = max(most, self._most)
        found = self._drawn.get(node, NONE._replace(exact=False))
        values = set(found.few or ())
        while not found.exact and len(values) < most:
            value = self._members.another(node, frozenset(values))
            if value is None:
                found = Values(len(values), frozenset(values))
            else:
                values.add(value)
        if not found.exact:
            found = Values(len(values), frozenset(values), exact=False)
        self._drawn[node] = found
        listed = found.exact and len(values) <= MOST_NAMES
        return found if listed else found._replace(few=None)

    def _of_array(self, shape: ArrayShape) -> Values:
        most = self._lengths.most_items(shape)
        rest = self._known[shape.rest]
        if rest.exact and (rest.least == 0 or (shape.unique and most > 1 and not shape.prefix)):
            most = min(most, len(shape.prefix) + rest.least)
        if most < shape.low:
            return NONE
        if most - shape.low > MOST_NAMES and not shape.unique:
            parts = [*shape.prefix, *([shape.rest] if shape.low > len(shape.prefix) else [])]
            void = any(self._known[n].least == 0 for n in parts)
            return NONE if void else Values(most - shape.low, None, exact=most >= INFINITE)
        found = []
        for length in range(shape.low, min(most, shape.low + MOST_NAMES) + 1):
            found.append(self._of_length(shape, length))
            if found[-1].few is None:
                return found[-1]._replace(exact=False)
            if not found[-1].few:
                break  # nor are there longer ones
        united = _united(found)
        more = bool(found[-1].few) and most >= shape.low + len(found)
        return united._replace(few=None, exact=False) if more else united

    def _of_length(self, shape: ArrayShape, length: int) -> Values:
        """Return the arrays of a length."""
        values = [self._known[node] for node in shape.prefix[:length]]
        free, rest = length - len(values), self._known[shape.rest]
        if free > MOST_ITEMS:
            if rest.few is None or not rest.few or (shape.unique and len(rest.few) < free):
                return NONE if rest.few is not None else Values(rest.least, None, exact=False)
            raise GrammarTooLargeError("items in an item that must be unique", MOST_ITEMS, length)
        values += [rest] * max(free, 0)
        return _combined(values, lambda chosen: ("array", chosen), distinct=shape.unique)

    def _of_object(self, shape: ObjectShape) -> Values:
        layout = self._lengths.layout(shape)
        room = shape.high is None or shape.high > len(shape.required)
        if room and any(self._lengths.length(node) < INFINITE for node in layout.cell_nodes):
            return MANY
        members = []
        for index, name in enumerate(layout.names):
            values = self._known[layout.nodes[index]]
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
    some = [part for part in parts if part.least or not part.exact]
    if len(some) == 1:
        return some[0]
    values: set[Comparable] = set()
    for part in some:
        values |= part.few or frozenset()
    count = max([part.least for part in some], default=0)
    if all(part.few is not None for part in some):
        listed = frozenset(values) if len(values) <= MOST_NAMES else None
        return Values(len(values), listed)
    return Values(max(count, len(values)), None, exact=count >= INFINITE)


def _combined(
    parts: list[Values],
    build: Callable[[tuple[Comparable, ...]], Comparable],
    *,
    distinct: bool = False,
) -> Values:
    """Return what can be built with one value of each part."""
    if any(part.least == 0 and part.exact for part in parts):
        return NONE
    few = [part.few for part in parts if part.few is not None]
    if distinct and not can_differ(few, frozenset()):
        return NONE
    if len(few) < len(parts):
        most = max(part.least for part in parts if part.few is None)
        return Values(max(most - (len(parts) - 1) * distinct, 1), None, exact=most >= INFINITE)
    chosen = different(few) if distinct else product(*few)
    built = frozenset(build(values) for values in islice(chosen, MOST_NAMES + 1))
    if len(built) <= MOST_NAMES:
        return Values(len(built), built)
    count = 1
    for part in parts:
        count = min(count * part.least, INFINITE)
    return Values(len(built) if distinct else count, None, exact=not distinct)


def can_differ(wanted: list[frozenset[Comparable]], taken: frozenset[Comparable]) -> bool:
    """Return whether each set can give a value of its own, none of those taken."""
    if all(len(values) >= len(wanted) + len(taken) for values in wanted):
        return True
    owner: dict[Comparable, int] = {}

    def give(index: int, tried: set[Comparable]) -> bool:
        for value in wanted[index] - taken - tried:
            tried.add(value)
            if value not in owner or give(owner[value], tried):
                owner[value] = index
                return True
        return False

    return all(give(index, set()) for index in range(len(wanted)))


def different(wanted: list[frozenset[Comparable]]) -> Iterator[tuple[Comparable, ...]]:
    """Yield the tuples of different values, one of each set, without a search in vain."""
    stack: list[tuple[Comparable, ...]] = [()]
    while stack:
        chosen = stack.pop()
        if len(chosen) == len(wanted):
            yield chosen
            continue
        taken, later = frozenset(chosen), wanted[len(chosen) + 1 :]
        free = wanted[len(chosen)] - taken
        stack += [(*chosen, v) for v in free if can_differ(later, taken | {v})]


def scalars(graph: SchemaGraph, node: int) -> Values:
    """Return the values of a node that are neither arrays nor objects."""
    shapes = graph.shapes(node)
    values: list[Comparable] = [("boolean", truth) for truth in shapes.booleans]
    values += [("null", None)] if shapes.null else []
    parts = [Values(len(values), frozenset(values))] if values else []
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
    most = high // numbers.step + -low // numbers.step + 1
    if most > MOST_STEPS and not numbers.avoid:
        return Values(most - sum(not numbers.contains(end) for end in _ends(numbers)), None)
    steps = islice(_steps(numbers, low, high), MOST_STEPS)
    found = frozenset(("number", n) for n in steps if numbers.contains(n))
    listed = found if len(found) <= MOST_NAMES and most <= MOST_STEPS else None
    return Values(len(found), listed, exact=most <= MOST_STEPS)


def _steps(numbers: NumberSet, low: Fraction, high: Fraction) -> Iterator[Fraction]:
    step = numbers.step or Fraction(1)
    number = -(-low // step) * step
    while number <= high:
        yield number
        number += step


def _ends(numbers: NumberSet) -> Iterator[Fraction]:
    """Yield the bounds that are on a step."""
    for bound in (numbers.low, numbers.high):
        if bound is not None and (Fraction(bound.value) / (numbers.step or 1)).denominator == 1:
            yield Fraction(bound.value)
