"""Values that are one lexeme with the colon before them.

Most members have a value of a type: any string, any integer, an array of any strings. What is read
from their names to the ends of their values is the same in all grammars of a style, so that they
are told by states that these share, and no term is made of them.
"""

from __future__ import annotations

from collections.abc import Callable

from ..schema.graph import SchemaGraph
from ..schema.shapes import ArrayShape, Shapes
from ..text.json_text import JsonText
from ..text.number_set import WHOLE, NumberSet

EVERY_NUMBER = {NumberSet(), NumberSet(step=WHOLE)}


class JoinedValues:
    """Finds the lexemes of the nodes of a graph; `expand` gives the term of a node."""

    def __init__(self, graph: SchemaGraph, text: JsonText, expand: Callable[[int], int]) -> None:
        self._graph = graph
        self._text = text
        self._expand = expand
        self._known: dict[int, tuple[Shapes, int | None]] = {}

    def of(self, node: int) -> int | None:
        """Return the values of a node with the colon before them if that is one lexeme.

        Those are values of a type, with or without null, and arrays of any number of values of a
        type.
        """
        shapes = self._graph.shapes(node)
        known = self._known.get(id(shapes))
        if known is None:  # the shapes are kept, so that no other gets their identity
            known = self._known[id(shapes)] = shapes, self._found(node, shapes)
        return known[1]

    def _found(self, node: int, shapes: Shapes) -> int | None:
        if not shapes.arrays:
            return self._text.after_colon.get(self._plain(node))
        array = shapes.arrays[0]
        if shapes != Shapes(arrays=(ArrayShape((), array.rest),)):
            return None
        return self._text.arrays_after_colon.get(self._plain(array.rest))

    def _plain(self, node: int) -> int:
        """Return the term of a node whose values are all values of some types, `EMPTY` if not."""
        shapes = self._graph.shapes(node)
        limited = shapes.strings not in (0, self._text.any_body)
        if limited or shapes.arrays or shapes.objects or set(shapes.numbers) - EVERY_NUMBER:
            return self._graph.terms.EMPTY
        return self._expand(node)
