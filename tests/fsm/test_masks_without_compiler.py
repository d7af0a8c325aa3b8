"""The kernels say the same as plain Python: masks with and without numba's compiler are equal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import random, sys
from hashlib import blake2b
from small_vocabulary import small_vocabulary
from lockstitch import TextStyle, TokenFSM, compile_grammar
from lockstitch.fsm.bitmask import allowed_ids

SCHEMAS = [
    {"type": "object"},
    {"type": "array", "items": {"type": "string", "maxLength": 4}, "uniqueItems": True},
    {"properties": {"ab": {"type": "integer", "minimum": 3}, "a": {"pattern": "^a+b?$"}}},
    {"enum": ["ab", "a", 1, None, {"a": [True]}]},
    {"type": "string", "minLength": 2, "maxLength": 300},
]
GRAMMARS = [{"type": "json", "value": schema} for schema in SCHEMAS]
PATTERNS = ["[^a]{3,}abc", ".{0,40}", "(ab|[a-c]){2,5}"]
GRAMMARS += [{"type": "regex", "value": pattern} for pattern in PATTERNS]
digest = blake2b()
for grammar in GRAMMARS:
    for whitespace in ("spaced", "flexible"):
        vocabulary, rng = small_vocabulary(), random.Random(3)
        fsm = TokenFSM(compile_grammar(grammar, style=TextStyle(whitespace)), vocabulary)
        state = fsm.start
        for _ in range(25):
            mask = fsm.token_mask(state)
            digest.update(mask.tobytes())
            ids = allowed_ids(mask, vocabulary.size).tolist()
            text = [i for i in ids if i not in vocabulary.eos_token_ids]
            if not text:
                break
            state = fsm.advance(state, rng.choice(text))
print(digest.hexdigest())
"""


def masks(**environment: str) -> str:
    """Return a digest of the masks of a few walks, made by a process of its own."""
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("seed", ["0", "1"])
def test_masks_without_the_compiler(seed: str) -> None:
    """Nor do they depend on the order in which sets are gone through."""
    plain = masks(NUMBA_DISABLE_JIT="1", PYTHONHASHSEED=seed)
    assert plain == masks(PYTHONHASHSEED="2")
