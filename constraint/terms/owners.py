"""Who gives meaning to the terms whose content lies outside of an arena.

A reference stands for a term that is made when a text gets there; a capture for a lexeme whose text
decides what follows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol


class Owner(Protocol):
    """Who gives meaning to references and captures; all keys are hashable values."""

    def expand(self, key: Any) -> int:
        """Return the term that a reference stands for."""
        ...

    def min_length(self, key: Any) -> int:
        """Return the length in bytes of a shortest text of a reference."""
        ...


class Entries(Protocol):
    """Entries in an order, each a fixed text and what follows it, told without their terms.

    `len` of them is one more than their highest number. Terms are those of the owner's arena.
    """

    group: Hashable
    """What the meaning of the numbers depends on."""
    opening: int
    lead: int
    separator: int
    end: int
    closing: bytes
    """The end where no entry is before it."""
    whole: int
    """The entries and the end, behind the opening."""

    def __len__(self) -> int:
        """Return a bound of the numbers of entries."""
        ...

    def texts(self, passed: int) -> tuple[tuple[bytes, int], ...]:
        """Return the (text, entry) pairs that may come next, in ascending order of the texts.

        The first `passed` entries were written or left out.
        """
        ...

    def all_texts(self) -> Sequence[tuple[bytes, int]]:
        """Return all (text, entry) pairs in ascending order of the texts."""
        ...

    def last(self, passed: int) -> int:
        """Return the first entry that cannot come next, as one before it must."""
        ...

    def has_texts(self, passed: int) -> bool:
        """Return whether `texts` are any."""
        ...

    def other(self, passed: int) -> int:
        """Return the term of entries with other texts that may come next, `EMPTY` for none."""
        ...

    def may_end(self, passed: int) -> bool:
        """Return whether the end may follow behind an entry, or at the beginning."""
        ...

    def has_value(self, entry: int) -> bool:
        """Return whether an entry is ever offered."""
        ...

    def is_required(self, entry: int) -> bool:
        """Return whether an entry must not be left out: nothing behind it comes before it."""
        ...

    def lexeme(self, entry: int) -> int | None:
        """Return the lead and the value of an entry as one lexeme, None if they are more."""
        ...

    def inner(self, entry: int) -> Entries | None:
        """Return the entries that the value of an entry is a list of, None for other values."""
        ...

    def value(self, entry: int) -> int:
        """Return the term of the value of an entry."""
        ...

    def behind(self, entry: int) -> int:
        """Return the term of what follows the text of an entry."""
        ...

    def rest(self, passed: int) -> int:
        """Return the term of what follows an entry: a separator and more, or the end."""
        ...

    def next(self, passed: int) -> int:
        """Return the term of what follows a separator."""
        ...


class EntriesKey:
    """What the keys of references have in common whose owner tells them as entries."""

    __slots__ = ()


class EntriesOwner(Owner, Protocol):
    """An owner of references that are entries of a list, of which few are ever looked at."""

    def entries(self, key: Any) -> tuple[Entries, int]:
        """Return the entries of a reference, its key an `EntriesKey`, and how many are passed."""
        ...


class CaptureOwner(Protocol):
    """Who decides what follows a captured text."""

    def finish(self, key: Any, text: bytes | None) -> int:
        """Return what follows once the head has matched `text`; None: a text not blocked."""
        ...

    def blocked(self, key: Any, text: bytes) -> tuple[bytes, ...] | None:
        """Return the completions of `text` after which nothing may follow, None if not listed."""
        ...

    def text_matters(self, key: Any) -> bool:
        """Return whether texts that are not blocked differ in how short the whole may end.

        Not if another capture is offered beside this one that always ends sooner.
        """
        ...

    def sign_behind(self, key: Any) -> int | None:
        """Return the term of a sign that stands behind every text, None if none does."""
        ...

    def shares_memory(self, key: Any, later: Any) -> bool:
        """Return whether the text of a capture may be remembered where a later one is captured."""
        ...

    def head_remembers(self, key: Any) -> bool:
        """Return whether the head of a capture leaves out texts that were captured before."""
        ...

    def rest_length(self, key: Any) -> int | None:
        """Return a lower bound for what follows any text, None if it is to be asked for a text."""
        ...
