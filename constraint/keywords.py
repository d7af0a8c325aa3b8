"""JSON Schema keywords, one small function each, found by name.

A keyword that limits one type reads its value and narrows that type's part of the shapes; one that combines
schemas yields their nodes and receives their shapes. Every keyword checks its own value on the way, so no
metaschema has to run. A keyword that is known to the standard but not in the tables here is refused by name;
one that no draft knows is an annotation and reported as such.

Sources: JSON Schema Validation 2020-12 sections 6 to 9, Core 2020-12 section 10, and the differences of drafts
4 to 2019-09 noted where they matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from ..schemas.errors import InvalidGrammarError, UnsupportedGrammarError
from .numbers import Bound, NumberSet
from .regex import compile_regex
from .schema_graph import SchemaGraph, Step, exact
from .schema_source import Dialect, Place, child_pointer
from .shapes import ArrayShape, Shapes, object_shape

ANNOTATIONS = frozenset(
    "title description default examples example deprecated readOnly writeOnly $comment contentEncoding"
    " contentMediaType contentSchema $schema $defs definitions $vocabulary".split()
)
REFUSED = frozenset(
    "multipleOf uniqueItems contains minContains maxContains minProperties maxProperties"
    " patternProperties propertyNames dependencies dependentRequired dependentSchemas"
    " unevaluatedItems unevaluatedProperties oneOf not if $dynamicRef $recursiveRef".split()
)
FORMATS = frozenset(
    "date-time date time duration email idn-email hostname idn-hostname ipv4 ipv6 uri uri-reference iri"
    " iri-reference uri-template uuid json-pointer relative-json-pointer regex".split()
)
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
Schema = dict[str, object]


@dataclass(slots=True)
class Reading:
    """The keywords of one place while they are being read."""

    graph: SchemaGraph
    place: Place
    schema: Schema
    shapes: Shapes
    array: ArrayShape
    statuses: dict[str, str] = field(default_factory=dict)

    def pointer(self, *parts: object) -> str:
        """Return the pointer of something below this place."""
        return child_pointer(self.place.pointer, *parts)

    def invalid(self, keyword: str, what: str) -> InvalidGrammarError:
        """Return the error that `keyword` has a value of the wrong kind."""
        return InvalidGrammarError(
            f"{keyword} must be {what}, got {_brief(self.schema[keyword])}",
            pointer=self.pointer(keyword),
        )

    def node(self, *parts: object, schema: object) -> int:
        """Return the node of a subschema."""
        pointer = self.pointer(*parts)
        if not isinstance(schema, dict | bool):
            raise InvalidGrammarError(
                f"a schema must be an object or a boolean, got {_brief(schema)}", pointer=pointer
            )
        return self.graph.place(Place(pointer, schema))

    def narrow(self, shapes: Shapes) -> None:
        """Keep only the values that are in `shapes` too."""
        self.shapes = self.graph.intersect(self.shapes, shapes)


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_place(
    graph: SchemaGraph, place: Place, report: Callable[[str, str, str], None], *, formats: bool
) -> Step:
    """Turn the keywords of one place into shapes, yielding the nodes whose shapes are needed.

    `report(pointer, keyword, status)` is called for each keyword. Raises GrammarError.
    """
    schema = place.schema
    if not isinstance(schema, dict):
        raise InvalidGrammarError(
            f"a schema must be an object or a boolean, got {_brief(schema)}", pointer=place.pointer
        )
    reading = Reading(
        graph, place, _in_force(graph, schema), graph.everything, ArrayShape((), graph.TRUE)
    )
    for keyword in schema:
        report(reading.pointer(keyword), keyword, _status(reading, keyword, formats=formats))
    _read_types(reading)
    yield from _read_combinations(reading)
    return reading.shapes


def _in_force(graph: SchemaGraph, schema: Schema) -> Schema:
    """Return the keywords that count: up to draft 7, `$ref` overrides all its siblings."""
    if "$ref" in schema and graph.source.dialect <= Dialect.DRAFT7:
        return {"$ref": schema["$ref"]}
    return schema


def _status(reading: Reading, keyword: str, *, formats: bool) -> str:
    """Return "enforced" or "annotation"; raises UnsupportedGrammarError for a refused keyword."""
    value = reading.schema.get(keyword)
    pointer = reading.pointer(keyword)
    if keyword not in reading.schema or keyword in ANNOTATIONS:
        return "annotation"
    if keyword in ("$id", "id"):
        return _identifier_status(reading, keyword, value)
    if keyword == "format":
        if formats and isinstance(value, str) and value in FORMATS:
            raise UnsupportedGrammarError(
                "format",
                f"{value!r} is not enforced yet; pass assert_format=False to make it an annotation",
                pointer=pointer,
            )
        return "annotation"
    if keyword in REFUSED and not (keyword == "uniqueItems" and value is False):
        raise UnsupportedGrammarError(keyword, "this keyword is not enforced yet", pointer=pointer)
    known = keyword in LIMITS or keyword in ("type", "enum", "const", "$ref", "anyOf", "allOf")
    return "enforced" if known and not _is_newer(reading, keyword) else "annotation"


def _identifier_status(reading: Reading, keyword: str, value: object) -> str:
    draft4 = reading.graph.source.dialect is Dialect.DRAFT4
    if (keyword == "id") != draft4 or not isinstance(value, str):
        return "annotation"
    if reading.place.pointer and not value.startswith("#"):
        raise UnsupportedGrammarError(
            keyword,
            "an identifier inside the document changes what references mean, which is not enforced yet",
            pointer=reading.pointer(keyword),
        )
    return "annotation"


def _is_newer(reading: Reading, keyword: str) -> bool:
    """Return whether the document's draft does not know the keyword yet, or no longer."""
    dialect = reading.graph.source.dialect
    if keyword == "additionalItems":
        return dialect >= Dialect.DRAFT2020
    since = {"const": Dialect.DRAFT6, "prefixItems": Dialect.DRAFT2020}
    return dialect < since.get(keyword, Dialect.DRAFT4)


