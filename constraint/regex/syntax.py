"""The parser: a pattern of either dialect to a syntax tree.

It reads from left to right once, with the open groups on a list instead of the call stack, so
neither long nor deeply nested patterns can exhaust it. Flags live in the group in which they hold.
Greedy and lazy repetition match the same texts; a possessive one is its greedy form with a look at
the next character where it repeats single characters, and refused elsewhere.
"""

from __future__ import annotations

from typing import Final, NoReturn

from ...schemas.errors import GrammarTooLargeError, InvalidGrammarError, UnsupportedGrammarError
from .ast import Chars, Concat, Node, Syntax
from .atoms import AtomReader, Group, Kind, Last
from .char_sets import complement
from .escapes import DIGITS, Mode

MAX_DEPTH: Final = 200
MAX_REPEAT: Final = 10**9
SPACE: Final = " \t\n\r\v\f"

_PYTHON_FLAGS: Final = "aiLmsux"
_OPENINGS: Final[dict[str, Kind]] = {
    ":": "group",
    "=": "ahead",
    "!": "not ahead",
    "<=": "behind",
    "<!": "not behind",
}
_BOUNDS: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def parse_regex(syntax: Syntax, pattern: str, *, python: bool) -> Node:
    """Return the tree of a pattern in Python's dialect or ECMA-262.

    An ECMA pattern is read as under flag u, and as Annex B reads it if it is no pattern under u.
    Raises InvalidGrammarError, UnsupportedGrammarError (backreferences, conditions, atomic groups,
    unknown properties, lookaheads inside lookbehinds) and GrammarTooLargeError (depth,
    repetitions).
    """
    if python:
        return Parser(syntax, pattern, "python").parse()
    try:
        return Parser(syntax, pattern, "unicode").parse()
    except InvalidGrammarError as error:
        try:
            return Parser(syntax, pattern, "legacy").parse()
        except InvalidGrammarError:
            raise error from None


