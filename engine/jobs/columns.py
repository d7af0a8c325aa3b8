"""From a JSON Schema to typed columns: what a table needs to know of a record, and no more.

A type is the name of a plain one, a list or a struct; what has none of these (several types, open
objects, recursion) is a column of JSON texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEEPEST = 20
PLAIN = ("string", "boolean", "integer", "number")


@dataclass(frozen=True)
class Column:
    """A type: one of `PLAIN`, "json", "list" of `items`, or "struct" of `fields`."""

    kind: str
    items: Column | None = None
    fields: Mapping[str, Column] | None = None

    def fitting(self, value: Any) -> Any:
        """Return a JSON value as a column of this type takes it."""
        if self.kind == "json":
            return json.dumps(value, ensure_ascii=False)
        if value is None:
            return None
        if self.kind == "integer":
            return int(value)  # 3.0 is an integer too
        if self.kind == "number":
            return float(value)
        if self.items is not None:
            return [self.items.fitting(item) for item in value]
        if self.fields is not None:
            found = self.fields.items()
            return {k: column.fitting(value[k]) if k in value else None for k, column in found}
        return value


JSON = Column("json")


def column_of(schema: Any, root: Any, depth: int = 0) -> Column:
    """Return the type of the values of a schema; `root` is the document of its references."""
    schema = _resolved(schema, root)
    if not isinstance(schema, dict) or depth > DEEPEST:
        return JSON
    kind = _kind(schema)
    if kind in PLAIN:
        return Column(kind)
    if kind == "array" and "items" in schema and "prefixItems" not in schema:
        return Column("list", items=column_of(schema["items"], root, depth + 1))
    properties = schema.get("properties")
    if kind == "object" and isinstance(properties, dict) and properties:
        if schema.get("additionalProperties") is not False or "patternProperties" in schema:
            return JSON
        parts = properties.items()
        fields = {name: column_of(part, root, depth + 1) for name, part in parts}
        return Column("struct", fields=fields)
    return JSON


def _resolved(schema: Any, root: Any) -> Any:
    """Follow references inside of the document, and choices whose other side is null."""
    for _ in range(DEEPEST):
        if not isinstance(schema, dict):
            return schema
        reference = schema.get("$ref")
        some = [
            part for part in schema.get("anyOf") or schema.get("oneOf") or () if not _is_null(part)
        ]
        if isinstance(reference, str):
            schema = _at(root, reference)
        elif len(some) == 1 and "type" not in schema:
            schema = some[0]
        else:
            return schema
    return None


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and (
        schema.get("type") == "null" or schema.get("const", 0) is None
    )


def _at(root: Any, reference: str) -> Any:
    """Return what a pointer into the document leads to, None if it leads elsewhere."""
    if not reference.startswith("#/"):
        return None
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        root = root.get(name) if isinstance(root, dict) else None
    return root


def _kind(schema: Mapping[str, Any]) -> str | None:
    """Return the only type beside null, None if there are several or it is not told."""
    named = schema.get("type")
    kinds = {named} if isinstance(named, str) else set(named or ()) - {"null"}
    if not kinds:
        values = schema.get("enum") or ([schema["const"]] if "const" in schema else ())
        names = {str: "string", bool: "boolean", int: "integer", float: "number"}
        kinds = {names.get(type(value)) for value in values if value is not None}
    if kinds == {"integer", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else None
