"""States behind bytes, found one byte at a time: the slow way, that knows of no vocabulary.

It is taken where a text is not one token behind a mask: texts that a caller gives, and tokens on
whose way not all states are known.
"""

from __future__ import annotations

from .automaton import DEAD, Automaton
from .parts import NO_TEXTS, Alternatives, Branch
from .terms import captures


def step(automaton: Automaton, state: int, byte: int) -> int:
    """Return the successor of a state by one byte, `DEAD` if there is none."""
    terms, found = automaton.terms, automaton.alternatives(state)
    stepped = [_step_branch(automaton, branch, byte) for branch in found.branches]
    if found.texts is not None:
        pairs = zip(found.texts.texts, found.texts.tails, strict=True)
        stepped += [automaton.behind_text(t[1:], tail) for t, tail in pairs if t[0] == byte]
    if found.rest is not None:
        stepped.append(terms.step(automaton.term(found.rest), byte))
    return automaton.any_of(stepped)


def walk(automaton: Automaton, state: int, text: bytes) -> int:
    """Return the state behind some bytes, `DEAD` if they leave the language.

    Where only texts and captures may follow, all bytes up to the end of one are one step.
    """
    at = 0
    while at < len(text) and state != DEAD:
        found = automaton.alternatives(state)
        if found.rest is not None or not all(b.tail is None for b in found.branches):
            state, at = step(automaton, state, text[at]), at + 1
        else:
            state, at = _stride(automaton, found, text, at)
    return state


def _stride(automaton: Automaton, found: Alternatives, text: bytes, at: int) -> tuple[int, int]:
    """Step along texts and captures to the first end of those that `text[at:]` agrees with."""
    left, terms = text[at:], automaton.terms
    texts = found.texts or NO_TEXTS
    begun = [pair for pair in zip(texts.texts, texts.tails, strict=True) if pair[0][0] == left[0]]
    ends = [len(t) for t, _ in begun if left.startswith(t)]
    ends += [captures.end_of(terms, branch.capture[0], left) for branch in found.branches]
    left = left[: min(ends, default=len(left))]
    rests = ((t[len(left) :], tail) for t, tail in begun if t.startswith(left))
    parts = [automaton.behind_text(rest, tail) for rest, tail in rests]
    for capture, tail in (branch.capture for branch in found.branches):
        parts.append(terms.concat(captures.behind(terms, capture, left), tail))
    return automaton.any_of(parts), at + len(left)


def _step_branch(automaton: Automaton, branch: Branch, byte: int) -> int:
    """Step the lexeme, whose row is known long before that of the whole state."""
    terms = automaton.terms
    if branch.head is None or branch.tail is None:
        capture, tail = branch.capture
        return terms.concat(terms.step(capture, byte), tail)
    tail = automaton.term(branch.tail)
    stepped = terms.concat(_step_head(automaton, branch.head, byte), tail)
    ends = automaton.is_accepting(branch.head)
    return terms.union((stepped, terms.step(tail, byte))) if ends else stepped


def _step_head(automaton: Automaton, head: int, byte: int) -> int:
    """Return the term behind a byte of a lexeme."""
    terms, shared = automaton.terms, automaton.shared
    if head >= len(shared):
        return terms.step(automaton.term(head), byte)
    after = shared.step(head, byte)
    return terms.EMPTY if after is None else automaton.term(after)
