r"""The left context of a position: all that lookbehinds can ask about the text before it.

For each lookbehind the set of ways in which the text so far may be completed to its body is
tracked, as partial derivatives of the body (Antimirov 1996): after every character the body may
begin anew, so the set is that of "anything, then the body". The tuple of these sets is a context.
There are few, since most lookbehinds (`^`, `\b`, `(?<!-)`) look at one character, and characters
fall into few classes.

Whether a lookbehind holds may depend on the next character too (`(?<=a\b)`), so the answer is a set
of allowed next classes, with one more bit for the end of the text.
"""

from __future__ import annotations

from typing import Final

from ...schemas.errors import GrammarTooLargeError
from ..terms.trampoline import Call, run
from .ast import After, Ahead, Behind, Chars, Concat, Node, Repeat, Syntax, Union, postorder
from .char_sets import CharSet, contains, partition, union

MAX_CONTEXTS: Final = 1000
Items = frozenset[Node]


class Contexts:
    """The contexts of one regex, numbered from 0 (the start of the text)."""

    def __init__(self, syntax: Syntax, root: Node) -> None:
        """Explore all contexts; raises GrammarTooLargeError past `MAX_CONTEXTS`."""
        self.syntax = syntax
        self.bodies = _bodies(root)
        self.classes = partition(tuple(dict.fromkeys(_sets(self.bodies))))
        self.end = 1 << len(self.classes)
        self.always = 2 * self.end - 1
        self.steps: list[list[int]] = []  # [context][class] -> context
        self.answers: list[list[int]] = []  # [context][body] -> allowed next classes
        self._explore()

    def __len__(self) -> int:
        """Return the number of contexts."""
        return len(self.steps)

    @property
    def later(self) -> set[int]:
        """The contexts in which the text before is not empty."""
        return {context for row in self.steps for context in row}

    def holds(self, context: int, node: Behind) -> int:
        """Return the next classes, as bits, with which the lookbehind holds."""
        answer = self.answers[context][self.bodies.index(node.inner)]
        return answer ^ self.always if node.negated else answer

    def next_chars(self, allowed: int) -> CharSet:
        """Return the characters of the allowed classes."""
        return union(*(c for index, c in enumerate(self.classes) if allowed >> index & 1))

    def _explore(self) -> None:
        start = tuple(frozenset((body,)) for body in self.bodies)
        numbers = {start: 0}
        queue = [start]
        for state in queue:
            answers = self._answers(state)
            row = []
            for index in range(len(self.classes)):
                after = self._after(state, answers, index)
                if after not in numbers:
                    numbers[after] = len(numbers)
                    queue.append(after)
                    self._check_size(len(numbers))
                row.append(numbers[after])
            self.answers.append(answers)
            self.steps.append(row)

    def _check_size(self, count: int) -> None:
        if count > MAX_CONTEXTS:
            raise GrammarTooLargeError("contexts for its lookbehinds", MAX_CONTEXTS, count)

    def _answers(self, state: tuple[Items, ...]) -> list[int]:
        answers: list[int] = []
        for items in state:  # a body's own lookbehinds come before it
            allowed = 0
            for item in items:
                allowed |= run(self._ends(item, answers))
            answers.append(allowed)
        return answers

    def _after(self, state: tuple[Items, ...], answers: list[int], index: int) -> tuple[Items, ...]:
        found = []
        for body, items in zip(self.bodies, state, strict=True):
            rests = {body}
            for item in items:
                rests |= run(self._rests(item, answers, index))
            found.append(frozenset(rests))
        return tuple(found)

    def _ends(self, node: Node, answers: list[int]) -> Call[int]:
        """Return the next classes with which the node matches the empty text here."""
        if isinstance(node, Chars):
            return 0
        if isinstance(node, Behind):
            answer = answers[self.bodies.index(node.inner)]
            return answer ^ self.always if node.negated else answer
        if isinstance(node, After):
            return self._bits(node)
        if isinstance(node, Repeat):
            return self.always if node.low == 0 else (yield self._ends(node.inner, answers))
        if isinstance(node, Ahead):
            raise TypeError("the parser refuses lookaheads in lookbehinds")
        allowed = self.always if isinstance(node, Concat) else 0
        for part in node.parts:
            own = yield self._ends(part, answers)
            allowed = allowed & own if isinstance(node, Concat) else allowed | own
        return allowed

    def _bits(self, node: After) -> int:
        bits = self.end if node.at_end else 0
        for index, ranges in enumerate(self.classes):
            if contains(node.ranges, ranges[0][0]):
                bits |= 1 << index
        return bits

    def _rests(self, node: Node, answers: list[int], index: int) -> Call[set[Node]]:
        """Return what may be left of the node after a character of the class."""
        syntax = self.syntax
        if isinstance(node, Chars):
            return {syntax.empty} if contains(node.ranges, self.classes[index][0][0]) else set()
        if isinstance(node, Union):
            found: set[Node] = set()
            for part in node.parts:
                found |= yield self._rests(part, answers, index)
            return found
        if isinstance(node, Concat):
            return (yield from self._concat_rests(node, answers, index))
        if isinstance(node, Repeat):
            # one empty round can be repeated, so it satisfies the lower bound alone
            ends = yield self._ends(node.inner, answers)
            low = 0 if ends >> index & 1 else max(node.low - 1, 0)
            again = syntax.repeat(node.inner, low, None if node.high is None else node.high - 1)
            rests = yield self._rests(node.inner, answers, index)
            return {syntax.concat((rest, again)) for rest in rests}
        return set()

    def _concat_rests(self, node: Concat, answers: list[int], index: int) -> Call[set[Node]]:
        found: set[Node] = set()
        for at, part in enumerate(node.parts):
            rests = yield self._rests(part, answers, index)
            found |= {self.syntax.concat((rest, *node.parts[at + 1 :])) for rest in rests}
            ends = yield self._ends(part, answers)
            if not ends >> index & 1:
                break
        return found


def _bodies(root: Node) -> list[Node]:
    """Return the bodies of all lookbehinds, inner ones first."""
    return list(dict.fromkeys(n.inner for n in postorder(root) if isinstance(n, Behind)))


def _sets(bodies: list[Node]) -> list[CharSet]:
    nodes = (node for body in bodies for node in postorder(body))
    return [node.ranges for node in nodes if isinstance(node, Chars | After)]
