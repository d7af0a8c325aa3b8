"""The normal form of a schema: for each JSON type, a union of shapes.

A schema denotes a set of values. Split by type, that set is two flags for null and the booleans,
number sets, one regular language for strings, and unions of array and object shapes whose parts are
nodes of the schema graph. The form is closed under intersection and complement: both go type by
type and only pair up or negate the nodes inside, they never look into them, so recursion costs
nothing.

A complement needs shapes that say "some": some name of a class has a value in a node, some items
belong to a node. Those are the obligations of a shape (`exists`, `counts`).

Source: the type-split normal form of Habib et al. (ISSTA 2021) and Attouche et al. (VLDB 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...schemas.errors import UnsupportedGrammarError
from ..text.number_set import NumberSet

Conjunction = Callable[[int, int], int]
Negation = Callable[[int], int]


class Count(NamedTuple):
    """An obligation of an array: `low` to `high` items from index `start` on belong to `node`."""

    start: int
    node: int
    low: int
    high: int | None = None


class ArrayShape(NamedTuple):
    """Arrays of `low` to `high` items: `prefix` nodes for the first ones, `rest` for the others.

    `unique` says that all items differ.
    """

    prefix: tuple[int, ...]
    rest: int
    low: int = 0
    high: int | None = None
    counts: tuple[Count, ...] = ()
    unique: bool = False

    def item(self, index: int) -> int:
        """Return the node of the item at `index`."""
        return self.prefix[index] if index < len(self.prefix) else self.rest

    def intersect(self, other: ArrayShape, conjunction: Conjunction) -> ArrayShape:
        """Return the arrays that have both shapes."""
        length = max(len(self.prefix), len(other.prefix))
        return ArrayShape(
            tuple(conjunction(self.item(i), other.item(i)) for i in range(length)),
            conjunction(self.rest, other.rest),
            max(self.low, other.low),
            _least(self.high, other.high),
            tuple(dict.fromkeys(self.counts + other.counts)),
            self.unique or other.unique,
        )

    def complement(self, true: int, negation: Negation) -> Iterator[ArrayShape]:
        """Yield shapes whose union is every array that does not have this shape.

        Raises UnsupportedGrammarError for unique items: "some two are equal" has no shape.
        """
        any_array = ArrayShape((), true)
        if self.unique:
            raise UnsupportedGrammarError(
                "uniqueItems", "its negation is not enforced; drop it there"
            )
        if self.low:
            yield any_array._replace(high=self.low - 1)
        if self.high is not None:
            yield any_array._replace(low=self.high + 1)
        for index, node in enumerate(self.prefix):
            if node != true:
                yield ArrayShape((true,) * index + (negation(node),), true, low=index + 1)
        if self.rest != true:
            some = Count(len(self.prefix), negation(self.rest), 1)
            yield any_array._replace(counts=(some,))
        for count in self.counts:
            if count.low:
                yield any_array._replace(counts=(count._replace(low=0, high=count.low - 1),))
            if count.high is not None:
                yield any_array._replace(counts=(count._replace(low=count.high + 1, high=None),))


class Pattern(NamedTuple):
    """A language of names: over their UTF-8, to reason about, and as spelled in a JSON text.

    `subset` names the format, if there is one of whose names only a part is in the language.
    """

    plain: int
    spelled: int
    subset: str | None = None


class KeyClass(NamedTuple):
    """A set of names: one `name`, or all inside some patterns, outside others, `without` a few."""

    name: str | None = None
    inside: frozenset[Pattern] = frozenset()
    outside: frozenset[Pattern] = frozenset()
    without: frozenset[str] = frozenset()


class Rule(NamedTuple):
    """What holds for the names of a class: each value, or some value, belongs to `node`."""

    keys: KeyClass
    node: int


class ObjectShape(NamedTuple):
    """Objects of `low` to `high` members that have the `required` names.

    Every member obeys all `rules` whose class has its name; for each of `exists` some member of the
    class has a value in the node.
    """

    rules: tuple[Rule, ...] = ()
    required: frozenset[str] = frozenset()
    low: int = 0
    high: int | None = None
    exists: tuple[Rule, ...] = ()

    def intersect(self, other: ObjectShape) -> ObjectShape:
        """Return the objects that have both shapes; the order of `self` comes first."""
        return ObjectShape(
            tuple(dict.fromkeys(self.rules + other.rules)),
            self.required | other.required,
            max(self.low, other.low),
            _least(self.high, other.high),
            tuple(dict.fromkeys(self.exists + other.exists)),
        )

    def complement(self, true: int, negation: Negation) -> Iterator[ObjectShape]:
        """Yield shapes whose union is every object that does not have this shape."""
        never = negation(true)
        for name in sorted(self.required):
            yield ObjectShape((Rule(KeyClass(name), never),))
        for rule in self.rules:
            for pattern in rule.keys.outside:
                if pattern.subset:
                    raise negated_subset(pattern.subset)
            if rule.node != true:
                yield _some(Rule(rule.keys, negation(rule.node)))
        if self.low:
            yield ObjectShape(high=self.low - 1)
        if self.high is not None:
            yield ObjectShape(low=self.high + 1)
        for rule in self.exists:
            yield ObjectShape((Rule(rule.keys, negation(rule.node)),))


def negated_subset(name: str, pointer: str | None = None) -> UnsupportedGrammarError:
    """Return the refusal of the negation of a format that is known only in part."""
    return UnsupportedGrammarError(
        "format",
        f"the negation of {name!r} is not enforced: not all texts of that format are written",
        pointer=pointer,
    )


def _some(rule: Rule) -> ObjectShape:
    """Return the objects in which some member of the class has a value in the node."""
    if rule.keys.name is None:
        return ObjectShape(exists=(rule,))
    return ObjectShape((rule,), frozenset((rule.keys.name,)))


def _least(first: int | None, second: int | None) -> int | None:
    return min((high for high in (first, second) if high is not None), default=None)


class Shapes(NamedTuple):
    """A set of JSON values by type; `strings` is a term over string bodies."""

    null: bool = False
    booleans: frozenset[bool] = frozenset()
    numbers: tuple[NumberSet, ...] = ()
    strings: int = 0
    arrays: tuple[ArrayShape, ...] = ()
    objects: tuple[ObjectShape, ...] = ()

    @property
    def size(self) -> int:
        """The number of shapes, the unit in which normalising work is counted."""
        return 1 + len(self.numbers) + len(self.arrays) + len(self.objects)


class Universe(NamedTuple):
    """All values, and all values of a type as they were met; shared by the graphs of a style."""

    everything: Shapes
    typed: dict[str, Shapes]

    @classmethod
    def of(cls, strings: int, any_node: int) -> Universe:
        """Return the universe in which `strings` are all strings and `any_node` is any value."""
        everything = Shapes(
            null=True,
            booleans=frozenset((True, False)),
            numbers=(NumberSet(),),
            strings=strings,
            arrays=(ArrayShape((), any_node),),
            objects=(ObjectShape(),),
        )
        return cls(everything, {})
