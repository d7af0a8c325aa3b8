"""Token bytes: what they spell is what the tokenizer decodes, for every kind of tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockstitch.fsm.tokenizer_bytes import PROBES
from lockstitch.fsm.vocabulary import Vocabulary
from lockstitch.schemas.errors import ValidationError

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")
decoders, models = tokenizers.decoders, tokenizers.models
normalizers, pre_tokenizers = tokenizers.normalizers, tokenizers.pre_tokenizers

TEXTS = [
    *PROBES,
    '{"a": [1, 2.5, -3e-7, true, null], "k é": "\\ud83d\\ude00 \U0001f600"}',
    "  ab ar  bare    é\n\n\n\x00\U0010ffff",
]

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["▁", "a", "b", "e", "r", '"', ":", "{", "é", '▁{"', "ar", "▁▁", '":']
MERGES = [("a", "r"), ("▁", "▁"), ('"', ":")]
SPM_DECODER = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]


def wrap(backend: Any, special: tuple[str, ...] = ("</s>",), **names: str) -> Any:
    backend.add_special_tokens(list(special))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", **names)


def spm_bpe() -> Any:
    vocabulary = ["<unk>", *BYTES, *[word for word in WORDS if word != '▁{"']]
    return tokenizers.Tokenizer(
        models.BPE(
            vocab={token: i for i, token in enumerate(vocabulary)},
            merges=MERGES,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )


def llama_like() -> Any:
    """A space is put in front by the normaliser and taken off by the decoder."""
    backend = spm_bpe()
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Sequence([*SPM_DECODER, decoders.Strip(" ", 1, 0)])
    return wrap(backend)


def mistral_like() -> Any:
    """The same, by a Metaspace pre-tokenizer."""
    backend = spm_bpe()
    backend.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence([*SPM_DECODER, decoders.Strip(" ", 1, 0)])
    return wrap(backend, unk_token="<unk>")


def gemma_like() -> Any:
    """No space in front; runs of newlines and of spaces are added tokens."""
    backend = spm_bpe()
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.decoder = decoders.Sequence(SPM_DECODER)
    backend.add_tokens(["\n\n", "▁▁▁"])
    return wrap(backend)


def unigram_with_bytes() -> Any:
    pieces = [("<unk>", 0.0), *[(name, -20.0) for name in BYTES], *[(w, -3.0) for w in WORDS]]
    backend = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    backend.decoder = decoders.Sequence([decoders.Sequence(SPM_DECODER), decoders.Strip(" ", 1, 0)])
    return wrap(backend, unk_token="<unk>")


def unigram_of_ascii() -> Any:
    """No byte fallback: most probes hold unknown characters."""
    letters = [chr(code) for code in range(33, 127)]
    pieces = [("<unk>", 0.0), *[(piece, -4.0) for piece in [*letters, "▁", "▁the"]]]
    backend = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    backend.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    return wrap(backend, unk_token="<unk>")


def byte_level(*, prefix: bool = False, normalizer: Any = None) -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, "Ġa", "Ã©", "Ċĉ"]
    merges = [("Ġ", "a"), ("Ã", "©"), ("Ċ", "ĉ")]
    backend = tokenizers.Tokenizer(
        models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
    )
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<control>"])
    backend.add_tokens(["<tool>", "  two", "a\u00a0b", "café"])
    return wrap(backend)


def byte_level_with_prefix() -> Any:
    return byte_level(prefix=True)


BUILT: list[Callable[[], Any]] = [
    llama_like,
    mistral_like,
    gemma_like,
    unigram_with_bytes,
    byte_level,
    byte_level_with_prefix,
]


def spelled(vocabulary: Vocabulary, ids: list[int]) -> bytes:
    tokens = [vocabulary.token_bytes[i] for i in ids]
    assert None not in tokens
    return b"".join(token or b"" for token in tokens)


def check_text(tokenizer: Any, vocabulary: Vocabulary, text: str) -> None:
    """Bytes equal the text and equal what is decoded, but for one space in front."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    data = spelled(vocabulary, ids)
    assert data in (text.encode(), b" " + text.encode())
    decoded = tokenizer.decode(ids, clean_up_tokenization_spaces=False).encode()
    assert data in (decoded, b" " + decoded)


# --- every kind of tokenizer ---------------------------------------------------------------------


@pytest.mark.parametrize("build", BUILT)
def test_built_tokenizers_spell_texts(build: Callable[[], Any]) -> None:
    tokenizer = build()
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    for text in TEXTS:
        check_text(tokenizer, vocabulary, text)
    assert vocabulary.size == len(tokenizer)
    assert vocabulary.eos_token_ids == {tokenizer.convert_tokens_to_ids("</s>")}


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_built_tokenizers_spell_any_text(text: str) -> None:
    for build in (llama_like, byte_level):
        tokenizer = cached(build)
        # These two marks have a second meaning inside the tokenizer, and "café" is never written.
        safe = text.replace("▁", "_").replace("café", "")
        check_text(tokenizer[0], tokenizer[1], safe)


