"""Recursion without the stack: functions that yield their sub-calls, and the loop that runs them.

A regex may nest as deep as its limit allows and is compiled inside whatever called it, so its
recursive functions are written as generators: `value = yield other(...)` calls, `return value`
answers.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Call: TypeAlias = Generator[Any, Any, T]


def run(call: Call[T]) -> T:
    """Run a generator and all it calls to the end and return its result."""
    stack: list[Call[Any]] = [call]
    value: Any = None
    while True:
        try:
            stack.append(stack[-1].send(value))
            value = None
        except StopIteration as end:
            stack.pop()
            value = end.value
            if not stack:
                return value  # type: ignore[no-any-return]
