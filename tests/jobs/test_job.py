"""Jobs: every row gets a record or an error, however often the job was interrupted."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pydantic
import pytest
from extraction import PARAMETERS, SCHEMA, job_in, rows_file
from tiny import tiny_engine

from lockstitch import Engine
from lockstitch.engine.jobs.job import Summary, run_job
from lockstitch.engine.jobs.prompting import PromptForm
from lockstitch.schemas.errors import (
    InfeasibleBudgetError,
    JobChangedError,
    JobError,
    JobStoppedError,
    RecordError,
    UnsatisfiableGrammarError,
)
from lockstitch.schemas.parameters import Limits


@pytest.fixture(scope="module")
def engine() -> Engine:
    return tiny_engine()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_has_a_record_or_an_error(engine: Engine, tmp_path: Path) -> None:
    rows_file(tmp_path)
    summary = run_job(engine, job_in(tmp_path))
    rows = lines_of(tmp_path / "out.jsonl")
    assert [row["id"] for row in rows] == list(range(1, 31))
    validator = jsonschema.Draft202012Validator(SCHEMA)
    bad = [row for row in rows if row["record"] is None]
    for row in rows:
        assert (row["record"] is None) != (row["error"] is None)
        if row["record"] is not None:
            validator.validate(row["record"])
            assert row["finish_reason"] in ("eos_token", "length")
            assert row["tokens"] > 0
    assert summary.errors == len(bad) >= 2
    assert summary.rows == 30
    assert "not JSON" in rows[3]["error"]["message"]
    assert "'text'" in rows[5]["error"]["message"]
    texts = {row["text"] for row in good_lines(tmp_path)}
    assert summary.computed == len(texts)  # equal texts are computed once


def good_lines(folder: Path) -> list[dict[str, Any]]:
    found = []
    for line in (folder / "rows.jsonl").read_bytes().splitlines():
        try:
            value = json.loads(line.decode())
        except ValueError:
            continue
        if "text" in value:
            found.append(value)
    return found


def test_a_second_run_has_nothing_to_do(engine: Engine, tmp_path: Path) -> None:
    rows_file(tmp_path)
    first = run_job(engine, job_in(tmp_path))
    before = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "out.jsonl").unlink()
    again = run_job(engine, job_in(tmp_path))
    assert (again.computed, again.rows, again.errors) == (0, first.rows, first.errors)
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_rows_do_not_depend_on_what_runs_beside_them(engine: Engine, tmp_path: Path) -> None:
    rows_file(tmp_path)
    run_job(engine, job_in(tmp_path))
    narrow = tiny_engine(limits=Limits(max_batch_size=1))
    run_job(narrow, job_in(tmp_path, output="narrow.jsonl"))
    assert (tmp_path / "narrow.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"schema": {**SCHEMA, "title": "x"}}, "schema"),
        ({"prompt": PromptForm(instruction="Read.")}, "prompt"),
        ({"parameters": {**PARAMETERS, "seed": 8}}, "parameters"),
    ],
)
def test_another_job_is_refused(
    engine: Engine, tmp_path: Path, changed: dict[str, Any], part: str
) -> None:
    rows_file(tmp_path)
    run_job(engine, job_in(tmp_path))
    with pytest.raises(JobChangedError) as caught:
        run_job(engine, job_in(tmp_path, **changed))
    assert caught.value.changed == [part]
    assert run_job(engine, job_in(tmp_path, restart=True, **changed)).computed > 0


def test_another_model_is_refused(engine: Engine, tmp_path: Path) -> None:
    rows_file(tmp_path)
    run_job(engine, job_in(tmp_path))
    with pytest.raises(JobChangedError, match="model changed"):
        run_job(tiny_engine(seed=1), job_in(tmp_path))


def test_what_can_never_be_is_refused_before_the_first_token(
    engine: Engine, tmp_path: Path
) -> None:
    rows_file(tmp_path)
    with pytest.raises(InfeasibleBudgetError) as caught:
        run_job(engine, job_in(tmp_path, parameters={"max_new_tokens": 3}))
    needed = caught.value.needed
    assert run_job(engine, job_in(tmp_path, parameters={"max_new_tokens": needed})).rows == 30
    with pytest.raises(UnsatisfiableGrammarError):
        run_job(engine, job_in(tmp_path, schema=False))
    (tmp_path / "there.jsonl").write_text("precious")
    with pytest.raises(JobError, match="no ledger"):
        run_job(engine, job_in(tmp_path, output="there.jsonl"))
    with pytest.raises(JobError, match=r"\.jsonl or \.parquet"):
        run_job(engine, job_in(tmp_path, output="out.xlsx"))


def test_stop_at_the_first_error(engine: Engine, tmp_path: Path) -> None:
    rows_file(tmp_path)
    with pytest.raises(JobStoppedError, match="not JSON"):
        run_job(engine, job_in(tmp_path, on_error="stop"))
    assert not (tmp_path / "out.jsonl").exists()
    assert run_job(engine, job_in(tmp_path)).rows == 30


def test_confidence_is_a_probability_of_each_field(engine: Engine, tmp_path: Path) -> None:
    rows_file(tmp_path)
    run_job(engine, job_in(tmp_path, confidence=True))
    for row in lines_of(tmp_path / "out.jsonl"):
        if row["record"] is not None:
            assert list(row["confidence"]) == list(row["record"])
            assert all(0 < p <= 1.0 for p in row["confidence"].values())


class Person(pydantic.BaseModel):
    """What a text says of somebody."""

    name: str = pydantic.Field(max_length=5)
    age: int = pydantic.Field(ge=0, le=9)

    @pydantic.field_validator("age")
    @classmethod
    def odd(cls, age: int) -> int:
        if age % 2:
            raise ValueError("odd")
        return age


def test_models_come_back_as_objects(engine: Engine, tmp_path: Path) -> None:
    found: list[Person] = []
    refused: list[str] = []
    for seed in range(20):
        try:
            found.append(engine.extract(Person, "x", max_new_tokens=60, temperature=2.0, seed=seed))
        except RecordError as error:
            refused.append(error.message)
    assert all(isinstance(person, Person) and person.age % 2 == 0 for person in found)
    assert refused == [message for message in refused if "turns down age: " in message] != []
    assert found
    first, second = engine.extract(SCHEMA, ["a", "b"], max_new_tokens=60)
    assert first["kind"] in ("new", "old", None)
    assert set(second) == {"name", "count", "kind"}
    rows_file(tmp_path)
    run_job(engine, job_in(tmp_path, schema=Person))
    told = [row["error"] for row in lines_of(tmp_path / "out.jsonl") if row["error"]]
    assert any(error["type"] == "record" for error in told)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from extraction import job_in
from lockstitch import run_job
from lockstitch.schemas.errors import JobError
from tiny import tiny_engine
print("ready", flush=True)
try:
    print(run_job(tiny_engine(), job_in(Path(sys.argv[1]))).computed)
except JobError as error:
    print(error)
    sys.exit(3)
"""


