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
FEW = 6  # forbidden tokens of a word that are written one by one
PRIME = 37  # powers of two up to 2 ** 31 differ modulo it


def _by_byte() -> tuple[Mask, Mask]:
    """Return for each byte of a mask what its 8 logits are and-ed and or-ed with: (256, 8) each."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    kept = -bits.astype(np.int32)
    return kept, ~kept & FORBIDDEN


KEPT, REFUSED = _by_byte()
BIT_AT = np.zeros(PRIME, np.int32)
BIT_AT[[(1 << bit) % PRIME for bit in range(32)]] = np.arange(32)


@njit(cache=True, nogil=True)
def forbid_by_word(logits: Any, rows: Any, masks: Any, kept: Any, refused: Any, at: Any) -> None:
    """Forbid what masks do not allow; words that allow all, none or nearly all are the rule.

    Shapes: logits (B, V) the int32 bits of float32, changed in place; rows (k,) int64; masks
    (k, words) uint32; the tables above. Unsigned indices, as signed ones are tested for being
    negative. Cost: four bytes written for each forbidden token of a word with few, else 128.
    """
    full = uintp(logits.shape[1]) // uintp(32)
    for k in range(rows.shape[0]):
        row, mask = logits[rows[k]], masks[k]
        for word in range(full):
            bits = mask[word]
            first = word * uintp(32)
            left = uint32(~bits)
            if left == uint32(0):
                continue
            if bits == uint32(0):
                for offset in range(uintp(32)):
                    row[first + offset] = FORBIDDEN
                continue
            more = left
            for _ in range(FEW):
                more = uint32(more & (more - uint32(1)))  # without its lowest bit
            if more == uint32(0):
                while left != uint32(0):
                    rest = uint32(left & (left - uint32(1)))
                    row[first + uintp(at[uintp(uint32(left ^ rest) % uint32(PRIME))])] = FORBIDDEN
                    left = rest
                continue
            for part in range(uintp(4)):
                byte = uintp((bits >> uint32(uintp(8) * part)) & uint32(255))
                begin = first + uintp(8) * part
                for offset in range(uintp(8)):
                    value = row[begin + offset] & kept[byte, offset]
                    row[begin + offset] = value | refused[byte, offset]
        for token in range(full * uintp(32), uintp(logits.shape[1])):
            if not (mask[token >> uintp(5)] >> uint32(token & uintp(31))) & uint32(1):
                row[token] = FORBIDDEN


def apply_masks(logits: torch.Tensor, rows: Sequence[int], masks: Sequence[Mask]) -> None:
    """Forbid, in place, what `masks[i]` does not allow in row `rows[i]`.

    Shapes: logits (B, V) float32, contiguous; each mask (ceil(V / 32),) int32, bit `i % 32` of word
    `i // 32` is token i. Cost: one pass over V for each row.
    """
    if not rows:
        return
    packed = masks[0][None] if len(masks) == 1 else np.stack(masks)
    if logits.device.type == "cpu":
        bits, words = logits.numpy().view(np.int32), packed.view(np.uint32)
        forbid_by_word(bits, np.array(rows), words, KEPT, REFUSED, BIT_AT)
    else:
        index = torch.tensor(rows, device=logits.device)
        forbid_on_device(logits, index, torch.from_numpy(packed).to(logits.device))


def forbid_on_device(logits: torch.Tensor, rows: torch.Tensor, masks: torch.Tensor) -> None:
    """Do the same with tensors, all on one device; shapes as in `forbid_by_word`."""
    bit = torch.arange(32, dtype=torch.int32, device=logits.device)
    allowed = (masks.unsqueeze(-1) >> bit & 1).flatten(1)[:, : logits.shape[1]]  # (k, V)
    logits[rows] = logits[rows].masked_fill(allowed == 0, float("-inf"))
