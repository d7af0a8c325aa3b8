"""What grammars begin with: shared when it is made, apart from then on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

from lockstitch import TextStyle, compile_grammar
from lockstitch.constraint.automaton import Automaton
from lockstitch.constraint.language.prelude import Prelude
from lockstitch.constraint.terms.arena import Kind
from lockstitch.constraint.terms.fingerprint import fingerprint
from lockstitch.constraint.terms.shortest import Shortest
from lockstitch.constraint.terms.terms import Terms
from lockstitch.constraint.text.json_text import JsonText
from lockstitch.constraint.text.number_set import WHOLE, NumberSet
from lockstitch.constraint.text.numbers import NumberText

STYLES = [
    TextStyle(),
    TextStyle(whitespace="compact"),
    TextStyle(whitespace="flexible", max_whitespace=3),
    TextStyle(escapes="any", digits=5),
    TextStyle(whitespace="flexible", property_order="any", escapes="any"),
]
AN_INTEGER = {"type": "json", "value": {"type": "integer"}}
TEXTS = [b'"a"', b'"\\n"', b'"\\u0041"', b"-0", b"1.0", b"12e3", b"012", b'"\xff"', b" ", b"\t"]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_common_terms_mean_what_new_ones_mean(style: TextStyle) -> None:
    begun, terms = Prelude.of(style, 1e9), Terms()
    text, numbers = JsonText(terms, style), NumberText(terms, style)
    pairs = [
        (begun.text.string(begun.text.any_body), text.string(text.any_body)),
        (begun.text.comma, text.comma),
        (begun.text.name("ä"), text.name("ä")),
        (begun.text.body("a/\n"), text.body("a/\n")),
        *((begun.numbers.term(n), numbers.term(n)) for n in (NumberSet(), NumberSet(step=WHOLE))),
    ]
    for ours, theirs in pairs:
        assert fingerprint(begun.terms, ours) == fingerprint(terms, theirs)
        assert begun.shortest.length(ours) == Shortest(terms).length(theirs)
        for sample in TEXTS:
            assert begun.terms.accepts(ours, sample) == terms.accepts(theirs, sample)


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_what_one_grammar_adds_no_other_sees(style: TextStyle) -> None:
    first, second = Prelude.of(style, 1e9), Prelude.of(style, 1e9)
    before = len(second.terms)
    for _ in range(2):  # the second time, the text under the same number is another
        name = f"name {len(first.terms)}"
        first.text.name(name)
        first.terms.row(first.text.name(name))
        first.plain.body(name)
    assert len(first.terms) > before == len(second.terms) == len(Prelude.of(style, 1e9).terms)
    assert first.text.name("x") != second.text.name("y")
    assert second.terms.accepts(second.text.name("y"), b'"y"')
    assert all(n[0] not in (Kind.REFERENCE, Kind.CAPTURE) for n in second.terms.nodes)


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_states_that_all_have_in_common(style: TextStyle) -> None:
    """Their rows are those of the terms that a grammar makes when it is asked for them."""
    grammar = compile_grammar(AN_INTEGER, style=style)
    automaton, shared = Automaton(grammar), grammar.shared
    terms, before = grammar.terms, len(grammar.terms)
    for state in range(len(shared)):
        term = shared.term(terms, state)
        assert terms.nullable(term) == shared.accepts(state) == automaton.is_accepting(state)
        assert terms.counts(term) == shared.counts(state) == automaton.counts(state)
        ours = {fingerprint(terms, after): mask for mask, after in terms.row(term)}
        pairs = automaton.row(state)
        assert ours == {fingerprint(terms, shared.term(terms, s)): mask for mask, s in pairs}
    assert len(terms) >= before == len(compile_grammar(AN_INTEGER, style=style).terms)


PROGRAM = """
from hashlib import sha256
from lockstitch import TextStyle, compile_grammar
from lockstitch.constraint.automaton import Automaton
from lockstitch.constraint.language.prelude import Prelude
draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "type": ["integer", "number"]}
OTHERS
shared = Prelude.shared_states(TextStyle(whitespace="spaced"))
print(sha256(repr((shared.terms, shared.rows, shared.arena.nodes)).encode()).hexdigest())
"""
OTHER = 'compile_grammar({"type": "json", "value": draft4}, style=TextStyle(whitespace="compact"))'


def test_states_have_the_same_numbers_in_each_process() -> None:
    """A pickled grammar finds those of its style again, whatever either process did before."""
    programs = [PROGRAM.replace("OTHERS", others) for others in ("", OTHER)]
    outputs = [subprocess.check_output([sys.executable, "-c", program]) for program in programs]
    assert outputs[0] == outputs[1]


def test_grammars_compiled_at_once() -> None:
    """Threads that meet a style for the first time get languages of their own."""
    style = TextStyle(whitespace="flexible", max_whitespace=7)
    wrong: list[int] = []

    def work(number: int) -> None:
        for again in range(10):
            name = f"name {number} {again}"
            schema = {"properties": {name: {"type": "integer"}}, "required": [name]}
            grammar = compile_grammar({"type": "json", "value": schema}, style=style)
            right = grammar.accepts(json.dumps({name: 3}).encode())
            if not right or grammar.accepts(json.dumps({name: "3"}).encode()):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
