"""The whole comparison beside another engine: real schemas, hard cases, regexes, start-up.

`python benchmarks/compare.py HARNESS --tokenizer DIR --corpora DIR --out DIR [--repeats 3]
[--per-split 20] [--peer llg] [--only masks regexes ...]` runs the parts below, engines in turn
inside each repeat, keeps what they told under `--out`, and writes `report.md`, `report.json` and
`masks.svg` there. Each run is a process of its own. README.md beside this file says what is
measured; schemas that an engine refuses or gets wrong are left out for all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rows import MS, US, Row, S, markdown, read

HERE = Path(__file__).resolve().parent
OURS, WARM = "lockstitch", "lockstitch-warm"
Times = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Setting:
    """What the command line says."""

    harness: Path
    tokenizer: Path
    corpora: Path
    out: Path
    repeats: int
    per_split: int
    peer: str
    only: list[str]

    def run(self, script: str, *arguments: object, cache: Path | None = None) -> str:
        """Run a script of this folder on one core; what it prints is kept from the screen."""
        command = [sys.executable, str(HERE / script), str(self.harness), *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
        if cache:
            environment["XDG_CACHE_HOME"] = str(cache)
        print("$", script, *arguments, flush=True)
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode()


@dataclass(frozen=True)
class Visit:
    """What one engine told in one repeat."""

    records: dict[str, dict[str, Any]]  # by the schema's id
    times: dict[str, Times]  # CPU seconds of each mask + advance, by the schema's id

    @classmethod
    def read(cls, path: Path) -> Visit:
        """Read the two files that the harness left."""
        records = [json.loads(line) for line in path.read_text().splitlines()[1:]]
        rows = np.load(path.with_suffix(".tbm.npy"))
        # columns: place of the schema, wall of the mask, of the advance, CPU of both, in ns
        times = {r["id"]: rows[rows[:, 0] == k, 3] / 1e9 for k, r in enumerate(records)}
        return cls({r["id"]: r for r in records}, times)

    def right(self) -> set[str]:
        """Return the schemas with which every instance was told apart rightly."""
        return {name for name, record in self.records.items() if _right(record)}

    def first_masks(self, names: list[str]) -> Times:
        """Return the CPU seconds to compile each schema and to tell its first mask."""
        return np.array([self.records[name]["ttfm_cpu_ns"] / 1e9 for name in names])

    def steps(self, names: list[str]) -> Times:
        """Return the CPU seconds of every mask + advance with these schemas."""
        return np.concatenate([self.times[name] for name in names])


def _right(record: dict[str, Any]) -> bool:
    tests = [test for test in record["tests"] if test["mode"] != "as-is"]
    return record["status"] == "ok" and all(
        test["accepted"] == test["valid"] and "error" not in test for test in tests
    )


def masks(given: Setting) -> list[Row]:
    """Measure real schemas: compile, first mask, mask + advance, met first and met before."""
    visits: dict[str, list[Visit]] = {name: [] for name in (OURS, WARM, given.peer)}
    for repeat in range(given.repeats):
        folder = given.out / f"masks-{repeat}"
        for name in visits:
            given.run(
                *("masks.py", "--engine", name, "--tokenizer", given.tokenizer),
                *("--corpora", given.corpora, "--per-split", given.per_split, "--out", folder),
            )
            visits[name].append(Visit.read(folder / f"{name}.jsonl"))
    every = [visit for repeats in visits.values() for visit in repeats]
    names = sorted(set.intersection(*[visit.right() for visit in every]))
    print(f"{len(names)} schemas of {len(every[0].records)} are right with all")
    draw({name: found[-1].steps(names) for name, found in visits.items()}, given.out / "masks.svg")
    rows = first_mask_rows(visits[OURS], visits[given.peer], names)
    rows += step_rows("cold", visits[OURS], visits[given.peer], names, (1, 0.5, 1, 1))
    return rows + step_rows("warm", visits[WARM], visits[given.peer], names, (0.1, None, 0.1, None))


def first_mask_rows(own: list[Visit], other: list[Visit], names: list[str]) -> list[Row]:
    """Return rows of what compiling and the first mask take."""
    return [
        Row(
            f"compile + first mask, {len(names)} schemas: p{q}",
            MS[0],
            *([float(np.percentile(v.first_masks(names), q)) / MS[1] for v in x] for x in pair),
            target=target,
        )
        for pair in [(own, other)]
        for q, target in ((50, 0.3), (99, 1.0))
    ]


def step_rows(
    kind: str,
    own: list[Visit],
    other: list[Visit],
    names: list[str],
    targets: tuple[float | None, ...],
) -> list[Row]:
    """Return rows of what mask + advance take; `targets` for the average, p50, p99 and p99.9."""
    rows = []
    for q, target in zip((None, 50, 99, 99.9), targets, strict=True):
        ours, theirs = ([_told(v.steps(names), q) / US[1] for v in x] for x in (own, other))
        name = f"mask + advance, {kind}: {'average' if q is None else f'p{q:g}'}"
        rows.append(Row(name, US[0], ours, theirs, target))
    return rows


def _told(times: Times, q: float | None) -> float:
    return float(times.mean() if q is None else np.percentile(times, q))


def cases(given: Setting) -> list[Row]:
    """Measure the cases of mask_cases.py."""
    told = given.out / "cases.json"
    given.run(
        *("mask_cases.py", "--tokenizer", given.tokenizer, "--corpora", given.corpora),
        *("--peer", given.peer, "--repeats", given.repeats, "--json", told),
    )
    return [read(row) for row in json.loads(told.read_text())]


def regexes(given: Setting) -> list[Row]:
    """Measure the regular expressions of the harness."""
    found = []
    for repeat in range(given.repeats):
        told = given.out / f"regexes-{repeat}.json"
        given.run(
            *("masks.py", "--script", "regexbench.py", "--tokenizer", given.tokenizer),
            *("--engines", OURS, given.peer, "--out", told),
        )
        found.append(json.loads(told.read_text())["summary"])
    pair = [[told[name] for told in found] for name in (OURS, given.peer)]
    count = found[0][OURS]["cases"]
    wrong = ([float(count - told["correct"]) for told in one] for one in pair)
    rows = [Row(f"regexes, {count}: wrong", "regexes", *wrong)]
    for name, part, q, scale, target in (
        ("compile + first mask: p50", "ttfm_cpu_us", "p50", 1e3, None),
        ("mask + advance: p50", "tbm_cpu_us", "p50", 1.0, None),
        ("mask + advance: p99", "tbm_cpu_us", "p99", 1.0, 0.4),
    ):
        figures = ([told[part][q] / scale for told in one] for one in pair)
        rows.append(Row(f"regexes, {name}", "ms" if scale > 1 else "us", *figures, target=target))
    return rows


def start_up(given: Setting) -> list[Row]:
    """Measure what an engine takes for a tokenizer: the first time, and again from disk."""
    times: dict[str, list[float]] = {"process": [], "first": [], "again": [], "peer": []}
    arguments = ("--tokenizer", given.tokenizer)
    for _ in range(given.repeats):
        with tempfile.TemporaryDirectory() as folder:
            for when in ("first", "again"):
                told = given.run("start_up.py", "--engine", OURS, *arguments, cache=Path(folder))
                process, tokenizer = map(float, told.split())
                times[when].append(tokenizer)
        times["process"].append(process)
        told = given.run("start_up.py", "--engine", given.peer, *arguments)
        times["peer"].append(sum(map(float, told.split())))
    return [
        Row(
            "start-up of a process, whatever its tokenizers", S[0], times["process"], times["peer"]
        ),
        Row("start-up for a tokenizer, first time", S[0], times["first"], times["peer"], 0.5),
        Row("start-up for a tokenizer, from disk", S[0], times["again"], times["peer"], 0.1),
    ]


def draw(times: dict[str, Times], target: Path) -> None:
    """Plot which share of all steps took at most how long."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    shares = np.concatenate([np.linspace(0, 99, 199), 100 - np.geomspace(1, 0.01, 60)])
    for name, values in times.items():
        axes.plot(np.percentile(values, shares) / US[1], shares, label=name)
    axes.set_xscale("log")
    axes.set_xlabel("CPU time of mask + advance, us")
    axes.set_ylabel("share of all steps, %")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(target, bbox_inches="tight", metadata={"Date": None})


PARTS = {"masks": masks, "cases": cases, "regexes": regexes, "start-up": start_up}


def machine(given: Setting) -> str:
    """Return in a sentence where and with which versions the run took place."""
    names = ("lockstitch", "torch", "numpy", "numba", "llguidance", "transformers")
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    told = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"Tokenizer {given.tokenizer.name}, {given.repeats} repeats, {given.per_split} schemas a "
        f"split, CPU time, one core of {model} ({os.cpu_count()} cores, {platform.system()}), "
        f"Python {platform.python_version()}, {told}."
    )


def setting() -> Setting:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("harness", type=Path)
    for name in ("tokenizer", "corpora", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--per-split", type=int, default=20)
    parser.add_argument("--peer", default="llg")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    return Setting(**vars(parser.parse_args()))


def main() -> None:
    """Run the parts and write the report."""
    given = setting()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [row for name in given.only for row in PARTS[name](given)]
    report = machine(given) + "\n\n" + markdown(rows, given.peer)
    (given.out / "report.md").write_text(report)
    plain = {"setting": machine(given), "rows": [row.to_json() for row in rows]}
    (given.out / "report.json").write_text(json.dumps(plain, indent=1) + "\n")
    print(report)


if __name__ == "__main__":
    main()
