"""A job: read rows, compute what is missing, write all rows in their order.

The ledger beside the output holds the result of each prompt. Run again after an interruption, or
with more rows, a job computes what is not there yet; the output is written at the end, from the
rows in their order and the ledger, so it is the same however often the job was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from ...schemas.errors import (
    JobError,
    JobStoppedError,
    LockstitchError,
    RecordError,
    ValidationError,
)
from ..engine import Engine
from . import sinks
from .identity import digest, model_digest
from .ledger import Ledger
from .progress import Silence, Watcher
from .prompting import Prompter, PromptForm
from .ray_workers import RayCluster
from .records import RecordForm
from .sources import Source, SourceRow
from .worker import Item, Result, Work, Worker, failure

Compute = Callable[[Iterable[Item]], Iterator[tuple[bytes, Result]]]


@dataclass(frozen=True)
class Job:
    """What to do. `schema` is a JSON Schema or a pydantic model.

    `parameters` are those of the text-generation task, `max_new_tokens` among them. `on_error`
    "stop" ends the job at the first row without a record; `retry_errors` tries such rows again;
    `restart` forgets what a job with another schema, prompt, model or other parameters has done.
    """

    source: Source
    output: Path
    schema: Any
    prompt: PromptForm = field(default_factory=PromptForm)
    parameters: dict[str, Any] = field(default_factory=lambda: {"max_new_tokens": 512})
    on_error: Literal["continue", "stop"] = "continue"
    confidence: bool = False
    restart: bool = False
    retry_errors: bool = False

    @property
    def ledger_path(self) -> Path:
        """Where the results are kept."""
        return self.output.with_name(f"{self.output.name}.ledger")


@dataclass
class Summary:
    """What a job did: `computed` prompts in this run, `errors` among all rows of the output."""

    rows: int = 0
    computed: int = 0
    errors: int = 0
    tokens: int = 0
    seconds: float = 0.0
    output: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def run_job(
    engine: Engine,
    job: Job,
    watcher: Watcher | None = None,
    *,
    cluster: RayCluster | None = None,
) -> Summary:
    """Do a job, or what is left of it; with a `cluster` there, else on `engine`.

    Raises JobError, GrammarError, InfeasibleBudgetError. JobStoppedError and KeyboardInterrupt
    leave what was done in the ledger.
    """
    return _Run(engine, job, watcher or Silence(), cluster).run()


class _Run:
    def __init__(
        self, engine: Engine, job: Job, watcher: Watcher, cluster: RayCluster | None
    ) -> None:
        sinks.check(job.output)
        if job.output.exists() and not job.ledger_path.exists() and not job.restart:
            raise JobError(f"{job.output} exists and has no ledger; move it, or pass --restart")
        form = RecordForm.of(job.schema)
        self._prompts = Prompter(job.prompt, form.schema, engine.chat_template)
        work = Work(form.grammar, job.parameters, self._prompts.special_tokens, job.confidence)
        here = Worker(engine, work)  # refuses what can never be done, wherever it is to be done
        self._compute: Compute = here.results if cluster is None else partial(cluster.results, work)
        self._job, self._form, self._watcher = job, form, watcher
        self._identity = {
            "schema": digest(form.schema),
            "prompt": digest([asdict(job.prompt), self._prompts.special_tokens]),
            "model": model_digest(engine),
            "parameters": digest([job.parameters, job.confidence]),
        }
        self._summary = Summary(output=str(job.output))
        self._read = 0
        self._total = 0

    def run(self) -> Summary:
        began = monotonic()
        job = self._job
        with Ledger(job.ledger_path, self._identity, restart=job.restart) as ledger:
            self._total = job.source.count()
            for prompt, found in self._compute(self._missing(ledger)):
                result = self._judged(found)
                self._check(result)
                ledger.put(prompt, result)
                self._summary.computed += 1
                self._summary.tokens += result.get("tokens", 0)
                self._tell()
            ledger.commit()
            self._summary.errors = 0
            sinks.write(job.output, self._rows(ledger), self._form.schema)
        self._summary.seconds = monotonic() - began
        return self._summary

    def _judged(self, result: Result) -> Result:
        """Return a result, or the failure of a record that the validators of a model turn down."""
        if self._form.model is None or "text" not in result:
            return result
        try:
            self._form.parse(result["text"])
        except RecordError as error:
            return failure(error, result["tokens"])
        return result

    def _tell(self) -> None:
        s = self._summary
        self._watcher.told(rows=self._read, total=self._total, tokens=s.tokens, errors=s.errors)

    def _missing(self, ledger: Ledger) -> Iterator[Item]:
        """Yield each prompt that has no result yet, once."""
        asked: set[bytes] = set()  # 16 bytes each, of the prompts of this run
        for row in self._job.source.rows():
            self._read += 1
            prompt, error = self._prompt(row)
            if error is not None:
                self._check(error)
            if prompt is None:
                continue
            key = _key(prompt)
            known = ledger.get(key)
            if known is not None and known.get("error") and self._job.retry_errors:
                known = None
            if known is None and key not in asked:
                asked.add(key)
                yield key, prompt
        self._tell()

    def _prompt(self, row: SourceRow) -> tuple[str | None, Result | None]:
        """Return the prompt of a row, or the result of a row that has none."""
        if row.values is None:
            return None, failure(ValidationError(row.error or "the row cannot be read"))
        try:
            return self._prompts.prompt(row.values), None
        except LockstitchError as error:
            return None, failure(error)

    def _check(self, result: Result) -> None:
        if result.get("error"):
            self._summary.errors += 1
            if self._job.on_error == "stop":
                raise JobStoppedError(f"a row has no record: {result['error']['message']}")

    def _rows(self, ledger: Ledger) -> Iterator[tuple[SourceRow, Result]]:
        """Yield all rows with their results, in their order."""
        for row in self._job.source.rows():
            prompt, result = self._prompt(row)
            if prompt is not None:
                result = ledger.get(_key(prompt))
            if result is None:
                raise JobError(f"{self._job.source.path} changed meanwhile; run the job again")
            self._summary.rows += 1
            self._summary.errors += bool(result.get("error"))
            yield row, result


def _key(prompt: str) -> bytes:
    return blake2b(prompt.encode(errors="surrogatepass"), digest_size=16).digest()
