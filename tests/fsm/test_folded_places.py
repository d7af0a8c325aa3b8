"""Places in host names and mailboxes that differ in what is far away share their masks."""

from __future__ import annotations

import random
from itertools import product
from typing import cast

import numpy as np
import pytest
from small_vocabulary import small_vocabulary, viable

from lockstitch.constraint.automaton import UNMADE, Automaton
from lockstitch.constraint.formats.hostnames import Hosts, Place, State, first_place
from lockstitch.constraint.formats.machine import Speller
from lockstitch.constraint.formats.mail import Domain, Local, Mail
from lockstitch.constraint.grammar import compile_grammar
from lockstitch.constraint.regex.utf8 import Utf8Alphabet
from lockstitch.constraint.stepping import step, walk
from lockstitch.constraint.terms.terms import Terms
from lockstitch.fsm.bitmask import unpack
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.vocabulary import Vocabulary

HORIZON = 5
TEXTS = ["".join(text) for n in range(HORIZON + 1) for text in product("a1-.", repeat=n)]
TEXTS += ["xn--a", "xn--", "n--ab", "-xn--", ".xn--", "b.c-d"]
LABELS = ["", "a", "a-", "a" * 20, "a" * 61, "xn-", "xn--a", "xn--a-", "xn--mgb", "a" * 63]


def speller() -> Speller:
    terms = Terms()
    return Speller(terms, Utf8Alphabet(terms))


def behind(hosts: Hosts, place: State, text: str) -> State | None:
    """Return the place behind a text, None if it leaves the names."""
    for char in text:
        found = [
            s for ranges, s in hosts.steps(place) if any(a <= ord(char) <= b for a, b in ranges)
        ]
        if not found:
            return None
        place = cast(State, found[0])
    return place


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("room", [253, 200, 145, 144, 143, 129, 128, 127, 100, 81, 80, 79, 70, 64])
def test_a_folded_place_allows_the_same_texts(label: str, room: int) -> None:
    hosts = Hosts(speller(), international=False)
    place = behind(hosts, first_place(room), label)
    assert place is not None
    folded = cast(State, hosts.folded(place, HORIZON))
    assert folded.room <= place.room
    for text in TEXTS:
        one, other = behind(hosts, place, text), behind(hosts, folded, text)
        assert (one is None) == (other is None), text
        assert one is None or other is None or hosts.accepts(one) == hosts.accepts(other), text


def test_long_texts_are_the_same_as_far_as_the_horizon() -> None:
    hosts, rng, dead = Hosts(speller(), international=False), random.Random(1), 0
    for _ in range(300):
        horizon = rng.randint(60, 130)
        labels = ["a" * rng.choice((1, 2, 30, 62, 63, 64)) for _ in range(60)]
        text = ".".join(labels)[:horizon]
        place = behind(hosts, first_place(rng.randint(64, 253)), rng.choice(LABELS))
        assert place is not None
        folded = cast(State, hosts.folded(place, horizon))
        one, other = behind(hosts, place, text), behind(hosts, folded, text)
        assert (one is None) == (other is None), (place, text)
        dead += one is None
    assert 50 < dead < 250


def test_what_is_further_away_is_left_out() -> None:
    """So folding does leave something out: beyond the horizon the languages differ."""
    hosts = Hosts(speller(), international=False)
    place = first_place(253)
    folded = cast(State, hosts.folded(place, HORIZON))
    assert folded == hosts.folded(first_place(200), HORIZON) != place
    longer = "a." * 30 + "a" * 60
    assert behind(hosts, place, longer) is not None
    assert behind(hosts, folded, longer) is None
    assert Hosts(speller(), international=True).folded(place, HORIZON) == place
    assert isinstance(place, Place)


def test_domains_of_mailboxes_are_folded_and_local_parts_are_not() -> None:
    mail = Mail(speller(), international=False)
    assert mail.folded(Domain(250), HORIZON) == mail.folded(Domain(200), HORIZON)
    assert mail.folded(Domain(60), HORIZON) == Domain(60)
    assert mail.folded(Local("atom", 7), HORIZON) == Local("atom", 7)
    assert mail.folded(first_place(253), HORIZON) == mail.folded(first_place(200), HORIZON)


@pytest.mark.parametrize("name", ["hostname", "email"])
@pytest.mark.parametrize(
    "label", ["", "w.", "x", "xn", "xn-", "xn--", "xn--c", "xn--com", "xn--c-"]
)
def test_encoded_labels_begin_in_two_ways(name: str, label: str) -> None:
    """Behind `xn--` a letter stands for itself or is a digit of an encoded one."""
    words = [b"xn--com", b"w.xn--c", b"xn--a", b"--com", b"--c-", b"om-", b"com-9a", b"-9", b"com"]
    table: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    vocabulary = Vocabulary([*table, *words, None], [256 + len(words)])
    grammar = compile_grammar({"type": "json", "value": {"type": "string", "format": name}})
    fsm = TokenFSM(grammar, vocabulary)
    text = ('"' + ("j@" if name == "email" else "") + label).encode()
    state = fsm.advance_bytes(fsm.start, text)
    assert state is not None
    wrong = unpack(fsm.token_mask(state), vocabulary.size) != viable(grammar, vocabulary, text)
    assert not np.any(wrong), np.flatnonzero(wrong)
    for token in np.flatnonzero(unpack(fsm.token_mask(state), vocabulary.size)).tolist():
        behind = text + (vocabulary.token_bytes[token] or b"")
        after = unpack(fsm.token_mask(fsm.advance(state, token)), vocabulary.size)
        assert np.array_equal(after, viable(grammar, vocabulary, behind)), behind


def test_a_state_without_a_term_is_not_folded() -> None:
    """Not even where a place in a host name was the last term that was made."""
    grammar = compile_grammar({"type": "json", "value": {"type": "string", "format": "hostname"}})
    automaton = Automaton(grammar)
    automaton.term(step(automaton, walk(automaton, automaton.start, b'"www'), ord("a")))
    last = len(automaton.terms) - 1
    place = automaton.number(last)
    assert automaton.machines.folded(place, last, HORIZON) != place
    assert automaton.terms_of[1] == UNMADE
    assert automaton.machines.folded(1, UNMADE, HORIZON) == 1


@pytest.mark.parametrize("name", ["hostname", "email"])
@pytest.mark.parametrize("octets", [0, 20, 100, 140, 160, 170, 180, 186, 188, 190, 191, 192, 240])
def test_masks_are_exact_however_much_room_is_left(name: str, octets: int) -> None:
    vocabulary = small_vocabulary()
    grammar = compile_grammar({"type": "json", "value": {"type": "string", "format": name}})
    fsm = TokenFSM(grammar, vocabulary)
    begin = "j@" if name == "email" else ""
    for label in ("", "a", "b" * 40, "c-", "d" * 63):
        labels = ("e" * 19 + ".") * (octets // 20) + ("e" * (octets % 20 - 1) + ".") * (
            octets % 20 > 1
        )
        text = ('"' + begin + labels + label).encode()
        state = fsm.advance_bytes(fsm.start, text)
        if state is not None:
            wrong = unpack(fsm.token_mask(state), vocabulary.size) != viable(
                grammar, vocabulary, text
            )
            assert not np.any(wrong), text
