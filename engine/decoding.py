"""The loop: forward, choose, accept, for a batch of sequences until all have ended.

One path for every batch size. Each step yields, so that a caller can stream what was added; a
caller that stops listening stops the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transformers import PreTrainedModel

from .forward import Forward
from .sampler import choose
from .sequence import RunningSequence


def decode(model: PreTrainedModel, sequences: Sequence[RunningSequence]) -> Iterator[None]:
    """Run sequences to their ends, yielding after every step in which tokens were added.

    Raises GenerationError. A sequence whose grammar allows nothing but the end needs no model.
    """
    for sequence in sequences:
        sequence.end_if_complete()
    yield
    active = [sequence for sequence in sequences if sequence.finish_reason is None]
    if not active:
        return
    forward = Forward(model)
    logits = forward.prefill([sequence.task.prompt_ids for sequence in active])
    while True:
        choices = choose(logits, [s.row(index) for index, s in enumerate(active)])
        for sequence, choice in zip(active, choices, strict=True):
            sequence.accept(choice)
        yield
        left = [i for i, sequence in enumerate(active) if sequence.finish_reason is None]
        if not left:
            return
        if len(left) < len(active):
            forward.keep(left)
            active = [active[i] for i in left]
        logits = forward.decode([sequence.last_token_id for sequence in active])
