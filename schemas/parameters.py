"""The generation parameters of a request: types first, then bounds, in the order of the contract.

Reading (`GenerateParameters.parse`) settles names and types, checking (`check_parameters`) settles
values against the limits of the engine. They are apart because a server answers the first before
it looks at the second, and because only the second depends on where the request runs. Numbers are
rounded to float32 when they are read, so what is checked is what the sampler will see.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, NoReturn

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from .errors import ValidationError
from .grammar import GRAMMAR_FIELD

PREFIX = "Input validation error: "


def refuse(reason: str, parameter: str) -> NoReturn:
    """Raise the ValidationError for a parameter, worded as on the wire."""
    raise ValidationError(f"{PREFIX}{reason}", parameter=parameter)


@dataclass(frozen=True)
class Limits:
    """What an engine is willing to do for one request; the defaults are those of the wire contract.

    The token limits of None follow the model: a prompt and its answer fill the context at most.
    `accept_one=False` refuses top_p and typical_p of exactly 1.0, which otherwise mean "off".
    `max_batch_size` bounds the rows of one forward pass and `max_batch_total_tokens` the positions
    of the KV cache (None: by the memory that is free); neither bounds what a caller may ask for.
    `adapters` are the ids of those that are loaded.
    """

    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5
    max_input_tokens: int | None = None
    max_total_tokens: int | None = None
    max_batch_size: int = 32
    max_batch_total_tokens: int | None = None
    adapters: frozenset[str] = frozenset()
    grammar_support: bool = True
    accept_one: bool = True

    def for_context(self, context_length: int, adapters: frozenset[str] = frozenset()) -> Limits:
        """Return these limits with the token limits filled in and checked against the model.

        Raises ValidationError naming the limit that does not fit.
        """
        total = context_length if self.max_total_tokens is None else self.max_total_tokens
        if not 2 <= total <= context_length:
            refuse(f"max_total_tokens must lie in [2, {context_length}]", "max_total_tokens")
        most = total - 1 if self.max_input_tokens is None else self.max_input_tokens
        if not 1 <= most < total:
            refuse(f"max_input_tokens must lie in [1, {total - 1}]", "max_input_tokens")
        if self.max_batch_size < 1:
            refuse("max_batch_size must be >= 1", "max_batch_size")
        positions = self.max_batch_total_tokens
        if positions is not None and positions < total:
            refuse(f"max_batch_total_tokens must be >= {total}", "max_batch_total_tokens")
        return replace(self, max_total_tokens=total, max_input_tokens=most, adapters=adapters)


def _to_float32(value: float) -> float:
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError as error:
        raise ValueError("must fit a 32-bit float") from error
    return rounded


def _to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _number(**bounds: float) -> WithJsonSchema:
    return WithJsonSchema({"type": "number", **bounds})


_Float32 = Annotated[float, AfterValidator(_to_float32)]
_Positive = Annotated[_Float32, _number(exclusiveMinimum=0)]
_Mass = Annotated[_Float32, _number(exclusiveMinimum=0, maximum=1)]
_Penalty = Annotated[_Float32, _number(minimum=-2, maximum=2)]
_Strings = Annotated[
    tuple[str, ...],
    BeforeValidator(_to_tuple),
    WithJsonSchema({"type": "array", "items": {"type": "string", "minLength": 1}}),
]
_UNSIGNED_32 = 2**32 - 1
_UNSIGNED_64 = 2**64 - 1


def _count(most: int, least: int = 1) -> Any:
    """An unsigned integer; 0 is well typed, but shown as below the bound where `least` is 1."""
    return Field(default=None, ge=0, le=most, json_schema_extra=lambda s: _show_least(s, least))


def _show_least(schema: dict[str, Any], least: int) -> None:
    schema["anyOf"][0]["minimum"] = least


class GenerateParameters(BaseModel):
    """`parameters` of a request; None is unset everywhere. Frozen; unknown names are ignored.

    Two are extensions: `complete` has the text of a grammar end within the budget, and
    `token_statistics` has each token tell how it stood before penalties and mask. The values are
    typed but not yet checked: see `check_parameters`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    adapter_id: str | None = None
    best_of: int | None = _count(_UNSIGNED_64)
    complete: bool | None = None
    decoder_input_details: bool | None = None
    details: bool | None = None
    do_sample: bool | None = None
    frequency_penalty: _Penalty | None = None
    grammar: Annotated[Any, WithJsonSchema(GRAMMAR_FIELD)] = None
    max_new_tokens: int | None = _count(_UNSIGNED_32)
    repetition_penalty: _Positive | None = None
    return_full_text: bool | None = None
    seed: int | None = _count(_UNSIGNED_64, least=0)
    stop: _Strings | None = None
    temperature: _Positive | None = None
    top_k: int | None = Field(
        default=None,
        ge=-(2**31),
        le=2**31 - 1,
        json_schema_extra=lambda s: _show_least(s, 1),
    )
    top_n_tokens: int | None = _count(_UNSIGNED_32, least=0)
    top_p: _Mass | None = None
    token_statistics: bool | None = None
    truncate: int | None = _count(_UNSIGNED_64)
    typical_p: _Mass | None = None
    watermark: bool | None = None

    @classmethod
    def parse(
        cls, values: Mapping[str, object], *, strict_names: bool = False
    ) -> GenerateParameters:
        """Read parameters, rounding floats to float32.

        Raises ValidationError naming the parameter for a wrong type, an integer outside its machine
        type, and, with `strict_names`, a name that does not exist.
        """
        unknown = [name for name in values if name not in cls.model_fields]
        if strict_names and unknown:
            refuse(f"there is no parameter {unknown[0]}", str(unknown[0]))
        try:
            return cls.model_validate(dict(values))
        except pydantic.ValidationError as error:
            raise shape_error(error) from error

    @property
    def sampling(self) -> bool:
        """Whether tokens are drawn; else the likeliest one is taken."""
        return bool(self.do_sample) or self._filtered or (self.temperature or 1.0) != 1.0

    @property
    def generated_penalties(self) -> tuple[float, float]:
        """What to subtract for each time a token was generated, and once if it was at all."""
        return (0.0, 0.0)

    @property
    def _filtered(self) -> bool:
        masses = (self.top_p, self.typical_p)  # of which 1.0 is the same as none
        return self.top_k is not None or any(mass not in (None, 1.0) for mass in masses)


