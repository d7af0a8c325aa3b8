"""From finished sequences to responses and stream events, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..schemas.errors import IncompleteGenerationError
from ..schemas.response import (
    BestOfSequence,
    Details,
    FinishReason,
    GenerateResponse,
    StreamDetails,
    StreamEvent,
)
from .sequence import RunningSequence


def answer(runs: Sequence[RunningSequence]) -> GenerateResponse:
    """Return the response to one request from all its runs; the likeliest one wins."""
    best = likeliest(runs)
    parameters = best.task.parameters
    text = _whole_text(best)
    if not (parameters.details or parameters.decoder_input_details):
        return GenerateResponse(generated_text=text)
    others = tuple(
        BestOfSequence(generated_text=_whole_text(run), **_told(run))
        for run in runs
        if run is not best
    )
    details = Details(
        best_of_sequences=others or None, forced_tokens=best.forced_tokens, **_told(best)
    )
    return GenerateResponse(generated_text=text, details=details)


def likeliest(runs: Sequence[RunningSequence]) -> RunningSequence:
    """Return the run whose tokens are likeliest on average, the first of equals."""
    return max(runs, key=_mean_logprob)


def events(run: RunningSequence, first: int, end: int) -> Iterator[StreamEvent]:
    """Yield the events of the tokens from index `first` (0-based) up to `end`."""
    for index in range(first, end):
        last = run.finish_reason is not None and index == len(run.tokens) - 1
        yield StreamEvent(
            index=index + 1,
            token=run.tokens[index],
            top_tokens=run.top_tokens[index] if run.top_tokens else (),
            generated_text=_whole_text(run) if last else None,
            details=_stream_details(run) if last and run.task.parameters.details else None,
        )


def _stream_details(run: RunningSequence) -> StreamDetails:
    return StreamDetails(
        finish_reason=_reason(run),
        generated_tokens=len(run.tokens),
        seed=run.seed,
        input_length=len(run.task.prompt_ids),
        forced_tokens=run.forced_tokens,
    )


def _told(run: RunningSequence) -> dict[str, Any]:
    """Return what is told about every generated text."""
    return {
        "finish_reason": _reason(run),
        "generated_tokens": len(run.tokens),
        "seed": run.seed,
        "prefill": run.prefill,
        "tokens": tuple(run.tokens),
        "top_tokens": tuple(run.top_tokens) if run.task.parameters.top_n_tokens else None,
    }


def _whole_text(run: RunningSequence) -> str:
    return run.task.inputs + run.text if run.task.parameters.return_full_text else run.text


def _mean_logprob(run: RunningSequence) -> float:
    return sum(token.logprob or 0.0 for token in run.tokens) / len(run.tokens)


def _reason(run: RunningSequence) -> FinishReason:
    if run.finish_reason is None:
        raise IncompleteGenerationError("the generation ended without a final token")
    return run.finish_reason
