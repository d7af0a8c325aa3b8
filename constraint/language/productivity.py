"""Which nodes of a schema have a value at all, and how short its text can be.

A value of a node may need values of other nodes, and a schema may refer to itself, so "has a value"
is a least fixpoint: start from nothing, let every node that can be written with what is known
become known, and repeat until nothing changes. Carrying lengths instead of yes and no costs the
same and also gives the shortest text. A node that stays without a length is empty: every value
would need another one of itself.

Source: productive nonterminals of a grammar; least lengths by Knuth's generalisation of Dijkstra
(1977).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from ...schemas.errors import GrammarTooLargeError, UnsupportedGrammarError
from ..schema.graph import SchemaGraph
from ..schema.nodes import placed
from ..schema.shapes import ArrayShape, ObjectShape, Shapes
from ..terms.shortest import INFINITE, Shortest
from ..text.json_text import JsonText
from ..text.numbers import NumberText
from .array_plan import ArrayPlan
from .object_completion import Completion, Written
from .object_layout import Layout
from .unique_items import UniqueItems

MOST_NODES = 200_000


class Productivity:
    """Lengths of shortest texts for every node that a root can reach.

    Visiting the nodes also reads every keyword that matters, so each refusal is known afterwards.
    Of the arrays in `void` it is known that they have no value.
    """

    def __init__(
        self,
        graph: SchemaGraph,
        text: JsonText,
        numbers: NumberText,
        shortest: Shortest,
        void: frozenset[ArrayShape] = frozenset(),
    ) -> None:
        self.graph = graph
        self.numbers = numbers
        self.shortest = shortest
        self.text = text
        self.void = void
        self._lengths: dict[int, int] = {}
        self._layouts: dict[ObjectShape, Layout] = {}
        self._node_layouts: dict[int, list[Layout]] = {}
        self._key_lengths: dict[str, int] = {}
        self._scalar_lengths: dict[object, int] = {}
        self._met_shapes: dict[int, tuple[Shapes, int]] = {}
        self._distinct: dict[ArrayShape, UniqueItems] = {}
        self._comma = shortest.length(self.text.comma)
        self.colon_length = shortest.length(self.text.colon)

    @cached_property
    def _plain_numbers(self) -> NumberText:
        floats = self.numbers.integral_floats
        return NumberText(
            self.graph.terms, self.text.style, integral_floats=floats, exponents=False
        )

    def visit(self, root: int) -> int:
        """Return the length of a shortest text of `root`, `INFINITE` if it has no value."""
        users = self._reach(root)
        waiting = dict.fromkeys(users)  # the last ones first: they are what others are made of
        while waiting:
            node, _ = waiting.popitem()
            if self._improve(node):
                waiting.update(dict.fromkeys(users[node]))
        return self.length(root)

    def length(self, node: int) -> int:
        """Return the length of a shortest text of a visited node."""
        return self._lengths.get(node, INFINITE)

    def empty_nodes(self) -> list[int]:
        """Return the visited nodes without a value, in the order in which they were met."""
        return [node for node, length in self._lengths.items() if length >= INFINITE]

    def endless(self, nodes: Iterable[int]) -> bool:
        """Return whether some of the nodes need each other in a circle."""
        inside = set(nodes)
        needs = {n: inside.intersection(self._children(n)) for n in inside}
        try:
            TopologicalSorter(needs).prepare()
        except CycleError:
            return True
        return False

    def _reach(self, root: int) -> dict[int, list[int]]:
        """Return the arrays and objects below `root` with the nodes that use them directly.

        The lengths of all other nodes below it are known then: no array or object is as short as a
        digit.
        """
        users: dict[int, list[int]] = {}
        queue: list[int] = []

        def meet(node: int) -> None:
            shapes = self.graph.shapes(node)
            if node != self.graph.TRUE and (shapes.arrays or shapes.objects):
                self._lengths[node], users[node] = INFINITE, []
                queue.append(node)
            else:
                self._lengths[node] = self._shortest_scalar(shapes)

        meet(root)
        for node in queue:
            for child in self._children(node):
                if child not in self._lengths:
                    meet(child)
                if child in users:
                    users[child].append(node)
            if len(self._lengths) > MOST_NODES:
                raise GrammarTooLargeError("schema nodes", MOST_NODES, len(self._lengths))
        return users

    def _improve(self, node: int) -> bool:
        shapes = self.graph.shapes(node)
        try:
            length = min(self._shortest_scalar(shapes), self._shortest_container(node, shapes))
        except UnsupportedGrammarError as error:
            raise placed(error, self.graph.pointers(node)) from None
        if length >= self._lengths[node]:
            return False
        self._lengths[node] = length
        return True

    def _shortest_scalar(self, shapes: Shapes) -> int:
        met = self._met_shapes.get(id(shapes))
        if met is not None:
            return met[1]
        key = (shapes.null, shapes.booleans, shapes.numbers, shapes.strings)
        found = self._scalar_lengths.get(key)
        if found is None:
            found = self._scalar_lengths[key] = self._scalar_length(shapes)
        self._met_shapes[id(shapes)] = shapes, found  # kept, so that no other gets its identity
        return found

    def _scalar_length(self, shapes: Shapes) -> int:
        lengths = [INFINITE]
        if shapes.null:
            lengths.append(4)
        lengths.extend(4 if truth else 5 for truth in shapes.booleans)
        lengths.extend(self.shortest.length(self.numbers.term(n)) for n in shapes.numbers)
        if shapes.strings:
            lengths.append(2 + self.shortest.length(shapes.strings))
        return min(lengths)

    def _shortest_container(self, node: int, shapes: Shapes) -> int:
        lengths = [INFINITE]
        lengths.extend(self.array_length(shape) for shape in shapes.arrays)
        lengths.extend(self._length_of(layout) for layout in self._layouts_of(node, shapes))
        return min(lengths)

    def _layouts_of(self, node: int, shapes: Shapes) -> list[Layout]:
        """Return the layouts of a node's objects; shapes are large, and slow to look up."""
        found = self._node_layouts.get(node)
        if found is None:
            found = self._node_layouts[node] = [self.layout(shape) for shape in shapes.objects]
        return found

    def array_length(self, shape: ArrayShape) -> int:
        """Return the length of a shortest text of an array shape."""
        if shape in self.void or (shape.high is not None and shape.low > shape.high):
            return INFINITE
        if self.has_distinct_items(shape):
            unique = self.distinct(shape)
            if unique.holds_containers:  # how many there are is told by `JsonLanguage.settle`
                return 1 + unique.min_length(unique.start)
            return 1 + unique.min_length(unique.start) if unique.may_begin() else INFINITE
        if shape.counts:
            plan = self.plan(shape)
            items = plan.length(plan.start(0))
            return items if items >= INFINITE else 2 + max(items - self._comma, 0)
        if shape.low > self.most_items(shape):
            return INFINITE
        known = shape.prefix[: shape.low]
        items = sum(self.length(node) for node in known)
        if shape.low > len(known):
            items += (shape.low - len(known)) * self.length(shape.rest)
        return min(INFINITE, 2 + items + max(shape.low - 1, 0) * self._comma)

    def most_items(self, shape: ArrayShape) -> int:
        """Return how many items can be written before one without a value comes."""
        high = INFINITE if shape.high is None else shape.high
        for index, node in enumerate(shape.prefix[:high]):
            if self.length(node) >= INFINITE:
                return index
        if high > len(shape.prefix) and self.length(shape.rest) >= INFINITE:
            return len(shape.prefix)
        return high

    def has_distinct_items(self, shape: ArrayShape) -> bool:
        """Return whether an array has two items that must not be equal."""
        return shape.unique and (shape.high is None or shape.high > 1)

    def distinct(self, shape: ArrayShape) -> UniqueItems:
        """Return the unique items of an array shape, made once."""
        found = self._distinct.get(shape)
        if found is None:
            found = self._distinct[shape] = self.new_distinct(shape)
        return found

    def new_distinct(self, shape: ArrayShape) -> UniqueItems:
        """Return the unique items of an array shape, made for somebody else."""
        numbers, shortest = self._plain_numbers, self.shortest
        return UniqueItems(self.graph, shape, self.text, numbers, shortest, self.length)

    @property
    def distinct_arrays(self) -> tuple[UniqueItems, ...]:
        """The arrays of different items that were met."""
        return tuple(self._distinct.values())

    def short_arrays(self, node: int) -> list[ArrayShape]:
        """Return the arrays of a node that have no value as their items cannot differ."""
        unique = [s for s in self.graph.shapes(node).arrays if self.has_distinct_items(s)]
        possible = [s for s in unique if s.low <= self.most_items(s)]
        return [s for s in possible if s in self.void or not self.distinct(s).may_begin()]

    def plan(self, shape: ArrayShape) -> ArrayPlan:
        """Return the plan of an array shape with obligations, as far as lengths are known now."""
        return ArrayPlan(self.graph, shape, self.length, self._comma)

    def object_length(self, shape: ObjectShape) -> int:
        """Return the length of a shortest text of an object shape."""
        return self._length_of(self.layout(shape))

    def _length_of(self, layout: Layout) -> int:
        completion = Completion(layout, self.length, self.key_length, self._comma)
        rest = completion.length(self.begin(layout, 0))
        return rest if rest >= INFINITE else 1 + rest

    def begin(self, layout: Layout, number: int) -> Written:
        """Return the memory of an object in which nothing is written."""
        return Written(number, pending=layout.obligations)

    def completion(self, shape: ObjectShape) -> Completion:
        """Return the completions of an object shape, as far as lengths are known now."""
        return Completion(self.layout(shape), self.length, self.key_length, self._comma)

    def layout(self, shape: ObjectShape) -> Layout:
        """Return the layout of an object shape, made once."""
        found = self._layouts.get(shape)
        if found is None:
            found = self._layouts[shape] = Layout(self.graph, shape)
        return found

    def key_length(self, name: str) -> int:
        """Return the length of a name with quotes and colon."""
        found = self._key_lengths.get(name)
        if found is None:
            found = self.text.name_length(name) + self.colon_length
            self._key_lengths[name] = found
        return found

    @property
    def comma_length(self) -> int:
        """The length of a comma with its gaps."""
        return self._comma

    def _children(self, node: int) -> dict[int, None]:
        shapes = self.graph.shapes(node)
        found: dict[int, None] = {}
        if not shapes.arrays and not shapes.objects:
            return found
        for array in shapes.arrays:
            if array.counts:
                found.update(dict.fromkeys(self.plan(array).children()))
            else:
                found.update(dict.fromkeys((*array.prefix, array.rest)))
        for layout in self._layouts_of(node, shapes):
            found.update(dict.fromkeys(layout.children()))
        return found
