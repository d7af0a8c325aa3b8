"""The keys and values of a batch, in buffers with room: appending copies only what is new.

transformers' own dynamic layers copy everything they hold at each step. These hold the same tensors
as views of larger buffers, and add what rows that come and go need: take some rows, close the gaps
that padding leaves, stack two batches.

Shapes: keys and values are (rows, heads, columns, head size); a column is a place for one token of
each row, real or padding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

LEAST_ROOM = 64


class Buffer:
    """A tensor that grows along its columns."""

    def __init__(self) -> None:
        self._data: torch.Tensor | None = None
        self._used = 0

    def append(self, more: torch.Tensor) -> torch.Tensor:
        """Write columns behind those in use; return all of them, a view."""
        used = self._used + more.shape[-2]
        if self._data is None or used > self._data.shape[-2]:
            self._grow(more, used)
        assert self._data is not None
        self._data[:, :, self._used : used] = more
        self._used = used
        return self.view

    def _grow(self, like: torch.Tensor, used: int) -> None:
        rows, heads, _, size = like.shape
        grown = like.new_empty(rows, heads, used + max(LEAST_ROOM, used // 4), size)
        if self._data is not None:
            grown[:, :, : self._used] = self.view
        self._data = grown

    @property
    def view(self) -> torch.Tensor:
        """The columns in use."""
        assert self._data is not None
        return self._data[:, :, : self._used]

    def cut(self, columns: int) -> None:
        """Forget all but the first columns."""
        self._used = min(self._used, columns)

    def replace(self, data: torch.Tensor) -> torch.Tensor:
        """Hold another tensor from now on."""
        self._data, self._used = data, data.shape[-2]
        return data


class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer of the cache; `update` is what the model calls."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._buffers = (Buffer(), Buffer())

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values; return all of them."""
        return self.append(key_states, value_states)

    def append(
        self, key_states: torch.Tensor, value_states: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values (rows, heads, new columns, head size); return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        keys, values = self._buffers
        self.keys, self.values = keys.append(key_states), values.append(value_states)
        return self.keys, self.values

    @property
    def views(self) -> tuple[torch.Tensor, torch.Tensor]:
        """All keys and all values."""
        keys, values = self._buffers
        return keys.view, values.view

    def _replace(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys = self._buffers[0].replace(keys)
        self.values = self._buffers[1].replace(values)

    def cut(self, columns: int) -> None:
        """Forget all but the first columns; one that a failed call never came to has no more."""
        for buffer in self._buffers:
            buffer.cut(columns)

    def take_rows(self, index: torch.Tensor) -> None:
        """Keep the rows of `index`, in its order."""
        keys, values = self.views
        self._replace(keys[index], values[index])

    def take_columns(self, index: torch.Tensor) -> None:
        """Keep, for each row, the columns of its row of `index` (rows, columns)."""
        keys, values = self.views
        where = index[:, None, :, None]
        self._replace(
            keys.gather(2, where.expand(-1, keys.shape[1], -1, keys.shape[3])),
            values.gather(2, where.expand(-1, values.shape[1], -1, values.shape[3])),
        )

    def stack(self, below: GrowingLayer) -> None:
        """Put the rows of another layer below these, both padded on the left to equal columns."""
        views = zip(self.views, below.views, strict=True)
        keys, values = (_stacked(above, under) for above, under in views)
        self._replace(keys, values)


def _stacked(*parts: torch.Tensor) -> torch.Tensor:
    width = max(part.shape[2] for part in parts)
    return torch.cat([pad(part, (0, 0, width - part.shape[2], 0)) for part in parts])


def new_cache(config: Any) -> tuple[DynamicCache, list[GrowingLayer]]:
    """Return an empty cache for a model, and its layers if rows can come and go in it.

    The list is empty where the model remembers otherwise than by full attention (sliding windows,
    linear attention): there the place of a column counts, and every row keeps its own cache.
    """
    cache = DynamicCache(config=config)
    if not cache.layers or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return cache, []
    layers = [GrowingLayer() for _ in cache.layers]
    cache.layers = list(layers)
    return cache, layers
