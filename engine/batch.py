"""Continuous batching: rows join and leave between steps, and none changes what another computes.

A step decodes one token for every row that runs, and takes one chunk of waiting prompts through
the model. Short prompts share a chunk, a long one takes several steps, so rows that run wait for
at most one chunk between two tokens; where the model can be called with packed tokens, both are one
call. A prompt that is done joins the rows that run.

The KV cache is bounded: a row is let in only if the rectangle of all rows by the longest of them,
at its full length, fits. So no row can run out of room later; the others wait, in order.

transformers has continuous batching of its own (paged, sampling shared by all requests, processors
that see the last token only); it can carry neither grammars nor per-request generators.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, TypeVar

import torch
from transformers import PreTrainedModel

from ..schemas.errors import GenerationError, LockstitchError, ValidationError, during_generation
from .forward import Rows, append_together
from .sampler import Choice, Row, choose
from .sequence import RunningSequence

T = TypeVar("T")
Runs: TypeAlias = list[Sequence[int]]
PASS_COLUMNS = {"cpu": 24, "cuda": 512}  # tokens that cost as much as a pass through the weights
CHUNK = 512  # prompt tokens in one step, padding included where there is any
LOGPROB_CHUNK = 128  # where the logits of every prompt token are needed


@dataclass
class Group:
    """Rows that go through the model together; of `prompt`, that of a single row, `done` have."""

    rows: Rows
    runs: list[RunningSequence]
    prompt: Sequence[int] = ()
    done: int = 0
    logprobs: list[float | None] = field(default_factory=lambda: [None])

    @property
    def tells_prompt(self) -> bool:
        """Whether the log-probabilities of the prompt are wanted; such a row is alone."""
        return any(run.wants_prefill for run in self.runs)


class Batch:
    """Sequences that are decoded together. Not thread-safe: one thread adds, steps and drops."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        max_rows: int,
        max_positions: int,
        base_adapter: str | None = None,
    ) -> None:
        """Bound the rows, and the positions of the KV cache.

        `base_adapter` names "no adapter" where the model has adapters.
        """
        self._model = model
        self._max_rows = max_rows
        self._max_positions = max_positions
        self._base_adapter = base_adapter
        self._waiting: deque[RunningSequence] = deque()
        self._prefill: Group | None = None
        self._groups: list[Group] = []
        self._over: list[RunningSequence] = []  # ended outside of a choice, to be told
        rows = Rows(model, 0, None if base_adapter is None else [])
        self._joins, self._packs = rows.joins, rows.packs
        self._pass_columns = PASS_COLUMNS.get(model.device.type, PASS_COLUMNS["cuda"])

    def add(self, run: RunningSequence) -> None:
        """Let a sequence wait for its turn; one that needs no model ends with the next step."""
        if not run.wants_prefill:
            _guarded(run, run.append_forced)
        if run.ended:
            run.begin()
            self._over.append(run)
        else:
            self._waiting.append(run)

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return not (self._waiting or self._prefill or self._groups or self._over)

    @property
    def waiting(self) -> int:
        """How many sequences have not begun."""
        return len(self._waiting)

    @property
    def running(self) -> list[RunningSequence]:
        """The sequences that are in the model."""
        groups = [*self._groups, *([self._prefill] if self._prefill else [])]
        return [run for group in groups for run in group.runs]

    def drop(self, run: RunningSequence) -> None:
        """Forget a sequence that nobody waits for; its row is free before the next step."""
        if run in self._waiting:
            self._waiting.remove(run)
        for group in (self._prefill, *self._groups):
            if group is not None and run in group.runs:
                self._keep(group, [r for r in group.runs if r is not run])

    def fail(self, error: LockstitchError) -> list[RunningSequence]:
        """End every sequence with an error; return them."""
        failed = [*self._waiting, *self.running]
        self._waiting.clear()
        self._prefill, self._groups = None, []
        for run in failed:
            run.fail(error)
        return failed

    def step(self) -> list[RunningSequence]:
        """Do one step; return the sequences that got a token or ended."""
        self._begin_prefill()
        calls = [(group, self._next_tokens(group)) for group in self._groups]
        prefill = self._prefill
        if prefill is None or prefill.tells_prompt:
            parts = self._run(calls)
            parts += [] if prefill is None else self._prefill_with_logprobs(prefill)
        else:
            parts = self._run([*calls, (prefill, self._next_chunk(prefill))])
            parts = [part for part in parts if part[0] is not prefill or self._is_through(prefill)]
        accepted = _accept(parts)
        self._settle([group for group, _ in parts])
        over, self._over = self._over, []
        return over + accepted

    def _begin_prefill(self) -> None:
        if self._prefill is None and (runs := list(self._admitted())):
            adapters = None
            if self._base_adapter is not None:
                adapters = [run.task.parameters.adapter_id or self._base_adapter for run in runs]
            self._prefill = Group(Rows(self._model, len(runs), adapters), runs)
            if len(runs) == 1:
                self._prefill.prompt = runs[0].take_pending()

    def _admitted(self) -> Iterator[RunningSequence]:
        """Take sequences off the queue that fit beside those that run, and into one chunk."""
        rows = sum(len(group.runs) for group in self._groups)
        longest = max((_most(run) for run in self.running), default=0)
        prompt, tokens = 0, 0
        count = 0
        while self._waiting and rows + count < self._max_rows:
            run = self._waiting[0]
            longest = max(longest, _most(run))
            prompt = max(prompt, run.pending)
            alone = rows + count == 0
            if not alone and (rows + count + 1) * longest > self._max_positions:
                return
            shares = self._joins and not run.wants_prefill
            tokens += run.pending
            size = tokens if self._packs else (count + 1) * prompt
            if count and (size > CHUNK or not shares):
                return
            count += 1
            run.begin()
            yield self._waiting.popleft()
            if not shares:
                return

    def _next_tokens(self, group: Group) -> Runs:
        """Take each row's next tokens: the one that was chosen, and what the grammar forced."""
        pending = [run.pending for run in group.runs]
        if group.rows.packs:
            width = widest(pending, CHUNK)
        else:
            width = best_width(pending, self._pass_columns)
        return [run.take_pending(width) for run in group.runs]

    def _next_chunk(self, group: Group) -> Runs:
        """Take the next chunk of prompts; those that share one are taken whole."""
        if len(group.runs) > 1:
            return [run.take_pending() for run in group.runs]
        part = group.prompt[group.done : group.done + CHUNK]
        group.done += len(part)
        return [part]

    def _is_through(self, prefill: Group) -> bool:
        """Whether the prompts have been seen; then they are no prefill any more."""
        if prefill.done < len(prefill.prompt):
            return False
        self._prefill = None
        return True

    def _run(self, calls: Sequence[tuple[Group, Runs]]) -> list[tuple[Group, torch.Tensor]]:
        """Show some groups their tokens, in one call if they pack; those that fail are left out."""
        if len(calls) > 1 and self._packs:
            try:
                found = append_together([(group.rows, runs) for group, runs in calls])
                return [(group, own) for (group, _), own in zip(calls, found, strict=True)]
            except GenerationError:
                pass  # nothing has changed; alone, those that are not at fault do not fail
        parts = [(group, self._forward(group, partial(group.rows.append, r))) for group, r in calls]
        return [(group, logits) for group, logits in parts if logits is not None]

    def _forward(self, group: Group, work: Callable[[], torch.Tensor]) -> torch.Tensor | None:
        """Run the model for a group; what it fails with ends all of its rows, and only these."""
        try:
            return work()
        except GenerationError as error:
            for run in group.runs:
                run.fail(error)
            self._over += group.runs
            group.runs = []
            self._prefill = None if self._prefill is group else self._prefill
            return None

    def _prefill_with_logprobs(self, group: Group) -> list[tuple[Group, torch.Tensor]]:
        """Take a chunk of a prompt that is told of; return the group once it is through."""
        (run,) = group.runs
        part = group.prompt[group.done : group.done + LOGPROB_CHUNK]
        group.done += len(part)
        whole = group.done == len(group.prompt)
        following = None if whole else group.prompt[group.done]
        logits = self._forward(group, lambda: self._with_logprobs(group, part, following))
        if logits is None or not whole:
            return []
        self._prefill = None
        return self._begin_text(group, run, logits)

    def _begin_text(
        self, group: Group, run: RunningSequence, logits: torch.Tensor
    ) -> list[tuple[Group, torch.Tensor]]:
        """Tell a row of its prompt; its text may begin with something that the grammar forces."""
        run.tell_prefill(group.logprobs)
        _guarded(run, run.append_forced)
        if run.ended:
            self._over.append(run)
            group.runs = []
            return []
        return self._run([(group, [run.take_pending()])]) if run.pending else [(group, logits)]

    def _with_logprobs(
        self, group: Group, part: Sequence[int], following: int | None
    ) -> torch.Tensor:
        logits, logprobs = group.rows.append_with_logprobs(part, following)
        group.logprobs += logprobs
        return logits

    def _settle(self, groups: Sequence[Group]) -> None:
        """Let rows that have ended go, and new ones join those that run."""
        self._groups = [group for group in self._groups if group.runs]
        for group in groups:
            self._keep(group, [run for run in group.runs if not run.ended])
            if group.runs and group not in self._groups:
                self._groups.append(group)
        while len(self._groups) > 1 and all(group.rows.joins for group in self._groups):
            below = self._groups.pop()
            self._groups[-1].rows.join(below.rows)
            self._groups[-1].runs += below.runs

    def _keep(self, group: Group, runs: list[RunningSequence]) -> None:
        if len(runs) < len(group.runs):
            if runs:
                group.rows.keep([i for i, run in enumerate(group.runs) if run in runs])
            group.runs = runs
        if not runs:
            self._groups = [g for g in self._groups if g is not group]
            self._prefill = None if self._prefill is group else self._prefill


