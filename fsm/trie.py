"""The vocabulary trie: every token as a path of bytes, in flat arrays in depth-first order.

Token masks come from walking a grammar and this tree side by side: a byte the grammar refuses cuts
off all tokens below it at once. Nodes are numbered in preorder, so "next node" is `i + 1`, "leave
this subtree" is `skip[i]`, and the walk needs neither a stack nor recursion.

Sorted tokens make preorder cheap: after the token before it, a token adds exactly one node per byte
beyond their common prefix, in the order wanted. Everything here is numpy over that observation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from ..schemas.errors import ValidationError
from .loops import BELOW, contents_of

MAX_TOKEN_BYTES = 65_535
"""Longest token that a trie holds; depths and heights are 16 bit numbers."""

_KEY_BYTES = 8
_KINDS = {
    "byte": "uint8",
    "depth": "uint16",
    "height": "uint16",
    "parent": "int32",
    "skip": "int32",
    "token_start": "int32",
    "token_ids": "int32",
}

_Ints = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class VocabularyTrie:
    """Prefix tree over token bytes; node 0 is the root, children stand in ascending byte order.

    The arrays are shared and must not be written to. `n` is the number of nodes, root included.
    """

    byte: npt.NDArray[np.uint8]
    """(n,) byte on the edge into the node; 0 at the root, which has none."""
    depth: npt.NDArray[np.uint16]
    """(n,) number of bytes on the path from the root."""
    height: npt.NDArray[np.uint16]
    """(n,) number of bytes on the longest path below the node; 0 at a leaf."""
    parent: npt.NDArray[np.int32]
    """(n,) node above; -1 at the root."""
    skip: npt.NDArray[np.int32]
    """(n,) first node after the node's subtree; n where none follows."""
    token_start: npt.NDArray[np.int32]
    """(n + 1,) node i ends the tokens `token_ids[token_start[i]:token_start[i + 1]]`."""
    token_ids: npt.NDArray[np.int32]
    """(tokens,) token ids by node, ascending inside a node: ids with equal bytes share one."""
    nodes: npt.NDArray[np.int32] = field(init=False)
    """(n + 1, 4) byte, depth, skip and token_start side by side: a step reads one cache line."""
    first_nodes: npt.NDArray[np.int32] = field(init=False)
    """(256,) the node below the root by each byte, -1 where there is none."""
    contents: npt.NDArray[np.uint64] = field(init=False)
    """(n + 1, 4) which bytes are below a node and make characters or not (`loops.spell`)."""
    max_depth: int = field(init=False)
    """Bytes of the longest token; 0 for an empty trie."""

    def __post_init__(self) -> None:
        """Lay the columns that a walk reads next to each other, and look what is below nodes."""
        nodes = np.zeros((len(self.byte) + 1, 4), np.int32)
        nodes[:-1, 0], nodes[:-1, 1], nodes[:-1, 2] = self.byte, self.depth, self.skip
        nodes[:, 3] = self.token_start
        object.__setattr__(self, "nodes", nodes)
        first_nodes = np.full(256, -1, np.int32)
        below_root = np.flatnonzero(self.depth == 1)
        first_nodes[self.byte[below_root]] = below_root
        object.__setattr__(self, "first_nodes", first_nodes)
        object.__setattr__(self, "contents", contents_of(self.byte, self.parent))
        object.__setattr__(self, "max_depth", int(self.height[0]))

    @classmethod
    def build(cls, token_bytes: Sequence[bytes | None]) -> VocabularyTrie:
        """Trie of all tokens but None and b""; about 0.1 s for 150,000 tokens.

        Raises ValidationError for a token of more than `MAX_TOKEN_BYTES` bytes.
        """
        ids = [i for i, token in enumerate(token_bytes) if token]
        text, offset, length = _flatten([token_bytes[i] or b"" for i in ids])
        order = _sort(text, offset, length)
        offset, length = offset[order], length[order]
        shared = _common_prefixes(text, offset, length)
        added = length - shared
        end = np.cumsum(added)  # the node of a token: preorder hands out one number per added byte

        token = np.repeat(np.arange(len(order)), added)
        at = np.arange(len(token)) - (end - added)[token] + shared[token]
        depth = np.concatenate(([0], at + 1)).astype(np.uint16)
        parent, skip, height = _links(depth)
        count = np.bincount(end, minlength=len(depth))
        return cls(
            byte=np.concatenate((np.zeros(1, np.uint8), text[offset[token] + at])),
            depth=depth,
            height=height,
            parent=parent,
            skip=skip,
            token_start=np.concatenate(([0], np.cumsum(count))).astype(np.int32),
            token_ids=np.array(ids, np.int32)[order],
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name, to be stored."""
        return {name: getattr(self, name) for name in _KINDS}

    @classmethod
    def checked(cls, arrays: Mapping[str, npt.NDArray[Any]], size: int) -> VocabularyTrie | None:
        """Trie of stored arrays, None where a walk with them could leave an array of its own.

        The kernels index without looking; that is all that is checked, in some milliseconds. To
        compare every token's bytes would take as long as to build the trie anew.
        """
        kinds = {name: str(array.dtype) for name, array in arrays.items()}
        if kinds != _KINDS or any(array.ndim != 1 for array in arrays.values()):
            return None
        return cls(**arrays) if _are_safe(arrays, size) else None

    @property
    def node_count(self) -> int:
        """Number of nodes, root included."""
        return len(self.byte)

    def path(self, node: int) -> bytes:
        """Bytes from the root to `node`."""
        reverse = bytearray()
        while node > 0:
            reverse.append(self.byte[node])
            node = int(self.parent[node])
        return bytes(reversed(reverse))

    def find(self, prefix: bytes, start: int = 0) -> int:
        """Node that `prefix` leads to from node `start`, or -1 if no token goes that way."""
        return int(find_node(self.nodes, self.contents, prefix, 0, len(prefix), start))

    def tokens_at(self, node: int) -> npt.NDArray[np.int32]:
        """Ids of the tokens that end at `node`, ascending; a view."""
        return self.token_ids[self.token_start[node] : self.token_start[node + 1]]

    def tokens_below(self, node: int) -> npt.NDArray[np.int32]:
        """Ids of the tokens that end below `node`, those at it left out; a view."""
        return self.token_ids[self.token_start[node + 1] : self.token_start[self.skip[node]]]

    def tokens_from(self, node: int) -> npt.NDArray[np.int32]:
        """Ids of the tokens that end at or below `node`; a view."""
        return self.token_ids[self.token_start[node] : self.token_start[self.skip[node]]]

    def inner(self, nodes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Those of some nodes that have nodes below."""
        return nodes[self.skip[nodes] > nodes + 1]

    def child(self, node: int, byte: int) -> int:
        """Node below `node` by one byte, or -1 if there is none."""
        return self.find(bytes((byte,)), node)


@njit(cache=True, nogil=True)
def find_node(nodes: Any, contents: Any, text: bytes, begin: int, end: int, start: int) -> int:
    """Return the node that text[begin:end] leads to from node `start`, -1 if there is none.

    Shapes: nodes (n + 1, 4), contents (n + 1, 4), those of a trie.
    """
    node = start
    for at in range(begin, end):
        byte = text[at]
        if contents[node, BELOW] >> np.uint64(byte & 63) & np.uint64(1) == 0:
            return -1
        child, last = node + 1, nodes[node, 2]
        while child < last and nodes[child, 0] < byte:
            child = nodes[child, 2]
        if child >= last or nodes[child, 0] != byte:
            return -1
        node = child
    return node


def _are_safe(arrays: Mapping[str, npt.NDArray[Any]], size: int) -> bool:
    """Whether links lead onward and all numbers are those of nodes, tokens and depths."""
    depth, height, parent = arrays["depth"].astype(np.int32), arrays["height"], arrays["parent"]
    skip, start, ids = arrays["skip"], arrays["token_start"], arrays["token_ids"]
    n = len(arrays["byte"])
    if n == 0 or any(len(column) != n for column in (depth, height, parent, skip, start[1:])):
        return False
    nodes = np.arange(n, dtype=np.int32)
    return bool(
        (skip > nodes).all()
        and skip.max() <= n
        and (parent < nodes).all()
        and parent.min() == parent[0] == -1
        and (n == 1 or parent[1:].min() >= 0)
        and depth[0] == 0
        and (n == 1 or (depth[1:].min() > 0 and (np.diff(depth) <= 1).all()))
        and depth.max() <= height[0]
        and start[0] == 0
        and start[-1] == len(ids)
        and (np.diff(start) >= 0).all()
        and (len(ids) == 0 or (ids.min() >= 0 and ids.max() < size))
    )


def _flatten(tokens: list[bytes]) -> tuple[_Bytes, _Ints, _Ints]:
    """All bytes in one array (zeros behind for one more key), each token's offset and length."""
    length = np.fromiter(map(len, tokens), np.int64, len(tokens))
    if len(length) and length.max() > MAX_TOKEN_BYTES:
        raise ValidationError(
            f"a token has {length.max()} bytes; leave out tokens of over {MAX_TOKEN_BYTES} bytes",
            parameter="token_bytes",
        )
    text = np.frombuffer(b"".join(tokens) + bytes(_KEY_BYTES), np.uint8)
    return text, np.cumsum(length) - length, length


def _sort(text: _Bytes, offset: _Ints, length: _Ints) -> _Ints:
    """Order of the tokens by their bytes, and by their position where those are equal.

    Integers sort ten times as fast as byte strings, so the first eight bytes go as one number; only
    the tokens that tie there (a tail in any real vocabulary) are compared as strings.
    """
    key = np.zeros(len(offset), np.uint64)
    for i in range(_KEY_BYTES):
        digit = np.where(i < length, text[np.minimum(offset + i, len(text) - 1)], 0)
        key = key << np.uint64(8) | digit.astype(np.uint64)
    order = np.argsort(key)
    same = np.diff(key[order]) == 0
    tied = np.flatnonzero(np.append(False, same) | np.append(same, False))
    whole = text.tobytes()
    strings = {i: whole[offset[i] : offset[i] + length[i]] for i in np.sort(order[tied]).tolist()}
    order[tied] = sorted(strings, key=strings.__getitem__)
    return order


def _common_prefixes(text: _Bytes, offset: _Ints, length: _Ints) -> _Ints:
    """Length of the prefix that each token shares with the one before it; 0 for the first."""
    shared = np.zeros(len(offset), np.int64)
    limit = np.minimum(length[1:], length[:-1])
    going = np.arange(1, len(offset))
    at = 0
    while len(going):
        going = going[limit[going - 1] > at]
        going = going[text[offset[going] + at] == text[offset[going - 1] + at]]
        at += 1
        shared[going] = at
    return shared


def _links(
    depth: npt.NDArray[np.uint16],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint16]]:
    """Parent, skip and height of every node from the depths in preorder, one level at a time."""
    parent = np.full(len(depth), -1, np.int32)
    skip = np.full(len(depth), len(depth), np.int32)
    height = np.zeros(len(depth), np.uint16)
    by_depth = np.argsort(depth, kind="stable").astype(np.int32)
    levels = np.split(by_depth, np.cumsum(np.bincount(depth))[:-1])
    for above, level in pairwise(levels):
        parent[level] = above[np.searchsorted(above, level) - 1]
        has_sibling = np.append(np.diff(parent[level]) == 0, False)
        skip[level] = np.where(has_sibling, np.roll(level, -1), skip[parent[level]])
    for level in reversed(levels[1:]):
        first = np.flatnonzero(np.diff(parent[level], prepend=-1))  # of each group of siblings
        height[parent[level[first]]] = np.maximum.reduceat(height[level] + 1, first)
    return parent, skip, height
