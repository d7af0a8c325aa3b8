"""What a lexeme allows by itself, and masks in their smaller form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bitmask import Bitmask, empty_mask, join, pack
from .loops import BELOW
from .trie import VocabularyTrie

Ints = npt.NDArray[np.int32]


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
        words, bits = np.empty((2, len(mask) // 2), np.int32)
        found = pack(mask, words, bits)
        if found < 0:
            return cls(None, mask)
        return cls(words[:found].copy(), bits[:found].copy())

    def whole(self, size: int) -> Bitmask:
        """Return the mask for a vocabulary of `size` tokens, an array of its own."""
        if self.words is None:
            return self.bits.copy()
        mask = empty_mask(size)
        join(mask, self.words, self.bits)
        return mask

    def add_to(self, mask: Bitmask) -> None:
        """Allow in `mask` what this one allows."""
        if self.words is None:
            mask |= self.bits
        else:
            join(mask, self.words, self.bits)

    @property
    def held_bytes(self) -> int:
        """Return the size of the arrays."""
        return int(self.bits.nbytes + (0 if self.words is None else self.words.nbytes))


@dataclass(frozen=True, slots=True)
class HeadMask:
    """What a lexeme allows below a node of the trie, whatever follows it.

    `mask` has every token that stays inside the lexeme or ends with it; `exits` are the trie nodes
    where the lexeme may end, `inner_exits` those of them that have nodes below, `begun` the bytes
    directly below these, modulo 64, as bits.
    """

    mask: Sparse
    exits: Ints
    inner_exits: Ints
    begun: int

    @classmethod
    def of(cls, mask: Bitmask, exits: Ints, trie: VocabularyTrie) -> HeadMask:
        """Return what a walk has found: its mask and where the lexeme may end."""
        inner = trie.inner(exits)
        begun = int(np.bitwise_or.reduce(trie.contents[inner, BELOW], initial=np.uint64(0)))
        return cls(Sparse.of(mask), exits, inner, begun)

    @property
    def held_bytes(self) -> int:
        """Return the size of the arrays."""
        return int(self.mask.held_bytes + self.exits.nbytes + self.inner_exits.nbytes)
