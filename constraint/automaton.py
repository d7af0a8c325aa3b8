"""The automaton of a grammar: states by number, over bytes.

A state is an int that stands for a term, the language of what may still follow. States are numbered
as they are met. Some states can be taken apart: inside a string, "the rest of this string, then the
rest of the document" is a lexeme that every grammar shares and a tail that only this place has.
`branches` shows those parts, so that whoever walks tokens through the automaton can do the shared
work once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .grammar import Grammar
from .terms.arena import Kind
from .terms.fingerprint import fingerprint

DEAD = -1
FOLD_DEPTH = 12  # parts of a term, counted from its beginning
FOLD_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative of a state: a lexeme and what comes after it.

    `head` is the state of the lexeme alone (it accepts where the lexeme may end). `tail` is the
    state after it, or None where the lexeme's text decides (`Automaton.after`). A branch without a
    lexeme has head None: `tail` is then the alternative itself.
    """

    head: int | None
    tail: int | None
    capture: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Counted:
    """A lexeme `x{low,high} rest` of which each byte tells whether an `x` begins, goes on or ended.

    `base` is the state of `x* rest`; `starts` has the bytes (256 bits) with which an `x` begins.
    """

    base: int
    low: int
    high: int | None
    starts: int


@dataclass(frozen=True, slots=True)
class Texts:
    """Fixed texts that a state may begin with, in ascending order, and the states behind them.

    `rest` is the state of all that begins otherwise, None if nothing does.
    """

    texts: tuple[bytes, ...]
    tails: tuple[int, ...]
    rest: int | None


