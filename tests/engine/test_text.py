"""From tokens to text and its end: UTF-8 boundaries, special tokens, stop strings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_tokenizer

from lockstitch import Engine, Vocabulary
from lockstitch.engine.detokenizer import Detokenizer, TokenTexts
from lockstitch.engine.stopping import StopStrings

TEXT = "naïve 🐲 北京 — {\"a\": [1]}"  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def texts(tokenizer: Any) -> TokenTexts:
    return TokenTexts(tokenizer, Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[0, 1]))


def test_a_character_appears_with_the_token_that_completes_it(
    tokenizer: Any, texts: TokenTexts
) -> None:
    pieces_of = {token: i for i, token in enumerate(map(texts.bytes_of, range(len(tokenizer))))}
    detokenizer = Detokenizer(texts)
    for character in TEXT:
        data = character.encode()
        pieces = [detokenizer.feed(pieces_of[bytes([byte])]) for byte in data]
        assert pieces == [""] * (len(data) - 1) + [character]
    assert detokenizer.text() == TEXT


def test_pieces_are_the_text(tokenizer: Any, texts: TokenTexts) -> None:
    detokenizer = Detokenizer(texts)
    assert "".join(map(detokenizer.feed, tokenizer(TEXT)["input_ids"])) == TEXT
    assert detokenizer.text() == TEXT


def test_special_tokens_are_shown_and_not_written(tokenizer: Any, texts: TokenTexts) -> None:
    detokenizer = Detokenizer(texts)
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    first, second = ([i] for i in tokenizer("🐲")["input_ids"][:2])
    ids = [*tokenizer("a")["input_ids"], *first, start, *second, *tokenizer("🐲")["input_ids"][2:]]
    pieces = [detokenizer.feed(i) for i in ids]
    assert pieces[2] == "<|im_start|>"
    assert texts.is_special(start)
    assert detokenizer.text() == "a🐲"


def test_bytes_that_are_no_text_are_marked(tokenizer: Any, texts: TokenTexts) -> None:
    ids = {texts.bytes_of(i): i for i in range(len(tokenizer))}
    detokenizer = Detokenizer(texts)
    assert detokenizer.feed(ids[b"\xff"]) == "\ufffd"
    assert detokenizer.feed(ids[b"\xe5"]) == ""
    assert detokenizer.feed(ids[b"a"]) == "\ufffda"
    assert texts.text_of(ids[b"\xe5"]) == "\ufffd"


@pytest.mark.parametrize(
    ("stops", "pieces", "at", "behind"),
    [
        (["/test;"], ["/test", ";"], 1, 0),
        (["/test;"], ["/test", "; "], 1, 1),
        (["Pari"], ["in ", "Paris", "!"], 1, 1),
        (["ab"], ["xa", "", "by"], 2, 1),
        (["<|stop|>"], ["<|", "st", "op", "|>"], 3, 0),
        (["."], ["a", "b.c.d"], 1, 3),
        (["cd", "b"], ["abcde"], 0, 3),
        (["x" * 400], ["x" * 150] * 3, 2, 50),
        (["aab"], ["aa", "ab"], 1, 0),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_stop_strings(stops: list[str], pieces: list[str], at: int, behind: int) -> None:
    watch = StopStrings(stops)
    found = [watch.feed(piece) for piece in pieces[: at + 1]]
    assert found == [None] * at + [behind]


@given(
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    pieces=st.lists(st.text("abc", max_size=3), max_size=12),
)
def test_the_text_ends_with_the_first_stop_string(stops: list[str], pieces: list[str]) -> None:
    watch, text = StopStrings(stops), ""
    for piece in pieces:
        text += piece
        behind = watch.feed(piece)
        ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
        assert behind == (len(text) - min(ends) if ends else None)
        if ends:
            return


def test_a_stop_string_ends_the_answer_and_stays(engine: Engine) -> None:
    grammar = {"type": "regex", "value": "(The quick brown fox ){3}"}
    options: dict[str, Any] = {"grammar": grammar, "details": True}
    whole = engine.generate("x", **options)
    for stop in ("ick", "own f", " ", "fox The quick", "T"):
        cut = engine.generate("x", stop=["zzz", stop], **options)
        assert cut.details is not None
        assert cut.details.finish_reason == "stop_sequence"
        assert cut.generated_text == whole.generated_text.partition(stop)[0] + stop
        assert "".join(t.text for t in cut.details.tokens).startswith(cut.generated_text)


def test_budget_goes_before_end_and_stop(engine: Engine) -> None:
    grammar = {"type": "regex", "value": "aé"}
    options: dict[str, Any] = {"grammar": grammar, "details": True}
    whole = engine.generate("x", **options)
    assert whole.details is not None
    needed = whole.details.generated_tokens
    for values, reason in (
        ({}, "eos_token"),
        ({"stop": ["é"]}, "stop_sequence"),
        ({"max_new_tokens": needed}, "length"),
        ({"max_new_tokens": needed - 1}, "length"),
        ({"max_new_tokens": needed - 1, "stop": ["é"]}, "length"),
    ):
        found = engine.generate("x", **options, **values)
        assert found.details is not None
        assert found.details.finish_reason == reason
        assert found.generated_text == "aé"
