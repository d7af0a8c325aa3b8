"""Rows of a comparison: a figure of this engine, the same of another, and what was aimed at.

A figure is a list, one value for each repeat; the ratio is formed inside each repeat, where both
ran within minutes of each other, and told as minimum, median and maximum.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Row:
    """One figure; `ours` and `theirs` hold one value a repeat, in `unit`."""

    name: str
    unit: str
    ours: list[float]
    theirs: list[float]
    target: float | None = None

    def ratios(self) -> list[float]:
        """Return the ratios of the repeats, ascending."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return sorted(a / b if b else float("inf") if a else 0.0 for a, b in pairs)

    def met(self) -> str:
        """Say whether the median ratio is what was aimed at."""
        if self.target is None:
            return ""
        return "met" if statistics.median(self.ratios()) <= self.target else "missed"

    def cells(self) -> list[str]:
        """Return what a table shows of the row."""
        ratios = self.ratios()
        told = " / ".join(shown(x) for x in (ratios[0], statistics.median(ratios), ratios[-1]))
        target = "" if self.target is None else f"≤ {self.target:g}"
        figures = [shown(statistics.median(x)) for x in (self.ours, self.theirs)]
        return [self.name, self.unit, *figures, told, target, self.met()]

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data, ratios included."""
        return {**asdict(self), "ratios": self.ratios(), "met": self.met()}


def shown(value: float) -> str:
    """Return a number with three digits that matter."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def read(row: dict[str, Any]) -> Row:
    """Return a row from what `to_json` returned."""
    return Row(*(row[key] for key in ("name", "unit", "ours", "theirs", "target")))


class Rows:
    """Collects rows and prints each as it comes."""

    def __init__(self, repeats: int) -> None:
        self.repeats = repeats
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Keep a row and print it."""
        self.rows.append(row)
        print("  ".join(row.cells()), flush=True)

    def beside(
        self,
        name: str,
        unit: tuple[str, float],
        ours: Callable[[], float],
        theirs: Callable[[], float],
        target: float | None = None,
    ) -> None:
        """Measure two things in turn, `repeats` times; they tell seconds."""
        pairs = [(ours() / unit[1], theirs() / unit[1]) for _ in range(self.repeats)]
        self.add(Row(name, unit[0], [a for a, _ in pairs], [b for _, b in pairs], target))


def markdown(rows: list[Row], peer: str) -> str:
    """Return the rows as a table."""
    head = ["", "unit", "lockstitch", peer, "ratio min / median / max", "target", ""]
    lines = [head, ["---", "---", "---:", "---:", "---:", "---:", "---"]]
    lines += [row.cells() for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


MS, US, S = ("ms", 1e-3), ("us", 1e-6), ("s", 1.0)
