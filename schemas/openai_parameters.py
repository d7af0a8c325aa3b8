"""What both OpenAI routes share: the sampling fields and their translation into parameters.

The names are OpenAI's, and so are the meanings: temperature 0 takes the likeliest token, no
temperature draws, and the two penalties count generated tokens only. Fields that would change the
text but are not offered (several choices, biases) are refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from .errors import ValidationError
from .parameters import PREFIX, GenerateParameters, refuse, shape_error
from .request import GenerateRequest

STRICT = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)
"""How every object of a request is read: by its exact types, unknown names left out."""


class OpenAiParameters(GenerateParameters):
    """Parameters with OpenAI's penalties, which look at the generated tokens and not the prompt.

    `count_penalty` is OpenAI's frequency penalty: subtracted as often as the token was generated.
    """

    presence_penalty: float | None = None
    count_penalty: float | None = None

    @property
    def generated_penalties(self) -> tuple[float, float]:
        """What to subtract for each time a token was generated, and once if it was at all."""
        return (self.count_penalty or 0.0, self.presence_penalty or 0.0)


def array(name: str) -> BeforeValidator:
    """Return a validator that turns an array into the tuple that frozen objects hold."""

    def check(value: object) -> object:
        if not isinstance(value, list | tuple | None):
            refuse(f"{name} must be an array", name)
        return None if value is None else tuple(value)

    return BeforeValidator(check)


def _stop_strings(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _no_bias(value: object) -> object:
    if not isinstance(value, Mapping | list | None):
        refuse("logit_bias must be an object", "logit_bias")
    if value:
        refuse("logit_bias is not offered; leave it out or send {}", "logit_bias")
    return None


def only_one(name: str) -> BeforeValidator:
    """Return a validator for a count which may be given, but only as 1."""

    def check(value: object) -> object:
        if value is not None and (value != 1 or isinstance(value, bool)):
            refuse(f"{name} must be 1: each request has one choice per prompt", name)
        return None if value is None else 1

    return BeforeValidator(check)


_STRING = {"type": "string", "minLength": 1}
_Strings = Annotated[
    tuple[str, ...],
    WithJsonSchema({"anyOf": [_STRING, {"type": "array", "items": _STRING}]}),
]
_Penalty = Annotated[float, WithJsonSchema({"type": "number", "minimum": -2, "maximum": 2})]
_Temperature = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0})]
_Mass = Annotated[float, WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1})]
_Bias = WithJsonSchema({"type": ["object", "array", "null"], "maxProperties": 0, "maxItems": 0})
_One = WithJsonSchema({"enum": [1, None]})


class StreamOptions(BaseModel):
    """What a stream has besides the text."""

    model_config = STRICT

    include_usage: bool | None = None


class OpenAiRequest(BaseModel):
    """The fields that chat and completion requests have in common; None is unset."""

    model_config = STRICT

    model: str | None = None
    frequency_penalty: _Penalty | None = None
    logit_bias: Annotated[None, BeforeValidator(_no_bias), _Bias] = None
    max_tokens: int | None = Field(default=None, ge=0, le=2**32 - 1)
    n: Annotated[int | None, only_one("n"), _One] = None
    presence_penalty: _Penalty | None = None
    seed: int | None = Field(default=None, ge=0, le=2**64 - 1)
    stop: Annotated[_Strings | None, BeforeValidator(_stop_strings)] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: _Temperature | None = None
    top_p: _Mass | None = None

    @classmethod
    def parse(cls, body: object) -> Self:
        """Read a request body that is already parsed JSON; null is the same as absent.

        Raises ValidationError that names the field, and ToolError, SuffixError or BatchSizeError
        where a request has those. Limits of the engine (stop strings, lengths, top_p) come later.
        """
        if not isinstance(body, Mapping):
            raise ValidationError(f"{PREFIX}the request must be a JSON object")
        try:
            request = cls.model_validate(dict(body))
        except pydantic.ValidationError as error:
            raise shape_error(error) from error
        request.check()
        return request

    def check(self) -> None:
        """Raise ValidationError for the first value out of bounds."""
        if self.temperature is not None and self.temperature < 0:
            refuse("temperature must be >= 0", "temperature")
        for name in ("frequency_penalty", "presence_penalty"):
            if not -2 <= (getattr(self, name) or 0) <= 2:
                refuse(f"{name} must lie in [-2, 2]", name)
        self.parameters()

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk that counts tokens."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def adapter_id(self) -> str | None:
        """The name that may be a loaded adapter; None where the request names no model."""
        return None if self.model in (None, "", "tgi") else self.model

    def parameters(self) -> OpenAiParameters:
        """Return the parameters; `details` is set, so the last event of a stream can be seen."""
        try:
            return OpenAiParameters.model_validate(self.values())
        except pydantic.ValidationError as error:  # a number that no float32 holds
            raise shape_error(error) from error

    def values(self) -> dict[str, Any]:
        """Return the fields of `OpenAiParameters` that this request sets."""
        greedy = self.temperature == 0
        return {
            "details": True,
            "do_sample": not greedy,
            "temperature": None if greedy else self.temperature,
            "top_p": None if greedy or self.top_p == 1 else self.top_p,  # either would sample
            "seed": self.seed,
            "stop": self.stop,
            "max_new_tokens": self.max_tokens,
            "presence_penalty": self.presence_penalty,
            "count_penalty": self.frequency_penalty,
        }

    def to_generate(
        self, prompt: str, *, stream: bool, adapter_id: str | None = None
    ) -> GenerateRequest:
        """Return the request for the engine; its parameters are `OpenAiParameters`.

        `prompt` is one prompt, or the rendered chat template. `adapter_id` is given where the
        model name turned out to be a loaded adapter.
        """
        chosen = self.parameters().model_copy(update={"adapter_id": adapter_id})
        return GenerateRequest(inputs=prompt, parameters=chosen, stream=stream)
