"""A logits processor for transformers' own `generate`, without importing either.

`generate` hands over whole rows of token ids and never says which row came from which: beams are
reordered, assistants ask about several positions at once. So the state of a row is found by what
the row contains: a row seen before with one token more is one step further, any other row is a new
prompt.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..schemas.errors import ValidationError
from .bitmask import Bitmask, unpack


class SteppableFSM(Protocol):
    """What the processor needs of a token FSM."""

    start: int
    finished: int

    def token_mask(self, state: int) -> Bitmask:
        """Return the packed mask of a state."""
        ...

    def advance(self, state: int, token_id: int) -> int:
        """Return the state after a token."""
        ...


class GrammarLogitsProcessor:
    """Sets the scores of forbidden tokens to -inf; one object serves one call of `generate`."""

    def __init__(self, fsm: SteppableFSM) -> None:
        self.fsm = fsm
        self._states: dict[bytes, int] = {}

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return the masked scores. Shapes: input_ids (rows, length) ints, scores (rows, vocab).

        Tokens that follow EOS are padding and change nothing. Raises TokenRejectedError if a row
        was continued by a token that the mask forbade, ValidationError if `scores` is too narrow.
        """
        rows = np.ascontiguousarray(input_ids.detach().cpu().numpy(), dtype=np.int64)
        forbidden = np.stack([self._forbidden(row, scores.shape[-1]) for row in rows])
        return scores.masked_fill(scores.new_tensor(forbidden) != 0, float("-inf"))

    def _forbidden(self, row: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.float32]:
        mask = self.fsm.token_mask(self._state_of(row))
        if width <= (len(mask) - 1) * 32:
            raise ValidationError(
                f"the scores have {width} columns, the vocabulary of the grammar is larger;"
                " build it from the tokenizer of this model"
            )
        forbidden = np.ones(width, np.float32)
        count = min(width, len(mask) * 32)
        forbidden[:count] = ~unpack(mask, count)
        return forbidden

    def _state_of(self, row: npt.NDArray[np.int64]) -> int:
        whole = _digest(row)
        known = self._states.get(whole)
        if known is None:
            before = self._states.get(_digest(row[:-1]))
            known = self.fsm.start if before is None else self._after(before, int(row[-1]))
            self._states[whole] = known
        return known

    def _after(self, state: int, token_id: int) -> int:
        if state == self.fsm.finished:
            return state
        return self.fsm.advance(state, token_id)


def _digest(row: npt.NDArray[np.int64]) -> bytes:
    return blake2b(row.tobytes(), digest_size=16).digest()
