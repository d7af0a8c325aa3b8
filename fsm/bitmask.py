"""Packed token masks: bit `i % 32` of word `i // 32` says whether token `i` is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bitmask = npt.NDArray[np.int32]


def words_for(size: int) -> int:
    """Return the number of 32-bit words for `size` tokens."""
    return (size + 31) // 32


def empty_mask(size: int) -> Bitmask:
    """Return a mask that allows nothing."""
    return np.zeros(words_for(size), np.int32)


def _ids(token_ids: Iterable[int]) -> Bitmask:
    if isinstance(token_ids, np.ndarray):
        return token_ids.astype(np.int32, copy=False)
    return np.fromiter(token_ids, np.int32)


def allow(mask: Bitmask, token_ids: Iterable[int]) -> None:
    """Set the bits of some tokens in place."""
    set_tokens(mask, _ids(token_ids), True)


def forbid(mask: Bitmask, token_ids: Iterable[int]) -> None:
    """Clear the bits of some tokens in place."""
    set_tokens(mask, _ids(token_ids), False)


def unpack(mask: Bitmask, size: int) -> npt.NDArray[np.bool_]:
    """Return the mask as one boolean a token: (size,)."""
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little", count=size)
    return bits.view(np.bool_)


def allowed_ids(mask: Bitmask, size: int) -> Bitmask:
    """Return the ids of the allowed tokens, ascending: (count,) int32."""
    return np.flatnonzero(unpack(mask, size)).astype(np.int32)


@njit(cache=True, nogil=True)
def set_tokens(mask: Any, token_ids: Any, allowed: bool) -> None:
    """Set or clear the bits of some tokens: mask (words,) int32, token_ids (k,) int32."""
    for at in range(token_ids.shape[0]):
        token = token_ids[at]
        bit = np.int32(1) << np.int32(token & 31)
        if allowed:
            mask[token >> 5] |= bit
        else:
            mask[token >> 5] &= ~bit


@njit(cache=True, nogil=True)
def pack(mask: Any, words: Any, bits: Any) -> int:
    """Write the words of a mask that have bits: mask (n,), words and bits (k,), all int32.

    Returns how many there are, -1 if they are more than k. Cost: one pass over the mask.
    """
    found = 0
    for i in range(mask.shape[0]):
        if mask[i] != 0:
            if found == words.shape[0]:
                return -1
            words[found], bits[found] = i, mask[i]
            found += 1
    return found


@njit(cache=True, nogil=True)
def join(mask: Any, words: Any, bits: Any) -> None:
    """Set some bits of some words of a mask: mask (n,), words and bits (k,), all int32."""
    for at in range(words.shape[0]):
        mask[words[at]] |= bits[at]
