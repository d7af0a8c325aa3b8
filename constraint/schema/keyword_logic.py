"""The keywords that say not, either, if and only then: boolean combinations of schemas.

All of them reduce to intersection, union and complement of shapes. `oneOf` needs a complement only
of branches that overlap; branches that a type, a constant or a required name tells apart are simply
united, which is what most schemas of the wild are.

Source: JSON Schema Core 2020-12 sections 10.2.1 and 10.2.2; `dependencies` of drafts 4 to 7.
"""

from __future__ import annotations

from ..terms.trampoline import Call
from .keyword_limits import strings_in
from .reading import Reading
from .shapes import KeyClass, ObjectShape, Pattern, Rule, Shapes

DEPENDENT = ("dependentRequired", "dependentSchemas", "dependencies")
LOGIC = ("not", "oneOf", "if", *DEPENDENT, "propertyNames")


def schemas_in(reading: Reading, keyword: str) -> list[object]:
    """Return the schemas of a keyword that holds a list of them; none if it is not there."""
    if keyword not in reading.schema:
        return []
    value = reading.schema[keyword]
    if not isinstance(value, list) or not value:
        raise reading.invalid(keyword, "a non-empty array of schemas")
    return value


def read_logic(reading: Reading) -> Call[None]:
    """Apply oneOf, not, if, the dependent keywords and propertyNames."""
    graph = reading.graph
    if "not" in reading.schema:
        node = reading.node("not", schema=reading.schema["not"])
        reading.narrow((yield graph.wanted(graph.negation(node))))
    if "oneOf" in reading.schema:
        reading.narrow((yield _exactly_one(reading)))
    if reading.has("if"):
        reading.narrow((yield _conditional(reading)))
    for keyword in DEPENDENT:
        if reading.has(keyword):
            yield _dependent(reading, keyword)
    if reading.has("propertyNames"):
        yield _names(reading)


def _names(reading: Reading) -> Call[None]:
    """Apply propertyNames: a name outside its strings has no value."""
    graph = reading.graph
    node = reading.node("propertyNames", schema=reading.schema["propertyNames"])
    if node == graph.TRUE:
        return
    pattern = Pattern(graph.terms.EMPTY, graph.terms.EMPTY)
    if node != graph.FALSE:
        spelled: Shapes = yield graph.wanted(node)
        plain: Shapes = yield graph.plain_names(node)
        subset = graph.subsets.get(spelled.strings)
        pattern = Pattern(plain.strings, spelled.strings, subset)
    outside = KeyClass(outside=frozenset((pattern,)))
    shape = ObjectShape((Rule(outside, graph.FALSE),))
    reading.narrow(graph.everything._replace(objects=(shape,)))


def _exactly_one(reading: Reading) -> Call[Shapes]:
    """Return the values of exactly one branch: of each, less the others that it overlaps."""
    graph = reading.graph
    nodes = [
        reading.node("oneOf", i, schema=schema)
        for i, schema in enumerate(schemas_in(reading, "oneOf"))
    ]
    branches: list[Shapes] = []
    for node in nodes:
        shapes: Shapes = yield graph.wanted(node)
        branches += [shapes]
    exclusive = []
    for index, shapes in enumerate(branches):
        for other, node in enumerate(nodes):
            if other == index or graph.is_void(graph.intersect(shapes, branches[other])):
                continue
            shapes = graph.intersect(shapes, (yield graph.wanted(graph.negation(node))))
        exclusive.append(shapes)
    return graph.union(exclusive)


def _conditional(reading: Reading) -> Call[Shapes]:
    """Return (if and then) or (not if and else)."""
    graph, schema = reading.graph, reading.schema
    condition = reading.node("if", schema=schema["if"])
    sides = []
    for node, keyword in ((condition, "then"), (graph.negation(condition), "else")):
        shapes: Shapes = yield graph.wanted(node)
        if keyword in schema:
            consequence = reading.node(keyword, schema=schema[keyword])
            shapes = graph.intersect(shapes, (yield graph.wanted(consequence)))
        sides.append(shapes)
    return graph.union(sides)


def _dependent(reading: Reading, keyword: str) -> Call[None]:
    """Apply: each name given is absent, or present with what depends on it."""
    graph = reading.graph
    dependents = reading.schema[keyword]
    if not isinstance(dependents, dict):
        raise reading.invalid(keyword, "an object")
    for name, value in dependents.items():
        graph.body(name, reading.pointer(keyword))
        absent = ObjectShape((Rule(KeyClass(name), graph.FALSE),))
        if isinstance(value, list) and keyword != "dependentSchemas":
            names = frozenset(strings_in(reading, keyword, value))
            present = graph.everything._replace(objects=(ObjectShape(required=names | {name}),))
        elif keyword == "dependentRequired":
            raise reading.invalid(keyword, "an object of arrays of strings")
        else:
            node = reading.node(keyword, name, schema=value)
            having = graph.everything._replace(objects=(ObjectShape(required=frozenset((name,))),))
            present = graph.intersect(having, (yield graph.wanted(node)))
        lacking = graph.everything._replace(objects=(absent,))
        reading.narrow(graph.union([lacking, present]))
