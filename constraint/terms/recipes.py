"""Terms that were made in one arena, written down so that another arena can have them.

Reading a pattern and spelling it takes a hundred times as long as the terms that come out of it. A
recipe lists these, parts before the whole, and is followed by constructing each node anew: the
numbers are those of the arena that follows it. The steps that were spent are spent again, so
whether a grammar is too large does not depend on what was compiled before.

Terms with references or captures have an owner in their arena and no recipe.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple

from .arena import Kind
from .terms import Terms

MOST_RECIPES = 512
MOST_NODES = 1000  # of a recipe; a few hundred kilobytes


class Step(NamedTuple):
    """One node, its parts given by their place in the recipe, and what is known of it."""

    node: tuple[Any, ...]
    nullable: bool
    certain: bool
    counts: bool
    empty: bool | None


class Recipe(NamedTuple):
    """How to make a term, which is the last of the steps, and what it cost."""

    steps: tuple[Step, ...]
    fuel: float


_recipes: OrderedDict[Hashable, Recipe] = OrderedDict()
_lock = threading.Lock()


def recalled(terms: Terms, key: Hashable, make: Callable[[], int]) -> int:
    """Return the term that `make` returns, from its recipe if a term with this key was made before.

    The key says all that the term depends on. Cost: half a microsecond for each node of the term.
    """
    found = terms.recalled.get(key)
    if found is None:
        # What has no end of fuel is begun with by others, and is made alike in each process.
        recipe = None if terms.fuel == math.inf else _known(key)
        if recipe is None:
            before = terms.fuel
            found = make()
            _remember(terms, key, found, before)
        else:
            found = _follow(terms, recipe)
        terms.recalled[key] = found
    return found


def _known(key: Hashable) -> Recipe | None:
    with _lock:
        recipe = _recipes.get(key)
        if recipe is not None:
            _recipes.move_to_end(key)
        return recipe


def _remember(terms: Terms, key: Hashable, term: int, before: float) -> None:
    if before == math.inf:  # what it costs is not counted there
        return
    steps = _written(terms, term)
    if steps is None:
        return
    fuel = before - terms.fuel
    with _lock:
        _recipes[key] = Recipe(steps, fuel)
        while len(_recipes) > MOST_RECIPES:
            _recipes.popitem(last=False)


def parts_of(node: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the terms that a node is made of; references and captures have none."""
    kind = node[0]
    if kind == Kind.CONCAT:
        return node[1:]
    if kind == Kind.UNION or kind == Kind.INTERSECT:
        return node[1]  # type: ignore[no-any-return]
    if kind in (Kind.REPEAT, Kind.COMPLEMENT, Kind.LEXEME):
        return (node[1],)
    return ()


def _written(terms: Terms, root: int) -> tuple[Step, ...] | None:
    """Return the steps to a term, None if it has none or too many."""
    found, stack = {root}, [root]
    while stack:
        node = terms.nodes[stack.pop()]
        if node[0] == Kind.REFERENCE or node[0] == Kind.CAPTURE or len(found) > MOST_NODES:
            return None
        new = [part for part in parts_of(node) if part not in found]
        found.update(new)
        stack.extend(new)
    order = sorted(found)  # parts were made before the whole, so their numbers are lower
    place = {term: i for i, term in enumerate(order)}
    steps = map(partial(_step, terms), order)
    return tuple(step._replace(node=_with_parts(step.node, place.__getitem__)) for step in steps)


def _step(terms: Terms, term: int) -> Step:
    """Return the step that makes a term of parts with the same numbers."""
    return Step(
        terms.nodes[term],
        terms.nullable(term),
        terms.certain(term),
        terms.counts(term),
        terms.known_empty(term),
    )


def taken_over(terms: Terms, other: Terms, term: int, begun: int) -> int:
    """Return a term of another arena made in this one; both have the first `begun` in common."""
    if term < begun:
        return term
    found, stack = {term}, [term]
    while stack:
        parts = parts_of(other.nodes[stack.pop()])
        new = [part for part in parts if part >= begun and part not in found]
        found.update(new)
        stack.extend(new)
    made: dict[int, int] = {}
    for part in sorted(found):
        made[part] = _made(terms, _step(other, part), lambda part: made.get(part, part))
    return made[term]


def _with_parts(node: tuple[Any, ...], number: Callable[[int], int]) -> tuple[Any, ...]:
    """Return a node with other numbers for its parts."""
    kind = node[0]
    if kind == Kind.CONCAT:
        return kind, number(node[1]), number(node[2])
    if kind == Kind.UNION or kind == Kind.INTERSECT:
        return kind, tuple(sorted(map(number, node[1])))
    if kind in (Kind.REPEAT, Kind.COMPLEMENT, Kind.LEXEME):
        return kind, number(node[1]), *node[2:]
    return node


def _follow(terms: Terms, recipe: Recipe) -> int:
    terms.spend(int(recipe.fuel))
    made: list[int] = []
    for step in recipe.steps:
        made.append(_made(terms, step, made.__getitem__))
    return made[-1]


def _made(terms: Terms, step: Step, number: Callable[[int], int]) -> int:
    """Do one step; `number` gives the terms that its parts have become."""
    node, nullable, certain, counts, empty = step
    node = _with_parts(node, number)
    return terms.made(node, nullable=nullable, certain=certain, counts=counts, empty=empty)
