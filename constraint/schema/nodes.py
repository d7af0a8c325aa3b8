"""What the nodes of a schema graph stand for, and the numbers that a document holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from ...schemas.errors import InvalidGrammarError, UnsupportedGrammarError
from ..text.number_set import NumberSet
from .shapes import Shapes
from .source import Place


class CircleError(InvalidGrammarError):
    """References lead back to where they came from without passing a value."""


class Negated(NamedTuple):
    """The values that do not belong to `node`."""

    node: int


class Value:
    """A fixed JSON value and where it stands."""

    __slots__ = ("pointer", "value")

    def __init__(self, value: object, pointer: str) -> None:
        self.value = value
        self.pointer = pointer


def placed(error: UnsupportedGrammarError, pointers: Sequence[str]) -> UnsupportedGrammarError:
    """Return a refusal with the first of `pointers` where it has no place yet."""
    if error.pointer is not None:
        return error
    pointer = (*pointers, "")[0]
    reason = error.reason.partition(": ")[2]
    return UnsupportedGrammarError(error.feature, reason, pointer=pointer)


Content: TypeAlias = Place | Value | Negated | Shapes | frozenset[int]


def exact(value: float, pointer: str) -> Decimal:
    """Return a JSON number as an exact decimal; a float means its shortest decimal spelling."""
    number = Decimal(value if isinstance(value, int) else repr(value))
    if not number.is_finite():
        raise InvalidGrammarError(f"{value!r} is not a JSON number", pointer=pointer)
    return number


def distinct(numbers: Iterable[NumberSet]) -> tuple[NumberSet, ...]:
    """Return the sets without repeats; one that has every number stands for all."""
    kept = dict.fromkeys(numbers)
    everything = NumberSet()
    return (everything,) if everything in kept else tuple(kept)