class Automaton:
    """Numbers the states of one grammar; callers hold `grammar.lock` around every method."""

    def __init__(self, grammar: Grammar) -> None:
        self.terms = grammar.terms
        self._shortest = grammar.shortest_texts
        self._terms_of: list[int] = []
        self._states: dict[int, int] = {self.terms.EMPTY: DEAD}
        self._branches: dict[int, tuple[Branch, ...]] = {}
        self._texts: dict[int, Texts | None] = {}
        self._folded: dict[tuple[int, int], int] = {}
        self.finished = self._state(self.terms.EPSILON)
        self.start = self._state(grammar.start)

    def __len__(self) -> int:
        return len(self._terms_of)

    def _state(self, term: int) -> int:
        state = self._states.get(term)
        if state is None:
            state = self._states[term] = len(self._terms_of)
            self._terms_of.append(term)
        return state

    def row(self, state: int) -> list[tuple[int, int]]:
        """Return the disjoint (256-bit byte mask, successor) pairs; every successor is alive."""
        return [(m, self._state(t)) for m, t in self.terms.row(self._terms_of[state])]

    def step(self, state: int, byte: int) -> int:
        """Return the successor by one byte, `DEAD` if there is none."""
        branches = self.branches(state)
        if not branches:
            return self._state(self.terms.step(self._terms_of[state], byte))
        stepped = (self._step_branch(branch, byte) for branch in branches)
        return self._state(self.terms.union(stepped))

    def _step_branch(self, branch: Branch, byte: int) -> int:
        """Step the shared lexeme, whose row is known long before that of the whole state."""
        terms = self.terms
        if branch.head is None and branch.tail is not None:
            return terms.step(self._terms_of[branch.tail], byte)
        if branch.head is None or branch.tail is None:
            capture, tail = branch.capture
            return terms.concat(terms.step(capture, byte), tail)
        head, tail = self._terms_of[branch.head], self._terms_of[branch.tail]
        stepped = terms.concat(terms.step(head, byte), tail)
        return terms.union((stepped, terms.step(tail, byte))) if terms.nullable(head) else stepped

    def is_accepting(self, state: int) -> bool:
        """Return whether the text may end in this state."""
        return self.terms.nullable(self._terms_of[state])

    def branches(self, state: int) -> tuple[Branch, ...]:
        """Return the alternatives of a state that has a lexeme in one of them, else nothing."""
        found = self._branches.get(state)
        if found is None:
            found = self._branches[state] = self._split(self._terms_of[state])
        return found

    def texts(self, state: int) -> Texts | None:
        """Return the fixed texts of a state without branches; None if all are last bytes.

        They spare the rows on the way through keys and constants.
        """
        if state not in self._texts:
            self._texts[state] = self._spelled(self._terms_of[state])
        return self._texts[state]

    def _spelled(self, term: int) -> Texts | None:
        terms, nodes = self.terms, self.terms.nodes
        found: list[tuple[bytes, int]] = []
        rest: list[int] = []
        term = self._resolved(term)
        lexeme = nodes[term][0] is Kind.LEXEME
        for part, after in self._alternatives(nodes[term][1] if lexeme else term):
            text, tail = self._begun(part, after)
            if text and not terms.is_empty(tail):
                found.append((text, terms.lexeme(tail) if lexeme else tail))
            elif not text:
                rest.append(terms.lexeme(tail) if lexeme else tail)
        if all(len(text) == 1 and tail == terms.EPSILON for text, tail in found):
            return None
        found.sort()
        texts, tails = zip(*found, strict=True)
        behind = tuple(self._state(tail) for tail in tails)
        return Texts(texts, behind, self._state(terms.union(rest)) if rest else None)

    def _resolved(self, term: int) -> int:
        """Return what a reference stands for."""
        node = self.terms.nodes[term]
        while node[0] is Kind.REFERENCE:
            term = node[1].expand(node[2])
            node = self.terms.nodes[term]
        return term

    def _alternatives(self, term: int) -> Iterable[tuple[int, int]]:
        """Return the members of a union, each with what follows it."""
        node, after = self.terms.nodes[term], self.terms.EPSILON
        if node[0] is Kind.CONCAT and self.terms.nodes[node[1]][0] is Kind.UNION:
            node, after = self.terms.nodes[node[1]], node[2]
        members = node[1] if node[0] is Kind.UNION else (term,)
        return [(member, after) for member in members]

    def _begun(self, part: int, after: int) -> tuple[bytes, int]:
        """Return the text that a part and what follows it begin with, and the term behind it."""
        terms, nodes = self.terms, self.terms.nodes
        if nodes[part][0] is Kind.CONCAT:
            _, part, tail = nodes[part]
            after = terms.concat(tail, after)
        if nodes[part][0] is not Kind.LITERAL:
            return b"", terms.concat(part, after)
        text: bytes = nodes[part][1]
        follows = nodes[after] if nodes[after][0] is Kind.CONCAT else (0, after, terms.EPSILON)
        _, head, rest = follows
        if nodes[head][0] is Kind.LITERAL:
            return text + nodes[head][1], rest
        return text, after

    def _split(self, term: int) -> tuple[Branch, ...]:
        """Take unions and the heads of concatenations apart until lexemes show."""
        terms, nodes = self.terms, self.terms.nodes
        split: list[Branch] = []
        plain: list[int] = []
        open_parts = [(term, terms.EPSILON)]
        while open_parts:
            part, tail = open_parts.pop()
            node = nodes[part]
            if node[0] is Kind.UNION:
                open_parts.extend((member, tail) for member in node[1])
            elif node[0] is Kind.CONCAT:
                open_parts.append((node[1], terms.concat(node[2], tail)))
            elif node[0] is Kind.REFERENCE:
                open_parts.append((node[1].expand(node[2]), tail))
            elif node[0] is Kind.LEXEME and tail != terms.EPSILON:
                split.append(Branch(self._state(part), self._state(tail)))
            elif node[0] is Kind.CAPTURE:
                split.append(Branch(self._state(node[1]), None, (part, tail)))
            else:
                plain.append(terms.concat(part, tail))
        if split and plain:
            split.append(Branch(None, self._state(terms.union(plain))))
        return tuple(split)

    def after(self, branch: Branch, text: bytes | None) -> int:
        """Return the state after the head of a capture has matched `text`.

        None stands for a text that nothing blocks and that nothing remembers.
        """
        capture, tail = branch.capture
        _, _, owner, key, before = self.terms.nodes[capture]
        rest = owner.finish(key, None if text is None else before + text)
        return self._state(self.terms.concat(rest, tail))

    def alone(self, branch: Branch) -> int:
        """Return the state of a capture and what follows it, without the other branches."""
        capture, tail = branch.capture
        return self._state(self.terms.concat(capture, tail))

    def after_any(self, branch: Branch) -> int | None:
        """Return the state after the head of a capture where its text does not matter.

        What follows is then the same for each text that is not blocked, as far as the shortest end
        goes; None where it depends on the text.
        """
        capture, tail = branch.capture
        _, _, owner, key, _ = self.terms.nodes[capture]
        rest = owner.after_any(key)
        return None if rest is None else self._state(self.terms.concat(rest, tail))

    def text_matters(self, branch: Branch) -> bool:
        """Return whether texts that are not blocked differ in the shortest end behind them."""
        _, _, owner, key, _ = self.terms.nodes[branch.capture[0]]
        return bool(owner.text_matters(key))

    def shares_memory(self, branch: Branch, later: Branch) -> bool:
        """Return whether the texts of one capture may count for a later one."""
        _, _, owner, key, _ = self.terms.nodes[branch.capture[0]]
        _, _, other, later_key, _ = self.terms.nodes[later.capture[0]]
        return owner is other and bool(owner.shares_memory(key, later_key))

    def blocked(self, branch: Branch) -> tuple[bytes, ...] | None:
        """Return the texts of a capture's head after which nothing may follow, None if unlisted."""
        _, _, owner, key, before = self.terms.nodes[branch.capture[0]]
        blocked: tuple[bytes, ...] | None = owner.blocked(key, before)
        return blocked

    def forced_byte(self, state: int) -> int | None:
        """Return the only byte that can follow, None if there are several or the text may end."""
        if self.is_accepting(state):
            return None
        branches = self.branches(state)
        if len(branches) > 1:
            return None
        head = branches[0].head if branches else None
        row = self.row(state if head is None else head)
        if len(row) != 1 or row[0][0] & (row[0][0] - 1):
            return None
        if head is not None and self.is_accepting(head):
            return None
        return row[0][0].bit_length() - 1

    def shortest_completion(self, state: int) -> bytes:
        """Return a shortest text that ends in acceptance from here."""
        return self._shortest.text(self._terms_of[state])

    def min_bytes(self, state: int) -> int:
        """Return the length of a shortest completion."""
        return self._shortest.text_length(self._terms_of[state])

    def folded(self, state: int, horizon: int) -> int:
        """Return a state that allows the same texts of up to `horizon` bytes, and the same ends.

        Counters that no such text exhausts are cut to what it can reach, so that the states of a
        long list or string become one. Only those near the beginning are looked at.
        """
        term = self._terms_of[state]
        found = self._folded.get((term, horizon))
        if found is None:
            found = self._state(self._fold(term, horizon, FOLD_DEPTH))
            self._folded[term, horizon] = found
        return found

    def _fold(self, term: int, horizon: int, depth: int) -> int:
        terms, node = self.terms, self.terms.nodes[term]
        if depth == 0:
            return term
        if node[0] is Kind.CONCAT:
            head, tail = (self._fold(part, horizon, depth - 1) for part in node[1:])
            return term if (head, tail) == node[1:] else terms.concat(head, tail)
        if node[0] is Kind.UNION and len(node[1]) <= FOLD_WIDTH:
            members = tuple(self._fold(part, horizon, depth - 1) for part in node[1])
            return term if members == node[1] else terms.union(members)
        if node[0] is Kind.LEXEME:
            inner = self._fold(node[1], horizon, depth - 1)
            return term if inner == node[1] else terms.lexeme(inner)
        if node[0] is not Kind.REPEAT or terms.nullable(node[1]):
            return term
        _, inner, low, high = node
        low = min(low, horizon + 1)
        return terms.repeat(inner, low, None if high is None or high > horizon else high)

    def is_lexeme(self, state: int) -> bool:
        """Return whether a state is the rest of a lexeme and nothing else."""
        return self.terms.nodes[self._terms_of[state]][0] is Kind.LEXEME

    def counted(self, state: int) -> Counted | None:
        """Return the counter that a lexeme begins with; None without one, or without bounds."""
        terms, nodes = self.terms, self.terms.nodes
        lexeme = nodes[self._terms_of[state]]
        body = nodes[lexeme[1]] if lexeme[0] is Kind.LEXEME else lexeme
        if body[0] is not Kind.CONCAT or nodes[body[1]][0] is not Kind.REPEAT:
            return None
        _, inner, low, high = nodes[body[1]]
        starts, ends = (sum(mask for mask, _ in terms.row(term)) for term in (inner, body[2]))
        unbounded = (low, high) == (0, None)
        if unbounded or terms.nullable(inner) or terms.nullable(body[2]) or starts & ends:
            return None
        base = terms.lexeme(terms.concat(terms.repeat(inner, 0, None), body[2]))
        return Counted(self._state(base), low, high, starts)

    def fingerprint(self, state: int) -> bytes | None:
        """Return 16 bytes that name the language of a lexeme in every grammar and process.

        None if the language depends on a reference, which has a meaning in this grammar only.
        """
        return fingerprint(self.terms, self._terms_of[state])
