"""Masks of captures: lexemes whose text decides what may follow.

The walk is made as if the text were new. The few texts that are taken are then cut out with the
subtrees behind them. Where a later capture ends inside the same token (a second name, a second
item), its text may be that of the first: such tokens, rare as they are, are stepped byte by byte.
Where the owner cannot list what is taken, a capture is walked text by text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Protocol
from weakref import proxy

import numpy as np
import numpy.typing as npt
from numba import njit

from ..constraint.automaton import DEAD, NO_STATE, Automaton
from ..constraint.parts import Branch
from ..constraint.stepping import walk
from .bitmask import Bitmask, allow, empty_mask, forbid
from .columns import EXIT, NOTHING
from .head_masks import HeadMask, Sparse
from .recent import ENTRY_BYTES, Recent
from .trie import VocabularyTrie, find_node
from .walker import NO_NODES

Ints = npt.NDArray[np.int32]
KNOWN_BYTES = 8 << 20  # of one grammar's captures
MOST_DOUBTFUL = 256  # nodes whose tokens are asked one by one


class Builder(Protocol):
    """What makes the masks of the other parts of a state."""

    automaton: Automaton
    trie: VocabularyTrie
    size: int

    def add(self, nodes: Ints, state: int, mask: Bitmask) -> None:
        """Add what a state allows below some nodes."""
        ...

    def add_all(self, nodes: Ints, states: Ints, behind: int, mask: Bitmask) -> Ints:
        """Add what a state of its own allows below each node; return exits, if they are noted."""
        ...

    def through(self, nodes: Ints, head: int, mask: Bitmask) -> Ints:
        """Add what a lexeme allows below some nodes; return the nodes where it ends."""
        ...

    def below(self, nodes: Ints, head: int) -> HeadMask:
        """Return what a lexeme allows below some nodes; looked up if any grammar has met it so."""
        ...


@dataclass(slots=True)
class CaptureMask:
    """The mask of a capture whose text is new; what was `left` of it when some were `blocked`.

    `doubtful` are the nodes where a later capture ends that may have the same text, or where it
    begins if its head leaves out that text: of the tokens from there on it is not known.
    """

    mask: Sparse
    doubtful: Ints
    blocked: tuple[bytes, ...] = ()
    left: Sparse = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is blocked as long as nobody says so."""
        self.left = self.mask


@dataclass(slots=True)
class Unknown:
    """A capture that is walked with its text left open; where captures end that ask for it."""

    branch: Branch
    ends: list[Ints] = field(default_factory=list)


