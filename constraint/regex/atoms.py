"""The parser's smallest pieces: characters, classes in brackets, dots, anchors and word boundaries.

What they mean depends on the dialect and on the flags of the innermost open group; it is settled
here and spelled with the nodes of `regex_ast`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from .ast import Node, Syntax
from .char_classes import ECMA_LINE_ENDS, NEWLINE, Fold, fold_case
from .char_sets import ANY_CHAR, NO_CHAR, CharSet, complement, union
from .escapes import Escapes, Mode, Source

Kind = Literal["group", "ahead", "not ahead", "behind", "not behind", "atomic"]
Last = Literal["nothing", "assertion", "repetition", "atom"]  # what a quantifier would apply to
# Until Python 3.14 an empty text had no place inside, so B did not match there.
EMPTY_HAS_NO_INSIDE: Final = re.search(r"\B", "") is None


@dataclass
class Group:
    """An open group: the branches that are done and the items of the branch being read."""

    kind: Kind
    offset: int
    flags: frozenset[str]
    branches: list[Node] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    last: Last = "nothing"


class AtomReader:
    """Reads atoms of one pattern into the innermost open group."""

    def __init__(self, syntax: Syntax, pattern: str, mode: Mode) -> None:
        """Start with the whole pattern as the one open group."""
        self.syntax = syntax
        self.source = Source(pattern, mode)
        self.escapes = Escapes(self.source)
        self.mode = mode
        self.groups = [Group("group", 0, frozenset())]

    @property
    def group(self) -> Group:
        """The innermost open group."""
        return self.groups[-1]

    @property
    def python(self) -> bool:
        """Whether the dialect is Python's."""
        return self.mode == "python"

    def _add(self, node: Node, last: Last = "atom") -> None:
        self.group.items.append(node)
        self.group.last = last

    @property
    def _fold(self) -> Fold:
        if self.python:
            return "ascii" if "a" in self.group.flags else "python"
        return "ecma" if self.mode == "unicode" else "legacy"

    def _folded(self, ranges: CharSet) -> CharSet:
        return fold_case(ranges, self._fold) if "i" in self.group.flags else ranges

    def _literal(self) -> None:
        char = self.source.next()
        if self.mode == "unicode" and char in "]}{":
            self.source.fail(f"a lone {char!r} must be escaped", self.source.at - 1)
        self._add_char(ord(char))

    def _add_char(self, code: int) -> None:
        self._add(self.syntax.chars(self._folded(((code, code),))))

    def _dot(self) -> None:
        self.source.next()
        line_ends = NEWLINE if self.python else ECMA_LINE_ENDS
        self._add(self.syntax.chars(ANY_CHAR if "s" in self.group.flags else complement(line_ends)))

    def _escape(self) -> None:
        self.source.next()
        meaning = self._read_escape(in_class=False)
        if isinstance(meaning, str):
            self._add(self._named_assertion(meaning), "assertion")
        elif isinstance(meaning, int):
            self._add_char(meaning)
        else:
            self._add(self.syntax.chars(meaning if self.python else self._folded(meaning)))

    def _read_escape(self, *, in_class: bool) -> int | CharSet | str:
        flags = self.group.flags
        return self.escapes.read(in_class=in_class, ascii_only="a" in flags, fold="i" in flags)

    def _bracket(self) -> None:
        source = self.source
        start = source.at
        source.next()
        negated = source.take("^")
        cased, classes = self._members(start)
        found = union(self._folded(cased), classes if self.python else self._folded(classes))
        self._add(self.syntax.chars(complement(found) if negated else found))

    def _members(self, start: int) -> tuple[CharSet, CharSet]:
        """Return the characters and ranges of a class, and the union of its named classes."""
        source = self.source
        cased: list[tuple[int, int]] = []
        classes: list[CharSet] = []
        first = self.python  # in Python a bracket that comes first is a member
        while first or not source.take("]"):
            first = False
            low = self._member(start)
            if source.peek() == "-" and source.peek(2) not in ("-]", "-"):
                cased.extend(self._range(low, start))
            elif isinstance(low, int):
                cased.append((low, low))
            else:
                classes.append(low)
        return union(tuple(cased)), union(*classes)

    def _range(self, low: int | CharSet, start: int) -> CharSet:
        at = self.source.at
        self.source.next()
        high = self._member(start)
        if isinstance(low, int) and isinstance(high, int):
            if high < low:
                self.source.fail("this range runs backwards, swap its ends", at)
            return ((low, high),)
        if self.mode != "legacy":
            self.source.fail("a range cannot start or end with a class, escape the '-'", at)
        ends = (((end, end),) if isinstance(end, int) else end for end in (low, high))
        return union(*ends, ((0x2D, 0x2D),))  # its three members

    def _member(self, start: int) -> int | CharSet:
        char = self.source.next()
        if not char:
            self.source.fail("this class is not closed, add ']'", start)
        meaning = self._read_escape(in_class=True) if char == "\\" else ord(char)
        if isinstance(meaning, str):
            self.source.fail("an assertion cannot be a member of a class", self.source.at - 2)
        return meaning

    def _caret(self) -> None:
        self.source.next()
        self._add(self._line_start() if "m" in self.group.flags else self._start(), "assertion")

    def _dollar(self) -> None:
        self.source.next()
        if "m" in self.group.flags:
            line_ends = NEWLINE if self.python else ECMA_LINE_ENDS
            self._add(self.syntax.after(line_ends, at_end=True), "assertion")
        else:
            self._add(self._python_end() if self.python else self._end(), "assertion")

    def _named_assertion(self, letter: str) -> Node:
        if letter in "bB":
            return self._boundary(negated=letter == "B")
        return self._start() if letter == "A" else self._end()

    def _start(self) -> Node:
        return self.syntax.behind(self.syntax.chars(ANY_CHAR), negated=True)

    def _line_start(self) -> Node:
        others = complement(NEWLINE if self.python else ECMA_LINE_ENDS)
        return self.syntax.behind(self.syntax.chars(others), negated=True)

    def _end(self) -> Node:
        return self.syntax.after(NO_CHAR, at_end=True)

    def _python_end(self) -> Node:
        newline = self.syntax.repeat(self.syntax.chars(NEWLINE), 0, 1)
        return self.syntax.ahead(self.syntax.concat((newline, self._end())))

    def _boundary(self, *, negated: bool) -> Node:
        syntax = self.syntax
        flags = self.group.flags
        word = self.escapes.named_class("w", ascii_only="a" in flags, fold="i" in flags)
        behind = syntax.behind(syntax.chars(word))
        not_behind = syntax.behind(syntax.chars(word), negated=True)
        ahead = syntax.after(word, at_end=False)
        not_ahead = syntax.after(complement(word), at_end=True)
        if negated:
            ahead, not_ahead = not_ahead, ahead
            if self.python and EMPTY_HAS_NO_INSIDE:
                not_behind = syntax.concat((not_behind, self._not_empty()))
        return syntax.union(
            (syntax.concat((behind, not_ahead)), syntax.concat((not_behind, ahead)))
        )

    def _not_empty(self) -> Node:
        """Return "the text is not empty", which some versions of Python add to B."""
        any_char = self.syntax.chars(ANY_CHAR)
        return self.syntax.union(
            (self.syntax.behind(any_char), self.syntax.after(ANY_CHAR, at_end=False))
        )
