"""What a term allows over and over: enough to allow whole subtrees of a vocabulary without a walk.

A term that begins with `x{2,20}` allows any row of up to 20 `x`, whatever comes behind or beside
it. Its successors are other terms, one for each `x`; nobody has to make them to know that much.
"""

from __future__ import annotations

from .arena import MARKED, Kind
from .terms import Terms

WIDTH = 16  # members of a union that are looked at
WITHOUT_END = 1 << 20  # texts; more than any token has bytes


def repeated(terms: Terms, term: int) -> tuple[int, int] | None:
    """Return an `x` and how many of it any row may have at least; None if nothing shows.

    A bound that is a mark stands for many, and is left to who counts.
    """
    nodes, best = terms.nodes, None
    left = [term]
    while left:
        part = left.pop()
        node = nodes[part]
        if node[0] == Kind.UNION:
            left += node[1] if len(node[1]) <= WIDTH else ()
        elif node[0] == Kind.LEXEME:
            left.append(node[1])
        elif terms.certain(part):
            head = nodes[node[1]] if node[0] == Kind.CONCAT else node
            most = _most(head) if head[0] == Kind.REPEAT else 0
            if most and (best is None or most > best[1]):
                best = head[1], most
    return best


def _most(repeat: tuple[int, int, int, int | None]) -> int:
    _, _, low, high = repeat
    if low >= MARKED or (high is not None and high >= MARKED):
        return 0
    return WITHOUT_END if high is None else min(high, WITHOUT_END)
