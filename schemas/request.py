"""A whole request: the prompt, its parameters, and whether the answer is streamed."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from .errors import ValidationError
from .parameters import (
    PREFIX,
    GenerateParameters,
    Limits,
    check_parameters,
    refuse,
    shape_error,
)


class GenerateRequest(BaseModel):
    """One prompt with its parameters; frozen, unknown names are ignored.

    Built in Python, `parameters` left out means greedy. Read from the wire with `parse`, it means
    sampling, because that is what the wire contract says.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    inputs: str = Field(json_schema_extra={"minLength": 1})
    parameters: GenerateParameters = Field(default_factory=GenerateParameters)
    stream: bool = False

    @classmethod
    def parse(cls, body: object, *, strict_names: bool = False) -> GenerateRequest:
        """Read a request body that is already parsed JSON; null is the same as absent.

        Raises ValidationError that names the field of a wrong type, and with `strict_names` a
        parameter that does not exist. Values are not checked yet: see `check_request`.
        """
        if not isinstance(body, Mapping):
            raise ValidationError(f"{PREFIX}the request must be a JSON object")
        try:
            shell = cls.model_validate(
                {
                    "inputs": body.get("inputs"),
                    "parameters": GenerateParameters(),
                    "stream": False if body.get("stream") is None else body["stream"],
                }
            )
        except pydantic.ValidationError as error:
            raise shape_error(error) from error
        parameters = _parameters(body.get("parameters"), strict_names=strict_names)
        return shell.model_copy(update={"parameters": parameters})


def _parameters(value: object, *, strict_names: bool) -> GenerateParameters:
    if value is None:
        return GenerateParameters(do_sample=True)
    if not isinstance(value, Mapping):
        refuse("parameters must be an object", "parameters")
    return GenerateParameters.parse(value, strict_names=strict_names)


def check_inputs(inputs: str) -> None:
    """Check a prompt. Raises ValidationError if it is empty or no text."""
    if not inputs:
        refuse("inputs must not be empty", "inputs")
    try:
        inputs.encode()
    except UnicodeEncodeError:
        refuse("tokenizer error: inputs holds half of a surrogate pair", "inputs")


def check_request(request: GenerateRequest, limits: Limits) -> None:
    """Check all values that need no tokenizer; `limits` come from `Limits.for_context`.

    Raises ValidationError for the first one at fault, in the order of the wire contract.
    """
    check_parameters(request.parameters, limits, stream=request.stream)
    check_inputs(request.inputs)
    truncate, most = request.parameters.truncate, limits.max_input_tokens
    if truncate is not None and (truncate < 1 or (most is not None and truncate > most)):
        refuse(f"truncate must lie in [1, {most}], got {truncate}", "truncate")


def check_length(input_length: int, max_new_tokens: int | None, limits: Limits) -> int:
    """Return how many tokens may be made after a prompt of `input_length` tokens.

    Raises ValidationError if the prompt, or both together, are longer than the limits.
    """
    total, most = limits.max_total_tokens, limits.max_input_tokens
    if max_new_tokens is not None and total is not None and input_length + max_new_tokens > total:
        refuse(
            f"{input_length} prompt tokens + {max_new_tokens} max_new_tokens exceed {total}",
            "max_new_tokens",
        )
    if most is not None and input_length > most:
        refuse(f"prompt has {input_length} tokens, limit {most} (equality is allowed)", "inputs")
    if max_new_tokens is not None:
        return max_new_tokens
    if total is None:
        refuse("max_new_tokens is required where max_total_tokens is unknown", "max_new_tokens")
    return total - input_length