def _has(reading: Reading, keyword: str) -> bool:
    return keyword in reading.schema and not _is_newer(reading, keyword)


def _read_types(reading: Reading) -> None:
    """Apply the keywords that need no other node: type, enum, const and the limits of each type."""
    everything = reading.graph.everything
    for keyword, limit in LIMITS.items():
        if _has(reading, keyword):
            limit(reading, keyword)
    if reading.array != everything.arrays[0]:
        reading.narrow(replace(everything, arrays=(reading.array,)))
    if any(keyword in reading.schema for keyword in ("properties", "required", "additionalProperties")):
        _read_object(reading)
    if "type" in reading.schema:
        reading.narrow(_typed(reading))
    if "enum" in reading.schema:
        reading.narrow(_enumerated(reading))
    if _has(reading, "const"):
        value = reading.schema["const"]
        reading.narrow(reading.graph.value_shapes(value, reading.pointer("const")))


def _typed(reading: Reading) -> Shapes:
    value = reading.schema["type"]
    names = value if isinstance(value, list) else [value]
    for name in names:
        if name not in TYPES:
            raise reading.invalid("type", f"one or a list of {', '.join(TYPES)}")
    everything = reading.graph.everything
    numbers = (NumberSet(),) if "number" in names else (NumberSet(integer=True),)
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
    parts = [graph.value_shapes(v, reading.pointer("enum", i)) for i, v in enumerate(values)]
    return graph.union(parts) if parts else Shapes()


def _read_combinations(reading: Reading) -> Step:
    """Apply the keywords that refer to other schemas for the same value."""
    graph = reading.graph
    if "$ref" in reading.schema:
        target = graph.source.resolve(reading.schema["$ref"], reading.pointer("$ref"))
        reading.narrow((yield graph.place(target)))
    for index, schema in enumerate(_schemas(reading, "allOf")):
        reading.narrow((yield reading.node("allOf", index, schema=schema)))
    branches = []
    for index, schema in enumerate(_schemas(reading, "anyOf")):
        branches.append((yield reading.node("anyOf", index, schema=schema)))
    if branches:
        reading.narrow(graph.union(branches))
    return reading.shapes


def _schemas(reading: Reading, keyword: str) -> list[object]:
    if keyword not in reading.schema:
        return []
    value = reading.schema[keyword]
    if not isinstance(value, list) or not value:
        raise reading.invalid(keyword, "a non-empty array of schemas")
    return value


def _count(reading: Reading, keyword: str) -> int:
    """Return the value of a keyword that must be a natural number (2.0 is one)."""
    value = reading.schema[keyword]
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or cast(float, value) < 0:
        raise reading.invalid(keyword, "a whole number that is not negative")
    return int(cast(float, value))


def _limit_length(reading: Reading, keyword: str) -> None:
    count = _count(reading, keyword)
    low, high = (count, None) if keyword == "minLength" else (0, count)
    terms, text = reading.graph.terms, reading.graph.text
    body = terms.repeat(text.alphabet.any_char, low, high)
    reading.narrow(replace(reading.graph.everything, strings=body))


