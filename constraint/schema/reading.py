"""One place of a schema while its keywords are being read."""

from __future__ import annotations

from dataclasses import dataclass

from ...schemas.errors import InvalidGrammarError
from .graph import SchemaGraph
from .shapes import ArrayShape, Shapes
from .source import Dialect, Place, child_pointer

Schema = dict[str, object]
SINCE = {
    "const": Dialect.DRAFT6,
    "contains": Dialect.DRAFT6,
    "propertyNames": Dialect.DRAFT6,
    "if": Dialect.DRAFT7,
    "dependentRequired": Dialect.DRAFT2019,
    "dependentSchemas": Dialect.DRAFT2019,
    "minContains": Dialect.DRAFT2019,
    "maxContains": Dialect.DRAFT2019,
    "unevaluatedItems": Dialect.DRAFT2019,
    "unevaluatedProperties": Dialect.DRAFT2019,
    "prefixItems": Dialect.DRAFT2020,
}


@dataclass(slots=True)
class Reading:
    """The keywords of one place while they are being read."""

    graph: SchemaGraph
    place: Place
    schema: Schema
    shapes: Shapes
    array: ArrayShape

    def pointer(self, *parts: object) -> str:
        """Return the pointer of something below this place."""
        return child_pointer(self.place.pointer, *parts)

    def invalid(self, keyword: str, what: str) -> InvalidGrammarError:
        """Return the error that `keyword` has a value of the wrong kind."""
        return InvalidGrammarError(
            f"{keyword} must be {what}, got {brief(self.schema[keyword])}",
            pointer=self.pointer(keyword),
        )

    def node(self, *parts: object, schema: object) -> int:
        """Return the node of a subschema."""
        pointer = self.pointer(*parts)
        if not isinstance(schema, dict | bool):
            raise InvalidGrammarError(
                f"a schema must be an object or a boolean, got {brief(schema)}", pointer=pointer
            )
        return self.graph.place(Place(pointer, schema))

    def narrow(self, shapes: Shapes) -> None:
        """Keep only the values that are in `shapes` too."""
        self.shapes = self.graph.intersect(self.shapes, shapes)

    def has(self, keyword: str) -> bool:
        """Return whether the keyword is there and the document's draft knows it."""
        return keyword in self.schema and not self.is_foreign(keyword)

    def is_foreign(self, keyword: str) -> bool:
        """Return whether the document's draft does not know the keyword yet, or no longer."""
        dialect = self.graph.source.dialect
        if keyword == "additionalItems":
            return dialect >= Dialect.DRAFT2020
        return dialect < SINCE.get(keyword, Dialect.DRAFT4)


def brief(value: object) -> str:
    """Return a value as it is quoted in an error, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
