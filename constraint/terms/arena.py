"""Hash-consed terms over bytes: the constructors.

A term denotes a set of byte strings and is nothing but an int: an index into its arena. Two terms
built the same way get the same int, so whatever is computed for a term is computed once, and a term
can serve as the state of an automaton (the language of what may still follow). The constructors
keep a weak normal form (concatenation leans right, unions are flat, sorted and free of repeats,
neighbouring counters are joined): enough for the set of terms met on the way to stay finite, cheap
enough to run for every byte.

Source: derivatives need terms up to associativity, commutativity and idempotence of union and
intersection to be finitely many (Brzozowski 1964; Owens, Reppy, Turon 2009).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, ClassVar, Final

from .owners import CaptureOwner, Owner
from .ranges import joined_ranges

EVERY_BYTE = (1 << 256) - 1
MOST_CAPTURES = 100
MARKED = 1 << 40  # bounds from here on are marks, see `spines`
LOW_MARK, HIGH_MARK = 2 * MARKED, 4 * MARKED


class Kind:
    """What a node is; the comment names the fields that follow the kind in the node.

    Plain numbers: an enumeration takes five times as long to compare, and nothing is done as often.
    """

    EMPTY: Final = 0
    EPSILON: Final = 1
    BYTES: Final = 2  # mask: 256-bit int, never with exactly one bit set
    LITERAL: Final = 3  # text: at least one byte
    CONCAT: Final = 4  # head, tail; the head is not a CONCAT
    UNION: Final = 5  # members: sorted, at least two
    REPEAT: Final = 6  # inner, low, high or None
    INTERSECT: Final = 7  # members: sorted, at least two
    COMPLEMENT: Final = 8  # inner
    LEXEME: Final = 9  # inner: one string or number, never split across a concatenation
    REFERENCE: Final = 10  # owner, key: owner.expand(key) is the term
    CAPTURE: Final = 11  # head, owner, key, text: a lexeme whose text decides what follows


class TermArena:
    """An arena of terms; not shared between grammars, so that dropping a grammar frees it."""

    EMPTY: ClassVar[int] = 0
    EPSILON: ClassVar[int] = 1
    ALL: ClassVar[int] = 3

    def __init__(self) -> None:
        self.nodes: list[tuple[Any, ...]] = []
        self._ids: dict[tuple[Any, ...], int] = {}
        self._nullable: list[bool] = []
        self._certain: list[bool] = []
        self.has_captures = False
        self._counts: list[bool] = []
        self.uncounted: set[int] = set()  # what is repeated in many places, and not often in one
        self.marked: dict[int, int] = {}
        """How far marks have come down, by the term that is repeated."""
        self._captures: list[int] = []  # how many captures inside each other a term begins with
        self._intern((Kind.EMPTY,), nullable=False)
        self._intern((Kind.EPSILON,), nullable=True)
        every = self._intern((Kind.BYTES, EVERY_BYTE), nullable=False)
        self._intern((Kind.REPEAT, every, 0, None), nullable=True)

    def _copy_own(self) -> None:
        """Go on with copies of what a twin has; terms have the same numbers in both."""
        self.nodes = self.nodes.copy()
        self._ids = self._ids.copy()
        self._nullable = self._nullable.copy()
        self._certain = self._certain.copy()
        self._captures = self._captures.copy()
        self._counts = self._counts.copy()
        self.marked = {}

    def drop(self) -> None:
        """Let go of everything, as terms name their owners and those this arena."""
        self.__dict__.clear()

    def __len__(self) -> int:
        return len(self.nodes)

    def _intern(
        self,
        node: tuple[Any, ...],
        *,
        nullable: bool,
        certain: bool = True,
        captures: int = 0,
        counts: bool = False,
    ) -> int:
        found = self._ids.get(node)
        if found is None:
            found = len(self.nodes)
            self._ids[node] = found
            self.nodes.append(node)
            self._nullable.append(nullable)
            self._certain.append(certain)
            self._captures.append(captures)
            self._counts.append(counts)
        return found

    def nullable(self, term: int) -> bool:
        """Return whether the empty text is in the language."""
        return self._nullable[term]

    def certain(self, term: int) -> bool:
        """Return whether a look at the term decides emptiness: only `EMPTY` itself is empty."""
        return self._certain[term]

    def counts(self, term: int) -> bool:
        """Return whether a counter that counts may be in a term; references are not looked into."""
        return self._counts[term]

    def byte_set(self, mask: int) -> int:
        """Return the one-byte texts whose byte `b` has bit `b` set in `mask`."""
        if mask & (mask - 1) == 0:
            return self.literal(bytes([mask.bit_length() - 1])) if mask else self.EMPTY
        return self._intern((Kind.BYTES, mask), nullable=False)

    def literal(self, text: bytes) -> int:
        """Return the language of exactly `text`."""
        if not text:
            return self.EPSILON
        return self._intern((Kind.LITERAL, text), nullable=False)

    def concat(self, *parts: int) -> int:
        """Return the texts made of one text of each part, in order."""
        tail = self.EPSILON
        for part in parts[::-1]:
            tail = self._concat2(part, tail)
        return tail

    def _concat2(self, head: int, tail: int) -> int:
        if tail == self.EPSILON:
            return head
        if self.nodes[head][0] != Kind.CONCAT:
            return self._prepend(head, tail)
        spine: list[int] = []
        while self.nodes[head][0] == Kind.CONCAT:
            spine.append(self.nodes[head][1])
            head = self.nodes[head][2]
        result = self._prepend(head, tail)
        for head in reversed(spine):
            result = self._prepend(head, result)
        return result

    def _prepend(self, head: int, tail: int) -> int:
        if head == self.EMPTY or tail == self.EMPTY:
            return self.EMPTY
        if head == self.EPSILON:
            return tail
        if tail == self.EPSILON:
            return head
        kind = self.nodes[head][0]
        if kind == Kind.LITERAL or kind == Kind.REPEAT:
            joined = self._joined(head, tail)
            if joined is not None:
                return joined
        return self._intern(
            (Kind.CONCAT, head, tail),
            nullable=self._nullable[head] and self._nullable[tail],
            certain=self._certain[head] and self._certain[tail],
            captures=self._captures[head],
            counts=self._counts[head] or self._counts[tail],
        )

    def _joined(self, head: int, tail: int) -> int | None:
        """Return `head` and the first part of `tail` as one node, where that is possible."""
        first, rest = tail, self.EPSILON
        if self.nodes[tail][0] == Kind.CONCAT:
            _, first, rest = self.nodes[tail]
        left, right = self.nodes[head], self.nodes[first]
        if left[0] is not right[0]:
            return None
        if left[0] == Kind.LITERAL:
            return self._prepend(self.literal(left[1] + right[1]), rest)
        if left[0] == Kind.REPEAT and left[1] == right[1]:
            high = None if left[3] is None or right[3] is None else left[3] + right[3]
            return self._prepend(self.repeat(left[1], left[2] + right[2], high), rest)
        return None

    def repeat(self, inner: int, low: int, high: int | None) -> int:
        """Return `low` to `high` texts of `inner` in a row (None: any number); not expanded."""
        if inner == self.EPSILON or high == 0:
            return self.EPSILON
        if inner == self.EMPTY:
            return self.EMPTY if low else self.EPSILON
        if self._nullable[inner]:
            low = 0
        if low == 1 and high == 1:
            return inner
        if low >= MARKED or (high is not None and high >= MARKED):
            down = max(LOW_MARK - low if low else 0, HIGH_MARK - high if high else 0)
            self.marked[inner] = max(down, self.marked.get(inner, 0))
        node = self.nodes[inner]
        if node[0] == Kind.REPEAT and node[2] <= 1 and node[3] is None:
            return self.repeat(node[1], low * node[2], None)
        return self._intern(
            (Kind.REPEAT, inner, low, high),
            nullable=low == 0,
            certain=self._certain[inner] or low == 0,
            counts=(low > 1 or high is not None) and inner not in self.uncounted,
        )

    def union(self, parts: Iterable[int]) -> int:
        """Return the texts of any of the parts."""
        members, mask = self._flat_members(parts, Kind.UNION)
        members.discard(self.EMPTY)
        if mask:
            members.add(self.byte_set(mask))
        if self.ALL in members:
            return self.ALL
        counts = len(members) > 1 and any(map(self._counts.__getitem__, members))
        if counts:
            members = self._join_counters(members)
        if self.EPSILON in members and any(self._nullable[m] for m in members if m > 1):
            members.discard(self.EPSILON)
        if len(members) < 2:
            return members.pop() if members else self.EMPTY
        return self._intern(
            (Kind.UNION, tuple(sorted(members))),
            nullable=any(map(self._nullable.__getitem__, members)),
            certain=any(map(self._certain.__getitem__, members)),
            captures=max(map(self._captures.__getitem__, members)),
            counts=counts and any(map(self._counts.__getitem__, members)),
        )

    def _flat_members(self, parts: Iterable[int], kind: int) -> tuple[set[int], int]:
        """Return the parts with nested nodes of `kind` opened; one-byte sets come as one mask."""
        members: set[int] = set()
        mask = 0
        for part in parts:
            node = self.nodes[part]
            for member in node[1] if node[0] is kind else (part,):
                node = self.nodes[member]
                if kind == Kind.UNION and node[0] == Kind.BYTES:
                    mask |= node[1]
                elif kind == Kind.UNION and node[0] == Kind.LITERAL and len(node[1]) == 1:
                    mask |= 1 << node[1][0]
                else:
                    members.add(member)
        return members, mask

    def _counter_of(self, term: int) -> tuple[tuple[int, int, int], int, int | None] | None:
        """Split `prefix . inner{low,high} . rest` into ((prefix, inner, rest), low, high)."""
        prefix, counter, rest = self.EPSILON, term, self.EPSILON
        node = self.nodes[term]
        if node[0] == Kind.CONCAT:
            _, counter, rest = node
            if self.nodes[counter][0] != Kind.REPEAT:
                prefix, counter, rest = counter, rest, self.EPSILON
                if self.nodes[counter][0] == Kind.CONCAT:
                    _, counter, rest = self.nodes[counter]
        node = self.nodes[counter]
        if node[0] != Kind.REPEAT:
            return None
        return (prefix, node[1], rest), node[2], node[3]

    def _join_counters(self, members: set[int]) -> set[int]:
        """Join members that differ in one counter only and whose ranges touch.

        Without this a pattern like `(a+b?){1,50}` would keep fifty copies of itself in a state.
        """
        groups: dict[tuple[int, int, int], list[tuple[int, int | None]]] = {}
        rest: set[int] = set()
        for member in members:
            literal = self.nodes[member][0] == Kind.LITERAL  # of which there may be very many
            split = None if literal else self._counter_of(member)
            if split is None:
                rest.add(member)
            else:
                groups.setdefault(split[0], []).append((split[1], split[2]))
        for (prefix, inner, tail), ranges in groups.items():
            for low, high in joined_ranges(ranges):
                rest.add(self.concat(prefix, self.repeat(inner, low, high), tail))
        return rest

    def intersect(self, parts: Iterable[int]) -> int:
        """Return the texts that are in every part; emptiness is not decided here."""
        members, _ = self._flat_members(parts, Kind.INTERSECT)
        members.discard(self.ALL)
        if self.EMPTY in members:
            return self.EMPTY
        if self.EPSILON in members:
            return self.EPSILON if all(self._nullable[m] for m in members) else self.EMPTY
        if any(self.complement(m) in members for m in members if self._is_complement(m)):
            return self.EMPTY
        if len(members) < 2:
            return members.pop() if members else self.ALL
        return self._intern(
            (Kind.INTERSECT, tuple(sorted(members))),
            nullable=all(self._nullable[m] for m in members),
            certain=False,
            counts=any(self._counts[m] for m in members),
        )

    def _is_complement(self, term: int) -> bool:
        return bool(self.nodes[term][0] == Kind.COMPLEMENT)

    def complement(self, inner: int) -> int:
        """Return every byte string that is not in `inner`."""
        if inner == self.EMPTY:
            return self.ALL
        if inner == self.ALL:
            return self.EMPTY
        if self._is_complement(inner):
            return int(self.nodes[inner][1])
        return self._intern(
            (Kind.COMPLEMENT, inner), nullable=not self._nullable[inner], certain=False
        )

    def lexeme(self, inner: int, *, counted: bool = True) -> int:
        """Return `inner` as one atomic token of the text, kept apart from what follows it.

        `counted=False` promises that states with its counters need not be folded to few.
        """
        if inner in (self.EMPTY, self.EPSILON):
            return inner
        return self._intern(
            (Kind.LEXEME, inner),
            nullable=self._nullable[inner],
            certain=self._certain[inner],
            counts=counted and self._counts[inner],
        )

    def reference(
        self, owner: Owner, key: Hashable, *, nullable: bool, certain: bool = False
    ) -> int:
        """Return a name that is expanded on first use; `certain` promises that it is not empty."""
        return self._intern((Kind.REFERENCE, owner, key), nullable=nullable, certain=certain)

    def capture(self, head: int, owner: CaptureOwner, key: Hashable, text: bytes = b"") -> int:
        """Return `head` with its text remembered: what follows is `owner.finish(key, text)`.

        `head` is a lexeme that no text of itself continues (a string with its closing quote), and
        `finish` leaves something possible for infinitely many texts, so a capture is never empty.
        Captures inside each other are stepped together: past 100 of them, no text is left.
        """
        self.has_captures = True
        captures = self._captures[head] + 1
        if captures > MOST_CAPTURES:
            return self.EMPTY
        return self._intern(
            (Kind.CAPTURE, head, owner, key, text), nullable=False, captures=captures
        )
