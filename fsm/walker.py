"""Walks of one grammar through the trie of one vocabulary, by the kernels.

The walker owns what the kernels work on: the rows of the states, and buffers as large as the trie.
It walks until it meets states without a row; what to do with these is the caller's decision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..constraint.automaton import Automaton
from ..constraint.parts import Counted, Texts
from .bitmask import Bitmask, empty_mask
from .counted import CountedTokens
from .kernels import count, spell, walk
from .transition_table import TransitionTable
from .vocabulary import Vocabulary

Ints = npt.NDArray[np.int32]
MANY = 64  # pairs to walk from, among which it pays to look for equal ones
NO_NODES = NO_ENDS = np.empty(0, np.int32)
AT_ROOT = np.zeros(1, np.int32)


@dataclass(frozen=True, slots=True)
class TextArrays:
    """Texts as the kernel reads them: all bytes, and where each begins."""

    bytes: npt.NDArray[np.uint8]
    start: Ints

    @classmethod
    def of(cls, texts: Texts) -> TextArrays:
        """Lay out some texts one after another."""
        start = np.cumsum([0, *map(len, texts.texts)], dtype=np.int32)
        return cls(np.frombuffer(b"".join(texts.texts), np.uint8), start)


class Walker:
    """Walks states through the trie; the caller holds the grammar's lock."""

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        self.automaton = automaton
        self.table = TransitionTable(automaton)
        self.size = vocabulary.size
        self.trie = vocabulary.trie
        self._texts: dict[int, TextArrays] = {}
        nodes = self.trie.node_count
        self._stack = np.empty(self.trie.max_depth + 2, np.int32)
        self._pending = (np.empty(nodes, np.int32), np.empty(nodes, np.int32))
        self._exits = np.empty(nodes, np.int32)

    def run(
        self, nodes: Ints, states: Ints, mask: Bitmask, ends: Ints = NO_ENDS
    ) -> tuple[Ints, Ints, Ints]:
        """Walk from (node, state) pairs; return the pairs still to be walked, and the exits."""
        if len(nodes) > MANY:  # branches of a union often meet
            pairs = np.unique(nodes.astype(np.int64) << 32 | states)
            nodes, states = (pairs >> 32).astype(np.int32), pairs.astype(np.int32)
        self.table.cover(states)
        found = []
        while len(nodes):
            pending, left, done = self._walk_part(nodes, states, mask, ends)
            found.append(self._taken(pending, left))
            nodes, states = nodes[done:], states[done:]
        if len(found) == 1:
            return found[0]
        pending_nodes, pending_states, exits = zip(*found, strict=True)
        return np.concatenate(pending_nodes), np.concatenate(pending_states), np.concatenate(exits)

    def _taken(self, pending: int, left: int) -> tuple[Ints, Ints, Ints]:
        """Return copies of what a walk has left in the buffers."""
        nodes, states = self._pending
        return nodes[:pending].copy(), states[:pending].copy(), self._exits[:left].copy()

    def _walk_part(
        self, roots: Ints, starts: Ints, mask: Bitmask, ends: Ints
    ) -> tuple[int, int, int]:
        trie, table = self.trie, self.table
        found: tuple[int, int, int] = walk(
            trie.byte,
            trie.depth,
            trie.skip,
            trie.token_start,
            trie.token_ids,
            table.rows,
            table.row_of,
            table.accepting,
            roots,
            starts,
            self._stack,
            mask,
            ends,
            *self._pending,
            self._exits,
        )
        return found

    def know(self, states: Ints) -> list[int]:
        """Fill the rows of some states; return those that have none, as they have branches."""
        split = []
        for state in distinct(states):
            if self.automaton.alternatives(state).branches:
                split.append(state)
            else:
                self.table.know(state)
        return split

    def spell(self, at: Ints, state: int, texts: Texts, mask: Bitmask) -> Ints:
        """Add what some texts allow below some nodes; return the node behind each: (at, texts)."""
        trie = self.trie
        arrays = self._texts.get(state)
        if arrays is None:
            arrays = self._texts[state] = TextArrays.of(texts)
        ends = np.empty((len(at), len(texts.texts)), np.int32)
        flat = (trie.byte, trie.skip, trie.token_start, trie.token_ids)
        spell(*flat, arrays.bytes, arrays.start, at, self._stack, mask, ends)
        return ends

    def count(self, counted: Counted) -> CountedTokens:
        """Walk the string without a length that a counter belongs to; some milliseconds."""
        trie, table, base = self.trie, self.table, counted.base
        nodes, states, scratch = AT_ROOT, np.array([base], np.int32), empty_mask(self.size)
        while len(nodes):
            nodes, states, _ = self.run(nodes, states, scratch)
            if len(nodes) and self.know(states):
                raise AssertionError("the states of one lexeme have no branches")
        counts = np.full(self.size, -1, np.int32)
        exit_counts = np.empty_like(self._exits)
        left = count(
            trie.byte,
            trie.depth,
            trie.skip,
            trie.token_start,
            trie.token_ids,
            table.rows,
            table.row_of,
            table.accepting,
            base,
            np.array([counted.starts >> byte & 1 for byte in range(256)], np.bool_),
            self._stack,
            np.empty_like(self._stack),
            counts,
            self._exits,
            exit_counts,
        )
        return CountedTokens(trie, counts, self._exits[:left].copy(), exit_counts[:left].copy())

    def inner(self, nodes: Ints) -> Ints:
        """Return those of some nodes that have nodes below."""
        return nodes[self.trie.skip[nodes] > nodes + 1]


def distinct(states: Ints) -> list[int]:
    """Return the different ones of some states."""
    return sorted(set(states.tolist()))
