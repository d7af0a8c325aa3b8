"""A marked text is found by a detector that was not written here."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import WatermarkDetector, WatermarkingConfig

from lockstitch import Engine
from lockstitch.engine.watermark import DELTA, GAMMA, HASH_KEY

LETTERS = {"type": "regex", "value": "[^0-9]*"}


def score(engine: Engine, *, watermark: bool, grammar: object = None) -> Any:
    """Return what the detector of transformers says of 200 tokens."""
    response = engine.generate(
        "the quick brown fox",
        grammar=grammar,
        max_new_tokens=200,
        do_sample=True,
        seed=5,
        details=True,
        watermark=watermark,
    )
    assert response.details is not None
    ids: Any = torch.tensor([[token.id for token in response.details.tokens]])
    config = copy.deepcopy(engine.model.config)
    config.bos_token_id = -1  # the detector wants one to skip; this tokenizer has none
    detector = WatermarkDetector(
        model_config=config,
        device="cpu",
        watermarking_config=WatermarkingConfig(
            greenlist_ratio=GAMMA, bias=DELTA, hashing_key=HASH_KEY, seeding_scheme="lefthash"
        ),
        ignore_repeated_ngrams=True,
    )
    return detector(ids, return_dict=True, z_threshold=4.0)


@pytest.mark.parametrize("grammar", [None, LETTERS])
def test_only_marked_texts_are_detected(engine: Engine, grammar: object) -> None:
    marked = score(engine, watermark=True, grammar=grammar)
    plain = score(engine, watermark=False, grammar=grammar)
    assert bool(marked.prediction[0])
    assert not bool(plain.prediction[0])
    assert marked.z_score[0] > 4 > plain.z_score[0]