def best_width(pending: Sequence[int], pass_columns: int) -> int:
    """Return how many tokens of each row to show to the model at once.

    Rows with fewer are padded, and padding costs like tokens: the width is the one that brings most
    tokens for its cost, that of a pass and of all columns. A single row is always shown all.
    """

    def gain(width: int) -> float:
        shown = sum(min(count, width) for count in pending)
        return shown / (pass_columns + len(pending) * width)

    return max(sorted({*pending}), key=gain)


def widest(pending: Sequence[int], most: int) -> int:
    """Return how many tokens of each row to show where padding is free: at most `most` together."""
    widths = sorted({*pending}, reverse=True)
    fitting = (w for w in widths if sum(min(count, w) for count in pending) <= most)
    return next(fitting, min(pending))


def _most(run: RunningSequence) -> int:
    return len(run.task.prompt_ids) + run.task.max_new_tokens


def _accept(parts: Sequence[tuple[Group, torch.Tensor]]) -> list[RunningSequence]:
    """Choose a token for every row of some groups whose tokens the model has all seen."""
    runs = [run for group, _ in parts for run in group.runs]
    if not runs:
        return []
    logits = parts[0][1] if len(parts) == 1 else torch.cat([logits for _, logits in parts])
    rows: list[Row] = []
    owners: list[RunningSequence] = []
    due = [(index, run) for index, run in enumerate(runs) if not run.pending]
    for index, run in due:
        row = _guarded(run, partial(run.row, index))
        if row is not None:
            rows.append(row)
            owners.append(run)
    for run, choice in zip(owners, choose(logits, rows), strict=True):
        if isinstance(choice, Choice):
            _guarded(run, partial(run.accept, choice))
        else:
            run.fail(choice)
    return [run for _, run in due]


def _guarded(run: RunningSequence, work: Callable[[], T]) -> T | None:
    """Do something for one sequence; what it fails with ends this one only."""
    try:
        return work()
    except ValidationError as error:  # a limit that was met while the text was under way
        run.fail(during_generation(error))
    except LockstitchError as error:
        run.fail(error)
    return None
