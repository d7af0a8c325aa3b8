"""Tokens that need as much to end, told apart by the states that they lead to.

Where a text must end soon, each allowed token is asked how many tokens would follow it. Most lead
to few states, so one of each group is asked for all. The states are those of the parts that a state
can be taken apart into (lexemes, what comes behind them); where two tokens end in the same states
of the same parts, what is left to write is the same.

Parts that remember their text (names that must not come twice, different items) make a state of
every token. What is remembered changes the shortest end only where the owner says so, where the
text is blocked, or where more was written behind it: another one may have begun that must differ.
Only such tokens stand alone. They may be as many as the vocabulary, and each costs milliseconds, so
past `MOST_ALONE` of them the rest is left out: a text that must end soon can do without, and the
plan of its end never is among them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..constraint.automaton import DEAD
from ..constraint.parts import Branch
from .bitmask import empty_mask
from .columns import EXIT
from .walker import AT_ROOT, Ints, Walker, distinct, items_of

MOST_ALONE = 256
MOST_WALKS = 256  # past it, tokens stand alone


@dataclass(frozen=True, slots=True)
class Part:
    """A place to walk on from: nodes, the state there, and what comes `behind`.

    The state of a part behind a capture is None, as it depends on the captured text. `matters`
    tells whether the part is inside a capture whose text changes the shortest end.
    """

    nodes: Ints
    state: int | None
    behind: Part | None = None
    matters: bool = False


class TokenGroups:
    """Groups the allowed tokens of one state; made for a single use, under the grammar's lock."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._automaton, self._trie = walker.automaton, walker.trie
        self._group = np.zeros(walker.size, np.int64)
        self._number = 1
        self._alone = np.zeros(walker.size, np.bool_)

    def of(self, state: int, allowed: Ints) -> list[Ints]:
        """Return groups of allowed tokens; of those that stand alone, the first `MOST_ALONE`."""
        parts = [Part(AT_ROOT, state)]
        walks = 0
        while parts:
            part = parts.pop()
            walks += 1
            if walks > MOST_WALKS or part.state is None:
                self._stand_alone(part.nodes)
            elif branches := self._automaton.alternatives(part.state).branches:
                parts += [self._inside(part, branch) for branch in branches]
                plain = self._automaton.plain(part.state)
                parts += [] if plain is None else [replace(part, state=plain)]
            else:
                parts += self._walk(part)
        return self._grouped(allowed)

    def _grouped(self, allowed: Ints) -> list[Ints]:
        single = self._alone[allowed]
        together = allowed[~single]
        group = self._group[together]
        order = np.argsort(group, kind="stable")
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        grouped = np.split(together[order], cuts) if len(together) else []
        return [*grouped, *allowed[single, None][:MOST_ALONE]]

    def _stand_alone(self, nodes: Ints) -> None:
        for node in nodes.tolist():
            self._alone[self._trie.tokens_below(node)] = True

    def _inside(self, part: Part, branch: Branch) -> Part:
        """Return where a branch of a part begins."""
        if branch.tail is not None:
            return replace(part, state=branch.head, behind=replace(part, state=branch.tail))
        if not self._automaton.captured.text_matters(branch):
            for node in part.nodes.tolist():
                self._set_blocked_alone(node, branch)
        after = replace(part, state=None)
        matters = part.matters or self._automaton.captured.text_matters(branch)
        return Part(part.nodes, branch.head, after, matters)

    def _set_blocked_alone(self, node: int, branch: Branch) -> None:
        """Let tokens stand alone behind which a text may come out that nothing may follow."""
        for text in self._automaton.captured.blocked(branch) or ():
            below = node
            for byte in text:
                below = self._trie.child(below, byte)
                if below < 0:
                    break
                self._alone[self._trie.tokens_at(below)] = True

    def _walk(self, part: Part) -> list[Part]:
        """Walk one part, telling tokens apart by the state behind them; return what is left."""
        walker, automaton, start = self._walker, self._automaton, part.state
        assert start is not None
        ends, mask = np.full(walker.size, DEAD, np.int32), empty_mask(walker.size)
        items, under = items_of(part.nodes, start, EXIT), walker.begin()
        exits, left_over = [], []
        while len(items):
            asked, left = walker.run(items, under, mask, ends)
            items = asked.copy()
            exits.append(left)
            split = self._filled(items[:, 1])
            for s in split:
                at = items[items[:, 1] == s, 0]
                exits += [at] if automaton.is_accepting(s) else []
                left_over.append(replace(part, nodes=at, state=s))
            items = items[~np.isin(items[:, 1], split)]
        self._split(ends, part.matters)
        return [*left_over, *self._behind(part, np.concatenate(exits))]

    def _filled(self, states: Ints) -> list[int]:
        """Fill the rows of some states; return those that have none, as they have branches."""
        split = []
        for state in distinct(states):
            if self._automaton.alternatives(state).branches:
                split.append(state)
            else:
                self._walker.table.fill_row(state)
        return split

    def _split(self, ends: Ints, matters: bool) -> None:
        """Split the groups by the states that a walk has found behind tokens."""
        met = np.flatnonzero(ends != DEAD)
        if matters:
            self._alone[met] = True
        pairs = self._group[met] << 32 | ends[met]
        kinds, numbers = np.unique(pairs, return_inverse=True)
        self._group[met] = numbers + self._number
        self._number += len(kinds)

    def _behind(self, part: Part, exits: Ints) -> list[Part]:
        """Return where to go on behind a part, below the nodes where it may end."""
        below = self._trie.inner(exits)
        if part.behind is None or not len(below):
            return []
        return [replace(part.behind, nodes=below)]
