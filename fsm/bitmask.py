"""Packed token masks: bit `i % 32` of word `i // 32` says whether token `i` is allowed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .kernels import set_tokens

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