class Captures:
    """Makes the masks of captures for a builder; called under the grammar's lock."""

    def __init__(self, builder: Builder) -> None:
        # If it was kept by what it keeps, both would stay after the grammar was dropped.
        self._builder: Builder = proxy(builder)
        self._automaton, self._trie = builder.automaton, builder.trie
        self._known: Recent[tuple[int, int, bytes], CaptureMask] = Recent(KNOWN_BYTES)
        self._unknown: list[Unknown] = []
        self._signs: dict[int, int] = {}  # the bytes that they begin with, modulo 64

    @property
    def held_bytes(self) -> int:
        """Return the size of what is kept."""
        return self._known.held_bytes

    def add(self, nodes: list[int], branch: Branch, behind: int, mask: Bitmask) -> Ints:
        """Allow in a mask what a capture allows below some nodes, which come in ascending order.

        With `EXIT` behind it, the capture is part of a lexeme: return where that may end.
        """
        at = np.array(nodes, np.int32)
        doubted = self._tell_outer(at, branch)
        blocked = self._automaton.captured.blocked(branch)
        if blocked is None:
            return self._each_text(at, branch, behind, mask)
        for part in self._side_by_side(at):
            self._add(part, branch, blocked, mask, doubted=doubted)
        return self._ends(at, branch) if behind == EXIT else NO_NODES

    def _side_by_side(self, at: Ints) -> list[Ints]:
        """Return some nodes in parts of which none lies above another of its part.

        What is cut out below a node may be allowed below another inside its subtree.
        """
        if len(at) == 1:
            return [at]
        above = self._above(at, at)
        return [at[~above], *at[above, None]] if above.any() else [at]

    def _tell_outer(self, at: Ints, branch: Branch) -> bool:
        """Tell captures on the way here, which may have the same text, where this one ends.

        Returns whether there are any.
        """
        shares = self._automaton.captured.shares_memory
        outer = [unknown for unknown in self._unknown if shares(unknown.branch, branch)]
        if outer:
            ends = at
            if not self._automaton.captured.head_remembers(branch):
                ends = self._builder.through(at, branch.head, empty_mask(self._builder.size))
            for unknown in outer:
                unknown.ends.append(ends)
        return bool(outer)

    def _add(
        self, at: Ints, branch: Branch, blocked: tuple[bytes, ...], mask: Bitmask, *, doubted: bool
    ) -> None:
        new = self._new_capture(at, branch)
        left = self._without(at, new, blocked) if blocked else new.mask
        if doubted or not len(new.doubtful):  # what is doubtful here is so for the outer one
            left.add_to(mask)
            return
        nodes = self._with_tokens(new.doubtful)
        if len(nodes) > MOST_DOUBTFUL:
            self._each_text(at, branch, NOTHING, mask)
            return
        mask |= self._asked(left, nodes, at, self._automaton.captured.alone(branch))

    def _ends(self, at: Ints, branch: Branch) -> Ints:
        """Return the nodes below some nodes where the lexeme may end that a capture is part of.

        Those where it ends behind a new text are asked one by one: few tokens hold so much.
        """
        captured, scratch = self._automaton.captured, empty_mask(self._builder.size)
        found = self._builder.below(at, branch.head).exits
        behind = np.full(len(found), captured.after(branch, None), np.int32)
        found = np.unique(self._builder.add_all(found, behind, EXIT, scratch))
        state, accepts = captured.alone(branch), self._automaton.is_accepting
        ends = [any(accepts(s) for s in self._behind(n, at, state)) for n in found.tolist()]
        return found[np.array(ends, np.bool_)]

    def _with_tokens(self, nodes: Ints) -> Ints:
        """Return the nodes in the subtrees of some nodes that have tokens, ascending."""
        below = [np.arange(node, self._trie.skip[node]) for node in np.unique(nodes).tolist()]
        found = np.unique(np.concatenate(below)).astype(np.int32)
        start = self._trie.token_start
        with_tokens: Ints = found[start[found + 1] > start[found]]
        return with_tokens

    def _asked(self, left: Sparse, nodes: Ints, at: Ints, state: int) -> Bitmask:
        """Return the mask with the tokens of some nodes asked one by one, from the nodes `at`."""
        trie, mask = self._trie, left.whole(self._builder.size)
        for node in nodes.tolist():
            allowed = next(self._behind(node, at, state), None) is not None
            (allow if allowed else forbid)(mask, trie.tokens_at(node))
        return mask

    def _behind(self, node: int, at: Ints, state: int) -> Iterator[int]:
        """Yield the states behind the paths to a node from those of some nodes that lie above."""
        trie = self._trie
        text = trie.path(node)
        for start in at[(at < node) & (trie.skip[at] > node)].tolist():
            after = walk(self._automaton, state, text[int(trie.depth[start]) :])
            if after != DEAD:
                yield after

    def _each_text(self, at: Ints, branch: Branch, behind: int, mask: Bitmask) -> Ints:
        """Add what a capture allows below some nodes, text by text where it ends in a token.

        Returns the exits, if any are noted.
        """
        inside, through = empty_mask(self._builder.size), self._builder.through
        exits = through(at, branch.head, inside)
        if not len(exits):
            mask |= inside
            return NO_NODES
        ending = self._above(at, exits)
        through(at[~ending], branch.head, mask)
        found = [self._each_exit(node, branch, behind, mask) for node in at[ending].tolist()]
        return np.concatenate([NO_NODES, *found])

    def _above(self, at: Ints, below: Ints) -> npt.NDArray[np.bool_]:
        """Return which of some nodes have one of the others in their subtree: (at,)."""
        below = np.sort(below)
        first = np.searchsorted(below, at, side="right")
        last = np.searchsorted(below, self._trie.skip[at])
        return np.asarray(first < last, np.bool_)

    def _new_capture(self, at: Ints, branch: Branch) -> CaptureMask:
        """Return the mask of a capture as if its text were different from all others."""
        head = self._builder.below(at, branch.head)
        goes_on = self._may_go_on(head, branch)
        state = self._automaton.captured.after(branch, None) if goes_on else NO_STATE
        key = (branch.head, state, at.tobytes())
        kept = not self._unknown or not goes_on  # what is met on the way is told to outer ones
        found = self._known[key] if kept else None
        if found is None:
            found = (
                self._gone_on(branch, head, state) if goes_on else CaptureMask(head.mask, NO_NODES)
            )
            if kept:
                size = 2 * found.mask.held_bytes + found.doubtful.nbytes + at.nbytes + ENTRY_BYTES
                self._known.put(key, found, size)
        return found

    def _may_go_on(self, head: HeadMask, branch: Branch) -> bool:
        """Return whether what follows a capture may begin in the token that the capture ends in."""
        sign = self._automaton.captured.sign_behind(branch)
        if sign is None or not head.begun:
            return bool(head.begun)
        starts = self._signs.get(sign)
        if starts is None:
            bits = sum(mask for mask, _ in self._automaton.row(sign))
            starts = self._signs[sign] = bits | bits >> 64 | bits >> 128 | bits >> 192
        return bool(starts & head.begun)

    def _gone_on(self, branch: Branch, head: HeadMask, state: int) -> CaptureMask:
        """Return the mask of a capture and of what follows it in the same token."""
        mask, unknown = head.mask.whole(self._builder.size), Unknown(branch)
        self._unknown.append(unknown)
        self._builder.add(head.inner_exits, state, mask)
        self._unknown.pop()
        return CaptureMask(Sparse.of(mask), np.concatenate([NO_NODES, *unknown.ends]))

    def _without(self, at: Ints, new: CaptureMask, blocked: tuple[bytes, ...]) -> Sparse:
        """Return the mask less all tokens that spell a blocked text or begin with one."""
        if new.blocked == blocked:
            return new.left
        trie, left = self._trie, new.mask
        ends = np.array(list(accumulate(map(len, blocked))), np.int64)
        nodes = np.empty(len(at) * len(blocked), np.int32)
        found = find_below(trie.nodes, trie.contents, at, b"".join(blocked), ends, nodes)
        if found:
            mask = left.whole(self._builder.size)
            for node in nodes[:found].tolist():
                forbid(mask, trie.tokens_from(node))
            left = Sparse(None, mask) if left.words is None else Sparse.of(mask)
        if len(blocked) >= len(new.blocked):  # they are fewer and shorter inside a name
            new.blocked, new.left = blocked, left
        return left

    def _each_exit(self, node: int, branch: Branch, behind: int, mask: Bitmask) -> Ints:
        """Add what a capture allows below `node`, asking for every text what follows it."""
        trie, depth = self._trie, int(self._trie.depth[node])
        own = empty_mask(self._builder.size)
        exits = self._builder.through(np.array([node], np.int32), branch.head, own)
        nodes, states = [], []
        for exit_node in exits.tolist():
            state = self._automaton.captured.after(branch, trie.path(exit_node)[depth:])
            if state == DEAD:
                forbid(own, trie.tokens_at(exit_node))
            else:
                allow(own, trie.tokens_at(exit_node))
                nodes.append(exit_node)
                states.append(state)
        mask |= own
        at, after = np.array(nodes, np.int32), np.array(states, np.int32)
        return self._builder.add_all(at, after, behind, mask)


@njit(cache=True, nogil=True)
def find_below(nodes: Any, contents: Any, starts: Any, texts: bytes, ends: Any, found: Any) -> int:
    """Find the nodes that lead from some nodes over some texts; return how many there are.

    Shapes: nodes (n + 1, 4) and contents (n + 1, 4), those of a trie; starts (nodes,); ends (k,):
    where each text ends in `texts`; found (nodes * k,).
    """
    count = 0
    for at in range(starts.shape[0]):
        begin = 0
        for text in range(ends.shape[0]):
            node = find_node(nodes, contents, texts, begin, ends[text], starts[at])
            begin = ends[text]
            if node >= 0:
                found[count] = node
                count += 1
    return count
