"""Masks beside those of other engines: runs a harness in the manner of MaskBench with this engine.

`python benchmarks/masks.py HARNESS --engine lockstitch --tokenizer DIR --corpora DIR --out DIR ...`
where HARNESS is the folder of a harness whose `run.py` takes these arguments and whose `adapters`
package has a table `ENGINES`; the engine is added to it under two names. `lockstitch` compiles each
schema anew, `lockstitch-warm` is a server that has met the schema: states that one instance has
visited are known to the next run of it. Other engines run with the same command and their name.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lockstitch import TextStyle, TokenFSM, __version__, compile_grammar
from lockstitch.fsm.vocabulary import Vocabulary

STYLE = TextStyle(whitespace="flexible")


class Session:
    """One generation."""

    def __init__(self, fsm: TokenFSM) -> None:
        self._fsm, self._state = fsm, fsm.start

    def mask(self) -> Any:
        """Return the bits of the allowed tokens, 32 a word."""
        return self._fsm.token_mask(self._state).view(np.uint32)

    def advance(self, token: int) -> bool:
        """Take a token; raises TokenRejectedError for one that is not allowed."""
        self._state = self._fsm.advance(self._state, token)
        return True


class Compiled:
    """A grammar that is ready."""

    def __init__(self, fsm: TokenFSM) -> None:
        self._fsm = fsm

    def start(self) -> Session:
        """Begin a generation."""
        return Session(self._fsm)


class Adapter:
    """What the harness calls; `tok` is its tokenizer."""

    name, version = "lockstitch", __version__

    def __init__(self, tok: Any, *, warm: bool = False) -> None:
        table = [*tok.token_bytes, *[None] * (tok.n_vocab - len(tok.token_bytes))]
        self._vocabulary = Vocabulary(table, [tok.eos_id])
        self._known: dict[tuple[str, str], Compiled] | None = {} if warm else None
        self.compile("regex", "[a-c]{1,3}").start().mask()  # loads what is compiled once a machine

    def prepare(self) -> None:
        """Do nothing: what a process needs is made as it is needed."""

    def compile(self, kind: str, value: str) -> Compiled:
        """Compile a schema or a regex; raises GrammarError for what is refused."""
        if self._known is None:
            return self._compiled(kind, value)
        if (kind, value) not in self._known:
            self._known[kind, value] = self._compiled(kind, value)
        return self._known[kind, value]

    def _compiled(self, kind: str, value: str) -> Compiled:
        grammar = compile_grammar(
            {"type": "json" if kind == "json_schema" else "regex", "value": value}, style=STYLE
        )
        return Compiled(TokenFSM(grammar, self._vocabulary))


def main() -> None:
    """Add the engine to a harness and run it."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    harness = Path(sys.argv[1]).resolve()
    sys.path.insert(0, str(harness))
    adapters = importlib.import_module("adapters")
    sys.modules["adapters.lockstitch"] = sys.modules[__name__]
    adapters.ENGINES["lockstitch"] = ("lockstitch", {})
    adapters.ENGINES["lockstitch-warm"] = ("lockstitch", {"warm": True})
    sys.argv = [str(harness / "run.py"), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
