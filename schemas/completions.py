"""A completion request: prompts in, texts out, without messages, tools or a grammar.

A text before a suffix, an echo of the prompt and several candidates are not offered; they are
refused by name.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from .errors import BatchSizeError, SuffixError
from .openai_parameters import OpenAiRequest, only_one
from .parameters import refuse

MAX_PROMPTS = 4
"""Prompts that a request may have unless the server says otherwise."""


def _as_prompts(value: object) -> object:
    if not isinstance(value, str | list) or not all(isinstance(item, str) for item in value):
        refuse("prompt must be a string or an array of strings", "prompt")
    return (value,) if isinstance(value, str) else tuple(value)


_PROMPT = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
        ]
    }
)


class CompletionRequest(OpenAiRequest):
    """The body of a completion request; frozen, unknown names are ignored. Made with `parse`."""

    prompt: Annotated[tuple[str, ...], BeforeValidator(_as_prompts), _PROMPT]
    best_of: Annotated[int | None, only_one("best_of"), WithJsonSchema({"enum": [1, None]})] = None
    echo: bool | None = None
    logprobs: int | None = Field(default=None, ge=0, le=2**32 - 1)
    repetition_penalty: (
        Annotated[float, WithJsonSchema({"type": "number", "exclusiveMinimum": 0})] | None
    ) = None
    suffix: str | None = None

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts; each gets a choice of the same index."""
        return self.prompt

    def check(self) -> None:
        """Raise ValidationError or SuffixError for the first thing that cannot be honoured."""
        super().check()
        if self.suffix is not None:
            raise SuffixError("suffix is not offered; leave it out")
        if self.echo:
            refuse("echo is not offered; put the prompt before the text yourself", "echo")
        if not self.prompt:
            refuse("prompt must not be an empty array", "prompt")

    def check_batch(self, max_prompts: int = MAX_PROMPTS) -> None:
        """Raise BatchSizeError if there are more prompts than the server takes in one request."""
        if len(self.prompt) > max_prompts:
            given = len(self.prompt)
            raise BatchSizeError(f"at most {max_prompts} prompts in one request, got {given}")

    def values(self) -> dict[str, Any]:
        """Return the fields of `OpenAiParameters` that this request sets."""
        return {
            **super().values(),
            "repetition_penalty": self.repetition_penalty,
            "top_n_tokens": self.logprobs,
        }
