"""Put packed token masks onto logits: forbidden tokens get minus infinity.

A mask stays packed (one bit per token) until it meets the logits. On a CPU a small kernel reads it
word by word, where whole words of allowed or forbidden tokens are the rule; elsewhere the words
travel to the device, which is 32 times less than booleans, and are unpacked there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit, uint32, uintp

Mask = npt.NDArray[np.int32]
FORBIDDEN = np.float32(-np.inf).view(np.int32)  # the bits of minus infinity
FEW = 8  # forbidden tokens of a word that are written one by one
AT_ONCE = 3  # of these, those that no branch is taken for
DE_BRUIJN = 0x077CB531  # its five-bit windows all differ, so they tell a power of two


def _by_byte() -> tuple[Mask, Mask]:
    """Return for each byte of a mask what its 8 logits are and-ed and or-ed with: (256, 8) each."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    kept = -bits.astype(np.int32)
    return kept, ~kept & FORBIDDEN


KEPT, REFUSED = _by_byte()
BIT_AT = np.zeros(32, np.uint32)
BIT_AT[[(DE_BRUIJN << bit & 0xFFFFFFFF) >> 27 for bit in range(32)]] = np.arange(32)


@njit(inline="always")
def _lowest(bits: Any, at: Any) -> Any:
    """Return the position of the lowest of some bits."""
    low = uint32(bits & uint32(uint32(0) - bits))
    return uintp(at[uintp(uint32(low * uint32(DE_BRUIJN)) >> uint32(27))])


@njit(inline="always")
def _count(bits: Any) -> Any:
    """Return how many bits are set."""
    pairs = uint32(bits - ((bits >> uint32(1)) & uint32(0x55555555)))
    fours = uint32((pairs & uint32(0x33333333)) + ((pairs >> uint32(2)) & uint32(0x33333333)))
    eights = uint32((fours + (fours >> uint32(4))) & uint32(0x0F0F0F0F))
    return uint32(uint32(eights * uint32(0x01010101)) >> uint32(24))


@njit(cache=True, nogil=True)
def forbid_by_word(logits: Any, k: int, mask: Any, kept: Any, refused: Any, at: Any) -> None:
    """Forbid what a mask does not allow; words that allow all, none or nearly all are the rule.

    Shapes: logits (B, V) the int32 bits of float32, of which row k is changed in place; mask
    (words,) uint32; the tables above. Unsigned indices, as signed ones are tested for being
    negative. Where few tokens are forbidden, the first three are written without asking how many
    there are (the last of them again): the guess would be wrong half of the time. Cost: four bytes
    written for each forbidden token of a word with few, else 128.
    """
    row = logits[k]
    full = uintp(row.shape[0]) // uintp(32)
    for word in range(full):
        bits = mask[word]
        first = word * uintp(32)
        if bits == uint32(0):
            for offset in range(uintp(32)):
                row[first + offset] = FORBIDDEN
            continue
        left = uint32(~bits)
        count = _count(left)
        if count == uint32(0):
            continue
        if count > uint32(FEW):
            for part in range(uintp(4)):
                byte = uintp((bits >> uint32(uintp(8) * part)) & uint32(255))
                begin = first + uintp(8) * part
                for offset in range(uintp(8)):
                    value = row[begin + offset] & kept[byte, offset]
                    row[begin + offset] = value | refused[byte, offset]
            continue
        for _ in range(AT_ONCE):
            row[first + _lowest(left, at)] = FORBIDDEN
            rest = uint32(left & (left - uint32(1)))
            left = rest if rest != uint32(0) else left
        if count > uint32(AT_ONCE):
            while left != uint32(0):
                row[first + _lowest(left, at)] = FORBIDDEN
                left = uint32(left & (left - uint32(1)))
    for token in range(full * uintp(32), uintp(row.shape[0])):
        if not (mask[token >> uintp(5)] >> uint32(token & uintp(31))) & uint32(1):
            row[token] = FORBIDDEN


def apply_masks(logits: torch.Tensor, rows: Sequence[int], masks: Sequence[Mask]) -> None:
    """Forbid, in place, what `masks[i]` does not allow in row `rows[i]`.

    Shapes: logits (B, V) float32, contiguous; each mask (ceil(V / 32),) int32, bit `i % 32` of word
    `i // 32` is token i. Cost: one pass over V for each row.
    """
    if not len(rows):
        return
    if logits.device.type == "cpu":
        bits = logits.numpy().view(np.int32)
        for row, mask in zip(rows, masks, strict=True):
            forbid_by_word(bits, row, mask.view(np.uint32), KEPT, REFUSED, BIT_AT)
    else:
        index = torch.tensor(rows, device=logits.device)
        forbid_on_device(logits, index, torch.from_numpy(np.stack(masks)).to(logits.device))


def forbid_on_device(logits: torch.Tensor, rows: torch.Tensor, masks: torch.Tensor) -> None:
    """Do the same with tensors, all on one device; shapes as in `forbid_by_word`."""
    bit = torch.arange(32, dtype=torch.int32, device=logits.device)
    allowed = (masks.unsqueeze(-1) >> bit & 1).flatten(1)[:, : logits.shape[1]]  # (k, V)
    logits[rows] = logits[rows].masked_fill(allowed == 0, float("-inf"))
