"""Records: what a schema makes of a text, as JSON or as an object of a pydantic model.

The confidence of a field is the probability of its value under the grammar: the product of the
probabilities of the tokens that overlap it. It tells how sure the model was of these characters
among those that were allowed, not whether they are true; long values have lower ones.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from ...schemas.errors import RecordError, ValidationError
from ...schemas.grammar import JsonGrammar, parse_grammar
from ...schemas.response import Token

_GAP = re.compile(r"[\s,:]*")


@dataclass(frozen=True)
class RecordForm:
    """A schema, and the pydantic model that it came from if it did."""

    schema: Any
    model: type[pydantic.BaseModel] | None = None

    @classmethod
    def of(cls, given: Any) -> RecordForm:
        """Take a JSON Schema or a pydantic model. Raises GrammarError."""
        parsed = parse_grammar({"type": "json", "value": given})
        if not isinstance(parsed, JsonGrammar):
            raise ValidationError("a schema is needed for records", parameter="schema")
        is_model = isinstance(given, type) and issubclass(given, pydantic.BaseModel)
        return cls(parsed.schema, given if is_model else None)

    @property
    def grammar(self) -> dict[str, Any]:
        """The `grammar` field of a request."""
        return {"type": "json", "value": self.schema}

    def parse(self, text: str) -> Any:
        """Return the record of a text: an object of the model, or parsed JSON.

        Raises RecordError for what the validators of a model turn down though its schema does not.
        """
        if self.model is None:
            return json.loads(text)
        try:
            return self.model.model_validate_json(text)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the record"
            raise RecordError(f"the model turns down {where}: {first['msg']}") from error


def confidence(text: str, tokens: Sequence[Token]) -> dict[str, float] | None:
    """Return the probability of each top-level field's value, None if the text is no object."""
    spans = dict(_fields(text))
    if not spans:
        return None
    places: list[tuple[int, int, float]] = []
    end = 0
    for token in tokens:
        if not token.special:
            start, end = end, end + len(token.text)
            places.append((start, end, token.logprob or 0.0))
    return {
        name: math.exp(sum(p for a, b, p in places if a < last and b > first))
        for name, (first, last) in spans.items()
    }


def _fields(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the name of each field of a JSON object, and where its value begins and ends."""
    decoder = json.JSONDecoder()
    place = _after_gap(text, 0)
    if text[place : place + 1] != "{":
        return
    place = _after_gap(text, place + 1)
    while text[place] != "}":
        name, place = decoder.raw_decode(text, place)
        first = _after_gap(text, place)
        _, last = decoder.raw_decode(text, first)
        yield name, (first, last)
        place = _after_gap(text, last)


def _after_gap(text: str, place: int) -> int:
    gap = _GAP.match(text, place)
    return place if gap is None else gap.end()
