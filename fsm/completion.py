"""How many tokens a text still needs: a plan for its end, for every state that was asked about.

A plan spells one shortest completion (in bytes) with the fewest tokens. Its length is an upper
bound for the fewest tokens of all completions; a longer text may take fewer, but seldom does. Every
state along a plan gets the rest of it, if that is shorter than what it had, so following a plan
always brings the end one token nearer. That is what makes a budget a guarantee: as long as the plan
of the next state fits into what is left, there is a token whose plan fits again.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..schemas.errors import IncompatibleVocabularyError
from .vocabulary import Vocabulary

FAR = 1 << 62


class Step(NamedTuple):
    """The next token of a plan, where it leads, and how many tokens the plan has."""

    tokens: int
    token_id: int
    after: int


class Ways(Protocol):
    """What knows the ends of texts and the ways there, a token FSM."""

    def shortest_completion(self, state: int) -> bytes:
        """Return a shortest text that leads from `state` to where the text may end."""
        ...

    def advance(self, state: int, token_id: int) -> int:
        """Return the state after a token."""
        ...


class Plans:
    """Plans of one token FSM; the caller holds the grammar's lock, and gives the FSM each time.

    If they kept it, it would be in a circle, and its masks would stay after it was dropped.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._steps: dict[int, Step] = {}

    def of(self, state: int, ways: Ways) -> Step:
        """Return the first step of the plan of a state; 0 tokens where the text may end.

        Raises IncompatibleVocabularyError if no tokens spell the completion. Cost: linear in the
        completion the first time, a look-up later.
        """
        found = self._steps.get(state)
        if found is None:
            self._make(state, ways)
            found = self._steps[state]
        return found

    def _make(self, state: int, ways: Ways) -> None:
        tokens = self.spell(ways.shortest_completion(state))
        states = [state]
        for token_id in tokens:
            states.append(ways.advance(states[-1], token_id))
        left = len(tokens)
        self._steps.setdefault(states[-1], Step(0, -1, states[-1]))
        for at, token_id, after in zip(states, tokens, states[1:], strict=False):
            known = self._steps.get(at)
            if known is None or known.tokens > left:
                self._steps[at] = Step(left, token_id, after)
            left -= 1

    def spell(self, text: bytes) -> list[int]:
        """Return the fewest tokens whose bytes are `text`; of equals, those with the longest first.

        Raises IncompatibleVocabularyError if there are none.
        """
        trie = self._vocabulary.trie
        fewest = [FAR] * len(text) + [0]
        first = [-1] * len(text)
        for at in range(len(text) - 1, -1, -1):
            node = 0
            for end in range(at, len(text)):
                node = trie.child(node, text[end])
                if node < 0:
                    break
                if trie.token_start[node] < trie.token_start[node + 1]:
                    count = 1 + fewest[end + 1]
                    if count <= fewest[at] and count < FAR:
                        fewest[at], first[at] = count, node
        if fewest[0] >= FAR:
            raise IncompatibleVocabularyError(
                f"no tokens of the vocabulary spell {text[:40]!r}, which this text would need"
            )
        tokens, at = [], 0
        while at < len(text):
            node = first[at]
            tokens.append(int(trie.token_ids[trie.token_start[node]]))
            at += int(trie.depth[node])
        return tokens
