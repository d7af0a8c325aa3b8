"""How many tokens the KV cache may hold: from the memory that is free, and what one token takes."""

from __future__ import annotations

import os
from typing import Any

import torch

# Of the memory that is free once the model is loaded; a CPU shares it with everything else.
CPU_SHARE = 0.25
DEVICE_SHARE = 0.8
BUFFER_ROOM = 2  # a buffer that grows is held twice for a moment


def positions_for(model: Any, at_least: int) -> int:
    """Return how many positions fit into the memory that is free, `at_least` one whole context."""
    return max(at_least, int(_free_bytes(model.device) / (BUFFER_ROOM * token_bytes(model))))


def token_bytes(model: Any) -> int:
    """Return the bytes of keys and values that one token takes in all layers."""
    config = model.config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    element: int = torch.empty(0, dtype=model.dtype).element_size()
    return int(2 * config.num_hidden_layers * kept * size * element)


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]
    pages = os.sysconf(
        "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    )
    return CPU_SHARE * pages * os.sysconf("SC_PAGE_SIZE")
