"""From a request to sequences that can be decoded: everything that can be refused is refused here.

First the parameters, then the prompt against the limits, then the grammar: the order of the wire
contract. No model runs, so this can be done beside the thread that decodes.
"""

from __future__ import annotations

import math
import secrets
import threading
from typing import Any

import torch

from ..constraint.text.style import TextStyle
from ..fsm.token_fsm import TokenFSM
from ..fsm.vocabulary import Vocabulary
from ..schemas.errors import InfeasibleBudgetError
from ..schemas.parameters import GenerateParameters, Limits, refuse
from ..schemas.request import GenerateRequest, check_length, check_request
from .detokenizer import TokenTexts
from .forced_text import ForcedText
from .grammar_cache import GrammarCache
from .sampler import Sampler
from .sequence import RunningSequence, Task


class Preparation:
    """Makes sequences of requests for one model; thread-safe."""

    def __init__(
        self,
        tokenizer: Any,
        vocabulary: Vocabulary,
        limits: Limits,
        style: TextStyle,
        device: torch.device,
    ) -> None:
        """`limits` are complete (`Limits.for_context`); the generators live on `device`."""
        self.limits = limits
        self.token_fuel = math.inf  # steps through its grammar that one token of a row may take
        self.forces_text = True  # False samples also what a grammar leaves no choice about
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._device = device
        self._tokenizing = threading.Lock()  # a fast tokenizer refuses to be used by two threads
        own = tokenizer.eos_token_id
        ends = vocabulary.eos_token_ids
        self._eos = own if own in ends else min(ends)
        self._texts = TokenTexts(tokenizer, vocabulary)
        self._forced = ForcedText(tokenizer, vocabulary, self._tokenizing)
        self.grammars = GrammarCache(vocabulary, style)

    def sequences(
        self, request: GenerateRequest, *, special_tokens: bool = True, quick: bool = False
    ) -> list[RunningSequence]:
        """Check a request and return the sequences that it takes, one for each of `best_of`.

        `special_tokens=False` says that the prompt already has those that a prompt begins with.
        Raises ValidationError for the first thing at fault, SlowGrammarError for `quick` callers.
        """
        check_request(request, self.limits)
        task = self._task(request, special_tokens=special_tokens, quick=quick)
        return [self._sequence(task) for _ in range(request.parameters.best_of or 1)]

    def _sequence(self, task: Task) -> RunningSequence:
        p, seed = task.parameters, None
        if p.sampling or (p.best_of or 1) > 1:
            seed = secrets.randbits(64) if p.seed is None else p.seed
        sampler = Sampler(p, task.prompt_ids, self._vocabulary.size, self._device, seed)
        return RunningSequence(task, sampler, self._texts, seed)

    def _task(self, request: GenerateRequest, *, special_tokens: bool, quick: bool) -> Task:
        parameters = request.parameters
        ids = self._prompt_ids(request, special_tokens=special_tokens)
        budget = check_length(len(ids), parameters.max_new_tokens, self.limits)
        fsm = self._fsm(parameters, quick=quick)
        complete = fsm is not None and bool(parameters.complete)
        if complete and fsm is not None and not fsm.feasible(budget):
            raise InfeasibleBudgetError(budget, fsm.min_tokens(fsm.start))
        return Task(
            inputs=request.inputs,
            parameters=parameters,
            prompt_ids=ids,
            max_new_tokens=budget,
            fsm=fsm,
            complete=complete,
            forced=self._forced if self.forces_text else None,
            token_fuel=self.token_fuel,
            eos_token_id=self._eos,
            eos_token_ids=self._vocabulary.eos_token_ids,
        )

    def _fsm(self, parameters: GenerateParameters, *, quick: bool) -> TokenFSM | None:
        if parameters.grammar is None:
            return None
        if not self.limits.grammar_support:
            refuse("grammar is disabled on this server", "grammar")
        return self.grammars.get(parameters.grammar, quick=quick)

    def _prompt_ids(self, request: GenerateRequest, *, special_tokens: bool) -> tuple[int, ...]:
        with self._tokenizing:
            encoded = self._tokenizer(request.inputs, add_special_tokens=special_tokens)
        ids: list[int] = encoded["input_ids"]
        keep, bos = request.parameters.truncate, self._tokenizer.bos_token_id
        if bos is not None and ids[:2] == [bos, bos]:
            ids = ids[1:]  # a chat template writes one itself, and the model knows only one
        if keep is not None and keep < len(ids):
            leading = ids[:1] if keep > 1 and bos is not None and ids[0] == bos else []
            ids = leading + ids[len(ids) - keep + len(leading) :]
        if not ids:
            refuse("inputs must hold at least one token", "inputs")
        return tuple(ids)
