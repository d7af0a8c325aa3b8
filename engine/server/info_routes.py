"""Routes that tell about the server: its health, what it is, what it does."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ... import __version__
from ...schemas.errors import UnhealthyError
from .errors import AsciiResponse
from .metrics import CONTENT_TYPE
from .service import Service


def router(service: Service) -> APIRouter:
    """Return the routes of one server."""
    routes = APIRouter()

    async def health() -> Response:
        if not service.engine.healthy:
            raise UnhealthyError("unhealthy")
        return Response()

    async def info() -> Response:
        return AsciiResponse(_info(service))

    async def metrics() -> Response:
        return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})

    for path in ("/", "/health", "/ping"):
        routes.add_api_route(path, health, methods=["GET"], summary="Whether requests are taken.")
    routes.add_api_route("/info", info, methods=["GET"], summary="The model and the limits.")
    routes.add_api_route("/metrics", metrics, methods=["GET"], summary="Metrics for Prometheus.")
    return routes


def _info(service: Service) -> dict[str, Any]:
    engine, settings = service.engine.engine, service.settings
    limits = engine.limits
    return {
        "model_id": engine.name,
        "model_sha": None,
        "model_pipeline_tag": "text-generation",
        "model_dtype": str(engine.model.dtype),
        "model_device_type": engine.model.device.type,
        "max_concurrent_requests": settings.max_concurrent_requests,
        "max_best_of": limits.max_best_of,
        "max_stop_sequences": limits.max_stop_sequences,
        "max_input_tokens": limits.max_input_tokens,
        "max_total_tokens": limits.max_total_tokens,
        "validation_workers": service.engine.workers,
        "max_client_batch_size": settings.max_client_batch_size,
        "router": "lockstitch",
        "version": __version__,
        "sha": None,
        "docker_label": None,
    }
