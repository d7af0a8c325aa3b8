"""What the OpenAI routes answer: whole replies, chunks of a stream, and errors.

As with the other responses, `to_dict` decides which keys are present. In chunks that matters:
clients add up what deltas hold, so a role, an id or a name that is sent twice appears twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from .errors import LockstitchError, ValidationError
from .response import FinishReason, Token, WireModel, error_body

ChatFinish = Literal["stop", "length", "tool_calls"]
CompletionFinish = Literal["stop", "length"]
UNLIKELY = -9999.0
"""OpenAI's log-probability for a token that has none."""


def finish_reason(reason: FinishReason) -> CompletionFinish:
    """Return OpenAI's word for the engine's: a stop string and an end of text are both "stop"."""
    return "length" if reason == "length" else "stop"


@dataclass(frozen=True)
class Envelope:
    """What all parts of one reply repeat; `created` in seconds since 1970."""

    id: str
    created: int
    model: str
    system_fingerprint: str

    def fields(self) -> dict[str, Any]:
        """Return them as keyword arguments of a reply."""
        return {
            "id": self.id,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.system_fingerprint,
        }


class Usage(WireModel):
    """Counts of tokens."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    total_tokens: int = Field(ge=0)

    @classmethod
    def of(cls, prompt: int, completion: int) -> Usage:
        """Return the counts with their sum."""
        return cls(
            prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
        )


class _Reply(WireModel):
    """The head of every reply."""

    id: str
    created: int
    model: str
    system_fingerprint: str


class TopLogprob(WireModel):
    """One of the likeliest tokens of a place; `bytes` is null, as characters span tokens."""

    token: str
    logprob: float = Field(le=0)
    bytes: None = None

    @classmethod
    def of(cls, token: Token) -> TopLogprob:
        """Return it for a token; a log-probability that is not finite becomes -9999."""
        return cls(token=token.text, logprob=_finite(token))


class TokenLogprob(TopLogprob):
    """A generated token with the likeliest ones of its place, if they were asked for."""

    top_logprobs: tuple[TopLogprob, ...]


def _finite(token: Token) -> float:
    return UNLIKELY if token.logprob is None else token.logprob


class ChatLogprobs(WireModel):
    """The generated tokens in their order, special ones included."""

    content: tuple[TokenLogprob, ...]


def token_logprob(token: Token, top: tuple[Token, ...]) -> TokenLogprob:
    """Return a generated token and its alternatives as OpenAI writes them."""
    return TokenLogprob(
        token=token.text,
        logprob=_finite(token),
        top_logprobs=tuple(map(TopLogprob.of, top)),
    )


# --- chat, as a whole ----------------------------------------------------------------------------


class CalledWith(WireModel):
    """The name of a function and the JSON text of its arguments."""

    name: str
    arguments: str


class ToolCall(WireModel):
    """A call that the client is asked to make."""

    id: str
    type: Literal["function"] = "function"
    function: CalledWith


class AssistantMessage(WireModel):
    """The answer; `content` is None where it is a call."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    tool_calls: tuple[ToolCall, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; without `tool_calls` if there are none."""
        return self._without(*([] if self.tool_calls else ["tool_calls"]))


class ChatChoice(WireModel):
    """The one answer to a chat request."""

    index: int = Field(ge=0)
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinish


class ChatCompletion(_Reply):
    """The reply to a chat request that is not streamed."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: tuple[ChatChoice, ...]
    usage: Usage


# --- chat, as a stream ---------------------------------------------------------------------------


class FunctionDelta(WireModel):
    """More of a call; `name` only at its start."""

    name: str | None = None
    arguments: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; without `name` if it was sent before."""
        return self._without(*(["name"] if self.name is None else []))


class ToolCallDelta(WireModel):
    """More of the call at `index`; `id` and `type` only at its start."""

    index: int = Field(ge=0)
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; without the keys that were sent before."""
        return self._without(*(key for key in ("id", "type") if getattr(self, key) is None))


class ChatDelta(WireModel):
    """What a chunk adds; `role` is in the first one only."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: tuple[ToolCallDelta, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; the first one says that a call has no content."""
        absent = {
            "role": self.role is None,
            "content": self.content is None and self.role is None,
            "tool_calls": not self.tool_calls,
        }
        return self._without(*(key for key, gone in absent.items() if gone))


class ChatChunkChoice(WireModel):
    """The part of the one answer that a chunk has; `finish_reason` in the last one."""

    index: int = Field(ge=0)
    delta: ChatDelta
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinish | None


class ChatChunk(_Reply):
    """An event of a chat stream; the one with `usage` has no choices."""

    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    choices: tuple[ChatChunkChoice, ...]
    usage: Usage | None


# --- completions ---------------------------------------------------------------------------------


class CompletionLogprobs(WireModel):
    """The tokens of a text column by column; offsets are code points from its start."""

    tokens: tuple[str, ...]
    token_logprobs: tuple[float, ...]
    top_logprobs: tuple[dict[str, float], ...]
    text_offset: tuple[int, ...]


def completion_logprobs(
    tokens: tuple[Token, ...], top: tuple[tuple[Token, ...], ...], offset: int = 0
) -> CompletionLogprobs:
    """Return tokens and their alternatives as OpenAI writes them; the first starts at `offset`."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(shown(token))
    return CompletionLogprobs(
        tokens=tuple(token.text for token in tokens),
        token_logprobs=tuple(map(_finite, tokens)),
        top_logprobs=tuple({token.text: _finite(token) for token in place} for place in top),
        text_offset=tuple(offsets),
    )


def shown(token: Token) -> str:
    """Return what a token adds to the text; special ones add nothing."""
    return "" if token.special else token.text


class CompletionChoice(WireModel):
    """The text for the prompt at `index`, or, in a chunk, more of it."""

    index: int = Field(ge=0)
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: CompletionFinish | None


class Completion(_Reply):
    """The reply to a completion request that is not streamed."""

    object: Literal["text_completion"] = "text_completion"
    choices: tuple[CompletionChoice, ...]
    usage: Usage


class CompletionChunk(_Reply):
    """An event of a completion stream; prompts take turns, told apart by the index."""

    object: Literal["text_completion"] = "text_completion"
    choices: tuple[CompletionChoice, ...]
    usage: Usage | None


# --- errors --------------------------------------------------------------------------------------

_TYPES = {429: "rate_limit_error", 422: "invalid_request_error"}


def openai_error_body(error: LockstitchError) -> dict[str, Any]:
    """Return the JSON object for an error on the OpenAI routes, also inside a stream.

    OpenAI's clients read `error.message`, the text-generation clients `error_type`.
    """
    return {
        "error": {
            "message": error_body(error)["error"],
            "type": _TYPES.get(error.status, "server_error"),
            "param": error.parameter if isinstance(error, ValidationError) else None,
            "code": error.error_type,
        },
        "error_type": error.error_type,
    }
