"""From logits to tokens, for all rows of a batch at once.

The order of a step is fixed: watermark, repetition penalty, frequency penalty, mask, temperature,
top_k, top_p, typical_p, choice. What is common to all rows (mask, log-softmax, argmax) is one
operation over the batch; the rest touches only the rows that asked for it. Every request owns its
generator, so a row never depends on its neighbours.

A token is drawn as an exponential race: with q ~ Exp(1) for each token, the largest p / q wins with
probability p. One draw for the whole vocabulary per step, whatever the mask allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ..fsm.bitmask import forbid
from ..schemas.errors import GenerationError, LockstitchError, during_generation
from ..schemas.parameters import GenerateParameters
from . import processors
from .masking import Mask, apply_masks
from .watermark import add_watermark


@dataclass(frozen=True)
class Choice:
    """A chosen token; `top` lists (id, logprob), likeliest first; `forced` had no alternative.

    `raw` is what its row asked for: the raw log-probability and the legal mass.
    """

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    forced: bool = False
    raw: tuple[float | None, float | None] | None = None


class Sampler:
    """How one request chooses: its parameters, its generator, and the tokens it has seen.

    `seed` None is greedy. Shapes: all rows of logits are (V,) float32 on `device`.
    """

    def __init__(
        self,
        parameters: GenerateParameters,
        prompt_ids: Sequence[int],
        vocabulary: int,
        device: torch.device,
        seed: int | None,
    ) -> None:
        """Count the prompt if a penalty needs it, and seed the generator."""
        self.parameters = parameters
        self._previous = prompt_ids[-1]
        self._generator = None if seed is None else torch.Generator(device).manual_seed(seed)
        repetition = parameters.repetition_penalty
        self._repetition = 1.0 if repetition is None else repetition
        self._frequency = parameters.frequency_penalty or 0.0
        self._per_use, self._once = parameters.generated_penalties
        self._generated: dict[int, int] = {}
        self._counts: torch.Tensor | None = None
        if self._repetition != 1.0 or self._frequency != 0.0:
            ids = torch.tensor(prompt_ids, device=device)
            self._counts = torch.bincount(ids, minlength=vocabulary)[:vocabulary].float()

    def observe(self, token_id: int) -> None:
        """Take note of a token that was appended."""
        self._previous = token_id
        if self._per_use or self._once:
            self._generated[token_id] = self._generated.get(token_id, 0) + 1
        if self._counts is not None:
            self._counts[token_id] += 1

    def penalise(self, logits: torch.Tensor) -> None:
        """Apply what comes before the mask, in place."""
        if self.parameters.watermark:
            add_watermark(logits, self._previous)
        if self._generated:
            uses = self._generated
            ids = torch.tensor(list(uses), device=logits.device)
            counts = torch.tensor(list(uses.values()), device=logits.device)
            logits[ids] -= self._per_use * counts + self._once
        if self._counts is None:
            return
        if self._repetition != 1.0:
            seen = self._counts > 0
            logits.copy_(processors.repetition_penalty(logits, seen, self._repetition))
        if self._frequency != 0.0:
            logits.copy_(processors.frequency_penalty(logits, self._counts, self._frequency))

    @property
    def filters(self) -> bool:
        """Whether `filter` does anything."""
        p = self.parameters
        return any(v is not None for v in (p.temperature, p.top_k, p.top_p, p.typical_p))

    def filter(self, logits: torch.Tensor) -> torch.Tensor:
        """Return what temperature, top_k, top_p and typical_p leave; also of a part of a row."""
        p = self.parameters
        if p.temperature is not None:
            logits = processors.temperature(logits, p.temperature)
        if p.top_k is not None:
            logits = processors.top_k(logits, p.top_k)
        if p.top_p is not None:
            logits = processors.top_p(logits, p.top_p)
        if p.typical_p is not None:
            logits = processors.typical_p(logits, p.typical_p)
        return logits

    def race(self, logits: torch.Tensor) -> None:
        """Replace logits by scores whose argmax is a draw, in place; greedy keeps the logits."""
        if self._generator is not None:
            waits = torch.empty_like(logits).exponential_(1, generator=self._generator)
            logits.copy_(logits.softmax(-1).div_(waits))


@dataclass(frozen=True)
class Row:
    """One row of a batch of logits that wants a token.

    `mask` is packed (see `apply_masks`), None allows all; `allowed` are its ids if they are few.
    Where `fits` turns the chosen token down, the choice is made again among those of `narrower`,
    each of which may still be turned down; which is the same as to have masked them all before.
    """

    index: int
    sampler: Sampler
    mask: Mask | None = None
    allowed: Mask | None = None
    fits: Callable[[int], bool] | None = None
    narrower: Callable[[], Mask] | None = None


def choose(logits: torch.Tensor, rows: Sequence[Row]) -> list[Choice | GenerationError]:
    """Choose a token for each of `rows`; logits (B, V) float32 are used up.

    A row that has no finite probability to offer, because the model computed NaN, gets an error,
    and so does one whose grammar meets a limit.
    """
    kept = {row.index: logits[row.index].clone() for row in rows if row.fits is not None}
    raw = {row.index: _raw(logits, row) for row in rows if row.sampler.parameters.token_statistics}
    found: dict[int, Choice | GenerationError] = {}
    found |= {row.index: forced for row in rows if (forced := _forced(row)) is not None}
    open_ = [row for row in rows if row.index not in found]
    found |= {row.index: choice for row, choice in zip(open_, _choose(logits, open_), strict=True)}
    for row in rows:
        if row.fits is not None:
            try:
                found[row.index] = _fitting(row, found[row.index], kept[row.index])
            except LockstitchError as error:  # a limit that was met; the other rows go on
                found[row.index] = during_generation(error)
    return [_with_raw(found[row.index], raw.get(row.index)) for row in rows]


def _fitting(
    row: Row, choice: Choice | GenerationError, logits: torch.Tensor
) -> Choice | GenerationError:
    """Choose again, from untouched logits (V,), until the token is not turned down."""
    mask: Mask | None = None
    while isinstance(choice, Choice) and row.fits is not None and not row.fits(choice.token_id):
        if mask is None and row.narrower is not None:
            mask = row.narrower()
        elif mask is not None:
            forbid(mask, [choice.token_id])
        if mask is None or not mask.any():
            return GenerationError("no token is left that ends the text within its budget")
        again = Row(0, row.sampler, mask)
        choice = _choose(logits.clone().unsqueeze(0), [again])[0]
    return choice


@dataclass(frozen=True)
class Raw:
    """The model's own distribution (V,), as log-probabilities, and how much of it is legal."""

    logprobs: torch.Tensor
    legal_mass: float


