"""States taken apart: unions, and the heads of concatenations, until lexemes and texts show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .parts import Alternatives, Branch, Texts
from .terms.arena import Kind
from .terms.owners import Entries, EntriesKey
from .terms.terms import Terms

_APART = (Kind.LEXEME, Kind.REFERENCE, Kind.CAPTURE)
_ROWS = (Kind.BYTES, Kind.REPEAT, Kind.INTERSECT, Kind.COMPLEMENT)


class Splits:
    """Takes the terms of one arena apart; `number` gives the state of a term.

    `numbers` gives the first of the states behind the texts of entries with a tail.
    """

    def __init__(
        self,
        terms: Terms,
        number: Callable[[int], int],
        numbers: Callable[[Entries, int], int],
    ) -> None:
        self.terms = terms
        self._number = number
        self._numbers = numbers
        self._bytes_first: dict[int, bool] = {}
        self._texts: dict[tuple[int, int], tuple[bytes, int]] = {}

    def of(self, term: int) -> Alternatives:
        """Take a term apart."""
        terms, nodes = self.terms, self.terms.nodes
        node = nodes[term]
        if node[0] == Kind.CONCAT:
            found = self._of_row(term, node[1], node[2])
            if found is not None:
                return found
        branches: list[Branch] = []
        texts: list[tuple[bytes, int]] = []
        known: list[tuple[bytes, int]] = []
        plain: list[int] = []
        open_parts = [(term, terms.EPSILON)]
        while open_parts:
            part, tail = open_parts.pop()
            node = nodes[part]
            kind = node[0]
            if kind == Kind.LITERAL:
                texts.append(self._text(node[1], tail))
            elif kind == Kind.UNION:
                for member in node[1]:
                    text = self._texts.get((member, tail))
                    if text is None:
                        open_parts.append((member, tail))
                    else:
                        known.append(text)
            elif kind == Kind.CONCAT:
                _, head, rest = node
                after = rest if tail == terms.EPSILON else terms.concat(rest, tail)
                if nodes[head][0] != Kind.LITERAL:
                    open_parts.append((head, after))
                elif len(nodes[head][1]) > 1 and terms.certain(after):
                    known.append(self._known_text(part, tail, nodes[head][1], after))
                else:
                    texts.append(self._text(nodes[head][1], after))
            elif kind == Kind.REFERENCE:
                if isinstance(node[2], EntriesKey):
                    entries, passed = node[1].entries(node[2])
                    first = self._numbers(entries, tail)
                    known += [(text, first + entry) for text, entry in entries.texts(passed)]
                    open_parts.append((entries.other(passed), tail))
                else:
                    open_parts.append((node[1].expand(node[2]), tail))
            elif kind == Kind.REPEAT and self._begins_apart(node[1]):
                open_parts += self._unrolled(node, tail)
            elif part == terms.EPSILON and tail != terms.EPSILON:
                open_parts.append((tail, part))
            elif kind == Kind.LEXEME and tail != terms.EPSILON:
                branches.append(Branch(self._number(part), self._number(tail)))
            elif kind == Kind.CAPTURE:
                branches.append(Branch(self._number(node[1]), None, (part, tail)))
            else:
                plain.append(terms.concat(part, tail))
        return self._told(branches, texts, plain, term, known)

    def _known_text(self, part: int, tail: int, text: bytes, after: int) -> tuple[bytes, int]:
        """Return a text and the state behind it; remembered, as names are met in many states."""
        text, after = self._text(text, after)
        found = self._texts[part, tail] = text, self._number(after)
        return found

    def _of_row(self, term: int, head: int, tail: int) -> Alternatives | None:
        """Take apart a lexeme, a text or a character with what follows it; None for other rows."""
        node = self.terms.nodes[head]
        kind = node[0]
        if kind == Kind.LEXEME:
            return Alternatives((Branch(self._number(head), self._number(tail)),), None, None)
        if self._is_row(node) or (
            kind == Kind.UNION and self._begins_with_bytes(head) and self._is_plain(tail)
        ):
            return Alternatives((), None, self._number(term))
        if kind != Kind.LITERAL or not self.terms.certain(tail):
            return None
        text, tail = self._text(node[1], tail)
        if len(text) == 1 and self._is_plain(tail):
            return None
        return Alternatives((), Texts((text,), (self._number(tail),)), None)

    def begins_with_row(self, term: int) -> bool:
        """Return whether there is nothing to take apart: a row tells what the term begins with."""
        node = self.terms.nodes[term]
        return self._is_row(self.terms.nodes[node[1]] if node[0] == Kind.CONCAT else node)

    def _is_row(self, node: tuple[Any, ...]) -> bool:
        kind = node[0]
        return kind in _ROWS and not (kind == Kind.REPEAT and self._begins_apart(node[1]))

    def _begins_apart(self, inner: int) -> bool:
        """Return whether what is repeated may begin with a lexeme, as items with their comma do."""
        nodes = self.terms.nodes
        head = nodes[inner][1] if nodes[inner][0] == Kind.CONCAT else inner
        parts = nodes[head][1] if nodes[head][0] == Kind.UNION else (head,)
        return any(nodes[part][0] == Kind.LEXEME for part in parts)

    def _unrolled(self, node: tuple[Any, ...], tail: int) -> list[tuple[int, int]]:
        """Return one more of what is repeated, with what follows it, or what follows them all."""
        terms = self.terms
        _, inner, low, high = node
        again = terms.repeat(inner, max(low - 1, 0), None if high is None else high - 1)
        parts = [(inner, terms.concat(again, tail))]
        return parts if low else [*parts, (terms.EPSILON, tail)]

    def _begins_with_bytes(self, union: int) -> bool:
        """Return whether each part of a union begins with a byte that is best read by a row."""
        found = self._bytes_first.get(union)
        if found is None:
            parts = self.terms.nodes[union][1]
            found = self._bytes_first[union] = all(map(self._is_byte_first, parts))
        return found

    def _is_byte_first(self, part: int) -> bool:
        node, rest = self.terms.nodes[part], self.terms.EPSILON
        if node[0] == Kind.CONCAT:
            node, rest = self.terms.nodes[node[1]], node[2]
        if node[0] == Kind.LITERAL:
            return len(node[1]) == 1 and self._text(b"", rest)[0] == b"" and self._is_plain(rest)
        return bool(node[0] == Kind.BYTES)

    def _text(self, text: bytes, tail: int) -> tuple[bytes, int]:
        """Return a text and what follows it, the text as long as it is known."""
        node = self.terms.nodes[tail]
        if node[0] == Kind.LITERAL:
            return text + node[1], self.terms.EPSILON
        if node[0] == Kind.CONCAT and self.terms.nodes[node[1]][0] == Kind.LITERAL:
            return text + self.terms.nodes[node[1]][1], node[2]
        return text, tail

    def _told(
        self,
        branches: list[Branch],
        texts: list[tuple[bytes, int]],
        plain: list[int],
        term: int,
        known: list[tuple[bytes, int]],
    ) -> Alternatives:
        """Return alternatives; single bytes before nothing that is shared are left to the row.

        `texts` come with the terms behind them, the `known` ones with states.
        """
        terms = self.terms
        if (
            not branches
            and not known
            and all(len(t) == 1 and self._is_plain(tail) for t, tail in texts)
        ):
            rest = term
            if len(plain) == 1 and not texts:
                rest = plain[0]
            return Alternatives((), None, self._number(rest))
        certain, is_empty, number = terms.certain, terms.is_empty, self._number
        known += [(t, number(tail)) for t, tail in texts if certain(tail) or not is_empty(tail)]
        found = None
        if known:
            known.sort()
            found = Texts(*zip(*known, strict=True))
        left = None
        if plain:
            rest = terms.union(plain)
            left = None if rest == terms.EMPTY else number(rest)
        return Alternatives(tuple(branches), found, left)

    def _is_plain(self, tail: int) -> bool:
        """Return whether what follows a byte does not begin with a part that others share."""
        node = self.terms.nodes[tail]
        head = self.terms.nodes[node[1]] if node[0] == Kind.CONCAT else node
        return head[0] not in _APART

    def of_lexeme(self, term: int) -> Alternatives:
        """Take a lexeme apart: into texts that it begins with, and the rest."""
        terms, nodes = self.terms, self.terms.nodes
        inner, after = nodes[term][1], terms.EPSILON
        if nodes[inner][0] == Kind.CONCAT and nodes[nodes[inner][1]][0] == Kind.UNION:
            _, inner, after = nodes[inner]
        texts, plain = [], []
        behind, left = self._text(b"", after)
        left = terms.lexeme(left)  # of the fixed texts, which may be very many
        for part in nodes[inner][1] if nodes[inner][0] == Kind.UNION else (inner,):
            if nodes[part][0] == Kind.LITERAL:
                texts.append((nodes[part][1] + behind, left))
                continue
            head, tail = part, after
            if nodes[part][0] == Kind.CONCAT:
                _, head, tail = nodes[part]
                tail = terms.concat(tail, after)
            if nodes[head][0] == Kind.LITERAL:
                text, tail = self._text(nodes[head][1], tail)
                texts.append((text, terms.lexeme(tail)))
            else:
                plain.append(terms.concat(head, tail))
        if not texts:
            return Alternatives((), None, self._number(term))
        return self._told([], texts, [terms.lexeme(terms.union(plain))] if plain else [], term, [])
