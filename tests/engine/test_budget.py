"""A text under a grammar is whole when its budget ends, whatever the model would rather write."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from schema_maker import SchemaMaker
from small_vocabulary import small_vocabulary

from lockstitch import Engine, TokenFSM, compile_grammar
from lockstitch.engine import forward
from lockstitch.schemas.errors import GrammarError, InfeasibleBudgetError

Bias = Callable[[torch.Tensor], None]


def wishes(engine: Engine, pieces: bytes, weight: float) -> Bias:
    """Return what makes a model like (or, below 0, avoid) every token with one of some bytes."""
    liked = [
        i
        for i, token in enumerate(engine.vocabulary.token_bytes)
        if token and any(byte in pieces for byte in token)
    ]
    liked += list(engine.vocabulary.eos_token_ids) if weight < 0 else []

    def change(logits: torch.Tensor) -> None:
        logits[..., liked] += weight

    return change


@pytest.fixture(params=["as it is", "never closes", "likes white space"])
def stubborn(
    request: pytest.FixtureRequest, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """The tiny model with a wish that fights the end of every text."""
    if request.param == "as it is":
        return engine
    bias = (
        wishes(engine, b'"}]', -100)
        if request.param == "never closes"
        else wishes(engine, b" \n\t", 100)
    )
    run = forward._logits

    def biased(model: Any, **inputs: Any) -> torch.Tensor:
        logits: torch.Tensor = run(model, **inputs)
        bias(logits)
        return logits

    monkeypatch.setattr(forward, "_logits", biased)
    return engine


def needed(engine: Engine, grammar: dict[str, Any]) -> int | None:
    """Return the fewest tokens that the engine promises to end in; None if it refuses."""
    try:
        fsm = engine.preparation.grammars.get(grammar)
    except GrammarError:
        return None
    assert fsm is not None
    return fsm.min_tokens(fsm.start)


@pytest.mark.parametrize("seed", range(3))
def test_every_budget_is_enough_or_refused(stubborn: Engine, seed: int) -> None:
    rng = random.Random(seed)
    maker = SchemaMaker(rng)
    told = 0
    while told < 25:
        schema = maker.schema(2)
        grammar = {"type": "json", "value": schema}
        least = needed(stubborn, grammar)
        if least is None or least > 200:
            continue
        told += 1
        if least > 1:
            with pytest.raises(InfeasibleBudgetError) as caught:
                stubborn.generate("x", grammar=grammar, max_new_tokens=least - 1)
            assert (caught.value.needed, caught.value.allowed) == (least, least - 1)
        budget = max(least, 1) + rng.choice([0, 0, 1, 2, 5, 20])
        response = stubborn.generate(
            "x", grammar=grammar, max_new_tokens=budget, do_sample=True, seed=told, details=True
        )
        assert response.details is not None
        assert response.details.generated_tokens <= budget
        value = json.loads(response.generated_text)
        assert Draft202012Validator(schema).is_valid(value), (schema, value)


def test_a_regex_ends_in_its_budget(stubborn: Engine) -> None:
    grammar = {"type": "regex", "value": r"[a-z ]{0,40}(end|finish)[0-9]{3,}"}
    least = needed(stubborn, grammar)
    assert least is not None
    compiled = compile_grammar(grammar)
    for budget in range(least, least + 12):
        text = stubborn.generate("x", grammar=grammar, max_new_tokens=budget).generated_text
        assert compiled.accepts(text.encode())


def test_rows_with_budgets_do_not_depend_on_their_neighbours(engine: Engine) -> None:
    grammar = {"type": "json", "value": {"type": "string", "maxLength": 30}}
    asked: dict[str, Any] = {"grammar": grammar, "max_new_tokens": 6, "details": True}
    together = engine.generate(["x"] * 4, **asked)
    alone = engine.generate("x", **asked)
    assert {r.generated_text for r in together} == {alone.generated_text}


def test_without_the_promise_a_text_may_be_cut(engine: Engine) -> None:
    grammar = {"type": "regex", "value": "a{30}"}
    response = engine.generate("x", grammar=grammar, max_new_tokens=1, complete=False)
    assert len(response.generated_text) < 30


def fewest(fsm: TokenFSM) -> dict[int, int]:
    """Return the true fewest tokens from each reachable state, by search backwards."""
    edges: dict[int, set[int]] = {}
    stack = [fsm.start]
    while stack:
        state = stack.pop()
        if state not in edges:
            ids = fsm.allowed_tokens(state)
            assert ids is not None
            text = [i for i in ids.tolist() if i not in fsm.vocabulary.eos_token_ids]
            edges[state] = {fsm.advance(state, i) for i in text}
            stack.extend(edges[state])
    found = {state: 0 for state in edges if fsm.is_accepting(state)}
    while True:
        more = {
            state: 1 + min(found[s] for s in after if s in found)
            for state, after in edges.items()
            if state not in found and after & found.keys()
        }
        if not more:
            return found
        least = min(more.values())
        found |= {state: count for state, count in more.items() if count == least}


def test_the_bound_is_near_the_truth() -> None:
    vocabulary = small_vocabulary()
    slack, states = 0, 0
    for pattern in (
        "(ab|a|bb){2,6}c?",
        "a{3,9}|b{2}c{4}",
        "[abc]{5}|(abc){2,3}",
        "-?(0|[1-9][0-9]?)(,1){3}",
    ):
        fsm = TokenFSM(compile_grammar({"type": "regex", "value": pattern}), vocabulary)
        for state, count in fewest(fsm).items():
            bound = fsm.min_tokens(state)
            assert count <= bound
            slack += bound - count
            states += 1
    assert slack <= states // 4  # where a longer text has longer tokens
