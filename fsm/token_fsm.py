"""The token FSM: a grammar and a vocabulary seen as states, token masks and transitions.

A state is an int; copying it is forking, keeping an old one is rolling back. Masks and transitions
are computed when they are first asked for and looked up from then on. The mask of a state allows
exactly the tokens whose bytes keep the text a viable prefix, and every EOS id where the text may
end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..constraint.automaton import DEAD, Automaton
from ..constraint.grammar import Grammar
from ..constraint.stepping import walk
from ..schemas.errors import IncompatibleVocabularyError, TokenRejectedError
from .bitmask import Bitmask, allow, allowed_ids, empty_mask
from .completion import Plans
from .counting import FIRST, Counting
from .forced import forced_bytes
from .logits_processor import GrammarLogitsProcessor
from .mask_builder import MaskBuilder
from .patches import Patches
from .recent import ENTRY_BYTES, Recent
from .token_groups import TokenGroups
from .vocabulary import Vocabulary

NARROW = 512
FIRST_FUEL = 300_000  # sixty times what real schemas need; past it each mask takes seconds
MASK_BYTES = 64 << 20  # of the masks of one grammar; a fourth of it for each other table
TERM_BYTES = 1024  # of a term with its rows, about
STATE_BYTES = 512  # of a state, also where its term is not made


class TokenFSM:
    """One grammar over one vocabulary; thread-safe, and shared freely between requests.

    Raises IncompatibleVocabularyError if no token at all can begin a text of the grammar, and
    GrammarTooLargeError if it takes more than 300 000 steps to find those that can.
    """

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary) -> None:
        self.grammar = grammar
        self.vocabulary = vocabulary
        self._eos = frozenset(vocabulary.eos_token_ids)
        self._eos_ids = np.array(sorted(self._eos), np.int32)
        self._narrow: Recent[int, tuple[Bitmask | None]] = Recent(MASK_BYTES // 4)
        self._next: Recent[tuple[int, int], int] = Recent(MASK_BYTES // 4)
        with grammar.lock:
            self._automaton = Automaton(grammar)
            self._builder = MaskBuilder(self._automaton, vocabulary)
            self._patches = Patches(MASK_BYTES // 4, self._builder.bases)
            self._masks: Recent[int, Bitmask] = Recent(MASK_BYTES, self._patches.keep_smaller)
            horizon = vocabulary.trie.max_depth
            self._counting = Counting(
                grammar, self._automaton, vocabulary.token_bytes, horizon, self._builder
            )
        self._plans = Plans(vocabulary)
        self.start = self._counting.enter(self._automaton.start)
        self.finished = self._automaton.finished
        with grammar.lock, grammar.terms.limited(FIRST_FUEL, "steps for its first mask"):
            first = self.token_mask(self.start)
        if not np.count_nonzero(first):
            raise IncompatibleVocabularyError(
                "no token of the vocabulary can begin a text of this grammar"
            )

    def __del__(self) -> None:
        automaton = self.__dict__.get("_automaton")  # none if it was not made whole
        if automaton is not None:
            automaton.drop()

    def __copy__(self) -> TokenFSM:
        return self  # it is shared as it is; a second one would drop the states of this one

    @contextmanager
    def bounded(self, fuel: float) -> Iterator[None]:
        """Count the steps that this thread takes with the FSM, others wait.

        Raises GrammarTooLargeError, inside, when they are more than `fuel`.
        """
        with self.grammar.lock, self.grammar.terms.limited(fuel, "steps for one token"):
            yield

    def token_mask(self, state: int) -> Bitmask:
        """Return the tokens that may follow `state`; read-only, shared.

        Shapes: (ceil(vocabulary / 32),) int32; bit `i % 32` of word `i // 32` is token `i`.
        Cost: a walk over the live part of the trie the first time, a look-up later.
        """
        same = self._counting.folded(state, self.token_mask) if state >= FIRST else None
        state = state if same is None else same
        mask = self._masks[state]
        if mask is None:
            if same is None:
                with self.grammar.lock:
                    same = self._automaton.folded(state, self.vocabulary.trie.max_depth)
            if same == state:
                mask = self._rebuilt(state)
                mask.setflags(write=False)
                return self._masks.put(state, mask, mask.nbytes + ENTRY_BYTES)
            mask = self._masks.put(state, self.token_mask(same), ENTRY_BYTES)
        return mask

    def _rebuilt(self, state: int) -> Bitmask:
        """Return a mask from its patch, which is kept longer, or build it."""
        patch = self._patches[state]
        if patch is not None:
            mask = empty_mask(self.vocabulary.size)
            patch.write(mask)
            return mask
        with self.grammar.lock:
            mask = self._builder.build(state)
            if self._automaton.is_accepting(state):
                mask = mask if mask.flags.writeable else mask.copy()
                allow(mask, self._eos_ids)
        return mask

    @property
    def held_bytes(self) -> int:
        """Return about how much memory the FSM and its grammar hold."""
        kept = (self._masks, self._patches, self._narrow, self._next)
        learnt = sum(cache.held_bytes for cache in kept) + self._builder.held_bytes
        states = len(self._automaton) * STATE_BYTES
        return learnt + len(self.grammar.terms) * TERM_BYTES + states

    def allowed_tokens(self, state: int) -> Bitmask | None:
        """Return the allowed ids, ascending int32, if there are at most 512 of them, else None."""
        found = self._narrow[state]
        if found is None:
            mask = self.token_mask(state)
            narrow = int(np.bitwise_count(mask.view(np.uint32)).sum()) <= NARROW
            found = (allowed_ids(mask, self.vocabulary.size) if narrow else None,)
            size = 0 if found[0] is None else found[0].nbytes
            self._narrow.put(state, found, size + ENTRY_BYTES)
        return found[0]

    def fill_mask(self, state: int, out: Bitmask) -> None:
        """Write the token mask of a state into a row of a batch: (ceil(vocabulary / 32),) int32.

        Cost where the mask is known: one pass over the row, which is written and not read.
        """
        patch = self._patches[state]
        if patch is None:
            patch = self._patches.keep(state, self.token_mask(state))
        patch.write(out)

    def advance(self, state: int, token_id: int) -> int:
        """Return the state after a token; an EOS leads to `finished`, where only EOS may follow.

        Raises TokenRejectedError if the mask of `state` forbids the token.
        Cost: one step a byte the first time, a look-up later.
        """
        if state >= FIRST:
            counted = self._counting.advance(state, token_id)
            if counted is not None:
                return counted
        found = self._next[state, token_id]
        if found is None:
            found = self._next.put((state, token_id), self._advance(state, token_id), ENTRY_BYTES)
        return found

    def _plain(self, state: int) -> int:
        """Return the automaton's number of a state; called under the grammar's lock."""
        return self._counting.plain(state) if state >= FIRST else state

    def _advance(self, given: int, token_id: int) -> int:
        with self.grammar.lock:
            after = self._counting.leave(given, token_id) if given >= FIRST else None
            if after is None:
                state = self._plain(given)
                if token_id in self._eos and self._automaton.is_accepting(state):
                    return self.finished
                known = 0 <= token_id < self.vocabulary.size
                text = self.vocabulary.token_bytes[token_id] if known else None
                after = self._builder.advance(state, text) if text else DEAD
            if after == DEAD:
                raise TokenRejectedError(token_id, given)
            return self._counting.enter(after)

    def advance_bytes(self, state: int, text: bytes) -> int | None:
        """Return the state after some bytes, None if they leave the language."""
        with self.grammar.lock:
            after = walk(self._automaton, self._plain(state), text)
            return None if after == DEAD else self._counting.enter(after)

    def is_accepting(self, state: int) -> bool:
        """Return whether the text may end in `state`."""
        with self.grammar.lock:
            return self._automaton.is_accepting(self._plain(state))

    def is_complete(self, state: int) -> bool:
        """Return whether the text may end in `state` and nothing can follow."""
        with self.grammar.lock:
            state = self._plain(state)
            return self._automaton.is_accepting(state) and not self._automaton.row(state)

    def forced_bytes(self, state: int) -> bytes:
        """Return the longest text that every continuation of `state` begins with.

        Ends where the text may end, and after 65 536 bytes.
        """
        with self.grammar.lock:
            return forced_bytes(self._automaton, self._plain(state))

    def shortest_completion(self, state: int) -> bytes:
        """Return a shortest text that leads from `state` to where the text may end.

        Raises GrammarTooLargeError if that is longer than 16 MiB.
        """
        with self.grammar.lock:
            return self._automaton.shortest_completion(self._plain(state))

    def min_bytes(self, state: int) -> int:
        """Return the length of `shortest_completion`, without writing it."""
        with self.grammar.lock:
            return self._automaton.min_bytes(self._plain(state))

    def min_tokens(self, state: int) -> int:
        """Return how many tokens, EOS not counted, lead from `state` to where the text may end.

        An upper bound for the fewest, never 0 where the text may not end: the fewest tokens that
        spell a shortest completion. Raises IncompatibleVocabularyError if none do.
        """
        with self.grammar.lock:
            return self._plans.of(state, self).tokens

    def fits(self, state: int, token_id: int, budget: int) -> bool:
        """Return whether a text that takes an allowed token next can end within `budget` more."""
        if token_id in self._eos:
            return True
        after = self.advance(state, token_id)
        if self.min_bytes(after) <= budget and self._spells_bytes_of(after):
            return True
        return self._may_fit(after, budget) and self.min_tokens(after) <= budget

    def _spells_bytes_of(self, state: int) -> bool:
        """Whether a token for each byte is a way to write the shortest completion."""
        missing = self.vocabulary.missing_bytes
        return not missing or missing.isdisjoint(self.shortest_completion(state))

    def _may_fit(self, state: int, budget: int) -> bool:
        return self.min_bytes(state) <= budget * self.vocabulary.trie.max_depth

    def feasible(self, budget: int) -> bool:
        """Return whether any text of the grammar takes at most `budget` tokens, as far as known."""
        return self._may_fit(self.start, budget) and self.min_tokens(self.start) <= budget

    def tokens_within(self, state: int, budget: int) -> Bitmask:
        """Return the allowed tokens after which the text can end within `budget` more.

        Not empty if `state` itself could end within `budget` + 1. Cost: one advance for each group
        of tokens that lead to the same state.
        """
        kept = empty_mask(self.vocabulary.size)
        with self.grammar.lock:
            allowed = allowed_ids(self.token_mask(state), self.vocabulary.size)
            text = allowed[~np.isin(allowed, list(self._eos))]
            groups = TokenGroups(self._builder.walker).of(self._plain(state), text)
        for group in groups:
            if self.fits(state, int(group[0]), budget):
                allow(kept, group)
        planned = self._plans.of(state, self)
        if planned.tokens:
            allow(kept, [planned.token_id])
        if self.is_accepting(state):
            allow(kept, self._eos_ids)
        return kept

    def logits_processor(self) -> GrammarLogitsProcessor:
        """Return a processor for one `generate` of transformers, batches and beams included."""
        return GrammarLogitsProcessor(self)
