"""Grammars that were compiled before, by what they say.

A batch job sends the same schema with every row, and compiling is cheap but what a token FSM has
learnt about its states is not. The cache keeps the last ones used; one that is being compiled is
waited for, not compiled twice.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Hashable

from ..constraint.grammar import Grammar, compile_grammar
from ..constraint.text.style import TextStyle
from ..fsm.token_fsm import TokenFSM
from ..fsm.vocabulary import Vocabulary
from ..schemas.grammar import JsonGrammar, parse_grammar

MOST_GRAMMARS = 64


class GrammarCache:
    """Token FSMs of one vocabulary and one style; thread-safe."""

    def __init__(self, vocabulary: Vocabulary, style: TextStyle) -> None:
        self._vocabulary = vocabulary
        self._style = style
        self._lock = threading.Lock()
        self._fsms: OrderedDict[Hashable, TokenFSM] = OrderedDict()

    def get(self, grammar: object) -> TokenFSM | None:
        """Return the token FSM of a `grammar` field or of a compiled Grammar; None constrains
        nothing.

        Raises GrammarError.
        """
        if isinstance(grammar, Grammar):
            return self._kept(grammar, grammar)
        parsed = parse_grammar(grammar)
        if parsed is None:
            return None
        if isinstance(parsed, JsonGrammar):
            return self._kept(("json", json.dumps(parsed.schema)), parsed)
        return self._kept(("regex", parsed.pattern), parsed)

    def _kept(self, key: Hashable, grammar: object) -> TokenFSM:
        with self._lock:
            fsm = self._fsms.get(key)
            if fsm is None:
                compiled = grammar
                if not isinstance(compiled, Grammar):
                    compiled = compile_grammar(grammar, style=self._style)
                fsm = self._fsms[key] = TokenFSM(compiled, self._vocabulary)
            self._fsms.move_to_end(key)
            while len(self._fsms) > MOST_GRAMMARS:
                self._fsms.popitem(last=False)
            return fsm
