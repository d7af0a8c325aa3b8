"""The table of token bytes itself: its checks, its fingerprint, and the trie it carries."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from lockstitch.fsm import vocabulary as vocabulary_module
from lockstitch.fsm.trie import VocabularyTrie
from lockstitch.fsm.vocabulary import Vocabulary
from lockstitch.schemas.errors import ValidationError


@pytest.mark.parametrize(
    ("eos", "message"),
    [
        ([], "no EOS token"),
        ([3], "outside the vocabulary of 3 tokens"),
        ([-1, 0], r"\[-1\]"),
        ([None], "must be integers"),
        (["2"], "must be integers"),
        (2, "must be integers"),
    ],
)
def test_bad_eos_ids(eos: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        Vocabulary([b"a", b"b", None], eos)
    assert caught.value.parameter == "eos_token_ids"


@pytest.mark.parametrize("token", ["a", 1, bytearray(b"a")])
def test_tokens_must_be_bytes(token: Any) -> None:
    with pytest.raises(ValidationError, match=r"token 1 is a \w+; give the bytes") as caught:
        Vocabulary([b"x", token, None], [2])
    assert caught.value.parameter == "token_bytes"


def test_a_plain_table() -> None:
    given_bytes = [b"a", b"", None, b"a", b"</s>"]
    vocabulary = Vocabulary(given_bytes, [4])
    given_bytes[0] = b"changed later"
    assert vocabulary.token_bytes == (b"a", b"", None, b"a", None)
    assert vocabulary.size == 5
    assert vocabulary.trie.token_ids.tolist() == [0, 3]
    assert repr(vocabulary) == "Vocabulary(size=5, eos_token_ids=[4])"


def test_fingerprint_is_stable() -> None:
    vocabulary = Vocabulary([b"a", b"bc", None, b""], [2])
    assert vocabulary.fingerprint == "ac2e65d4c7ff54ec18b989a2a9c89e15"
    assert vocabulary.fingerprint == Vocabulary((b"a", b"bc", b"x", b""), {2}).fingerprint


@pytest.mark.parametrize(
    ("token_bytes", "eos"),
    [
        ([b"ab", b"c", None, b""], [2]),
        ([b"a", b"bc", None, None], [2]),
        ([b"a", b"bc", None, b""], [2, 3]),
        ([b"a", b"bc", None, b"", None], [2]),
        ([b"a", b"bd", None, b""], [2]),
        ([b"bc", b"a", None, b""], [2]),
    ],
)
def test_fingerprint_tells_tables_apart(token_bytes: list[bytes | None], eos: list[int]) -> None:
    assert (
        Vocabulary(token_bytes, eos).fingerprint
        != Vocabulary([b"a", b"bc", None, b""], [2]).fingerprint
    )


def test_pickle_keeps_the_table(byte_vocabulary: Vocabulary) -> None:
    built = byte_vocabulary.trie
    copy = pickle.loads(pickle.dumps(byte_vocabulary))
    assert copy.token_bytes == byte_vocabulary.token_bytes
    assert copy.fingerprint == byte_vocabulary.fingerprint
    assert copy.trie.node_count == built.node_count


def test_the_trie_is_built_once_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    builds: list[int] = []
    inside = threading.Event()

    class Counting:
        @staticmethod
        def build(token_bytes: Any) -> Any:
            builds.append(threading.get_ident())
            inside.wait(0.2)  # nobody sets it: time for the other threads to come along
            return VocabularyTrie.build(token_bytes)

    monkeypatch.setattr(vocabulary_module, "VocabularyTrie", Counting)
    vocabulary = Vocabulary([b"a", None], [1])
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(vocabulary.trie)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert len(seen) == 8
    assert all(trie is seen[0] for trie in seen)
