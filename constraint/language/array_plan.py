"""Arrays with obligations: what the next item may be, and how the array can still end.

`contains` and its complement ask for a number of items in a node. While an array is written, the
state is the index and one count for each obligation; each next item is decided to be in the
obligation's node or not. An obligation without an upper limit needs no "not": an item that is not
counted may be anything. The shortest end is a shortest path over these states (Dijkstra 1959).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

from ...schemas.errors import GrammarTooLargeError
from ..schema.graph import SchemaGraph
from ..schema.shapes import ArrayShape, Count
from ..terms.shortest import INFINITE

MOST_STATES = 20_000
MOST_OBLIGATIONS = 6


class Items(NamedTuple):
    """A place in an array: items written, capped where more makes no difference, and counts."""

    shape: int
    position: int
    counts: tuple[int, ...]


class ArrayPlan:
    """The states of one array shape with obligations.

    `value_length(node)` is in bytes, INFINITE where a node has no value.
    """

    def __init__(
        self,
        graph: SchemaGraph,
        shape: ArrayShape,
        value_length: Callable[[int], int],
        comma: int,
    ) -> None:
        if len(shape.counts) > MOST_OBLIGATIONS:
            raise GrammarTooLargeError(
                "obligations in one array", MOST_OBLIGATIONS, len(shape.counts)
            )
        self.graph = graph
        self.shape = shape
        self._value_length = value_length
        self._comma = comma
        starts = [count.start for count in shape.counts]
        self.cap = max(1, len(shape.prefix), shape.low, *starts)
        if shape.high is not None:
            self.cap = max(self.cap, shape.high)
        self._known: dict[Items, int] = {}

    def start(self, shape: int) -> Items:
        """Return the state of an array in which nothing is written."""
        return Items(shape, 0, (0,) * len(self.shape.counts))

    def may_end(self, at: Items) -> bool:
        """Return whether the array may be closed."""
        met = all(n >= count.low for n, count in zip(at.counts, self.shape.counts, strict=True))
        return met and at.position >= self.shape.low

    def choices(self, at: Items) -> Iterator[tuple[int, Items]]:
        """Yield (node of the next item, state after it) for every way to count the item."""
        if self.shape.high is not None and at.position >= self.shape.high:
            return
        per_count = [
            list(self._ways(count, n, at.position))
            for n, count in zip(at.counts, self.shape.counts, strict=True)
        ]
        for ways in product(*per_count):
            node = self.shape.item(at.position)
            for extra, _ in ways:
                node = self.graph.conjunction(node, extra)
            yield (
                node,
                at._replace(
                    position=min(at.position + 1, self.cap), counts=tuple(n for _, n in ways)
                ),
            )

    def _ways(self, count: Count, number: int, index: int) -> Iterator[tuple[int, int]]:
        """Yield (node that the item must belong to, number counted after it)."""
        true = self.graph.TRUE
        if index < count.start or (count.high is None and number >= count.low):
            yield true, number
            return
        if count.high is None:
            yield true, number
            yield count.node, number + 1
            return
        yield self.graph.negation(count.node), number
        if number < count.high:
            yield count.node, number + 1

    def children(self) -> Iterator[int]:
        """Yield every node that an item may have to belong to."""
        last = max(len(self.shape.prefix), *(count.start for count in self.shape.counts))
        for index in range(last + 1):
            options = []
            for count in self.shape.counts:
                sides = [self.graph.TRUE, count.node]
                options.append(
                    sides if count.high is None else [*sides, self.graph.negation(count.node)]
                )
            for extras in product(*options):
                node = self.shape.item(index)
                for extra in extras:
                    node = self.graph.conjunction(node, extra)
                yield node

    def length(self, at: Items) -> int:
        """Return the length of the shortest items still needed, a comma before each."""
        found = self._known.get(at)
        if found is None:
            found = self._known[at] = self._search(at)
        return found

    def _search(self, start: Items) -> int:
        queue, done = [(0, start)], set[Items]()
        while queue:
            cost, at = heapq.heappop(queue)
            if self.may_end(at):
                return cost
            if at in done:
                continue
            done.add(at)
            if len(done) > MOST_STATES:
                raise GrammarTooLargeError("states of one array", MOST_STATES, len(done))
            for node, after in self.choices(at):
                length = self._value_length(node)
                if length < INFINITE and after not in done:
                    heapq.heappush(queue, (cost + length + self._comma, after))
        return INFINITE
