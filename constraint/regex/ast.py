r"""The syntax tree of a regular expression, reduced to seven kinds of nodes.

Anchors and word boundaries are spelled with lookarounds (`^` is "no character behind", `\b` a
choice of two), so lowering has to know only three zero-width kinds: `Behind`, `After` for one
character or the end of the text, and the general `Ahead`.

Nodes are built by a `Syntax` only, which returns the same object for the same content: nodes
compare and hash by identity, whatever their depth.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from .char_sets import CharSet


@dataclass(frozen=True, eq=False, slots=True)
class Chars:
    """One character out of a set."""

    ranges: CharSet


@dataclass(frozen=True, eq=False, slots=True)
class Concat:
    """The parts in order; no parts match the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Union:
    """Any of at least two parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Repeat:
    """`low` to `high` (None: any number of) times the inner node."""

    inner: Node
    low: int
    high: int | None


@dataclass(frozen=True, eq=False, slots=True)
class Ahead:
    """What follows begins with the inner node (or does not, when negated)."""

    inner: Node
    negated: bool


@dataclass(frozen=True, eq=False, slots=True)
class Behind:
    """What precedes ends with the inner node (or does not, when negated)."""

    inner: Node
    negated: bool


@dataclass(frozen=True, eq=False, slots=True)
class After:
    """The next character is in the set; at the end of the text it holds if `at_end`."""

    ranges: CharSet
    at_end: bool


Node: TypeAlias = Chars | Concat | Union | Repeat | Ahead | Behind | After
N = TypeVar("N", Chars, Concat, Union, Repeat, Ahead, Behind, After)


class Syntax:
    """Builds nodes and knows of each whether it asserts, looks ahead or may be empty."""

    def __init__(self) -> None:
        """Start without nodes but the empty one."""
        self._known: dict[Hashable, Node] = {}
        self._asserts: set[Node] = set()
        self._looks_ahead: set[Node] = set()
        self._may_be_empty: set[Node] = set()
        self.empty = self.concat(())

    def asserts(self, node: Node) -> bool:
        """Return whether an assertion is anywhere in the node."""
        return node in self._asserts

    def looks_ahead(self, node: Node) -> bool:
        """Return whether a lookahead (longer than one character) is anywhere in the node."""
        return node in self._looks_ahead

    def may_be_empty(self, node: Node) -> bool:
        """Return whether the node can match the empty text if its assertions allow."""
        return node in self._may_be_empty

    def chars(self, ranges: CharSet) -> Node:
        """Return one character of the set."""
        return self._intern(Chars(ranges), (Chars, ranges), empty=False)

    def concat(self, parts: Iterable[Node]) -> Node:
        """Return the parts in order, nested concatenations opened."""
        flat: list[Node] = []
        for part in parts:
            flat.extend(part.parts if isinstance(part, Concat) else (part,))
        if len(flat) == 1:
            return flat[0]
        empty = all(part in self._may_be_empty for part in flat)
        return self._intern(Concat(tuple(flat)), (Concat, *flat), empty=empty)

    def union(self, parts: Iterable[Node]) -> Node:
        """Return the choice between the parts, of which there is at least one."""
        unique = tuple(dict.fromkeys(parts))
        if len(unique) == 1:
            return unique[0]
        empty = any(part in self._may_be_empty for part in unique)
        return self._intern(Union(unique), (Union, *unique), empty=empty)

    def repeat(self, inner: Node, low: int, high: int | None) -> Node:
        """Return the repetition; the counters stay numbers."""
        if inner is self.empty or high == 0:
            return self.empty
        if low == 1 and high == 1:
            return inner
        empty = low == 0 or inner in self._may_be_empty
        return self._intern(Repeat(inner, low, high), (Repeat, inner, low, high), empty=empty)

    def ahead(self, inner: Node, *, negated: bool = False) -> Node:
        """Return a lookahead."""
        node = self._intern(Ahead(inner, negated), (Ahead, inner, negated), empty=True)
        self._looks_ahead.add(node)
        self._asserts.add(node)
        return node

    def behind(self, inner: Node, *, negated: bool = False) -> Node:
        """Return a lookbehind."""
        node = self._intern(Behind(inner, negated), (Behind, inner, negated), empty=True)
        self._asserts.add(node)
        return node

    def after(self, ranges: CharSet, *, at_end: bool) -> Node:
        """Return a look at the next character."""
        node = self._intern(After(ranges, at_end), (After, ranges, at_end), empty=True)
        self._asserts.add(node)
        return node

    def _intern(self, node: N, key: Hashable, *, empty: bool) -> N:
        known = self._known.get(key)
        if known is not None:
            return known  # type: ignore[return-value]
        self._known[key] = node
        if empty:
            self._may_be_empty.add(node)
        for part in children(node):
            if part in self._asserts:
                self._asserts.add(node)
            if part in self._looks_ahead:
                self._looks_ahead.add(node)
        return node


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly inside."""
    if isinstance(node, Concat | Union):
        return node.parts
    if isinstance(node, Chars | After):
        return ()
    return (node.inner,)


def postorder(root: Node) -> Iterator[Node]:
    """Yield every distinct node of the tree, parts before wholes, without recursion."""
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, opened = stack.pop()
        if opened:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((part, False) for part in reversed(children(node)))
