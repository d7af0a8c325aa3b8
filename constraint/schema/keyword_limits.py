"""The keywords that limit values of one type, one small function each, found by name.

Each reads its own value, checks it on the way (so no metaschema has to run) and narrows the part of
the shapes that belongs to its type. Source: JSON Schema Validation 2020-12 section 6, Core 2020-12
section 10.3, and the differences of drafts 4 to 2019-09 noted where they matter.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import cast

from ...schemas.errors import (
    GrammarError,
    GrammarTooLargeError,
    InvalidGrammarError,
    UnsupportedGrammarError,
)
from ..formats.language import SUBSETS, format_language
from ..regex.compiler import compile_regex
from ..text.number_set import Bound, NumberSet
from .dialects import Draft
from .documents import child_pointer
from .nodes import exact
from .reading import Reading
from .shapes import Count, KeyClass, ObjectShape, Pattern, Rule


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
    reading.narrow(reading.graph.everything._replace(strings=body))


def _limit_pattern(reading: Reading, keyword: str) -> None:
    pattern = reading.schema[keyword]
    if not isinstance(pattern, str):
        raise reading.invalid(keyword, "a string")
    graph = reading.graph
    try:
        body = compile_regex(graph.terms, pattern, graph.text.alphabet, dialect="ecma", search=True)
    except GrammarError as error:
        raise placed(error, reading.pointer(keyword)) from None
    reading.narrow(graph.everything._replace(strings=body))


def limit_format(reading: Reading) -> None:
    """Apply a `format` that the standard knows to strings."""
    graph, name = reading.graph, cast(str, reading.schema["format"])
    term = graph.format_terms.get(name)
    if term is None:
        term = format_language(graph.terms, name, graph.text.alphabet)
        graph.format_terms[name] = term
    if name in SUBSETS:
        graph.subsets[term] = name
    reading.narrow(graph.everything._replace(strings=term))


def placed(error: GrammarError, pointer: str) -> GrammarError:
    """Return a regex error with the pointer of the keyword that holds the regex."""
    if isinstance(error, UnsupportedGrammarError):
        reason = error.reason.removeprefix(f"{error.feature}: ")
        return UnsupportedGrammarError(error.feature, reason, pointer=pointer, offset=error.offset)
    if isinstance(error, GrammarTooLargeError):
        numbers = (error.limit, error.allowed, error.reached)
        return GrammarTooLargeError(*numbers, pointer=pointer, offset=error.offset)
    return InvalidGrammarError(error.reason, pointer=pointer, offset=error.offset)


def _limit_number(reading: Reading, keyword: str) -> None:
    schema = reading.schema
    value = schema[keyword]
    draft4 = reading.dialect.draft is Draft.DRAFT4
    if draft4 and isinstance(value, bool) and keyword.startswith("exclusive"):
        return  # a flag of draft 4, read together with minimum or maximum
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise reading.invalid(keyword, "a number")
    closed = not keyword.startswith("exclusive")
    if closed and draft4:
        closed = schema.get(f"exclusive{keyword.capitalize()}") is not True
    bound = Bound(exact(value, reading.pointer(keyword)), closed)
    below = keyword.lower().endswith("minimum")
    numbers = NumberSet(low=bound) if below else NumberSet(high=bound)
    reading.narrow(reading.graph.everything._replace(numbers=(numbers,)))


def _limit_items(reading: Reading, keyword: str) -> None:
    value = reading.schema[keyword]
    if isinstance(value, list) and reading.dialect.draft < Draft.DRAFT2020:
        _limit_prefix(reading, keyword)
    else:
        reading.array = reading.array._replace(rest=reading.node(keyword, schema=value))


def _limit_additional_items(reading: Reading, keyword: str) -> None:
    if isinstance(reading.schema.get("items"), list):
        rest = reading.node(keyword, schema=reading.schema[keyword])
        reading.array = reading.array._replace(rest=rest)


def _limit_prefix(reading: Reading, keyword: str) -> None:
    value = reading.schema[keyword]
    if not isinstance(value, list) or (keyword == "prefixItems" and not value):
        raise reading.invalid(keyword, "a non-empty array of schemas")
    prefix = tuple(reading.node(keyword, i, schema=item) for i, item in enumerate(value))
    reading.array = reading.array._replace(prefix=prefix)


def _limit_item_count(reading: Reading, keyword: str) -> None:
    count = _count(reading, keyword)
    if keyword == "minItems":
        reading.array = reading.array._replace(low=count)
    else:
        reading.array = reading.array._replace(high=count)


def _limit_multiple(reading: Reading, keyword: str) -> None:
    value = reading.schema[keyword]
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise reading.invalid(keyword, "a number greater than 0")
    step = Fraction(exact(value, reading.pointer(keyword)))
    reading.narrow(reading.graph.everything._replace(numbers=(NumberSet(step=step),)))


def _limit_unique(reading: Reading, keyword: str) -> None:
    value = reading.schema[keyword]
    if not isinstance(value, bool):
        raise reading.invalid(keyword, "true or false")
    reading.array = reading.array._replace(unique=value)


def _limit_contains(reading: Reading, keyword: str) -> None:
    schema = reading.schema
    node = reading.node(keyword, schema=schema[keyword])
    low = _count(reading, "minContains") if reading.has("minContains") else 1
    high = _count(reading, "maxContains") if reading.has("maxContains") else None
    counts = (*reading.array.counts, Count(0, node, low, high))
    reading.array = reading.array._replace(counts=counts)


def _limit_contains_count(reading: Reading, keyword: str) -> None:
    _count(reading, keyword)  # read together with contains, without which it means nothing


def _named_schemas(reading: Reading, keyword: str) -> dict[str, object]:
    value = reading.schema.get(keyword, {})
    if not isinstance(value, dict):
        raise reading.invalid(keyword, "an object of schemas")
    return value


def strings_in(reading: Reading, keyword: str, value: object) -> list[str]:
    """Return a list of property names, checked. Raises InvalidGrammarError."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise reading.invalid(keyword, "an array of strings")
    for name in value:
        reading.graph.check_text(name, reading.pointer(keyword))
    return value


