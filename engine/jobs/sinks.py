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
from .sources import SourceRow

Result = Mapping[str, Any]
ROWS_AT_ONCE = 1024
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
    fields = columns(schema)
    kinds = [(name, arrow.string()) for name in META]
    kinds[3] = ("_tokens", arrow.int64())
    shape = arrow.schema([*kinds, *((name, arrow_type(part)) for name, part in fields.items())])
    remaining = iter(rows)
    with arrow.parquet.ParquetWriter(path, shape) as writer:
        while some := list(islice(remaining, ROWS_AT_ONCE)):
            values = [_flat(row, result, fields) for row, result in some]
            try:
                writer.write_table(arrow.Table.from_pylist(values, schema=shape))
            except (arrow.ArrowException, OverflowError) as error:
                reason = f"a value does not fit its column: {error}; write .jsonl, or bound it"
                raise JobError(reason, parameter="output") from error


def columns(schema: Any) -> dict[str, Any]:
    """Return the schema of each field that has a column, `record` for what is no object."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not properties or set(properties) & set(META):
        return {"record": True}
    return properties


def _flat(row: SourceRow, result: Result, fields: Mapping[str, Any]) -> dict[str, Any]:
    error = result.get("error") or {}
    told = (
        str(row.id),
        error.get("type"),
        error.get("message"),
        result.get("tokens", 0),
        result.get("finish_reason"),
    )
    flat: dict[str, Any] = dict(zip(META, told, strict=True))
    if result.get("text") is None:
        return flat
    record = json.loads(result["text"])
    if list(fields) == ["record"] and fields["record"] is True:
        return {**flat, "record": result["text"]}
    return {**flat, **{name: _fitting(record.get(name), part) for name, part in fields.items()}}


def _kind(schema: Any) -> str | None:
    """Return the only type of a schema beside null, None if there are several or it is not told."""
    if not isinstance(schema, dict):
        return None
    named = schema.get("type")
    kinds = {named} if isinstance(named, str) else set(named or ()) - {"null"}
    if not kinds and "enum" in schema:
        names = {str: "string", bool: "boolean", int: "integer", float: "number"}
        kinds = {names.get(type(value)) for value in schema["enum"] if value is not None}
    return kinds.pop() if len(kinds) == 1 else None


def arrow_type(schema: Any) -> Any:
    """Return the Arrow type of a field; what has no plain type is a column of JSON texts."""
    arrow = _pyarrow()
    kind = _kind(schema)
    plain = {
        "string": arrow.string,
        "boolean": arrow.bool_,
        "integer": arrow.int64,
        "number": arrow.float64,
    }
    if kind in plain:
        return plain[kind]()
    if kind == "array" and _kind(schema.get("items")) is not None:
        return arrow.list_(arrow_type(schema["items"]))
    if kind == "object" and isinstance(schema.get("properties"), dict) and schema["properties"]:
        parts = schema["properties"].items()
        return arrow.struct([(name, arrow_type(part)) for name, part in parts])
    return arrow.string()


def _fitting(value: Any, schema: Any) -> Any:
    """Return a value as its Arrow type takes it: JSON texts where the type is not plain."""
    kind = _kind(schema)
    if value is None or kind in ("string", "boolean"):
        return value
    if kind == "integer":
        return int(value)  # 3.0 is an integer too
    if kind == "number":
        return float(value)
    if kind == "array" and _kind(schema.get("items")) is not None:
        return [_fitting(item, schema["items"]) for item in value]
    if kind == "object" and isinstance(schema.get("properties"), dict) and schema["properties"]:
        return {k: _fitting(value.get(k), part) for k, part in schema["properties"].items()}
    return json.dumps(value, ensure_ascii=False)
