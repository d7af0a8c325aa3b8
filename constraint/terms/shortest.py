"""Shortest texts: how long one is, and one of them.

Lengths are computed from the parts (a concatenation adds, a union takes the least); only
intersections and complements are searched breadth first, and those are regular and small. The text
itself is then read off by always taking the part with the least length.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, NamedTuple

from ...schemas.errors import GrammarTooLargeError
from .arena import Kind
from .terms import Terms

INFINITE = 1 << 62
TEXT_LIMIT = 1 << 24


class Shortest:
    """Shortest texts of the terms of one arena; where `rough`, lengths may be lower bounds."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.rough = False
        self._lengths: dict[int, int] = {}
        self._searched: dict[int, bytes] = {}
        self._bounds: dict[int, int] = {}
        terms.at_least = self.at_least

    def fork(self, terms: Terms) -> Shortest:
        """Return the same for a fork of the arena."""
        other = Shortest(terms)
        other._lengths = self._lengths.copy()
        other._searched = self._searched.copy()
        return other

    def length(self, term: int) -> int:
        """Return the number of bytes of a shortest text, `INFINITE` if there is none."""
        stack = [] if term in self._lengths else [term]
        while stack:
            top = stack[-1]
            missing = [part for part in self._parts(top) if part not in self._lengths]
            if top in self._lengths or not missing:
                stack.pop()
                if top not in self._lengths:
                    self._lengths[top] = min(self._combine(top), INFINITE)
            else:
                stack.extend(missing)
        return self._lengths[term]

    def _parts(self, term: int) -> tuple[int, ...]:
        node = self.terms.nodes[term]
        if node[0] == Kind.CONCAT:
            return node[1:]
        if node[0] == Kind.UNION:
            nodes = self.terms.nodes  # literals, of which there may be many, tell it themselves
            return tuple(member for member in node[1] if nodes[member][0] != Kind.LITERAL)
        if node[0] in (Kind.REPEAT, Kind.LEXEME, Kind.CAPTURE):
            return (node[1],)
        return ()

    def _combine(self, term: int) -> int:
        node, known = self.terms.nodes[term], self._lengths
        kind = node[0]
        if kind == Kind.EMPTY:
            return INFINITE
        if kind == Kind.LITERAL:
            return len(node[1])
        if kind == Kind.CONCAT:
            return known[node[1]] + known[node[2]]
        if kind == Kind.UNION:
            return self._least(node[1], known)
        if kind == Kind.REPEAT:
            return node[2] * known[node[1]] if node[2] else 0
        if kind == Kind.LEXEME:
            return known[node[1]]
        if kind == Kind.REFERENCE:
            return self._reference_length(term)
        if kind == Kind.CAPTURE:
            return self._capture_length(node)
        if kind == Kind.BYTES:
            return 1
        return 0 if self.terms.nullable(term) else self._searched_length(term)

    def _least(self, members: tuple[int, ...], known: dict[int, int]) -> int:
        """Return the least length of some terms that is known, or that of a literal."""
        nodes = (self.terms.nodes[member] for member in members)
        return min(
            len(node[1]) if node[0] == Kind.LITERAL else known[member]
            for member, node in zip(members, nodes, strict=True)
        )

    def _capture_length(self, node: tuple[Any, ...]) -> int:
        _, head, owner, key, _ = node
        rest = owner.rest_length(key)
        if rest is not None:
            return int(self._lengths[head] + rest)
        text, after = self._captured(node, self.text(head))
        return len(text) + self.length(after)

    def _reference_length(self, term: int) -> int:
        _, owner, key = self.terms.nodes[term]
        return int(owner.min_length(key))

    def _searched_length(self, term: int) -> int:
        return INFINITE if self.terms.is_empty(term) else len(self._search(term))

    def _search(self, term: int) -> bytes:
        """Return a shortest text of a term that is not empty, breadth first over its rows."""
        known = self._searched.get(term)
        if known is None:
            known = self._member_text(term)
            if known is None:
                known = self.first_text(term, lambda text: True)
            self._searched[term] = known
        return known

    def _member_text(self, term: int) -> bytes | None:
        """Return the shortest text of what complements are cut from, if they leave it.

        Other intersections have members (remainders) whose lengths are bounds and lead nowhere.
        """
        nodes = self.terms.nodes
        node = nodes[term]
        members = node[1] if node[0] == Kind.INTERSECT else ()
        whole = [member for member in members if nodes[member][0] != Kind.COMPLEMENT]
        if len(whole) != 1:
            return None
        text = self.text(whole[0])
        return text if self.terms.accepts(term, text) else None

    def first_text(self, term: int, wanted: Callable[[bytes], bool]) -> bytes:
        """Return a shortest text that is `wanted`; more than one text a state is tried.

        Each byte set is tried by its lowest printable byte and its lowest byte; where texts are
        turned down, states are visited again with other bytes.
        """
        width = 1
        while True:
            found = self._first_text(term, wanted, width)
            if found is not None:
                return found
            if width > 1 << 12:
                raise GrammarTooLargeError("texts to try for a shortest one", 1 << 12, width)
            width *= 4

    def _first_text(self, term: int, wanted: Callable[[bytes], bool], width: int) -> bytes | None:
        """Search by A*: what is left of the text is at least as long as without complements.

        Among those that may be as short, the longest goes first: it is closest to its end.
        """
        visits: dict[int, int] = {}
        queue = [(0, 0, 0, term, b"")]
        made = 0
        while queue:
            _, _, _, top, text = heappop(queue)
            if self.terms.nullable(top) and wanted(text):
                return text
            # a dead end is found sooner than proven, unless it goes on for ever
            row = self.terms.row(top) if self.terms.remembers(top) else self.terms.raw_row(top)
            for mask, successor in row:
                least = len(text) + 1 + self.at_least(successor)
                for byte in _bytes_of(mask, width):
                    if visits.get(successor, 0) < width:
                        visits[successor] = visits.get(successor, 0) + 1
                        made += 1  # of equals the first
                        longer = text + bytes([byte])
                        heappush(queue, (least, -len(longer), made, successor, longer))
        return None

    def at_least(self, term: int) -> int:
        """Return a lower bound for the length, without a search for any term."""
        stack = [] if term in self._bounds else [term]
        while stack:
            top = stack[-1]
            missing = [part for part in self._bounded_by(top) if part not in self._bounds]
            if missing:
                stack.extend(missing)
            else:
                stack.pop()
                self._bounds[top] = self._bound(top)
        return self._bounds[term]

    def _bounded_by(self, term: int) -> tuple[int, ...]:
        """Return the terms whose bounds make that of a term."""
        if self.terms.nullable(term):
            return ()
        node = self.terms.nodes[term]
        if node[0] == Kind.CAPTURE:
            return ()
        return node[1] if node[0] == Kind.INTERSECT else self._parts(term)

    def _bound(self, term: int) -> int:
        node, known = self.terms.nodes[term], self._bounds
        kind = node[0]
        if self.terms.nullable(term):
            return 0
        if kind == Kind.INTERSECT:
            return max(known[member] for member in node[1])
        if kind == Kind.CONCAT:
            return min(known[node[1]] + known[node[2]], INFINITE)
        if kind == Kind.UNION:
            return self._least(node[1], known)
        if kind == Kind.LEXEME:
            return known[node[1]]
        if kind == Kind.REPEAT:
            return min(int(node[2] * known[node[1]]), INFINITE)
        if kind == Kind.COMPLEMENT or not self.terms.certain(term):
            return 1
        return self.length(term)  # it has no parts, or what follows them counts

    def text_length(self, term: int) -> int:
        """Return the length of `text(term)`, written only where its length is not known."""
        return len(self.text(term)) if self.rough else self.length(term)

    def _captured(self, node: tuple[Any, ...], more: bytes) -> tuple[bytes, int]:
        """Return a shortest text of a capture's head after which something may follow, and that.

        `more` is a shortest text of the head.
        """
        _, head, owner, key, text = node
        empty = self.terms.EMPTY

        def goes_on(more: bytes) -> bool:
            return bool(owner.finish(key, text + more) != empty)

        if not goes_on(more):
            more = self.first_text(head, goes_on)
        return more, owner.finish(key, text + more)

    def text(self, term: int) -> bytes:
        """Return a shortest text; raises GrammarTooLargeError past 16 MiB."""
        if self.length(term) > TEXT_LIMIT:
            raise GrammarTooLargeError("bytes in its shortest text", TEXT_LIMIT, self.length(term))
        pieces: list[bytes] = []
        stack: list[int | Finish] = [term]
        while stack:
            top = stack.pop()
            if isinstance(top, Finish):
                more, rest = self._captured(self.terms.nodes[top.term], b"".join(pieces[top.at :]))
                pieces[top.at :] = [more]
                stack.append(rest)
                continue
            node = self.terms.nodes[top]
            kind = node[0]
            if kind == Kind.LITERAL:
                pieces.append(node[1])
            elif kind == Kind.BYTES:
                pieces.append(bytes([_bytes_of(node[1], 1)[0]]))
            elif kind == Kind.CONCAT:
                stack.extend((node[2], node[1]))
            elif kind == Kind.UNION:
                stack.append(min(node[1], key=self.length))
            elif kind == Kind.REPEAT:
                stack.extend([node[1]] * node[2])
            elif kind == Kind.LEXEME:
                stack.append(node[1])
            elif kind == Kind.REFERENCE:
                stack.append(node[1].expand(node[2]))
            elif kind == Kind.CAPTURE:
                stack.extend((Finish(top, len(pieces)), node[1]))
            elif not self.terms.nullable(top):
                pieces.append(self._search(top))
        return b"".join(pieces)


class Finish(NamedTuple):
    """A capture whose head has been written from piece `at` on."""

    term: int
    at: int


def _bytes_of(mask: int, most: int) -> list[int]:
    """Return up to `most` bytes of a set, letters and digits first."""
    order = (mask & _PREFERRED, mask & _PRINTABLE & ~_PREFERRED, mask & ~_PRINTABLE)
    found: list[int] = []
    for part in order:
        while part and len(found) < most:
            bit = part & -part
            found.append(bit.bit_length() - 1)
            part ^= bit
    return found


_PRINTABLE = sum(1 << byte for byte in range(0x20, 0x7F))
_PREFERRED = sum(1 << byte for byte in b"0123456789abcdefghijklmnopqrstuvwxyz")


def steps_to_end(terms: Terms, term: int) -> int:
    """Return the length in bytes of a shortest text, `INFINITE` without one; no bounds are used.

    Breadth first over the rows, for references that are asked how short they are.
    """
    frontier = seen = {term}
    length = 0
    while frontier:
        if any(terms.nullable(state) for state in frontier):
            return length
        frontier = {to for state in frontier for _, to in terms.row(state)} - seen
        seen = seen | frontier
        length += 1
    return INFINITE
