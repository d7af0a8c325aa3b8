"""What an object still needs: the shortest way to its end, if there is one.

Members that are required, obligations that some member must meet, and the least and most number of
members pull on each other: the last free place must not go to an optional member while a required
one is open. So before a member is offered, the rest of the object is completed on paper:
obligations are dealt out to members in every way, the count is filled up with the shortest members
there are, and the cheapest result within the limit wins. No result means that the member is not
offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from ...schemas.errors import GrammarTooLargeError
from ..terms.shortest import INFINITE
from .name_languages import first_names
from .object_layout import Layout, subsets

MOST_DEALS = 20_000
MOST_FILLERS = 200


class Written(NamedTuple):
    """The memory of an object while it is being written.

    `declared` has bit i set once member i was written or, in the order of the schema, passed;
    `names` are the free names so far, `number` the members where their number matters, `pending`
    the obligations that are still open.
    """

    shape: int
    declared: int = 0
    names: frozenset[str] = frozenset()
    first: bool = True
    number: int = 0
    pending: int = 0


class Completion:
    """Lengths of the shortest ends of one object shape.

    `value_length(node)` and `key_length(name)` are in bytes, INFINITE where there is no value;
    `comma` is the length of a comma with its gaps.
    """

    def __init__(
        self,
        layout: Layout,
        value_length: Callable[[int], int],
        key_length: Callable[[str], int],
        comma: int,
    ) -> None:
        self.layout = layout
        self._value_length = value_length
        self._key_length = key_length
        self._comma = comma
        self._known: dict[tuple[int, int, int, frozenset[str]], int] = {}
        self._sums: dict[int, int] = {0: 0}

    def length(self, written: Written) -> int:
        """Return the length of a shortest rest with the brace, `INFINITE` if there is none."""
        members = self._members_length(written)
        if members >= INFINITE:
            return INFINITE
        return 1 + members - (self._comma if written.first and members else 0)

    def _members_length(self, written: Written) -> int:
        """Return the length of the members still needed, a comma before each."""
        layout = self.layout
        if not layout.counts and not written.pending:
            return self._plain(layout.required & ~written.declared)
        key = (written.declared, written.number, written.pending, written.names)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._cheapest(written)
        return found

    def _plain(self, members: int) -> int:
        """Return the length of a set of members.

        Sets shrink member by member as an object is written: each is a step from a known one.
        """
        chain = []
        while members not in self._sums:
            chain.append(members)
            members &= members - 1
        total = self._sums[members]
        for more in reversed(chain):
            total += self.member_length((more & -more).bit_length() - 1, 0)
            total = self._sums[more] = min(total, INFINITE)
        return total

    def member_length(self, index: int, obligations: int) -> int:
        """Return the length of a shortest member with its comma, meeting some obligations."""
        layout = self.layout
        value = self._value_length(layout.carrying(layout.nodes[index], obligations))
        if value >= INFINITE:
            return INFINITE
        return value + self._key_length(layout.names[index]) + self._comma

    def _cheapest(self, written: Written) -> int:
        best = INFINITE
        for deals, (load, cells) in enumerate(self._deals(written.pending, written)):
            if deals > MOST_DEALS:
                raise GrammarTooLargeError(
                    "ways to meet the obligations of one object", MOST_DEALS, deals
                )
            best = min(best, self._deal_length(written, load, cells))
        return best

    def _deals(
        self, pending: int, written: Written
    ) -> Iterator[tuple[dict[int, int], list[tuple[int, int]]]]:
        """Yield every deal of obligations: (member to bits, [(cell, bits) of new names])."""
        if not pending:
            yield {}, []
            return
        lowest = pending & -pending
        layout, left = self.layout, pending ^ lowest
        for others in subsets(left):
            group = others | lowest
            for load, cells in self._deals(left & ~others, written):
                for index, carries in enumerate(layout.carries):
                    free = not written.declared >> index & 1 and index not in load
                    if free and not group & ~carries:
                        yield load | {index: group}, cells
                for cell, carries in enumerate(layout.cell_carries):
                    if not group & ~carries:
                        yield load, [*cells, (cell, group)]

    def _deal_length(
        self, written: Written, load: dict[int, int], cells: list[tuple[int, int]]
    ) -> int:
        layout, shape = self.layout, self.layout.shape
        must = layout.required & ~written.declared
        loaded = sum(1 << index for index in load)
        chosen = must | loaded
        members = written.number + chosen.bit_count() + len(cells)
        fillers = max(shape.low - members, 0)
        if shape.high is not None and members + fillers > shape.high:
            return INFINITE
        total = self._plain(must & ~loaded)
        total += sum(self.member_length(index, group) for index, group in load.items())
        if total >= INFINITE or not (cells or fillers):
            return min(INFINITE, total)
        names = self._fresh_lengths(written, cells)
        total += sum(
            next(names[cell], INFINITE) + self._cell_length(cell, group) for cell, group in cells
        )
        spare = self._spare_lengths(written, chosen, names, fillers)
        return min(INFINITE, total + (sum(spare) if len(spare) == fillers else INFINITE))

    def _cell_length(self, cell: int, obligations: int) -> int:
        """Return the length of a shortest value in a cell, with a comma."""
        layout = self.layout
        value = self._value_length(layout.carrying(layout.cell_nodes[cell], obligations))
        return min(INFINITE, value + self._comma)

    def _fresh_lengths(
        self, written: Written, cells: list[tuple[int, int]]
    ) -> dict[int, Iterator[int]]:
        """Return for each cell the lengths of names still to be used, about shortest first."""
        layout = self.layout
        used = written.names | frozenset(layout.names)
        return {
            cell: (self._key_length(n) for n in first_names(layout.graph.terms, names.plain, used))
            for cell, names in enumerate(layout.cells)
        }

    def _spare_lengths(
        self, written: Written, chosen: int, names: dict[int, Iterator[int]], count: int
    ) -> list[int]:
        """Return the lengths of the `count` shortest members that are not chosen yet.

        Raises GrammarTooLargeError if that are more than there are names to try.
        """
        if not count:
            return []
        if count > MOST_FILLERS:
            raise GrammarTooLargeError("members that minProperties requires", MOST_FILLERS, count)
        layout = self.layout
        open_members = layout.all & ~written.declared & ~chosen
        lengths = [self.member_length(index, 0) for index in _bits(open_members)]
        for cell in range(len(layout.cells)):
            value = self._cell_length(cell, 0)
            if value < INFINITE:
                lengths.extend(key + value for key in islice(names[cell], count))
        return sorted(length for length in lengths if length < INFINITE)[:count]


def _bits(members: int) -> Iterator[int]:
    while members:
        bit = members & -members
        yield bit.bit_length() - 1
        members ^= bit
