"""JSON values that can be compared: equal values are equal tuples, however they were spelled.

The form is (type, content): numbers as fractions, arrays as tuples, objects as frozen sets of
(name, value). `ValueText` is the way back: every spelling of one value in a style.

Source: JSON Schema Core 2020-12 section 4.2.2 (equality of values).
"""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from ...schemas.errors import GrammarTooLargeError
from ..text.json_text import JsonText
from ..text.number_set import point
from ..text.numbers import NumberText
from ..text.style import TextStyle

Comparable: TypeAlias = tuple[Any, ...]
DEEPEST = 100


def read_value(text: bytes) -> Comparable:
    """Return the value of a JSON text.

    Raises GrammarTooLargeError for a value that nests too deep to be compared.
    """
    try:
        return comparable(json.loads(text, parse_float=Decimal, parse_int=Decimal))
    except RecursionError:
        raise too_deep() from None


def too_deep() -> GrammarTooLargeError:
    """Return the error for items that nest deeper than can be compared."""
    return GrammarTooLargeError("levels in an item that must be unique", DEEPEST, DEEPEST + 1)


def comparable(value: object, depth: int = 0) -> Comparable:
    """Return a JSON value (numbers as Decimal) in a form in which equal values are equal."""
    if depth > DEEPEST:
        raise too_deep()
    if value is None:
        return ("null", None)
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, Decimal):
        return ("number", Fraction(value))
    if isinstance(value, list):
        return ("array", tuple(comparable(item, depth + 1) for item in value))
    if isinstance(value, dict):
        members = ((name, comparable(item, depth + 1)) for name, item in value.items())
        return ("object", frozenset(members))
    return ("string", value)


def decimal(number: Fraction) -> Decimal:
    """Return a fraction that has a finite decimal expansion as a decimal."""
    return Decimal(number.numerator) / Decimal(number.denominator)


class Members(NamedTuple):
    """The key of the rest of an object: members still to be written, and whether any was."""

    left: frozenset[tuple[str, Comparable]]
    first: bool


class ValueText:
    """Every spelling of single values in a style; the owner of the references in objects."""

    def __init__(self, text: JsonText) -> None:
        self.text = text
        self.terms = text.terms
        self._numbers = NumberText(text.terms, TextStyle(escapes="any"))
        self._known: dict[Comparable, int] = {}

    @property
    def complete(self) -> bool:
        """Return whether these are just the spellings that the style has for a value."""
        style = self.text.style
        return style.property_order == "any" and style.escapes == "any"

    def term(self, value: Comparable) -> int:
        """Return the spellings of a value."""
        found = self._known.get(value)
        if found is None:
            found = self._known[value] = self._spell(*value)
        return found

    def _spell(self, kind: str, content: Any = None) -> int:
        terms, text = self.terms, self.text
        if kind == "number":
            return self._numbers.term(point(decimal(content)))
        if kind == "string":
            return text.string(text.body(content))
        if kind == "array":
            items = [terms.concat(text.comma, self.term(item)) for item in content[1:]]
            first = [self.term(item) for item in content[:1]]
            end = text.close_array if content else terms.literal(b"]")
            return terms.concat(text.open_array, *first, *items, end)
        if kind == "object":
            rest = self._rest(Members(content, first=True))
            return terms.concat(text.open_object, rest)
        return terms.literal(json.dumps(content).encode())

    def _rest(self, key: Members) -> int:
        return self.terms.reference(self, key, nullable=False, certain=True)

    def expand(self, key: Members) -> int:
        """Return the members that may come next, each with the rest, or the closing brace."""
        terms, text = self.terms, self.text
        if not key.left:
            return terms.literal(b"}") if key.first else text.close_object
        lead = terms.EPSILON if key.first else text.comma
        return terms.union(
            terms.concat(
                lead,
                text.name(member[0]),
                text.colon,
                self.term(member[1]),
                self._rest(self._less(key, member)),
            )
            for member in key.left
        )

    def _less(self, key: Members, member: tuple[str, Comparable]) -> Members:
        return Members(key.left - {member}, first=False)

    def min_length(self, key: Members) -> int:
        """Return the length of a shortest rest; nobody takes the text of a value that is taken."""
        parts = [len(json.dumps(name)) + 2 for name, _ in key.left]
        return 1 + sum(parts)
