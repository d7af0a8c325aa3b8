"""How values are written down: the choices that JSON leaves open, as one policy object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ...schemas.errors import ValidationError

Whitespace = Literal["compact", "spaced", "flexible"]
PropertyOrder = Literal["schema", "any"]
Escapes = Literal["canonical", "any"]


@dataclass(frozen=True, slots=True)
class TextStyle:
    r"""The texts that stand for a value; every style can write every value up to `digits`.

    whitespace: "compact" writes none; "spaced" one space after `,` and `:` as `json.dumps` does;
    "flexible" allows up to `max_whitespace` characters of space, tab, LF and CR wherever JSON does.
    property_order: "schema" writes declared properties in the order of the schema and undeclared
    ones after them; "any" takes keys as they come. escapes: "canonical" gives each character one
    spelling (raw UTF-8, `\"`, `\\`, the short escapes, `\u00xx` for other control characters) and
    integers no fraction; "any" allows every spelling JSON knows for a character, and `1.0` for the
    integer 1. digits: the most digits before and after the decimal point; bounds that need more
    digits get them. max_whitespace: characters in one gap of the flexible style; bounded, or a
    model can stay there.
    """

    whitespace: Whitespace = "spaced"
    property_order: PropertyOrder = "schema"
    escapes: Escapes = "canonical"
    digits: int = 64
    max_whitespace: int = 64

    def __post_init__(self) -> None:
        for name, choices in (
            ("whitespace", get_args(Whitespace)),
            ("property_order", get_args(PropertyOrder)),
            ("escapes", get_args(Escapes)),
        ):
            if getattr(self, name) not in choices:
                given = getattr(self, name)
                raise ValidationError(
                    f"{name} must be one of {', '.join(choices)}, got {given!r}", parameter=name
                )
        for name in ("digits", "max_whitespace"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
                raise ValidationError(
                    f"{name} must lie in [1, 4096], got {value!r}", parameter=name
                )
