"""One place of a schema while its keywords are being read."""

from __future__ import annotations

from dataclasses import dataclass

from ...schemas.errors import InvalidGrammarError
from .dialects import Dialect, Draft
from .documents import child_pointer
from .graph import SchemaGraph
from .shapes import ArrayShape, Shapes
from .source import Place

Schema = dict[str, object]


@dataclass(slots=True)
class Reading:
    """The keywords of one place while they are being read."""

    graph: SchemaGraph
    place: Place
    schema: Schema
    shapes: Shapes
    array: ArrayShape

    @classmethod
    def of(cls, graph: SchemaGraph, place: Place) -> Reading:
        """Begin to read a place. Raises InvalidGrammarError if no schema stands there."""
        schema = place.schema
        if not isinstance(schema, dict):
            raise InvalidGrammarError(
                f"a schema must be an object or a boolean, got {brief(schema)}",
                pointer=place.pointer,
            )
        everything = graph.everything
        return cls(graph, place, in_force(place, schema), everything, everything.arrays[0])

    @property
    def dialect(self) -> Dialect:
        """The draft in which this place is written."""
        return self.place.resource.dialect

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
        return self.node_at(self.pointer(*parts), schema)

    def node_at(self, pointer: str, schema: object) -> int:
        """Return the node of a subschema by its whole pointer."""
        return self.graph.place(self._place(pointer, schema))

    def child(self, *parts: object, schema: object) -> Place:
        """Return the place of a subschema."""
        return self._place(self.pointer(*parts), schema)

    def _place(self, pointer: str, schema: object) -> Place:
        if not isinstance(schema, dict | bool):
            raise InvalidGrammarError(
                f"a schema must be an object or a boolean, got {brief(schema)}", pointer=pointer
            )
        return self.graph.source.below(self.place, pointer, schema)

    def narrow(self, shapes: Shapes) -> None:
        """Keep only the values that are in `shapes` too."""
        self.shapes = self.graph.intersect(self.shapes, shapes)

    def has(self, keyword: str) -> bool:
        """Return whether the keyword is there and the document's draft knows it."""
        return keyword in self.schema and not self.is_foreign(keyword)

    def is_foreign(self, keyword: str) -> bool:
        """Return whether the document's draft does not know the keyword yet, or no longer."""
        return not self.dialect.knows(keyword)


def in_force(place: Place, schema: Schema) -> Schema:
    """Return the keywords that count: up to draft 7, `$ref` overrides all its siblings."""
    dialect = place.resource.dialect
    if "$ref" in schema and dialect.draft <= Draft.DRAFT7:
        return {"$ref": schema["$ref"]}
    if dialect.silent:
        return {key: value for key, value in schema.items() if key not in dialect.silent}
    return schema


def brief(value: object) -> str:
    """Return a value as it is quoted in an error, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