def _limit_pattern(reading: Reading, keyword: str) -> None:
    pattern = reading.schema[keyword]
    if not isinstance(pattern, str):
        raise reading.invalid(keyword, "a string")
    graph = reading.graph
    try:
        body = compile_regex(
            graph.terms, pattern, graph.text.alphabet, dialect="ecma", search=True
        )
    except (InvalidGrammarError, UnsupportedGrammarError) as error:
        raise placed(error, reading.pointer(keyword)) from None
    reading.narrow(replace(graph.everything, strings=body))


def placed(
    error: InvalidGrammarError | UnsupportedGrammarError, pointer: str
) -> InvalidGrammarError | UnsupportedGrammarError:
    """Return a regex error with the pointer of the keyword that holds the regex."""
    if isinstance(error, UnsupportedGrammarError):
        reason = error.reason.removeprefix(f"{error.feature}: ")
        return UnsupportedGrammarError(
            error.feature, reason, pointer=pointer, offset=error.offset
        )
    return InvalidGrammarError(error.reason, pointer=pointer, offset=error.offset)


def _limit_number(reading: Reading, keyword: str) -> None:
    schema = reading.schema
    value = schema[keyword]
    if isinstance(value, bool) and reading.graph.source.dialect is Dialect.DRAFT4:
        if keyword.startswith("exclusive"):
            return  # a flag of draft 4, read together with minimum or maximum
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise reading.invalid(keyword, "a number")
    closed = not keyword.startswith("exclusive")
    if closed and reading.graph.source.dialect is Dialect.DRAFT4:
        closed = schema.get(f"exclusive{keyword.capitalize()}") is not True
    bound = Bound(exact(value, reading.pointer(keyword)), closed)
    below = keyword.lower().endswith("minimum")
    numbers = NumberSet(low=bound) if below else NumberSet(high=bound)
    reading.narrow(replace(reading.graph.everything, numbers=(numbers,)))


def _limit_items(reading: Reading, keyword: str) -> None:
    value = reading.schema[keyword]
    if isinstance(value, list) and reading.graph.source.dialect < Dialect.DRAFT2020:
        _limit_prefix(reading, keyword)
    else:
        reading.array = replace(reading.array, rest=reading.node(keyword, schema=value))


def _limit_additional_items(reading: Reading, keyword: str) -> None:
    if isinstance(reading.schema.get("items"), list):
        rest = reading.node(keyword, schema=reading.schema[keyword])
        reading.array = replace(reading.array, rest=rest)


def _limit_prefix(reading: Reading, keyword: str) -> None:
    value = reading.schema[keyword]
    if not isinstance(value, list) or (keyword == "prefixItems" and not value):
        raise reading.invalid(keyword, "a non-empty array of schemas")
    prefix = tuple(reading.node(keyword, i, schema=item) for i, item in enumerate(value))
    reading.array = replace(reading.array, prefix=prefix)


def _limit_item_count(reading: Reading, keyword: str) -> None:
    count = _count(reading, keyword)
    if keyword == "minItems":
        reading.array = replace(reading.array, low=count)
    else:
        reading.array = replace(reading.array, high=count)


def _read_object(reading: Reading) -> None:
    schema, graph = reading.schema, reading.graph
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise reading.invalid("properties", "an object of schemas")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise reading.invalid("required", "an array of strings")
    nodes = {
        name: reading.node("properties", name, schema=value) for name, value in properties.items()
    }
    for name in [*nodes, *required]:
        graph.body(name, reading.place.pointer)
    additional = schema.get("additionalProperties", True)
    rest = reading.node("additionalProperties", schema=additional)
    shape = object_shape(nodes, required, rest)
    reading.narrow(replace(graph.everything, objects=(shape,)))


def _checked_elsewhere(reading: Reading, keyword: str) -> None:
    """Stand in for the object keywords, which are read together by `_read_object`."""


LIMITS: dict[str, Callable[[Reading, str], None]] = {
    "minLength": _limit_length,
    "maxLength": _limit_length,
    "pattern": _limit_pattern,
    "minimum": _limit_number,
    "maximum": _limit_number,
    "exclusiveMinimum": _limit_number,
    "exclusiveMaximum": _limit_number,
    "items": _limit_items,
    "additionalItems": _limit_additional_items,
    "prefixItems": _limit_prefix,
    "minItems": _limit_item_count,
    "maxItems": _limit_item_count,
    "properties": _checked_elsewhere,
    "required": _checked_elsewhere,
    "additionalProperties": _checked_elsewhere,
}
