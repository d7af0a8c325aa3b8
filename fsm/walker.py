"""Walks of one grammar through the trie of one vocabulary, by the kernels.

The walker owns what the kernels work on, the states as arrays; the buffers are the thread's. It
walks until something is asked for; the answer is the caller's decision.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..constraint.automaton import DEAD, Automaton
from ..constraint.parts import Branch, Counted
from ..schemas.errors import GrammarTooLargeError
from .bitmask import Bitmask, empty_mask
from .columns import BIG, NOTHING, UNKNOWN
from .counted import CountedTokens, count
from .following import ASK, follow
from .kernels import explore
from .scratch import Scratch, scratch
from .state_table import StateTable
from .vocabulary import Vocabulary

Ints = npt.NDArray[np.int32]
GROWTH = 8  # what a walk did is done again with more room
MOST_ROOM = 1 << 21  # items; about 100 MB, and some seconds
ITEMS_A_STEP = 16
MOST_TOLD = 8  # states on the way through a token behind a name
NO_NODES = NO_ENDS = np.empty(0, np.int32)
AT_ROOT = np.zeros(1, np.int32)


@dataclass(slots=True)
class Walk:
    """A walk that may take several runs: its buffers, its stamp, how many items were done under it.

    `special` has the (node, state, tail) items that ask for more than what their state is, `wanted`
    the states that the others ask for.
    """

    buffers: Scratch
    stamp: int
    seen: int = 0
    wanted: list[int] = field(default_factory=list)
    special: list[list[int]] = field(default_factory=list)


class Walker:
    """Walks states through the trie; the caller holds the grammar's lock."""

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        self.automaton = automaton
        self.table = StateTable(automaton)
        self.size = vocabulary.size
        self.trie = vocabulary.trie
        self.big = BIG

    def begin(self) -> Walk:
        """Return a new walk; what was done in it is not done again."""
        buffers = scratch()
        return Walk(buffers, buffers.begin(self.trie.max_depth))

    def run(
        self, items: Ints, under: Walk, mask: Bitmask, ends: Ints = NO_ENDS
    ) -> tuple[Ints, Ints]:
        """Walk from (node, state, tail) items; return those whose states are asked for, and exits.

        The first are a view of a buffer.
        """
        buffers = under.buffers
        if len(items) < len(buffers.work):
            buffers.work[: len(items)] = items
        else:
            buffers.make_room(2 * len(items), items)
        return self._run(len(items), under, mask, ends)

    def run_on(self, items: Ints, under: Walk, mask: Bitmask) -> Ints:
        """Do what `run` does, take apart what states are asked for, and go on; return the exits."""
        asked, exits = self.run(items, under, mask)
        found, buffers = [exits], under.buffers
        while len(asked):
            for state in under.wanted:
                self.table.tell(state)
            buffers.work, buffers.asked = buffers.asked, buffers.work
            asked, exits = self._run(len(asked), under, mask, NO_ENDS)
            if len(exits):
                found.append(exits)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _run(self, items: int, under: Walk, mask: Bitmask, ends: Ints) -> tuple[Ints, Ints]:
        """Do the first items of the work; what is asked for is a view of the buffer.

        Raises GrammarTooLargeError if they are more than the fuel or the buffers allow.
        """
        trie, table, buffers, before = self.trie, self.table, under.buffers, under.seen
        table.cover()
        while True:
            left, asked, special, wanted, under.seen, too_small = explore(
                trie.nodes,
                trie.first_nodes,
                trie.height,
                trie.contents,
                trie.token_ids,
                self.big,
                table.shared,
                table.rows,
                table.states,
                table.starts,
                table.branches.array,
                table.texts.array,
                table.text_bytes.array,
                table.loops.array,
                buffers.work,
                items,
                buffers.met,
                under.stamp,
                under.seen,
                buffers.stack,
                mask,
                ends,
                buffers.exits,
                buffers.asked,
                buffers.wanted,
            )
            if not too_small:
                self.automaton.terms.spend((under.seen - before) // ITEMS_A_STEP)
                if special:
                    under.special += buffers.asked[-special:].tolist()
                under.wanted = distinct(buffers.wanted[:wanted]) if wanted else []
                return buffers.asked[:asked], buffers.exits[:left].copy() if left else NO_NODES
            room = GROWTH * len(buffers.work)
            if room > MOST_ROOM:
                raise GrammarTooLargeError("places of one token mask", MOST_ROOM, room)
            buffers.make_room(room, buffers.work[:items])
            before = under.seen = 0

    def follow(self, state: int, token: bytes, tell: bool = False) -> int | None:
        """Return the state behind a token, `DEAD` if there is none.

        None where the states on the way are not all known, as they are behind a mask: then it is
        to be found byte by byte. With `tell`, some are told first.
        """
        table = self.table
        if tell:
            table.know(state)
        if state >= len(table.states):
            return None
        captures = table.captures.get(state)
        count = self._follow(state, token, captures is not None)
        for _ in range(MOST_TOLD if tell else 0):
            if count > ASK:
                break
            table.know(ASK - count)
            count = self._follow(state, token, captures is not None)
        if count < 0:
            return None
        if not count and not captures:
            return DEAD
        parts = scratch().parts[:count].tolist()
        if captures is not None:
            return self._in_capture(captures, token, parts)
        return self._alone(parts)

    def _follow(self, state: int, token: bytes, beside: bool) -> int:
        table, buffers = self.table, scratch()
        count: int = follow(
            table.shared,
            table.rows,
            table.states,
            table.branches.array,
            table.texts.array,
            table.text_bytes.array,
            token,
            state,
            beside,
            buffers.parts,
            buffers.later_parts,
        )
        return count

    def _in_capture(
        self, captures: tuple[Branch, ...], token: bytes, parts: list[list[int]]
    ) -> int | None:
        """Return the state in or behind one capture, or in texts beside it; None for others."""
        if len(captures) > 1:
            return None
        head = self.follow(captures[0].head, token)
        if head is None:
            return None
        if head != DEAD and not self.automaton.is_accepting(head):
            after = self.automaton.behind(head)
            state = self.automaton.captured.inside(captures[0], token, after)
            if not parts:
                return state
            return self._beside_texts(state, parts) if len(parts) == 1 else None
        behind = self._behind_capture(captures[0], token)
        return behind if not parts else self._alone(parts) if behind == DEAD else None

    def _behind_capture(self, capture: Branch, token: bytes) -> int | None:
        """Return the state behind a capture that ends inside a token, `DEAD` if its text is taken.

        Taken is the name of a part beside it, as a rule.
        """
        end = self.automaton.captured.end(capture, token)
        closed = self.follow(capture.head, token[:end])
        if closed is None:
            return None
        if closed == DEAD or not self.automaton.is_accepting(closed):
            return DEAD
        text, captured = token[:end], self.automaton.captured
        if text in (captured.blocked(capture) or ()):
            return DEAD
        state = captured.after(capture, text)
        return state if state == DEAD else self.follow(state, token[end:], tell=True)

    def _alone(self, parts: list[list[int]]) -> int:
        """Return the state of some parts, each a state or the rests of texts, and what follows."""
        if len(parts) == 1:
            state, tail, low, high, place = parts[0]
            if tail != NOTHING and state != UNKNOWN:
                return self.automaton.pair(state, tail)
            if tail == NOTHING:
                return self.table.within_texts(low, high, place) if state == UNKNOWN else state
        return self._joined(parts)

    def _beside_texts(self, state: int, parts: list[list[int]]) -> int | None:
        """Return a state and the rests of texts beside it, without their terms; None for others."""
        ((_, tail, low, high, place),) = parts
        if parts[0][0] != UNKNOWN or tail != NOTHING or not self.automaton.may_stand_beside(state):
            return None
        return self.table.within_texts(low, high, place, state)

    def _joined(self, parts: list[list[int]]) -> int:
        """Return the state of several parts, or of one and what follows it."""
        parts = sorted(parts, key=lambda part: part[0] == UNKNOWN)
        if len(parts) == 2 and parts[0][0] != UNKNOWN and parts[0][1] == NOTHING:
            state = self._beside_texts(parts[0][0], parts[1:])
            if state is not None:
                return state
        found, automaton = [], self.automaton
        for state, tail, low, high, place in parts:
            if state != UNKNOWN:
                found.append(automaton.behind(state, tail))
                continue
            for begin, end, after in self.table.texts.array[low:high].tolist():
                text = self.table.text_bytes.array[begin + place : end].tobytes()
                found.append(automaton.behind_text(text, after, tail))
        return automaton.any_of(found)

    def count(self, counted: Counted, node: int) -> CountedTokens:
        """Walk below a node the string without a length that a counter belongs to."""
        trie, table, base = self.trie, self.table, counted.base
        scratch, under = empty_mask(self.size), self.begin()
        items = items_of(np.array([node], np.int32), base, NOTHING)
        ends = np.empty(self.size, np.int32)
        while len(items):
            items = self.run(items, under, scratch, ends)[0].copy()
            for state in distinct(items[:, 1]):
                table.fill_row(state)
        ids, below = trie.tokens_below(node), int(trie.skip[node]) - node
        counts, whole = np.full((2, len(ids)), -1, np.int32)
        exits, exit_counts = np.empty(below, np.int32), np.empty(below, np.int32)
        left = count(
            trie.nodes,
            table.shared,
            table.rows,
            table.states,
            node,
            base,
            np.array([counted.starts >> byte & 1 for byte in range(256)], np.bool_),
            under.buffers.stack,
            counts,
            whole,
            exits,
            exit_counts,
        )
        rows = self.size, counts, whole, ids
        return CountedTokens(trie, *rows, exits[:left].copy(), exit_counts[:left].copy())


def items_of(nodes: Ints, state: int, tail: int) -> Ints:
    """Return the items of one state at some nodes: (nodes, 3)."""
    items = np.empty((len(nodes), 3), np.int32)
    items[:, 0], items[:, 1], items[:, 2] = nodes, state, tail
    return items


def distinct(states: Ints) -> list[int]:
    """Return the different ones of some states."""
    return sorted(set(states.tolist()))
