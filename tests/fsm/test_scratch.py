"""Tests for the buffers that the walks of a thread share."""

from __future__ import annotations

import threading

import pytest

from lockstitch.fsm import scratch as scratch_module
from lockstitch.fsm.scratch import NO_ITEMS, Scratch, scratch


def test_a_thread_has_buffers_of_its_own() -> None:
    found: list[Scratch] = []
    threads = [threading.Thread(target=lambda: found.append(scratch())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scratch() is scratch()
    assert len({id(own) for own in (*found, scratch())}) == 3


def test_what_a_large_walk_needed_is_given_back() -> None:
    own = Scratch()
    own.make_room(scratch_module.KEPT_ROOM + 1, NO_ITEMS)
    assert len(own.work) > scratch_module.KEPT_ROOM
    assert own.begin(3) == 1
    assert len(own.work) == scratch_module.FIRST_ROOM


def test_stamps_begin_again_with_a_clean_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_module, "LAST_STAMP", 3)
    own = Scratch()
    assert [own.begin(0) for _ in range(3)] == [1, 2, 3]
    own.met[5] = 3
    assert own.begin(0) == 1
    assert not own.met.any()


def test_the_stack_is_as_deep_as_the_trie() -> None:
    own = Scratch()
    own.begin(100)
    assert len(own.stack) >= 102
