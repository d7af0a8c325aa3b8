"""One text in the making: what was asked, what was chosen so far, and how it ended.

A grammar is a state that moves with every token. What it forces is appended at once: a run of text
in the tokens that the tokenizer would write, and the end token where nothing else may follow. The
model sees all of it in its next pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from ..fsm.token_fsm import TokenFSM
from ..schemas.errors import GenerationError, LockstitchError
from ..schemas.parameters import GenerateParameters
from ..schemas.response import FinishReason, PrefillToken, Token, TokenStatistics
from .detokenizer import Detokenizer, TokenTexts
from .forced_text import ForcedText
from .sampler import Choice, Row, Sampler
from .stopping import StopStrings

T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """A request after validation: prompt as ids, budget and grammar settled.

    `eos_token_ids` end the text, `eos_token_id` is the one we append. `complete` says that the text
    of a grammar is to be whole when the budget ends; `forced`, None if it is to be sampled, has the
    tokens of what the grammar forces. `token_fuel` bounds the steps through the grammar that one
    token may take, so that a hostile grammar cannot hold up those who decode beside it.
    """

    inputs: str
    parameters: GenerateParameters
    prompt_ids: tuple[int, ...]
    max_new_tokens: int
    fsm: TokenFSM | None
    eos_token_id: int
    eos_token_ids: frozenset[int]
    complete: bool = False
    forced: ForcedText | None = None
    token_fuel: float = math.inf


class RunningSequence:
    """A text that grows by `accept` until `finish_reason` is set, or `error`.

    `began` is when its prompt first went to the model, as `time.perf_counter()` has it.
    """

    def __init__(self, task: Task, sampler: Sampler, texts: TokenTexts, seed: int | None) -> None:
        self.task = task
        self.seed = seed
        self.tokens: list[Token] = []
        self.top_tokens: list[tuple[Token, ...]] = []
        self.prefill: tuple[PrefillToken, ...] = ()
        self.forced_tokens = 0
        self.finish_reason: FinishReason | None = None
        self.error: LockstitchError | None = None
        self.began: float | None = None
        self._sampler = sampler
        self._texts = texts
        self._detokenizer = Detokenizer(texts)
        self._stops = StopStrings(task.parameters.stop or ())
        self._overhang = 0
        self._unseen = list(task.prompt_ids)
        self._state = 0 if task.fsm is None else task.fsm.start

    def begin(self) -> None:
        """Take note that the prompt goes to the model."""
        self.began = perf_counter()

    def fail(self, error: LockstitchError) -> None:
        """End without a text."""
        self.error = error

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.finish_reason is not None or self.error is not None

    @property
    def pending(self) -> int:
        """How many tokens the model has not seen, those of the prompt among them."""
        return len(self._unseen)

    def take_pending(self, most: int | None = None) -> Sequence[int]:
        """Return the first tokens that the model has not seen; it is about to see them."""
        unseen, self._unseen = self._unseen[:most], [] if most is None else self._unseen[most:]
        return unseen

    @property
    def wants_prefill(self) -> bool:
        """Whether the log-probabilities of the prompt are asked for."""
        return bool(self.task.parameters.decoder_input_details)

    def tell_prefill(self, logprobs: Sequence[float | None]) -> None:
        """Take the log-probability of every prompt token; None for the first."""
        self.prefill = tuple(
            PrefillToken(id=token_id, text=self._texts.text_of(token_id), logprob=logprob)
            for token_id, logprob in zip(self.task.prompt_ids, logprobs, strict=True)
        )

    @property
    def text(self) -> str:
        """The text so far, up to the end of a stop string, without special tokens."""
        whole = self._detokenizer.text()
        return whole[: len(whole) - self._overhang]

    def row(self, index: int) -> Row:
        """What the sampler needs to choose the next token from row `index` of the logits."""
        fsm = self.task.fsm
        if fsm is None:
            return Row(index, self._sampler)
        return self._bounded(lambda: self._masked_row(index, fsm))

    def _masked_row(self, index: int, fsm: TokenFSM) -> Row:
        mask, allowed = fsm.token_mask(self._state), fsm.allowed_tokens(self._state)
        if allowed is not None and not len(allowed):
            raise GenerationError("the vocabulary has no token that can continue this text")
        if not self.task.complete or (allowed is not None and len(allowed) == 1):
            return Row(index, self._sampler, mask, allowed)
        left = self._left
        return Row(
            index,
            self._sampler,
            mask,
            allowed,
            fits=lambda token_id: self._bounded(lambda: fsm.fits(self._state, token_id, left)),
            narrower=lambda: self._bounded(lambda: fsm.tokens_within(self._state, left)),
        )

    def _bounded(self, work: Callable[[], T]) -> T:
        """Do something with the grammar, if there is one, within the fuel of one token."""
        if self.task.fsm is None:
            return work()
        with self.task.fsm.bounded(self.task.token_fuel):
            return work()

    def accept(self, choice: Choice) -> None:
        """Append a token, and the end token if nothing else may follow.

        Raises GenerationError if a finished text does not match its grammar, TokenRejectedError if
        the token does not continue it; both mean a defect, and no text is returned.
        """
        self._bounded(lambda: self._append(choice))
        self.append_forced()

    def append_forced(self) -> None:
        """Append what the grammar leaves no choice about; the end token where it leaves only that.

        Raises as `accept` does.
        """
        self._bounded(self._append_forced)

    def _append_forced(self) -> None:
        fsm, forced = self.task.fsm, self.task.forced
        if fsm is None:
            return
        if forced is not None and not self.ended:
            for token_id in forced.tokens(fsm, self._state, self._previous):
                if self.ended or (
                    self.task.complete and not fsm.fits(self._state, token_id, self._left)
                ):
                    break
                self._append_certain(token_id)
        if not self.ended and fsm.is_complete(self._state):
            self._append_certain(self.task.eos_token_id)

    @property
    def _previous(self) -> int:
        return self.tokens[-1].id if self.tokens else self.task.prompt_ids[-1]

    @property
    def _left(self) -> int:
        """How many tokens may follow the next one."""
        return self.task.max_new_tokens - len(self.tokens) - 1

    def _append_certain(self, token_id: int) -> None:
        top = ((token_id, 0.0),) if self.task.parameters.top_n_tokens else ()
        unasked = (None, None) if self.task.parameters.token_statistics else None
        self._append(Choice(token_id, 0.0, top, forced=True, raw=unasked))

    def _append(self, choice: Choice) -> None:
        if self.task.fsm is not None:
            self._state = self.task.fsm.advance(self._state, choice.token_id)
        piece = self._detokenizer.feed(choice.token_id)
        self.tokens.append(self._token(choice, piece))
        if self.task.parameters.top_n_tokens:
            self.top_tokens.append(self._alternatives(choice.top))
        self.forced_tokens += choice.forced
        self._unseen.append(choice.token_id)
        self._sampler.observe(choice.token_id)
        self.finish_reason = self._finish(choice.token_id, piece)

    def _token(self, choice: Choice, text: str) -> Token:
        return Token(
            id=choice.token_id,
            text=text,
            logprob=choice.logprob,
            special=self._texts.is_special(choice.token_id),
            statistics=_statistics(choice),
        )

    def _alternatives(self, top: Sequence[tuple[int, float]]) -> tuple[Token, ...]:
        choices = [Choice(token_id, logprob) for token_id, logprob in top]
        return tuple(self._token(c, self._texts.text_of(c.token_id)) for c in choices)

    def _finish(self, token_id: int, piece: str) -> FinishReason | None:
        """The first reason that holds, in this order: budget, end token, stop string."""
        behind = self._stops.feed(piece)
        if behind is not None and not self._texts.is_special(token_id):
            self._overhang = behind
        if len(self.tokens) >= self.task.max_new_tokens:
            if self.task.complete:
                self._check_grammar()
            return "length"
        if token_id in self.task.eos_token_ids:
            self._check_grammar()
            return "eos_token"
        return None if behind is None else "stop_sequence"

    def _check_grammar(self) -> None:
        fsm = self.task.fsm
        if fsm is not None and not fsm.grammar.accepts(self._detokenizer.text().encode()):
            raise GenerationError("a finished text does not match its grammar; it is withheld")


def _statistics(choice: Choice) -> TokenStatistics | None:
    if choice.raw is None:
        return None
    raw_logprob, legal_mass = choice.raw
    return TokenStatistics(raw_logprob=raw_logprob, legal_mass=legal_mass, forced=choice.forced)
