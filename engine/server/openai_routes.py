"""The OpenAI-compatible routes: chat with tools and response formats, completions, models."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...schemas.chat import ChatRequest
from ...schemas.chat_response import Envelope, openai_error_body
from ...schemas.chat_stream import ChatStream, CompletionStream, chat_completion, completion
from ...schemas.completions import CompletionRequest
from ...schemas.errors import LockstitchError
from ...schemas.request import GenerateRequest, check_inputs
from ...schemas.response import StreamEvent
from ..async_engine import EventStream, Timings
from .errors import AsciiResponse
from .service import Service
from .sse import event_response
from .tokens import tokens_of

DONE = "[DONE]"


def router(service: Service) -> APIRouter:
    """Return the routes of one server."""
    routes = APIRouter()

    async def chat(http: Request) -> Response:
        return await answer_chat(service, http, await service.body(http))

    async def completions(http: Request) -> Response:
        return await answer_completion(service, http, await service.body(http))

    async def chat_tokenize(http: Request) -> Response:
        request = ChatRequest.parse(await service.open_body(http))
        prompt = _prompt(service, request)
        check_inputs(prompt)
        tokens = tokens_of(service.engine.engine.tokenizer, prompt, special_tokens=False)
        return AsciiResponse({"tokenize_response": tokens, "templated_text": prompt})

    async def models(http: Request) -> Response:
        name = service.engine.engine.name
        model = {"id": name, "object": "model", "created": 0, "owned_by": name}
        adapters = [{**model, "id": adapter} for adapter in sorted(service.engine.engine.adapters)]
        return AsciiResponse({"object": "list", "data": [model, *adapters]})

    routes.add_api_route("/v1/chat/completions", chat, methods=["POST"], summary="Chat.")
    routes.add_api_route("/v1/completions", completions, methods=["POST"], summary="Complete text.")
    routes.add_api_route(
        "/chat_tokenize", chat_tokenize, methods=["POST"], summary="Render and tokenise a chat."
    )
    routes.add_api_route("/v1/models", models, methods=["GET"], summary="The model and adapters.")
    return routes


def _envelope(service: Service, model: str | None, kind: str) -> Envelope:
    """Return what all parts of a reply repeat; a model name of the client's is echoed."""
    return Envelope(
        id=f"{kind}-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=model or service.engine.engine.name,
        system_fingerprint=service.settings.fingerprint,
    )


def _adapter(service: Service, name: str | None) -> str | None:
    """Return the adapter that a model name chooses; other names stand for the base model."""
    return name if name in service.engine.engine.adapters else None


def _prompt(service: Service, request: ChatRequest) -> str:
    engine = service.engine.engine
    knows_tools = engine.template_knows_tools
    messages = request.template_messages(describe_tools=not knows_tools)
    return engine.chat_prompt(messages, request.template_tools() if knows_tools else None)


async def _chat_request(service: Service, request: ChatRequest, *, stream: bool) -> GenerateRequest:
    prompt = await asyncio.to_thread(_prompt, service, request)
    adapter = _adapter(service, request.adapter_id)
    return request.to_generate(prompt, stream=stream, adapter_id=adapter)


async def chat_text(service: Service, http: Request, body: object) -> str:
    """Return the words of the answer to a chat request."""
    request = ChatRequest.parse(body)
    asked = await _chat_request(service, request, stream=False)
    return (await service.answer(http, asked, special_tokens=False)).response.generated_text


async def answer_chat(service: Service, http: Request, body: object) -> Response:
    """Answer a chat request, whole or as a stream."""
    request = ChatRequest.parse(body)
    envelope = _envelope(service, request.model, "chatcmpl")
    asked = await _chat_request(service, request, stream=bool(request.stream))
    if request.stream:
        stream = await service.stream(asked, special_tokens=False)
        chunks = ChatStream(request, envelope)

        def written(event: StreamEvent) -> list[str]:
            return [chunk.to_json() for chunk in chunks.feed(event)]

        return _events(service, [_payloads(service, asked, stream, written)], len(asked.inputs))
    answered = await service.answer(http, asked, special_tokens=False)
    timings = answered.timings
    reply = chat_completion(request, answered.response, envelope, timings.prompt_tokens)
    return AsciiResponse(reply.to_dict(), headers=service.headers(timings, len(asked.inputs)))


