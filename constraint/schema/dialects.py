"""The drafts of JSON Schema: which one a document speaks, and what each of them knows.

A dialect is a draft less the keywords that a metaschema leaves out: its `$vocabulary` may lack the
vocabulary of a keyword, which then says nothing.

Sources: JSON Schema Core and Validation, drafts 4, 6, 7, 2019-09 and 2020-12; vocabularies after
2020-12 Core section 8.1 and the metaschemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple


class Draft(IntEnum):
    """The drafts, in the order in which they appeared."""

    DRAFT4 = 4
    DRAFT6 = 6
    DRAFT7 = 7
    DRAFT2019 = 2019
    DRAFT2020 = 2020


DRAFTS = {
    "json-schema.org/draft-04/schema": Draft.DRAFT4,
    "json-schema.org/draft-06/schema": Draft.DRAFT6,
    "json-schema.org/draft-07/schema": Draft.DRAFT7,
    "json-schema.org/draft/2019-09/schema": Draft.DRAFT2019,
    "json-schema.org/draft/2020-12/schema": Draft.DRAFT2020,
    "json-schema.org/schema": Draft.DRAFT2020,  # the name of the latest draft
}
SINCE = {
    "const": Draft.DRAFT6,
    "contains": Draft.DRAFT6,
    "propertyNames": Draft.DRAFT6,
    "if": Draft.DRAFT7,
    "then": Draft.DRAFT7,
    "else": Draft.DRAFT7,
    "$defs": Draft.DRAFT2019,
    "$anchor": Draft.DRAFT2019,
    "dependentRequired": Draft.DRAFT2019,
    "dependentSchemas": Draft.DRAFT2019,
    "contentSchema": Draft.DRAFT2019,
    "minContains": Draft.DRAFT2019,
    "maxContains": Draft.DRAFT2019,
    "unevaluatedItems": Draft.DRAFT2019,
    "unevaluatedProperties": Draft.DRAFT2019,
    "prefixItems": Draft.DRAFT2020,
    "$dynamicRef": Draft.DRAFT2020,
    "$dynamicAnchor": Draft.DRAFT2020,
}
LAST = {"additionalItems": Draft.DRAFT2019}
ONLY = {"$recursiveRef": Draft.DRAFT2019, "$recursiveAnchor": Draft.DRAFT2019}

_UNKNOWN = {
    draft: frozenset(
        [name for name, since in SINCE.items() if draft < since]
        + [name for name, last in LAST.items() if draft > last]
        + [name for name, only in ONLY.items() if draft is not only]
    )
    for draft in Draft
}
_ONE_BELOW = frozenset(
    """additionalItems additionalProperties contains contentSchema else if items not propertyNames
    then unevaluatedItems unevaluatedProperties
    """.split()  # noqa: SIM905 - a table of words reads better
)
_LIST_BELOW = frozenset(["allOf", "anyOf", "items", "oneOf", "prefixItems"])
_NAMED_BELOW = frozenset(
    """$defs definitions dependencies dependentSchemas patternProperties properties
    """.split()  # noqa: SIM905
)
_APPLICATOR = (_ONE_BELOW | _LIST_BELOW | _NAMED_BELOW) - {"contentSchema", "$defs", "definitions"}
_UNEVALUATED = frozenset(["unevaluatedItems", "unevaluatedProperties"])
_VALIDATION = frozenset(
    """type enum const multipleOf minimum maximum exclusiveMinimum exclusiveMaximum minLength
    maxLength pattern minItems maxItems uniqueItems minContains maxContains minProperties
    maxProperties required dependentRequired
    """.split()  # noqa: SIM905
)
_VOCABULARIES = {
    "2019-09/vocab/applicator": _APPLICATOR,
    "2019-09/vocab/validation": _VALIDATION,
    "2020-12/vocab/applicator": _APPLICATOR - _UNEVALUATED,
    "2020-12/vocab/unevaluated": _UNEVALUATED,
    "2020-12/vocab/validation": _VALIDATION,
}
_SILENT_VOCABULARIES = frozenset(
    """2019-09/vocab/core 2019-09/vocab/meta-data 2019-09/vocab/format 2019-09/vocab/content
    2020-12/vocab/core 2020-12/vocab/meta-data 2020-12/vocab/format-annotation
    2020-12/vocab/format-assertion 2020-12/vocab/content
    """.split()  # noqa: SIM905
)
_STEM = "https://json-schema.org/draft/"


class Dialect(NamedTuple):
    """A draft without the keywords that are out of force."""

    draft: Draft
    silent: frozenset[str] = frozenset()

    def knows(self, keyword: str) -> bool:
        """Return whether the keyword means something here; True for names that no draft has."""
        return keyword not in self.silent and keyword not in _UNKNOWN[self.draft]


def draft_named(uri: str) -> Draft | None:
    """Return the draft whose metaschema has this URI, None if none has."""
    return DRAFTS.get(uri.partition("://")[2].rstrip("#"))


def in_force(draft: Draft, vocabulary: object) -> tuple[Dialect, str | None]:
    """Return the dialect of a metaschema's `$vocabulary` and the first required one not known."""
    if not isinstance(vocabulary, dict):
        return Dialect(draft), None
    names = {uri.removeprefix(_STEM): required for uri, required in vocabulary.items()}
    year = "2019-09" if draft is Draft.DRAFT2019 else "2020-12"
    silent = frozenset[str]().union(
        *(words for name, words in _VOCABULARIES.items() if name[:7] == year and name not in names)
    )
    known = _VOCABULARIES.keys() | _SILENT_VOCABULARIES
    unknown = (name for name, required in names.items() if required and name not in known)
    return Dialect(draft, silent), next(unknown, None)


def identifier(schema: dict[str, object], draft: Draft) -> str | None:
    """Return the `$id` (draft 4: `id`) of a schema; up to draft 7 a `$ref` beside it hides it."""
    name = schema.get("id" if draft is Draft.DRAFT4 else "$id")
    hidden = draft <= Draft.DRAFT7 and "$ref" in schema
    return name if isinstance(name, str) and not hidden else None


def subschemas(schema: dict[str, object], dialect: Dialect) -> Iterator[tuple[list[str], object]]:
    """Yield (unescaped pointer parts, schema) of everything directly below that is a schema."""
    for keyword, value in schema.items():
        if not isinstance(value, dict | list) or not dialect.knows(keyword):
            continue
        if isinstance(value, list):
            if keyword in _LIST_BELOW:
                yield from (([keyword, str(i)], below) for i, below in enumerate(value))
        elif keyword in _ONE_BELOW:
            yield [keyword], value
        elif keyword in _NAMED_BELOW:
            yield from (([keyword, name], below) for name, below in value.items())
