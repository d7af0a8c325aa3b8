"""Prompts in, results out: what a job computes, on one engine and as many rows at a time as fit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from ...schemas.errors import InfeasibleBudgetError, LockstitchError, RecordError
from ...schemas.parameters import GenerateParameters
from ...schemas.request import GenerateRequest
from ..engine import Engine
from ..sequence import RunningSequence
from .records import confidence

Item = tuple[bytes, str]  # the digest of a prompt, and the prompt
Result = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What is done with each prompt. `parameters` are those of the text-generation task."""

    grammar: dict[str, Any]
    parameters: dict[str, Any]
    special_tokens: bool
    confidence: bool = False


class Worker:
    """Computes results on one engine."""

    def __init__(self, engine: Engine, work: Work) -> None:
        """Compile the grammar. Raises GrammarError, InfeasibleBudgetError, ValidationError."""
        self._engine = engine
        self._work = work
        asked = {**work.parameters, "grammar": work.grammar, "complete": True, "details": True}
        self._parameters = GenerateParameters.parse(asked, strict_names=True)
        fsm = engine.preparation.grammars.get(work.grammar)
        most = self._parameters.max_new_tokens
        if fsm is not None and most is not None and not fsm.feasible(most):
            raise InfeasibleBudgetError(most, fsm.min_tokens(fsm.start))

    def results(self, items: Iterable[Item]) -> Iterator[tuple[bytes, Result]]:
        """Yield the result of each item, in the order in which they are done."""
        batch = self._engine.new_batch()
        waiting = 2 * self._engine.limits.max_batch_size
        digests: dict[RunningSequence, bytes] = {}
        remaining = iter(items)
        item = next(remaining, None)
        while item is not None or not batch.idle:
            while item is not None and batch.waiting < waiting:
                digest, prompt = item
                try:
                    run = self._sequence(digest, prompt)
                except LockstitchError as error:
                    yield digest, failure(error)
                else:
                    digests[run] = digest
                    batch.add(run)
                item = next(remaining, None)
            for run in batch.step():
                if run.ended:
                    yield digests.pop(run), self._result(run)

    def _sequence(self, digest: bytes, prompt: str) -> RunningSequence:
        p = self._parameters
        if p.sampling:  # equal prompts get equal records, whatever runs beside them
            seeded = blake2b(digest, digest_size=8, key=(p.seed or 0).to_bytes(8, "big"))
            p = p.model_copy(update={"seed": int.from_bytes(seeded.digest(), "big")})
        request = GenerateRequest(inputs=prompt, parameters=p)
        special = self._work.special_tokens
        return self._engine.preparation.sequences(request, special_tokens=special)[0]

    def _result(self, run: RunningSequence) -> Result:
        if run.error is not None:
            return failure(run.error, len(run.tokens))
        result: Result = {
            "text": run.text,
            "tokens": len(run.tokens),
            "finish_reason": run.finish_reason,
        }
        try:
            json.loads(run.text)
        except ValueError:  # a stop string cut it
            return failure(RecordError("the text ended before the record did"), len(run.tokens))
        if self._work.confidence:
            result["confidence"] = confidence(run.text, run.tokens)
        return result


def failure(error: LockstitchError, tokens: int = 0) -> Result:
    """Return the result of a row that has no record."""
    told = {"type": error.error_type, "message": error.message}
    return {"error": told, "tokens": tokens}
