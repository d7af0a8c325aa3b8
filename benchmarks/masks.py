"""Masks beside those of other engines: runs a harness in the manner of MaskBench with this engine.

`python benchmarks/masks.py HARNESS [--script run.py] ...` runs a script of the folder HARNESS with
the arguments that follow (README.md beside this file says what a harness is) and adds to its table
of engines `lockstitch`, and for each engine X one more, `X-warm`: a server that has met the schema.

`lockstitch` compiles each schema anew. `X-warm` runs every instance of a schema once untimed, then
compiles the schema again, which finds the one compiled before, and runs the instances again: what
the harness is given are the times of the second visit, in the same process.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lockstitch import TextStyle, TokenFSM, __version__, compile_grammar
from lockstitch.fsm.vocabulary import Vocabulary
from lockstitch.fsm.warm_up import warm_up

STYLE = TextStyle(whitespace="flexible")
MODULE = "lockstitch_adapter"


class Session:
    """One generation."""

    def __init__(self, fsm: TokenFSM) -> None:
        self._fsm, self._state = fsm, fsm.start

    def mask(self) -> Any:
        """Return the bits of the allowed tokens, 32 a word; the sign of a word is its last bit."""
        return self._fsm.token_mask(self._state)

    def fill(self, row: Any) -> None:
        """Write the mask into a row of a batch."""
        self._fsm.fill_mask(self._state, row)

    def advance(self, token: int) -> bool:
        """Take a token; raises TokenRejectedError for one that is not allowed."""
        self._state = self._fsm.advance(self._state, token)
        return True


class Compiled:
    """A grammar that is ready."""

    def __init__(self, fsm: TokenFSM) -> None:
        self.fsm = fsm

    def start(self) -> Session:
        """Begin a generation."""
        return Session(self.fsm)


class Adapter:
    """What the harness calls; `tok` is its tokenizer."""

    name, version = "lockstitch", __version__

    def __init__(self, tok: Any) -> None:
        table = [*tok.token_bytes, *[None] * (tok.n_vocab - len(tok.token_bytes))]
        self._vocabulary = Vocabulary(table, [tok.eos_id])
        self._vocabulary.trie  # noqa: B018 - built, or read from disk

    def prepare(self) -> None:
        """Make what grammars share, as an engine does when it starts, in the process it is for.

        A harness that forks calls this in the child: what the parent made would be copied there,
        page by page, by the steps that are measured.
        """
        warm_up(STYLE, self._vocabulary)

    def compile(self, kind: str, value: str) -> Compiled:
        """Compile a schema or a regex; raises GrammarError for what is refused."""
        grammar = compile_grammar(
            {"type": "json" if kind == "json_schema" else "regex", "value": value}, style=STYLE
        )
        return Compiled(TokenFSM(grammar, self._vocabulary))


def load_kernels() -> None:
    """Load what a process loads once, whatever its tokenizers.

    That are the compiled kernels, from disk, and what JSON texts and patterns begin with.
    """
    vocabulary = Vocabulary([*(bytes([byte]) for byte in range(256)), None], [256])
    json_grammar = {"type": "json", "value": {"maxLength": 3, "enum": ["a", "b"]}}
    for grammar in (json_grammar, {"type": "regex", "value": r"\d"}):
        TokenFSM(compile_grammar(grammar, style=STYLE), vocabulary)


class Known:
    """Any engine in front of a table of what it has compiled."""

    def __init__(self, tok: Any, *, of: Callable[[Any], Any]) -> None:
        self._engine = of(tok)
        self._known: dict[tuple[str, str], Any] = {}
        self.name, self.version = self._engine.name, self._engine.version

    def prepare(self) -> None:
        """Prepare the engine."""
        self._engine.prepare()

    def compile(self, kind: str, value: str) -> Any:
        """Return what was compiled for the same grammar before, or compile it."""
        if (kind, value) not in self._known:
            self._known.clear()  # the harness is done with the schema before
            self._known[kind, value] = self._engine.compile(kind, value)
        return self._known[kind, value]


def visit_twice(worker: Any) -> None:
    """Let the harness's worker run each schema of a `Known` engine twice, and tell the second."""
    once = worker.run_schema

    def run_schema(engine: Any, *given: Any, **options: Any) -> Any:
        if isinstance(engine, Known):
            once(engine, *given, **options)
        return once(engine, *given, **options)

    worker.run_schema = run_schema


def register(adapters: Any) -> None:
    """Add this engine, and every engine in its warm form, to the harness's table."""
    sys.modules[f"adapters.{MODULE}"] = sys.modules[__name__]
    adapters.ENGINES["lockstitch"] = (MODULE, {})
    plain = adapters.load_engine
    warm = {f"{name}-warm": name for name in list(adapters.ENGINES)}
    adapters.ENGINES.update(dict.fromkeys(warm, (MODULE, {})))

    def load_engine(name: str, tok: Any) -> Any:
        if name not in warm:
            return plain(name, tok)
        return Known(tok, of=lambda tok: plain(warm[name], tok))

    adapters.load_engine = load_engine


def harness_module(harness: Path, name: str) -> Any:
    """Import a module of the harness; `adapters` comes with this engine in its table."""
    if str(harness) not in sys.path:
        sys.path.insert(0, str(harness))
    module = importlib.import_module(name)
    if name == "adapters" and "lockstitch" not in module.ENGINES:
        register(module)
    return module


def main() -> None:
    """Add the engines to a harness and run a script of it."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    harness, arguments, script = Path(sys.argv[1]).resolve(), sys.argv[2:], "run.py"
    if arguments[:1] == ["--script"]:
        script, arguments = arguments[1], arguments[2:]
    for threads in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    harness_module(harness, "adapters")
    visit_twice(harness_module(harness, "worker"))
    sys.argv = [str(harness / script), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
