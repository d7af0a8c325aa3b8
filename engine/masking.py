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

from .lanes import FORBIDDEN, fetch_lanes, select_lanes

Mask = npt.NDArray[np.int32]
ALL = uint32(0xFFFFFFFF)
AHEAD = 256  # logits between what is chosen and what is fetched meanwhile


@njit(cache=True, nogil=True)
def forbid_by_word(logits: Any, k: int, mask: Any) -> None:
    """Forbid what a mask does not allow, a word at a time.

    Shapes: logits (B, V) the int32 bits of float32, of which row k is changed in place; mask
    (words,) uint32. Unsigned indices, as signed ones are tested for being negative. Cost: nothing
    for a word that allows all, else its 128 bytes.
    """
    row = logits[k]
    full = uintp(row.shape[0]) // uintp(32)
    for word in range(full):
        bits, first = mask[word], word * uintp(32)
        if bits == ALL:
            continue
        fetch_lanes(row, first + uintp(AHEAD))
        if bits != uint32(0):
            select_lanes(row, first, bits)
            continue
        for offset in range(uintp(32)):
            row[first + offset] = FORBIDDEN
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
            forbid_by_word(bits, row, mask.view(np.uint32))
    else:
        index = torch.tensor(rows, device=logits.device)
        forbid_on_device(logits, index, torch.from_numpy(np.stack(masks)).to(logits.device))


def forbid_on_device(logits: torch.Tensor, rows: torch.Tensor, masks: torch.Tensor) -> None:
    """Do the same with tensors, all on one device; shapes as in `forbid_by_word`."""
    bit = torch.arange(32, dtype=torch.int32, device=logits.device)
    allowed = (masks.unsqueeze(-1) >> bit & 1).flatten(1)[:, : logits.shape[1]]  # (k, V)
    logits[rows] = logits[rows].masked_fill(allowed == 0, float("-inf"))