def started(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(folder), str(Path(__file__).parents[1])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("most", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_job_goes_on(engine: Engine, tmp_path: Path, most: int) -> None:
    """Killed at random moments, until a run comes to its end; no result is lost or computed anew
    that was kept, and the output is that of an uninterrupted run."""
    rng = random.Random(3)
    count = 120 * most
    rows_file(tmp_path, count)
    whole = tmp_path / "whole"
    whole.mkdir()
    rows_file(whole, count)
    expected: Summary = run_job(engine, job_in(whole))
    kills = 0
    while kills < most or not (tmp_path / "out.jsonl").exists():
        with started(tmp_path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            if kills < most:
                time.sleep(rng.uniform(0.0, 1.0))
                process.send_signal(signal.SIGKILL)
                kills += 1
            else:
                process.wait(300)
    assert kills == most
    assert (tmp_path / "out.jsonl").read_bytes() == (whole / "out.jsonl").read_bytes()
    assert run_job(engine, job_in(tmp_path)).computed == 0
    assert expected.rows == count


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux: limits of a child")
def test_a_disk_that_is_full_for_real(engine: Engine, tmp_path: Path) -> None:
    """The kernel takes no byte past a limit, wherever the job is; with room, it goes on."""
    count = 200
    rows_file(tmp_path, count)
    whole = tmp_path / "whole"
    whole.mkdir()
    rows_file(whole, count)
    run_job(engine, job_in(whole))
    for room in (0, 20_000):
        with started(tmp_path) as process:
            assert process.stdout is not None
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))
            assert process.stdout.readline() == "ready\n"
            told = process.stdout.read()
        assert process.returncode == 3, told
        assert "cannot be" in told or "make room" in told
        assert not (tmp_path / "out.jsonl").exists()
    with started(tmp_path) as process:
        process.communicate(timeout=300)
    assert (tmp_path / "out.jsonl").read_bytes() == (whole / "out.jsonl").read_bytes()
