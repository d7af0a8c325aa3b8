"""Every error that lockstitch raises on purpose, as values with fields.

The tree mirrors the wire contract: each class carries the `error_type` and the HTTP status that a
server sends for it, so the library and the server fail with the same object.

* LockstitchError
    * ValidationError               "validation" 422              the request cannot be accepted
        * GrammarError                                            its grammar cannot
            * InvalidGrammarError                                 not a JSON Schema, not a regex
            * UnsupportedGrammarError                             well formed, but refused by name
            * UnsatisfiableGrammarError                           no text can match
            * GrammarTooLargeError                                a counted limit was passed
            * IncompatibleVocabularyError                         the tokenizer cannot write it
        * InfeasibleBudgetError                                   too few tokens for any text
    * ModelUnavailableError         "validation" 422              no model where one was asked for
    * OverloadedError               "overloaded" 429
    * GenerationError               "generation" 424
        * TokenRejectedError                                      `advance` with a masked token
    * IncompleteGenerationError     "incomplete_generation" 500
    * StreamSerializationError      "stream_serialization_error" 500
    * ToolError                     "tool_error" 422              tools that cannot be offered
    * TemplateError                 "template_error" 422          the chat template failed
    * MissingTemplateVariableError  "missing_template_variable" 422
    * SuffixError                   "suffix not supported" 422
    * BatchSizeError                "batch size exceeded" 422
    * UnhealthyError                "healthcheck" 503
    * RecordError                   "record" 422
    * JobError                      "job" 422
        - JobChangedError
        - JobStoppedError
"""

from __future__ import annotations

from typing import Any, ClassVar


class LockstitchError(Exception):
    """Base of all deliberate errors; `str()` is a sentence that says what to change."""

    error_type: ClassVar[str] = "generation"
    status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        message = message.encode(errors="backslashreplace").decode()  # no half of a surrogate pair
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)  # subclasses take other arguments


def _restored(
    kind: type[LockstitchError], args: tuple[Any, ...], fields: dict[str, Any]
) -> LockstitchError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class ValidationError(LockstitchError):
    """A request that is refused before any work; `parameter` names the field at fault, if any."""

    error_type = "validation"
    status = 422

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class GrammarError(ValidationError):
    """A grammar that is refused before the first token.

    `pointer` is a JSON pointer into the schema ("" is its root), `offset` a code point offset into
    a regex; each is None where it has no meaning. `reason` is the sentence without the place.
    """

    def __init__(
        self, reason: str, *, pointer: str | None = None, offset: int | None = None
    ) -> None:
        places = []
        if pointer is not None:
            places.append(f"at {pointer or 'the root'!s}")
        if offset is not None:
            places.append(f"at offset {offset}")
        where = " ".join(places)
        super().__init__(f"grammar {where}: {reason}" if where else reason, parameter="grammar")
        self.reason = reason
        self.pointer = pointer
        self.offset = offset


class InvalidGrammarError(GrammarError):
    """The value is not a JSON Schema or not a regular expression."""


class UnsupportedGrammarError(GrammarError):
    """The grammar is well formed, but `feature` (a keyword or construct) is not enforced."""

    def __init__(
        self,
        feature: str,
        reason: str,
        *,
        pointer: str | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(f"{feature}: {reason}", pointer=pointer, offset=offset)
        self.feature = feature


class UnsatisfiableGrammarError(GrammarError):
    """No text matches; `pointers` are the places that contradict each other."""

    def __init__(
        self, reason: str, *, pointer: str | None = None, pointers: tuple[str, ...] = ()
    ) -> None:
        super().__init__(reason, pointer=pointer)
        self.pointers = pointers or ((pointer,) if pointer is not None else ())


class GrammarTooLargeError(GrammarError):
    """A counted limit was passed: its name is `limit`, its value `allowed`."""

    def __init__(
        self,
        limit: str,
        allowed: int,
        reached: int,
        *,
        pointer: str | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(
            f"the grammar needs {reached} {limit}, the limit is {allowed}",
            pointer=pointer,
            offset=offset,
        )
        self.limit = limit
        self.allowed = allowed
        self.reached = reached


class IncompatibleVocabularyError(GrammarError):
    """No token of the vocabulary can continue a text of the grammar; `prefix` is that text."""

    def __init__(self, reason: str, *, prefix: bytes = b"") -> None:
        super().__init__(reason)
        self.prefix = prefix


class InfeasibleBudgetError(ValidationError):
    """`complete` was asked for, but the shortest text takes `needed` tokens of `allowed`."""

    def __init__(self, allowed: int, needed: int) -> None:
        super().__init__(
            f"Input validation error: the shortest text of this grammar takes {needed} tokens; "
            f"raise max_new_tokens, which is {allowed}, or set complete to false",
            parameter="max_new_tokens",
        )
        self.allowed = allowed
        self.needed = needed


class ModelUnavailableError(ValidationError):
    """The model asked for is not on this machine; the message says how to bring it."""


class OverloadedError(LockstitchError):
    """No room for the request now; it can be sent again."""

    error_type = "overloaded"
    status = 429


class GenerationError(LockstitchError):
    """Something failed while tokens were being made."""

    error_type = "generation"
    status = 424


def during_generation(error: LockstitchError) -> GenerationError:
    """Return what a row is told whose text was under way: a refusal would come too late."""
    if isinstance(error, GenerationError):
        return error
    return GenerationError(f"Request failed during generation: {error.message}")


class TokenRejectedError(GenerationError):
    """`advance` was called with a token that the mask of `state` forbids."""

    def __init__(self, token_id: int, state: int) -> None:
        super().__init__(f"token {token_id} is not allowed in state {state}")
        self.token_id = token_id
        self.state = state


class IncompleteGenerationError(LockstitchError):
    """A generation ended without a final token."""

    error_type = "incomplete_generation"
    status = 500


class StreamSerializationError(LockstitchError):
    """An event of a stream could not be written as JSON."""

    error_type = "stream_serialization_error"
    status = 500


class ToolError(LockstitchError):
    """The tools of a chat request contradict each other or the rest of it."""

    error_type = "tool_error"
    status = 422


class TemplateError(LockstitchError):
    """The model has no chat template, or its template cannot render these messages."""

    error_type = "template_error"
    status = 422


class MissingTemplateVariableError(LockstitchError):
    """The chat template asks for a variable that the request does not give."""

    error_type = "missing_template_variable"
    status = 422


class SuffixError(LockstitchError):
    """A completion asks for text before a given suffix."""

    error_type = "suffix not supported"
    status = 422


class BatchSizeError(LockstitchError):
    """A completion has more prompts than the server takes in one request."""

    error_type = "batch size exceeded"
    status = 422


class UnhealthyError(LockstitchError):
    """The engine cannot answer requests any more."""

    error_type = "healthcheck"
    status = 503


class RecordError(LockstitchError):
    """A text that matches its schema, and is turned down all the same; or is no whole record."""

    error_type = "record"
    status = 422


class JobError(LockstitchError):
    """A job that cannot begin or go on; `parameter` names the option at fault, if any."""

    error_type = "job"
    status = 422

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class JobChangedError(JobError):
    """The ledger belongs to a job with another schema, prompt, model or parameters (`changed`)."""

    def __init__(self, ledger: str, changed: list[str]) -> None:
        super().__init__(
            f"{ledger} has results of another job: {', '.join(changed)} changed; choose another "
            "output, or pass --restart to forget them"
        )
        self.changed = changed


class JobStoppedError(JobError):
    """A row has no record and the job was to stop there; what was done is in the ledger."""
