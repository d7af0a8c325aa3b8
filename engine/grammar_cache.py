"""Grammars that were compiled before, by what they say.

A batch job sends the same schema with every row, and compiling is cheap but what a token FSM has
learnt about its states is not. The cache keeps the last ones used; one that is being compiled is
waited for, not compiled twice, and nobody waits for another grammar. What was refused is refused
again at once: it can have taken seconds to find out.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from copy import copy
from hashlib import blake2b

from ..constraint.grammar import Grammar, compile_grammar
from ..constraint.text.style import TextStyle
from ..fsm.token_fsm import TokenFSM
from ..fsm.vocabulary import Vocabulary
from ..fsm.warm_up import warm_up
from ..schemas.errors import GrammarError, GrammarTooLargeError
from ..schemas.grammar import JsonGrammar, parse_grammar

MOST_GRAMMARS = 64
MOST_REFUSALS = 1024
MOST_BYTES = 1 << 30  # of all grammars together, with the masks that they have met
QUICK_FUEL = 20_000  # steps; some tens of milliseconds


class SlowGrammarError(Exception):
    """A grammar that takes longer than a quick caller waits; ask again without `quick`."""


class GrammarCache:
    """Token FSMs of one vocabulary and one style; thread-safe.

    What they share is made with the cache, so that no request pays for it. `compile_slow` is what
    compiles a grammar for callers that are not quick.
    """

    def __init__(self, vocabulary: Vocabulary, style: TextStyle) -> None:
        self.compile_slow: Callable[[object, TextStyle], Grammar] = _compile
        self._vocabulary = vocabulary
        self._style = style
        self._lock = threading.Lock()
        self._fsms: OrderedDict[Hashable, Future[TokenFSM]] = OrderedDict()
        self._refused: OrderedDict[bytes, GrammarError] = OrderedDict()
        warm_up(style, vocabulary)

    def get(self, grammar: object, *, quick: bool = False) -> TokenFSM | None:
        """Return the token FSM of a `grammar` field or a compiled Grammar, None if it allows all.

        Raises GrammarError, and SlowGrammarError for a quick caller who would have to wait.
        """
        if isinstance(grammar, Grammar):
            return self._kept(grammar, grammar, quick=quick)
        parsed = parse_grammar(grammar)
        if parsed is None:
            return None
        if isinstance(parsed, JsonGrammar):
            return self._unless_refused("json", json.dumps(parsed.schema), parsed, quick=quick)
        return self._unless_refused("regex", parsed.pattern, parsed, quick=quick)

    def _unless_refused(self, kind: str, text: str, grammar: object, *, quick: bool) -> TokenFSM:
        """Return the token FSM of a grammar that nobody knows to be refused."""
        digest = blake2b(f"{kind} {text}".encode(errors="surrogatepass"), digest_size=16).digest()
        with self._lock:
            refused = self._refused.get(digest)
        if refused is not None:
            raise copy(refused)
        try:
            return self._kept((kind, text), grammar, quick=quick)
        except GrammarError as error:
            with self._lock:
                self._refused[digest] = copy(error)
                while len(self._refused) > MOST_REFUSALS:
                    self._refused.popitem(last=False)
            raise

    def _kept(self, key: Hashable, grammar: object, *, quick: bool) -> TokenFSM:
        while True:
            future, new = self._place(key)
            if new:
                self._fill(future, key, grammar, quick=quick)
            elif quick and not future.done():
                raise SlowGrammarError
            try:
                return future.result()
            except SlowGrammarError:
                if quick:
                    raise

    def _place(self, key: Hashable) -> tuple[Future[TokenFSM], bool]:
        """Return the place of a grammar, and whether the caller has to fill it."""
        with self._lock:
            found = self._fsms.get(key)
            if found is None:
                self._fsms[key] = Future()
            self._fsms.move_to_end(key)
            self._trim()
            if key not in self._fsms:  # it has outgrown the limit
                found = None
                self._fsms[key] = Future()
            return self._fsms[key], found is None

    def _trim(self) -> None:
        """Drop the grammars used longest ago until the rest are few and small enough.

        Also any that has outgrown half of the limit alone: a grammar that remembers names meets new
        states for ever. Who writes with it keeps it; the next request compiles it anew.
        """
        sizes = {key: _bytes(future) for key, future in self._fsms.items()}
        for key in [key for key, size in sizes.items() if size > MOST_BYTES // 2]:
            del self._fsms[key], sizes[key]
        total = sum(sizes.values())
        while len(self._fsms) > MOST_GRAMMARS or total > MOST_BYTES:
            key, _ = self._fsms.popitem(last=False)
            total -= sizes[key]

    def _fill(
        self, future: Future[TokenFSM], key: Hashable, grammar: object, *, quick: bool
    ) -> None:
        """Compile into a place; a failure is told to those who wait and not kept."""
        try:
            compiled = grammar
            if not isinstance(compiled, Grammar):
                compile_ = _compile_quickly if quick else self.compile_slow
                compiled = compile_(grammar, self._style)
            future.set_result(TokenFSM(compiled, self._vocabulary))
        except BaseException as error:
            with self._lock:
                if self._fsms.get(key) is future:
                    del self._fsms[key]
            future.set_exception(error)


def _bytes(future: Future[TokenFSM]) -> int:
    """Return what a grammar holds, 0 while it is being compiled."""
    if not future.done() or future.exception() is not None:
        return 0
    return future.result().held_bytes


def _compile(grammar: object, style: TextStyle) -> Grammar:
    return compile_grammar(grammar, style=style)


def _compile_quickly(grammar: object, style: TextStyle) -> Grammar:
    try:
        return compile_grammar(grammar, style=style, fuel=QUICK_FUEL)
    except GrammarTooLargeError as error:
        if error.allowed == QUICK_FUEL:
            raise SlowGrammarError from error
        raise
