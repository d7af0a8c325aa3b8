"""The model as one verb: append a run of tokens to each row of a batch, get the logits that follow.

A prompt is a long run, a decoded token is a run of one; rows of one call may get runs of different
lengths. Runs are aligned on the right, so the cache has columns that are padding for some rows, at
the start or in between; the attention mask leaves them out and positions count real tokens only, so
a row computes what it would compute alone. Gaps are closed when they have become many. Where the
model allows it, runs of different lengths are packed, and only the attention sees padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import PreTrainedModel

from ..schemas.errors import GenerationError
from .kv_cache import new_cache
from .packing import PackedCache, Packing, Part, packing, packs

MOST_GAPS = 64  # columns, beside a quarter of the longest row


class Rows:
    """Some rows in the model: their KV cache and attention mask.

    `joins` tells whether other rows can be added later and runs may differ in length. `adapters`
    names the adapter of each row, None if the model has none loaded. Shapes: logits (rows, V)
    float32.
    """

    def __init__(
        self, model: PreTrainedModel, count: int, adapters: Sequence[str] | None = None
    ) -> None:
        self._model = model
        self._cache, self._layers = new_cache(model.config)
        self.joins = bool(self._layers)
        self.adapters = None if adapters is None else list(adapters)
        self.packs = self.joins and adapters is None and packs(model)
        self._mask = torch.zeros(count, 0, dtype=torch.int64, device=model.device)
        self._lengths = [0] * count

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def columns(self) -> int:
        """The places for tokens that each row takes up, padding included."""
        return self._mask.shape[1]

    @torch.no_grad()
    def append(self, runs: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append a run of at least one token to each row; return the logits after the last ones.

        Raises GenerationError for what the model fails with; the rows are lost then.
        """
        self._close_gaps()
        if self.packs and len({len(run) for run in runs}) > 1:
            return append_together([(self, runs)])[0]
        return self._append(runs, keep=1)[:, -1]

    @torch.no_grad()
    def append_with_logprobs(
        self, run: Sequence[int], following: int | None
    ) -> tuple[torch.Tensor, list[float | None]]:
        """Do the same for the only row, and tell the raw log-probability of each next token.

        That is, of `run[1:]` and of `following` if there is one; None stands for what is not
        finite.
        """
        logits = self._append([run], keep=0)[0]
        expected = [*run[1:], *([] if following is None else [following])]
        ids = torch.tensor(expected, dtype=torch.int64, device=logits.device).unsqueeze(-1)
        found = torch.log_softmax(logits[: len(expected)], -1).gather(-1, ids).flatten().tolist()
        return logits[-1:], [value if math.isfinite(value) else None for value in found]

    def _append(self, runs: Sequence[Sequence[int]], *, keep: int) -> torch.Tensor:
        before, new = self._lengths, self._add_columns(runs)
        ids = [[0] * (new.shape[1] - len(run)) + list(run) for run in runs]
        starts = torch.tensor(before, device=new.device).unsqueeze(-1)
        positions = (starts + new.cumsum(-1) - 1).clamp(min=0)
        options = {} if self.adapters is None else {"adapter_names": self.adapters}
        return _logits(
            self._model,
            input_ids=torch.tensor(ids, device=new.device),
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            logits_to_keep=keep,
            **options,
        )

    def _add_columns(self, runs: Sequence[Sequence[int]]) -> torch.Tensor:
        """Make room for a run of each row; return the new columns, 1 where there is a token."""
        width = max(map(len, runs))
        gaps = [width - len(run) for run in runs]
        new = torch.tensor(
            [[0] * gap + [1] * (width - gap) for gap in gaps], device=self._mask.device
        )
        self._mask = torch.cat([self._mask, new], -1)
        self._lengths = [n + len(run) for n, run in zip(self._lengths, runs, strict=True)]
        return new

    def part(self, runs: Sequence[Sequence[int]]) -> tuple[Part, list[int]]:
        """Make room for a run of each row; return their part of a packed call, and positions."""
        self._close_gaps()
        before = self._lengths
        self._add_columns(runs)
        pairs = zip(before, runs, strict=True)
        positions = [start + i for start, run in pairs for i in range(len(run))]
        return Part(self._layers, [len(run) for run in runs], self._mask), positions

    def take_back(self, runs: Sequence[Sequence[int]]) -> None:
        """Forget runs that were laid out for a packed call that failed."""
        columns = self.columns - max(map(len, runs))
        self._mask = self._mask[:, :columns]
        self._lengths = [n - len(run) for n, run in zip(self._lengths, runs, strict=True)]
        for layer in self._layers:
            layer.cut(columns)

    @torch.no_grad()
    def keep(self, rows: Sequence[int]) -> None:
        """Keep only some rows, in the order given. Cost: a copy of what is kept."""
        index = torch.tensor(rows, device=self._mask.device)
        for layer in self._layers:
            layer.take_rows(index)
        if not self._layers:
            self._cache.batch_select_indices(index)
        self._mask = self._mask[index]
        self._lengths = [self._lengths[row] for row in rows]
        if self.adapters is not None:
            self.adapters = [self.adapters[row] for row in rows]
        self._close_gaps()

    @torch.no_grad()
    def join(self, below: Rows) -> None:
        """Take in the rows of another batch, below these. Cost: a copy of both."""
        for batch in (self, below):
            batch._close_gaps(most=0)
        for layer, other in zip(self._layers, below._layers, strict=True):
            layer.stack(other)
        width = max(self.columns, below.columns)
        self._mask = torch.cat([pad(b._mask, (width - b.columns, 0)) for b in (self, below)])
        self._lengths += below._lengths
        if self.adapters is not None and below.adapters is not None:
            self.adapters += below.adapters

    def _close_gaps(self, most: int | None = None) -> None:
        """Move each row's tokens to the right end of as few columns as the longest row needs."""
        longest = max(self._lengths)
        if most is None:
            most = MOST_GAPS + longest // 4
        if not self._layers or self.columns - longest <= most:
            return
        order = self._mask.sort(dim=-1, stable=True).indices[:, -longest:]
        for layer in self._layers:
            layer.take_columns(order)
        self._mask = self._mask.gather(1, order)


@torch.no_grad()
def append_together(
    batches: Sequence[tuple[Rows, Sequence[Sequence[int]]]],
) -> list[torch.Tensor]:
    """Append a run to each row of some batches that pack, in one call; return the logits of each.

    Raises GenerationError for what the model fails with; the rows are then what they were before.
    """
    model = batches[0][0]._model
    found = [rows.part(runs) for rows, runs in batches]
    ids = [token for _, runs in batches for run in runs for token in run]
    positions = [position for _, own in found for position in own]
    call = Packing([part for part, _ in found])
    try:
        with packing(model, call):
            logits = _logits(
                model,
                input_ids=torch.tensor([ids], device=call.last.device),
                attention_mask=None,
                position_ids=torch.tensor([positions], device=call.last.device),
                past_key_values=PackedCache(call),
                logits_to_keep=call.last,
            )[0]
    except GenerationError:
        for rows, runs in batches:
            rows.take_back(runs)
        raise
    sizes = [len(rows) for rows, _ in batches]
    return list(torch.split(logits, sizes))


def _logits(model: Any, **inputs: Any) -> torch.Tensor:
    """Call the model; raises GenerationError for torch's own errors (OutOfMemoryError is one)."""
    try:
        logits: torch.Tensor = model(use_cache=True, **inputs).logits
        return logits.float()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise GenerationError(f"Request failed during generation: {reason}") from error
