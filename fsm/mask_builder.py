"""Token masks of states that nobody asked about before.

A state is walked through the vocabulary trie by the kernel. Inside a string nearly every token is
legal and the walk is long; but a state "rest of a string, then a tail" allows exactly the tokens
that stay inside the string, and those that leave it somewhere and go on in the tail. Which tokens
stay and where they leave depends on the string alone: `HeadMask` keeps that for each vocabulary,
shared by all grammars, and only the short walks of the tail from the places of leaving are made
anew.

Where the string's own text decides what follows (a property name that must not come twice), the
walk is made as if the name were new, and the few names that are not are then cut out with the
subtrees behind them. A token long enough to contain one such name and the end of another is walked
name by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..constraint.automaton import DEAD, Automaton, Branch
from .bitmask import Bitmask, allow, empty_mask, forbid
from .kernels import walk
from .transition_table import TransitionTable
from .vocabulary import Vocabulary

Ints = npt.NDArray[np.int32]
ROOT = 0
MANY = 64  # pairs to walk from, among which it pays to look for equal ones
NO_ENDS = np.empty(0, np.int32)
_SHARED: WeakKeyDictionary[Vocabulary, dict[bytes, HeadMask]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class HeadMask:
    """What a lexeme allows from the root of the trie, whatever follows it.

    `mask` has every token that stays inside the lexeme or ends with it; `exits` are the trie nodes
    where the lexeme may end, `inner_exits` those of them that have nodes below.
    """

    mask: Bitmask
    exits: Ints
    inner_exits: Ints


@dataclass(frozen=True, slots=True)
class CaptureMask:
    """The mask of a capture whose text is new; not `exact` where the text matters later."""

    mask: Bitmask
    exact: bool


@dataclass(slots=True)
class Unknown:
    """A capture that is walked with its text left open; whether a later capture asks for it."""

    branch: Branch
    matters: bool = False


class MaskBuilder:
    """Builds masks for one grammar and one vocabulary; the caller holds the grammar's lock."""

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        self.automaton = automaton
        self.table = TransitionTable(automaton)
        self.size = vocabulary.size
        self.trie = vocabulary.trie
        self._shared = _SHARED.setdefault(vocabulary, {})
        self._heads: dict[int, HeadMask] = {}
        self._captures: dict[tuple[int, int], CaptureMask] = {}
        self._unknown: list[Unknown] = []
        nodes = self.trie.node_count
        self._stack = np.empty(self.trie.max_depth + 2, np.int32)
        self._pending = (np.empty(nodes, np.int32), np.empty(nodes, np.int32))
        self._exits = np.empty(nodes, np.int32)

    def build(self, state: int) -> Bitmask:
        """Return the mask of a state, EOS left out: (words,) int32."""
        mask = empty_mask(self.size)
        self._walk([ROOT], [state], mask)
        return mask

    def _walk(self, nodes: list[int], states: list[int], mask: Bitmask) -> Ints:
        """Walk from (node, state) pairs, adding to `mask`; return the nodes whose state accepts."""
        exits = []
        while nodes:
            pending_nodes, pending_states, left = self.run(nodes, states, mask)
            exits.append(left)
            nodes, states = [], []
            split: dict[int, list[int]] = {}
            for node, state in zip(pending_nodes, pending_states, strict=True):
                if self.automaton.branches(state):
                    split.setdefault(state, []).append(node)
                else:
                    self.table.know(state)
                    nodes.append(node)
                    states.append(state)
            for state, found in split.items():
                for branch in self.automaton.branches(state):
                    self._walk_branch(found, branch, mask, nodes, states)
        return np.concatenate(exits) if exits else np.empty(0, np.int32)

    def run(
        self, nodes: list[int], states: list[int], mask: Bitmask, ends: Ints = NO_ENDS
    ) -> tuple[list[int], list[int], Ints]:
        """Walk from (node, state) pairs; return the pairs still to be walked, and the exits."""
        if len(nodes) > MANY:  # branches of a union often meet
            pairs = list(dict.fromkeys(zip(nodes, states, strict=True)))
            nodes, states = [node for node, _ in pairs], [state for _, state in pairs]
        roots, starts = np.array(nodes, np.int32), np.array(states, np.int32)
        self.table.cover(starts)
        pending_nodes: list[int] = []
        pending_states: list[int] = []
        exits = []
        for part in self._parts(roots):
            pending, left = self._walk_part(roots[part], starts[part], mask, ends)
            for found, buffer in zip((pending_nodes, pending_states), self._pending, strict=True):
                found += buffer[:pending].tolist()
            exits.append(self._exits[:left].copy())
        return pending_nodes, pending_states, exits[0] if len(exits) == 1 else np.concatenate(exits)

    def _parts(self, roots: Ints) -> list[slice]:
        """Cut start nodes into runs whose subtrees are not larger together than the whole trie.

        A walk writes no more than one pair and one exit for each node of its subtrees, and the
        buffers have room for as many as the trie has nodes.
        """
        room = len(self._exits)
        sizes = self.trie.skip[roots] - roots
        if int(sizes.sum(dtype=np.int64)) <= room:
            return [slice(0, len(roots))]
        parts, first, used = [], 0, 0
        for k, size in enumerate(sizes.tolist()):
            if used + size > room:
                parts.append(slice(first, k))
                first, used = k, 0
            used += size
        return [*parts, slice(first, len(roots))]

    def _walk_part(self, roots: Ints, starts: Ints, mask: Bitmask, ends: Ints) -> tuple[int, int]:
        trie, table = self.trie, self.table
        pending, left = walk(
            trie.byte,
            trie.depth,
            trie.skip,
            trie.token_start,
            trie.token_ids,
            table.rows,
            table.known,
            table.accepting,
            roots,
            starts,
            self._stack,
            mask,
            ends,
            *self._pending,
            self._exits,
        )
        return pending, left

    def _walk_branch(
        self, at: list[int], branch: Branch, mask: Bitmask, nodes: list[int], states: list[int]
    ) -> None:
        """Add what one branch allows below some nodes; pairs still to be walked go to the lists."""
        if branch.head is None:
            assert branch.tail is not None
            below = at
        elif branch.tail is None:
            mask |= self._capture(at, branch, branch.head)
            return
        else:
            below = self._through(at, branch.head, mask)
        nodes.extend(below)
        states.extend([branch.tail] * len(below))

    def _through(self, at: list[int], head: int, mask: Bitmask) -> list[int]:
        """Add what a lexeme allows below some nodes; return the nodes to walk its tail from."""
        if at == [ROOT]:
            found = self._head(head)
            mask |= found.mask
            exits = found.inner_exits
        else:
            exits = self._inner(self._walk(at, [head] * len(at), mask))
        return [*exits.tolist(), *(at if self.automaton.is_accepting(head) else [])]

    def _inner(self, exits: Ints) -> Ints:
        return exits[self.trie.skip[exits] > exits + 1]

    def _head(self, head: int) -> HeadMask:
        """Return what a lexeme allows from the root; it is looked up if any grammar has met it."""
        found = self._heads.get(head)
        if found is None:
            name = self.automaton.fingerprint(head)
            found = None if name is None else self._shared.get(name)
            if found is None:
                found = self._walk_head(ROOT, head)
                if name is not None:
                    self._shared[name] = found
            self._heads[head] = found
        return found

    def _walk_head(self, node: int, head: int) -> HeadMask:
        """Walk a lexeme without anything behind it; its states have no branches."""
        mask = empty_mask(self.size)
        exits = self._walk([node], [head], mask)
        return HeadMask(mask, exits, self._inner(exits))

    def _capture(self, at: list[int], branch: Branch, head: int) -> Bitmask:
        """Return the mask of a capture below some nodes."""
        for outer in self._unknown:
            outer.matters |= self.automaton.shares_memory(outer.branch, branch)
        blocked = self.automaton.blocked(branch)
        if blocked is not None:
            new = self._new_capture(at, branch, head)
            if new.exact:
                return self._without(at, new.mask, blocked) if blocked else new.mask
        mask = empty_mask(self.size)
        for node in at:
            found = self._head(head) if node == ROOT else self._walk_head(node, head)
            mask |= self._each_exit(node, branch, found)
        return mask

    def _new_capture(self, at: list[int], branch: Branch, head: int) -> CaptureMask:
        """Return the mask of a capture as if its text were different from all others."""
        state = self.automaton.after(branch, None)
        found = self._captures.get((head, state)) if at == [ROOT] else None
        if found is None:
            mask = empty_mask(self.size)
            exits = self._through(at, head, mask)
            unknown = Unknown(branch)
            self._unknown.append(unknown)
            self._walk(exits, [state] * len(exits), mask)
            self._unknown.pop()
            found = CaptureMask(mask, exact=not unknown.matters)
            if at == [ROOT]:
                self._captures[head, state] = found
        return found

    def _without(self, at: list[int], mask: Bitmask, blocked: tuple[bytes, ...]) -> Bitmask:
        """Return the mask less all tokens that spell a blocked text or begin with one."""
        trie = self.trie
        cut = mask
        for text, start in product(blocked, at):
            node = trie.find(text, start)
            if node >= 0:
                cut = mask.copy() if cut is mask else cut
                end = trie.token_start[trie.skip[node]]
                forbid(cut, trie.token_ids[trie.token_start[node] : end].tolist())
        return cut

    def _each_exit(self, node: int, branch: Branch, head: HeadMask) -> Bitmask:
        """Return the mask of a capture below `node`, asking for every text what follows it."""
        trie, depth = self.trie, int(self.trie.depth[node])
        mask = head.mask.copy()
        nodes, states = [], []
        for exit_node in head.exits.tolist():
            state = self.automaton.after(branch, trie.path(exit_node)[depth:])
            if state == DEAD:
                forbid(mask, trie.tokens_at(exit_node).tolist())
            else:
                allow(mask, trie.tokens_at(exit_node).tolist())
                nodes.append(exit_node)
                states.append(state)
        self._walk(nodes, states, mask)
        return mask
