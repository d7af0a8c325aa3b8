"""The routes of the text-generation task, and those of platforms that wrap them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...schemas.errors import LockstitchError, ValidationError
from ...schemas.parameters import PREFIX, refuse
from ...schemas.request import GenerateRequest, check_inputs
from ...schemas.response import StreamEvent, error_body
from .errors import AsciiResponse
from .openai_routes import answer_chat, answer_completion, chat_text
from .service import Service
from .sse import event_response
from .tokens import tokens_of


def router(service: Service) -> APIRouter:
    """Return the routes of one server."""
    routes = APIRouter()

    async def compatible(http: Request) -> Response:
        return await answer_compatible(service, http, await service.body(http))

    async def generate(http: Request) -> Response:
        request = _parsed(service, await service.body(http))
        return await _whole(service, http, request, as_list=False)

    async def generate_stream(http: Request) -> Response:
        return await _streamed(service, _parsed(service, await service.body(http)))

    async def tokenize(http: Request) -> Response:
        body = await service.body(http)
        given = {"inputs": body.get("inputs")} if isinstance(body, Mapping) else body
        inputs = GenerateRequest.parse(given).inputs  # the parameters do not count here
        check_inputs(inputs)
        return AsciiResponse(tokens_of(service.engine.engine.tokenizer, inputs))

    async def invocations(http: Request) -> Response:
        return await _invocation(service, http, await service.body(http))

    async def vertex(http: Request) -> Response:
        return await _vertex(service, http, await service.body(http))

    for path, route, said in (
        ("/", compatible, "Generate text; a stream if `stream` is true."),
        ("/v1", compatible, "The same, where clients put it who add nothing to a base URL."),
        ("/generate", generate, "Generate text."),
        ("/generate_stream", generate_stream, "Generate text as server-sent events."),
        ("/tokenize", tokenize, "Tokenise a prompt."),
        ("/invocations", invocations, "Any of the request shapes, for SageMaker."),
        ("/vertex", vertex, "Several requests, for Vertex AI."),
    ):
        routes.add_api_route(path, route, methods=["POST"], summary=said)
    return routes


def _parsed(service: Service, body: object) -> GenerateRequest:
    return GenerateRequest.parse(body, strict_names=service.settings.strict_parameters)


async def answer_compatible(service: Service, http: Request, body: object) -> Response:
    """Answer the request of `POST /`: a list of one object, or a stream."""
    request = _parsed(service, body)
    if service.settings.full_text_default and request.parameters.return_full_text is None:
        parameters = request.parameters.model_copy(update={"return_full_text": True})
        request = request.model_copy(update={"parameters": parameters})
    if request.stream:
        return await _streamed(service, request)
    return await _whole(service, http, request, as_list=True)


async def _whole(
    service: Service, http: Request, request: GenerateRequest, *, as_list: bool
) -> Response:
    request = request.model_copy(update={"stream": False})
    answered = await service.answer(http, request)
    found = answered.response.to_dict()
    headers = service.headers(answered.timings, len(request.inputs))
    return AsciiResponse([found] if as_list else found, headers=headers)


async def _streamed(service: Service, request: GenerateRequest) -> Response:
    stream = await service.stream(request)
    payloads = service.payloads(request, stream, _event, _failure)
    headers = {**service.stream_headers, "x-compute-characters": str(len(request.inputs))}
    return event_response(payloads, service.settings.keep_alive, headers)


def _event(event: StreamEvent) -> list[str]:
    return [event.to_json()]


def _failure(error: LockstitchError) -> list[str]:
    return [json.dumps(error_body(error))]


async def _invocation(service: Service, http: Request, body: object) -> Response:
    """Answer the first of the request shapes that a body has."""
    if isinstance(body, Mapping) and "inputs" not in body:
        if "messages" in body:
            return await answer_chat(service, http, body)
        if "prompt" in body:
            return await answer_completion(service, http, body)
    return await answer_compatible(service, http, body)


async def _vertex(service: Service, http: Request, body: object) -> Response:
    instances = body.get("instances") if isinstance(body, Mapping) else None
    if not isinstance(instances, list):
        raise ValidationError(f"{PREFIX}instances must be an array", parameter="instances")
    predictions = [await _prediction(service, http, instance) for instance in instances]
    return AsciiResponse({"predictions": predictions})


async def _prediction(service: Service, http: Request, instance: object) -> str:
    if not isinstance(instance, Mapping):
        refuse("an instance must be an object", "instances")
    if "messages" in instance:
        return await chat_text(service, http, instance)
    request = _parsed(service, instance).model_copy(update={"stream": False})
    return (await service.answer(http, request)).response.generated_text
