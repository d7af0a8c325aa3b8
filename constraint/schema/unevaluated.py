"""The keywords that look at what others have looked at: unevaluatedProperties, unevaluatedItems.

What a schema evaluates depends on which of its branches a value passes. Each keyword next to it or
in a branch gives a fact: "if the value belongs to this guard, these names and items are evaluated".
A value that meets more guards has fewer names left over, so the unevaluated keyword holds exactly
if it holds for some set of guards that the value meets; no guard has to be negated. The result is
one case for each set of guards that can be met together and evaluates more than fewer of them do.

Source: JSON Schema Core 2020-12 section 11; in 2019-09 `contains` evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..terms.trampoline import Call
from .dialects import Draft
from .keyword_limits import name_pattern
from .reading import Reading
from .shapes import ArrayShape, KeyClass, ObjectShape, Pattern, Rule, Shapes
from .source import Place

UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
PLACE_WORK = 5  # pairs of shapes that could be made in the same time
IN_PLACE = ("$ref", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Names and items that were looked at: all, or some names and patterns, the first `items`."""

    names: frozenset[str] = frozenset()
    patterns: frozenset[Pattern] = frozenset()
    all_names: bool = False
    items: int = 0
    all_items: bool = False
    kinds: frozenset[int] = frozenset()  # items that belong to one of these nodes

    def __or__(self, other: Evaluated) -> Evaluated:
        """Return what either has looked at."""
        return Evaluated(
            self.names | other.names,
            self.patterns | other.patterns,
            self.all_names or other.all_names,
            max(self.items, other.items),
            self.all_items or other.all_items,
            self.kinds | other.kinds,
        )


NOTHING = Evaluated()
Choices = frozenset[tuple[str, int]]  # the branch taken at a keyword of which only one can be


class Guard(NamedTuple):
    """The values of a node, under branches that exclude their siblings."""

    node: int
    choices: Choices = frozenset()


class Case(NamedTuple):
    """Values that meet some guards, and what these evaluate."""

    shapes: Shapes
    seen: Evaluated
    choices: Choices


def read_unevaluated(reading: Reading) -> Call[None]:
    """Apply the unevaluated keywords of a place whose other keywords are applied already."""
    graph = reading.graph
    present = [keyword for keyword in UNEVALUATED if reading.has(keyword)]
    nodes = {k: reading.node(k, schema=reading.schema[k]) for k in present}
    names = nodes.get("unevaluatedProperties", graph.TRUE)
    items = nodes.get("unevaluatedItems", graph.TRUE)
    if names == items == graph.TRUE:
        return
    cases: list[Case] = yield _cases(reading, _facts(reading))
    parts = []
    for case in cases:
        seen = case.seen
        objects = () if seen.all_names else (Rule(_others(seen), names),)
        rest = graph.TRUE if seen.all_items else _either(reading, seen.kinds, items)
        limit = graph.everything._replace(
            objects=(ObjectShape(objects),),
            arrays=(ArrayShape((graph.TRUE,) * seen.items, rest),),
        )
        parts.append(graph.intersect(case.shapes, limit))
    reading.narrow(graph.union(parts))


def _others(seen: Evaluated) -> KeyClass:
    return KeyClass(outside=seen.patterns, without=seen.names)


def _either(reading: Reading, kinds: frozenset[int], node: int) -> int:
    """Return the node of the values of `node` or of any of the kinds."""
    graph = reading.graph
    neither = graph.negation(node)
    for kind in sorted(kinds):
        neither = graph.conjunction(neither, graph.negation(kind))
    return graph.negation(neither)


def _cases(reading: Reading, facts: dict[Guard, Evaluated]) -> Call[list[Case]]:
    """Return a case for each set of guards that can be met together and that evaluates more."""
    graph = reading.graph
    always = facts.pop(Guard(graph.TRUE), NOTHING)
    cases = [Case(reading.shapes, always, frozenset())]
    for guard, evaluated in facts.items():
        shapes: Shapes = yield graph.wanted(guard.node)
        for case in tuple(cases):
            seen = case.seen | evaluated
            choices = case.choices | guard.choices
            if seen == case.seen or len({keyword for keyword, _ in choices}) < len(choices):
                continue
            both = graph.intersect(case.shapes, shapes)
            if not graph.is_void(both):
                cases.append(Case(both, seen, choices))
    return cases


