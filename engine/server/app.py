"""The application: routes, errors, logs and the life of the engine behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from ... import __version__
from ...schemas.wire_schema import wire_schema
from ..async_engine import AsyncEngine
from . import errors, info_routes, openai_routes, text_routes
from .logs import RequestLog
from .service import Service
from .settings import Settings

REQUESTS = {
    "/": "GenerateRequest",
    "/v1": "GenerateRequest",
    "/generate": "GenerateRequest",
    "/generate_stream": "GenerateRequest",
    "/tokenize": "GenerateRequest",
    "/v1/chat/completions": "ChatRequest",
    "/v1/completions": "CompletionRequest",
    "/chat_tokenize": "ChatRequest",
}
RESPONSES = {
    "/generate": "GenerateResponse",
    "/v1/chat/completions": "ChatCompletion",
    "/v1/completions": "Completion",
}


def create_app(engine: AsyncEngine, settings: Settings | None = None) -> FastAPI:
    """Return the ASGI application; its lifespan starts the engine and lets it finish."""
    service = Service(engine, settings or Settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        yield
        await engine.close()

    app = FastAPI(
        title="lockstitch",
        version=__version__,
        summary="Text generation that always matches its grammar",
        lifespan=lifespan,
        openapi_url="/api-doc/openapi.json",
        redoc_url=None,
    )
    app.state.service = service
    for routes in (text_routes, openai_routes, info_routes):
        app.include_router(routes.router(service))
    errors.install(app)
    app.add_middleware(errors.Defects)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(service.settings.cors_allow_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["content-type"],
    )
    app.add_middleware(RequestLog)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Put the objects of the wire contract into the OpenAPI document."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = wire_schema()["$defs"]
            text = _moved(schemas)
            document.setdefault("components", {}).setdefault("schemas", {}).update(text)
            for path, name in REQUESTS.items():
                document["paths"][path]["post"]["requestBody"] = {
                    "required": True,
                    "content": _json(name),
                }
            for path, name in RESPONSES.items():
                document["paths"][path]["post"]["responses"]["200"]["content"] = _json(name)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _moved(value: Any) -> Any:
    """Return schemas whose references lead to where OpenAPI keeps them."""
    if isinstance(value, dict):
        return {key: _moved(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item) for item in value]
    if isinstance(value, str) and value.startswith("#/$defs/"):
        return value.replace("#/$defs/", "#/components/schemas/")
    return value
