"""Terms with derivatives: every term is a state of a lazily built automaton.

`row(term)` is the derivative by every byte at once; the successors are terms again, so walking rows
is running the automaton, and nothing is built that is not visited. Rows are computed bottom up from
the rows of the parts with a work list instead of recursion, so no grammar is deep enough to exhaust
the stack.

Emptiness matters: a successor from which no text can be completed would be a dead end for whoever
walks there. Terms without intersection and complement are never empty unless they are `EMPTY`; for
the others the derivative graph is searched for an accepting term, and `row` leaves the empty
successors out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any

from ...schemas.errors import GrammarTooLargeError
from .arena import Kind, TermArena
from .forks import twin
from .owners import CaptureOwner
from .rows import Row, complement_row, gather, intersect_rows, literal_row, union_rows

SEARCH_LIMIT = 50_000
MOST_STEPS_KEPT = 4096
DERIVE_DEPTH = 12
DERIVE_WIDTH = 16
CAPTURE_WORK = 8  # each successor is a new term with a text of its own; measured against row pairs


class Terms(TermArena):
    """An arena whose terms can be stepped, tested and searched.

    `search_limit` bounds the rows that one emptiness search may compute, `fuel` all work together
    (while a grammar compiles; afterwards it is infinite); past either, `GrammarTooLargeError` is
    raised.
    """

    def __init__(self, *, search_limit: int = SEARCH_LIMIT, fuel: float = math.inf) -> None:
        super().__init__()
        self.search_limit = search_limit
        self.fuel = fuel
        self._all_fuel = fuel
        self._all_of = "steps to compile"
        self._raw: dict[int, Row] = {}
        self._rows: dict[int, Row] = {}
        self._empty: dict[int, bool] = {}
        self._steps: dict[tuple[int, int], int] = {}
        self.fingerprints: dict[int, bytes | None] = {}
        self.recalled: dict[Hashable, int] = {}
        self.at_least: Callable[[int], int] = _no_bound  # for what a shortest text has in bytes

    def fork(self, fuel: float) -> Terms:
        """Return an arena that begins with the terms and rows of this one, under their numbers.

        None of them may be a reference or a capture, as their owners work in this arena.
        Cost: 10 us for 300 terms.
        """
        other = twin(self)
        other._copy_own()
        other.fuel = other._all_fuel = fuel
        other._raw, other._rows = self._raw.copy(), self._rows.copy()
        other._empty, other._steps = self._empty.copy(), {}
        other.fingerprints, other.recalled = self.fingerprints.copy(), {}
        return other

    def made(
        self,
        node: tuple[Any, ...],
        *,
        nullable: bool,
        certain: bool,
        counts: bool,
        empty: bool | None,
    ) -> int:
        """Return the term of a node out of another arena, with what was known of it there."""
        term = self._intern(node, nullable=nullable, certain=certain, counts=counts)
        if certain:
            self._certain[term] = True
        if empty is not None:
            self._empty[term] = empty
        return term

    def known_empty(self, term: int) -> bool | None:
        """Return whether a search found no text of a term, None if none was made."""
        return self._empty.get(term)

    def spend(self, work: int) -> None:
        """Count work; raises GrammarTooLargeError when the fuel is gone."""
        self.fuel -= work
        if self.fuel < 0:
            limit = int(self._all_fuel)
            raise GrammarTooLargeError(self._all_of, limit, limit - int(self.fuel))

    @contextmanager
    def limited(self, fuel: float, purpose: str) -> Iterator[None]:
        """Bound the work inside; raises GrammarTooLargeError about `purpose` when it is more."""
        before = self.fuel, self._all_fuel, self._all_of
        self.fuel, self._all_fuel, self._all_of = fuel, fuel, purpose
        try:
            yield
        finally:
            self.fuel, self._all_fuel, self._all_of = before

    def row(self, term: int) -> Row:
        """Return the disjoint (byte mask, successor) pairs of `term`; every successor is alive."""
        row = self._rows.get(term)
        if row is None:
            row = self._raw_row(term)
            if not all(self._certain[successor] for _, successor in row):
                row = tuple(pair for pair in row if not self.is_empty(pair[1]))
            self._rows[term] = row
        return row

    def raw_row(self, term: int) -> Row:
        """Return `row(term)` with successors that may be empty; cheaper where each is new."""
        return self._raw_row(term)

    def step(self, term: int, byte: int) -> int:
        """Return the successor of `term` by `byte`, `EMPTY` if there is none."""
        if self.begins_with_capture(term):
            return self._step_once(term, byte)
        if term in self._rows:
            return _successor(self._rows[term], byte)
        found = self._derive(term, byte, DERIVE_DEPTH)
        return found if self._certain[found] or not self.is_empty(found) else self.EMPTY

    def _derive(self, term: int, byte: int, depth: int) -> int:
        """Return the derivative by one byte without the rows of the terms on top; it may be empty.

        A counter meets a new term with each character, and most are stepped once and never walked.
        """
        node = self.nodes[term]
        kind = node[0]
        wide = kind == Kind.UNION and len(node[1]) > DERIVE_WIDTH
        if depth == 0 or term in self._raw or kind not in _DERIVED or wide:
            return _successor(self._raw_row(term), byte)
        self.spend(1)
        if kind == Kind.CONCAT:
            _, head, tail = node
            found = self._concat2(self._derive(head, byte, depth - 1), tail)
            if not self._nullable[head]:
                return found
            return self.union((found, self._derive(tail, byte, depth - 1)))
        if kind == Kind.UNION:
            return self.union([self._derive(part, byte, depth - 1) for part in node[1]])
        inner = self._derive(node[1], byte, depth - 1)
        if kind == Kind.LEXEME:
            return self.lexeme(inner)
        _, repeated, low, high = node
        again = self.repeat(repeated, max(low - 1, 0), None if high is None else high - 1)
        return self._concat2(inner, again)

    def begins_with_capture(self, term: int) -> bool:
        """Return whether a capture may be the first thing in a term; references are looked into."""
        if self._captures[term]:
            return True
        node = self.nodes[term]
        if node[0] == Kind.CONCAT:
            node = self.nodes[node[1]]
        return node[0] == Kind.REFERENCE and bool(self._captures[node[1].expand(node[2])])

    def accepts(self, term: int, text: bytes) -> bool:
        """Return whether the whole `text` is in the language."""
        return self._nullable[self.walk(term, text)]

    def walk(self, term: int, text: bytes) -> int:
        """Return the term that is left after `text`, `EMPTY` if `text` is no viable prefix."""
        for byte in text:
            if term == self.EMPTY:
                break
            term = self.step(term, byte)
        return term

    def _step_once(self, term: int, byte: int) -> int:
        """Step a term that begins with a capture; equal parts of nested ones are stepped once."""
        found = self._steps.get((term, byte))
        if found is None:
            if len(self._steps) >= MOST_STEPS_KEPT:
                self._steps.clear()
            self.spend(1)
            found = self._steps[term, byte] = self._step_capture(self.nodes[term], byte)
        return found

    def _step_capture(self, node: tuple[Any, ...], byte: int) -> int:
        """Step a term that begins with a capture; its row would hold a successor for each byte."""
        if node[0] == Kind.REFERENCE:
            return self.step(node[1].expand(node[2]), byte)
        if node[0] == Kind.UNION:
            return self.union([self.step(member, byte) for member in node[1]])
        if node[0] == Kind.CONCAT:
            return self._concat2(self.step(node[1], byte), node[2])
        _, head, owner, key, text = node
        rest = self.step(head, byte)
        return rest and self.captured(rest, owner, key, text + bytes([byte]))

    def captured(self, rest: int, owner: CaptureOwner, key: Hashable, text: bytes) -> int:
        """Return what is left of a capture that has read `text`, by the rest of its head."""
        if rest == self.EPSILON:
            return owner.finish(key, text)
        return self.capture(rest, owner, key, text)

    def _raw_row(self, term: int) -> Row:
        """Return the row before empty successors are left out."""
        raw = self._raw
        row = raw.get(term)
        if row is not None:
            return row
        node = self.nodes[term]
        if node[0] == Kind.CONCAT and node[1] in raw and not self._nullable[node[1]]:
            row = raw[term] = self._concat_row(node[1], node[2])
            self.spend(1 + len(row))
            return row
        stack = [term]
        while stack:
            top = stack[-1]
            missing = [part for part in self._row_parts(top) if part not in self._raw]
            if top in self._raw or not missing:
                stack.pop()
                if top not in self._raw:
                    row = self._raw[top] = self._combine(top)
                    self.spend(1 + len(row) * len(self._row_parts(top)))
            else:
                stack.extend(missing)
        return self._raw[term]

    def _row_parts(self, term: int) -> tuple[int, ...]:
        """Return the terms whose rows the row of `term` is made of."""
        node = self.nodes[term]
        kind = node[0]
        if kind == Kind.CONCAT:
            return node[1:] if self._nullable[node[1]] else (node[1],)
        if kind == Kind.UNION or kind == Kind.INTERSECT:
            return node[1]  # type: ignore[no-any-return]
        if kind == Kind.REFERENCE:
            return (node[1].expand(node[2]),)
        if kind >= Kind.REPEAT:
            return (node[1],)
        return ()

    def _combine(self, term: int) -> Row:
        """Return the row of `term` from the rows of its parts, which are known."""
        node, raw = self.nodes[term], self._raw
        kind = node[0]
        if kind == Kind.LITERAL:
            return literal_row(node[1][0], self.literal(node[1][1:]))
        if kind == Kind.CONCAT:
            return self._concat_row(node[1], node[2])
        if kind == Kind.BYTES:
            return ((node[1], self.EPSILON),)
        if kind == Kind.UNION:
            return union_rows([raw[member] for member in node[1]], self.union)
        if kind == Kind.REPEAT:
            return self._repeat_row(*node[1:])
        if kind == Kind.INTERSECT:
            return intersect_rows([raw[member] for member in node[1]], self.intersect)
        if kind == Kind.COMPLEMENT:
            return complement_row(raw[node[1]], self.complement, self.ALL)
        if kind == Kind.LEXEME:
            return gather((mask, self.lexeme(rest)) for mask, rest in raw[node[1]])
        if kind == Kind.REFERENCE:
            return raw[node[1].expand(node[2])]
        if kind == Kind.CAPTURE:
            return gather(self._capture_pairs(*node[1:]))
        return ()

    def _concat_row(self, head: int, tail: int) -> Row:
        row = gather((mask, self._concat2(rest, tail)) for mask, rest in self._raw[head])
        if not self._nullable[head]:
            return row
        return union_rows([row, self._raw[tail]], self.union)

    def _repeat_row(self, inner: int, low: int, high: int | None) -> Row:
        again = self.repeat(inner, max(low - 1, 0), None if high is None else high - 1)
        return gather((mask, self._concat2(rest, again)) for mask, rest in self._raw[inner])

    def _capture_pairs(
        self, head: int, owner: CaptureOwner, key: Hashable, text: bytes
    ) -> Iterator[tuple[int, int]]:
        """Yield one pair a byte: the text, and so the successor, differs for each of them."""
        for mask, rest in self._raw[head]:
            while mask and not self.is_empty(rest):
                bit = mask & -mask
                byte = bit.bit_length() - 1
                self.spend(CAPTURE_WORK)
                yield bit, self.captured(rest, owner, key, text + bytes([byte]))
                mask ^= bit

    def is_empty(self, term: int) -> bool:
        """Return whether no text at all is in the language."""
        if self._certain[term]:
            return term == self.EMPTY
        node = self.nodes[term]
        if node[0] == Kind.CONCAT:
            return self.is_empty(node[1]) or self.is_empty(node[2])
        if node[0] == Kind.UNION:
            return all(self.is_empty(member) for member in node[1])
        if node[0] == Kind.LEXEME or (node[0] == Kind.REPEAT and node[2]):
            return self.is_empty(node[1])
        known = self._empty.get(term)
        return self._search(term) if known is None else known

    def living_lexeme(self, inner: int) -> int:
        """Return `lexeme(inner)` known not to be empty, or `EMPTY` if it is.

        What follows a lexeme is long; this spares every later step the question for the tail.
        """
        if self.is_empty(inner):
            return self.EMPTY
        lexeme = self.lexeme(inner)
        self._certain[lexeme] = True
        return lexeme

    def _search(self, term: int) -> bool:
        """Look for an accepting term among the derivatives of `term`, in two orders by turns.

        Best first, by a lower bound for what is left, finds the end of long texts; of equals the
        last goes first, and bytes that often end something. What follows a capture has no bound:
        from there on all are equals. Breadth first leaves loops that remember their text (a
        captured `1.000`), each turn a new term.
        """
        came_from: dict[int, int] = {term: term}
        best, queue, opened = [(0, 0, term)], deque([term]), set[int]()
        led = not self.remembers(term)
        while queue:
            top = heappop(best)[2] if best and len(opened) % 2 == 0 else queue.popleft()
            if top in opened:
                continue
            opened.add(top)
            if self._proves_alive(top):
                self._mark_alive(top, came_from)
                return False
            if len(came_from) > self.search_limit:
                raise GrammarTooLargeError(
                    "states to decide whether any text matches", self.search_limit, len(came_from)
                )
            for _, successor in sorted(self._raw_row(top), key=_promise):
                if successor not in came_from and not self._proves_empty(successor):
                    came_from[successor] = top
                    if self._proves_alive(successor):
                        self._mark_alive(successor, came_from)
                        return False
                    queue.append(successor)
                    led = led and not self.remembers(successor)
                    bound = self.at_least(successor) if led else 0
                    heappush(best, (bound, -len(came_from), successor))
        for dead in came_from:
            self._empty[dead] = True
        return True

    def remembers(self, term: int) -> bool:
        """Return whether a term, or a part of an intersection, may begin with a capture."""
        if not self.has_captures:
            return False
        node = self.nodes[term]
        parts = node[1] if node[0] == Kind.INTERSECT else (term,)
        return any(self.begins_with_capture(part) for part in parts)

    def _proves_alive(self, term: int) -> bool:
        if self._nullable[term] or self._empty.get(term) is False:
            return True
        return self._certain[term] and term != self.EMPTY

    def _proves_empty(self, term: int) -> bool:
        return term == self.EMPTY or self._empty.get(term) is True

    def _mark_alive(self, term: int, came_from: dict[int, int]) -> None:
        while self._empty.get(term) is None:
            self._empty[term] = False
            term = came_from[term]


def _no_bound(term: int) -> int:
    return 0


_DERIVED = (Kind.CONCAT, Kind.UNION, Kind.LEXEME, Kind.REPEAT)


def _successor(row: Row, byte: int) -> int:
    bit = 1 << byte
    for mask, successor in row:
        if mask & bit:
            return successor
    return TermArena.EMPTY


def _promise(pair: tuple[int, int]) -> tuple[int, int]:
    """Order row pairs so that the last is the likeliest way to an end: no gap, a bracket, low."""
    mask = pair[0]
    return (1 if mask & _ENDING else -1 if mask & ~_BLANK == 0 else 0, -mask)


_ENDING = sum(1 << byte for byte in b'"]}')
_BLANK = sum(1 << byte for byte in b" \t\n\r")
