"""What the grammars of a style share over a vocabulary, made before the first one is met."""

from __future__ import annotations

from ..constraint.automaton import DEAD, Automaton
from ..constraint.grammar import compile_grammar
from ..constraint.stepping import walk
from ..constraint.text.style import TextStyle
from .mask_builder import MaskBuilder
from .vocabulary import Vocabulary

STRING = {"type": "string"}
BEGUN: tuple[tuple[dict[str, object], tuple[bytes, ...]], ...] = (
    ({"type": "json", "value": {}}, (b"", b'"')),
    ({"type": "json", "value": {"type": "string", "maxLength": 60}}, (b"", b'"')),
    (
        {"type": "json", "value": {"properties": {"a": {"type": "array", "items": STRING}}}},
        (b'{"a":[', b'{"a":["'),
    ),
    ({"type": "regex", "value": r"\d{4}-[a-z]+"}, (b"", b"20", b"2024-a")),
)


def warm_up(style: TextStyle, vocabulary: Vocabulary) -> None:
    """Load the kernels and make what texts have in common.

    That are strings, also with a length, and what patterns begin with. The first grammar does it
    otherwise. Cost: 80 ms, most of it walks of strings, kept as long as the vocabulary is.
    """
    for field, texts in BEGUN:
        grammar = compile_grammar(field, style=style)
        with grammar.lock:
            automaton = Automaton(grammar)
            builder = MaskBuilder(automaton, vocabulary)
            states = (walk(automaton, automaton.start, text) for text in texts)
            for state in states:
                if state != DEAD:  # as are texts without blanks in a style that writes some
                    builder.build(state)
