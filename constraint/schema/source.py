"""A schema document and the places in it: dialects, JSON pointers, references.

Sources: JSON Schema drafts 4 to 2020-12 (what `$schema` names decides how `$ref` siblings, array
`items` and boolean bounds are read), RFC 6901 (JSON pointer).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import unquote

from ...schemas.errors import InvalidGrammarError, UnsupportedGrammarError


class Dialect(IntEnum):
    """The drafts, in the order in which they appeared."""

    DRAFT4 = 4
    DRAFT6 = 6
    DRAFT7 = 7
    DRAFT2019 = 2019
    DRAFT2020 = 2020


DIALECTS = {
    "json-schema.org/draft-04/schema": Dialect.DRAFT4,
    "json-schema.org/draft-06/schema": Dialect.DRAFT6,
    "json-schema.org/draft-07/schema": Dialect.DRAFT7,
    "json-schema.org/draft/2019-09/schema": Dialect.DRAFT2019,
    "json-schema.org/draft/2020-12/schema": Dialect.DRAFT2020,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A schema in the document with the JSON pointer that leads to it."""

    pointer: str
    schema: object


def child_pointer(pointer: str, *parts: object) -> str:
    """Return the pointer extended by unescaped parts."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "/".join((pointer, *escaped))


class SchemaSource:
    """One schema document; resolves its references and never reads anything else."""

    def __init__(self, root: object) -> None:
        self.root = Place("", root)
        self.dialect = self._dialect(root)

    def _dialect(self, root: object) -> Dialect:
        if not isinstance(root, dict) or "$schema" not in root:
            return Dialect.DRAFT2020
        name = root["$schema"]
        if not isinstance(name, str):
            raise InvalidGrammarError("$schema must be a string", pointer="/$schema")
        key = name.partition("://")[2].rstrip("#")
        if key not in DIALECTS:
            raise UnsupportedGrammarError(
                "$schema",
                f"{name!r} is not one of the drafts 4, 6, 7, 2019-09 and 2020-12",
                pointer="/$schema",
            )
        return DIALECTS[key]

    def resolve(self, reference: object, pointer: str) -> Place:
        """Return the place that a `$ref` at `pointer` names.

        Raises InvalidGrammarError if there is nothing, UnsupportedGrammarError if it lies outside.
        """
        if not isinstance(reference, str):
            raise InvalidGrammarError("$ref must be a string", pointer=pointer)
        base, _, fragment = reference.partition("#")
        if base and base.rstrip("#") != self._own_uri():
            raise UnsupportedGrammarError(
                "$ref", f"{reference!r} names another document", pointer=pointer
            )
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            raise UnsupportedGrammarError(
                "$ref", f"{reference!r} names an anchor; use a JSON pointer", pointer=pointer
            )
        return self._follow(fragment, reference, pointer)

    def _own_uri(self) -> str | None:
        root = self.root.schema
        name = "id" if self.dialect is Dialect.DRAFT4 else "$id"
        own = root.get(name) if isinstance(root, dict) else None
        return own.rstrip("#") if isinstance(own, str) else None

    def _follow(self, fragment: str, reference: str, pointer: str) -> Place:
        here = self.root.schema
        for part in fragment.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(here, dict) and key in here:
                here = here[key]
            elif isinstance(here, list) and key.isdecimal() and int(key) < len(here):
                here = here[int(key)]
            else:
                raise InvalidGrammarError(
                    f"$ref {reference!r} leads nowhere: there is no {key!r}", pointer=pointer
                )
        return Place(fragment, here)
