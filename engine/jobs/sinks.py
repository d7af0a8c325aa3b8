"""Rows out: JSON lines, or Parquet with a typed column for each field of the record.

The file appears whole or not at all: it is written beside its place and moved there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from ...schemas.errors import JobError
from .columns import JSON, Column, column_of
from .sources import SourceRow

Result = Mapping[str, Any]
ROWS_AT_ONCE = 1024
RECORD = "record"
META = ("_id", "_error_type", "_error", "_tokens", "_finish_reason")


def write(path: Path, rows: Iterable[tuple[SourceRow, Result]], schema: Any) -> None:
    """Write all rows. Raises JobError for a kind that is not known, and if the disk is full."""
    writers = {
        ".jsonl": _write_json_lines,
        ".ndjson": _write_json_lines,
        ".parquet": _write_parquet,
    }
    with _whole_file(path) as part:
        writers[path.suffix.lower()](part, rows, schema)


def check(path: Path) -> None:
    """Raises JobError if `write` could not write there."""
    if path.suffix.lower() not in (".jsonl", ".ndjson", ".parquet"):
        raise JobError(f"{path}: the output is .jsonl or .parquet", parameter="output")
    if path.suffix.lower() == ".parquet":
        _pyarrow()
    if not path.parent.is_dir():
        raise JobError(f"{path.parent} is no folder; make it first", parameter="output")


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise JobError(f"{path} cannot be written: {error}; the job can be run again") from error
    finally:
        part.unlink(missing_ok=True)


def _write_json_lines(path: Path, rows: Iterable[tuple[SourceRow, Result]], schema: Any) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{json_line(row, result)}\n" for row, result in rows)


def json_line(row: SourceRow, result: Result) -> str:
    """Return one row as JSON; the record as it was written, every digit of its numbers."""
    parts = {
        "id": json.dumps(row.id, ensure_ascii=False),
        "record": "null" if result.get("text") is None else result["text"],
        "error": json.dumps(result.get("error"), ensure_ascii=False),
        "tokens": json.dumps(result.get("tokens", 0)),
        "finish_reason": json.dumps(result.get("finish_reason")),
    }
    if "confidence" in result:
        parts["confidence"] = json.dumps(result["confidence"], ensure_ascii=False)
    return "{" + ", ".join(f'"{name}": {value}' for name, value in parts.items()) + "}"


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise JobError("Parquet needs pyarrow; install lockstitch[jobs]") from error
    return pyarrow


def _write_parquet(path: Path, rows: Iterable[tuple[SourceRow, Result]], schema: Any) -> None:
    arrow = _pyarrow()
    columns = columns_of(schema)
    meta = [(name, arrow.int64() if name == "_tokens" else arrow.string()) for name in META]
    fields = [(name, arrow_type(column)) for name, column in columns.items()]
    shape = arrow.schema([*meta, *fields])
    remaining = iter(rows)
    with arrow.parquet.ParquetWriter(path, shape) as writer:
        while some := list(islice(remaining, ROWS_AT_ONCE)):
            values = [_flat(row, result, columns) for row, result in some]
            try:
                writer.write_table(arrow.Table.from_pylist(values, schema=shape))
            except (arrow.ArrowException, OverflowError) as error:
                reason = f"a value does not fit its column: {error}; write .jsonl, or bound it"
                raise JobError(reason, parameter="output") from error


def columns_of(schema: Any) -> dict[str, Column]:
    """Return the columns of a record by their names; only `record` for what is no plain object."""
    whole = column_of(schema, schema)
    if whole.fields is None or set(whole.fields) & {*META, RECORD}:
        return {RECORD: JSON}
    return dict(whole.fields)


def _flat(row: SourceRow, result: Result, columns: Mapping[str, Column]) -> dict[str, Any]:
    error = result.get("error") or {}
    told = (
        str(row.id),
        error.get("type"),
        error.get("message"),
        result.get("tokens", 0),
        result.get("finish_reason"),
    )
    flat: dict[str, Any] = dict(zip(META, told, strict=True))
    text = result.get("text")
    if text is None:
        return flat
    if RECORD in columns:
        return {**flat, RECORD: text}
    record = json.loads(text)
    found = columns.items()
    return {**flat, **{k: column.fitting(record[k]) for k, column in found if k in record}}


def arrow_type(column: Column) -> Any:
    """Return the Arrow type of a column."""
    arrow = _pyarrow()
    plain = {"boolean": arrow.bool_, "integer": arrow.int64, "number": arrow.float64}
    if column.items is not None:
        return arrow.list_(arrow_type(column.items))
    if column.fields is not None:
        return arrow.struct([(name, arrow_type(part)) for name, part in column.fields.items()])
    found = plain.get(column.kind, arrow.string)
    return found()
