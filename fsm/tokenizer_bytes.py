"""From a Hugging Face tokenizer to the exact bytes that each token adds to the text.

What a token adds is what the tokenizer's *decoder* makes of it, so the decoder is what is read:
the GPT-2 alias of every byte (byte-level BPE, tiktoken), or a mark for the space plus `<0xAB>` for
single bytes (SentencePiece). Decoders that look at neighbours (WordPiece puts spaces between
words) give a token no bytes of its own and are refused.

Nothing is believed without a proof: the tokenizer must write a set of probe texts, and the bytes
of its tokens must spell them. transformers is not imported; its objects are used by their methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from ..schemas.errors import ValidationError

PROBES = (
    '{"name": "Zoë", "n": [1, -2.50, 3e7], "ok": true, "none": null}',
    '{\n  "quote": "a\\nb \\"c\\" \\u00e9",\n\t"empty": {}\n}',
    "two  spaces,   three,\ttab,\t\ttabs,\nline\n\nlines\r\n  indented \n",
    "Ärger à l'œuvre: žluťoučký kůň, Ελλάδα, Россия, שלום, العربية, हिन्दी",
    "日本語の文章。中文、한국어 ▲ ← ∑ €",
    "emoji 🙂👩\u200d👩\u200d👧🇫🇷, far planes \U0001d518 \U00010348",
    "controls \x00\x01\x1b\x7f\x85\u00a0\u200b\ufeff.",
    "~`!@#$%^&*()_+-=[]{}\\|;:'\",.<>/?0123456789",
)
"""Texts that every tokenizer must spell exactly, as far as it can write them at all."""

_BYTE_TOKEN = re.compile("<0x[0-9A-Fa-f]{2}>")

_Piece = str | bytes
_Step = Callable[[str], _Piece]


def read_token_bytes(tokenizer: Any) -> list[bytes | None]:
    """Bytes of each token id, None for ids that write no text (special, unknown, unassigned).

    `tokenizer` is a fast (`tokenizers` backend) or a SentencePiece tokenizer of transformers.
    Raises ValidationError where its decoder gives tokens no bytes of their own, and where the bytes
    of its tokens do not spell a probe text. Costs about 0.3 s for 150,000 tokens.
    """
    read = _reader(tokenizer)
    vocabulary, added = tokenizer.get_vocab(), tokenizer.added_tokens_decoder
    table: list[bytes | None] = [None] * (1 + max([*vocabulary.values(), *added], default=-1))
    for token, i in vocabulary.items():
        table[i] = read(token)
    for i, token in added.items():
        table[i] = None if token.special else _added_bytes(token.content, read)
    unknown = _unknown_ids(tokenizer)
    for i in unknown.union(tokenizer.all_special_ids):
        table[i] = None
    _check_spelling(tokenizer, table, unknown)
    return table


def _added_bytes(content: str, read: Callable[[str], bytes]) -> bytes | None:
    data = read(content)
    # Added tokens are matched as they stand, but a byte-level decoder takes an "é" in them for the
    # alias of byte E9: text in and text out differ, so such a token is never legal.
    return None if read is _byte_level and data != content.encode() else data


def _unknown_ids(tokenizer: Any) -> set[int]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    name = getattr(getattr(backend, "model", None), "unk_token", None)
    ids = {tokenizer.unk_token_id, backend.token_to_id(name) if backend and name else None}
    return {i for i in ids if i is not None}


# --- reading one token ---------------------------------------------------------------------------


def _reader(tokenizer: Any) -> Callable[[str], bytes]:
    """The function from a token's name in the vocabulary to its bytes."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return _compose(_steps(_decoders(backend.decoder)))
    if hasattr(tokenizer, "sp_model"):
        return _compose([_replacer("▁", " "), _byte_fallback])
    if not hasattr(tokenizer, "get_vocab"):
        raise _refusal(f"a {type(tokenizer).__name__} is not a tokenizer of transformers")
    raise _refusal(
        f"the bytes behind a {type(tokenizer).__name__} cannot be read; use its fast version, or "
        "build Vocabulary(token_bytes, eos_token_ids) yourself"
    )


def _decoders(decoder: Any) -> list[dict[str, Any]]:
    """The decoder's description, nested sequences laid flat."""
    if decoder is None:
        raise _refusal("the tokenizer has no decoder, so its tokens are words with spaces between")
    # Pickling state is JSON of the decoder alone; `to_str()` would print the vocabulary, too.
    return _flat(json.loads(decoder.__getstate__()))


