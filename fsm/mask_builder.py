"""Token masks of states that nobody asked about before.

A state is walked through the vocabulary trie by the kernel. Inside a string nearly every token is
legal and the walk is long; but a state "rest of a string, then a tail" allows exactly the tokens
that stay inside the string, and those that leave it somewhere and go on in the tail. Which tokens
stay and where they leave depends on the string alone: `HeadMask` keeps that for each vocabulary,
shared by all grammars, and only the short walks of the tail from the places of leaving are made
anew.

Where the string's own text decides what follows (a property name that must not come twice), it is
for `capture_masks` to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..constraint.automaton import Automaton
from ..constraint.parts import Branch, Counted, Texts
from .bitmask import Bitmask, empty_mask
from .capture_masks import Captures
from .counted import CountedTokens
from .places import HeadMask, Place, Sparse, Step, is_root
from .recent import Recent
from .vocabulary import Vocabulary
from .walker import AT_ROOT, NO_NODES, Walker, distinct

Ints = npt.NDArray[np.int32]
KNOWN_BYTES = 32 << 20  # of one grammar's steps and captures
SHARED_BYTES = 64 << 20  # of each kind that grammars over one vocabulary share
ENTRY_BYTES = 256  # of a key and its place in a table
WIDE = 64  # bytes to begin with; fewer are walked sooner than counted


@dataclass(slots=True)
class Shared:
    """What grammars over one vocabulary share, by fingerprint."""

    heads: Recent[bytes, HeadMask] = field(default_factory=lambda: Recent(SHARED_BYTES))
    counted: Recent[bytes, CountedTokens] = field(default_factory=lambda: Recent(SHARED_BYTES))
    steps: Recent[bytes, Step] = field(default_factory=lambda: Recent(SHARED_BYTES))


_SHARED: WeakKeyDictionary[Vocabulary, Shared] = WeakKeyDictionary()


class MaskBuilder:
    """Builds masks for one grammar and one vocabulary; the caller holds the grammar's lock."""

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        self.automaton = automaton
        self.walker = Walker(automaton, vocabulary)
        self.size = vocabulary.size
        self.trie = vocabulary.trie
        self._shared = _SHARED.setdefault(vocabulary, Shared())
        self.root = Place(AT_ROOT, b"")
        self._steps: Recent[tuple[Place, int], tuple[Step, Place]] = Recent(KNOWN_BYTES)
        self._texts: Recent[tuple[Place, bytes], Place] = Recent(KNOWN_BYTES // 4)
        self._captures = Captures(self)

    @property
    def held_bytes(self) -> int:
        """Return the size of what this grammar alone has; buffers as large as the trie left out."""
        kept = self._steps.held_bytes + self._texts.held_bytes + self._captures.held_bytes
        return kept + self.walker.table.held_bytes

    def build(self, state: int) -> Bitmask:
        """Return the mask of a state, EOS left out: (words,) int32."""
        mask = empty_mask(self.size)
        self.add(self.root, state, mask)
        return mask

    def add(self, place: Place, state: int, mask: Bitmask) -> None:
        """Add what a state allows below the nodes of a place, part by part."""
        work, plain, met = [(place, state)], [], set()
        while work:
            place, state = work.pop()
            if (place, state) in met:
                continue
            met.add((place, state))
            found = self.automaton.alternatives(state)
            if found.rest == state:
                whole = self._whole(state) if place is self.root else None
                if whole is not None:
                    mask |= whole
                    continue
                if self.automaton.is_lexeme(state):
                    found = self.automaton.inside(state)
            for branch in found.branches:
                if branch.tail is None:
                    mask |= self._captures.mask(place, branch, branch.head)
                else:
                    below = self.beyond(place, branch.head, mask)
                    if len(below.nodes):
                        work.append((below, branch.tail))
            if found.texts is not None:
                work += self._behind_texts(place, state, found.texts, mask)
            if found.rest == state:
                plain.append((place.nodes, np.full(len(place.nodes), state, np.int32)))
            elif found.rest is not None:
                work.append((place, found.rest))
        if plain:
            nodes, states = zip(*plain, strict=True)
            self.walk(np.concatenate(nodes), np.concatenate(states), mask)

    def beyond(self, place: Place, head: int, mask: Bitmask) -> Place:
        """Add what a lexeme allows below a place; return the place behind it."""
        found = self._steps[place, head]
        if found is None:
            step, name = self._step(place, head)
            found = step, Place(step.nodes, name)
            self._steps.put((place, head), found, step.held_bytes + ENTRY_BYTES)
        found[0].mask.add_to(mask)
        return found[1]

    def _step(self, place: Place, head: int) -> tuple[Step, bytes | None]:
        own = None if place.name is None else self.automaton.fingerprint(head)
        name = None if own is None or place.name is None else _digest(place.name + own)
        step = None if name is None else self._shared.steps[name]
        if step is None:
            mask = empty_mask(self.size)
            nodes = self._through(place.nodes, head, mask)
            step = Step(Sparse.of(mask), nodes)
            if name is not None:
                self._shared.steps.put(name, step, step.held_bytes + ENTRY_BYTES)
        return step, name

    def _behind_texts(
        self, place: Place, state: int, texts: Texts, mask: Bitmask
    ) -> Iterator[tuple[Place, int]]:
        """Add what some texts allow below a place; yield where to go on, and in which state."""
        ends = self.walker.spell(place.nodes, state, texts, mask)
        goes_on = (ends >= 0) & (self.trie.skip[ends] > ends + 1)
        for i in np.flatnonzero(goes_on.any(axis=0)).tolist():
            text = texts.texts[i]
            below = self._texts[place, text]
            if below is None:
                name = None if place.name is None else _digest(place.name + b"text" + text)
                below = Place(ends[goes_on[:, i], i], name)
                self._texts.put((place, text), below, below.nodes.nbytes + ENTRY_BYTES)
            yield below, texts.tails[i]

    def walk(self, nodes: Ints, states: Ints, mask: Bitmask) -> Ints:
        """Walk from (node, state) pairs, adding to `mask`; return the nodes whose state accepts."""
        exits = [NO_NODES]
        while len(nodes):
            nodes, states, left = self.walker.run(nodes, states, mask)
            exits.append(left)
            if len(nodes):
                nodes, states = self._walk_pending(nodes, states, mask, exits)
        return np.concatenate(exits)

    def _walk_pending(
        self, nodes: Ints, states: Ints, mask: Bitmask, exits: list[Ints]
    ) -> tuple[Ints, Ints]:
        """Take apart or fill the states that a walk has stopped at; return where to go on."""
        found = distinct(states)
        more: list[tuple[Ints, Ints]] = [(NO_NODES, NO_NODES)]
        for state in found:
            at = nodes if len(found) == 1 else nodes[states == state]
            parts = self.automaton.alternatives(state)
            if parts.rest == state and self.automaton.is_lexeme(state):
                parts = self.automaton.inside(state)
            for branch in parts.branches:
                below = self._walk_branch(at, branch, mask)
                if len(below):
                    more.append((below, np.full(len(below), branch.tail, np.int32)))
            if parts.texts is not None:
                more.append(self._walk_texts(at, state, parts.texts, mask, exits))
            if parts.rest is not None:
                if parts.rest == state:
                    self.walker.table.know(state)
                more.append((at, np.full(len(at), parts.rest, np.int32)))
        return np.concatenate([n for n, _ in more]), np.concatenate([s for _, s in more])

    def _walk_texts(
        self, at: Ints, state: int, texts: Texts, mask: Bitmask, exits: list[Ints]
    ) -> tuple[Ints, Ints]:
        """Add what some texts allow below some nodes; return where to go on behind them."""
        ends = self.walker.spell(at, state, texts, mask)
        met = ends >= 0
        last = np.array([self.automaton.is_accepting(tail) for tail in texts.tails], np.bool_)
        exits.append(ends[met & last])
        goes_on = met & (self.trie.skip[ends] > ends + 1)
        tails = np.broadcast_to(np.array(texts.tails, np.int32), ends.shape)
        return ends[goes_on], tails[goes_on]

    def _walk_branch(self, at: Ints, branch: Branch, mask: Bitmask) -> Ints:
        """Add what one branch allows below some nodes; return where its tail is to be walked."""
        if branch.tail is None:
            mask |= self._captures.mask(Place(at), branch, branch.head)
            return NO_NODES
        return self._through(at, branch.head, mask)

    def _through(self, at: Ints, head: int, mask: Bitmask) -> Ints:
        """Add what a lexeme allows below some nodes; return the nodes to walk its tail from."""
        if is_root(at):
            found = self.head(head)
            mask |= found.mask
            exits = found.inner_exits
        else:
            exits = self.walker.inner(self.walk(at, np.full(len(at), head, np.int32), mask))
        return np.concatenate((exits, at)) if self.automaton.is_accepting(head) else exits

    def head(self, head: int) -> HeadMask:
        """Return what a lexeme allows from the root; it is looked up if any grammar has met it."""
        name = self.automaton.fingerprint(head)
        found = None if name is None else self._shared.heads[name]
        if found is None:
            found = self._counted_head(head) or self.walk_head(AT_ROOT, head)
            if name is not None:
                self._shared.heads.put(name, found, found.held_bytes + ENTRY_BYTES)
        return found

    def _whole(self, state: int) -> Bitmask | None:
        """Return what a state allows from the root that is a lexeme, or begins with a counter."""
        if self.automaton.is_lexeme(state):
            return self.head(state).mask
        counted = self.automaton.counted(state)
        if counted is None or counted.starts.bit_count() < WIDE:
            return None
        if self.automaton.fingerprint(counted.base) is None:  # it would be walked for this alone
            return None
        tokens = self._counted(counted)
        if counted.low == 0 and counted.high is not None:
            return tokens.at_most(counted.high)
        return tokens.within(counted.low, counted.high)[0]

    def _counted_head(self, head: int) -> HeadMask | None:
        """Return what a lexeme with a wide counter allows; None if it has none."""
        counted = self.automaton.counted(head)
        if counted is None or counted.starts.bit_count() < WIDE:
            return None
        mask, exits = self._counted(counted).within(counted.low, counted.high)
        return HeadMask(mask, exits, self.walker.inner(exits))

    def _counted(self, counted: Counted) -> CountedTokens:
        """Return the tokens of a counter without bounds, walked once for each vocabulary."""
        name = self.automaton.fingerprint(counted.base)
        tokens = None if name is None else self._shared.counted[name]
        if tokens is None:
            tokens = self.walker.count(counted)
            if name is not None:
                self._shared.counted.put(name, tokens, tokens.most_bytes)
        return tokens

    def walk_head(self, at: Ints, head: int) -> HeadMask:
        """Walk a lexeme without anything behind it."""
        mask = empty_mask(self.size)
        exits = self.walk(at, np.full(len(at), head, np.int32), mask)
        return HeadMask(mask, exits, self.walker.inner(exits))


def _digest(parts: bytes) -> bytes:
    """Name a place by the name of the one before it and a lexeme, 16 bytes each, or a text."""
    return blake2b(parts, digest_size=16).digest()
