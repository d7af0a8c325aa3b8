"""The automaton of a grammar: states by number, over bytes.

A state is an int that stands for a term, the language of what may still follow. States are numbered
as they are met. Some states can be taken apart: inside a string, "the rest of this string, then the
rest of the document" is a lexeme that every grammar shares and a tail that only this place has.
`alternatives` shows those parts, so that whoever walks tokens through the automaton can do the
shared work once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .captured import Captured
from .entries import EntryStates
from .grammar import Grammar
from .machine_states import MachineStates
from .parts import Alternatives, Branch, Counted, Texts
from .splitting import Splits
from .terms.arena import Kind
from .terms.counters import Bounded, Counter, Counters
from .terms.fingerprint import fingerprint
from .terms.folding import Folds
from .terms.owners import Entries
from .terms.repeats import repeated

DEAD = -1
UNMADE = -1  # in the place of a term
NO_TAIL = -1  # in the place of a state that follows
NO_STATE = -1  # beside texts


class Automaton:
    """Numbers the states of one grammar; callers hold `grammar.lock` around every method."""

    def __init__(self, grammar: Grammar) -> None:
        self.terms = grammar.terms
        self._grammar = grammar
        self.shared = grammar.shared
        self.terms_of = [UNMADE] * len(self.shared)  # by state
        self._states = self.shared.states.copy()
        self._first_own = len(self.terms_of)
        self._states[self.terms.EMPTY] = DEAD
        self._alternatives: dict[int, Alternatives] = {}
        self._inside: dict[int, Alternatives] = {}
        self._folded: dict[tuple[int, int], int] = {}
        self._folds = Folds(self.terms)
        self._counters = Counters(self.terms)
        self.entries = EntryStates(self)
        self._splits = Splits(self.terms, self.number, self._behind_texts)
        self._counts: dict[int, Bounded | None] = {}
        self._counting: dict[Bounded, int] = {}
        self._bases: dict[Counter, int] = {}
        self.captured = Captured(self.terms, self.number)
        self._unread: dict[int, tuple[Callable[[], Texts], int]] = {}
        self._unmade: dict[int, Callable[[], int]] = {}
        self._pairs: dict[tuple[int, int], int] = {}
        self.pair_at: dict[int, tuple[int, int]] = {}  # shared lexemes and what follows them
        self._accepting: set[int] = set()  # of states without a term
        self.machines = MachineStates(self.terms, self.number, self.unmade)
        self.finished = self.number(self.terms.EPSILON)
        self.start = self.number(grammar.start)

    def drop(self) -> None:
        """Let go of everything, as what is in here leads back to it."""
        self.__dict__.clear()

    def __len__(self) -> int:
        return len(self.terms_of)

    def number(self, term: int) -> int:
        """Return the state of a term."""
        state = self._states.get(term)
        if state is None:
            state = self._states[term] = len(self.terms_of)
            self.terms_of.append(term)
        return state

    def term(self, state: int) -> int:
        """Return the term of a state; it is made when it is asked for, unless it came first."""
        term = self.terms_of[state]
        if term == UNMADE:
            term = self.terms_of[state] = self._make_term(state)
            self._states.setdefault(term, state)
        return term

    def _make_term(self, state: int) -> int:
        if state < self._first_own:
            return self.shared.term(self.terms, state)
        bounded = self._counts.get(state)
        if bounded is not None:
            return self._counters.term(*bounded)
        place = self.entries.place(state)
        return self._unmade[state]() if place is None else self.entries.term(place)

    def unmade_row(self, states: int) -> int:
        """Number some new states whose terms are made when somebody asks; return the first."""
        first = len(self.terms_of)
        self.terms_of += [UNMADE] * states
        return first

    def _behind_texts(self, entries: Entries, tail: int) -> int:
        return self.entries.of(entries, self.number(tail)).first

    def _any_text(self, texts: Texts) -> int:
        pairs = zip(texts.texts, texts.tails, strict=True)
        return self.terms.union([self.behind_text(text, tail) for text, tail in pairs])

    def unread(self, texts: Callable[[], Texts], beside: int = NO_STATE) -> int:
        """Return a new state of texts, told when they are asked for, and of a state `beside` them.

        That one has no texts, and does not accept.
        """

        def term() -> int:
            parts = [] if beside == NO_STATE else [self.term(beside)]
            return self.terms.union([*parts, self._any_text(texts())])

        state = self.unmade(term)
        self._unread[state] = texts, beside
        return state

    def may_stand_beside(self, state: int) -> bool:
        """Return whether `unread` takes a state: no counter is near that states are told by."""
        if self.is_accepting(state) or self.counts(state):
            return False
        found = self.alternatives(state)
        return found.texts is None and found.rest != state

    def unmade(self, term: Callable[[], int]) -> int:
        """Return a new state that begins with no counter, and whose term is yet to be made."""
        state = len(self.terms_of)
        self.terms_of.append(UNMADE)
        self._counts[state] = None
        self._unmade[state] = term
        return state

    def counts(self, state: int) -> bool:
        """Return whether a counter with bounds may be near the beginning of a state."""
        if state < self._first_own:
            return self.shared.counts(state)
        term = self.terms_of[state]
        if term != UNMADE:
            return self.terms.counts(term)
        if state in self._unmade:
            return False
        return self._counts.get(state) is not None or self.entries.counts(state)

    def bounded(self, state: int) -> Bounded | None:
        """Return the counter that a state begins with, and its bounds; None without one."""
        if state not in self._counts:
            if not self.counts(state):
                return None
            found = self._counts[state] = self._counters.of(self.term(state))
            if found is not None:
                self._counting.setdefault(found, state)
        return self._counts[state]

    def with_bounds(self, bounded: Bounded) -> int:
        """Return the state of a counter with some bounds, without its term if it is new."""
        if bounded[1:] == (0, None):
            return self.number(self._counters.term(*bounded))
        state = self._counting.get(bounded)
        if state is None:
            state = self._counting[bounded] = len(self.terms_of)
            self._counts[state] = bounded
            self.terms_of.append(UNMADE)
            if self._counters.nullable(*bounded[:2]):
                self._accepting.add(state)
        return state

    def row(self, state: int) -> list[tuple[int, int]]:
        """Return the disjoint (256-bit byte mask, successor) pairs; every successor is alive."""
        if state < self._first_own:
            return list(self.shared.rows[state])
        term = UNMADE if state in self.machines else self.term(state)
        found = self.machines.row(state, term)
        return [(m, self.number(t)) for m, t in self.terms.row(term)] if found is None else found

    def behind(self, state: int, tail: int = NO_TAIL) -> int:
        """Return the term of a state and then what another stands for."""
        term = self.term(state)
        return term if tail == NO_TAIL else self.terms.concat(term, self.term(tail))

    def behind_text(self, text: bytes, state: int, tail: int = NO_TAIL) -> int:
        """Return the term of a text, a state, and then what another stands for."""
        return self.terms.concat(self.terms.literal(text), self.behind(state, tail))

    def pair(self, head: int, tail: int) -> int:
        """Return the state of a lexeme and then what another state stands for."""
        if head == self.finished:
            return tail
        if head >= self._first_own or self.counts(tail):
            return self.any_of([self.behind(head, tail)])
        state = self._pairs.get((head, tail))
        if state is None:
            state = self.unmade(partial(self.behind, head, tail))
            self._pairs[head, tail] = state
            self.pair_at[state] = head, tail
            if self.is_accepting(head) and self.is_accepting(tail):
                self._accepting.add(state)
        return state

    def any_of(self, terms: list[int]) -> int:
        """Return the state of any of some terms."""
        return self.number(terms[0] if len(terms) == 1 else self.terms.union(terms))

    def starts(self, state: int) -> int:
        """Return the bytes with which a lexeme begins, as 256 bits; of a counter: its parts."""
        if state in self.machines:
            return sum(mask for mask, _ in self.row(state))
        bounded = self.bounded(state)
        return self._counters.starts(self.term(state) if bounded is None else bounded[0].inner)

    def count(self, counter: Counter, text: bytes) -> int | None:
        """Return of how many parts of a counter a text is a row, None if it is none."""
        return self._counters.count(counter, text)

    def leave(self, counter: Counter, text: bytes) -> tuple[int, int, bytes] | None:
        """Return how many parts of a counter a text has, the state behind it, and the text there.

        None if it does not leave the counter, or if that takes more than look-ups.
        """
        at = base = self.base_of(counter)
        if base >= self._first_own:
            return None
        parts, starts = 0, self._counters.starts(counter.inner)
        for place, byte in enumerate(text):
            if at == base and not starts >> byte & 1:
                term, left = self._counters.behind(counter, text[place:])
                return parts, self.number(term), left
            parts += at == base
            after = self.shared.step(at, byte)
            if after is None:
                return None
            at = after
        return None

    def is_accepting(self, state: int) -> bool:
        """Return whether the text may end in this state."""
        if state < self._first_own:
            return self.shared.accepts(state)
        term = self.terms_of[state]
        return state in self._accepting if term == UNMADE else self.terms.nullable(term)

    def accepting(self, first: int) -> list[bool]:
        """Return of each state from `first` on whether the text may end in it."""
        terms, accepts = enumerate(self.terms_of[first:], first), self._accepting.__contains__
        nullable = self.terms.nullable
        return [accepts(s) if term == UNMADE else nullable(term) for s, term in terms]

    def alternatives(self, state: int) -> Alternatives:
        """Take a state apart: unions, and the heads of concatenations, until lexemes show."""
        found = self._alternatives.get(state)
        if found is None:
            if state in self._unread:
                texts, beside = self._unread[state]
                found = Alternatives((), None, None)
                if beside != NO_STATE:
                    found = self.alternatives(beside)
                found = Alternatives(found.branches, texts(), found.rest)
            elif state in self.pair_at:
                found = Alternatives((Branch(*self.pair_at[state]),), None, None)
            elif state in self.machines:
                found = Alternatives((), None, state)
            else:
                found = self.entries.alternatives(state) or self.split(self.term(state))
            self._alternatives[state] = found
        return found

    def is_row(self, state: int) -> bool:
        """Return whether a term begins with no shared part: then nothing is to be taken apart."""
        term = self.terms_of[state]
        return term != UNMADE and self._splits.begins_with_row(term)

    def split(self, term: int) -> Alternatives:
        """Take a term apart: unions, and the heads of concatenations, until lexemes show."""
        return self._splits.of(term)

    def plain(self, state: int) -> int | None:
        """Return the state of what begins with neither a lexeme nor a capture, None for nothing."""
        found = self.alternatives(state)
        if not found.branches:
            return state
        parts = [] if found.rest is None else [self.term(found.rest)]
        if found.texts is not None:
            parts.append(self._any_text(found.texts))
        return self.number(self.terms.union(parts)) if parts else None

    def inside(self, state: int) -> Alternatives:
        """Take a lexeme apart into the texts that it begins with and the rest.

        They spare the rows on the way through them, where the whole lexeme is not shared.
        """
        found = self._inside.get(state)
        if found is None:
            if state in self.machines:
                found = self.alternatives(state)
            else:
                found = self._splits.of_lexeme(self.term(state))
            self._inside[state] = found
        return found

    def shortest_completion(self, state: int) -> bytes:
        """Return a shortest text that ends in acceptance from here."""
        return self._grammar.shortest_texts.text(self.term(state))

    def min_bytes(self, state: int) -> int:
        """Return the length of a shortest completion."""
        return self._grammar.shortest_texts.text_length(self.term(state))

    def folded(self, state: int, horizon: int) -> int:
        """Return a state that allows the same texts of up to `horizon` bytes, and the same ends.

        Counters that no such text exhausts are cut, so that the states of a long list become one.
        """
        if not self.counts(state):
            return state
        bounded = self.bounded(state)
        if bounded is not None:
            counter, low, high = bounded
            reached = None if high is None or high > horizon else high
            return self.with_bounds((counter, min(low, horizon + 1), reached))
        term = self.term(state)
        found = self._folded.get((term, horizon))
        if found is None:
            found = self.number(self._folds.of(term, horizon))
            self._folded[term, horizon] = found
        return found

    def nearby(self, state: int, horizon: int) -> tuple[int, int]:
        """Return a state that many share and for how many bytes, `horizon` at most, it is the same.

        In these bytes it allows the same texts, with the same ends: no counter has an upper bound.
        """
        if state < self._first_own or not self.counts(state):
            return state, horizon
        bounded = self.bounded(state)
        if bounded is None:
            return self.folded(state, horizon), horizon
        counter, low, high = bounded
        reached = horizon if high is None else min(high, horizon)
        return self.with_bounds((counter, min(low, horizon + 1), None)), reached

    def repeated(self, state: int) -> tuple[int, int] | None:
        """Return the state of any number of what a state may begin with a row of, and how many.

        Any row of so many may follow at least. None if nothing shows.
        """
        if state < self._first_own or state in self.machines:
            return None
        found = repeated(self.terms, self.term(state))
        if found is None:
            return None
        return self.number(self.terms.repeat(found[0], 0, None)), found[1]

    def is_lexeme(self, state: int) -> bool:
        """Return whether a state is the rest of a lexeme and nothing else."""
        bounded = self._counts.get(state)
        if bounded is not None:
            return bounded[0].lexeme and bounded[0].tail == self.terms.EPSILON
        if self.terms_of[state] == UNMADE and state >= self._first_own:
            return state in self.machines
        return bool(self.terms.nodes[self.term(state)][0] == Kind.LEXEME)

    def counted(self, state: int) -> Counted | None:
        """Return the counter that a state begins with; None without one, or without bounds.

        Of a counter that nothing follows the lower bound is left out: no text is refused for it.
        """
        terms = self.terms
        bounded = self.bounded(state)
        if bounded is None or bounded[0].tail != terms.EPSILON:
            return None
        counter, low, high = bounded
        low = 0 if counter.rest == terms.EPSILON else low
        if low and any(after != terms.EPSILON for _, after in terms.row(counter.rest)):
            return None  # too few would show at the end of the rest only, not where it begins
        if (low, high) == (0, None):
            return None
        return Counted(self.base_of(counter), low, high, self._counters.starts(counter.inner))

    def base_of(self, counter: Counter) -> int:
        """Return the state of a counter without bounds, and without what follows it."""
        base = self._bases.get(counter)
        if base is None:
            terms = self.terms
            inner = terms.concat(terms.repeat(counter.inner, 0, None), counter.rest)
            base = self._bases[counter] = self.number(terms.lexeme(inner))
        return base

    def fingerprint(self, state: int) -> bytes | None:
        """Return 16 bytes that name the language of a lexeme in every grammar and process.

        None if the language depends on a reference that has a meaning in this grammar only.
        """
        if state in self.machines:
            return self.machines.name(state)
        return fingerprint(self.terms, self.term(state))
