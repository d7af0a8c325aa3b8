"""Many short rows: neither memory nor ledger grow with what has been done."""

from __future__ import annotations

from pathlib import Path

from many_rows import run

MIB = 1 << 20


def test_memory_and_ledger_stay_small(tmp_path: Path) -> None:
    summary, seen = run(tmp_path, 2400)
    assert (summary.rows, summary.computed, summary.errors) == (2400, 2400, 0)
    assert len(seen.memory) == 12
    assert seen.memory[-1] - seen.memory[3] < 8 * MIB
    assert seen.ledger < 200 * summary.rows