class Parser(AtomReader):
    """Reads one pattern in one mode; `parse` is called once."""

    def __init__(self, syntax: Syntax, pattern: str, mode: Mode) -> None:
        """Prepare to read the pattern in one mode."""
        super().__init__(syntax, pattern, mode)
        self.names: set[str] = set()
        self._handlers = {
            "(": self._open,
            ")": self._close,
            "|": self._branch,
            "[": self._bracket,
            "\\": self._escape,
            ".": self._dot,
            "^": self._caret,
            "$": self._dollar,
            "*": self._quantify,
            "+": self._quantify,
            "?": self._quantify,
            "{": self._quantify,
        }

    def parse(self) -> Node:
        """Read the whole pattern."""
        source = self.source
        while char := source.peek():
            if "x" in self.group.flags and char in SPACE + "#":
                self._skip_blank(char)
            else:
                self._handlers.get(char, self._literal)()
        if len(self.groups) > 1:
            source.fail("this group is not closed, add ')'", self.group.offset)
        return self._choice(self.group)

    def _skip_blank(self, char: str) -> None:
        source = self.source
        end = source.pattern.find("\n", source.at) if char == "#" else source.at
        source.at = end + 1 if end >= 0 else len(source.pattern)

    def _choice(self, group: Group) -> Node:
        return self.syntax.union([*group.branches, self.syntax.concat(group.items)])

    def _branch(self) -> None:
        self.source.next()
        group = self.group
        group.branches.append(self.syntax.concat(group.items))
        group.items, group.last = [], "nothing"

    # Quantifiers

    def _quantify(self) -> None:
        start = self.source.at
        bounds = self._bounds()
        if bounds is None:
            self._literal()
            return
        self._check_quantifiable(start)
        low, high = bounds
        possessive = not self.source.take("?") and self.python and self.source.take("+")
        inner = self.group.items.pop()
        if possessive:
            self._add(self._possessive(inner, low, high, start), "repetition")
        else:
            self._add(self.syntax.repeat(inner, low, high), "repetition")

    def _check_quantifiable(self, start: int) -> None:
        last = self.group.last
        if last in ("nothing", "assertion"):
            self.source.fail("there is nothing to repeat before this quantifier", start)
        if last == "repetition":
            self.source.fail("a quantifier cannot follow a quantifier, add a group", start)

    def _bounds(self) -> tuple[int, int | None] | None:
        """Read a quantifier; None, with nothing read, is a brace that is a literal."""
        source = self.source
        start = source.at
        simple = _BOUNDS.get(source.next())
        if simple is not None:
            return simple
        low = source.run(DIGITS, len(source.pattern))
        comma = source.take(",")
        high = source.run(DIGITS, len(source.pattern)) if comma else low
        if not source.take("}") or not (low or (self.python and comma)):
            source.at = start
            return None
        bounds = self._count(low or "0", start), self._count(high, start) if high else None
        if bounds[1] is not None and bounds[1] < bounds[0]:
            source.fail("the bounds run backwards, swap them", start)
        return bounds

    def _count(self, digits: str, start: int) -> int:
        count = int(digits.lstrip("0")[:18] or "0")
        if count > MAX_REPEAT:
            raise GrammarTooLargeError("repetitions", MAX_REPEAT, count, offset=start)
        return count

    def _possessive(self, inner: Node, low: int, high: int | None, start: int) -> Node:
        syntax = self.syntax
        if low == high and _is_rigid(inner):
            return syntax.repeat(inner, low, high)
        if not isinstance(inner, Chars):
            self._refuse("possessive quantifier", start)
        stop = syntax.after(complement(inner.ranges), at_end=True)
        if high is None:
            return syntax.concat((syntax.repeat(inner, low, None), stop))
        short = syntax.concat((syntax.repeat(inner, low, high - 1), stop))
        return syntax.union((short, syntax.repeat(inner, high, high)))

    # Groups

    def _open(self) -> None:
        source = self.source
        start = source.at
        source.next()
        if not source.take("?"):
            self._push("group", start)
        elif source.peek(2) in ("<=", "<!"):
            self._push(_OPENINGS[source.next() + source.next()], start)
        elif source.peek() in _OPENINGS:
            self._push(_OPENINGS[source.next()], start)
        elif source.take("<") or (self.python and source.take("P<")):
            self._name(start)
            self._push("group", start)
        elif not (self.python and self._open_python(start)):
            self._flags(start)

    def _push(self, kind: Kind, start: int, flags: frozenset[str] | None = None) -> None:
        if len(self.groups) > MAX_DEPTH:
            raise GrammarTooLargeError("nested groups", MAX_DEPTH, len(self.groups), offset=start)
        self.groups.append(Group(kind, start, self.group.flags if flags is None else flags))

    def _name(self, start: int) -> None:
        name = self.source.until(">", "the name of this group")
        plain = name if self.python else name.replace("$", "_")
        if not plain.isidentifier():
            self.source.fail(f"{name!r} cannot name a group, use letters and digits", start)
        if self.python and name in self.names:
            self.source.fail(f"two groups are named {name!r}, rename one", start)
        self.names.add(name)

    def _open_python(self, start: int) -> bool:
        """Read an opening that only Python has; False, with nothing read, if there is none."""
        source = self.source
        if source.take("#"):
            source.until(")", "this comment")
        elif source.take(">"):
            self._push("atomic", start)
        elif source.peek(2) == "P=":
            self._refuse("backreference", start)
        elif source.peek() == "(":
            self._refuse("conditional group", start)
        else:
            return False
        return True

    def _refuse(self, feature: str, start: int) -> NoReturn:
        reason = "this is not a regular language; spell the alternatives out"
        if feature in ("possessive quantifier", "atomic group"):
            reason = "it is enforced over single characters only; drop what makes it so"
        raise UnsupportedGrammarError(feature, reason, offset=start)

    def _flags(self, start: int) -> None:
        source = self.source
        known = _PYTHON_FLAGS if self.python else "ims"
        on = source.run(known, 16)
        off = source.run(known, 16) if (minus := source.take("-")) else ""
        end = source.next()
        if end == ")" and self.python and on and not minus:
            self._check_at_start(start)
            self.group.flags = self._changed(on, off, start)
        elif end == ":" and (on or off):
            self._push("group", start, self._changed(on, off, start))
        else:
            source.fail("this group starts with an unknown extension after '(?'", start)

    def _check_at_start(self, start: int) -> None:
        group = self.group
        if len(self.groups) > 1 or group.items or group.branches:
            self.source.fail("flags for the whole pattern must come first; use (?flags:...)", start)

    def _changed(self, on: str, off: str, start: int) -> frozenset[str]:
        both = set(on) & set(off)
        repeated = not self.python and len(set(on + off)) < len(on + off)
        if both or repeated or "L" in on + off or {"a", "u"} <= set(on) or {"a", "u"} & set(off):
            self.source.fail("these flags contradict each other or are not for text", start)
        kept = self.group.flags - set(off) - (set("au") if set(on) & set("au") else set())
        return kept | set(on)

    def _close(self) -> None:
        self.source.next()
        if len(self.groups) == 1:
            self.source.fail("this ')' closes no group, escape it", self.source.at - 1)
        group = self.groups.pop()
        self._add(self._closed(group, self._choice(group)), self._last(group))

    def _last(self, group: Group) -> Last:
        """Return what a quantifier after the group would apply to."""
        if self.python or group.kind == "group":
            return "atom"
        legacy = self.mode == "legacy" and group.kind in ("ahead", "not ahead")
        return "atom" if legacy else "assertion"

    def _closed(self, group: Group, inner: Node) -> Node:
        if group.kind in ("ahead", "not ahead"):
            return self.syntax.ahead(inner, negated=group.kind == "not ahead")
        if group.kind in ("behind", "not behind"):
            if self.syntax.looks_ahead(inner):
                raise UnsupportedGrammarError(
                    "lookahead inside a lookbehind",
                    "what it sees can lie behind the end of the lookbehind; move it out",
                    offset=group.offset,
                )
            return self.syntax.behind(inner, negated=group.kind == "not behind")
        if group.kind == "atomic" and not _is_rigid(inner):
            self._refuse("atomic group", group.offset)
        return inner


def _is_rigid(node: Node) -> bool:
    """Return whether there is only one way to match: characters in a row."""
    parts = node.parts if isinstance(node, Concat) else (node,)
    return all(isinstance(part, Chars) for part in parts)
