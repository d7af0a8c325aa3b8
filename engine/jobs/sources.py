"""Rows in: JSON lines, CSV, Parquet, a folder of text files, standard input.

A row that cannot be read is a row with an error, never a missing one and never the end of the job.
A source can be read again: the output is written in a second pass over it.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...schemas.errors import JobError

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".txt": "text",
    ".md": "text",
}
PARQUET_ROWS = 1024  # read at once


@dataclass(frozen=True)
class SourceRow:
    """A row by its id; `values` are None where `error` says why it cannot be read."""

    id: str | int
    values: Mapping[str, Any] | None
    error: str | None = None


@dataclass(frozen=True)
class Source:
    """A file or folder of rows. `kind` is one of jsonl, csv, parquet and text.

    `id_field` names the column that identifies rows; without it they are counted from 1, and files
    go by their names.
    """

    path: Path
    kind: str
    id_field: str | None = None

    @classmethod
    def at(cls, path: Path, kind: str | None = None, id_field: str | None = None) -> Source:
        """Look at a path. Raises JobError if there is nothing, or its kind is not told."""
        if not path.exists():
            raise JobError(f"{path} does not exist", parameter="input")
        found = kind or ("text" if path.is_dir() else KINDS.get(path.suffix.lower()))
        if found not in {*KINDS.values()}:
            raise JobError(
                f"{path}: say what it is with --input-format jsonl, csv, parquet or text",
                parameter="input",
            )
        return cls(path, found, id_field)

    def rows(self) -> Iterator[SourceRow]:
        """Yield all rows, in the same order each time. Raises JobError if the file goes away."""
        readers = {"jsonl": _json_lines, "csv": _csv, "parquet": _parquet, "text": _texts}
        try:
            for number, (name, values, error) in enumerate(readers[self.kind](self.path), 1):
                yield self._row(name or number, values, error)
        except OSError as error:
            raise JobError(f"{self.path} cannot be read: {error}", parameter="input") from error

    def count(self) -> int:
        """Return how many rows there are. Cost: one pass over the file, without parsing JSON."""
        if self.kind == "jsonl":
            with self.path.open("rb") as file:
                return sum(1 for line in file if line.strip())
        return sum(1 for _ in self.rows())

    def _row(self, number: str | int, values: Any, error: str | None) -> SourceRow:
        if values is None or self.id_field is None:
            return SourceRow(number, values, error)
        found = values.get(self.id_field)
        if isinstance(found, bool) or not isinstance(found, str | int):
            return SourceRow(number, None, f"the id {self.id_field!r} is not a text or an integer")
        return SourceRow(found, values)


Read = tuple[str | None, Mapping[str, Any] | None, str | None]


def _json_lines(path: Path) -> Iterator[Read]:
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield _json_line(line)


def _json_line(line: bytes) -> Read:
    try:
        value = json.loads(line.decode("utf-8-sig"))
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        return None, None, "the line is not UTF-8"
    except (ValueError, RecursionError) as error:
        return None, None, f"the line is not JSON: {error}"
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict):
        return None, None, "the line is not a JSON object"
    return None, value, None


def _csv(path: Path) -> Iterator[Read]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield None, None, f"the row is not CSV: {error}"
                continue
            if cells:
                yield _csv_row(names, cells)


def _csv_row(names: list[str], cells: list[str]) -> Read:
    if len(cells) != len(names):
        return None, None, f"the row has {len(cells)} columns, the head {len(names)}"
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return None, None, "the row is not UTF-8"
    return None, dict(zip(names, cells, strict=True)), None


def _parquet(path: Path) -> Iterator[Read]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise JobError("Parquet needs pyarrow; install lockstitch[jobs]") from error
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(PARQUET_ROWS):
                for values in batch.to_pylist():
                    yield None, values, None
    except ArrowException as error:
        raise JobError(f"{path} is not a Parquet file: {error}", parameter="input") from error


def _texts(path: Path) -> Iterator[Read]:
    if path.is_file():
        yield _text(path, path.name)
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and KINDS.get(file.suffix.lower()) == "text":
            yield _text(file, file.relative_to(path).as_posix())


def _text(file: Path, name: str) -> Read:
    try:
        return name, {"text": file.read_text(encoding="utf-8"), "file": name}, None
    except UnicodeDecodeError:
        return name, None, "the file is not UTF-8"
    except OSError as error:
        return name, None, f"the file cannot be read: {error}"
