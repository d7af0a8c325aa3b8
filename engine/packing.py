"""Runs of unequal length in one call without padding, but for the attention.

The tokens of all rows lie one after another in a single row, so everything that looks at one token
at a time (projections, feed-forward layers, norms: nearly all the work) computes real tokens only.
Keys and values go into the cache by row; for the attention the queries are laid out by row as
well, aligned on the right, and what it returns is packed again. Batches with caches of their own
can share a call: rows that run and prompts that come in pass through the weights together.

A model takes part if it finds its attention by name, as transformers' models do; the name is
changed for the length of a call. `packed()` is what the attention sees meanwhile.
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

from .kv_cache import GrowingLayer

NAME = "lockstitch_packed"
_CURRENT = threading.local()


class Part:
    """Rows of one batch and the runs that are appended to them.

    `layers` are those of their cache; `known` (rows, columns) is 1 where a column holds a token,
    the new ones included.
    """

    def __init__(
        self, layers: Sequence[GrowingLayer], lengths: Sequence[int], known: torch.Tensor
    ) -> None:
        self.layers, self.lengths = layers, lengths
        self.mask = causal_mask(known, max(lengths))
        self._rows, self._width = len(lengths), max(lengths)
        device = known.device
        gaps = self._width - torch.tensor(lengths, device=device)
        column = torch.arange(self._width, device=device)
        self._places = (column >= gaps.unsqueeze(-1)).flatten().nonzero().squeeze(-1)

    def unpack(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (1, heads, tokens, size) as (rows, heads, width, size), zeros before each run."""
        _, heads, _, size = tokens.shape
        rows = tokens.new_zeros(self._rows * self._width, heads, size)
        rows[self._places] = tokens[0].transpose(0, 1)
        return rows.view(self._rows, self._width, heads, size).transpose(1, 2)

    def pack(self, rows: torch.Tensor) -> torch.Tensor:
        """Return (rows, width, heads, size) as (1, tokens, heads, size)."""
        return rows.flatten(0, 1)[self._places].unsqueeze(0)


class Packing:
    """One call: the tokens of some batches one after another, each batch with a cache of its own.

    `last` has the place of the last token of each row among all tokens.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._sizes = [sum(part.lengths) for part in parts]
        lengths = [length for part in parts for length in part.lengths]
        self.last = torch.tensor(lengths, device=parts[0].mask.device).cumsum(0) - 1
        self._layer = 0

    def store(self, keys: torch.Tensor, values: torch.Tensor, layer: int) -> None:
        """Append the keys and values of a layer (1, heads, tokens, size) to the caches."""
        self._layer = layer
        split = (torch.split(keys, self._sizes, 2), torch.split(values, self._sizes, 2))
        for part, key, value in zip(self._parts, *split, strict=True):
            part.layers[layer].append(part.unpack(key), part.unpack(value))

    def attend(self, module: torch.nn.Module, query: torch.Tensor, **options: Any) -> torch.Tensor:
        """Attend row by row to what the caches of the layer that was stored last hold."""
        found = []
        for part, own in zip(self._parts, torch.split(query, self._sizes, 2), strict=True):
            keys, values = part.layers[self._layer].views
            rows, _ = sdpa_attention_forward(
                module, part.unpack(own), keys, values, part.mask, **options
            )
            found.append(part.pack(rows))
        return torch.cat(found, 1)


class PackedCache:
    """What the model takes for its cache in a packed call."""

    def __init__(self, found: Packing) -> None:
        self._packing = found

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *args: Any, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values; what is returned is not looked at."""
        self._packing.store(keys, values, layer)
        return keys, values

    def get_seq_length(self, layer: int = 0) -> int:
        """Return nothing of use: positions are given."""
        return 0


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
    """Attend row by row to what the caches hold; `key` and `value` are the new ones, packed."""
    found = packed()
    if found is None:
        raise RuntimeError(f"the attention {NAME!r} is for packed calls only")
    return found.attend(module, query, **options), None


ALL_ATTENTION_FUNCTIONS.register(NAME, _attend)
