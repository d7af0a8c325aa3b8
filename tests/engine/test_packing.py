"""Packed runs: a call with tokens one after another computes what each row computes alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from tiny import tiny_engine
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from lockstitch.engine.batch import Batch
from lockstitch.engine.forward import Rows, append_together
from lockstitch.engine.packing import NAME, Packing, Part, packed, packs

SIZES: dict[str, Any] = {
    "vocab_size": 200,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
MODELS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=16)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=200, n_positions=512, n_embd=32, n_layer=3, n_head=4)
    ),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    made: PreTrainedModel = MODELS[request.param]().eval()
    return made


def drawn(rng: random.Random, rows: int, most: int) -> list[list[int]]:
    lengths = [rng.choice([1, 1, rng.randint(1, most)]) for _ in range(rows)]
    return [[rng.randrange(200) for _ in range(length)] for length in lengths]


def test_packed_rows_compute_what_each_computes_alone(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(0)
    calls: list[int] = []
    plain = Packing.__init__

    def counted(self: Packing, parts: Any) -> None:
        calls.append(len(parts))
        plain(self, parts)

    monkeypatch.setattr(Packing, "__init__", counted)
    rows = Rows(model, 5)
    alone = [Rows(model, 1) for _ in range(5)]
    assert rows.packs
    for turn in range(12):
        runs = drawn(rng, len(rows), 70 if turn % 3 else 3)
        logits = rows.append(runs)
        each = torch.cat([row.append([run]) for row, run in zip(alone, runs, strict=True)])
        torch.testing.assert_close(logits, each, rtol=1e-4, atol=1e-5)
        if turn == 6:  # gaps are closed and rows leave
            rows.keep([0, 2, 3])
            alone = [alone[0], alone[2], alone[3]]
    assert len(calls) > 6
    assert packed() is None
    assert model.config._attn_implementation == "sdpa"


def test_rows_that_were_packed_join_others(model: PreTrainedModel) -> None:
    rng = random.Random(1)
    first, second = drawn(rng, 2, 40), drawn(rng, 3, 20)
    above, below = Rows(model, 2), Rows(model, 3)
    above.append(first)
    below.append(second)
    above.join(below)
    last = drawn(rng, 5, 9)
    logits = above.append(last)
    for index, (run, more) in enumerate(zip([*first, *second], last, strict=True)):
        row = Rows(model, 1)
        row.append([run])
        torch.testing.assert_close(logits[index], row.append([more])[0], rtol=1e-4, atol=1e-5)


def test_batches_share_a_call(model: PreTrainedModel) -> None:
    rng = random.Random(2)
    running, coming = Rows(model, 3), Rows(model, 2)
    alone = [Rows(model, 1) for _ in range(5)]
    first = drawn(rng, 3, 30)
    running.append(first)
    for row, run in zip(alone, first, strict=False):
        row.append([run])
    for _ in range(6):
        runs = [*drawn(rng, 3, 4), *drawn(rng, 2, 50)]
        above, below = append_together([(running, runs[:3]), (coming, runs[3:])])
        each = torch.cat([row.append([run]) for row, run in zip(alone, runs, strict=True)])
        torch.testing.assert_close(torch.cat([above, below]), each, rtol=1e-4, atol=1e-5)
    running.join(coming)
    last = drawn(rng, 5, 9)
    each = torch.cat([row.append([run]) for row, run in zip(alone, last, strict=True)])
    torch.testing.assert_close(running.append(last), each, rtol=1e-4, atol=1e-5)


def test_tokens_come_back_where_they_were() -> None:
    known = torch.tensor([[1, 1, 1], [0, 0, 1], [0, 1, 1]])
    part = Part([], [3, 1, 2], known)
    tokens = torch.arange(6 * 2 * 4.0).view(1, 2, 6, 4)
    rows = part.unpack(tokens)
    assert rows.shape == (3, 2, 3, 4)
    assert rows[1, :, :2].abs().sum() == 0
    assert torch.equal(part.pack(rows.transpose(1, 2)), tokens.transpose(1, 2))
    assert part.mask[2, 0].tolist() == [[False] * 3, [False, True, False], [False, True, True]]
    assert Packing([part, part]).last.tolist() == [2, 3, 5, 8, 9, 11]


def test_models_that_choose_their_attention_otherwise_are_padded() -> None:
    model = MODELS["llama"]()
    assert packs(model)
    model.set_attn_implementation("eager")
    assert not packs(model)
    eager = Rows(model.eval(), 2)
    assert not eager.packs
    assert eager.append([[1], [2, 3]]).shape == (2, 200)
    assert NAME not in str(model.config._attn_implementation)


def test_a_failing_call_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tiny_engine()
    batch = engine.new_batch()
    assert isinstance(batch, Batch)
    rows = Rows(engine.model, 2)

    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError("out of memory\nand more")

    monkeypatch.setattr(type(engine.model.lm_head), "forward", fail)
    with pytest.raises(Exception, match="Request failed during generation: out of memory"):
        rows.append([[1], [2, 3]])
    assert packed() is None
    assert engine.model.config._attn_implementation == "sdpa"
