"""Captures as whoever walks tokens through them sees them: what their owners say of a branch.

A capture is a lexeme whose text decides what follows: a property name that must not come twice.
"""

from __future__ import annotations

from collections.abc import Callable

from .parts import Branch
from .terms import captures
from .terms.terms import Terms


class Captured:
    """Asks the owners of the captures of one arena; `number` gives the state of a term."""

    def __init__(self, terms: Terms, number: Callable[[int], int]) -> None:
        self.terms = terms
        self._number = number

    def sign_behind(self, branch: Branch) -> int | None:
        """Return the state of a sign that stands behind every text, None if none does."""
        _, _, owner, key, _ = self.terms.nodes[branch.capture[0]]
        sign = owner.sign_behind(key)
        return None if sign is None else self._number(sign)

    def after(self, branch: Branch, text: bytes | None) -> int:
        """Return the state after the head of a capture has matched `text`.

        None stands for a text that nothing blocks and that nothing remembers.
        """
        capture, tail = branch.capture
        _, _, owner, key, before = self.terms.nodes[capture]
        rest = owner.finish(key, None if text is None else before + text)
        return self._number(self.terms.concat(rest, tail))

    def inside(self, branch: Branch, text: bytes, head: int) -> int:
        """Return the state in a capture that has read `text`, `head` the rest of its lexeme."""
        self.terms.spend(1)
        capture, tail = branch.capture
        _, _, owner, key, before = self.terms.nodes[capture]
        rest = self.terms.captured(head, owner, key, before + text)
        return self._number(self.terms.concat(rest, tail))

    def end(self, branch: Branch, text: bytes) -> int:
        """Return how many bytes of a text a capture reads at most."""
        return captures.end_of(self.terms, branch.capture[0], text)

    def alone(self, branch: Branch) -> int:
        """Return the state of a capture and what follows it, without the other branches."""
        capture, tail = branch.capture
        return self._number(self.terms.concat(capture, tail))

    def text_matters(self, branch: Branch) -> bool:
        """Return whether texts that are not blocked differ in the shortest end behind them."""
        _, _, owner, key, _ = self.terms.nodes[branch.capture[0]]
        return bool(owner.text_matters(key))

    def shares_memory(self, branch: Branch, later: Branch) -> bool:
        """Return whether the texts of one capture may count for a later one."""
        _, _, owner, key, _ = self.terms.nodes[branch.capture[0]]
        _, _, other, later_key, _ = self.terms.nodes[later.capture[0]]
        return owner is other and bool(owner.shares_memory(key, later_key))

    def head_remembers(self, branch: Branch) -> bool:
        """Return whether texts that were captured before are missing in the head of a capture."""
        _, _, owner, key, _ = self.terms.nodes[branch.capture[0]]
        return bool(owner.head_remembers(key))

    def blocked(self, branch: Branch) -> tuple[bytes, ...] | None:
        """Return the texts of a capture's head after which nothing may follow, None if unlisted."""
        _, _, owner, key, before = self.terms.nodes[branch.capture[0]]
        blocked: tuple[bytes, ...] | None = owner.blocked(key, before)
        return blocked
