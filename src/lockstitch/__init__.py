"""Lockstitch: text generation that always matches its grammar.

The public names are loaded on first use, so `import lockstitch` costs a few milliseconds and
brings in neither numpy nor torch. What can be imported from here is the contract; everything else
may move.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .constraint.grammar import Grammar, compile_grammar
    from .constraint.text.style import TextStyle
    from .engine.engine import Engine
    from .engine.jobs.job import Job, run_job
    from .engine.jobs.prompting import PromptForm
    from .engine.jobs.sources import Source
    from .fsm.token_fsm import TokenFSM
    from .fsm.vocabulary import Vocabulary
    from .schemas.errors import (
        GrammarError,
        LockstitchError,
        TokenRejectedError,
        ValidationError,
    )
    from .schemas.response import GenerateResponse, StreamEvent

__version__ = "0.1.0"

__all__ = [
    "Engine",
    "GenerateResponse",
    "Grammar",
    "GrammarError",
    "Job",
    "LockstitchError",
    "PromptForm",
    "Source",
    "StreamEvent",
    "TextStyle",
    "TokenFSM",
    "TokenRejectedError",
    "ValidationError",
    "Vocabulary",
    "__version__",
    "compile_grammar",
    "run_job",
]

_HOMES = {
    "Engine": ".engine.engine",
    "GenerateResponse": ".schemas.response",
    "Grammar": ".constraint.grammar",
    "GrammarError": ".schemas.errors",
    "Job": ".engine.jobs.job",
    "LockstitchError": ".schemas.errors",
    "PromptForm": ".engine.jobs.prompting",
    "Source": ".engine.jobs.sources",
    "StreamEvent": ".schemas.response",
    "TextStyle": ".constraint.text.style",
    "TokenFSM": ".fsm.token_fsm",
    "TokenRejectedError": ".schemas.errors",
    "ValidationError": ".schemas.errors",
    "Vocabulary": ".fsm.vocabulary",
    "compile_grammar": ".constraint.grammar",
    "run_job": ".engine.jobs.job",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
