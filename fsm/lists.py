"""The states of the lists of a grammar, told in one go.

Of an object with ten names, each place between two of them has a comma, a brace, a run of texts, a
colon. Told one by one when a walk asks, that is a chain of calls for each name that a text takes;
told together, it is one loop. The texts are written down once for all lists of the same entries.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ..constraint.automaton import Automaton
from ..constraint.entries import LEAD, NOTHING, SEPARATOR, TEXT, VALUE, Listed, Place
from ..constraint.parts import NO_TEXTS
from ..constraint.terms.owners import Entries
from .columns import CAPTURES, FIRST_BRANCH, FIRST_TEXT, LAST_BRANCH, LAST_TEXT, NEAR
from .growing import Growing

Ints = npt.NDArray[np.int32]
MANY = 64  # entries of a list of which each place is told when it is met
UNTOLD = -1  # in the place of a lexeme


class Told(NamedTuple):
    """What lists of the same entries have in common.

    `heads` (entries, 2) has the lexeme behind each text and whether it is wide, `texts` (texts, 3)
    begin, end and entry, in ascending order of the texts.
    """

    heads: Ints
    required: npt.NDArray[np.bool_]
    texts: Ints


class Other(NamedTuple):
    """What may follow beside entries where a list may end: whether anything, and if texts only.

    `texts` (texts, 3) has begin, end and the state behind.
    """

    follows: bool
    is_texts: bool
    texts: Ints


NO_TEXT = np.empty((0, 3), np.int32)
NO_OTHER = Other(False, True, NO_TEXT)


class Lists:
    """Tells the states of lists to the arrays of a `StateTable`.

    `wide` says of each state that grammars share whether it begins with many bytes.
    """

    def __init__(
        self,
        automaton: Automaton,
        branches: Growing,
        texts: Growing,
        text_bytes: Growing,
        wide: tuple[bool, ...],
    ) -> None:
        self._entries, self._number = automaton.entries, automaton.number
        self._branches, self._texts, self._bytes = branches, texts, text_bytes
        self._wide = wide
        self._alike: dict[Hashable, Told] = {}
        self._told_places: set[tuple[int, int]] = set()

    @property
    def held_bytes(self) -> int:
        """Return the size of what is kept of lists."""
        return sum(told.heads.nbytes + told.texts.nbytes for told in self._alike.values())

    def place(self, state: int) -> Place | None:
        """Return what a state of a list stands for if it is to be told now, None if not.

        That is once, with all others of the list. In one of very many entries it is only what comes
        next, for that may be so many texts.
        """
        place = self._entries.place(state)
        if place is None or not place.listed.told:
            return None
        listed, kind, _ = place
        if listed.size > MANY and kind in (TEXT, LEAD, VALUE):
            return None
        key = listed.first, place.passed if listed.size > MANY else 0
        if key in self._told_places:
            return None
        self._told_places.add(key)
        self._entries.later(listed)  # so that all of its states are numbered
        return place

    def tell(self, place: Place, covered: Callable[[], Ints]) -> None:
        """Write the columns of a list, or of one place of a large one, into those of all states.

        `covered` returns these once all that are met are numbered. States are left alone whose
        texts are not all that may follow.
        """
        listed = place.listed
        whole = listed.size <= MANY
        low, high = (0, listed.size + 1) if whole else (place.passed, place.passed + 1)
        told, other = self._told(listed.entries), self._other(listed)
        rows = (high - low) * (len(told.texts) + len(other.texts) + 1)
        closing = self._bytes.append(array("B", listed.entries.closing))
        signs = array("i")
        for sign in (listed.lead, listed.separator, listed.end):
            signs.extend((sign, self._wide[sign]))
        self._branches.count, self._texts.count = tell_list(
            covered(),
            self._branches.with_room(3 * listed.size),
            self._branches.count,
            self._texts.with_room(rows),
            self._texts.count,
            (low, high, listed.first, self._entries.later(listed), listed.tail, *closing),
            np.array(signs, np.int32).reshape(3, 2),
            *told,
            other.texts,
            (other.follows, other.is_texts, whole),
        )

    def _told(self, entries: Entries) -> Told:
        """Return what lists of the same entries have in common; made for the first of them."""
        found = self._alike.get(entries.group)
        if found is None:
            texts = entries.all_texts()
            end, rows = self._bytes.count, array("i")
            for text, entry in texts:
                begin, end = end, end + len(text)
                rows.extend((begin, end, entry))
            self._bytes.append(array("B", b"".join([text for text, _ in texts])))
            heads, required, size = array("i"), bytearray(), len(entries)
            for entry in range(size):
                heads.extend(self._head(entries, entry))
                required.append(entries.is_required(entry))
            found = Told(
                np.array(heads, np.int32).reshape(size, 2),
                np.array(required, np.bool_),
                np.array(rows, np.int32).reshape(len(texts), 3),
            )
            self._alike[entries.group] = found
        return found

    def _head(self, entries: Entries, entry: int) -> tuple[int, int]:
        """Return the lexeme behind the text of an entry, and whether it is wide."""
        if len(entries) > MANY or not entries.has_value(entry):
            return UNTOLD, 0
        lexeme = entries.lexeme(entry)
        head = self._number(entries.lead if lexeme is None else lexeme)
        return (head, self._wide[head]) if head < len(self._wide) else (UNTOLD, 0)

    def _other(self, listed: Listed) -> Other:
        """Return what may follow beside the entries of a list where it may end."""
        other = self._entries.other(listed, listed.size)
        if other is None:
            return NO_OTHER
        texts, first = other.texts or NO_TEXTS, listed.entries.all_texts()[:1]
        if other.branches or other.rest is not None or (first and texts.texts[-1] >= first[0][0]):
            return Other(True, False, NO_TEXT)
        end, rows = self._bytes.count, array("i")
        for text, tail in zip(texts.texts, texts.tails, strict=True):
            begin, end = end, end + len(text)
            rows.extend((begin, end, tail))
        self._bytes.append(array("B", b"".join(texts.texts)))
        return Other(True, True, np.array(rows, np.int32).reshape(len(texts.texts), 3))


@njit(cache=True, nogil=True)
def tell_list(
    states: Any,
    branches: Any,
    branch: int,
    texts: Any,
    text: int,
    span: Any,
    signs: Any,
    heads: Any,
    required: Any,
    rows: Any,
    more: Any,
    kinds: Any,
) -> Any:
    """Write what the states of a list are made of; return how many branches and texts there are.

    Shapes: states (n, 8), branches (b, 5) and texts (t, 3) as in a `StateTable`, with room behind
    the first `branch` and `text`; span: from and to which number of passed entries to tell, the
    first state behind a text and of the others, the one behind the list, begin and end of the
    closing; signs (3, 2): lead,
    separator and end, and whether they are wide; heads, required, rows: see `Told`; more: see
    `Other`; kinds: its `follows` and `is_texts`, and whether to tell what is behind texts and
    values as well. Cost: one look at each text for each place.
    """
    low, high, first, later, tail, closing, closed = span
    follows, is_texts, whole = kinds
    size = required.shape[0]
    values, separators = later + (VALUE - LEAD) * size, later + (SEPARATOR - LEAD) * size
    for passed in range(low, high):
        limit = passed
        while limit < size and not required[limit]:
            limit += 1
        ends = limit == size
        told = not ends or not follows or is_texts
        begun, named = text, False
        for k in range(more.shape[0] if ends else 0):
            texts[text] = more[k]
            text += 1
        for k in range(rows.shape[0]):
            if passed <= rows[k, 2] <= limit:
                named = True
                texts[text, 0], texts[text, 1], texts[text, 2] = rows[k]
                texts[text, 2] += first
                text += 1
        if passed == 0 and ends:
            texts[text, 0], texts[text, 1], texts[text, 2] = closing, closed, tail
            text += 1
        goes_on = named or (ends and follows)
        if told and (goes_on or passed == 0):
            at = separators + passed - 1 if passed else later + (NOTHING - LEAD) * size
            _note(states, at, 0, 0, begun, text)
        else:
            text = begun
        if whole and passed > 0:
            head, begin = heads[passed - 1, 0], branch
            if head != UNTOLD:
                behind = (later if head == signs[0, 0] else values) + passed - 1
                branch = _append(branches, branch, head, behind, heads[passed - 1, 1])
                _note(states, first + passed - 1, begin, branch, 0, 0)
            begin = branch
            if goes_on:
                behind = separators + passed - 1
                branch = _append(branches, branch, signs[1, 0], behind, signs[1, 1])
            if ends:
                branch = _append(branches, branch, signs[2, 0], tail, signs[2, 1])
            _note(states, values + passed - 1, begin, branch, 0, 0)
    return branch, text


@njit(cache=True, nogil=True, inline="always")
def _append(branches: Any, at: int, head: int, tail: int, wide: int) -> int:
    """Write a branch of a lexeme that all grammars share; return how many there are."""
    branches[at, 0], branches[at, 1], branches[at, 2] = head, tail, wide
    branches[at, 3], branches[at, 4] = head, NEAR
    return at + 1


@njit(cache=True, nogil=True, inline="always")
def _note(states: Any, at: int, branch: int, branches: int, text: int, texts: int) -> None:
    """Write where the branches and the texts of a state begin and end."""
    states[at, FIRST_BRANCH], states[at, LAST_BRANCH] = branch, branches
    states[at, FIRST_TEXT], states[at, LAST_TEXT], states[at, CAPTURES] = text, texts, 0
