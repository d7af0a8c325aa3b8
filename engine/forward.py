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
from .packing import Packing, causal_mask, packed, packing, packs

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
        width = max(map(len, runs))
        gaps = [width - len(run) for run in runs]
        device = self._mask.device
        new = torch.tensor([[0] * gap + [1] * (width - gap) for gap in gaps], device=device)
        before, self._mask = self._lengths, torch.cat([self._mask, new], -1)
        self._lengths = [n + len(run) for n, run in zip(before, runs, strict=True)]
        if self.packs and any(gaps):
            return self._run_packed(runs, before)
        ids = [[0] * gap + list(run) for gap, run in zip(gaps, runs, strict=True)]
        starts = torch.tensor(before, device=device).unsqueeze(-1)
        positions = (starts + new.cumsum(-1) - 1).clamp(min=0)
        return self._run(torch.tensor(ids, device=device), positions, keep)

    def _run_packed(self, runs: Sequence[Sequence[int]], before: list[int]) -> torch.Tensor:
        """Run the model on runs that follow `before` tokens; logits (rows, 1, V) after the last."""
        device = self._mask.device
        lengths = [len(run) for run in runs]
        ids = [token for run in runs for token in run]
        positions = [
            n + i for n, length in zip(before, lengths, strict=True) for i in range(length)
        ]
        found = Packing(lengths, causal_mask(self._mask, max(lengths)))
        with packing(self._model, found):
            logits = self._run(
                torch.tensor([ids], device=device),
                torch.tensor([positions], device=device),
                found.last,
            )
        return logits.transpose(0, 1)

    def _run(
        self, ids: torch.Tensor, positions: torch.Tensor, keep: int | torch.Tensor
    ) -> torch.Tensor:
        model: Any = self._model
        options = {} if self.adapters is None else {"adapter_names": self.adapters}
        try:
            logits: torch.Tensor = model(
                input_ids=ids,
                attention_mask=self._mask if packed() is None else None,
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=keep,
                **options,
            ).logits
            return logits.float()
        except RuntimeError as error:  # torch's own errors, OutOfMemoryError among them
            reason = str(error).partition("\n")[0]
            raise GenerationError(f"Request failed during generation: {reason}") from error

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
