"""What the grammars of a style share over a vocabulary, made before the first one is met."""

from __future__ import annotations

from ..constraint.automaton import Automaton
from ..constraint.grammar import compile_grammar
from ..constraint.text.style import TextStyle
from .mask_builder import MaskBuilder
from .vocabulary import Vocabulary


def warm_up(style: TextStyle, vocabulary: Vocabulary) -> None:
    """Load the kernels and make what any JSON text begins with: strings, numbers, blanks.

    The first grammar does it otherwise. Cost: 50 ms, most of it walks of strings, kept as long as
    the vocabulary is.
    """
    grammar = compile_grammar({"type": "json", "value": {}}, style=style)
    with grammar.lock:
        automaton = Automaton(grammar)
        MaskBuilder(automaton, vocabulary).build(automaton.start)
