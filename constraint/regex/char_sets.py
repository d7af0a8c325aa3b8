"""Sets of characters as sorted ranges of code points, and the arithmetic regexes need on them.

A set is a tuple of inclusive (low, high) pairs, sorted, disjoint and never touching, so equal sets
are equal tuples and can be dictionary keys. Surrogates are ordinary members here: whether a
character can be written at all is the alphabet's business.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

CharSet: TypeAlias = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
NO_CHAR: CharSet = ()
ANY_CHAR: CharSet = ((0, LAST),)


def normal(ranges: Iterable[tuple[int, int]]) -> CharSet:
    """The set of inclusive ranges given in any order, overlapping or not."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def chars(text: Iterable[str]) -> CharSet:
    """The set of the characters of `text`."""
    return normal((ord(c), ord(c)) for c in text)


def points(codes: Iterable[int]) -> CharSet:
    """The set of single code points."""
    return normal((code, code) for code in codes)


@lru_cache(1024)
def union(*sets: CharSet) -> CharSet:
    """Every character that is in at least one set."""
    return normal(pair for ranges in sets for pair in ranges)


@lru_cache(1024)
def complement(ranges: CharSet) -> CharSet:
    """Every code point, surrogates included, that is not in `ranges`."""
    gaps = []
    start = 0
    for low, high in ranges:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        gaps.append((start, LAST))
    return tuple(gaps)


@lru_cache(4096)
def intersect(left: CharSet, right: CharSet) -> CharSet:
    """Every character that is in both sets."""
    shared = []
    i = j = 0
    while i < len(left) and j < len(right):
        low = max(left[i][0], right[j][0])
        high = min(left[i][1], right[j][1])
        if low <= high:
            shared.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(shared)


def difference(left: CharSet, right: CharSet) -> CharSet:
    """Every character of `left` that is not in `right`."""
    return intersect(left, complement(right))


def contains(ranges: CharSet, code: int) -> bool:
    """Whether the code point is in the set; logarithmic in the number of ranges."""
    at = bisect_right(ranges, (code, LAST + 1)) - 1
    return at >= 0 and code <= ranges[at][1]


@lru_cache(256)
def partition(sets: tuple[CharSet, ...]) -> tuple[CharSet, ...]:
    """The coarsest division of all characters in which every given set is a sum of classes."""
    edges: defaultdict[int, int] = defaultdict(int)
    for index, ranges in enumerate(sets):
        for low, high in ranges:
            edges[low] ^= 1 << index
            edges[high + 1] ^= 1 << index
    classes: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    start = signature = 0
    for edge in sorted(edges):
        if start < edge:
            classes[signature].append((start, edge - 1))
        signature ^= edges[edge]
        start = edge
    if start <= LAST:
        classes[signature].append((start, LAST))
    return tuple(normal(ranges) for ranges in classes.values())
