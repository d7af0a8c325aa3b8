"""Masks on logits: each word by itself, against the definition."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from lockstitch.engine.masking import apply_masks, forbid_on_device


def packed(allowed: np.ndarray) -> np.ndarray:
    """Return booleans as a mask of whole words."""
    padded = np.zeros((len(allowed) + 31) // 32 * 32, np.bool_)
    padded[: len(allowed)] = allowed
    return np.packbits(padded, bitorder="little").view(np.int32)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 640, 1000])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.8, 0.97, 1.0])
def test_each_forbidden_token_and_no_other_gets_minus_infinity(size: int, share: float) -> None:
    rng = np.random.default_rng(size)
    allowed = rng.random((5, size)) < share
    logits = torch.from_numpy(rng.standard_normal((7, size)).astype(np.float32))
    logits[0, 0], logits[2, -1] = float("nan"), float("inf")
    rows = [6, 0, 2, 5, 3]
    want = logits.clone()
    for row, row_allowed in zip(rows, allowed, strict=True):
        want[row][torch.from_numpy(~row_allowed)] = float("-inf")
    masks = [packed(row) for row in allowed]
    other = logits.clone()
    apply_masks(logits, rows, masks)
    assert torch.equal(torch.nan_to_num(logits, nan=7.0), torch.nan_to_num(want, nan=7.0))
    forbid_on_device(other, torch.tensor(rows), torch.from_numpy(np.stack(masks)))
    assert torch.equal(torch.nan_to_num(other, nan=7.0), torch.nan_to_num(want, nan=7.0))


def test_every_single_forbidden_bit_is_found() -> None:
    for bit in range(64):
        allowed = np.ones(64, np.bool_)
        allowed[bit] = False
        logits = torch.zeros(1, 64)
        apply_masks(logits, [0], [packed(allowed)])
        assert logits.isneginf().nonzero().tolist() == [[0, bit]]


@pytest.mark.parametrize("size", [640, 641, 644, 656, 31])
@pytest.mark.parametrize("shift", [0, 1, 15])
def test_nothing_beside_the_rows_is_written(size: int, shift: int) -> None:
    """Wherever rows begin: at a line of the cache, and anywhere beside one."""
    rng = np.random.default_rng(size)
    allowed = np.repeat(rng.random((4, size // 8 + 1)) < 0.1, 8, axis=1)[:, :size]
    memory = torch.from_numpy(rng.standard_normal(7 * size + 32).astype(np.float32))
    begin = -memory.data_ptr() % 64 // 4 + shift
    want = memory.clone()
    rows = memory[begin : begin + 5 * size].view(5, size)
    want[begin : begin + 5 * size].view(5, size)[1:][torch.from_numpy(~allowed)] = float("-inf")
    apply_masks(rows, [1, 2, 3, 4], [packed(row) for row in allowed])
    assert torch.equal(memory, want)


def test_without_compiled_loops_logits_are_masked_alike() -> None:
    """Another process, as numba asks when it is imported whether it may compile."""
    code = (
        "import numpy as np, torch;"
        "from lockstitch.engine.masking import apply_masks as apply;"
        "logits = torch.zeros(2, 112);"
        "mask = np.array([0, 5, -1, 1 << 15], np.int32); apply(logits, [1], [mask]);"
        "print(torch.isfinite(logits).nonzero()[112:, 1].tolist())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(out.stdout) == [32, 34, *range(64, 96), 111]
