"""Tries kept on disk: what is read is what was written, or it is made again."""

from __future__ import annotations

import io
import os
import pickle
import threading
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

from lockstitch import compile_grammar
from lockstitch.fsm import artefacts
from lockstitch.fsm import vocabulary as vocabulary_module
from lockstitch.fsm.token_fsm import TokenFSM
from lockstitch.fsm.trie import VocabularyTrie
from lockstitch.fsm.vocabulary import Vocabulary

TOKENS: list[bytes | None] = [*(bytes([i]) for i in range(256)), b'{"', b'":', b"ab", b"ab", None]
EOS = len(TOKENS) - 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every trie be stored, below a folder of its own."""
    monkeypatch.delenv(artefacts.SWITCH)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vocabulary_module, "LEAST_STORED", 0)
    return tmp_path / "lockstitch" / "vocabularies"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the tries that are built."""
    build, made = VocabularyTrie.build, []

    def counting(tokens: list[bytes | None]) -> VocabularyTrie:
        made.append(len(tokens))
        return build(tokens)

    monkeypatch.setattr(VocabularyTrie, "build", counting)
    return made


def vocabulary() -> Vocabulary:
    return Vocabulary(TOKENS, [EOS])


def assert_same(trie: VocabularyTrie) -> None:
    expected = VocabularyTrie.build(TOKENS).arrays()
    for name, array in trie.arrays().items():
        assert array.dtype == expected[name].dtype
        assert np.array_equal(array, expected[name]), name


def stored(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_a_trie_is_built_once_a_machine(folder: Path, builds: list[int]) -> None:
    assert_same(vocabulary().trie)
    made = len(builds)
    again = vocabulary()
    assert_same(again.trie)
    assert len(builds) == made + 1, "only the comparison builds one"
    assert stored(folder).name.startswith(again.fingerprint)
    assert not stored(folder).stat().st_mode & 0o077, "nobody else's business"


def test_masks_are_those_of_a_trie_that_was_built(folder: Path) -> None:
    grammar = {"type": "json", "value": {"properties": {"ab": {"type": "string"}}}}

    def masks(words: Vocabulary) -> list[bytes]:
        fsm = TokenFSM(compile_grammar(grammar), words)
        state, found = fsm.start, []
        for byte in b'{"ab": "ab"}':
            found.append(fsm.token_mask(state).tobytes())
            state = fsm.advance(state, byte)
        return found

    built = masks(vocabulary())
    assert stored(folder).exists()
    assert masks(vocabulary()) == built


def shorten(content: bytes) -> bytes:
    return content[:-100]


def cut_to_nothing(content: bytes) -> bytes:
    return b""


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def signed(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=32).digest() + payload


def no_archive(content: bytes) -> bytes:
    return signed(b"not an archive")


class Bomb:
    """Unpickling one would be seen."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("unpickled",)


def pickled(content: bytes) -> bytes:
    return signed(pickle.dumps(Bomb()))


def pickled_inside(content: bytes) -> bytes:
    text = io.BytesIO()
    np.savez(text, byte=np.array([Bomb()], object))
    return signed(text.getvalue())


def arrays_with(**changed: object) -> Callable[[bytes], bytes]:
    """Return a change to arrays that leaves everything else as written, its digest too."""

    def poison(content: bytes) -> bytes:
        with np.load(io.BytesIO(content[32:])) as archive:
            arrays = dict(archive)
        for name, change in changed.items():
            assert callable(change)
            arrays[name] = change(arrays[name])
        text = io.BytesIO()
        np.savez(text, **arrays)
        return signed(text.getvalue())

    return poison


def put(at: int, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[at] = value
        return array

    return change


POISONS = [
    shorten,
    cut_to_nothing,
    flip,
    no_archive,
    pickled,
    pickled_inside,
    arrays_with(token_ids=put(3, 10**9)),
    arrays_with(token_ids=put(3, -1)),
    arrays_with(token_ids=put(3, len(TOKENS))),
    arrays_with(token_start=put(5, 10**6)),
    arrays_with(token_start=put(5, -1)),
    arrays_with(token_start=put(-1, 10**6)),
    arrays_with(skip=put(7, 7)),
    arrays_with(skip=put(7, 10**6)),
    arrays_with(depth=put(7, 9)),
    arrays_with(depth=put(7, 0)),
    arrays_with(depth=put(0, 1)),
    arrays_with(height=put(0, 0)),
    arrays_with(parent=put(7, 7)),
    arrays_with(parent=put(7, -2)),
    arrays_with(parent=lambda array: array[:-1]),
    arrays_with(byte=lambda array: array.astype(np.int64)),
    arrays_with(byte=lambda array: array[:, None]),
]


@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_file_is_made_again(
    poison: Callable[[bytes], bytes],
    folder: Path,
    tmp_path: Path,
    builds: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert vocabulary().trie
    path = stored(folder)
    right = path.read_bytes()
    path.write_bytes(poison(right))
    assert_same(vocabulary().trie)
    assert not (tmp_path / "unpickled").exists()
    assert path.read_bytes() == right, "the next process finds it whole"
    made = len(builds)
    assert vocabulary().trie
    assert len(builds) == made


def test_other_tokens_other_file(folder: Path) -> None:
    assert vocabulary().trie
    assert Vocabulary([*TOKENS, b"more"], [EOS]).trie.node_count != vocabulary().trie.node_count
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("said", ["off", "OFF", "0", "false", "no"])
def test_it_can_be_turned_off(said: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(artefacts.SWITCH, said)
    assert_same(vocabulary().trie)
    assert not folder.exists()


def test_small_vocabularies_stay_off_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary_module, "LEAST_STORED", 10_000)
    assert_same(vocabulary().trie)
    assert not folder.exists()


def test_a_disk_that_cannot_be_written_costs_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert_same(vocabulary().trie)
    assert not list(folder.iterdir()), "no draft is left behind"


def test_a_folder_that_is_a_file(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    assert_same(vocabulary().trie)


def test_the_oldest_files_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "MOST_FILES", 3)
    for i in range(5):
        artefacts.store(f"print-{i}", {"a": np.arange(3)})
        os.utime(folder / f"print-{i}-v{artefacts.VERSION}.arrays", (i, i))
    kept = [i for i in range(5) if artefacts.load(f"print-{i}") is not None]
    assert kept == [2, 3, 4]


def test_reading_counts_as_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "MOST_FILES", 2)
    for i in range(2):
        artefacts.store(f"print-{i}", {"a": np.arange(3)})
        os.utime(folder / f"print-{i}-v{artefacts.VERSION}.arrays", (i, i))
    assert artefacts.load("print-0") is not None
    artefacts.store("print-2", {"a": np.arange(3)})
    assert artefacts.load("print-1") is None
    assert artefacts.load("print-0") is not None


def test_many_at_once_leave_one_whole_file(folder: Path) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            assert_same(vocabulary().trie)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert artefacts.load(vocabulary().fingerprint) is not None
    assert stored(folder)
