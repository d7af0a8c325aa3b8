"""From what the engine says to what the OpenAI routes answer, whole or event by event.

The events must carry details, which `to_generate` asks for: the last one is known by them. What
is streamed adds up to the whole reply, also where a stop string ends inside the last token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .chat import ChatRequest
from .chat_response import (
    AssistantMessage,
    CalledWith,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChatDelta,
    ChatFinish,
    ChatLogprobs,
    Completion,
    CompletionChoice,
    CompletionChunk,
    CompletionFinish,
    Envelope,
    FunctionDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
    completion_logprobs,
    finish_reason,
    shown,
    token_logprob,
)
from .completions import CompletionRequest
from .errors import IncompleteGenerationError
from .response import Details, GenerateResponse, StreamEvent
from .tool_reader import ArgumentText, CallStart, ContentText, Part, ToolReader, new_call_id

NewId = Callable[[], str]


def _details(response: GenerateResponse) -> Details:
    if response.details is None:
        raise IncompleteGenerationError("the response has no details; ask for them")
    return response.details


# --- whole replies -------------------------------------------------------------------------------


def chat_completion(
    request: ChatRequest,
    response: GenerateResponse,
    envelope: Envelope,
    prompt_tokens: int,
    *,
    new_id: NewId = new_call_id,
) -> ChatCompletion:
    """Return the reply to a chat request; text under a tool grammar becomes a call or content.

    Raises IncompleteGenerationError if the response has no details.
    """
    details = _details(response)
    reader = _reader(request, new_id)
    if reader is None:
        message = AssistantMessage(content=response.generated_text)
        finish: ChatFinish = finish_reason(details.finish_reason)
    else:
        message = _message([*reader.feed(response.generated_text), *reader.finish()])
        finish = reader.finish_reason(details.finish_reason)
    choice = ChatChoice(
        index=0,
        message=message,
        logprobs=_chat_logprobs(details) if request.logprobs else None,
        finish_reason=finish,
    )
    usage = Usage.of(prompt_tokens, details.generated_tokens)
    return ChatCompletion(**envelope.fields(), choices=(choice,), usage=usage)


def _reader(request: ChatRequest, new_id: NewId) -> ToolReader | None:
    plan = request.tool_plan()
    return None if plan is None else ToolReader(plan, new_id)


def _message(parts: list[Part]) -> AssistantMessage:
    start = next((part for part in parts if isinstance(part, CallStart)), None)
    if start is None:
        words = "".join(part.text for part in parts if isinstance(part, ContentText))
        return AssistantMessage(content=words)
    arguments = "".join(part.text for part in parts if isinstance(part, ArgumentText))
    call = ToolCall(id=start.id, function=CalledWith(name=start.name, arguments=arguments))
    return AssistantMessage(content=None, tool_calls=(call,))


def _chat_logprobs(details: Details) -> ChatLogprobs:
    tops = details.top_tokens or ((),) * len(details.tokens)
    return ChatLogprobs(content=tuple(map(token_logprob, details.tokens, tops)))


def completion(
    request: CompletionRequest,
    answers: Sequence[tuple[GenerateResponse, int]],
    envelope: Envelope,
) -> Completion:
    """Return the reply to a completion request; `answers` are responses and prompt lengths.

    Raises IncompleteGenerationError if a response has no details.
    """
    details = [_details(response) for response, _ in answers]
    choices = tuple(
        CompletionChoice(
            index=index,
            text=response.generated_text,
            logprobs=None
            if request.logprobs is None
            else completion_logprobs(details[index].tokens, details[index].top_tokens or ()),
            finish_reason=finish_reason(details[index].finish_reason),
        )
        for index, (response, _) in enumerate(answers)
    )
    usage = Usage.of(
        sum(prompt for _, prompt in answers), sum(each.generated_tokens for each in details)
    )
    return Completion(**envelope.fields(), choices=choices, usage=usage)


# --- streams -------------------------------------------------------------------------------------


def _reason(event: StreamEvent) -> CompletionFinish | None:
    return None if event.details is None else finish_reason(event.details.finish_reason)


class _Text:
    """The text of one stream, put together so that it ends as the whole text does."""

    def __init__(self) -> None:
        self.sent = ""

    def add(self, event: StreamEvent) -> str:
        """Return what the event adds; the last one may cut its token, or complete an earlier."""
        text = shown(event.token)
        whole = event.generated_text
        if whole is not None and whole.startswith(self.sent):
            text = whole[len(self.sent) :]
        self.sent += text
        return text


class ChatStream:
    """Turns the events of one generation into chunks; feed it every event, in order."""

    def __init__(
        self, request: ChatRequest, envelope: Envelope, *, new_id: NewId = new_call_id
    ) -> None:
        self._request = request
        self._envelope = envelope
        self._text = _Text()
        self._reader = _reader(request, new_id)
        self._role_sent = False
        self._logprobs: list[TokenLogprob] = []

    def feed(self, event: StreamEvent) -> list[ChatChunk]:
        """Return the chunks for an event: one each for text, none or more for tools.

        After the last event's comes the one with `usage`, if the request wants it. "[DONE]" is
        left to the server.
        """
        if self._request.logprobs:
            self._logprobs.append(token_logprob(event.token, event.top_tokens))
        text = self._text.add(event)
        if self._reader is None:
            chunks = [self._chunk(ChatDelta(content=text), _reason(event))]
        else:
            chunks = self._tool_chunks(self._reader, text, event)
        if event.details is not None and self._request.include_usage:
            counts = event.details
            usage = Usage.of(counts.input_length, counts.generated_tokens)
            chunks.append(ChatChunk(**self._envelope.fields(), choices=(), usage=usage))
        return chunks

    def _tool_chunks(self, reader: ToolReader, text: str, event: StreamEvent) -> list[ChatChunk]:
        parts = reader.feed(text)
        if event.details is None:
            return [self._chunk(_delta(part)) for part in parts]
        parts += reader.finish()
        reason = reader.finish_reason(event.details.finish_reason)
        return [*(self._chunk(_delta(part)) for part in parts), self._chunk(ChatDelta(), reason)]

    def _chunk(self, delta: ChatDelta, reason: ChatFinish | None = None) -> ChatChunk:
        if not self._role_sent:
            delta = delta.model_copy(update={"role": "assistant"})
            self._role_sent = True
        choice = ChatChunkChoice(
            index=0, delta=delta, logprobs=self._new_logprobs(), finish_reason=reason
        )
        return ChatChunk(**self._envelope.fields(), choices=(choice,), usage=None)

    def _new_logprobs(self) -> ChatLogprobs | None:
        """The tokens since the chunk before; under a tool grammar some have no chunk of their own.

        A part of a call may so carry the tokens of what stood before it.
        """
        if not self._logprobs:
            return None
        found = ChatLogprobs(content=tuple(self._logprobs))
        self._logprobs = []
        return found


def _delta(part: Part) -> ChatDelta:
    match part:
        case CallStart(id=id_, name=name):
            function = FunctionDelta(name=name, arguments="")
            call = ToolCallDelta(index=0, id=id_, type="function", function=function)
        case ArgumentText(text=text):
            call = ToolCallDelta(index=0, function=FunctionDelta(arguments=text))
        case ContentText(text=text):
            return ChatDelta(content=text)
    return ChatDelta(tool_calls=(call,))


class CompletionStream:
    """Turns the events of all prompts of a request into chunks; feed it every event."""

    def __init__(self, request: CompletionRequest, envelope: Envelope) -> None:
        self._request = request
        self._envelope = envelope
        self._texts = [_Text() for _ in request.prompts]
        self._usages: list[Usage] = []

    def feed(self, index: int, event: StreamEvent) -> list[CompletionChunk]:
        """Return the chunks for an event of the prompt at `index`.

        The last of each prompt counts its tokens, unless the request wants that in a chunk of its
        own: then that one follows the last event of all, with the sums.
        """
        text = self._texts[index]
        offset = len(text.sent)
        choice = CompletionChoice(
            index=index,
            text=text.add(event),
            logprobs=None
            if self._request.logprobs is None
            else completion_logprobs((event.token,), (event.top_tokens,), offset),
            finish_reason=_reason(event),
        )
        usage = self._count(event)
        if not self._request.include_usage:
            return [self._chunk((choice,), usage)]
        chunks = [self._chunk((choice,), None)]
        if usage is not None and len(self._usages) == len(self._texts):
            chunks.append(self._chunk((), self._sum()))
        return chunks

    def _count(self, event: StreamEvent) -> Usage | None:
        if event.details is None:
            return None
        self._usages.append(Usage.of(event.details.input_length, event.details.generated_tokens))
        return self._usages[-1]

    def _sum(self) -> Usage:
        return Usage.of(
            sum(usage.prompt_tokens for usage in self._usages),
            sum(usage.completion_tokens for usage in self._usages),
        )

    def _chunk(self, choices: tuple[CompletionChoice, ...], usage: Usage | None) -> CompletionChunk:
        return CompletionChunk(**self._envelope.fields(), choices=choices, usage=usage)
