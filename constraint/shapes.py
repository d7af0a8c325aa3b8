"""The normal form of a schema: for each JSON type, a union of shapes.

A schema denotes a set of values. Split by type, that set is two flags for null and the booleans,
number sets, one regular language for strings, and unions of array and object shapes whose parts are
nodes of the schema graph. Intersection goes type by type and only pairs up the nodes inside; it
never looks into them, so recursion in a schema costs nothing here.

Source: the type-split normal form of Habib et al. (ISSTA 2021) and Attouche et al. (VLDB 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .numbers import NumberSet

Conjunction = Callable[[int, int], int]


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """Arrays of `low` to `high` items: `prefix` nodes for the first ones, `rest` for the others."""

    prefix: tuple[int, ...]
    rest: int
    low: int = 0
    high: int | None = None

    def item(self, index: int) -> int:
        """Return the node of the item at `index`."""
        return self.prefix[index] if index < len(self.prefix) else self.rest

    def intersect(self, other: ArrayShape, conjunction: Conjunction) -> ArrayShape:
        """Return the arrays that have both shapes."""
        length = max(len(self.prefix), len(other.prefix))
        highs = [high for high in (self.high, other.high) if high is not None]
        return ArrayShape(
            tuple(conjunction(self.item(i), other.item(i)) for i in range(length)),
            conjunction(self.rest, other.rest),
            max(self.low, other.low),
            min(highs, default=None),
        )


@dataclass(frozen=True, slots=True)
class ObjectShape:
    """Objects by name: declared `properties` in text order, `additional` for every other name.

    Every required name is declared.
    """

    properties: Mapping[str, int]
    required: frozenset[str]
    additional: int

    def value(self, name: str) -> int:
        """Return the node of the value under `name`."""
        return self.properties.get(name, self.additional)

    def intersect(self, other: ObjectShape, conjunction: Conjunction) -> ObjectShape:
        """Return the objects that have both shapes; the order of `self` comes first."""
        names = dict.fromkeys([*self.properties, *other.properties])
        return ObjectShape(
            {name: conjunction(self.value(name), other.value(name)) for name in names},
            self.required | other.required,
            conjunction(self.additional, other.additional),
        )


def object_shape(
    properties: Mapping[str, int], required: Iterable[str], additional: int
) -> ObjectShape:
    """Return the shape; names that are required but not declared are declared after the others."""
    names = list(required)
    declared = dict(properties) | {name: additional for name in names if name not in properties}
    return ObjectShape(declared, frozenset(names), additional)


@dataclass(frozen=True, slots=True)
class Shapes:
    """A set of JSON values by type; `strings` is a term over string bodies."""

    null: bool = False
    booleans: frozenset[bool] = frozenset()
    numbers: tuple[NumberSet, ...] = ()
    strings: int = 0
    arrays: tuple[ArrayShape, ...] = ()
    objects: tuple[ObjectShape, ...] = field(default=())

    @property
    def size(self) -> int:
        """The number of shapes, the unit in which normalising work is counted."""
        return 1 + len(self.numbers) + len(self.arrays) + len(self.objects)
