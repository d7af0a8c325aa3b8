"""An object shape laid out for writing: members by index, obligations as bits.

Names that a shape mentions become members, in the order in which they were declared; the other
names are grouped into cells, in each of which the same rules hold. An obligation ("some name of a
class has a value in a node") is carried by a member whose value then belongs to both nodes; which
members and cells can carry which obligations is a bit set for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from ...schemas.errors import GrammarTooLargeError
from ..schema.graph import SchemaGraph
from ..schema.shapes import KeyClass, ObjectShape, Pattern, Rule
from ..schema.strings import covers
from ..text.json_text import canonical_body
from .name_languages import cut, few_names

MOST_OBLIGATIONS = 6


class Layout:
    """The members, cells and obligations of one object shape.

    `names[i]`, `nodes[i]`, `carries[i]` describe member i; `cells`, `cell_nodes`, `cell_carries`
    the cells; `required` and `all` are bit sets of members. A cell has more names than can be used.
    """

    def __init__(self, graph: SchemaGraph, shape: ObjectShape) -> None:
        if len(shape.exists) > MOST_OBLIGATIONS:
            raise GrammarTooLargeError(
                "obligations in one object", MOST_OBLIGATIONS, len(shape.exists)
            )
        self.graph = graph
        self.shape = shape
        self._named: dict[str, int] = {}
        self._general: list[Rule] = []
        for rule in shape.rules:
            name = rule.keys.name
            if name is None:
                self._general.append(rule)
            elif name in self._named:
                self._named[name] = graph.conjunction(self._named[name], rule.node)
            else:
                self._named[name] = rule.node
        names = self._mentioned()
        self.cells: list[Pattern] = []
        self.cell_nodes: list[int] = []
        self.cell_carries: list[int] = []
        self._lay_out_cells(names)
        self.names = tuple(names)
        self.index = {name: i for i, name in enumerate(self.names)}
        self.nodes = tuple(self._node(name) for name in self.names)
        self.carries = tuple(self._carried(name) if shape.exists else 0 for name in self.names)
        self.all = (1 << len(self.names)) - 1
        self.required = sum(1 << i for i, name in enumerate(self.names) if name in shape.required)
        self.obligations = (1 << len(shape.exists)) - 1
        self.counts = bool(shape.low) or shape.high is not None

    @cached_property
    def closed_names(self) -> tuple[bytes, ...]:
        """The canonical spellings of the names, with the closing quote."""
        return tuple(canonical_body(name) + b'"' for name in self.names)

    @cached_property
    def sorted_names(self) -> tuple[bytes, ...]:
        """The same in ascending order."""
        return tuple(sorted(self.closed_names))

    def _mentioned(self) -> dict[str, None]:
        """Return all names that the shape tells apart: declared ones first, in their order."""
        names = dict.fromkeys(self._named)
        exists = self.shape.exists
        names.update((rule.keys.name, None) for rule in exists if rule.keys.name is not None)
        names.update(dict.fromkeys(sorted(self.shape.required - names.keys())))
        for rule in (*self._general, *exists):
            names.update(dict.fromkeys(sorted(rule.keys.without - names.keys())))
        return names

    def _patterns(self) -> list[Pattern]:
        keys = [rule.keys for rule in (*self._general, *self.shape.exists)]
        return sorted(dict.fromkeys(p for k in keys for p in (*k.inside, *k.outside)))

    def _lay_out_cells(self, names: dict[str, None]) -> None:
        """Find the cells; the names of small ones are added to `names`."""
        graph, shape = self.graph, self.shape
        universe = Pattern(graph.any_name, graph.text.any_body)
        patterns = self._patterns()
        if not patterns and not shape.exists:
            self.cells.append(universe)
            self.cell_nodes.append(self._conjoined(frozenset()))
            self.cell_carries.append(0)
            return
        for cell in cut(graph.terms, universe, patterns):
            if patterns:
                few = few_names(graph.terms, cell.plain)
                if few is not None:
                    names.update(dict.fromkeys(few))
                    continue
            self.cells.append(Pattern(cell.plain, cell.spelled))
            self.cell_nodes.append(self._conjoined(cell.inside))
            bits = (1 << i for i, r in enumerate(shape.exists) if _has_cell(r.keys, cell.inside))
            self.cell_carries.append(sum(bits))

    def _conjoined(self, inside: frozenset[Pattern]) -> int:
        node = self.graph.TRUE
        for rule in self._general:
            if _has_cell(rule.keys, inside):
                node = self.graph.conjunction(node, rule.node)
        return node

    def _node(self, name: str) -> int:
        node = self._named.get(name, self.graph.TRUE)
        for rule in self._general:
            if covers(self.graph.terms, rule.keys, name):
                node = self.graph.conjunction(node, rule.node)
        return node

    def _carried(self, name: str) -> int:
        covered = (covers(self.graph.terms, rule.keys, name) for rule in self.shape.exists)
        return sum(1 << i for i, yes in enumerate(covered) if yes)

    def carrying(self, node: int, obligations: int) -> int:
        """Return the node of a value that meets some obligations as well."""
        if not obligations:
            return node
        for index, rule in enumerate(self.shape.exists):
            if obligations >> index & 1:
                node = self.graph.conjunction(node, rule.node)
        return node

    def children(self) -> Iterator[int]:
        """Yield every node that a value in such an object may have to belong to."""
        if not self.obligations:
            yield from self.nodes
            yield from self.cell_nodes
            return
        for node, carries in zip(
            (*self.nodes, *self.cell_nodes), (*self.carries, *self.cell_carries), strict=True
        ):
            yield from (self.carrying(node, chosen) for chosen in subsets(carries))


def subsets(bits: int) -> Iterator[int]:
    """Yield every subset of a bit set, the empty one first."""
    chosen = 0
    while True:
        yield chosen
        if chosen == bits:
            return
        chosen = (chosen - bits) & bits


def _has_cell(keys: KeyClass, inside: frozenset[Pattern]) -> bool:
    """Return whether a class has the names of a cell, which are none of those mentioned."""
    return keys.name is None and keys.inside <= inside and not keys.outside & inside
