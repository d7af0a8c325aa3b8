"""The graph of a schema: nodes that denote sets of values, normalised on demand.

A node is an int: a place in the document, a fixed value, or a conjunction of nodes; equal
conjunctions are the same node, which makes the recursion of `$ref` with siblings finite.
`shapes(node)` is its normal form. Computing it may need the normal forms of others (`$ref`,
`anyOf`, `allOf`, conjunctions); that recursion is run by generators (`trampoline`), so a
chain of any length is only slow, never fatal.

Work is counted in pairs of shapes and spent from the fuel of the terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ...schemas.errors import InvalidGrammarError, UnsupportedGrammarError
from ..terms.trampoline import Call, run
from ..text.number_set import NumberSet, point
from .documents import child_pointer
from .node_table import NodeTable
from .nodes import CircleError, Negated, Value, distinct, exact, placed
from .shapes import (
    ArrayShape,
    KeyClass,
    ObjectShape,
    Rule,
    Shapes,
    Universe,
    negated_subset,
)
from .source import Place, SchemaSource
from .strings import PlainText, SchemaText, both, covers

SHAPE_WORK = 2  # a pair of shapes takes about twice as long as a pair of a row
RULES_A_STEP = 4
MOST_PEEKS = 3


class SchemaGraph(NodeTable):
    """Nodes of one schema document and their normal forms.

    `read(graph, place)` turns the keywords of one place into shapes, or returns the call that does
    where other nodes are needed; that calls `wanted` for them.
    """

    def __init__(
        self,
        source: SchemaSource,
        text: SchemaText,
        read: Callable[[SchemaGraph, Place], Shapes | Call[Shapes]],
        plain: PlainText | None = None,
        universe: Universe | None = None,
    ) -> None:
        super().__init__(source)
        self.text = text
        self.terms = text.terms
        self.subsets: dict[int, str] = {}  # string terms that hold only a part of a format
        self.format_terms: dict[str, int] = {}
        self._read = read
        self._open: set[int] = set()
        self._peeks = 0
        self._beside: SchemaGraph | None = None  # the same with strings as plain texts
        universe = universe or Universe.of(text.any_body, self.TRUE)
        self.everything, self.typed = universe
        self.plain = plain or PlainText(text.terms)
        self.any_name = self.plain.any_body
        self._shapes: dict[int, Shapes] = {self.TRUE: self.everything, self.FALSE: Shapes()}

    def shapes(self, node: int) -> Shapes:
        """Return the normal form of a node.

        Raises GrammarError for a keyword that cannot be enforced or a `$ref` that leads to itself.
        """
        known = self._shapes.get(node)
        if known is not None:
            return known
        step = self._begin(node)
        if isinstance(step, Shapes):
            self._shapes[node] = step
            return step
        self._open.add(node)
        known = self._shapes[node] = run(step)
        self._open.discard(node)
        return known

    def wanted(self, node: int) -> Call[Shapes]:
        """Do what `shapes` does, for callers that are generators themselves."""
        known = self._shapes.get(node)
        if known is None:
            step = self._begin(node)
            if not isinstance(step, Shapes):
                self._open.add(node)
                step = yield step
                self._open.discard(node)
            known = self._shapes[node] = step
        return known

    def _begin(self, node: int) -> Shapes | Call[Shapes]:
        """Return the shapes of a node, or the call that finds them where others are needed."""
        if node in self._open:
            raise CircleError(
                "the references lead in a circle without passing a value",
                pointer=self.pointers(node)[0],
            )
        content = self._content[node]
        if isinstance(content, Place):
            return self._read(self, content)
        if isinstance(content, frozenset):
            return self._conjoined(content)
        if isinstance(content, Negated):
            return self._negated(content.node)
        if isinstance(content, Shapes):
            return content
        return self.value_shapes(content.value, content.pointer)

    def _negated(self, node: int) -> Call[Shapes]:
        shapes: Shapes = yield self.wanted(node)
        try:
            return self.complement(shapes)
        except UnsupportedGrammarError as error:
            raise placed(error, self.pointers(node)) from None

    def _conjoined(self, members: frozenset[int]) -> Call[Shapes]:
        result = self.everything
        for member in sorted(members):
            result = self.intersect(result, (yield self.wanted(member)))
        return result

    def value_shapes(self, value: object, pointer: str) -> Shapes:
        """Return the shapes of exactly one JSON value."""
        self.spend(1)
        if value is None:
            return Shapes(null=True)
        if isinstance(value, bool):
            return Shapes(booleans=frozenset((value,)))
        if isinstance(value, int | float):
            return Shapes(numbers=(point(exact(value, pointer)),))
        if isinstance(value, str):
            return Shapes(strings=self.body(value, pointer))
        if isinstance(value, list):
            items = tuple(self.value(v, child_pointer(pointer, i)) for i, v in enumerate(value))
            return Shapes(arrays=(ArrayShape(items, self.FALSE, len(items), len(items)),))
        if isinstance(value, dict):
            members = {k: self.value(v, child_pointer(pointer, k)) for k, v in value.items()}
            rules = [Rule(KeyClass(name), node) for name, node in members.items()]
            rules.append(Rule(KeyClass(without=frozenset(members)), self.FALSE))
            return Shapes(objects=(ObjectShape(tuple(rules), frozenset(members)),))
        raise InvalidGrammarError(f"{value!r} is not a JSON value", pointer=pointer)

    def body(self, text: str, pointer: str) -> int:
        """Return the spellings of one string, refusing what UTF-8 cannot hold."""
        self.check_text(text, pointer)
        return self.text.body(text)

    def check_text(self, text: str, pointer: str) -> None:
        """Refuse a string that UTF-8 cannot hold."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidGrammarError(
                f"{text!r} holds a lone surrogate, which no text can contain", pointer=pointer
            ) from None

    def spend(self, work: int) -> None:
        """Count pairs of shapes; raises GrammarTooLargeError when the fuel is gone."""
        self.terms.spend(work * SHAPE_WORK)

    def intersect(self, first: Shapes, second: Shapes) -> Shapes:
        """Return the values that belong to both."""
        if first is self.everything:
            return second
        if second is self.everything:
            return first
        self.spend(first.size * second.size)
        return Shapes(
            null=first.null and second.null,
            booleans=first.booleans & second.booleans,
            numbers=self._both_numbers(first.numbers, second.numbers),
            strings=self._both_strings(first.strings, second.strings),
            arrays=self._both_arrays(first.arrays, second.arrays),
            objects=self._both_objects(first.objects, second.objects),
        )

    def _both_numbers(
        self, first: tuple[NumberSet, ...], second: tuple[NumberSet, ...]
    ) -> tuple[NumberSet, ...]:
        every = self.everything.numbers
        if first is every or not second:
            return second
        if second is every or not first:
            return first
        return distinct(a.intersect(b) for a in first for b in second)

    def _both_arrays(
        self, first: tuple[ArrayShape, ...], second: tuple[ArrayShape, ...]
    ) -> tuple[ArrayShape, ...]:
        every = self.everything.arrays
        if first is every or not second:
            return second
        if second is every or not first:
            return first
        return tuple(a.intersect(b, self.conjunction) for a in first for b in second)

    def _both_objects(
        self, first: tuple[ObjectShape, ...], second: tuple[ObjectShape, ...]
    ) -> tuple[ObjectShape, ...]:
        """Return the pairwise intersections that are not empty at first sight.

        If one of them adds nothing to its first part, the others of that part are in it and go.
        """
        every = self.everything.objects
        if first is every or not second:
            return second
        if second is every or not first:
            return first
        found: dict[ObjectShape, None] = {}
        for shape in first:
            pairs = [shape.intersect(other) for other in second]
            self.terms.spend(sum(len(pair.rules) for pair in pairs) // RULES_A_STEP)
            kept = [shape] if shape in pairs else [p for p in pairs if not self._is_void(p)]
            found.update(dict.fromkeys(kept))
        return tuple(found)

    def is_void(self, shapes: Shapes) -> bool:
        """Return whether a set is empty at first sight; False where it takes more to tell."""
        return not (
            shapes.null
            or shapes.booleans
            or not all(numbers.is_void() for numbers in shapes.numbers)
            or not self.terms.is_empty(shapes.strings)
            or not all(self._is_void_array(array) for array in shapes.arrays)
            or not all(self._is_void(shape) for shape in shapes.objects)
        )

    def _is_void_array(self, shape: ArrayShape) -> bool:
        crossed = shape.high is not None and shape.high < shape.low
        return crossed or any(shape.item(i) == self.FALSE for i in range(min(shape.low, 16)))

    def _is_void_node(self, node: int) -> bool:
        """Look at the shapes of a node, unless they depend on what is being normalised now."""
        self._peeks += 1
        before = set(self._open)
        try:
            return self._peeks <= MOST_PEEKS and self.is_void(self.shapes(node))
        except CircleError:
            self._open = before
            return False
        finally:
            self._peeks -= 1

    def _is_void(self, shape: ObjectShape) -> bool:
        """Return whether an object shape is empty at first sight: a required value has no value."""
        if shape.high is not None and (shape.high < len(shape.required) or shape.high < shape.low):
            return True
        never = [rule.keys for rule in shape.rules if rule.node == self.FALSE]
        if any(keys.name in shape.required for keys in never):
            return True
        if any(
            keys.name is None and covers(self.terms, keys, name)
            for keys in never
            for name in shape.required
        ):
            return True
        return any(self._is_void_node(node) for node in self._narrowed(shape))

    def _narrowed(self, shape: ObjectShape) -> Iterator[int]:
        """Yield the values of required names that more than one rule speaks of."""
        rules: dict[str, list[int]] = {}
        for rule in shape.rules:
            if rule.keys.name in shape.required:
                rules.setdefault(rule.keys.name or "", []).append(rule.node)
        for nodes in rules.values():
            if len(nodes) > 1:
                node = self.TRUE
                for more in nodes:
                    node = self.conjunction(node, more)
                yield node

    def plain_names(self, node: int) -> Call[Shapes]:
        """Return the shapes of a place with strings as plain UTF-8, which property names are."""
        plain = self._plain_graph()
        return plain.wanted(self._plain_node(node))

    def plain_shapes(self, node: int) -> Shapes:
        """Return the same outside of a generator."""
        return self._plain_graph().shapes(self._plain_node(node))

    def _plain_graph(self) -> SchemaGraph:
        if self._beside is None:
            self._beside = SchemaGraph(self.source, self.plain, self._read, self.plain)
        return self._beside

    def _plain_node(self, node: int) -> int:
        """Return the node of the plain graph that says the same."""
        plain, content = self._plain_graph(), self._content[node]
        if isinstance(content, Place):
            return plain.place(content)
        if isinstance(content, Value):
            return plain.value(content.value, content.pointer)
        if isinstance(content, Shapes):
            return plain.shaped(content)
        if isinstance(content, Negated):
            return plain.negation(self._plain_node(content.node))
        result = self.TRUE
        for member in content:
            result = plain.conjunction(result, self._plain_node(member))
        return result

    def complement(self, shapes: Shapes) -> Shapes:
        """Return the values that do not belong to `shapes`."""
        everything, true = self.everything, self.TRUE
        result = everything._replace(
            null=not shapes.null,
            booleans=everything.booleans - shapes.booleans,
            strings=self._other_strings(shapes.strings),
        )
        for numbers in shapes.numbers:
            rest = Shapes(numbers=tuple(numbers.complement()))
            result = self.intersect(result, everything._replace(numbers=rest.numbers))
        for array in shapes.arrays:
            arrays = tuple(array.complement(true, self.negation))
            result = self.intersect(result, everything._replace(arrays=arrays))
        for shape in shapes.objects:
            objects = tuple(shape.complement(true, self.negation))
            result = self.intersect(result, everything._replace(objects=objects))
        return result

    def _other_strings(self, strings: int) -> int:
        if strings == self.text.any_body:
            return self.terms.EMPTY
        if strings == self.terms.EMPTY:
            return self.text.any_body
        if strings in self.subsets:
            raise negated_subset(self.subsets[strings])
        return self.terms.intersect((self.text.any_body, self.terms.complement(strings)))

    def _both_strings(self, first: int, second: int) -> int:
        if first == self.text.any_body:
            return second
        if second == self.text.any_body:
            return first
        found = both(self.terms, self.text.alphabet.any_char, first, second)
        return self._of_subsets(found, (first, second))

    def _of_subsets(self, strings: int, parts: Iterable[int]) -> int:
        """Note that strings are known only in part if those they are made of are."""
        for part in parts:
            if part in self.subsets and strings != self.terms.EMPTY:
                self.subsets.setdefault(strings, self.subsets[part])
        return strings

    def union(self, parts: list[Shapes]) -> Shapes:
        """Return the values that belong to any of the parts."""
        if len(parts) == 1:
            return parts[0]
        self.spend(sum(part.size for part in parts))
        strings = {part.strings for part in parts}
        any_body = self.text.any_body
        return Shapes(
            null=any(part.null for part in parts),
            booleans=frozenset().union(*(part.booleans for part in parts)),
            numbers=distinct(n for part in parts for n in part.numbers),
            strings=any_body if any_body in strings else self._any_of(strings),
            arrays=tuple(shape for part in parts for shape in part.arrays),
            objects=tuple(shape for part in parts for shape in part.objects),
        )

    def _any_of(self, strings: set[int]) -> int:
        return self._of_subsets(self.terms.union(strings), strings)
