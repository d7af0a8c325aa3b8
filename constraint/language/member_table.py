"""The declared members of an object as entries of a list.

In the order of the schema, what may come next in an object is a run of its members: from the first
that is not passed to the first that must not be left out. Where names have one spelling, and
nothing is counted or owed, such a run is fixed texts, and what follows a name does not depend on
what was left out before it. So a state is not made of a term for each member: all runs of an object
share one row of states, one behind each name, whose terms are made when a text gets there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, Protocol

from ..terms.arena import TermArena
from ..terms.owners import EntriesKey
from ..text.json_text import JsonText
from .object_completion import Written
from .object_layout import Layout


class Member(NamedTuple):
    """The key of what follows a name: a colon, a value of the node, the rest of the object."""

    node: int
    after: Written


class _Offered(NamedTuple):
    written: Written


class Offered(_Offered, EntriesKey):
    """The key of the members that may come next, each with the rest of the object."""

    __slots__ = ()


class Language(Protocol):
    """What gives terms to the parts of objects."""

    text: JsonText

    def named(self, node: int) -> int | None:
        """Return the values of a node with the colon before them if that is one lexeme."""
        ...

    def members_of(self, node: int) -> MemberEntries | None:
        """Return the members of the objects of a node if it has no other values."""
        ...

    def node(self, node: int) -> int:
        """Return the term of the values of a node."""
        ...

    def expand(self, key: Any) -> int:
        """Return the term of a key."""
        ...

    def later(self, key: Any) -> int:
        """Return the reference that stands for the term of a key."""
        ...

    def free_members(self, written: Written) -> int:
        """Return the term of the members whose names are not declared."""
        ...


class MemberEntries:
    """The members of an object that have a value, in the order of the schema, as a list."""

    def __init__(
        self, language: Language, layout: Layout, begin: Written, has_value: Callable[[int], bool]
    ) -> None:
        """`begin` is the key of the whole object."""
        self._language = language
        self._layout = layout
        self._number = begin.shape
        members = enumerate(zip(layout.closed_names, layout.nodes, strict=True))
        self._texts = sorted(
            (b'"' + name, index) for index, (name, node) in members if has_value(node)
        )
        self._valued = sum(1 << index for _, index in self._texts)
        self._free: int | None = None
        self.group: Hashable = (language, begin.shape)
        text = language.text
        self.opening, self.lead = text.open_object, text.colon
        self.separator, self.end, self.closing = text.comma, text.close_object, b"}"
        self.whole = language.later(begin)

    @staticmethod
    def is_list(layout: Layout) -> bool:
        """Return whether members are fixed texts and nothing is remembered of them but the last."""
        return not layout.counts and not layout.obligations

    def __len__(self) -> int:
        return len(self._layout.names)

    def _written(self, passed: int) -> Written:
        return Written(self._number, (1 << passed) - 1, first=False)

    def texts(self, passed: int) -> tuple[tuple[bytes, int], ...]:
        """Return the names in quotes that may come next, with the numbers of their members.

        Cost: one look at each member.
        """
        last = self.last(passed)
        return tuple([pair for pair in self._texts if passed <= pair[1] < last])

    def all_texts(self) -> Sequence[tuple[bytes, int]]:
        """Return all names in quotes."""
        return self._texts

    def last(self, passed: int) -> int:
        """Return the number of the first member that cannot come next."""
        left = self._layout.required >> passed
        return passed + (left & -left).bit_length() if left else len(self)

    def has_texts(self, passed: int) -> bool:
        """Return whether a declared member may come next."""
        return bool(self._valued >> passed & (1 << self.last(passed) - passed) - 1)

    def other(self, passed: int) -> int:
        """Return the members whose names are not declared; they come behind all others."""
        if not self.may_end(passed):
            return TermArena.EMPTY
        if self._free is None:
            self._free = self._language.free_members(self._written(len(self)))
        return self._free

    def may_end(self, passed: int) -> bool:
        """Return whether the closing brace may follow a member, or the opening one."""
        return not self._layout.required >> passed

    def has_value(self, entry: int) -> bool:
        """Return whether a member may be written at all."""
        return bool(self._valued >> entry & 1)

    def is_required(self, entry: int) -> bool:
        """Return whether a member must be written."""
        return bool(self._layout.required >> entry & 1)

    def lexeme(self, entry: int) -> int | None:
        """Return the colon and the value where they are one lexeme."""
        return self._language.named(self._layout.nodes[entry])

    def inner(self, entry: int) -> MemberEntries | None:
        """Return the members of the value of a member, if that is an object and nothing else."""
        return self._language.members_of(self._layout.nodes[entry])

    def value(self, entry: int) -> int:
        """Return the value of a member."""
        return self._language.node(self._layout.nodes[entry])

    def behind(self, entry: int) -> int:
        """Return the colon, the value and the rest of the object."""
        member = Member(self._layout.nodes[entry], self._written(entry + 1))
        return self._language.expand(member)

    def rest(self, passed: int) -> int:
        """Return what may follow a member."""
        return self._language.later(self._written(passed))

    def next(self, passed: int) -> int:
        """Return what may follow a comma."""
        return self._language.later(Offered(self._written(passed)))
