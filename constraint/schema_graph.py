"""The graph of a schema: nodes that denote sets of values, normalised on demand.

A node is an int: a place in the document, a fixed value, or a conjunction of nodes; equal
conjunctions are the same node, which makes the recursion of `$ref` with siblings finite.
`shapes(node)` is its normal form. Computing it may need the normal forms of others (`$ref`,
`anyOf`, `allOf`, conjunctions); that recursion is run by generators (`trampoline`), so a
chain of any length is only slow, never fatal.

Work is counted in shapes made; past `FUEL` the grammar is refused with the number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal

from ..schemas.errors import GrammarTooLargeError, InvalidGrammarError
from .json_text import JsonText
from .numbers import NumberSet, point
from .schema_source import Place, SchemaSource, child_pointer
from .shapes import ArrayShape, ObjectShape, Shapes, object_shape
from .trampoline import Call, run

FUEL = 500_000


class SchemaGraph:
    """Nodes of one schema document and their normal forms.

    `read(graph, place)` turns the keywords of one place into shapes; it calls `wanted` for
    the nodes whose shapes it needs.
    """

    TRUE = 0
    FALSE = 1

    def __init__(
        self,
        source: SchemaSource,
        text: JsonText,
        read: Callable[[SchemaGraph, Place], Call[Shapes]],
    ) -> None:
        self.source = source
        self.text = text
        self.terms = text.terms
        self.fuel = FUEL
        self._read = read
        self._open: set[int] = set()
        self._content: list[Place | Value | frozenset[int]] = []
        self._ids: dict[Hashable, int] = {}
        self.everything = Shapes(
            null=True,
            booleans=frozenset((True, False)),
            numbers=(NumberSet(),),
            strings=text.any_body,
            arrays=(ArrayShape((), self.TRUE),),
            objects=(ObjectShape({}, frozenset(), self.TRUE),),
        )
        self._shapes: dict[int, Shapes] = {self.TRUE: self.everything, self.FALSE: Shapes()}
        for truth in (True, False):
            self._intern(("always", truth), Place("", truth))

    def _intern(self, key: Hashable, content: Place | Value | frozenset[int]) -> int:
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._content)
            self._content.append(content)
        return found

    def place(self, place: Place) -> int:
        """Return the node of a schema in the document."""
        if place.schema is True:
            return self.TRUE
        if place.schema is False:
            return self.FALSE
        return self._intern(("place", place.pointer), place)

    def value(self, value: object, pointer: str) -> int:
        """Return the node of exactly one JSON value, which stands at `pointer`."""
        return self._intern(("value", pointer), Value(value, pointer))

    def conjunction(self, first: int, second: int) -> int:
        """Return the node of the values that belong to both nodes."""
        if first == second or second == self.TRUE:
            return first
        if first == self.TRUE:
            return second
        if self.FALSE in (first, second):
            return self.FALSE
        members = self._members(first) | self._members(second)
        return self._intern(("all", members), members)

    def _members(self, node: int) -> frozenset[int]:
        content = self._content[node]
        return content if isinstance(content, frozenset) else frozenset((node,))

    def pointers(self, node: int) -> tuple[str, ...]:
        """Return the JSON pointers of the places that a node is made of."""
        found = (self._content[member] for member in sorted(self._members(node)))
        return tuple(c.pointer for c in found if not isinstance(c, frozenset))

    def shapes(self, node: int) -> Shapes:
        """Return the normal form of a node.

        Raises GrammarError for a keyword that cannot be enforced or a `$ref` that leads to itself.
        """
        return run(self.wanted(node))

    def wanted(self, node: int) -> Call[Shapes]:
        """Do what `shapes` does, for callers that are generators themselves."""
        known = self._shapes.get(node)
        if known is None:
            if node in self._open:
                raise InvalidGrammarError(
                    "the references lead in a circle without passing a value",
                    pointer=self.pointers(node)[0],
                )
            self._open.add(node)
            known = self._shapes[node] = yield self._step(node)
            self._open.discard(node)
        return known

    def _step(self, node: int) -> Call[Shapes]:
        content = self._content[node]
        if isinstance(content, Place):
            return self._read(self, content)
        if isinstance(content, frozenset):
            return self._conjoined(content)
        return self._of_value(content)

    def _conjoined(self, members: frozenset[int]) -> Call[Shapes]:
        result = self.everything
        for member in sorted(members):
            result = self.intersect(result, (yield self.wanted(member)))
        return result

    def _of_value(self, content: Value) -> Call[Shapes]:
        yield from ()
        return self.value_shapes(content.value, content.pointer)

    def value_shapes(self, value: object, pointer: str) -> Shapes:
        """Return the shapes of exactly one JSON value."""
        self.spend(1)
        if value is None:
            return Shapes(null=True)
        if isinstance(value, bool):
            return Shapes(booleans=frozenset((value,)))
        if isinstance(value, int | float):
            return Shapes(numbers=(point(exact(value, pointer)),))
        if isinstance(value, str):
            return Shapes(strings=self.body(value, pointer))
        if isinstance(value, list):
            items = tuple(self.value(v, child_pointer(pointer, i)) for i, v in enumerate(value))
            return Shapes(arrays=(ArrayShape(items, self.FALSE, len(items), len(items)),))
        if isinstance(value, dict):
            members = {k: self.value(v, child_pointer(pointer, k)) for k, v in value.items()}
            return Shapes(objects=(object_shape(members, members, self.FALSE),))
        raise InvalidGrammarError(f"{value!r} is not a JSON value", pointer=pointer)

    def body(self, text: str, pointer: str) -> int:
        """Return the spellings of one string, refusing what UTF-8 cannot hold."""
        try:
            return self.text.body(text)
        except UnicodeEncodeError:
            raise InvalidGrammarError(
                f"{text!r} holds a lone surrogate, which no text can contain", pointer=pointer
            ) from None

    def spend(self, work: int) -> None:
        """Count work; raises GrammarTooLargeError when the fuel is gone."""
        self.fuel -= work
        if self.fuel < 0:
            raise GrammarTooLargeError("shapes to normalise", FUEL, FUEL - self.fuel)

    def intersect(self, first: Shapes, second: Shapes) -> Shapes:
        """Return the values that belong to both."""
        if first is self.everything:
            return second
        if second is self.everything:
            return first
        self.spend(first.size * second.size)
        both = self.conjunction
        return Shapes(
            null=first.null and second.null,
            booleans=first.booleans & second.booleans,
            numbers=_distinct(a.intersect(b) for a in first.numbers for b in second.numbers),
            strings=self._both_strings(first.strings, second.strings),
            arrays=tuple(a.intersect(b, both) for a in first.arrays for b in second.arrays),
            objects=tuple(a.intersect(b, both) for a in first.objects for b in second.objects),
        )

    def _both_strings(self, first: int, second: int) -> int:
        if first == self.text.any_body:
            return second
        if second == self.text.any_body:
            return first
        return self.terms.intersect((first, second))

    def union(self, parts: list[Shapes]) -> Shapes:
        """Return the values that belong to any of the parts."""
        if len(parts) == 1:
            return parts[0]
        self.spend(sum(part.size for part in parts))
        strings = {part.strings for part in parts}
        any_body = self.text.any_body
        return Shapes(
            null=any(part.null for part in parts),
            booleans=frozenset().union(*(part.booleans for part in parts)),
            numbers=_distinct(n for part in parts for n in part.numbers),
            strings=any_body if any_body in strings else self.terms.union(strings),
            arrays=tuple(shape for part in parts for shape in part.arrays),
            objects=tuple(shape for part in parts for shape in part.objects),
        )


class Value:
    """A fixed JSON value and where it stands."""

    __slots__ = ("pointer", "value")

    def __init__(self, value: object, pointer: str) -> None:
        self.value = value
        self.pointer = pointer


def exact(value: float, pointer: str) -> Decimal:
    """Return a JSON number as an exact decimal; a float means its shortest decimal spelling."""
    number = Decimal(value if isinstance(value, int) else repr(value))
    if not number.is_finite():
        raise InvalidGrammarError(f"{value!r} is not a JSON number", pointer=pointer)
    return number


def _distinct(numbers: Iterable[NumberSet]) -> tuple[NumberSet, ...]:
    kept = dict.fromkeys(numbers)
    everything = NumberSet()
    return (everything,) if everything in kept else tuple(kept)
