"""Rows of numbers that grow: what the kernels read and Python code appends to."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

FIRST_ROOM = 64


class Growing:
    """Rows of numbers in an array that is made anew with more room when it is full.

    Appending goes through a memory view, which costs a tenth of indexing the array.
    """

    __slots__ = ("_cells", "_columns", "_typecode", "array", "count")

    def __init__(self, typecode: str, columns: int = 1) -> None:
        """The array is (room, columns), or (room,) of one column."""
        shape = (FIRST_ROOM, columns) if columns > 1 else (FIRST_ROOM,)
        self._columns, self._typecode = columns, typecode
        self.array = np.empty(shape, typecode)
        self._cells = self.array.reshape(-1).data
        self.count = 0

    def rows(self, first: int, last: int) -> array[int]:
        """Return the numbers of some rows, a copy."""
        cells = self._cells[first * self._columns : last * self._columns]
        return array(self._typecode, cells)

    def append(self, values: array[int]) -> tuple[int, int]:
        """Append the numbers of some rows; return where these begin and end."""
        first, last = self._grown(len(values) // self._columns)
        self._cells[first * self._columns : last * self._columns] = values
        return first, last

    def append_rows(self, rows: npt.NDArray[Any]) -> tuple[int, int]:
        """Append some rows that are an array; cheaper than `append` where they are many."""
        first, last = self._grown(len(rows))
        self.array[first:last] = rows
        return first, last

    def with_room(self, rows: int) -> npt.NDArray[Any]:
        """Return the array with room for some more rows behind those that count."""
        if self.count + rows > len(self.array):
            self.array = with_room(self.array, self.count + rows)
            self._cells = self.array.reshape(-1).data
        return self.array

    def _grown(self, rows: int) -> tuple[int, int]:
        """Make room for some rows; return where they begin and end."""
        self.with_room(rows)
        first, self.count = self.count, self.count + rows
        return first, self.count


def with_room(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return an array of at least `size` entries that begins with those of `array`."""
    if size <= len(array):
        return array
    larger = np.empty((max(size, 2 * len(array)), *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
