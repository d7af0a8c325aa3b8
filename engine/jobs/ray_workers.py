"""The same work on several machines: a Ray Data pipeline whose actors hold the model.

Ray places the actors, keeps as many prompts in flight as they can take, replaces one that dies and
gives its prompts to another. Results come back in any order; the ledger does not mind, nor that a
prompt is computed again when a machine was lost with its results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ...schemas.errors import JobError
from ..engine import Engine
from .worker import Item, Result, Work, Worker

PROMPTS_AT_ONCE = 64  # what a lost actor has to do again, at most


@dataclass(frozen=True)
class RayCluster:
    """Where to work, and with what: `actors` of them, with `cpus` and `gpus` each.

    `make_engine` is called once in each actor, and must be picklable. `address` is that of a
    running cluster; "local" starts one on this machine.
    """

    address: str
    make_engine: Callable[[], Engine]
    actors: int = 1
    cpus: float = 1
    gpus: float = 0

    def results(self, work: Work, items: Iterable[Item]) -> Iterator[tuple[bytes, Result]]:
        """Yield the result of each item, as they are done. Raises JobError without Ray."""
        ray = _ray()
        rows = [{"digest": digest, "prompt": prompt} for digest, prompt in items]
        if not rows:
            return
        if not ray.is_initialized():
            ray.init(self.address, log_to_driver=False, logging_level="warning")
        blocks = max(self.actors, len(rows) // PROMPTS_AT_ONCE)
        results = ray.data.from_items(rows, override_num_blocks=min(blocks, len(rows))).map_batches(
            Actor,
            fn_constructor_args=(self.make_engine, work),
            batch_size=PROMPTS_AT_ONCE,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=self.actors),
            num_cpus=self.cpus,
            num_gpus=self.gpus,
        )
        try:
            for row in results.iter_rows():
                yield row["digest"], json.loads(row["result"])
        except ray.exceptions.RayError as error:
            first = str(error).partition("\n")[0]
            raise JobError(f"the cluster failed: {first}; run the job again to go on") from error


class Actor:
    """A process with a model; Ray calls it with batches of prompts."""

    def __init__(self, make_engine: Callable[[], Engine], work: Work) -> None:
        """Load the model."""
        self._worker = Worker(make_engine(), work)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Return the digests and results of a batch."""
        items = zip(batch["digest"].tolist(), batch["prompt"].tolist(), strict=True)
        done = list(self._worker.results((bytes(digest), str(prompt)) for digest, prompt in items))
        return {
            "digest": [digest for digest, _ in done],
            "result": [json.dumps(result) for _, result in done],
        }


def _ray() -> Any:
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise JobError("--ray needs Ray; install lockstitch[ray]", parameter="ray") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray
