"""What becomes of every keyword: enforced, an annotation, or refused by name.

`read_place` is what the schema graph calls for a place. Keywords that limit one type are in
`keyword_limits`; those that combine schemas are here, they ask for the shapes of other nodes. A
keyword that the standard knows and neither table has is refused; one that no draft knows is an
annotation and reported as such.

Sources: JSON Schema Core 2020-12 section 10.2, Validation 2020-12 sections 6 to 9; up to draft 7 a
`$ref` overrides its siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Literal, cast

from ..formats.language import FORMATS
from ..terms.trampoline import Call
from ..text.number_set import WHOLE, NumberSet
from .dialects import Dialect
from .graph import SchemaGraph
from .keyword_limits import LIMITS, OBJECT_KEYWORDS, limit_format, read_object
from .keyword_logic import LOGIC, read_logic, schemas_in
from .reading import Reading, Schema, in_force
from .shapes import Shapes
from .source import Place
from .unevaluated import UNEVALUATED, read_unevaluated

Status = Literal["enforced", "annotation"]
Note = tuple[str, str, Status]  # the pointer of a place, a keyword there, what became of it
ANNOTATIONS = frozenset(
    """title description default examples example deprecated readOnly writeOnly $comment
    contentEncoding contentMediaType contentSchema $schema $defs definitions $vocabulary $id
    $anchor $dynamicAnchor $recursiveAnchor
    """.split()  # noqa: SIM905 - a table of words reads better
)
GENERAL = frozenset(
    """type enum const $ref $dynamicRef $recursiveRef anyOf allOf oneOf not if then else
    dependentRequired dependentSchemas dependencies propertyNames unevaluatedItems
    unevaluatedProperties
    """.split()  # noqa: SIM905
)
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
COMBINING = frozenset(("anyOf", "allOf", *REFERENCES, *LOGIC, *UNEVALUATED))
SIMPLE = ANNOTATIONS | {"type"}
WHOLE_NUMBERS = (NumberSet(step=WHOLE),)
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


def read_place(
    graph: SchemaGraph, place: Place, report: Callable[[Place], None], *, formats: bool
) -> Shapes | Call[Shapes]:
    """Turn the keywords of one place into shapes, or return the call that needs other nodes.

    `report` is called with each place that is read. Raises GrammarError.
    """
    report(place)
    simple = _typed_alone(graph, place)
    if simple is not None:
        return simple
    reading = Reading.of(graph, place)
    schema = reading.schema
    named = "format" in schema and _is_known_format(reading)
    _read_types(reading)
    if formats and named:
        limit_format(reading)
    return reading.shapes if COMBINING.isdisjoint(schema) else _read_others(reading)


def _typed_alone(graph: SchemaGraph, place: Place) -> Shapes | None:
    """Return the shapes of a place with a type that was met before, and annotations."""
    schema = place.schema
    if type(schema) is not dict or not schema.keys() <= SIMPLE or place.resource.dialect.silent:
        return None
    name = schema.get("type")
    return graph.typed.get(name) if type(name) is str else None


def notes_of(place: Place, *, formats: bool) -> Iterator[Note]:
    """Yield what became of each keyword of a place that was read."""
    written = cast(Schema, place.schema)
    schema, enforced = in_force(place, written), _enforced(place.resource.dialect)
    for keyword in written:
        if keyword == "format" and keyword in schema:
            status: Status = "enforced" if formats and schema[keyword] in FORMATS else "annotation"
        else:
            status = "enforced" if keyword in enforced and keyword in schema else "annotation"
        yield place.pointer, keyword, status


def _read_others(reading: Reading) -> Call[Shapes]:
    """Apply the keywords that need other nodes."""
    yield from _read_combinations(reading)
    yield from read_unevaluated(reading)
    return reading.shapes


@lru_cache(maxsize=64)
def _enforced(dialect: Dialect) -> frozenset[str]:
    """Return the keywords that limit values in a dialect; `format` is told by its value."""
    known = (LIMITS.keys() | OBJECT_KEYWORDS | GENERAL) - ANNOTATIONS
    return frozenset(keyword for keyword in known if dialect.knows(keyword))


def _is_known_format(reading: Reading) -> bool:
    name = reading.schema["format"]
    if not isinstance(name, str):
        raise reading.invalid("format", "a string")
    return name in FORMATS


def _read_types(reading: Reading) -> None:
    """Apply the keywords that need no other node: type, enum, const and the limits of each type."""
    everything, schema = reading.graph.everything, reading.schema
    if not LIMITS.keys().isdisjoint(schema):
        for keyword, limit in LIMITS.items():
            if keyword in schema and reading.has(keyword):
                limit(reading, keyword)
    if reading.array is not everything.arrays[0]:
        reading.narrow(everything._replace(arrays=(reading.array,)))
    if not OBJECT_KEYWORDS.isdisjoint(schema):
        read_object(reading)
    if "type" in schema:
        reading.narrow(_typed(reading))
    if "enum" in reading.schema:
        reading.narrow(_enumerated(reading))
    if reading.has("const"):
        value = reading.schema["const"]
        reading.narrow(reading.graph.value_shapes(value, reading.pointer("const")))


def _typed(reading: Reading) -> Shapes:
    value = reading.schema["type"]
    if isinstance(value, str):
        found = reading.graph.typed.get(value)
        if found is None:
            found = reading.graph.typed[value] = _of_types(reading, [value])
        return found
    return _of_types(reading, value if isinstance(value, list) else [value])


def _of_types(reading: Reading, names: list[object]) -> Shapes:
    for name in names:
        if name not in TYPES:
            raise reading.invalid("type", f"one or a list of {', '.join(TYPES)}")
    everything = reading.graph.everything
    numbers = everything.numbers if "number" in names else WHOLE_NUMBERS
    return Shapes(
        null="null" in names,
        booleans=everything.booleans if "boolean" in names else frozenset(),
        numbers=numbers if "number" in names or "integer" in names else (),
        strings=everything.strings if "string" in names else 0,
        arrays=everything.arrays if "array" in names else (),
        objects=everything.objects if "object" in names else (),
    )


def _enumerated(reading: Reading) -> Shapes:
    values = reading.schema["enum"]
    if not isinstance(values, list):
        raise reading.invalid("enum", "an array")
    graph = reading.graph
    parts = []
    texts = [(i, v) for i, v in enumerate(values) if isinstance(v, str)]
    if texts:
        graph.spend(len(texts))
        body = graph.text.body
        bodies = [
            body(v) if v.isascii() else graph.body(v, reading.pointer("enum", i)) for i, v in texts
        ]
        parts.append(Shapes(strings=graph.terms.union(bodies)))
    for i, v in enumerate(values):
        if not isinstance(v, str):
            parts.append(graph.value_shapes(v, reading.pointer("enum", i)))
    return graph.union(parts) if parts else Shapes()


def _read_combinations(reading: Reading) -> Call[Shapes]:
    """Apply the keywords that refer to other schemas for the same value."""
    graph = reading.graph
    for keyword in REFERENCES:
        if reading.has(keyword):
            target = graph.source.resolve(keyword, reading.schema[keyword], reading.place)
            reading.narrow((yield graph.wanted(graph.place(target))))
    for index, schema in enumerate(schemas_in(reading, "allOf")):
        reading.narrow((yield graph.wanted(reading.node("allOf", index, schema=schema))))
    branches = []
    for index, schema in enumerate(schemas_in(reading, "anyOf")):
        branches.append((yield graph.wanted(reading.node("anyOf", index, schema=schema))))
    if branches:
        reading.narrow(graph.union(branches))
    yield from read_logic(reading)
    return reading.shapes
