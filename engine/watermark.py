"""A soft green-list watermark: half of the vocabulary, drawn anew for each token, is favoured.

The half is drawn from the token before.

Source: Kirchenbauer, Geiping, Wen, Katz, Miers, Goldstein, "A Watermark for Large Language Models"
(ICML 2023), with a context of one token. Permutations come from torch's generator for the device,
so a text that was marked on one kind of device is detected on the same kind.
"""

from __future__ import annotations

import torch

GAMMA = 0.5
DELTA = 2.0
HASH_KEY = 15_485_863


def green_list(previous_token: int, vocabulary: int, device: torch.device) -> torch.Tensor:
    """Return the favoured token ids after `previous_token`, in the order drawn: (int(V / 2),)."""
    generator = torch.Generator(device).manual_seed(HASH_KEY * previous_token)
    drawn = torch.randperm(vocabulary, generator=generator, device=device)
    return drawn[: int(GAMMA * vocabulary)]


def add_watermark(logits: torch.Tensor, previous_token: int) -> None:
    """Favour the green list in a row of logits (V,), in place."""
    logits[green_list(previous_token, logits.shape[-1], logits.device)] += DELTA
