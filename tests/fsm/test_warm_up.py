"""Tests for what is made before the first grammar."""

from __future__ import annotations

import pytest
from small_vocabulary import small_vocabulary

from lockstitch import TextStyle, TokenFSM, compile_grammar
from lockstitch.fsm.mask_builder import _SHARED
from lockstitch.fsm.warm_up import warm_up

STYLES = [
    TextStyle(),
    TextStyle(whitespace="compact", escapes="any"),
    TextStyle(whitespace="flexible", property_order="any"),
]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_each_style_is_warmed_up(style: TextStyle) -> None:
    """What strings allow is there, and the first masks are what they are without it."""
    warm, cold = small_vocabulary(), small_vocabulary()
    warm_up(style, warm)
    assert len(_SHARED[warm].heads) > 0
    for field in ({"type": "json", "value": {}}, {"type": "regex", "value": r"\d+"}):
        masks = []
        for vocabulary in (warm, cold):
            fsm = TokenFSM(compile_grammar(field, style=style), vocabulary)
            masks.append(fsm.token_mask(fsm.start).tobytes())
        assert masks[0] == masks[1]
