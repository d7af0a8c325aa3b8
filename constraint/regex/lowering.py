r"""From the syntax tree of a regex to a term.

Without assertions this is a fold from the leaves. With them a node is compiled against what follows
it: a continuation `k`, which for every left context is a term, yields for every left context the
term of the node and then `k`. A lookahead is then an intersection with `k`, a lookbehind a choice
by context, and one character moves between contexts. A piece without assertions whose continuation
is the same in all contexts is joined to it as a plain term, so `^(?!x).*$` stays as small as it
looks.

A loop around assertions, or before a continuation that depends on the context, becomes references
that are expanded as the text reaches them. A round that matches nothing is never taken twice in one
place, so each node has three readings: all of it (`full`), the part that consumes (`eats`), the
part that does not (`skips`). Source of lookarounds as intersection and complement: Varatalu,
Veanes, Ernits, RE#, POPL 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from ...schemas.errors import GrammarTooLargeError
from ..terms.shortest import steps_to_end
from ..terms.terms import Terms
from ..terms.trampoline import Call, run
from .ast import (
    After,
    Ahead,
    Behind,
    Chars,
    Concat,
    Node,
    Repeat,
    Syntax,
    Union,
    children,
    postorder,
)
from .char_sets import ANY_CHAR, CharSet, intersect, union
from .context import Contexts

MAX_STEPS: Final = 50_000  # for one compile or one expansion of a reference
Tail = tuple[int, ...]  # a term for every context
Reading = Callable[[Node, Tail], Call[Tail]]


class Alphabet(Protocol):
    """How characters are spelled in bytes; no spelling is a prefix of another.

    Alphabets with the same `spelling` spell every character alike.
    """

    @property
    def spelling(self) -> str:
        """The name of the way of spelling."""
        ...

    @property
    def any_char(self) -> int:
        """The term of any one character."""
        ...

    def char(self, ranges: CharSet) -> int:
        """Return the term of one character out of the set."""
        ...


class Round(NamedTuple):
    """A place in a loop, between two rounds; the key of a reference."""

    loop: int
    done: int
    free: bool  # the lower bound is satisfied
    context: int


class Lowering:
    """Compiles the nodes of one regex into one arena; owns the references of its loops."""

    def __init__(self, terms: Terms, alphabet: Alphabet, syntax: Syntax, root: Node) -> None:
        """Find the left contexts of `root`, the tree that will be compiled."""
        self.terms = terms
        self.alphabet = alphabet
        self.syntax = syntax
        self.contexts = Contexts(syntax, root)
        self._later = self.contexts.later
        self._plain: dict[Node, int] = {}
        self._classes: dict[Chars, tuple[int, ...]] = {}
        self._parts: dict[tuple[Chars, tuple[int, ...]], int] = {}
        self._loops: list[tuple[Repeat, Tail]] = []
        self._loop_numbers: dict[tuple[Repeat, Tail], int] = {}
        self._bodies: dict[tuple[int, int, bool], Tail] = {}
        self._steps = 0
        self._nothing = self._same(terms.EMPTY)

    def compile(self, root: Node, rest: int) -> int:
        """Return the term of `root` from the start of the text, then `rest`."""
        return self._run(self.full(root, self._same(rest)))[0]

    def _run(self, call: Call[Tail]) -> Tail:
        self._steps = 0
        return run(call)

    def expand(self, key: Round) -> int:
        """Return the term of a reference: leave the loop, or go one more round."""
        _, tail = self._loops[key.loop]
        body = self._run(self._next_round(key.loop, key.done, free=key.free))
        if not key.free:
            tail = self._run(self._leave_early(key.loop, key.done))
        return self.terms.union((tail[key.context], body[key.context]))

    def min_length(self, key: Round) -> int:
        """Return the length in bytes of a shortest text, breadth first over the rows."""
        return steps_to_end(self.terms, self.expand(key))

    def _count_step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise GrammarTooLargeError("steps to compile its assertions", MAX_STEPS, self._steps)

    def _same(self, term: int) -> Tail:
        return (term,) * len(self.contexts)

    def _either(self, left: Tail, right: Tail) -> Tail:
        return tuple(self.terms.union(pair) for pair in zip(left, right, strict=True))

    def plain(self, root: Node) -> int:
        """Return the term of a node without assertions."""
        if root not in self._plain:
            for node in postorder(root):
                if node not in self._plain:
                    self._plain[node] = self._fold(node)
        return self._plain[root]

    def _fold(self, node: Node) -> int:
        known = self._plain
        if isinstance(node, Chars):
            return self._char(node.ranges)
        if isinstance(node, Repeat):
            return self.terms.repeat(known[node.inner], node.low, node.high)
        parts = [known[part] for part in children(node)]
        return self.terms.union(parts) if isinstance(node, Union) else self.terms.concat(*parts)

    def _char(self, ranges: CharSet) -> int:
        return self.alphabet.any_char if ranges == ANY_CHAR else self.alphabet.char(ranges)

    def full(self, node: Node, tail: Tail) -> Call[Tail]:
        """Compile the node before `tail`."""
        self._count_step()
        if not self.syntax.asserts(node) and _constant(tail):
            return self._same(self.terms.concat(self.plain(node), tail[0]))
        if isinstance(node, Chars):
            return self._step(node, tail)
        if isinstance(node, Concat):
            for part in reversed(node.parts):
                tail = yield self.full(part, tail)
            return tail
        if isinstance(node, Union):
            return (yield from self._branches(node, self.full, tail))
        if isinstance(node, Repeat):
            return (yield from self._loop(node, tail))
        return (yield from self._assertion(node, tail))

    def _branches(self, node: Union, read: Reading, tail: Tail) -> Call[Tail]:
        """Compile all branches of a choice in one of the three readings."""
        found: list[Tail] = []
        for part in node.parts:
            branch = yield read(part, tail)
            found += (branch,)
        return tuple(self.terms.union(column) for column in zip(*found, strict=True))

    def _step(self, node: Chars, tail: Tail) -> Tail:
        """Compile one character, which moves every context on to another."""
        return tuple(self._step_from(row, node, tail) for row in self.contexts.steps)

    def _step_from(self, row: list[int], node: Chars, tail: Tail) -> int:
        to: dict[int, list[int]] = {}
        for index in self._classes_of(node):
            to.setdefault(tail[row[index]], []).append(index)
        return self.terms.union(
            self.terms.concat(self._part(node, tuple(classes)), rest)
            for rest, classes in to.items()
            if rest != self.terms.EMPTY
        )

    def _classes_of(self, node: Chars) -> tuple[int, ...]:
        """Return the classes that the characters of the node fall into."""
        found = self._classes.get(node)
        if found is None:
            pairs = enumerate(self.contexts.classes)
            found = tuple(index for index, ranges in pairs if intersect(node.ranges, ranges))
            self._classes[node] = found
        return found

    def _part(self, node: Chars, classes: tuple[int, ...]) -> int:
        """Return one character of the node out of the classes."""
        if classes == self._classes[node]:
            return self.plain(node)
        found = self._parts.get((node, classes))
        if found is None:
            members = union(*(self.contexts.classes[index] for index in classes))
            found = self._parts[node, classes] = self._char(intersect(node.ranges, members))
        return found

    def _assertion(self, node: Ahead | Behind | After, tail: Tail) -> Call[Tail]:
        terms = self.terms
        if isinstance(node, Ahead):
            conditions = yield self.full(node.inner, self._same(terms.ALL))
            if node.negated:
                conditions = tuple(terms.complement(term) for term in conditions)
        elif isinstance(node, After):
            conditions = self._same(self._next(node.ranges, at_end=node.at_end))
        else:
            conditions = tuple(self._behind(c, node) for c in range(len(self.contexts)))
        return tuple(terms.intersect(pair) for pair in zip(conditions, tail, strict=True))

    def _behind(self, context: int, node: Behind) -> int:
        allowed = self.contexts.holds(context, node)
        if allowed == self.contexts.always:
            return self.terms.ALL
        ranges = self.contexts.next_chars(allowed)
        return self._next(ranges, at_end=bool(allowed & self.contexts.end))

    def _next(self, ranges: CharSet, *, at_end: bool) -> int:
        char = self.terms.concat(self._char(ranges) if ranges else self.terms.EMPTY, self.terms.ALL)
        return self.terms.union((char, self.terms.EPSILON)) if at_end else char

    def _loop(self, node: Repeat, tail: Tail) -> Call[Tail]:
        if node.low == 0 and node.high == 1:
            return self._either(tail, (yield self.full(node.inner, tail)))
        plain = self._plain_loop(node, tail)
        if plain is not None:
            return plain
        return (yield from self._rounds(self._number(node, tail), 0))

    def _plain_loop(self, node: Repeat, tail: Tail) -> Tail | None:
        """Compile a loop whose tail tells contexts apart only before the first character."""
        inner, terms = node.inner, self.terms
        later = {tail[context] for context in self._later}
        if self.syntax.asserts(inner) or self.syntax.may_be_empty(inner) or len(later) > 1:
            return None
        high = None if node.high is None else node.high - 1
        once = self.plain(inner)
        again = terms.repeat(once, max(node.low - 1, 0), high)
        eaten = terms.concat(once, again, later.pop())
        return tuple(eaten if node.low else terms.union((term, eaten)) for term in tail)

    def _number(self, node: Repeat, tail: Tail) -> int:
        number = self._loop_numbers.setdefault((node, tail), len(self._loops))
        if number == len(self._loops):
            self._loops.append((node, tail))
        return number

    def _rounds(self, loop: int, count: int, *, free: bool = False) -> Call[Tail]:
        """Return the loop after `count` rounds; `free` says that the lower bound is satisfied."""
        node, tail = self._loops[loop]
        free = free or count >= node.low
        if free and count == node.high:
            return tail
        if free and node.high is None:
            count = node.low  # rounds are counted only as far as a bound needs them
        leave = tail if free else (yield from self._leave_early(loop, count))
        return tuple(
            self.terms.reference(
                self,
                Round(loop, count, free, context),
                nullable=self.terms.nullable(term),
                certain=self.terms.certain(term) and term != self.terms.EMPTY,
            )
            for context, term in enumerate(leave)
        )

    def _leave_early(self, loop: int, count: int) -> Call[Tail]:
        """Take one empty round: it can be repeated, so the lower bound is satisfied."""
        node, _ = self._loops[loop]
        rest = yield from self._rounds(loop, count, free=True)
        return (yield from self.skips(node.inner, rest))

    def _next_round(self, loop: int, count: int, *, free: bool) -> Call[Tail]:
        """Return one more round that eats after `count` of them; built once."""
        node, _ = self._loops[loop]
        place = (loop, node.low if free and node.high is None else count, free)
        if place not in self._bodies:
            again = yield from self._rounds(loop, count + 1, free=free)
            self._bodies[place] = yield self.eats(node.inner, again)
        return self._bodies[place]

    def eats(self, node: Node, tail: Tail) -> Call[Tail]:
        """Compile the texts of the node that are not empty before `tail`."""
        self._count_step()
        if not self.syntax.may_be_empty(node):
            return (yield from self.full(node, tail))
        if not self.syntax.asserts(node) and _constant(tail):
            some = self.terms.complement(self.terms.EPSILON)
            own = self.terms.intersect((self.plain(node), some))
            return self._same(self.terms.concat(own, tail[0]))
        if isinstance(node, Concat):
            return (yield from self._concat_eats(node, tail))
        if isinstance(node, Union):
            return (yield from self._branches(node, self.eats, tail))
        if isinstance(node, Repeat):
            return (yield from self._loop_eats(node, tail))
        return self._nothing

    def _concat_eats(self, node: Concat, tail: Tail) -> Call[Tail]:
        """Compile a sequence: its first part eats, or is skipped before the rest eats."""
        eaten = self._nothing
        for part in reversed(node.parts):
            skipped = yield self.skips(part, eaten)
            eaten = self._either(skipped, (yield self.eats(part, tail)))
            tail = yield self.full(part, tail)
        return eaten

    def _loop_eats(self, node: Repeat, tail: Tail) -> Call[Tail]:
        loop = self._number(node, tail)
        eaten = yield from self._next_round(loop, 0, free=node.low == 0)
        if node.low == 0:
            return eaten
        freed = yield from self._next_round(loop, 0, free=True)
        return self._either(eaten, (yield self.skips(node.inner, freed)))

    def skips(self, node: Node, tail: Tail) -> Call[Tail]:
        """Compile the empty text of the node, under its assertions, before `tail`."""
        self._count_step()
        if not self.syntax.may_be_empty(node):
            return self._nothing
        if not self.syntax.asserts(node):
            return tail
        if isinstance(node, Concat):
            for part in reversed(node.parts):
                tail = yield self.skips(part, tail)
            return tail
        if isinstance(node, Union):
            return (yield from self._branches(node, self.skips, tail))
        if isinstance(node, Repeat):
            if node.low:
                tail = yield self.skips(node.inner, tail)
            return tail
        return (yield from self.full(node, tail))


def _constant(tail: Tail) -> bool:
    return all(term == tail[0] for term in tail)
