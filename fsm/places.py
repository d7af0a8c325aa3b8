"""Places in the trie where a part of a grammar has ended, and what the parts before it allow.

A state is a chain of parts: the rest of a string, a gap, a comma, a gap, a key. Which tokens a part
allows, and below which nodes the next part goes on, depends on the parts before it in the token
only, not on what the document has behind it. So the walks form a tree: from the root, one step for
each part. States that begin with the same parts share the steps, and parts that mean the same in
every grammar are shared by all grammars of a vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bitmask import Bitmask

Ints = npt.NDArray[np.int32]
ROOT = 0


def is_root(at: Ints) -> bool:
    """Return whether some nodes are the root of the trie alone."""
    return len(at) == 1 and at[0] == ROOT


@dataclass(frozen=True, slots=True)
class Sparse:
    """A mask by its words that have bits: words (k,), bits (k,) int32; all words if they are many.

    `words` is None if `bits` is the whole mask.
    """

    words: Ints | None
    bits: Bitmask

    @classmethod
    def of(cls, mask: Bitmask) -> Sparse:
        """Return a mask in its smaller form; it may be the array itself."""
        words = np.flatnonzero(mask)
        if 2 * len(words) > len(mask):
            return cls(None, mask)
        return cls(words.astype(np.int32), mask[words])

    def add_to(self, mask: Bitmask) -> None:
        """Allow in `mask` what this one allows."""
        if self.words is None:
            mask |= self.bits
        else:
            mask[self.words] |= self.bits

    @property
    def held_bytes(self) -> int:
        """Return the size of the arrays."""
        return int(self.bits.nbytes + (0 if self.words is None else self.words.nbytes))


@dataclass(frozen=True, slots=True)
class Step:
    """What one part allows below some nodes, and the nodes where it ends that have nodes below."""

    mask: Sparse
    nodes: Ints

    @property
    def held_bytes(self) -> int:
        """Return the size of the arrays."""
        return self.mask.held_bytes + int(self.nodes.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Nodes from which a part is walked; `name` tells the parts before it, in every grammar alike.

    `name` is None where the parts before have a meaning in one grammar only, or are not known.
    """

    nodes: Ints
    name: bytes | None = None


@dataclass(frozen=True, slots=True)
class HeadMask:
    """What a lexeme allows from the root of the trie, whatever follows it.

    `mask` has every token that stays inside the lexeme or ends with it; `exits` are the trie nodes
    where the lexeme may end, `inner_exits` those of them that have nodes below.
    """

    mask: Bitmask
    exits: Ints
    inner_exits: Ints

    @property
    def held_bytes(self) -> int:
        """Return the size of the arrays."""
        return int(self.mask.nbytes + self.exits.nbytes + self.inner_exits.nbytes)
