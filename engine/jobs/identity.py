"""What the results of a job depend on, as digests that a ledger can compare."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import torch

from ..engine import Engine

SAMPLE = 64  # numbers of each weight that are looked at


def digest(value: Any) -> str:
    """Return a digest of a JSON value."""
    text = json.dumps(value, sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def model_digest(engine: Engine) -> str:
    """Return a digest of a model: its vocabulary, its shapes, and some of each weight.

    Cost: one small copy for each weight.
    """
    found = blake2b(engine.vocabulary.fingerprint.encode(), digest_size=16)
    for name, weight in engine.model.named_parameters():
        few = weight.detach().flatten()[:SAMPLE].to("cpu", torch.float64)
        found.update(f"{name}{tuple(weight.shape)}{weight.dtype}".encode())
        found.update(few.numpy().tobytes())
    return found.hexdigest()