def _payloads(
    service: Service,
    asked: GenerateRequest,
    stream: EventStream,
    written: Callable[[StreamEvent], list[str]],
) -> AsyncGenerator[str]:
    def failed(error: LockstitchError) -> list[str]:
        return [json.dumps(openai_error_body(error))]

    return service.payloads(asked, stream, written, failed)


def _events(service: Service, streams: Sequence[AsyncGenerator[str]], characters: int) -> Response:
    headers = {**service.stream_headers, "x-compute-characters": str(characters)}
    return event_response(_merged(streams), service.settings.keep_alive, headers)


async def _merged(streams: Sequence[AsyncGenerator[str]]) -> AsyncGenerator[str]:
    """Yield what any of some streams yields, as it comes, then the word that ends them."""
    coming: dict[asyncio.Task[str], AsyncIterator[str]] = {}

    def ask(stream: AsyncIterator[str]) -> None:
        coming[asyncio.ensure_future(anext(stream))] = stream

    try:
        for stream in streams:
            ask(stream)
        while coming:
            done, _ = await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                stream_of = coming.pop(task)
                if not isinstance(task.exception(), StopAsyncIteration):
                    yield task.result()
                    ask(stream_of)
        yield DONE
    finally:
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


async def answer_completion(service: Service, http: Request, body: object) -> Response:
    """Answer a completion request, a choice for each prompt."""
    request = CompletionRequest.parse(body)
    request.check_batch(service.settings.max_client_batch_size)
    envelope = _envelope(service, request.model, "cmpl")
    adapter = _adapter(service, request.adapter_id)
    asked = [
        request.to_generate(prompt, stream=bool(request.stream), adapter_id=adapter)
        for prompt in request.prompts
    ]
    if request.stream:
        return await _completion_stream(service, request, envelope, asked)
    work = [asyncio.ensure_future(service.answer(http, one)) for one in asked]
    try:
        answers = await asyncio.gather(*work)
    finally:
        for task in work:
            task.cancel()
    pairs = [(answered.response, answered.timings.prompt_tokens) for answered in answers]
    headers = service.headers(_summed([answered.timings for answered in answers]))
    return AsciiResponse(completion(request, pairs, envelope).to_dict(), headers=headers)


async def _completion_stream(
    service: Service,
    request: CompletionRequest,
    envelope: Envelope,
    asked: Sequence[GenerateRequest],
) -> Response:
    chunks = CompletionStream(request, envelope)

    def writer(index: int) -> Callable[[StreamEvent], list[str]]:
        return lambda event: [chunk.to_json() for chunk in chunks.feed(index, event)]

    opened: list[EventStream] = []
    try:
        for one in asked:
            opened.append(await service.stream(one))  # noqa: PERF401 - closed if one is refused
    except LockstitchError:
        for stream in opened:
            await service.abandon(stream)
        raise
    streams = [
        _payloads(service, one, stream, writer(index))
        for index, (one, stream) in enumerate(zip(asked, opened, strict=True))
    ]
    return _events(service, streams, sum(len(one.inputs) for one in asked))


def _summed(parts: Sequence[Timings]) -> Timings:
    """Return the sums over the prompts of one request."""
    total = parts[0]
    for part in parts[1:]:
        total = replace(
            total,
            total=total.total + part.total,
            validation=total.validation + part.validation,
            queue=total.queue + part.queue,
            inference=total.inference + part.inference,
            prompt_tokens=total.prompt_tokens + part.prompt_tokens,
            generated_tokens=total.generated_tokens + part.generated_tokens,
        )
    return total
