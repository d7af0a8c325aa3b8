"""The texts of the entries of a list: written down once, chosen from for each place in it.

Of an object with ninety optional names, each place offers those that are not passed, in ascending
order. They are rows of one table; what a place has of them is told by two comparisons.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..constraint.entries import Next
from ..constraint.parts import Alternatives, Texts
from .growing import Growing

FEW = 6  # texts that are told one by one as fast
NOTHING_ELSE, NO_TEXTS = Alternatives((), None, None), Texts((), ())


class Table(NamedTuple):
    """Texts in ascending order: rows as those of a `StateTable`, and the numbers of the entries.

    The first `always` of them are offered wherever the table is asked.
    """

    rows: npt.NDArray[np.int32]
    entries: npt.NDArray[np.int32]
    always: int


class EntryTexts:
    """Appends rows of `texts`, as a `StateTable` has them, for places between entries."""

    def __init__(self, texts: Growing, text_bytes: Growing) -> None:
        self._texts = texts
        self._bytes = text_bytes
        self._tables: dict[tuple[int, bool], Table | None] = {}

    @property
    def held_bytes(self) -> int:
        """Return the size of the tables."""
        tables = [table for table in self._tables.values() if table is not None]
        return sum(table.rows.nbytes + table.entries.nbytes for table in tables)

    def of(self, place: Next) -> tuple[int, int] | None:
        """Return where the texts of a place begin and end; None where more than texts follow.

        Cost: a few looks at all texts of the list by numpy, whatever their number.
        """
        if place.last - place.passed <= FEW:
            return None
        key = place.first, place.other is None
        if key not in self._tables:
            self._tables[key] = self._table(place)
        table = self._tables[key]
        if table is None:
            return None
        chosen = (table.entries >= place.passed) & (table.entries < place.last)
        chosen[: table.always] = True
        return self._texts.append_rows(table.rows[chosen])

    def _table(self, place: Next) -> Table | None:
        """Return all texts of a list, with those of `other` before them; None if they are not."""
        entries, other = place.entries.all_texts(), place.other or NOTHING_ELSE
        more = other.texts or NO_TEXTS
        if other.branches or other.rest is not None:
            return None
        if more.texts and entries and more.texts[-1] >= entries[0][0]:
            return None
        texts = [*more.texts, *(text for text, _ in entries)]
        begin = self._bytes.append(array("B", b"".join(texts)))[0]
        ends = np.cumsum([0, *map(len, texts)]) + begin
        numbers = np.array([-1] * len(more.texts) + [entry for _, entry in entries], np.int32)
        tails = [*more.tails, *(place.first + entry for _, entry in entries)]
        rows = np.column_stack((ends[:-1], ends[1:], tails)).astype(np.int32)
        return Table(rows, numbers, len(more.texts))
