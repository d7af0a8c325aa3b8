"""The vocabulary trie against a tree of dicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstitch.fsm.trie import MAX_TOKEN_BYTES, VocabularyTrie
from lockstitch.schemas.errors import ValidationError

Row = tuple[int, int, int, int, int, list[int]]  # byte, depth, height, parent, skip, tokens

ALPHABET = st.sampled_from([0, 1, 0x61, 0x62, 0xFF])
SHORT = st.lists(ALPHABET, max_size=5).map(bytes)
LONG = SHORT.map(lambda tail: b"\x00abcdef" + tail)  # ties around the eight bytes of a sort key
VOCABULARIES = st.lists(st.one_of(st.none(), SHORT, LONG), max_size=30)


class DictNode:
    def __init__(self) -> None:
        self.children: dict[int, DictNode] = {}
        self.tokens: list[int] = []

    def add(self, token: bytes, token_id: int) -> None:
        node = self
        for byte in token:
            node = node.children.setdefault(byte, DictNode())
        node.tokens.append(token_id)

    def height(self) -> int:
        return max((1 + child.height() for child in self.children.values()), default=0)

    def number(self, rows: list[Row], byte: int, depth: int, parent: int) -> None:
        """Append the rows of this subtree in preorder."""
        at = len(rows)
        rows.append((byte, depth, self.height(), parent, 0, self.tokens))
        for child_byte in sorted(self.children):
            self.children[child_byte].number(rows, child_byte, depth + 1, at)
        rows[at] = (*rows[at][:4], len(rows), self.tokens)


def expected_rows(token_bytes: list[bytes | None]) -> list[Row]:
    root = DictNode()
    for token_id, token in enumerate(token_bytes):
        if token:
            root.add(token, token_id)
    rows: list[Row] = []
    root.number(rows, byte=0, depth=0, parent=-1)
    return rows


def rows_of(trie: VocabularyTrie) -> list[Row]:
    columns = (trie.byte, trie.depth, trie.height, trie.parent, trie.skip)
    tokens = [trie.tokens_at(node).tolist() for node in range(trie.node_count)]
    return list(zip(*(column.tolist() for column in columns), tokens, strict=True))


@given(VOCABULARIES)
def test_arrays_are_those_of_a_tree_of_dicts(token_bytes: list[bytes | None]) -> None:
    trie = VocabularyTrie.build(token_bytes)
    expected = expected_rows(token_bytes)
    assert rows_of(trie) == expected
    assert trie.max_depth == max((len(token) for token in token_bytes if token), default=0)
    assert trie.token_start.shape == (trie.node_count + 1,)
    assert len(trie.token_ids) == sum(1 for token in token_bytes if token)


@given(VOCABULARIES, st.one_of(SHORT, LONG), st.integers(0, 100))
def test_find_goes_where_the_bytes_go(
    token_bytes: list[bytes | None], prefix: bytes, pick: int
) -> None:
    trie = VocabularyTrie.build(token_bytes)
    paths = {trie.path(node): node for node in range(trie.node_count)}
    assert len(paths) == trie.node_count
    assert trie.find(prefix) == paths.get(prefix, -1)
    start = pick % trie.node_count
    assert trie.find(prefix, start) == paths.get(trie.path(start) + prefix, -1)


@given(VOCABULARIES)
def test_paths_are_the_prefixes_of_the_tokens(token_bytes: list[bytes | None]) -> None:
    trie = VocabularyTrie.build(token_bytes)
    prefixes = {token[:end] for token in token_bytes if token for end in range(len(token) + 1)}
    paths = [trie.path(node) for node in range(trie.node_count)]
    assert paths == sorted(prefixes | {b""})


def test_array_types_are_the_documented_ones() -> None:
    trie = VocabularyTrie.build([b"ab", None, b"a"])
    types = {
        "byte": "uint8",
        "depth": "uint16",
        "height": "uint16",
        "parent": "int32",
        "skip": "int32",
        "token_start": "int32",
        "token_ids": "int32",
    }
    for name, dtype in types.items():
        array = getattr(trie, name)
        assert (name, array.dtype.name) == (name, dtype)
        assert array.flags.c_contiguous


@pytest.mark.parametrize("token_bytes", [[], [None], [b"", None]])
def test_no_tokens_leave_the_root_alone(token_bytes: list[bytes | None]) -> None:
    assert rows_of(VocabularyTrie.build(token_bytes)) == [(0, 0, 0, -1, 1, [])]


def test_ids_with_equal_bytes_share_a_node() -> None:
    trie = VocabularyTrie.build([b"x", b"same", None, b"same", b"same"])
    assert trie.tokens_at(trie.find(b"same")).tolist() == [1, 3, 4]


@pytest.mark.slow
def test_the_longest_possible_token() -> None:
    trie = VocabularyTrie.build([bytes(MAX_TOKEN_BYTES)])
    assert trie.max_depth == trie.depth[-1] == MAX_TOKEN_BYTES


def test_one_byte_more_than_possible() -> None:
    with pytest.raises(ValidationError, match="65536 bytes"):
        VocabularyTrie.build([bytes(MAX_TOKEN_BYTES + 1)])