def _flat(spec: dict[str, Any]) -> list[dict[str, Any]]:
    if spec["type"] != "Sequence":
        return [spec]
    return [leaf for inner in spec["decoders"] for leaf in _flat(inner)]


def _steps(specs: list[dict[str, Any]]) -> list[_Step]:
    """What the decoders do to a single token, in their order."""
    steps: list[_Step] = []
    fused = False
    for spec in specs:
        kind = spec["type"]
        if kind == "Strip" and fused and not spec["stop"]:
            continue  # takes the space off the start of the whole text; tokens keep theirs
        if kind == "Fuse":
            fused = True
        elif fused or _byte_level in steps or _byte_fallback in steps:
            raise _refusal(f"its decoder runs {kind} over joined text, not over single tokens")
        else:
            steps.append(_step(spec))
    return steps


def _step(spec: dict[str, Any]) -> _Step:
    match spec:
        case {"type": "ByteLevel"}:
            return _byte_level
        case {"type": "ByteFallback"}:
            return _byte_fallback
        case {"type": "Replace", "pattern": {"String": str(old)}, "content": str(new)}:
            return _replacer(old, new)
        case {"type": "Metaspace", "replacement": str(mark)}:
            return _replacer(mark, " ")
    raise _refusal(f"its decoder is {spec['type']}, which gives a token no fixed bytes")


def _compose(steps: list[_Step]) -> Callable[[str], bytes]:
    if steps == [_byte_level]:
        return _byte_level

    def read(token: str) -> bytes:
        piece: _Piece = token
        for step in steps:
            if isinstance(piece, str):
                piece = step(piece)
        return piece.encode() if isinstance(piece, str) else piece

    return read


def _replacer(old: str, new: str) -> _Step:
    return lambda token: token.replace(old, new)


def _byte_fallback(token: str) -> _Piece:
    """`<0xAB>` is byte AB; anything else stays text."""
    return bytes([int(token[3:5], 16)]) if _BYTE_TOKEN.fullmatch(token) else token


def _alias_table() -> dict[int, int]:
    """GPT-2's printable alias of every byte, as a table for `str.translate` to Latin-1.

    Latin-1 characters that are no alias go to a surrogate, which Latin-1 cannot encode.
    """
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    table = {byte: byte for byte in shown} | dict.fromkeys(hidden, 0xD800)
    return table | {0x100 + i: byte for i, byte in enumerate(hidden)}


_ALIASES = _alias_table()


def _byte_level(token: str) -> bytes:
    """Bytes behind the aliases; a token with any other character stands for itself."""
    try:
        return token.translate(_ALIASES).encode("latin-1")
    except UnicodeEncodeError:
        return token.encode()


# --- proof ---------------------------------------------------------------------------------------


def _check_spelling(tokenizer: Any, table: list[bytes | None], unknown: set[int]) -> None:
    """Raise ValidationError unless the tokens of each probe spell it.

    A probe with characters that the tokenizer does not know proves nothing and is passed over.
    """
    proven = False
    for probe in PROBES:
        ids = _encode(tokenizer, probe)
        if ids and unknown.isdisjoint(ids):
            _check_probe(tokenizer, table, probe)
            proven = True
    if not proven:
        raise _refusal("it cannot write a single one of the texts that test its token bytes")


def _check_probe(tokenizer: Any, table: list[bytes | None], probe: str) -> None:
    ids = _encode(tokenizer, probe)
    at = _misspelling(table, ids, probe)
    if at is None:
        return
    # Some tokenizers normalise what they read; the normal form is then what they must spell.
    normal = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    if _misspelling(table, _encode(tokenizer, normal), normal) is not None:
        token = tokenizer.convert_ids_to_tokens(ids[at])
        raise _refusal(
            f"its tokens spell {probe!r} wrongly, first with token {ids[at]} {token!r} "
            f"read as {table[ids[at]]!r}"
        )


def _encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _misspelling(table: list[bytes | None], ids: list[int], text: str) -> int | None:
    """Position of the first token that departs from `text`; None if all of it is spelled.

    One space in front is allowed: SentencePiece writes it before the first word.
    """
    want, done = text.encode().removeprefix(b" "), b""
    for at, i in enumerate(ids):
        token = table[i]
        done = (done + (token or b"")).removeprefix(b" " if at == 0 else b"")
        if token is None or not want.startswith(done):
            return at
    return None if done == want else max(len(ids) - 1, 0)


def _refusal(reason: str) -> ValidationError:
    return ValidationError(f"this tokenizer cannot be constrained: {reason}", parameter="tokenizer")
