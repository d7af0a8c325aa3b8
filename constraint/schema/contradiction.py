"""Which keywords of a schema without a value contradict each other.

A keyword is taken out; where the schema still has no value it played no part and stays out, else it
is put back. What is left when every keyword has been tried contradicts itself, and less of it does
not: a smallest set, though not the only one. Each try compiles what is left, so this is done for a
refusal only, for schemas of some hundred values, and within a share of the fuel.

Source: the deletion filter of Chinneck and Dravnieks, ORSA Journal on Computing 3 (1991).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from .dialects import Dialect, subschemas
from .documents import child_pointer

MOST_VALUES = 500
DEEPEST = 60
KEPT = frozenset(
    """$schema $id id $anchor $dynamicAnchor $recursiveAnchor $vocabulary $defs definitions
    """.split()  # noqa: SIM905 - a table of words reads better
)


TURNED = frozenset(["if", "not", "oneOf"])  # less inside of them can allow less


def contradicting(
    schema: object, dialect: Dialect, is_void: Callable[[object], bool]
) -> tuple[str, ...]:
    """Return pointers of keywords that leave no value together; none for a schema that is large.

    `is_void` says whether a changed schema is one without a value; a schema that cannot be read any
    more is not. It is asked once for every keyword that is looked at.
    """
    if not isinstance(schema, dict) or not _is_small(schema):
        return ()
    left = copy.deepcopy(schema)
    parts = [left]
    while parts:
        part = parts.pop()
        for keyword in [name for name in part if name not in KEPT]:
            value = part.pop(keyword)
            if not is_void(left):
                part[keyword] = value
        parts.extend(_needed_below(part, dialect, lambda: is_void(left)))
    known = _order(schema, dialect)
    return tuple(sorted(_leaves(left, dialect), key=lambda pointer: known.get(pointer, len(known))))


def _is_small(schema: object) -> bool:
    values, layer = 0, [schema]
    for _ in range(DEEPEST):
        values += len(layer)
        if not layer or values > MOST_VALUES:
            break
        layer = [below for value in layer for below in _children(value)]
    return not layer


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _needed_below(
    part: dict[str, Any], dialect: Dialect, is_void: Callable[[], bool]
) -> Iterator[dict[str, Any]]:
    """Take out the subschemas that play no part; yield the others."""
    for (keyword, *name), below in list(subschemas(part, dialect)):
        if keyword in TURNED:
            continue
        if name:
            holder = part[keyword]
            place = int(name[0]) if isinstance(holder, list) else name[0]
            holder[place] = True
            if is_void():
                continue
            holder[place] = below
        if isinstance(below, dict):
            yield below


def _leaves(schema: dict[str, Any], dialect: Dialect) -> Iterator[str]:
    """Yield the pointers of keywords and of `false` that are left, the innermost only."""
    parts: list[tuple[str, dict[str, Any]]] = [("", schema)]
    while parts:
        pointer, part = parts.pop()
        inside: dict[str, list[tuple[str, object]]] = {}
        for (keyword, *name), below in subschemas(part, dialect):
            if keyword not in TURNED and below not in (True, {}):
                inside.setdefault(keyword, []).append((child_pointer("", keyword, *name), below))
        for keyword in part.keys() - KEPT - inside.keys():
            yield child_pointer(pointer, keyword)
        for path, below in (found for group in inside.values() for found in group):
            if isinstance(below, dict):
                parts.append((pointer + path, below))
            else:
                yield pointer + path


def _order(schema: dict[str, Any], dialect: Dialect) -> dict[str, int]:
    """Return the place of each keyword and subschema in the document."""
    found: dict[str, int] = {}
    parts: list[tuple[str, object]] = [("", schema)]
    while parts:
        pointer, part = parts.pop()
        found[pointer] = len(found)
        if isinstance(part, dict):
            below = [
                (pointer + child_pointer("", *path), s) for path, s in subschemas(part, dialect)
            ]
            parts.extend(reversed(below))
            for keyword in part:
                found.setdefault(child_pointer(pointer, keyword), len(found))
    return found
