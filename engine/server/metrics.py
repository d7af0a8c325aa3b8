"""Counters, histograms and gauges, by the names that dashboards of TGI use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..async_engine import Timings

disable_created_metrics()  # type: ignore[no-untyped-call]
_SECONDS = [0.001 * 1.5**i for i in range(32)]
_TOKENS = [float(1 << i) for i in range(18)]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REASONS = {
    "validation": "validation",
    "overloaded": "overloaded",
    "incomplete_generation": "incomplete",
    "template_error": "template",
    "missing_template_variable": "template",
    "tool_error": "validation",
    "suffix not supported": "validation",
    "batch size exceeded": "validation",
}


class Metrics:
    """The metrics of one application; `gauges` gives what is going on now."""

    def __init__(self, gauges: Callable[[], Mapping[str, float]]) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.registry.register(_Gauges(gauges))
        self._count = self._counter("count", "Requests that came in.")
        self._success = self._counter("success", "Requests that were answered.")
        self._failure = Counter(
            "tgi_request_failure", "Requests that failed.", ["err"], registry=self.registry
        )
        self._duration = self._seconds("duration", "From the request to its answer.")
        self._validation = self._seconds("validation_duration", "Checks and grammar.")
        self._queue = self._seconds("queue_duration", "Waiting for a row.")
        self._inference = self._seconds("inference_duration", "In the model.")
        self._per_token = self._seconds("mean_time_per_token_duration", "In the model, per token.")
        self._generated = self._tokens("generated_tokens", "Tokens of the answer.")
        self._input = self._tokens("input_length", "Tokens of the prompt.")
        self._asked = self._tokens("max_new_tokens", "Tokens that were allowed.")
        self._skipped = self._tokens("skipped_tokens", "Prompt tokens that were not computed.")

    def _counter(self, name: str, help_: str) -> Counter:
        return Counter(f"tgi_request_{name}", help_, registry=self.registry)

    def _seconds(self, name: str, help_: str) -> Histogram:
        return Histogram(f"tgi_request_{name}", help_, buckets=_SECONDS, registry=self.registry)

    def _tokens(self, name: str, help_: str) -> Histogram:
        return Histogram(f"tgi_request_{name}", help_, buckets=_TOKENS, registry=self.registry)

    def came(self) -> None:
        """Count a request for text."""
        self._count.inc()

    def failed(self, error_type: str) -> None:
        """Count a request that failed, by the `error_type` of its error, or "dropped"."""
        self._failure.labels(_REASONS.get(error_type, error_type)).inc()

    def answered(self, timings: Timings, max_new_tokens: int | None) -> None:
        """Count a request that was answered, and what it took."""
        self._success.inc()
        self._duration.observe(timings.total)
        self._validation.observe(timings.validation)
        self._queue.observe(timings.queue)
        self._inference.observe(timings.inference)
        self._per_token.observe(timings.inference / timings.generated_tokens)
        self._generated.observe(timings.generated_tokens)
        self._input.observe(timings.prompt_tokens)
        self._skipped.observe(0)
        if max_new_tokens is not None:
            self._asked.observe(max_new_tokens)

    def text(self) -> bytes:
        """Return the metrics as text. The library adds an ending to counters that TGI has not."""
        return generate_latest(self.registry).replace(b"_total", b"")


class _Gauges(Collector):
    def __init__(self, read: Callable[[], Mapping[str, float]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        for name, value in self._read().items():
            yield GaugeMetricFamily(f"tgi_{name}", name.replace("_", " "), value=value)

    def describe(self) -> Iterator[Metric]:
        yield from ()
