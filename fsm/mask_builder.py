"""Token masks of states that nobody asked about before.

The kernel walks a state through the vocabulary trie by itself, as far as the states on the way are
known; what it asks for is answered here. States are taken apart or get their rows. Inside a string
nearly every token is legal and the walk is long; but which tokens stay in a string, and at which
nodes they leave it, depends on the string alone: `HeadMask` keeps that for each vocabulary, shared
by all grammars, and the kernel goes on from where the string is left.

Where the string's own text decides what follows (a property name that must not come twice), it is
for `capture_masks` to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..constraint.automaton import Automaton
from ..constraint.parts import Counted
from ..constraint.stepping import walk
from ..constraint.terms.counters import Counter
from .bitmask import Bitmask, empty_mask
from .capture_masks import Captures
from .columns import CAPTURED, CAPTURED_EXIT, EXIT, NESTED, NOTHING, ROOT, WIDE
from .counted import FEW_PARTS, CountedTokens
from .head_masks import HeadMask
from .loading import load_kernels
from .recent import ENTRY_BYTES, Recent
from .scratch import NO_ITEMS
from .vocabulary import Vocabulary
from .walker import AT_ROOT, NO_NODES, Walker, items_of

Ints = npt.NDArray[np.int32]
KNOWN_BYTES = 32 << 20  # of lexemes that have a meaning in one grammar only
SHARED_BYTES = 64 << 20  # of each kind that grammars over one vocabulary share
Name = tuple[bytes, int | bytes]  # a fingerprint, and a node or the bytes of an array of nodes


@dataclass(slots=True)
class Shared:
    """What grammars over one vocabulary share, by fingerprint and node."""

    nothing: Bitmask
    heads: Recent[Name, HeadMask] = field(default_factory=lambda: Recent(SHARED_BYTES))
    counted: Recent[Name, CountedTokens] = field(default_factory=lambda: Recent(SHARED_BYTES))
    wide: Bitmask | None = None  # what the first wide lexeme allows, any string as a rule


_SHARED: WeakKeyDictionary[Vocabulary, Shared] = WeakKeyDictionary()


class MaskBuilder:
    """Builds masks for one grammar and one vocabulary; the caller holds the grammar's lock."""

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        load_kernels()
        self.automaton = automaton
        self.walker = Walker(automaton, vocabulary)
        self.size = vocabulary.size
        self.trie = vocabulary.trie
        self._table = self.walker.table
        self._shared = _SHARED.get(vocabulary) or _SHARED.setdefault(
            vocabulary, Shared(empty_mask(self.size))
        )
        self._own: Recent[tuple[int, int | bytes], HeadMask] = Recent(KNOWN_BYTES)
        self._captures = Captures(self)
        self._from_root = items_of(AT_ROOT, NOTHING, NOTHING)

    @property
    def held_bytes(self) -> int:
        """Return the size of what this grammar alone has."""
        kept = self._own.held_bytes + self._captures.held_bytes
        return kept + self._table.held_bytes

    def bases(self) -> tuple[Bitmask, ...]:
        """Masks that many others differ little from, the same for all grammars."""
        nothing, wide = self._shared.nothing, self._shared.wide
        return (nothing,) if wide is None else (nothing, wide)

    def build(self, state: int) -> Bitmask:
        """Return the mask of a state, EOS left out: (words,) int32; read-only if it is shared."""
        whole = self._whole(state)
        if whole is not None:
            return whole
        self._table.know(state)
        mask = empty_mask(self.size)
        branch = self._table.wide_branch(state)
        if branch is None:
            self._from_root[0, 1] = state
            self._walk(self._from_root, mask)
        else:
            self._walk(self._beyond(ROOT, branch, NOTHING, mask), mask)
        return mask

    def advance(self, state: int, token: bytes) -> int:
        """Return the state behind a token, `DEAD` if there is none; cheap where a mask was made."""
        found = self.walker.follow(state, token)
        return walk(self.automaton, state, token) if found is None else found

    def add(self, nodes: Ints, state: int, mask: Bitmask) -> None:
        """Add what a state allows below some nodes."""
        self._table.know(state)
        self._walk(items_of(nodes, state, NOTHING), mask)

    def add_all(self, nodes: Ints, states: Ints, behind: int, mask: Bitmask) -> Ints:
        """Add what a state of its own allows below each node; return exits, if they are noted."""
        items = items_of(nodes, NOTHING, behind)
        items[:, 1] = states
        return self._walk(items, mask)

    def through(self, nodes: Ints, head: int, mask: Bitmask) -> Ints:
        """Add what a lexeme allows below some nodes; return the nodes where it ends."""
        big = self.trie.skip[nodes] - nodes > self.walker.big
        if not big.any() or not self._table.is_wide(head):
            self._table.know(head)
            return self._walk(items_of(nodes, head, EXIT), mask)
        exits = [self.through(nodes[~big], head, mask)] if not big.all() else []
        for node in nodes[big].tolist():
            found = self.head(head, node)
            found.mask.add_to(mask)
            exits.append(found.exits)
        if self.automaton.is_accepting(head):
            exits.append(nodes[big])
        return np.concatenate(exits)

    def below(self, nodes: Ints, head: int) -> HeadMask:
        """Return what a lexeme allows below some nodes; looked up if any grammar has met it so."""
        if len(nodes) == 1 and not self.automaton.is_accepting(head):
            return self.head(head, int(nodes[0]))
        name, place = self.automaton.fingerprint(head), nodes.tobytes()
        found = self._own[head, place] if name is None else self._shared.heads[name, place]
        if found is None:
            mask = empty_mask(self.size)
            exits = self.through(nodes, head, mask)
            found = HeadMask.of(mask, exits, self.trie)
            self._keep(name, head, place, found)
        return found

    def _keep(self, name: bytes | None, head: int, place: int | bytes, found: HeadMask) -> None:
        size = found.held_bytes + ENTRY_BYTES
        if name is None:
            self._own.put((head, place), found, size)
        else:
            self._shared.heads.put((name, place), found, size)

    def _walk(self, items: Ints, mask: Bitmask) -> Ints:
        """Do some items and what follows from them; return the exits."""
        exits, under = [], self.walker.begin()
        while len(items):
            exits.append(self.walker.run_on(items, under, mask))
            special, under.special = under.special, []
            items = self._answered(special, mask, exits) if special else NO_ITEMS
        return exits[0] if len(exits) == 1 else np.concatenate([NO_NODES, *exits])

    def _answered(self, special: list[list[int]], mask: Bitmask, exits: list[Ints]) -> Ints:
        """Answer what a walk has asked for, note its exits; return the items to go on with."""
        more = [NO_ITEMS]
        captured: dict[tuple[int, int], set[int]] = {}
        for node, state, tail in special:
            if tail in (CAPTURED, CAPTURED_EXIT):
                captured.setdefault((state, tail), set()).add(node)
            elif tail == NESTED:
                raise AssertionError("what a lexeme is made of has no branches")
            else:
                more.append(self._beyond(node, state, NOTHING if tail == WIDE else EXIT, mask))
        for (state, tail), nodes in captured.items():
            behind = NOTHING if tail == CAPTURED else EXIT
            at, add = sorted(nodes), self._captures.add
            branches = self._table.captures[state]
            exits += [e for branch in branches if len(e := add(at, branch, behind, mask))]
        return np.concatenate(more) if len(more) > 1 else NO_ITEMS

    def _beyond(self, node: int, branch: int, behind: int, mask: Bitmask) -> Ints:
        """Add what the wide lexeme of a branch allows; return the items behind it."""
        head, tail = self._table.branches.array[branch, :2].tolist()
        found = self.head(head, node)
        found.mask.add_to(mask)
        self._table.know(tail)
        items = items_of(found.exits if behind == EXIT else found.inner_exits, tail, behind)
        if self.automaton.is_accepting(head):
            items = np.concatenate([items, items_of(np.array([node], np.int32), tail, behind)])
        return items

    def head(self, head: int, node: int) -> HeadMask:
        """Return what a lexeme allows below a node; looked up if any grammar has met it there."""
        term = self.automaton.terms_of[head]
        head = self.automaton.machines.folded(head, term, self.trie.max_depth)
        name = self.automaton.fingerprint(head)
        found = self._own[head, node] if name is None else self._shared.heads[name, node]
        if found is None:
            found = self._counted_head(head, node) or self._walked_head(head, node)
            self._keep(name, head, node, found)
            if name and node == ROOT and self._shared.wide is None and found.mask.words is None:
                self._shared.wide = found.mask.bits
        return found

    def _walked_head(self, head: int, node: int) -> HeadMask:
        mask = empty_mask(self.size)
        self._table.know(head)
        exits = self._walk(items_of(np.array([node], np.int32), head, EXIT), mask)
        exits = exits[exits != node]
        return HeadMask.of(mask, exits, self.trie)

    def _counted_head(self, head: int, node: int) -> HeadMask | None:
        """Return what a lexeme with a wide counter allows; None if it has none."""
        counted = self.automaton.counted(head)
        if counted is None or not self._table.is_wide(head):
            return None
        mask, exits = self._counted(counted, node).within(counted.low, counted.high)
        return HeadMask.of(mask, exits, self.trie)

    def _whole(self, state: int) -> Bitmask | None:
        """Return what a wide lexeme or counter allows that has nothing behind it."""
        lexeme, counted = self.automaton.is_lexeme(state), self.automaton.counted(state)
        if (counted is None or counted.is_open) and not lexeme:
            return None
        many = counted is not None and self._is_long(counted)
        if not many and not self._table.is_wide(state):
            return None
        if counted is not None and self.automaton.fingerprint(counted.base) is not None:
            tokens = self._counted(counted, ROOT)
            if counted.low == 0 and counted.high is not None:
                return tokens.at_most(counted.high)
            return tokens.within(counted.low, counted.high)[0]
        if not lexeme:  # it would be walked for this alone
            return None
        mask = empty_mask(self.size)
        self.head(state, ROOT).mask.add_to(mask)
        return mask

    def _is_long(self, counted: Counted) -> bool:
        """Return whether a walk would need many rows, one for each part that is left."""
        return counted.high is not None and FEW_PARTS < counted.high <= self.trie.max_depth

    def whole_count(self, counter: Counter, token_id: int) -> int | None:
        """Return of how many parts of a counter a token is a row, -1 for others.

        None if the vocabulary was not walked for it.
        """
        name = self.automaton.fingerprint(self.automaton.base_of(counter))
        found = None if name is None else self._shared.counted[name, ROOT]
        return None if found is None else int(found.whole[token_id])

    def _counted(self, counted: Counted, node: int) -> CountedTokens:
        """Return the tokens of a counter without bounds, walked once for each vocabulary."""
        name = self.automaton.fingerprint(counted.base)
        tokens = None if name is None else self._shared.counted[name, node]
        if tokens is None:
            tokens = self.walker.count(counted, node)
            if name is not None:
                self._shared.counted.put((name, node), tokens, tokens.most_bytes)
        return tokens