_CACHE: dict[Callable[[], Any], tuple[Any, Vocabulary]] = {}


def cached(build: Callable[[], Any]) -> tuple[Any, Vocabulary]:
    if build not in _CACHE:
        tokenizer = build()
        _CACHE[build] = tokenizer, Vocabulary.from_tokenizer(tokenizer)
    return _CACHE[build]


def test_byte_level_aliases_are_those_of_transformers() -> None:
    slow = pytest.importorskip("transformers.convert_slow_tokenizer")
    tokenizer, vocabulary = cached(byte_level)
    for byte, alias in slow.bytes_to_unicode().items():
        assert vocabulary.token_bytes[tokenizer.convert_tokens_to_ids(alias)] == bytes([byte])


def test_sentencepiece_bytes_spaces_and_pieces() -> None:
    tokenizer, vocabulary = cached(llama_like)
    expected = {"<0x0A>": b"\n", "<0xFF>": b"\xff", "▁": b" ", "▁▁": b"  ", "é": "é".encode()}
    for token, data in expected.items():
        assert vocabulary.token_bytes[tokenizer.convert_tokens_to_ids(token)] == data
    same = {i for i, token in enumerate(vocabulary.token_bytes) if token == b"a"}
    assert same == {tokenizer.convert_tokens_to_ids(token) for token in ("a", "<0x61>")}
    assert vocabulary.trie.tokens_at(vocabulary.trie.find(b"a")).tolist() == sorted(same)


def test_added_tokens_count_and_special_ones_do_not() -> None:
    tokenizer, vocabulary = cached(byte_level)
    expected = {
        "<tool>": b"<tool>",
        "  two": b"  two",
        "a\u00a0b": b"a\xc2\xa0b",
        "</s>": None,
        "<control>": None,
    }
    for token, data in expected.items():
        assert vocabulary.token_bytes[tokenizer.convert_tokens_to_ids(token)] == data
    tokenizer, vocabulary = cached(gemma_like)
    expected = {"\n\n": b"\n\n", "▁▁▁": b"   ", "<unk>": None, "</s>": None}
    for token, data in expected.items():
        assert vocabulary.token_bytes[tokenizer.convert_tokens_to_ids(token)] == data


def test_an_added_token_that_decodes_to_other_bytes_is_never_legal() -> None:
    tokenizer, vocabulary = cached(byte_level)
    token_id = tokenizer.convert_tokens_to_ids("café")
    assert tokenizer.encode("café", add_special_tokens=False) == [token_id]
    assert tokenizer.decode([token_id]) != "café"
    assert vocabulary.token_bytes[token_id] is None


def test_unknown_characters_pass_over_a_probe() -> None:
    tokenizer = unigram_of_ascii()
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.token_bytes[tokenizer.unk_token_id] is None
    assert vocabulary.token_bytes[tokenizer.convert_tokens_to_ids("▁the")] == b" the"
    check_text(tokenizer, vocabulary, '{"the":"the"}')


def test_a_tokenizer_may_normalise_what_it_reads() -> None:
    tokenizer = byte_level(normalizer=normalizers.Lowercase())
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    ids = tokenizer.encode("ABC", add_special_tokens=False)
    assert spelled(vocabulary, ids) == b"abc"
    assert vocabulary.token_bytes[tokenizer.convert_tokens_to_ids("A")] == b"A"


class SlowSentencePiece:
    """The methods that a slow tokenizer has, answered by a fast one."""

    sp_model = object()

    def __init__(self, fast: Any) -> None:
        self._fast = fast

    def __getattr__(self, name: str) -> Any:
        if name in ("backend_tokenizer", "_tokenizer"):
            raise AttributeError(name)
        return getattr(self._fast, name)


def test_slow_sentencepiece_reads_as_the_fast_one() -> None:
    tokenizer, vocabulary = cached(mistral_like)
    slow = Vocabulary.from_tokenizer(SlowSentencePiece(tokenizer))
    assert slow.token_bytes == vocabulary.token_bytes


class NamedSpecial(SlowSentencePiece):
    """Names a plain piece as special, as slow tokenizers do with `<s>`."""

    @property
    def all_special_ids(self) -> list[int]:
        return [*self._fast.all_special_ids, self._fast.convert_tokens_to_ids("<0xFF>")]


def test_ids_named_special_write_nothing() -> None:
    tokenizer, _ = cached(mistral_like)
    vocabulary = Vocabulary.from_tokenizer(NamedSpecial(tokenizer))
    assert vocabulary.token_bytes[tokenizer.convert_tokens_to_ids("<0xFF>")] is None
    assert vocabulary.token_bytes[tokenizer.convert_tokens_to_ids("<0xFE>")] == b"\xfe"


# --- what the caller adds ------------------------------------------------------------------------


