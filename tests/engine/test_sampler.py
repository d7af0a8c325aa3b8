"""The choice of tokens: order of the steps, draws, likelihoods, and rows that do not meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from lockstitch.engine.masking import Mask, apply_masks, forbid_on_device
from lockstitch.engine.sampler import Choice, Row, Sampler, choose, top_tokens
from lockstitch.schemas.errors import GenerationError
from lockstitch.schemas.openai_parameters import OpenAiParameters
from lockstitch.schemas.parameters import GenerateParameters

Z = [2.0, -1.0, 0.5, 1.5, -3.0, 0.0]
CPU = torch.device("cpu")


def sampler(
    seed: int | None = None, prompt: tuple[int, ...] = (1, 3, 3, 0), width: int = 6, **values: Any
) -> Sampler:
    return Sampler(GenerateParameters.parse(values, strict_names=True), prompt, width, CPU, seed)


def packed(ids: list[int], width: int) -> Mask:
    bits = np.zeros((width + 31) // 32 * 32, np.uint8)
    bits[ids] = 1
    return np.packbits(bits, bitorder="little").view(np.int32)


def restricted(index: int, who: Sampler, ids: list[int], width: int, *, narrow: bool) -> Row:
    return Row(index, who, packed(ids, width), np.array(ids, np.int32) if narrow else None)


def chosen(logits: torch.Tensor, rows: Sequence[Row]) -> list[Choice]:
    """Return the choices, all of which are expected to be there."""
    found = choose(logits, rows)
    assert not any(isinstance(choice, GenerationError) for choice in found)
    return [choice for choice in found if isinstance(choice, Choice)]


def pick(logits: list[float], who: Sampler) -> Choice:
    return chosen(torch.tensor([logits]), [Row(0, who)])[0]


def test_draws_follow_the_vector() -> None:
    who = sampler(seed=42, do_sample=True)
    assert [pick(Z, who).token_id for _ in range(10)] == [0, 3, 3, 2, 0, 0, 1, 0, 3, 0]


def test_draws_follow_the_probabilities() -> None:
    who = sampler(seed=7, do_sample=True)
    count = Counter(pick(Z, who).token_id for _ in range(4000))
    for token, p in enumerate(torch.tensor(Z).softmax(-1).tolist()):
        assert abs(count[token] / 4000 - p) < 4 * (p / 4000) ** 0.5 + 1e-3


def test_greedy_takes_the_first_of_equals() -> None:
    assert pick([0.0, 3.0, 3.0, 1.0], sampler(width=4)).token_id == 1


def test_a_likelihood_is_that_of_the_whole_row() -> None:
    assert pick(Z, sampler()).logprob == pytest.approx(-0.70385, abs=1e-5)


@pytest.mark.parametrize("narrow", [False, True])
def test_likelihoods_count_only_what_is_left(narrow: bool) -> None:
    (choice,) = chosen(
        torch.tensor([Z]),
        [restricted(0, sampler(top_n_tokens=5), [1, 2, 5], 6, narrow=narrow)],
    )
    expected = torch.log_softmax(torch.tensor([-1.0, 0.5, 0.0]), -1).tolist()
    assert choice.token_id == 2
    assert choice.logprob == pytest.approx(expected[1])
    assert [i for i, _ in choice.top] == [2, 5, 1]
    assert sorted(p for _, p in choice.top) == pytest.approx(sorted(expected))
    (filtered,) = chosen(
        torch.tensor([Z]),
        [restricted(0, sampler(seed=1, top_k=1), [1, 2, 5], 6, narrow=narrow)],
    )
    assert filtered == Choice(2, 0.0)


def test_temperature_comes_after_the_penalties_and_the_mask() -> None:
    # (z / penalty) / temperature and (z + delta) / temperature; the other orders differ.
    row = restricted(0, sampler(temperature=0.5, frequency_penalty=1.0, top_n_tokens=5),
                     [0, 3], 6, narrow=False)  # fmt: skip
    (choice,) = chosen(torch.tensor([Z]), [row])
    expected = torch.log_softmax(torch.tensor([1.75, 1.0]) / 0.5, -1).tolist()
    assert [p for _, p in choice.top] == pytest.approx(expected)


def test_filters_see_only_what_the_mask_allows() -> None:
    # Token 0 holds most of the mass: a filter before the mask would leave nothing of [1, 4].
    for values in ({"top_k": 1}, {"top_p": 0.1}, {"typical_p": 0.1}):
        row = restricted(0, sampler(seed=0, **values), [1, 4], 6, narrow=False)
        (choice,) = chosen(torch.tensor([[50.0, -1.0, 0.5, 1.5, -3.0, 0.0]]), [row])
        assert choice.token_id in (1, 4)


def test_penalties_count_prompt_and_answer() -> None:
    who = sampler(repetition_penalty=1.5, frequency_penalty=1.0, top_n_tokens=5, prompt=(1,))
    for token_id in (3, 3, 0):
        who.observe(token_id)
    z = torch.tensor([2.0 / 1.5, -1.0 * 1.5, 0.5, 1.5 / 1.5, -3.0, 0.0])
    z -= torch.tensor([1.0, 1.0, 0.0, 2.0, 0.0, 0.0]) / 4
    expected = torch.log_softmax(z, -1)
    assert pick(Z, who).logprob == pytest.approx(float(expected.max()))


def test_the_watermark_follows_the_last_token() -> None:
    flat = [0.0] * 10
    who = sampler(width=10, prompt=(3, 7), watermark=True, top_n_tokens=5)
    assert [i for i, _ in pick(flat, who).top] == [0, 2, 6, 7, 9]
    who.observe(1)
    assert [i for i, _ in pick(flat, who).top] == [0, 2, 5, 7, 8]


def test_one_allowed_token_needs_no_logits_and_no_draw() -> None:
    free, other = (sampler(seed=5, do_sample=True, top_n_tokens=3) for _ in range(2))
    row = restricted(0, free, [4], 6, narrow=True)
    (choice,) = chosen(torch.full((1, 6), torch.nan), [row])
    assert choice == Choice(4, 0.0, ((4, 0.0),), forced=True)
    assert pick(Z, free) == pick(Z, other)


@pytest.mark.parametrize("values", [{}, {"top_p": 0.7}, {"temperature": 0.3, "typical_p": 0.8}])
def test_a_narrow_row_is_drawn_as_a_wide_one(values: dict[str, Any]) -> None:
    logits = torch.randn(40, 100, generator=torch.Generator().manual_seed(3))
    ids = [2, 31, 32, 63, 64, 99]
    found = []
    for narrow in (False, True):
        who = sampler(seed=11, width=100, do_sample=True, **values)
        rows = [[restricted(0, who, ids, 100, narrow=narrow)] for _ in logits]
        found.append([chosen(z[None].clone(), r)[0] for z, r in zip(logits, rows, strict=True)])
    assert [c.token_id for c in found[0]] == [c.token_id for c in found[1]]
    assert [c.logprob for c in found[0]] == pytest.approx([c.logprob for c in found[1]], abs=1e-6)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    logits = torch.randn(6, 70, generator=torch.Generator().manual_seed(1)) * 2

    def make(index: int) -> Row:
        values: list[dict[str, Any]] = [
            {},
            {"do_sample": True},
            {"top_p": 0.5, "repetition_penalty": 1.2},
            {"watermark": True, "temperature": 2.0},
            {"top_k": 4, "frequency_penalty": -1.0, "top_n_tokens": 3},
            {"typical_p": 0.5},
        ]
        who = sampler(seed=index or None, width=70, **values[index])
        ids = list(range(index, 70, 2))
        return restricted(index, who, ids, 70, narrow=False) if index % 2 else Row(index, who)

    together = chosen(logits.clone(), [make(i) for i in range(6)])
    reversed_ = chosen(logits.clone(), [make(i) for i in reversed(range(6))])
    alone = [chosen(logits.clone(), [make(i)])[0] for i in range(6)]
    assert together == alone == reversed_[::-1]


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_logits_that_are_no_numbers_are_an_error(bad: float) -> None:
    logits = torch.tensor([[bad] * 6, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    error, choice = choose(logits, [Row(0, sampler()), Row(1, sampler())])
    assert isinstance(error, GenerationError)
    assert "not numbers" in error.message
    assert isinstance(choice, Choice)  # a neighbour is not disturbed
    assert choice.token_id == 1


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, [0]), (2, [0, 3]), (3, [0, 3, 1, 4]), (4, [0, 3, 1, 4]), (5, [0, 3, 1, 4, 2]),
     (99, [0, 3, 1, 4, 2])],
)  # fmt: skip
def test_top_tokens_with_ties(count: int, expected: list[int]) -> None:
    found = top_tokens(torch.tensor([-1.0, -3.0, -4.0, -2.0, -3.0, -torch.inf]), count)
    assert [token_id for token_id, _ in found] == expected


@pytest.mark.parametrize("width", [1, 31, 32, 33, 100])
def test_masks_of_any_width_on_any_device(width: int) -> None:
    rng = np.random.default_rng(width)
    logits = torch.randn(4, width)
    allowed = rng.random((4, width)) < 0.5
    allowed[1], allowed[2] = True, False
    order = [3, 1, 2]
    masks = [packed(np.flatnonzero(allowed[row]).tolist(), width) for row in order]
    expected = logits.clone()
    expected[order] = expected[order].masked_fill(~torch.tensor(allowed[order]), -torch.inf)
    by_word, on_device = logits.clone(), logits.clone()
    apply_masks(by_word, order, masks)
    forbid_on_device(on_device, torch.tensor(order), torch.tensor(np.stack(masks)))
    assert torch.equal(by_word, expected)
    assert torch.equal(on_device, expected)
    apply_masks(by_word, [], [])
    assert torch.equal(by_word, expected)


def test_penalties_on_what_was_generated() -> None:
    parameters = OpenAiParameters(count_penalty=0.5, presence_penalty=0.25, details=True)
    who = Sampler(parameters, [0, 0], 6, torch.device("cpu"), None)
    logits = torch.tensor(Z)
    who.penalise(logits)
    assert logits.tolist() == Z  # the prompt does not count
    for token_id in (0, 3, 3):
        who.observe(token_id)
    who.penalise(logits)
    assert logits.tolist() == pytest.approx([2.0 - 0.75, -1.0, 0.5, 1.5 - 1.25, -3.0, 0.0])
