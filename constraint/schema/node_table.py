"""The nodes of a schema graph by number: places, values, and what is made of other nodes.

Equal conjunctions are the same node, which makes the recursion of `$ref` with siblings finite. What
a node means is not known here; `graph` finds its normal form.
"""

from __future__ import annotations

from collections.abc import Hashable

from .nodes import Content, Negated, Value
from .shapes import Shapes
from .source import Place, SchemaSource


class NodeTable:
    """Numbers the nodes of one document."""

    TRUE = 0
    FALSE = 1

    def __init__(self, source: SchemaSource) -> None:
        self.source = source
        self._content: list[Content] = []
        self._ids: dict[Hashable, int] = {}
        for truth in (True, False):
            self._intern(("always", truth), source.root._replace(schema=truth))

    def _intern(self, key: Hashable, content: Content) -> int:
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
        return self._intern(("place", place.pointer, place.scope), place)

    def value(self, value: object, pointer: str) -> int:
        """Return the node of exactly one JSON value, which stands at `pointer`."""
        return self._intern(("value", pointer), Value(value, pointer))

    def shaped(self, shapes: Shapes) -> int:
        """Return the node of values that are described already."""
        return self._intern(("shapes", shapes), shapes)

    def conjunction(self, first: int, second: int) -> int:
        """Return the node of the values that belong to both nodes."""
        if first == second or second == self.TRUE:
            return first
        if first == self.TRUE:
            return second
        if self.FALSE in (first, second):
            return self.FALSE
        members = self._members(first) | self._members(second)
        if any(self.negation(member) in members for member in members):
            return self.FALSE
        return self._intern(("all", members), members)

    def negation(self, node: int) -> int:
        """Return the node of the values that do not belong to a node."""
        if node in (self.TRUE, self.FALSE):
            return self.FALSE if node == self.TRUE else self.TRUE
        content = self._content[node]
        if isinstance(content, Negated):
            return content.node
        return self._intern(("not", node), Negated(node))

    def _members(self, node: int) -> frozenset[int]:
        content = self._content[node]
        return content if isinstance(content, frozenset) else frozenset((node,))

    def pointers(self, node: int) -> tuple[str, ...]:
        """Return the JSON pointers of the places that a node is made of."""
        found: list[str] = []
        for member in sorted(self._members(node)):
            content = self._content[member]
            if isinstance(content, Negated):
                found.extend(self.pointers(content.node))
            elif not isinstance(content, frozenset | Shapes):
                found.append(content.pointer)
        return tuple(dict.fromkeys(found))
