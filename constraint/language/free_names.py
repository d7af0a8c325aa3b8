"""Names of members that a schema does not declare: captured by their text.

The shared language of all strings runs to the closing quote, and there `finish` allows no name that
was declared or written before, compared after decoding.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from ..text.json_text import JsonText, canonical_body
from .member_table import Member
from .name_languages import is_endless
from .object_completion import Completion, Written
from .object_layout import Layout


class FreeName(NamedTuple):
    """The key of a captured name: the memory without it, its cell, the obligations it carries."""

    written: Written
    cell: int
    obligations: int


class FreeNames:
    """Decides what follows a free name; the owner of their captures.

    `objects` grows with the language, `later` gives the term of what follows.
    """

    def __init__(
        self, text: JsonText, objects: list[Completion], later: Callable[[Member], int]
    ) -> None:
        self.text = text
        self.terms = text.terms
        self._objects = objects
        self._later = later
        self._endless: dict[int, bool] = {}

    def _layout(self, written: Written) -> Layout:
        return self._objects[written.shape].layout

    def head(self, layout: Layout, cell: int, used: frozenset[str]) -> int:
        """Return the lexeme of the names of a cell.

        Where any string is a name, all objects share one lexeme and `finish` turns down those that
        are taken; so it is where a name that is begun has ends without number. Other names with a
        pattern may run out of ways to go on, so there the lexeme leaves them out.
        """
        spelled = layout.cells[cell].spelled
        if spelled == self.text.any_body:
            return self.text.any_closed
        if self._is_endless(spelled):
            return self.text.closed(spelled)
        taken = self.terms.union(self.text.body(name) for name in (*layout.names, *sorted(used)))
        return self.text.closed(self.terms.intersect((spelled, self.terms.complement(taken))))

    def _is_endless(self, spelled: int) -> bool:
        if spelled == self.text.any_body:
            return True
        found = self._endless.get(spelled)
        if found is None:
            found = self._endless[spelled] = is_endless(self.terms, spelled)
        return found

    def finish(self, key: FreeName, text: bytes | None) -> int:
        """Return what follows a free name; `EMPTY` if the name is declared or was written."""
        written = key.written
        layout = self._layout(written)
        if text is not None:
            name = json.loads(b'"' + text)
            if name in layout.index or name in written.names:
                return self.terms.EMPTY
            written = written._replace(names=written.names | {name})
        node = layout.carrying(layout.cell_nodes[key.cell], key.obligations)
        return self._later(Member(node, written))

    def text_matters(self, key: FreeName) -> bool:
        """Return whether more free names may be needed, or those that are taken are not listed."""
        counts = self._layout(key.written).counts
        return bool(counts or key.written.pending) or self.text.style.escapes != "canonical"

    def sign_behind(self, key: FreeName) -> int:
        """Return the colon."""
        return self.text.colon

    def shares_memory(self, key: FreeName, later: FreeName) -> bool:
        """Return whether both names may be of one object."""
        return key.written.shape == later.written.shape

    def head_remembers(self, key: FreeName) -> bool:
        """Return whether names of this kind may run out, so that those taken are left out."""
        return not self._is_endless(self._layout(key.written).cells[key.cell].spelled)

    def rest_length(self, key: FreeName) -> int | None:
        """Return None: what follows is known for each name."""
        return None

    def blocked(self, key: FreeName, text: bytes) -> tuple[bytes, ...] | None:
        """Return how `text` could go on to spell a name that is not free, with its quote."""
        if self.text.style.escapes != "canonical":
            return None
        layout, names = self._layout(key.written), key.written.names
        written = [canonical_body(name) + b'"' for name in names]
        if not text:
            return (*layout.closed_names, *written) if written else layout.closed_names
        sorted_names = layout.sorted_names
        first = bisect_left(sorted_names, text)
        last = bisect_left(sorted_names, text + b"\xff")  # no UTF-8 has that byte
        begun = (*sorted_names[first:last], *(n for n in written if n.startswith(text)))
        return tuple([name[len(text) :] for name in begun])