def _raw(logits: torch.Tensor, row: Row) -> Raw:
    logprobs = torch.log_softmax(logits[row.index], -1)
    if row.mask is None:
        return Raw(logprobs, 1.0)
    legal = logprobs.clone().unsqueeze(0)
    apply_masks(legal, [0], [row.mask])
    return Raw(logprobs, min(float(legal.exp().sum()), 1.0))


def _with_raw(choice: Choice | GenerationError, raw: Raw | None) -> Choice | GenerationError:
    if raw is None or isinstance(choice, GenerationError):
        return choice
    logprob = float(raw.logprobs[choice.token_id])
    return replace(choice, raw=(logprob if math.isfinite(logprob) else None, raw.legal_mass))


def _forced(row: Row) -> Choice | None:
    """Return the only token that a row allows, if there is just one."""
    if row.allowed is None or len(row.allowed) != 1:
        return None
    token_id = int(row.allowed[0])
    top = ((token_id, 0.0),) if row.sampler.parameters.top_n_tokens else ()
    return Choice(token_id, 0.0, top, forced=True)


def _choose(logits: torch.Tensor, rows: Sequence[Row]) -> list[Choice | GenerationError]:
    if not rows:
        return []
    for row in rows:
        row.sampler.penalise(logits[row.index])
    masked = [(row.index, row.mask) for row in rows if row.mask is not None]
    apply_masks(logits, [index for index, _ in masked], [mask for _, mask in masked])
    for row in rows:
        if row.sampler.filters:
            _filter(logits[row.index], row)
    logprobs = torch.log_softmax(logits, -1)
    for row in rows:
        row.sampler.race(logits[row.index])
    winners = logits.argmax(-1)
    ids = winners.tolist()
    likelihoods = logprobs.gather(-1, winners.unsqueeze(-1)).squeeze(-1).tolist()
    return [_choice(row, ids[row.index], likelihoods[row.index], logprobs) for row in rows]


def _filter(logits: torch.Tensor, row: Row) -> None:
    """Where few tokens are allowed only those are looked at: the rest is minus infinity anyway."""
    if row.allowed is None:
        logits.copy_(row.sampler.filter(logits))
        return
    ids = torch.tensor(row.allowed, dtype=torch.int64, device=logits.device)
    logits[ids] = row.sampler.filter(logits[ids])


def _choice(
    row: Row, token_id: int, logprob: float, logprobs: torch.Tensor
) -> Choice | GenerationError:
    if not -float("inf") < logprob <= 0:
        return GenerationError("the model computed logits that are not numbers; use a wider dtype")
    top = top_tokens(logprobs[row.index], row.sampler.parameters.top_n_tokens or 0)
    return Choice(token_id, logprob + 0.0, top)  # + 0.0 turns -0.0 into 0.0


def top_tokens(logprobs: torch.Tensor, count: int) -> tuple[tuple[int, float], ...]:
    """Return the `count` likeliest (id, logprob) of a row (V,), and all that tie with the last.

    Ordered by logprob, then id; tokens without probability are never listed.
    """
    if count == 0:
        return ()
    lowest = torch.topk(logprobs, min(count, logprobs.shape[-1])).values[-1]
    ids = ((logprobs >= lowest) & (logprobs > processors.NEVER)).nonzero().flatten()
    pairs = zip(ids.tolist(), (logprobs[ids] + 0.0).tolist(), strict=True)
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
