"""Terms that begin with a counter: what stays the same while it counts down.

In `x{3,60}" tail` each `x` that is read leaves the same term with other bounds. Where a text is a
row of whole `x`, how many it has can be told once for all bounds, and the term behind it is known
without a derivative. That needs an `x` whose end shows: no `x` begins another one, and what follows
the counter begins with other bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from .arena import Kind
from .fingerprint import fingerprint
from .terms import Terms

MOST_CODE_STATES = 64
MOST_CODES = 4096
_CODES: dict[bytes, bool] = {}  # what was found out in other grammars, by fingerprint


class Counter(NamedTuple):
    """The parts of `inner{low,high} rest`, a `lexeme` or not, and the `tail` behind it."""

    inner: int
    rest: int
    tail: int
    lexeme: bool


Bounded = tuple[Counter, int, int | None]


class Counters:
    """Finds and counts the counters of one arena."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._codes: dict[int, bool] = {}
        self._starts: dict[int, int] = {}
        self._between: dict[
            tuple[int, int], tuple[int, dict[tuple[int, int], tuple[int, int]]]
        ] = {}
        self._met: dict[tuple[int, int, bytes], int | None] = {}

    def of(self, term: int) -> Bounded | None:
        """Return the counter that a term begins with, and its bounds; None without one."""
        terms, nodes = self.terms, self.terms.nodes
        whole, tail = term, terms.EPSILON
        if nodes[term][0] == Kind.CONCAT and nodes[nodes[term][1]][0] == Kind.LEXEME:
            _, whole, tail = nodes[term]
        lexeme = nodes[whole][0] == Kind.LEXEME
        counter, rest = nodes[whole][1] if lexeme else whole, terms.EPSILON
        if nodes[counter][0] == Kind.CONCAT:
            _, counter, rest = nodes[counter]
        if nodes[counter][0] != Kind.REPEAT:
            return None
        _, inner, low, high = nodes[counter]
        if (low, high) == (0, None) or terms.nullable(inner) or inner in terms.uncounted:
            return None
        if terms.nullable(rest) and (lexeme or rest != terms.EPSILON):
            return None
        if self.starts(inner) & self.starts(rest) or not self._is_code(inner):
            return None
        return Counter(inner, rest, tail, lexeme), low, high

    def term(self, counter: Counter, low: int, high: int | None) -> int:
        """Return the term of a counter with other bounds."""
        terms = self.terms
        body = terms.concat(terms.repeat(counter.inner, low, high), counter.rest)
        return terms.concat(terms.lexeme(body) if counter.lexeme else body, counter.tail)

    def nullable(self, counter: Counter, low: int) -> bool:
        """Return whether a counter may end, by its lower bound."""
        nullable = self.terms.nullable
        return low == 0 and nullable(counter.rest) and nullable(counter.tail)

    def starts(self, term: int) -> int:
        """Return the bytes with which a term begins, as 256 bits."""
        found = self._starts.get(term)
        if found is None:
            found = self._starts[term] = sum(mask for mask, _ in self.terms.row(term))
        return found

    def count(self, counter: Counter, text: bytes) -> int | None:
        """Return of how many `inner` a text is a row; None if it is none, or one is not whole.

        Cost: a derivative for each byte the first time, a look-up later, whatever the bounds.
        """
        key = (counter.inner, counter.rest, text)
        if key not in self._met:
            self._met[key] = self._counted(counter, text)
        return self._met[key]

    def _counted(self, counter: Counter, text: bytes) -> int | None:
        again, steps = self._again(counter.inner, counter.rest)
        at, met = again, 0
        for byte in text:
            step = steps.get((at, byte))
            if step is None:
                step = steps[at, byte] = self._step(counter.inner, at, byte, at == again)
            at, begun = step
            met += begun
        return met if at == again else None

    def behind(self, counter: Counter, text: bytes) -> tuple[int, bytes]:
        """Return the term of what follows a counter, and what is left of a text there.

        `text` begins where no part of the counter is left.
        """
        terms = self.terms
        node = terms.nodes[counter.rest]
        if node[0] == Kind.LITERAL and text.startswith(node[1]):
            return counter.tail, text[len(node[1]) :]
        return self.term(counter, 0, 0), text

    def _again(self, inner: int, rest: int) -> tuple[int, dict[tuple[int, int], tuple[int, int]]]:
        """Return the term between two parts, and the steps from there that are known."""
        found = self._between.get((inner, rest))
        if found is None:
            again = self.terms.concat(self.terms.repeat(inner, 0, None), rest)
            found = self._between[inner, rest] = again, {}
        return found

    def _step(self, inner: int, at: int, byte: int, between: bool) -> tuple[int, int]:
        """Return the term behind a byte, and whether a part begins; `EMPTY` if none may."""
        if between and not self.starts(inner) >> byte & 1:
            return self.terms.EMPTY, 0
        return self.terms.step(at, byte), int(between)

    def _is_code(self, inner: int) -> bool:
        """Return whether no text of a term begins another one; False if it has many states."""
        name = fingerprint(self.terms, inner)
        found = self._codes.get(inner) if name is None else _CODES.get(name)
        if found is None:
            found = self._codes[inner] = self._looks_like_code(inner)
            if name is not None:
                if len(_CODES) >= MOST_CODES:
                    _CODES.clear()
                _CODES[name] = found
        return found

    def _looks_like_code(self, inner: int) -> bool:
        terms, met, open_terms = self.terms, {inner}, [inner]
        while open_terms:
            term = open_terms.pop()
            if terms.nullable(term) and term != terms.EPSILON:
                return False
            new = {after for _, after in terms.row(term)} - met
            met |= new
            open_terms.extend(new)
            if len(met) > MOST_CODE_STATES:
                return False
        return True
