"""Token bytes and tries of the tokenizers that real models use."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from lockstitch.fsm.tokenizer_bytes import PROBES
from lockstitch.fsm.trie import VocabularyTrie
from lockstitch.fsm.vocabulary import Vocabulary

REAL = ["smollm2_tokenizer", "deepseek_tokenizer", "qwen_tokenizer", "gemma_tokenizer"]
TEXTS = [
    *PROBES,
    '{"a": [1, 2.5, -3e-7, true, null], "k é": "\\ud83d\\ude00 \U0001f600"}',
    "    def f(x):\n\t\treturn x  # naïve\r\n\r\n",
    "The quick brown fox — jumps over the “lazy” dog… 100% of the time!",
    "ひらがなカタカナ漢字 ไทย বাংলা አማርኛ ქართული",
    "\x00\x01\x02\x1f\x7f\u0080\ufffd\U0010ffff",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + " " * 40 + "\n" * 12 + "=" * 30,
]


def check_text(tokenizer: Any, vocabulary: Vocabulary, text: str) -> None:
    """Bytes equal the text and equal what is decoded, but for one space in front."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    data = b"".join(vocabulary.token_bytes[i] or b"" for i in ids)
    assert data in (text.encode(), b" " + text.encode())
    decoded = tokenizer.decode(ids, clean_up_tokenization_spaces=False).encode()
    assert data in (decoded, b" " + decoded)


@pytest.mark.parametrize("fixture", REAL)
def test_token_bytes(fixture: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Any = request.getfixturevalue(fixture)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    for text in TEXTS:
        check_text(tokenizer, vocabulary, text)
    assert vocabulary.size == len(tokenizer)
    for i in range(0, vocabulary.size, 17):
        check_token(tokenizer, vocabulary, i)
    silent = {i for i, token in enumerate(vocabulary.token_bytes) if token is None}
    assert silent == set(tokenizer.all_special_ids) | {
        i for i, token in tokenizer.added_tokens_decoder.items() if token.special
    }


def check_token(tokenizer: Any, vocabulary: Vocabulary, token_id: int) -> None:
    """A token that is whole characters decodes to its bytes, skipped ones to nothing."""
    data = vocabulary.token_bytes[token_id]
    text = tokenizer.decode(
        [token_id], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    if "�" not in text:
        assert text.encode() == (data or b"")
    else:
        assert data is not None
        assert "�" in data.decode(errors="replace")


def test_all_utf8_bytes_are_tokens_of_a_byte_level_tokenizer(deepseek_tokenizer: Any) -> None:
    trie = Vocabulary.from_tokenizer(deepseek_tokenizer).trie
    used = [*range(0xC0), *range(0xC2, 0xF5)]
    assert all(len(trie.tokens_at(trie.find(bytes([byte])))) for byte in used)


@pytest.mark.parametrize("fixture", REAL)
def test_trie(fixture: str, request: pytest.FixtureRequest) -> None:
    vocabulary = Vocabulary.from_tokenizer(request.getfixturevalue(fixture))
    trie = vocabulary.trie
    check_invariants(trie)
    legal = [i for i, token in enumerate(vocabulary.token_bytes) if token]
    assert sorted(trie.token_ids.tolist()) == legal
    for i in random.Random(fixture).sample(legal, 1000):
        token = vocabulary.token_bytes[i]
        assert token is not None
        node = trie.find(token)
        assert i in trie.tokens_at(node)
        assert trie.path(node) == token


def check_invariants(trie: VocabularyTrie) -> None:
    """What preorder means, for all nodes at once."""
    node = np.arange(1, trie.node_count)
    above = trie.parent[1:]
    assert (above < node).all()
    assert (trie.depth[1:] == trie.depth[above] + 1).all()
    assert ((node < trie.skip[1:]) & (trie.skip[1:] <= trie.skip[above])).all()
    assert (trie.height[above] > trie.height[1:]).all()
    assert ((trie.height == 0) == (trie.skip == np.arange(trie.node_count) + 1)).all()
    following = trie.skip[1:]
    sibling = (
        following < trie.skip[above]
    )  # a node ends either at a sibling or where its parent ends
    assert (trie.parent[following[sibling]] == above[sibling]).all()
    assert (trie.byte[following[sibling]] > trie.byte[1:][sibling]).all()
    leaves = trie.height == 0
    assert (np.diff(trie.token_start)[leaves] > 0).all()
