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
from numba import njit

Mask = npt.NDArray[np.int32]


@njit(cache=True, nogil=True)
def forbid_by_word(logits: Any, rows: Any, masks: Any) -> None:
    """Shapes: logits (B, V) float32, changed in place; rows (k,) int64; masks (k, words) int32."""
    width = logits.shape[1]
    for k in range(rows.shape[0]):
        row = logits[rows[k]]
        for word in range(masks.shape[1]):
            bits = masks[k, word]
            if bits == -1:
                continue
            first = word * 32
            for offset in range(min(32, width - first)):
                if not (bits >> offset) & 1:
                    row[first + offset] = -np.inf


def apply_masks(logits: torch.Tensor, rows: Sequence[int], masks: Sequence[Mask]) -> None:
    """Forbid, in place, what `masks[i]` does not allow in row `rows[i]`.

    Shapes: logits (B, V) float32, contiguous; each mask (ceil(V / 32),) int32, bit `i % 32` of word
    `i // 32` is token i. Cost: one pass over V for each row.
    """
    if not rows:
        return
    packed = np.stack(masks)
    if logits.device.type == "cpu":
        forbid_by_word(logits.numpy(), np.array(rows), packed)
    else:
        index = torch.tensor(rows, device=logits.device)
        forbid_on_device(logits, index, torch.from_numpy(packed).to(logits.device))


def forbid_on_device(logits: torch.Tensor, rows: torch.Tensor, masks: torch.Tensor) -> None:
    """Do the same with tensors, all on one device; shapes as in `forbid_by_word`."""
    bit = torch.arange(32, dtype=torch.int32, device=logits.device)
    allowed = (masks.unsqueeze(-1) >> bit & 1).flatten(1)[:, : logits.shape[1]]  # (k, V)
    logits[rows] = logits[rows].masked_fill(allowed == 0, float("-inf"))
