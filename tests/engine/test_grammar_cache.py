"""Grammars are compiled once, waited for, and dropped when they are too many or too large."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from small_vocabulary import small_vocabulary

from lockstitch import TextStyle, compile_grammar
from lockstitch.constraint.grammar import Grammar
from lockstitch.engine import grammar_cache
from lockstitch.engine.compile_apart import compile_apart
from lockstitch.engine.grammar_cache import GrammarCache, SlowGrammarError
from lockstitch.schemas.errors import GrammarTooLargeError, InvalidGrammarError

NAMES = [[f"{i}{j}" for j in range(5)] for i in range(5)]
SLOW = {
    "type": "json",
    "value": {"allOf": [{"oneOf": [{"required": [n]} for n in names]} for names in NAMES]},
}


@pytest.fixture
def cache() -> GrammarCache:
    return GrammarCache(small_vocabulary(), TextStyle())


def test_equal_grammars_are_one(cache: GrammarCache) -> None:
    first = cache.get({"type": "json", "value": {"enum": [1, 2]}})
    assert cache.get({"type": "json", "value": '{"enum": [1, 2]}'}) is first
    assert cache.get({"type": "json", "value": {"enum": [2, 1]}}) is not first
    assert cache.get({"type": "text"}) is None


def test_many_threads_compile_once(cache: GrammarCache, monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Barrier(8)
    compiled = []

    def slow(grammar: object, style: TextStyle) -> Grammar:
        compiled.append(grammar)
        return compile_grammar(grammar, style=style)

    cache.compile_slow = slow

    def get(_: int) -> Any:
        started.wait()
        return cache.get({"type": "regex", "value": "a{3}"})

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(get, range(8)))
    assert len(set(map(id, found))) == len(compiled) == 1


def test_a_refusal_is_found_out_once(cache: GrammarCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar_cache, "MOST_REFUSALS", 2)
    compiled = []

    def noted(grammar: object, style: TextStyle) -> Grammar:
        compiled.append(grammar)
        return compile_grammar(grammar, style=style)

    cache.compile_slow = noted
    for value in ["(a", "(a", "(b", "(c", "(a"]:  # the last one was forgotten
        with pytest.raises(InvalidGrammarError) as caught:
            cache.get({"type": "regex", "value": value})
        assert caught.value.offset == 0
    assert len(compiled) == 4


def test_a_quick_caller_does_not_wait(cache: GrammarCache) -> None:
    with pytest.raises(SlowGrammarError):
        cache.get(SLOW, quick=True)
    fsm = cache.get(SLOW)
    assert cache.get(SLOW, quick=True) is fsm


def test_the_oldest_go_when_there_are_too_many(
    cache: GrammarCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar_cache, "MOST_GRAMMARS", 2)
    grammars = [{"type": "regex", "value": text} for text in "abc"]
    first, second, _ = [cache.get(grammar) for grammar in grammars]
    assert cache.get(grammars[1]) is second
    assert cache.get(grammars[0]) is not first


def test_large_grammars_do_not_pile_up(
    cache: GrammarCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = cache.get(SLOW)
    assert large is not None
    monkeypatch.setattr(grammar_cache, "MOST_BYTES", large.held_bytes)
    newest = cache.get({"type": "regex", "value": "a"})
    assert cache.get({"type": "regex", "value": "a"}) is newest
    assert cache.get(SLOW) is not large


def test_a_grammar_that_has_grown_too_large_is_compiled_anew(
    cache: GrammarCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name that was written is a state of its own: one grammar alone could grow for ever."""
    grammar = {"type": "json", "value": {"type": "object"}}
    fsm, other = cache.get(grammar), cache.get(SLOW)
    assert fsm is not None
    assert other is not None
    monkeypatch.setattr(grammar_cache, "MOST_BYTES", 2 * max(fsm.held_bytes, other.held_bytes) + 1)
    assert cache.get(grammar) is fsm
    for name in range(2000):
        state = fsm.advance_bytes(fsm.start, f'{{"{name}": 1, "'.encode())
        assert state is not None
        fsm.token_mask(state)
        if fsm.held_bytes > other.held_bytes:
            break
    assert fsm.held_bytes > other.held_bytes
    monkeypatch.setattr(grammar_cache, "MOST_BYTES", 2 * fsm.held_bytes - 2)
    assert cache.get(grammar) is not fsm
    assert cache.get(SLOW) is other


def test_a_process_of_its_own_says_the_same() -> None:
    apart = compile_apart(SLOW, TextStyle())
    here = compile_grammar(SLOW)
    assert apart.shortest() == here.shortest()
    assert apart.report == here.report
    assert apart.accepts(here.shortest())
    with pytest.raises(InvalidGrammarError, match="not closed") as caught:
        compile_apart({"type": "regex", "value": "(a"}, TextStyle())
    assert caught.value.offset == 0


def test_memory_of_the_process_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed:
        returncode = -9
        stdout = b""

    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: Killed())
    with pytest.raises(GrammarTooLargeError, match="GiB of memory"):
        compile_apart(SLOW, TextStyle())


def test_a_defect_of_the_process_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match="compiling apart failed"):
        compile_apart(SLOW, TextStyle())
