"""No loop is compiled or loaded in the middle of a text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import pkgutil, importlib, random
from numba.core.dispatcher import Dispatcher
from small_vocabulary import check_walk, small_vocabulary
from lockstitch import TokenFSM, compile_grammar, fsm

names = [module.name for module in pkgutil.iter_modules(fsm.__path__)]
modules = [importlib.import_module(f"lockstitch.fsm.{name}") for name in names]
loops = {f for m in modules for f in vars(m).values() if isinstance(f, Dispatcher)}
def loaded():
    public = [f for f in loops if not f.__name__.startswith("_")]  # others are parts of these
    return {f.__name__: len(f.overloads) for f in public}

TokenFSM(compile_grammar({"type": "regex", "value": "a"}), small_vocabulary())
before = loaded()
assert all(before.values()), before
schemas = [
    {"type": "object", "additionalProperties": {"type": "string", "maxLength": 40}},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 300},
    {"enum": ["ab", "a", 1, None, {"a": [True]}]},
]
for schema in schemas:
    grammar = compile_grammar({"type": "json", "value": schema})
    one = TokenFSM(grammar, small_vocabulary())
    for seed in range(4):
        check_walk(grammar, one, random.Random(seed), 30)
        one.allowed_tokens(one.start), one.tokens_within(one.start, 90)
        for state in (one.start, one.finished):
            one.fill_mask(state, one.token_mask(state).copy())
assert loaded() == before, (loaded(), before)
"""


def test_every_loop_is_loaded_before_the_first_mask() -> None:
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
