"""Packed token masks: bit `i % 32` of word `i // 32` says whether token `i` is allowed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Bitmask = npt.NDArray[np.int32]


def words_for(size: int) -> int:
    """Return the number of 32-bit words for `size` tokens."""
    return (size + 31) // 32


def empty_mask(size: int) -> Bitmask:
    """Return a mask that allows nothing."""
    return np.zeros(words_for(size), np.int32)


def _positions(token_ids: Iterable[int]) -> tuple[npt.NDArray[np.int64], Bitmask]:
    ids = np.array(token_ids if isinstance(token_ids, np.ndarray) else list(token_ids), np.int64)
    return ids >> 5, (np.uint32(1) << (ids & 31).astype(np.uint32)).view(np.int32)


def allow(mask: Bitmask, token_ids: Iterable[int]) -> None:
    """Set the bits of some tokens in place."""
    words, bits = _positions(token_ids)
    np.bitwise_or.at(mask, words, bits)


def forbid(mask: Bitmask, token_ids: Iterable[int]) -> None:
    """Clear the bits of some tokens in place."""
    words, bits = _positions(token_ids)
    np.bitwise_and.at(mask, words, ~bits)


def is_allowed(mask: Bitmask, token_id: int) -> bool:
    """Return the bit of one token."""
    return bool(mask[token_id >> 5] >> (token_id & 31) & 1)


def unpack(mask: Bitmask, size: int) -> npt.NDArray[np.bool_]:
    """Return the mask as one boolean a token: (size,)."""
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little", count=size)
    return bits.view(np.bool_)


def allowed_ids(mask: Bitmask, size: int) -> Bitmask:
    """Return the ids of the allowed tokens, ascending: (count,) int32."""
    return np.flatnonzero(unpack(mask, size)).astype(np.int32)
