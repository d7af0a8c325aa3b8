"""Schemas with budgets: each text is whole in its budget, or refused with the number it needs.

`python tests/budgets.py --schemas 500` (with `src` and `tests` on the path) lets the default model
write under drawn schemas and random budgets, some rows at a time: as it is, with a wish that it
never closes, and with one for white space. The tests do the same with a tiny model and, for few
schemas, with the default model.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jsonschema import Draft202012Validator
from schema_maker import SchemaMaker

from lockstitch import Engine
from lockstitch.engine import forward
from lockstitch.schemas.errors import GrammarError, InfeasibleBudgetError
from lockstitch.schemas.request import GenerateRequest

WISHES: dict[str, tuple[bytes, float] | None] = {
    "as it is": None,
    "never closes": (b'"}]', -100),
    "likes white space": (b" \n\t", 100),
}
LONGEST = 200  # of the shortest texts, in tokens: a model cannot be waited for longer


@contextmanager
def wishing(engine: Engine, wish: str) -> Iterator[None]:
    """Let the model of an engine have one of the `WISHES` about the end of every text."""
    wanted = WISHES[wish]
    if wanted is None:
        yield
        return
    pieces, weight = wanted
    liked = [
        i
        for i, token in enumerate(engine.vocabulary.token_bytes)
        if token and any(byte in pieces for byte in token)
    ]
    liked += list(engine.vocabulary.eos_token_ids) if weight < 0 else []
    run = forward._logits

    def biased(model: Any, **inputs: Any) -> torch.Tensor:
        logits: torch.Tensor = run(model, **inputs)
        logits[..., liked] += weight
        return logits

    forward._logits = biased
    try:
        yield
    finally:
        forward._logits = run


@dataclass
class Case:
    """A schema, the fewest tokens that its texts are promised to need, and a budget."""

    schema: dict[str, Any]
    least: int
    budget: int
    seed: int

    @property
    def request(self) -> GenerateRequest:
        """The request for a text in the budget, sampled."""
        return self.asking(self.budget, do_sample=True, seed=self.seed, details=True)

    def asking(self, budget: int, **parameters: Any) -> GenerateRequest:
        """Return a request for a text of at most `budget` tokens."""
        asked = {
            "grammar": {"type": "json", "value": self.schema},
            "max_new_tokens": budget,
            "complete": True,
            **parameters,
        }
        return GenerateRequest.parse({"inputs": "x", "parameters": asked})


def cases(engine: Engine, seed: int, count: int) -> Iterator[Case]:
    """Draw schemas that compile, with budgets between the least and 20 tokens more."""
    rng = random.Random(seed)
    maker = SchemaMaker(rng)
    found = 0
    while found < count:
        schema = maker.schema(2)
        least = needed(engine, {"type": "json", "value": schema})
        if least is None or least > LONGEST:
            continue
        found += 1
        yield Case(schema, least, max(least, 1) + rng.choice([0, 0, 1, 2, 5, 20]), found)


def needed(engine: Engine, grammar: dict[str, Any]) -> int | None:
    """Return the fewest tokens that the engine promises to end in; None if it refuses."""
    try:
        fsm = engine.preparation.grammars.get(grammar)
    except GrammarError:
        return None
    assert fsm is not None
    return fsm.min_tokens(fsm.start)


def is_refused_below(engine: Engine, case: Case) -> bool:
    """Whether one token less than the least is refused, with both numbers."""
    if case.least < 2:
        return True
    try:
        engine.generate_requests([case.asking(case.least - 1)])
    except InfeasibleBudgetError as error:
        return (error.needed, error.allowed) == (case.least, case.least - 1)
    return False


def broken(engine: Engine, some: list[Case]) -> list[tuple[Case, str]]:
    """Write a text for each case, all in one batch; return those that break the promise."""
    found = [(case, "not refused") for case in some if not is_refused_below(engine, case)]
    answers = engine.generate_requests([case.request for case in some])
    for case, answer in zip(some, answers, strict=True):
        assert answer.details is not None
        if answer.details.generated_tokens > case.budget or not _is_valid(
            case.schema, answer.generated_text
        ):
            found.append((case, answer.generated_text))
    return found


def _is_valid(schema: dict[str, Any], text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return bool(Draft202012Validator(schema).is_valid(value))


def main() -> None:
    """Go through the wishes with the default model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemas", type=int, default=500)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    engine = Engine.from_pretrained()
    drawn = list(cases(engine, given.seed, given.schemas))
    drawn.sort(key=lambda case: case.budget)  # rows of a batch end together
    for wish in WISHES:
        began = time.perf_counter()
        wrong: list[tuple[Case, str]] = []
        with wishing(engine, wish):
            for start in range(0, len(drawn), given.rows):
                wrong += broken(engine, drawn[start : start + given.rows])
        tokens = sum(case.budget for case in drawn)
        took = time.perf_counter() - began
        print(f"{wish}: {len(drawn)} schemas, budgets of {tokens} tokens, {took:.0f} s")
        print(f"  broken: {len(wrong)}", *wrong[:3], sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
