"""Places in the trie where a part of a grammar has ended, and what the parts before it allow.

A state is a chain of parts: the rest of a string, a gap, a comma, a gap, a key. Which tokens a part
allows, and below which nodes the next part goes on, depends on the parts before it in the token
only, not on what the document has behind it. So the walks form a tree: from the root, one step for
each part. States that begin with the same parts share the steps, and parts that mean the same in
every grammar are shared by all grammars of a vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .bitmask import Bitmask

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Step:
    """What one part allows below some nodes: words of the mask that have bits, and where it ends.

    `words` (k,) and `bits` (k,) int32; `nodes` are those with further nodes below.
    """

    words: Ints
    bits: Ints
    nodes: Ints

    @classmethod
    def of(cls, mask: Bitmask, nodes: Ints) -> Step:
        """Return the step of a whole mask, which is kept sparse."""
        words = np.flatnonzero(mask).astype(np.int32)
        return cls(words, mask[words], nodes)

    def add_to(self, mask: Bitmask) -> None:
        """Allow in `mask` what the part allows."""
        mask[self.words] |= self.bits


@dataclass(slots=True, eq=False)
class Place:
    """Nodes from which a part is walked; `name` tells the parts before it, in every grammar alike.

    `steps` has the parts walked from here, by their state; `texts` the places behind fixed texts.
    """

    nodes: Ints
    name: bytes | None = None
    steps: dict[int, tuple[Step, Place]] = field(default_factory=dict)
    texts: dict[bytes, Place] = field(default_factory=dict)
