"""`fsm.logits_processor()` inside transformers' own `generate`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from small_vocabulary import small_vocabulary
from transformers import LlamaConfig, LlamaForCausalLM

from lockstitch.constraint.grammar import compile_grammar
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.schemas.errors import TokenRejectedError, ValidationError

VOCABULARY = small_vocabulary()
EOS = sorted(VOCABULARY.eos_token_ids)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"enum": ["ab", "abc"]},
        "b": {
            "type": "array",
            "items": {"type": "integer", "maximum": 9, "minimum": 1},
            "maxItems": 2,
        },
    },
    "required": ["a", "b"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY.size + 5,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        eos_token_id=EOS,
        pad_token_id=0,
    )
    model: Any = LlamaForCausalLM(config)
    return model.eval()


@pytest.fixture(scope="module")
def fsm() -> TokenFSM:
    return TokenFSM(compile_grammar({"type": "json", "value": SCHEMA}), VOCABULARY)


def text_of(row: torch.Tensor) -> str:
    pieces = []
    for token in row.tolist():
        if token in EOS:
            break
        pieces.append(VOCABULARY.token_bytes[token] or b"")
    return b"".join(pieces).decode()


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": False},
        {"do_sample": True, "temperature": 3.0},
        {"do_sample": False, "num_beams": 4, "num_return_sequences": 3},
        {"do_sample": True, "num_beams": 3},
    ],
    ids=["greedy", "sampled", "beams", "sampled beams"],
)
def test_generate_always_validates(model: Any, fsm: TokenFSM, options: dict[str, Any]) -> None:
    prompts = torch.tensor([[0, 0, 65, 66], [67, 68, 69, 70], [65, 66, 67, 68]])
    output = model.generate(
        prompts,
        attention_mask=(prompts != 0).long(),
        logits_processor=[fsm.logits_processor()],
        max_new_tokens=60,
        **options,
    )
    assert len(output) == 3 * options.get("num_return_sequences", 1)
    for row in output[:, prompts.shape[1] :]:
        assert Draft202012Validator(SCHEMA).is_valid(json.loads(text_of(row))), text_of(row)


def test_columns_beyond_the_vocabulary_are_masked(fsm: TokenFSM) -> None:
    scores = torch.zeros(1, VOCABULARY.size + 40)
    masked = fsm.logits_processor()(torch.tensor([[5]]), scores)
    assert torch.isinf(masked[0, VOCABULARY.size :]).all()
    assert masked.dtype == scores.dtype
    assert not torch.isinf(scores).any()


def test_scores_that_are_too_narrow_are_refused(fsm: TokenFSM) -> None:
    with pytest.raises(ValidationError, match="columns"):
        fsm.logits_processor()(torch.tensor([[5]]), torch.zeros(1, 100))


def test_a_foreign_token_is_an_error_and_padding_is_not(fsm: TokenFSM) -> None:
    processor = fsm.logits_processor()
    scores = torch.zeros(1, VOCABULARY.size)
    processor(torch.tensor([[5]]), scores)
    with pytest.raises(TokenRejectedError):
        processor(torch.tensor([[5, ord("x")]]), scores)
    done = TokenFSM(compile_grammar({"type": "regex", "value": "a"}), VOCABULARY).logits_processor()
    for row in ([7], [7, 97], [7, 97, EOS[0]], [7, 97, EOS[0], 0], [7, 97, EOS[0], 0, 0]):
        masked = done(torch.tensor([row]), scores)
    assert torch.isfinite(masked).nonzero()[:, 1].tolist() == EOS
