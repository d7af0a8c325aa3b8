"""The same job on a Ray cluster of several nodes on this machine, one of which is killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from extraction import job_in, rows_file
from tiny import tiny_engine

from lockstitch.engine.jobs.job import run_job
from lockstitch.engine.jobs.ray_workers import RayCluster

ray: Any = pytest.importorskip("ray", reason="jobs on several machines need the extra `ray`")
cluster_utils: Any = pytest.importorskip("ray.cluster_utils")


@pytest.fixture
def cluster() -> Any:
    """Three nodes of one CPU each; the head has none for actors."""
    found = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [found.add_node(num_cpus=1) for _ in range(2)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    ray.init(
        found.address,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": paths}},  # the actors make their engine with `tiny`
    )
    yield found, nodes
    ray.shutdown()
    found.shutdown()


@pytest.mark.filterwarnings("ignore")  # of Ray, about itself
def test_a_killed_node_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    found, nodes = cluster
    count = 400
    engine = tiny_engine()
    whole = tmp_path / "whole"
    whole.mkdir()
    for folder in (whole, tmp_path):
        rows_file(folder, count)
    run_job(engine, job_in(whole))
    workers = RayCluster(found.address, tiny_engine, actors=2)

    class Killer:
        """Kills a node that works, as soon as there are results and others are missing."""

        killed_at: int | None = None

        def told(self, *, rows: int, total: int, tokens: int, errors: int) -> None:
            if tokens and self.killed_at is None:
                self.killed_at = tokens
                found.remove_node(nodes[0], allow_graceful=False)

    killer = Killer()
    summary = run_job(engine, job_in(tmp_path), killer, cluster=workers)
    assert killer.killed_at is not None
    assert killer.killed_at < summary.tokens / 2
    assert summary.rows == count
    assert (tmp_path / "out.jsonl").read_bytes() == (whole / "out.jsonl").read_bytes()
    again = run_job(engine, job_in(tmp_path), cluster=workers)
    assert again.computed == 0