_SENTENCES = {
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be an array of strings",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "missing": "is required",
    "finite_number": "must be a finite number",
    "value_error": "must fit a 32-bit float",
}


def shape_error(error: pydantic.ValidationError) -> ValidationError:
    """Return the first problem that pydantic found, as a sentence that names the field."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "request"
    context = first.get("ctx", {})
    if first["type"] == "greater_than_equal":
        sentence = f"must be >= {context['ge']}"
    elif first["type"] == "less_than_equal":
        sentence = f"must be <= {context['le']}"
    else:
        sentence = _SENTENCES.get(first["type"], first["msg"])
    name = str(first["loc"][0]) if first["loc"] else None
    return ValidationError(f"{PREFIX}{where} {sentence}", parameter=name)


# --- checking values -----------------------------------------------------------------------------


def check_parameters(parameters: GenerateParameters, limits: Limits, *, stream: bool) -> None:
    """Check the values of all parameters that need neither the prompt nor the model.

    Raises ValidationError for the first one at fault, in the order of the wire contract.
    """
    p = parameters
    if stream:
        _check_streamable(p)
    else:
        _check_best_of_limit(p, limits)
    _check_best_of_samples(p)
    _check_positive("temperature", p.temperature)
    _check_positive("repetition_penalty", p.repetition_penalty)
    if p.frequency_penalty is not None and not -2 <= p.frequency_penalty <= 2:
        refuse("frequency_penalty must lie in [-2, 2]", "frequency_penalty")
    _check_mass("top_p", p.top_p, limits)
    _check_mass("typical_p", p.typical_p, limits)
    _check_at_least_one("top_k", p.top_k)
    _check_at_least_one("max_new_tokens", p.max_new_tokens)
    _check_stop(p.stop or (), limits)
    if (p.best_of or 1) > 1 and p.seed is not None:
        refuse("seed cannot be combined with best_of > 1", "seed")
    _check_top_n(p.top_n_tokens or 0, limits)
    if p.adapter_id and p.adapter_id not in limits.adapters:
        refuse(f"adapter {p.adapter_id} is not loaded", "adapter_id")


def _check_streamable(p: GenerateParameters) -> None:
    if p.best_of not in (None, 1):
        refuse("best_of cannot be streamed", "best_of")
    if p.decoder_input_details:
        refuse("decoder_input_details cannot be streamed", "decoder_input_details")


def _check_best_of_limit(p: GenerateParameters, limits: Limits) -> None:
    best_of = 1 if p.best_of is None else p.best_of
    if best_of != 1 and limits.max_best_of == 1:
        refuse("this server does not offer best_of", "best_of")
    if not 1 <= best_of <= limits.max_best_of:
        refuse(f"best_of must be between 1 and {limits.max_best_of}, got {best_of}", "best_of")


def _check_best_of_samples(p: GenerateParameters) -> None:
    # Here a temperature that is merely present counts, even 1.0, which alone does not sample.
    if (p.best_of or 1) > 1 and not p.sampling and p.temperature is None:
        reason = "best_of needs sampling (set do_sample, temperature, top_k, top_p or typical_p)"
        refuse(reason, "best_of")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not value > 0:
        refuse(f"{name} must be > 0", name)


def _check_at_least_one(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        refuse(f"{name} must be >= 1", name)


def _check_mass(name: str, value: float | None, limits: Limits) -> None:
    off = limits.accept_one and value == 1.0
    if value is not None and not (0 < value < 1 or off):
        refuse(f"{name} must lie in (0, 1)", name)


def _check_stop(stop: tuple[str, ...], limits: Limits) -> None:
    if len(stop) > limits.max_stop_sequences:
        refuse(f"at most {limits.max_stop_sequences} stop sequences, got {len(stop)}", "stop")
    if "" in stop:
        refuse("stop strings must not be empty", "stop")


def _check_top_n(count: int, limits: Limits) -> None:
    most = limits.max_top_n_tokens
    if count > most:
        refuse(f"top_n_tokens must lie in [0, {most}], got {count}", "top_n_tokens")
