"""What changes one row of logits: penalties before the mask, temperature and filters after it.

Each function takes a row and returns a row; tokens that are out get minus infinity. A filter keeps
at least one token of those it is given, so after the mask no filter can leave a grammar without a
token.

Sources: CTRL (Keskar and others, 2019) for the repetition penalty, Holtzman and others (2020) for
top_p, Meister and others (2022) for typical_p.
"""

from __future__ import annotations

import torch

NEVER = float("-inf")
_HUGE = 1e30  # finite after any further step, so that a wild penalty cannot produce NaN
_TINY_TEMPERATURE = 1e-3
_HEAD = 1024


def repetition_penalty(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Make tokens of the context less likely, once per token. Shapes: (V,), seen (V,) bool."""
    weaker = torch.where(logits < 0, logits * penalty, logits / penalty).clamp(-_HUGE, _HUGE)
    return torch.where(seen, weaker, logits)


def frequency_penalty(logits: torch.Tensor, counts: torch.Tensor, penalty: float) -> torch.Tensor:
    """Take `penalty` times each token's share of the context away; counts is (V,)."""
    return logits - penalty * counts / counts.sum()


def temperature(logits: torch.Tensor, value: float) -> torch.Tensor:
    """Divide by the temperature; near 0, relative to the maximum, which changes no choice."""
    if value < _TINY_TEMPERATURE:
        logits = logits - logits.max()
    return logits / value


def top_k(logits: torch.Tensor, k: int) -> torch.Tensor:
    """Keep the k highest logits and whatever ties with the last of them."""
    lowest = torch.topk(logits, min(k, logits.shape[-1])).values[-1]
    return logits.masked_fill(logits < lowest, NEVER)


def top_p(logits: torch.Tensor, mass: float) -> torch.Tensor:
    """Keep the smallest head of the distribution that holds `mass` of it, the likeliest always.

    Cost: a sort of the likeliest 1,024 tokens where they hold the mass, else of all of them.
    """
    if mass >= 1.0:
        return logits
    if logits.shape[-1] > 4 * _HEAD:
        total = torch.logsumexp(logits, -1)
        head = torch.topk(logits, _HEAD)
        reached = torch.exp(head.values - total).cumsum(-1)
        if reached[-1] >= mass:
            keep = int((reached < mass).sum()) + 1
            filtered = torch.full_like(logits, NEVER)
            filtered[head.indices[:keep]] = head.values[:keep]
            return filtered
    ascending = torch.sort(logits)
    reached = ascending.values.softmax(-1).cumsum(-1)
    out = reached <= 1 - mass
    out[-1] = False
    return logits.masked_fill(torch.zeros_like(out).scatter(0, ascending.indices, out), NEVER)


def typical_p(logits: torch.Tensor, mass: float) -> torch.Tensor:
    """Keep the tokens whose surprise is nearest to the entropy, until they hold `mass`."""
    if mass >= 1.0:
        return logits
    logprobs = torch.log_softmax(logits, -1)
    entropy = -(logprobs.exp() * logprobs).nansum()  # 0 * -inf is NaN: a forbidden token adds none
    distance = (-logprobs - entropy).abs()
    nearest = torch.sort(distance)
    reached = logprobs.exp()[nearest.indices].cumsum(-1)
    last = min(int((reached < mass).sum()), logits.shape[-1] - 1)
    return logits.masked_fill(distance > nearest.values[last], NEVER)
