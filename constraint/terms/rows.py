"""Rows: a derivative by every byte at once, as a few disjoint (byte mask, successor) pairs.

The algebra of rows mirrors the algebra of terms. A union of terms has the union of their rows, an
intersection the product, a complement the complement of each successor plus the bytes that no pair
covers. The functions here only combine pairs; which terms to combine is the business of `terms`.

Source: symbolic derivatives (Stanford, Veanes, Bjørner, PLDI 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .arena import EVERY_BYTE, TermArena

Row = tuple[tuple[int, int], ...]
Cell = tuple[int, list[int]]


def literal_row(byte: int, successor: int) -> Row:
    """Return the row of a text that starts with `byte`."""
    return ((1 << byte, successor),)


def gather(pairs: Iterable[tuple[int, int]]) -> Row:
    """Return the pairs with equal successors joined, without those that lead to `EMPTY`."""
    masks: dict[int, int] = {}
    for mask, successor in pairs:
        if successor != TermArena.EMPTY:
            masks[successor] = masks.get(successor, 0) | mask
    return tuple((mask, successor) for successor, mask in masks.items())


def union_rows(rows: Sequence[Row], union: Callable[[Iterable[int]], int]) -> Row:
    """Return the row of a union of terms with the given rows.

    Cost: linear in the pairs while their masks are disjoint, which is the common case.
    """
    singles: dict[int, list[int]] = {}
    wide: list[tuple[int, int]] = []
    for row in rows:
        for mask, successor in row:
            if mask & (mask - 1):
                wide.append((mask, successor))
            else:
                singles.setdefault(mask, []).append(successor)
    cells = _split_cells(wide)
    if cells:
        singles = _merge_singles(singles, cells)
    cells.extend((mask, successors) for mask, successors in singles.items())
    return gather(
        (mask, successors[0] if len(successors) == 1 else union(successors))
        for mask, successors in cells
        if mask
    )


def _split_cells(pairs: Iterable[tuple[int, int]]) -> list[Cell]:
    """Cut overlapping masks into disjoint ones, each with all of its successors."""
    cells: list[Cell] = []
    covered = 0
    for mask, successor in pairs:
        if mask & covered:
            cut: list[Cell] = []
            for cell, successors in cells:
                inside = cell & mask
                if inside:
                    cut.append((inside, [*successors, successor]))
                if cell != inside:
                    cut.append((cell & ~mask, successors))
            cells = cut
        if mask & ~covered:
            cells.append((mask & ~covered, [successor]))
        covered |= mask
    return cells


def _merge_singles(singles: dict[int, list[int]], cells: list[Cell]) -> dict[int, list[int]]:
    """Take the single bytes out of the wide cells, which keep the rest."""
    merged: dict[int, list[int]] = {}
    taken = 0
    for mask in singles:
        taken |= mask
    for index, (cell, successors) in enumerate(cells):
        if cell & taken:
            for mask, own in singles.items():
                if cell & mask:
                    merged[mask] = [*own, *successors]
            cells[index] = (cell & ~taken, successors)
    return {mask: merged.get(mask, own) for mask, own in singles.items()}


def intersect_rows(rows: Sequence[Row], intersect: Callable[[Iterable[int]], int]) -> Row:
    """Return the row of an intersection of terms with the given rows."""
    cells: list[Cell] = [(mask, [successor]) for mask, successor in rows[0]]
    for row in rows[1:]:
        cells = [
            (cell & mask, [*successors, successor])
            for cell, successors in cells
            for mask, successor in row
            if cell & mask
        ]
    return gather((cell, intersect(successors)) for cell, successors in cells)


def complement_row(row: Row, complement: Callable[[int], int], everything: int) -> Row:
    """Return the row of the complement of a term with the given row."""
    rest = EVERY_BYTE
    pairs = []
    for mask, successor in row:
        rest &= ~mask
        pairs.append((mask, complement(successor)))
    if rest:
        pairs.append((rest, everything))
    return gather(pairs)
