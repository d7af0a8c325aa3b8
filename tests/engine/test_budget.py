"""A text under a grammar is whole when its budget ends, whatever the model would rather write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from budgets import WISHES, broken, cases, needed, wishing
from small_vocabulary import small_vocabulary

from lockstitch import Engine, TokenFSM, compile_grammar


@pytest.fixture(params=WISHES)
def stubborn(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Engine]:
    """The tiny model with a wish that fights the end of every text."""
    with wishing(engine, request.param):
        yield engine


@pytest.mark.parametrize("seed", range(3))
def test_every_budget_is_enough_or_refused(stubborn: Engine, seed: int) -> None:
    for case in cases(stubborn, seed, 60):
        assert not broken(stubborn, [case])


@pytest.mark.parametrize("wish", WISHES)
def test_the_default_model_keeps_every_budget(default_engine: Engine, wish: str) -> None:
    short = [case for case in cases(default_engine, 7, 40) if case.budget <= 40]
    with wishing(default_engine, wish):
        assert not broken(default_engine, short)


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
