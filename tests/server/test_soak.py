"""A short soak: everything at once, and nothing left over."""

from __future__ import annotations

from soak import PERMITS, soak


def test_half_a_minute_of_everything() -> None:
    seen = soak(30, checked=True)
    assert not seen.wrong
    assert seen.unhealthy == 0
    assert seen.gauges["free_permits"] == PERMITS
    assert seen.gauges["batch_current_size"] == seen.gauges["queue_size"] == 0
    assert seen.outcomes["whole 200"] > 50
    assert seen.outcomes["stream whole"] > 10
    assert seen.outcomes["stream cut"] > 10
    failed = sum(v for name, v in seen.metrics.items() if name.startswith("tgi_request_failure"))
    assert seen.metrics["tgi_request_count"] == seen.metrics["tgi_request_success"] + failed
