"""What the grammars of a style share over a vocabulary, made before the first one is met."""

from __future__ import annotations

from ..constraint.automaton import Automaton
from ..constraint.grammar import compile_grammar
from ..constraint.stepping import walk
from ..constraint.text.style import TextStyle
from .mask_builder import MaskBuilder
from .vocabulary import Vocabulary

BEGUN: tuple[object, ...] = ({}, {"type": "string", "maxLength": 60})


def warm_up(style: TextStyle, vocabulary: Vocabulary) -> None:
    """Load the kernels and make what JSON texts have in common: strings, also with a length.

    The first grammar does it otherwise. Cost: 60 ms, most of it walks of strings, kept as long as
    the vocabulary is.
    """
    for schema in BEGUN:
        grammar = compile_grammar({"type": "json", "value": schema}, style=style)
        with grammar.lock:
            automaton = Automaton(grammar)
            builder = MaskBuilder(automaton, vocabulary)
            for text in (b"", b'"'):
                builder.build(walk(automaton, automaton.start, text))
