"""The model as two verbs: prefill a batch of prompts, decode one more token for each of its rows.

Rows have different lengths, so prompts are padded on the left and the attention mask and the
positions say where each begins; a row computes what it would compute alone. Rows that have ended
are taken out of the cache, which pays from the first one: it frees their share of every later pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from ..schemas.errors import GenerationError


class Forward:
    """A batch in the model: its KV cache and attention mask. Shapes: logits (rows, V) float32."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._cache: Any = DynamicCache(config=model.config)
        self._mask = torch.empty(0, 0, dtype=torch.int64)

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Run whole prompts; return the logits that follow each of them."""
        return self._all_prompt_logits(prompts, keep=1)[:, -1]

    @torch.no_grad()
    def prefill_logprobs(self, prompt: Sequence[int]) -> list[float | None]:
        """Return the raw log-probability of every token of a prompt but the first.

        None stands for one that is not finite. Runs the prompt on its own, apart from any batch.
        """
        logits = Forward(self._model)._all_prompt_logits([prompt], keep=0)[0]
        ids = torch.tensor(prompt[1:], device=logits.device).unsqueeze(-1)
        found = torch.log_softmax(logits[:-1], -1).gather(-1, ids)
        return [value if math.isfinite(value) else None for value in found.flatten().tolist()]

    def _all_prompt_logits(self, prompts: Sequence[Sequence[int]], *, keep: int) -> torch.Tensor:
        longest = max(map(len, prompts))
        padding = [longest - len(prompt) for prompt in prompts]
        ids = [[0] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)]
        mask = [[0] * pad + [1] * (longest - pad) for pad in padding]
        self._mask = torch.tensor(mask, device=self._model.device)
        positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        return self._run(torch.tensor(ids, device=self._model.device), positions, keep)

    @torch.no_grad()
    def decode(self, token_ids: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; return the logits that follow."""
        more = torch.ones(len(token_ids), 1, dtype=self._mask.dtype, device=self._mask.device)
        self._mask = torch.cat([self._mask, more], -1)
        positions = self._mask.sum(-1, keepdim=True) - 1
        ids = torch.tensor(token_ids, device=self._model.device).unsqueeze(-1)
        return self._run(ids, positions, 1)[:, -1]

    def _run(self, ids: torch.Tensor, positions: torch.Tensor, keep: int) -> torch.Tensor:
        """Raises GenerationError for what a model fails with, lack of memory above all."""
        model: Any = self._model
        try:
            logits: torch.Tensor = model(
                input_ids=ids,
                attention_mask=self._mask,
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=keep,
            ).logits
            return logits.float()
        except RuntimeError as error:  # torch's own errors, OutOfMemoryError among them
            reason = str(error).partition("\n")[0]
            raise GenerationError(f"Request failed during generation: {reason}") from error

    @torch.no_grad()
    def keep(self, rows: Sequence[int]) -> None:
        """Keep only some rows, in the order given."""
        index = torch.tensor(rows, device=self._mask.device)
        self._cache.batch_select_indices(index)
        self._mask = self._mask[index]
