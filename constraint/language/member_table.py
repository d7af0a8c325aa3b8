"""The declared members of an object as one table of texts.

In the order of the schema, what may come next in an object is a run of its members: from the first
that is not passed to the first that must not be left out. Where names have one spelling, and
nothing is counted or owed, such a run is fixed texts, and what follows a name does not depend on
what was left out before it. So a state is not made of a term for each member: all runs of an object
share one row of states, one behind each name, whose terms are made when a text gets there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..terms.owners import ChoiceKey
from .object_completion import Written
from .object_layout import Layout


class Member(NamedTuple):
    """The key of what follows a name: a colon, a value of the node, the rest of the object."""

    node: int
    after: Written


class _Offered(NamedTuple):
    written: Written


class Offered(_Offered, ChoiceKey):
    """The key of the members that may come next, each with the rest of the object."""

    __slots__ = ()


class MemberTable:
    """The members of one object that have a value, with the texts of their names in quotes."""

    def __init__(self, layout: Layout, has_value: Callable[[int], bool]) -> None:
        self.layout = layout
        members = enumerate(zip(layout.closed_names, layout.nodes, strict=True))
        self._texts = sorted(
            (b'"' + name, index) for index, (name, node) in members if has_value(node)
        )

    @staticmethod
    def is_table(layout: Layout) -> bool:
        """Return whether members are fixed texts and nothing is remembered of them but the last."""
        return not layout.counts and not layout.obligations

    def __len__(self) -> int:
        return len(self.layout.names)

    def run(self, passed: int) -> tuple[tuple[bytes, int], ...]:
        """Return the (text, member) pairs that may come next in ascending order of the texts.

        The first `passed` members were written or left out. Empty if there are none left. Cost: one
        look at each member.
        """
        left = self.layout.required >> passed
        last = passed + (left & -left).bit_length() if left else len(self)
        return tuple([pair for pair in self._texts if passed <= pair[1] < last])