def read_object(reading: Reading) -> None:
    """Apply the object keywords, which mean something only together."""
    properties = _named_schemas(reading, "properties")
    rules, where = [], reading.pointer("properties")
    for name, schema in properties.items():
        pointer = child_pointer(where, name)
        reading.graph.check_text(name, pointer)
        rules.append(Rule(KeyClass(name), reading.node_at(pointer, schema)))
    patterns = []
    for pattern, schema in _named_schemas(reading, "patternProperties").items():
        language = name_pattern(reading, pattern, "patternProperties", pattern)
        node = reading.node("patternProperties", pattern, schema=schema)
        patterns.append(language)
        rules.append(Rule(KeyClass(inside=frozenset((language,))), node))
    if "additionalProperties" in reading.schema:
        node = reading.node("additionalProperties", schema=reading.schema["additionalProperties"])
        others = KeyClass(outside=frozenset(patterns), without=frozenset(properties))
        rules.append(Rule(others, node))
    required = strings_in(reading, "required", reading.schema.get("required", []))
    low = _count(reading, "minProperties") if "minProperties" in reading.schema else 0
    high = _count(reading, "maxProperties") if "maxProperties" in reading.schema else None
    shape = ObjectShape(tuple(rules), frozenset(required), low, high)
    reading.narrow(reading.graph.everything._replace(objects=(shape,)))


def name_pattern(reading: Reading, pattern: str, *where: object) -> Pattern:
    """Return the names that match an ECMA regex somewhere. Raises GrammarError with the pointer."""
    graph = reading.graph
    try:
        plain, spelled = (
            compile_regex(graph.terms, pattern, alphabet, dialect="ecma", search=True)
            for alphabet in (graph.plain.alphabet, graph.text.alphabet)
        )
    except GrammarError as error:
        raise placed(error, reading.pointer(*where)) from None
    return Pattern(plain, spelled)


LIMITS: dict[str, Callable[[Reading, str], None]] = {
    "minLength": _limit_length,
    "maxLength": _limit_length,
    "pattern": _limit_pattern,
    "minimum": _limit_number,
    "maximum": _limit_number,
    "exclusiveMinimum": _limit_number,
    "exclusiveMaximum": _limit_number,
    "multipleOf": _limit_multiple,
    "items": _limit_items,
    "additionalItems": _limit_additional_items,
    "prefixItems": _limit_prefix,
    "minItems": _limit_item_count,
    "maxItems": _limit_item_count,
    "uniqueItems": _limit_unique,
    "contains": _limit_contains,
    "minContains": _limit_contains_count,
    "maxContains": _limit_contains_count,
}
OBJECT_KEYWORDS = frozenset(
    """properties required additionalProperties patternProperties minProperties maxProperties
    """.split()  # noqa: SIM905
)
