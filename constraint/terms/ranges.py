"""Ranges of numbers: how often something is repeated."""

from __future__ import annotations


def joined_ranges(
    ranges: list[tuple[int, int | None]],
) -> list[tuple[int, int | None]]:
    """Return the same numbers as few ranges; ranges that overlap or touch become one."""
    if len(ranges) == 1:
        return ranges
    joined: list[tuple[int, int | None]] = []
    for low, high in sorted(ranges, key=lambda r: r[0]):
        if joined and (joined[-1][1] is None or low <= joined[-1][1] + 1):
            last_low, last_high = joined[-1]
            wider = None if last_high is None or high is None else max(last_high, high)
            joined[-1] = (last_low, wider)
        else:
            joined.append((low, high))
    return joined
