"""Penalties and filters: the vectors of the contract, and transformers' own classes as oracles."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
    WatermarkLogitsProcessor,
)

from lockstitch.engine import processors
from lockstitch.engine.watermark import DELTA, GAMMA, HASH_KEY, add_watermark, green_list

Z = torch.tensor([2.0, -1.0, 0.5, 1.5, -3.0, 0.0])
CONTEXT = [1, 3, 3, 0]
COUNTS = torch.bincount(torch.tensor(CONTEXT), minlength=6).float()
CPU = torch.device("cpu")


def kept(logits: torch.Tensor) -> set[int]:
    return set((logits > processors.NEVER).nonzero().flatten().tolist())


def rows(width: int, count: int = 20) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(width)) * 3


def test_case_10_repetition_penalty_vector() -> None:
    found = torch.log_softmax(processors.repetition_penalty(Z, COUNTS > 0, 1.5), -1)
    expected = [-0.910943, -3.744277, -1.744277, -1.244277, -5.244277, -2.244277]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [(1.0, [1.75, -1.25, 0.5, 1.0, -3.0, 0.0]), (-1.0, [2.25, -0.75, 0.5, 2.0, -3.0, 0.0])],
)
def test_case_10_frequency_penalty_vector(penalty: float, expected: list[float]) -> None:
    assert processors.frequency_penalty(Z, COUNTS, penalty).tolist() == expected


@pytest.mark.parametrize(
    ("mass", "expected"),
    [(0.1, {0}), (0.5, {0, 3}), (0.9, {0, 2, 3}), (0.99, {0, 1, 2, 3, 5}), (1.0, set(range(6)))],
)
def test_case_10_top_p_vector(mass: float, expected: set[int]) -> None:
    assert kept(processors.top_p(Z, mass)) == expected


@pytest.mark.parametrize(
    ("mass", "expected"), [(0.1, {3}), (0.5, {0, 3}), (0.9, {0, 2, 3}), (1.0, set(range(6)))]
)
def test_case_10_typical_p_vector(mass: float, expected: set[int]) -> None:
    assert kept(processors.typical_p(Z, mass)) == expected


@pytest.mark.parametrize(
    ("k", "expected"), [(1, {0, 1, 2}), (3, {0, 1, 2}), (4, {0, 1, 2, 3}), (99, {0, 1, 2, 3})]
)
def test_top_k_keeps_ties_and_is_clamped(k: int, expected: set[int]) -> None:
    assert kept(processors.top_k(torch.tensor([1.0, 1.0, 1.0, 0.0]), k)) == expected


@pytest.mark.parametrize("width", [7, 1000])
def test_transformers_agrees_exactly(width: int) -> None:
    oracles: list[tuple[Any, Any]] = [
        (TemperatureLogitsWarper(0.7), lambda z: processors.temperature(z, 0.7)),
        (TopKLogitsWarper(5), lambda z: processors.top_k(z, 5)),
        (TopPLogitsWarper(0.8), lambda z: processors.top_p(z, 0.8)),
        (TopPLogitsWarper(0.05), lambda z: processors.top_p(z, 0.05)),
        (TypicalLogitsWarper(0.6), lambda z: processors.typical_p(z, 0.6)),
        (TypicalLogitsWarper(0.95), lambda z: processors.typical_p(z, 0.95)),
    ]
    for logits in rows(width):
        for theirs, ours in oracles:
            assert torch.equal(theirs(None, logits[None].clone())[0], ours(logits))


def test_transformers_agrees_on_the_penalty() -> None:
    ids = torch.tensor([[3, 3, 0, 17]])
    seen = torch.bincount(ids[0], minlength=50) > 0
    for logits in rows(50):
        theirs = RepetitionPenaltyLogitsProcessor(1.3)(ids, logits[None].clone())
        assert torch.equal(theirs[0], processors.repetition_penalty(logits, seen, 1.3))


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_top_p_of_a_large_vocabulary_is_the_same_set(scale: float) -> None:
    # 0.01 is nearly flat, so that the mass lies far outside the sorted head.
    for logits in rows(9000, count=5) * scale:
        for mass in (0.01, 0.5, 0.9, 0.999):
            theirs = kept(TopPLogitsWarper(mass)(None, logits[None].clone())[0])
            ours = kept(processors.top_p(logits, mass))
            assert ours <= theirs or theirs <= ours
            assert abs(len(ours) - len(theirs)) <= 1 + len(ours) // 1000  # rounding of the sums


@pytest.mark.parametrize(
    "step",
    [
        lambda z: processors.top_p(z, 1e-6),
        lambda z: processors.typical_p(z, 1e-6),
        lambda z: processors.top_k(z, 1),
        lambda z: processors.typical_p(z, 0.999999),
        lambda z: processors.temperature(z, 1e-38),
        lambda z: processors.temperature(z, 3e38),
        lambda z: processors.top_p(processors.temperature(z, 1e-45), 0.5),
    ],
)
def test_no_filter_empties_what_the_mask_left(step: Any) -> None:
    for logits in rows(40):
        for allowed in ([5], [0, 39], list(range(0, 40, 3))):
            masked = torch.full((40,), processors.NEVER)
            masked[allowed] = logits[allowed]
            left = step(masked)
            assert kept(left)
            assert kept(left) <= set(allowed)
            assert not torch.log_softmax(left, -1).isnan().any()


def test_wild_penalties_stay_numbers() -> None:
    for penalty in (1e-40, 3e38):
        weaker = processors.repetition_penalty(Z, COUNTS > 0, penalty)
        for value in (1e-38, 1.0, 3e38):
            logprobs = torch.log_softmax(processors.temperature(weaker, value), -1)
            assert not logprobs.isnan().any()


@pytest.mark.parametrize(
    ("previous", "expected"),
    [(0, [4, 1, 7, 5, 3]), (1, [8, 5, 7, 0, 2]), (7, [9, 0, 2, 7, 6]), (50256, [3, 9, 1, 4, 8])],
)
def test_case_10_green_list_vectors(previous: int, expected: list[int]) -> None:
    assert green_list(previous, 10, CPU).tolist() == expected
    assert len(green_list(previous, 11, CPU)) == 5


def test_transformers_agrees_on_the_watermark() -> None:
    theirs = WatermarkLogitsProcessor(
        vocab_size=50, device="cpu", greenlist_ratio=GAMMA, bias=DELTA, hashing_key=HASH_KEY
    )
    for previous, logits in enumerate(rows(50)):
        ours = logits.clone()
        add_watermark(ours, previous)
        ids = torch.tensor([[9, previous]])
        assert torch.equal(ours, theirs(ids, logits[None].clone())[0])