def test_size_pads_and_cuts() -> None:
    tokenizer, vocabulary = cached(byte_level)
    wide = Vocabulary.from_tokenizer(tokenizer, size=vocabulary.size + 70)
    assert wide.token_bytes == (*vocabulary.token_bytes, *[None] * 70)
    narrow = Vocabulary.from_tokenizer(tokenizer, size=200, eos_token_ids=[7])
    assert narrow.token_bytes == (*vocabulary.token_bytes[:7], None, *vocabulary.token_bytes[8:200])
    with pytest.raises(ValidationError, match="size must be at least 1"):
        Vocabulary.from_tokenizer(tokenizer, size=0)


def test_eos_ids_of_the_model_replace_that_of_the_tokenizer() -> None:
    vocabulary = Vocabulary.from_tokenizer(byte_level(), eos_token_ids=[3, 5])
    assert vocabulary.eos_token_ids == {3, 5}
    assert vocabulary.token_bytes[3] is vocabulary.token_bytes[5] is None


def test_a_tokenizer_without_eos_needs_eos_ids() -> None:
    tokenizer = byte_level()
    tokenizer.eos_token = None
    with pytest.raises(ValidationError, match="pass eos_token_ids"):
        Vocabulary.from_tokenizer(tokenizer)
    assert Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[0]).eos_token_ids == {0}


# --- refusals ------------------------------------------------------------------------------------


def with_decoder(decoder: Any) -> Any:
    backend = spm_bpe()
    if decoder is not None:
        backend.decoder = decoder
    return wrap(backend)


REFUSED = [
    (decoders.WordPiece("##"), "WordPiece"),
    (decoders.BPEDecoder("</w>"), "BPEDecoder"),
    (decoders.Replace(tokenizers.Regex("▁+"), " "), "Replace"),
    (decoders.Strip(" ", 1, 0), "Strip"),
    (decoders.Sequence([*SPM_DECODER, decoders.Strip(" ", 0, 1)]), "Strip over joined text"),
    (decoders.Sequence([decoders.Fuse(), decoders.ByteFallback()]), "ByteFallback over joined"),
    (decoders.Sequence([decoders.ByteLevel(), decoders.Replace("a", "b")]), "Replace over joined"),
    (None, "no decoder"),
]


@pytest.mark.parametrize(("decoder", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_decoders_without_bytes_for_a_token_are_refused(decoder: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        Vocabulary.from_tokenizer(with_decoder(decoder))
    assert caught.value.parameter == "tokenizer"


def test_a_decoder_of_another_family_is_found_out() -> None:
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.decoder = decoders.Sequence(SPM_DECODER)
    with pytest.raises(ValidationError, match=r"spell .*Zoë.* token \d+ 'Ġ' read as"):
        Vocabulary.from_tokenizer(tokenizer)


class Swapped(SlowSentencePiece):
    """Says "a" where it means "b"."""

    def get_vocab(self) -> dict[str, int]:
        vocabulary: dict[str, int] = self._fast.get_vocab()
        return vocabulary | {"a": vocabulary["b"], "b": vocabulary["a"]}


def test_a_wrong_table_is_found_out() -> None:
    with pytest.raises(ValidationError, match="'a' read as b'b'"):
        Vocabulary.from_tokenizer(Swapped(llama_like()))


class Forgetful(SlowSentencePiece):
    """Leaves the end of every text unwritten."""

    def encode(self, text: str, **options: Any) -> list[int]:
        ids: list[int] = self._fast.encode(text, **options)
        return ids[:-1]


def test_a_text_cut_short_is_found_out() -> None:
    with pytest.raises(ValidationError, match="wrongly"):
        Vocabulary.from_tokenizer(Forgetful(mistral_like()))


def test_a_text_written_with_a_special_token_is_found_out() -> None:
    tokenizer = byte_level()
    tokenizer.add_special_tokens({"additional_special_tokens": ["name"]})
    with pytest.raises(ValidationError, match="'name' read as None"):
        Vocabulary.from_tokenizer(tokenizer)


def test_a_tokenizer_that_writes_no_probe_is_refused() -> None:
    backend = tokenizers.Tokenizer(models.BPE(vocab={"☃": 0}, merges=[]))
    backend.decoder = decoders.Fuse()
    with pytest.raises(ValidationError, match="cannot write a single one"):
        Vocabulary.from_tokenizer(wrap(backend))


@pytest.mark.parametrize("thing", [None, "gpt2", object()])
def test_what_is_no_tokenizer_is_refused(thing: object) -> None:
    with pytest.raises(ValidationError, match="not a tokenizer"):
        Vocabulary.from_tokenizer(thing)


def test_an_unknown_slow_tokenizer_is_refused() -> None:
    class Slow:
        def get_vocab(self) -> dict[str, int]:
            return {"a": 0}

    with pytest.raises(ValidationError, match="behind a Slow cannot be read; use its fast version"):
        Vocabulary.from_tokenizer(Slow())
