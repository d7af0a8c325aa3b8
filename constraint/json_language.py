"""From normal forms to text: the language of the JSON texts of a schema.

Every node and every place between two members of an object is a reference, expanded when a text
gets there, so recursion and size cost nothing up front. Parts without a value are left out, hence
no text that is begun lacks an end.

An object has memory: which declared properties were written, and which other names. The memory is
part of the reference's key, so it is part of the state and nothing else has to carry it. A free
name is captured by its text: the shared language of all strings runs to the closing quote, and
there `finish` allows no name that was declared or written before, compared after decoding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from .json_text import JsonText, canonical_body
from .numbers import NumberText
from .productivity import Productivity
from .schema_graph import SchemaGraph
from .shapes import ArrayShape, ObjectShape, Shapes
from .shortest import INFINITE


class Written(NamedTuple):
    """The memory of an object while it is being written.

    `declared` has bit i set once declared property i was written or, in the order of the schema,
    passed; `names` are the free names so far.
    """

    shape: int
    declared: int = 0
    names: frozenset[str] = frozenset()
    first: bool = True


class Layout:
    """An object shape laid out for writing: members by index, sets of members as bit sets."""

    def __init__(self, shape: ObjectShape, productive: Productivity) -> None:
        self.shape = shape
        self.names = tuple(shape.properties)
        self.nodes = tuple(shape.properties.values())
        self.all = (1 << len(self.names)) - 1
        self.required = sum(1 << i for i, name in enumerate(self.names) if name in shape.required)
        self._productive = productive
        self._lengths: dict[int, int] = {0: 0}

    def length(self, members: int) -> int:
        """Return the length of a shortest text of a set of members, each with a comma before it.

        Sets shrink member by member as an object is written: each is a step from a known one.
        """
        chain = []
        while members not in self._lengths:
            chain.append(members)
            members &= members - 1
        total = self._lengths[members]
        for more in reversed(chain):
            name = self.names[(more & -more).bit_length() - 1]
            total += self._productive.member_length(self.shape, name)
            total = self._lengths[more] = total + self._productive.comma_length
        return total


class JsonLanguage:
    """Expands schema nodes into terms; the owner of their references."""

    def __init__(self, graph: SchemaGraph, numbers: NumberText, productive: Productivity) -> None:
        self.graph = graph
        self.terms = graph.terms
        self.text: JsonText = graph.text
        self.numbers = numbers
        self.productive = productive
        self.in_order = self.text.style.property_order == "schema"
        self._objects: list[Layout] = []
        self._object_ids: dict[int, int] = {}
        self._expanded: dict[int | Written, int] = {}
        self._free_name = self.text.closed(self.text.any_body)

    def node(self, node: int) -> int:
        """Return the texts of the values of a visited node, `EMPTY` if it has none."""
        if not self._has_value(node):
            return self.terms.EMPTY
        return self.terms.reference(self, node, nullable=False, certain=True)

    def _has_value(self, node: int) -> bool:
        return self.productive.length(node) < INFINITE

    def expand(self, key: int | Written) -> int:
        """Return the term of a node or of the rest of an object."""
        found = self._expanded.get(key)
        if found is None:
            found = self._rest_of_object(key) if isinstance(key, Written) else self._value(key)
            self._expanded[key] = found
        return found

    def min_length(self, key: int | Written) -> int:
        """Return the length of a shortest text of a node or of the rest of an object."""
        if not isinstance(key, Written):
            return self.productive.length(key)
        layout = self._objects[key.shape]
        missing = layout.required & ~key.declared
        first_comma = self.productive.comma_length if key.first and missing else 0
        return 1 + layout.length(missing) - first_comma

    def _value(self, node: int) -> int:
        shapes: Shapes = self.graph.shapes(node)
        literal = self.terms.literal
        parts = [literal(b"null")] if shapes.null else []
        parts.extend(literal(b"true" if truth else b"false") for truth in shapes.booleans)
        parts.extend(self.numbers.term(numbers) for numbers in shapes.numbers)
        if shapes.strings:
            parts.append(self.text.string(shapes.strings))
        parts.extend(self._array(shape) for shape in shapes.arrays)
        parts.extend(self._object(shape) for shape in shapes.objects)
        return self.terms.union(parts)

    def _array(self, shape: ArrayShape) -> int:
        most = self.productive.most_items(shape)
        if most < shape.low:
            return self.terms.EMPTY
        terms, gap = self.terms, self.text.gap
        items = self._items(shape, most)
        return terms.concat(terms.literal(b"["), gap, items, terms.literal(b"]"))

    def _items(self, shape: ArrayShape, most: int) -> int:
        """Return the items with their commas and the gap after the last, built from the back."""
        terms, comma, gap = self.terms, self.text.comma, self.text.gap
        count = min(len(shape.prefix), most)
        rest = terms.EPSILON
        if most > count:
            again = terms.concat(comma, self.node(shape.rest))
            more = None if most >= INFINITE else most - count
            if count == 0:
                more = None if more is None else more - 1
                repeated = terms.repeat(again, max(shape.low - 1, 0), more)
                rest = terms.concat(self.node(shape.rest), repeated, gap)
                return rest if shape.low else terms.union((terms.EPSILON, rest))
            rest = terms.repeat(again, max(shape.low - count, 0), more)
        for index in reversed(range(count)):
            lead = comma if index else terms.EPSILON
            end = terms.EPSILON if index else gap
            rest = terms.concat(lead, self.node(shape.prefix[index]), rest, end)
            if index >= shape.low:
                rest = terms.union((terms.EPSILON, rest))
        return rest

    def _object(self, shape: ObjectShape) -> int:
        if any(not self._has_value(shape.value(name)) for name in shape.required):
            return self.terms.EMPTY
        number = self._object_ids.setdefault(id(shape), len(self._objects))
        if number == len(self._objects):
            self._objects.append(Layout(shape, self.productive))
        opening = self.terms.concat(self.terms.literal(b"{"), self.text.gap)
        return self.terms.concat(opening, self._rest(Written(number)))

    def _rest(self, written: Written) -> int:
        return self.terms.reference(self, written, nullable=False, certain=True)

    def _rest_of_object(self, written: Written) -> int:
        """Return what may follow in an object: more members, or the closing brace."""
        terms, text = self.terms, self.text
        layout = self._objects[written.shape]
        members = terms.union(self._members(layout, written))
        if not written.first:
            members = terms.concat(text.comma, members)
        if layout.required & ~written.declared:
            return members
        gap = terms.EPSILON if written.first else text.gap
        return terms.union((members, terms.concat(gap, terms.literal(b"}"))))

    def _members(self, layout: Layout, written: Written) -> Iterator[int]:
        """Yield the members that may come next, each with the rest of the object."""
        left = layout.all & ~written.declared
        while left:
            bit = left & -left
            left ^= bit
            index = bit.bit_length() - 1
            if self._has_value(layout.nodes[index]):
                after = written.declared | (2 * bit - 1 if self.in_order else bit)
                rest = self._rest(written._replace(declared=after, first=False))
                key = self.text.key(layout.names[index])
                yield self.terms.concat(key, self.node(layout.nodes[index]), rest)
            if self.in_order and bit & layout.required:
                return
        if self._has_value(layout.shape.additional):
            passed = layout.all if self.in_order else written.declared
            after_free = written._replace(declared=passed, first=False)
            name = self.terms.capture(self._free_name, self, after_free)
            yield self.terms.concat(self.text.quote, name)

    def finish(self, key: Written, text: bytes | None) -> int:
        """Return what follows a free name; `EMPTY` if the name is declared or was written."""
        shape = self._objects[key.shape].shape
        if text is not None:
            name = json.loads(b'"' + text)
            if name in shape.properties or name in key.names:
                return self.terms.EMPTY
            key = key._replace(names=key.names | {name})
        return self.terms.concat(self.text.colon, self.node(shape.additional), self._rest(key))

    def blocked(self, key: Written, text: bytes) -> tuple[bytes, ...] | None:
        """Return how `text` could go on to spell a name that is not free, with its quote."""
        if self.text.style.escapes != "canonical":
            return None
        names = (*self._objects[key.shape].names, *key.names)
        spelled = (canonical_body(name) + b'"' for name in names)
        return tuple(name[len(text) :] for name in spelled if name.startswith(text))