def _facts(reading: Reading) -> dict[Guard, Evaluated]:
    """Return what is evaluated under which guard, by the keywords of a place and of its branches.

    The unevaluated keywords of the place itself are not counted, those of its branches are.
    """
    facts: dict[Guard, Evaluated] = {}
    done: set[tuple[int, Guard]] = set()
    stack = [(reading, Guard(reading.graph.TRUE))]
    while stack:
        here, guard = stack.pop()
        reading.graph.spend(PLACE_WORK)
        facts[guard] = facts.get(guard, NOTHING) | _own(here, nested=here is not reading)
        for place, under in _branches(here, guard):
            key = (reading.graph.place(place), under)
            if key not in done and isinstance(place.schema, dict):
                done.add(key)
                stack.append((Reading.of(reading.graph, place), under))
    return facts


def _own(reading: Reading, *, nested: bool) -> Evaluated:
    """Return what the keywords of one place evaluate without its branches."""
    schema = reading.schema
    names = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    items = schema.get("prefixItems" if reading.has("prefixItems") else "items", [])
    prefix = len(items) if isinstance(items, list) else 0
    contains = reading.dialect.draft >= Draft.DRAFT2020 and reading.has("contains")
    kinds = {reading.node("contains", schema=schema["contains"])} if contains else ()
    return Evaluated(
        frozenset(names) if isinstance(names, dict) else frozenset(),
        frozenset(name_pattern(reading, p, "patternProperties", p) for p in _named(patterns)),
        "additionalProperties" in schema or (nested and reading.has("unevaluatedProperties")),
        prefix,
        _all_items(reading) or (nested and reading.has("unevaluatedItems")),
        frozenset(kinds),
    )


def _named(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _all_items(reading: Reading) -> bool:
    items = reading.schema.get("items")
    if isinstance(items, list):
        return reading.has("additionalItems")
    return items is not None


def _branches(reading: Reading, guard: Guard) -> Iterator[tuple[Place, Guard]]:
    """Yield the places that are applied to the same value, each with the guard it is under."""
    graph, schema = reading.graph, reading.schema
    for keyword in IN_PLACE:
        if reading.has(keyword):
            yield graph.source.resolve(keyword, schema[keyword], reading.place), guard
    for place, _ in _listed(reading, "allOf"):
        yield place, guard
    for place, _ in _listed(reading, "anyOf"):
        yield place, _narrower(reading, guard, graph.place(place))
    for place, index in _listed(reading, "oneOf"):
        choice = (reading.pointer("oneOf"), index)
        yield place, _narrower(reading, guard, graph.place(place), choice)
    yield from _conditional(reading, guard)
    for keyword in ("dependentSchemas", "dependencies"):
        for name, value in _named(schema.get(keyword)).items() if reading.has(keyword) else ():
            if isinstance(value, dict):
                having = Shapes(objects=(ObjectShape(required=frozenset((name,))),))
                place = reading.child(keyword, name, schema=value)
                yield place, _narrower(reading, guard, graph.shaped(having))


def _conditional(reading: Reading, guard: Guard) -> Iterator[tuple[Place, Guard]]:
    if not reading.has("if"):
        return
    condition = reading.child("if", schema=reading.schema["if"])
    node = reading.graph.place(condition)
    name = reading.pointer("if")
    passed = _narrower(reading, guard, node, (name, 0))
    failed = _narrower(reading, guard, reading.graph.negation(node), (name, 1))
    yield condition, passed
    for keyword, under in (("then", passed), ("else", failed)):
        if reading.has(keyword):
            yield reading.child(keyword, schema=reading.schema[keyword]), under


def _listed(reading: Reading, keyword: str) -> Iterator[tuple[Place, int]]:
    value = reading.schema.get(keyword) if reading.has(keyword) else None
    for index, schema in enumerate(value if isinstance(value, list) else ()):
        yield reading.child(keyword, index, schema=schema), index


def _narrower(
    reading: Reading, guard: Guard, node: int, choice: tuple[str, int] | None = None
) -> Guard:
    both = reading.graph.conjunction(guard.node, node)
    return Guard(both, guard.choices | ({choice} if choice else frozenset()))
