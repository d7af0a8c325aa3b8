"""Runs of unequal length in one call without padding, but for the attention.

The tokens of all rows lie one after another in a single row, so everything that looks at one token
at a time (projections, feed-forward layers, norms: nearly all the work) computes real tokens only.
Keys and values go into the cache by row; for the attention the queries are laid out by row as well,
aligned on the right, and what it returns is packed again.

A model takes part if it finds its attention by name, as transformers' models do; the name is
changed for the length of a call. `packed()` is what the attention and the cache see meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "lockstitch_packed"
_CURRENT = threading.local()


class Packing:
    """Where the tokens of one call belong.

    `mask` is (rows, 1, width, columns), true where a query may look; `last` has the place of the
    last token of each row among all tokens.
    """

    def __init__(self, lengths: Sequence[int], mask: torch.Tensor) -> None:
        self.mask = mask
        self._rows, self._width = len(lengths), max(lengths)
        device = mask.device
        column = torch.arange(self._width, device=device)
        gaps = self._width - torch.tensor(lengths, device=device)
        self._places = (column >= gaps.unsqueeze(-1)).flatten().nonzero().squeeze(-1)
        self.last = torch.tensor(lengths, device=device).cumsum(0) - 1

    def unpack(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (1, heads, tokens, size) as (rows, heads, width, size), zeros before each run."""
        _, heads, _, size = tokens.shape
        rows = tokens.new_zeros(self._rows * self._width, heads, size)
        rows[self._places] = tokens[0].transpose(0, 1)
        return rows.view(self._rows, self._width, heads, size).transpose(1, 2)

    def pack(self, rows: torch.Tensor) -> torch.Tensor:
        """Return (rows, width, heads, size) as (1, tokens, heads, size)."""
        return rows.flatten(0, 1)[self._places].unsqueeze(0)


def packed() -> Packing | None:
    """Return the packing of the call that is under way in this thread."""
    return getattr(_CURRENT, "packing", None)


def packs(model: PreTrainedModel) -> bool:
    """Return whether a model can be called with packed tokens."""
    by_name = bool(getattr(model, "_supports_attention_backend", False))
    return by_name and model.config._attn_implementation == "sdpa"


@contextmanager
def packing(model: PreTrainedModel, found: Packing) -> Iterator[None]:
    """Let a model see packed tokens for the length of a call."""
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    _CURRENT.packing = found
    try:
        yield
    finally:
        _CURRENT.packing = None
        model.config._attn_implementation = before


def causal_mask(known: torch.Tensor, width: int) -> torch.Tensor:
    """Return which columns each of the last `width` columns may look at, as (rows, 1, width, all).

    `known` (rows, columns) is 1 where a column holds a token.
    """
    columns = torch.arange(known.shape[1], device=known.device)
    before = columns <= columns[-width:].unsqueeze(-1)
    return before[None, None] & known.bool()[:, None, None]


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend row by row; `key` and `value` come from the cache, which has unpacked them."""
    found = packed()
    if found is None:
        raise RuntimeError(f"the attention {NAME!r} is for packed calls only")
    rows, _ = sdpa_attention_forward(module, found.unpack(query), key, value, found.mask, **options)
    return found.pack(rows), None


ALL_ATTENTION_FUNCTIONS.register(NAME, _attend)
