"""From normal forms to text: the language of the JSON texts of a schema.

Every node and every place between two members of an object is a reference, expanded when a text
gets there, so recursion and size cost nothing up front. Parts without a value are left out, hence
no text that is begun lacks an end.

An object has memory: which declared properties were written, and which other names. The memory is
part of the reference's key, so it is part of the state and nothing else has to carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple, TypeAlias

from ..schema.graph import SchemaGraph
from ..schema.shapes import ArrayShape, ObjectShape, Shapes
from ..terms.shortest import INFINITE
from ..text.json_text import JsonText
from ..text.numbers import NumberText
from .array_plan import ArrayPlan, Items
from .few_values import FewValues
from .free_names import FreeName, FreeNames
from .joined_values import JoinedValues
from .member_table import Member, MemberEntries, Offered
from .object_completion import Completion, Written
from .object_layout import Layout, subsets
from .productivity import Productivity
from .unique_items import UniqueItems
from .values import Comparable, ValueText, read_value


class Containers(NamedTuple):
    """The key of the arrays and objects of a node."""

    node: int


class JsonLanguage:
    """Expands schema nodes into terms; the owner of their references."""

    def __init__(
        self,
        graph: SchemaGraph,
        numbers: NumberText,
        productive: Productivity,
    ) -> None:
        self.graph = graph
        self.terms = graph.terms
        self.text: JsonText = productive.text
        self.numbers = numbers
        self.productive = productive
        self._distinct: Callable[[ArrayShape], UniqueItems] = productive.distinct
        self.in_order = self.text.style.property_order == "schema"
        self._one_spelling = self.text.style.escapes == "canonical"
        self._objects: list[Completion] = []
        self._arrays: list[ArrayPlan] = []
        self._expanded: dict[Key, int] = {}
        self._joined = JoinedValues(graph, self.text, self.expand)
        self._names = FreeNames(self.text, self._objects, self.later)
        self._ordered: dict[tuple[object, ...], dict[int, tuple[int, ...]]] = {}
        self._entries: dict[int, MemberEntries] = {}

    def drop(self) -> None:
        """Let go of everything, as what was made of objects and arrays leads back here."""
        self.__dict__.clear()

    @cached_property
    def _values(self) -> ValueText:
        return ValueText(self.text)

    def settle(self) -> frozenset[ArrayShape]:
        """Complete the arrays of different items: their items are values of this language.

        Returns those that have no value, as fewer different items exist than they require; then
        the language is not complete. Raises GrammarTooLargeError where these cannot be counted.
        """
        arrays = self.productive.distinct_arrays
        if not arrays:
            return frozenset()
        inner = JsonLanguage(self.graph, self.numbers, self.productive)
        loose = _loose_language(self.graph, self.productive)
        wanted = max(unique.shape.low for unique in arrays)
        few = FewValues(self.graph, self.productive, loose, wanted)
        for unique in arrays:
            unique.settle(inner.containers, few)
        return frozenset(unique.shape for unique in arrays if not unique.may_begin())

    def has_value(self, node: int, value: Comparable) -> bool:
        """Return whether a value belongs to a node; asked where any order of names will do."""
        text = self.productive.shortest.text(self._values.term(value))
        return self.terms.accepts(self.node(node), text)

    def another(self, node: int, known: frozenset[Comparable]) -> Comparable | None:
        """Return a value of a node beside those that are known, None if there is no other."""
        spelled = self.terms.union(self._values.term(value) for value in known)
        rest = self.terms.intersect((self.node(node), self.terms.complement(spelled)))
        if self.terms.is_empty(rest):
            return None
        return read_value(self.productive.shortest.text(rest))

    def containers(self, node: int) -> int:
        """Return the texts of the arrays and objects of a node."""
        if not self._container_length(node) < INFINITE:
            return self.terms.EMPTY
        return self.terms.reference(self, Containers(node), nullable=False, certain=True)

    def _container_length(self, node: int) -> int:
        shapes = self.graph.shapes(node)
        lengths = [self.productive.array_length(shape) for shape in shapes.arrays]
        lengths += [self.productive.object_length(shape) for shape in shapes.objects]
        return min(lengths, default=INFINITE)

    def node(self, node: int) -> int:
        """Return the texts of the values of a visited node, `EMPTY` if it has none."""
        if not self._has_value(node):
            return self.terms.EMPTY
        return self.terms.reference(self, node, nullable=False, certain=True)

    def _has_value(self, node: int) -> bool:
        return self.productive.length(node) < INFINITE

    def expand(self, key: Key) -> int:
        """Return the term of a node or of the rest of an object."""
        found = self._expanded.get(key)
        if found is None:
            if isinstance(key, Member):
                found = self.named(key.node)
                if found is None:
                    found = self.terms.concat(self.text.colon, self.node(key.node))
                found = self.terms.concat(found, self.later(key.after))
            elif isinstance(key, Written):
                found = self._rest_of_object(key)
            elif isinstance(key, Offered):
                found = self._offered(key.written)
            elif isinstance(key, Items):
                found = self._rest_of_array(key)
            elif isinstance(key, Containers):
                found = self.terms.union(self._containers(self.graph.shapes(key.node)))
            else:
                found = self._value(key)
            self._expanded[key] = found
        return found

    def min_length(self, key: Key) -> int:
        """Return the length of a shortest text of a node or of the rest of an array or object."""
        if isinstance(key, Written):
            return self._objects[key.shape].length(key)
        if isinstance(key, Member):
            rest = self._objects[key.after.shape].length(key.after)
            return self.productive.colon_length + self.productive.length(key.node) + rest
        if isinstance(key, Containers):
            return self._container_length(key.node)
        if isinstance(key, Offered):
            return self.productive.shortest.length(self.expand(key))
        if isinstance(key, Items):
            rest = self._arrays[key.shape].length(key)
            return 1 + rest - (self.productive.comma_length if rest and not key.position else 0)
        return self.productive.length(key)

    def named(self, node: int) -> int | None:
        """Return the values of a node with the colon before them if that is one lexeme."""
        return self._joined.of(node)

    def members_of(self, node: int) -> MemberEntries | None:
        """Return the members of the objects of a node if it has no other values."""
        shapes = self.graph.shapes(node)
        if shapes != Shapes(objects=shapes.objects) or len(shapes.objects) != 1:
            return None
        terms = self.terms
        _, opening, members = terms.nodes[self.expand(node)]
        assert opening == self.text.open_object
        _, _, written = terms.nodes[members]
        return self._entries.get(written.shape)

    def _value(self, node: int) -> int:
        shapes: Shapes = self.graph.shapes(node)
        literal = self.terms.literal
        parts = [literal(b"null")] if shapes.null else []
        parts.extend(literal(b"true" if truth else b"false") for truth in shapes.booleans)
        parts.extend(self.numbers.term(numbers) for numbers in shapes.numbers)
        if shapes.strings:
            parts.append(self.text.string(shapes.strings))
        parts.extend(self._containers(shapes))
        return self.terms.union(parts)

    def _containers(self, shapes: Shapes) -> Iterator[int]:
        yield from (self._array(shape) for shape in shapes.arrays)
        yield from (self._object(shape) for shape in shapes.objects)

    def _array(self, shape: ArrayShape) -> int:
        if self.productive.array_length(shape) >= INFINITE:
            return self.terms.EMPTY
        terms, opening = self.terms, self.text.open_array
        if self.productive.has_distinct_items(shape):
            unique = self._distinct(shape)
            first = terms.reference(unique, unique.start, nullable=False, certain=True)
            return terms.concat(opening, first)
        if shape.counts:
            plan = self.productive.plan(shape)
            self._arrays.append(plan)
            start = self.later(plan.start(len(self._arrays) - 1))
            return terms.concat(opening, start)
        return terms.concat(opening, self._items(shape, self.productive.most_items(shape)))

    def _rest_of_array(self, at: Items) -> int:
        """Return what may follow in an array with obligations: an item, or the closing bracket."""
        terms, plan = self.terms, self._arrays[at.shape]
        lead = self.text.comma if at.position else terms.EPSILON
        parts = [
            terms.concat(lead, self.node(node), self.later(after))
            for node, after in plan.choices(at)
            if self._has_value(node) and plan.length(after) < INFINITE
        ]
        if plan.may_end(at):
            parts.append(self.text.close_array if at.position else terms.literal(b"]"))
        return terms.union(parts)

    def _items(self, shape: ArrayShape, most: int) -> int:
        """Return the items with their commas and the closing bracket, built from the back."""
        terms, comma, end = self.terms, self.text.comma, self.text.close_array
        none = terms.literal(b"]")
        count = min(len(shape.prefix), most)
        rest = end
        if most > count:
            again = terms.concat(comma, self.node(shape.rest))
            more = None if most >= INFINITE else most - count
            if count == 0:
                more = None if more is None else more - 1
                repeated = terms.repeat(again, max(shape.low - 1, 0), more)
                rest = terms.concat(self.node(shape.rest), repeated, end)
                return rest if shape.low else terms.union((none, rest))
            rest = terms.concat(terms.repeat(again, max(shape.low - count, 0), more), end)
        for index in reversed(range(count)):
            lead = comma if index else terms.EPSILON
            rest = terms.concat(lead, self.node(shape.prefix[index]), rest)
            if index >= shape.low:
                rest = terms.union((end if index else none, rest))
        return rest if count else none

    def _object(self, shape: ObjectShape) -> int:
        completion, number = self.productive.completion(shape), len(self._objects)
        layout = completion.layout
        written = self.productive.begin(layout, number)
        if completion.length(written) >= INFINITE:
            return self.terms.EMPTY
        self._objects.append(completion)
        if self.in_order and self._one_spelling and MemberEntries.is_list(layout):
            self._entries[number] = MemberEntries(self, layout, written, self._has_value)
        return self.terms.concat(self.text.open_object, self.later(written))

    def later(self, key: Written | Offered | Items | Member) -> int:
        """Return the reference that stands for the term of a key."""
        return self.terms.reference(self, key, nullable=False, certain=True)

    def _rest_of_object(self, written: Written) -> int:
        """Return what may follow in an object: more members, or the closing brace."""
        terms, text = self.terms, self.text
        layout = self._objects[written.shape].layout
        members = self._next_members(written)
        if not written.first:
            members = terms.concat(text.comma, members)
        unmet = layout.required & ~written.declared or written.pending
        if unmet or (layout.counts and written.number < layout.shape.low):
            return members
        return terms.union((members, terms.literal(b"}") if written.first else text.close_object))

    def _next_members(self, written: Written) -> int:
        """Return the members that may come next, each with the rest of the object."""
        entries = self._entries.get(written.shape)
        if entries is None or not entries.has_texts(written.declared.bit_length()):
            return self._offered(written)
        return self.later(Offered(written))

    def _offered(self, written: Written) -> int:
        return self.terms.union((*self._members(written), *self._free_members(written)))

    def entries(self, key: Offered) -> tuple[MemberEntries, int]:
        """Return the members that may come next as entries of a list, and how many are passed."""
        written = key.written
        return self._entries[written.shape], written.declared.bit_length()

    def free_members(self, written: Written) -> int:
        """Return the members whose names are not declared."""
        return self.terms.union(self._free_members(written))

    def _members(self, written: Written) -> Iterator[int]:
        """Yield the declared members that may come next, each with the rest of the object."""
        layout = self._objects[written.shape].layout
        if self.in_order:
            yield from self._members_in_order(written, layout)
            return
        left = layout.all & ~written.declared
        while left:
            bit = left & -left
            left ^= bit
            yield from self._written_next(written, layout, bit)

    def _members_in_order(self, written: Written, layout: Layout) -> Iterator[int]:
        """Yield the members up to the first that is required, each with the rest of the object.

        They do not depend on which of those before them were written, but for what is remembered.
        """
        key = (written.shape, written.number, written.pending, written.names)
        known = self._ordered.setdefault(key, {})
        for index in range(written.declared.bit_length(), len(layout.names)):
            found = known.get(index)
            if found is None:
                found = known[index] = tuple(self._written_next(written, layout, 1 << index))
            yield from found
            if layout.required >> index & 1:
                return

    def _written_next(self, written: Written, layout: Layout, bit: int) -> Iterator[int]:
        index = bit.bit_length() - 1
        after = written.declared | (2 * bit - 1 if self.in_order else bit)
        for chosen in subsets(layout.carries[index] & written.pending):
            node = layout.carrying(layout.nodes[index], chosen)
            rest = self._after(written, after, chosen)
            if self._has_value(node) and self._can_end(rest):
                name = self.text.name(layout.names[index])
                yield self.terms.concat(name, self.later(Member(node, rest)))

    def _after(self, written: Written, declared: int, carried: int) -> Written:
        """Return the memory after one more member."""
        shape, _, names, _, number, pending = written
        number += self._objects[shape].layout.counts
        return Written(shape, declared, names, False, number, pending & ~carried)

    def _can_end(self, written: Written) -> bool:
        return self._objects[written.shape].length(written) < INFINITE

    def _free_members(self, written: Written) -> Iterator[int]:
        """Yield the members with undeclared names that may come next, by cell."""
        layout = self._objects[written.shape].layout
        if self.in_order and layout.required & ~written.declared:
            return
        passed = layout.all if self.in_order else written.declared
        for cell, node in enumerate(layout.cell_nodes):
            for chosen in subsets(layout.cell_carries[cell] & written.pending):
                after = self._after(written, passed, chosen)
                if self._has_value(layout.carrying(node, chosen)) and self._can_end(after):
                    head = self._names.head(layout, cell, written.names)
                    name = self.terms.capture(head, self._names, FreeName(after, cell, chosen))
                    yield self.terms.concat(self.text.quote, name)


Key: TypeAlias = int | Written | Offered | Items | Member | Containers


class LooseItems:
    """Gives the unique items of array shapes, which are begun whether or not they have an end."""

    def __init__(self, language: JsonLanguage) -> None:
        self._language = language
        self._known: dict[ArrayShape, UniqueItems] = {}

    def __call__(self, shape: ArrayShape) -> UniqueItems:
        """Return the items of a shape, made once."""
        unique = self._known.get(shape)
        if unique is None:
            unique = self._known[shape] = self._language.productive.new_distinct(shape)
            unique.loosen(self._language.containers)
        return unique


def _loose_language(graph: SchemaGraph, productive: Productivity) -> JsonLanguage:
    """Return the language of the same values in which arrays are begun that have no end.

    It can be asked for a value before it is known how many there are.
    """

    loose = JsonLanguage(graph, productive.numbers, productive)
    loose._distinct = LooseItems(loose)
    loose.in_order = False
    return loose
