"""Multiples of a step as terms over plain unsigned decimals, by remainders.

Scale the step by a power of ten to a whole number m. Reading digits left to right, the remainder of
what was read is all that matters: r becomes 10 r + d mod m. A text may end where the remainder,
scaled by the decimal places that are still missing, is 0. States are references, made when a text
gets there, so a large m costs nothing until it is walked.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from ...schemas.errors import UnsupportedGrammarError
from ..terms.terms import Terms
from .number_set import places_of

MOST_REMAINDERS = 10_000


class Remainder(NamedTuple):
    """A place in a decimal: `read` is the remainder mod `modulus` of the digits so far.

    `places` counts the digits behind the point, -1 before it; `more` says that a digit must follow.
    """

    modulus: int
    scale: int
    places: int
    read: int
    more: bool


def _decimal(step: Fraction) -> str:
    return format((Decimal(step.numerator) / Decimal(step.denominator)).normalize(), "f")


class Multiples:
    """Terms of multiples in one arena; the owner of their references."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._expanded: dict[Remainder, int] = {}

    def term(self, step: Fraction) -> int:
        """Return the unsigned decimals that are multiples of a step that ends in decimals.

        Raises UnsupportedGrammarError for a step with so many remainders that whether a prefix can
        be completed would take too long to search.
        """
        scale = places_of(step)
        modulus = int(step * 10**scale)
        if modulus > MOST_REMAINDERS:
            raise UnsupportedGrammarError(
                "multipleOf",
                f"multiples of {_decimal(step)} leave {modulus} remainders, the limit is "
                f"{MOST_REMAINDERS}; use a step with fewer digits",
            )
        return self._state(Remainder(modulus, scale, -1, 0, more=True))

    def _state(self, at: Remainder) -> int:
        if at.places == at.scale and at.read:
            return self.terms.EMPTY
        missing = at.scale - max(at.places, 0)
        ends = not at.more and at.read * 10 ** max(missing, 0) % at.modulus == 0
        return self.terms.reference(self, at, nullable=ends)

    def expand(self, key: Remainder) -> int:
        """Return what may follow at a place."""
        found = self._expanded.get(key)
        if found is None:
            found = self._expanded[key] = self._build(key)
        return found

    def _build(self, at: Remainder) -> int:
        terms = self.terms
        if at.places == at.scale:
            zeros = terms.repeat(terms.literal(b"0"), 1 if at.more else 0, None)
            return zeros
        parts = [] if at.more or not terms.nullable(self._state(at)) else [terms.EPSILON]
        places = at.places if at.places < 0 else at.places + 1
        for digit in range(10):
            read = (at.read * 10 + digit) % at.modulus
            after = self._state(at._replace(places=places, read=read, more=False))
            parts.append(terms.concat(terms.literal(b"%d" % digit), after))
        if at.places < 0 and not at.more:
            point = self._state(at._replace(places=0, more=True))
            parts.append(terms.concat(terms.literal(b"."), point))
        return terms.union(parts)

    def min_length(self, key: Remainder) -> int:
        """Return a lower bound; lengths of multiples are searched, never added up."""
        return 1 if key.more else 0
