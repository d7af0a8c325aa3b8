"""What comes back: a whole response, or one event per token.

`to_dict` decides which keys are present, because clients tell "not asked for" (no key) from
"nothing there" (null). `to_json` escapes everything outside ASCII: some clients split a stream at
every character that Unicode calls a line end.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .errors import LockstitchError, ValidationError
from .parameters import PREFIX

FinishReason = Literal["length", "eos_token", "stop_sequence"]


class WireModel(BaseModel):
    """Plain frozen data with one way onto the wire."""

    model_config = ConfigDict(frozen=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object, with exactly the keys that belong on the wire."""
        return {
            name: _plain(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if not field.exclude
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON on one line, in ASCII."""
        return json.dumps(self.to_dict(), ensure_ascii=True, allow_nan=False, separators=(",", ":"))

    def _without(self, *names: str) -> dict[str, Any]:
        found = WireModel.to_dict(self)
        return {name: found[name] for name in found if name not in names}


def _plain(value: object) -> object:
    if isinstance(value, WireModel):
        return value.to_dict()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


class PrefillToken(WireModel):
    """A token of the prompt; `logprob` is None for the first one and where it is not finite."""

    id: int = Field(ge=0)
    text: str
    logprob: float | None


class TokenStatistics(WireModel):
    """How a token stood in the model's own distribution, before penalties, mask and filters.

    `legal_mass` is the probability of all tokens that the grammar allowed there (1.0 without one);
    `forced` tells that it left no choice. `raw_logprob` is None where it is not finite, and both
    are where the model was not asked: in a text that the grammar forces, and for the end behind it.
    """

    raw_logprob: float | None
    legal_mass: float | None = Field(ge=0)
    forced: bool


class Token(WireModel):
    """A generated token; `text` is what it added, "" while a character is unfinished.

    `logprob` is taken after penalties, mask and filters, so a token without alternative has 0.0.
    `statistics` are there only where they were asked for.
    """

    id: int = Field(ge=0)
    text: str
    logprob: float | None = Field(le=0)
    special: bool
    statistics: TokenStatistics | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; without `statistics` if there are none."""
        return self._without(*(["statistics"] if self.statistics is None else []))


class _Sequence(WireModel):
    """What is told about one generated text. `top_tokens` None leaves its key out."""

    finish_reason: FinishReason
    generated_tokens: int = Field(ge=1)
    seed: int | None
    prefill: tuple[PrefillToken, ...]
    tokens: tuple[Token, ...]
    top_tokens: tuple[tuple[Token, ...], ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object, without the keys that were not asked for."""
        optional = ("top_tokens", "best_of_sequences")
        return self._without(*(name for name in optional if getattr(self, name, None) is None))


class BestOfSequence(_Sequence):
    """A text that was generated, but was not the likeliest."""

    generated_text: str


class Details(_Sequence):
    """`details` of a response; `forced_tokens`, not on the wire, had no alternative."""

    best_of_sequences: tuple[BestOfSequence, ...] | None = None
    forced_tokens: int = Field(default=0, exclude=True)


class GenerateResponse(WireModel):
    """The answer to one request; `details` only where they were asked for."""

    generated_text: str
    details: Details | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; without `details` if there are none."""
        return self._without(*(["details"] if self.details is None else []))


class StreamDetails(WireModel):
    """`details` of the last event; `input_length` counts the prompt after truncation."""

    finish_reason: FinishReason
    generated_tokens: int = Field(ge=1)
    seed: int | None
    input_length: int = Field(ge=1)
    forced_tokens: int = Field(default=0, exclude=True)


class StreamEvent(WireModel):
    """One token of a stream; `index` starts at 1, only the last event has `generated_text`."""

    index: int = Field(ge=1)
    token: Token
    top_tokens: tuple[Token, ...] = ()
    generated_text: str | None = None
    details: StreamDetails | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; without `top_tokens` if there are none."""
        return self._without(*([] if self.top_tokens else ["top_tokens"]))


def error_body(error: LockstitchError) -> dict[str, str]:
    """Return the JSON object that stands for an error on the wire."""
    message = error.message
    if isinstance(error, ValidationError) and not message.startswith(PREFIX):
        message = PREFIX + message
    return {"error": message, "error_type": error.error_type}
