"""From the `grammar` field of a request to a `Grammar`: the border of this floor.

`compile_grammar` reads every keyword that can matter, decides that a text exists, and stops there:
the automaton behind a grammar is built while it is walked. Whatever cannot be enforced exactly is
refused here, so a `Grammar` in hand never fails later for its content.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

from ..schemas.errors import GrammarError, InvalidGrammarError, UnsatisfiableGrammarError
from ..schemas.grammar import JsonGrammar, parse_grammar
from .language.describe import REGEX_WORDS, describe, shortened
from .language.json_language import JsonLanguage
from .language.prelude import Prelude
from .language.productivity import Productivity
from .parts import NOTHING_SHARED, SharedStates
from .regex.compiler import compile_regex
from .regex.utf8 import Utf8Alphabet
from .regex_prelude import REGEXES, begun_regex, shared_by_regexes
from .schema.contradiction import contradicting
from .schema.dialects import Dialect, Draft
from .schema.documents import Documents, child_pointer
from .schema.graph import SchemaGraph
from .schema.keywords import Status, notes_of, read_place
from .schema.shapes import ArrayShape
from .schema.source import Place, SchemaSource
from .terms.shortest import INFINITE, Shortest
from .terms.terms import Terms
from .text.style import TextStyle

FUEL = 2_000_000  # steps; some seconds
NOTHING_LEFT = "no value is allowed here; the keywords leave nothing or contradict each other"
MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class KeywordReport:
    """What became of the keyword at `pointer`: it limits the text, or it is an annotation."""

    pointer: str
    keyword: str
    status: Status


class PlacesRead(NamedTuple):
    """The places of a schema that were read, and whether `format` was enforced there."""

    places: list[Place]
    formats: bool


class Grammar:
    """A language of byte strings that is known not to be empty; made by `compile_grammar`.

    Thread-safe; states and rows that were computed once are kept for its lifetime, and gone with
    it: `terms` and the language of `schema` cannot be used behind that. It can be pickled, to be
    compiled in another process; it is no format to keep.
    """

    def __init__(
        self,
        terms: Terms,
        start: int,
        shortest: Shortest,
        read: PlacesRead,
        schema: tuple[JsonLanguage, int] | None = None,
        shared: SharedStates = NOTHING_SHARED,
    ) -> None:
        self.terms = terms
        self.terms.fuel = math.inf  # what was accepted is never refused later
        self.start = start
        self._places = read
        self.schema = schema  # what the terms were made from, and its root node
        self.shared = shared
        self.lock = threading.RLock()
        self.shortest_texts = shortest

    def __del__(self) -> None:
        if "schema" in self.__dict__:  # not if it was not made whole
            self.terms.drop()
            if self.schema is not None:
                self.schema[0].drop()

    def __copy__(self) -> Grammar:
        return self  # a second one would take the terms of this one along

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "lock": None, "shared": self.shared.shared_by}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self.lock = threading.RLock()
        self.shared = _shared_by(state["shared"])

    @property
    def report(self) -> tuple[KeywordReport, ...]:
        """What became of each keyword, in the order in which they were read."""
        read = self._places
        notes = (note for place in read.places for note in notes_of(place, formats=read.formats))
        return tuple(
            KeywordReport(child_pointer(place, keyword), keyword, status)
            for place, keyword, status in dict.fromkeys(notes)
        )

    def accepts(self, text: bytes) -> bool:
        """Return whether the whole text is in the language. Cost: linear in the text."""
        with self.lock:
            return self.terms.accepts(self.start, text)

    def is_prefix(self, text: bytes) -> bool:
        """Return whether `text` can be completed to a text of the language."""
        with self.lock:
            return self.terms.walk(self.start, text) != self.terms.EMPTY

    def shortest(self) -> bytes:
        """Return a shortest text of the language.

        Raises GrammarTooLargeError if even that is longer than 16 MiB.
        """
        with self.lock:
            return self.shortest_texts.text(self.start)

    def describe(self) -> tuple[str, ...]:
        """Return what the grammar allows in words, a line for each fact; one for a regex."""
        with self.lock:
            return (REGEX_WORDS,) if self.schema is None else describe(*self.schema)

    @cached_property
    def min_bytes(self) -> int:
        """The length of a shortest text in bytes."""
        with self.lock:
            return self.shortest_texts.text_length(self.start)


def compile_grammar(
    grammar: object,
    *,
    style: TextStyle | None = None,
    registry: Documents | None = None,
    assert_format: bool = True,
    fuel: int = FUEL,
) -> Grammar:
    """Compile a `grammar` field: `{"type": "json" | "json_schema" | "regex", "value": ...}`.

    `registry` maps URIs to documents that `$ref` may name (or is a `referencing.Registry`; it
    is not asked to retrieve); nothing is ever fetched. `assert_format=False` makes `format` an
    annotation. `fuel` is how much work may be done, in steps.

    Raises GrammarError: InvalidGrammarError (not a grammar), UnsupportedGrammarError (a
    keyword or construct that is not enforced), UnsatisfiableGrammarError (no text matches),
    GrammarTooLargeError (a counted limit). Cost: linear in the schema; the automaton comes later.
    """
    parsed = parse_grammar(grammar)
    if parsed is None:
        raise InvalidGrammarError('a grammar of type "text" constrains nothing; leave it out')
    if isinstance(parsed, JsonGrammar):
        begin = partial(Prelude.of, style or TextStyle())
        read = partial(_compile_json, registry=registry, assert_format=assert_format)
        try:
            return read(begin(fuel), parsed.schema)
        except UnsatisfiableGrammarError as error:
            dialect = SchemaSource(parsed.schema, registry).root.resource.dialect
            changed = Changed(read, begin, fuel // 4)
            raise _explained(error, parsed.schema, dialect, changed) from None
    return _compile_regex(*begun_regex(fuel), parsed.pattern)


def _shared_by(key: object) -> SharedStates:
    if isinstance(key, TextStyle):
        return Prelude.shared_states(key)
    return shared_by_regexes() if key == REGEXES else NOTHING_SHARED


def _compile_regex(
    terms: Terms, alphabet: Utf8Alphabet, shared: SharedStates, pattern: str
) -> Grammar:
    start = compile_regex(terms, pattern, alphabet, dialect="python", search=False)
    if terms.is_empty(start):
        raise UnsatisfiableGrammarError("no text matches this regex")
    met = PlacesRead([], formats=False)
    return Grammar(terms, start, Shortest(terms), met, shared=shared)


def _compile_json(
    begun: Prelude,
    schema: object,
    *,
    registry: Documents | None,
    assert_format: bool,
) -> Grammar:
    terms, text, numbers, shortest = begun.terms, begun.text, begun.numbers, begun.shortest
    places: list[Place] = []
    source = SchemaSource(schema, registry)
    read = partial(read_place, report=places.append, formats=assert_format)
    graph = SchemaGraph(source, text, read, begun.plain, begun.universe)
    root = graph.place(source.root)
    draft4, void, complete = None, frozenset[ArrayShape](), False
    while not complete:  # again if a resource is older, or if arrays turn out to have no value
        draft4 = source.oldest is Draft.DRAFT4
        if draft4:
            numbers = begun.numbers.without_integral_floats()
        productive = Productivity(graph, text, numbers, shortest, void)
        if productive.visit(root) >= INFINITE:
            raise _unsatisfiable(graph, productive, root)
        if draft4 is (source.oldest is Draft.DRAFT4):
            language = JsonLanguage(graph, numbers, productive)
            short = language.settle()
            void, complete = void | short, not short
    if shortest.rough:
        shortest.text(language.node(root))  # to know that it nests no deeper than can be compared
    met = PlacesRead(places, assert_format)
    return Grammar(terms, language.node(root), shortest, met, (language, root), begun.shared)


def _unsatisfiable(
    graph: SchemaGraph, productive: Productivity, root: int
) -> UnsatisfiableGrammarError:
    """Name the places at fault: those without any shape, or else those that need themselves."""
    empty = productive.empty_nodes()
    empty = [node for node in empty if node != graph.FALSE] or empty
    bare = [n for n in empty if not (graph.shapes(n).arrays or graph.shapes(n).objects)]
    culprits = bare or empty
    pointers = tuple(dict.fromkeys(p for node in culprits for p in graph.pointers(node)))
    if root in culprits or not pointers:
        pointers = graph.pointers(root)
    short = [shape for node in culprits for shape in productive.short_arrays(node)]
    if short and not bare:
        items = (graph.pointers(shape.item(0)) for shape in short)
        pointers = tuple(dict.fromkeys((*pointers, *(p for found in items for p in found))))
        reason = f"uniqueItems: fewer different items exist than the {short[0].low} required here"
    elif bare or not productive.endless(empty):
        reason = NOTHING_LEFT
    else:
        reason = "every value would have to contain another value of the same schema, without end"
    return UnsatisfiableGrammarError(reason, pointer=pointers[0], pointers=pointers)


class Changed:
    """Tells whether changed schemas have a value, as long as the fuel lasts."""

    def __init__(
        self,
        read: Callable[[Prelude, object], Grammar],
        begin: Callable[[float], Prelude],
        fuel: int,
    ) -> None:
        self._read, self._begin, self.fuel = read, begin, fuel

    def is_void(self, schema: object) -> bool:
        """Return whether a schema compiles to nothing; what it costs is taken from the fuel."""
        begun = self._begin(self.fuel)
        before = len(begun.terms)
        try:
            _whole = self._read(begun, schema)  # its terms are counted below
        except UnsatisfiableGrammarError:
            return True
        except GrammarError:  # such a change says nothing: a reference leads nowhere, for one
            return False
        finally:  # by the terms that were made; a whole grammar has no fuel
            self.fuel = max(self.fuel - (len(begun.terms) - before), 0)
        return False


def _explained(
    error: UnsatisfiableGrammarError, schema: object, dialect: Dialect, changed: Changed
) -> UnsatisfiableGrammarError:
    """Return the error with the keywords that contradict each other, if they can be found."""
    if error.reason != NOTHING_LEFT:
        return error
    found = contradicting(schema, dialect, changed.is_void)
    if not found or not changed.fuel:
        return error
    named = shortened(list(found), " and ", most=MOST_NAMED)
    plural = len(found) > 1
    verb = "contradict each other; change one of them" if plural else "leaves nothing; change it"
    reason = f"no value is allowed here: {named} {verb}"
    return UnsatisfiableGrammarError(reason, pointer=error.pointer, pointers=found)
