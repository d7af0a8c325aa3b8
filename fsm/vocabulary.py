"""A vocabulary: which bytes each token id stands for, and which ids end the text.

Constraints are about bytes and models speak in token ids; this is the only table between the two.
It is built once per tokenizer, never changes, and carries the trie that all grammars walk. Its
fingerprint tells the token FSMs of one tokenizer from those of another.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any, SupportsIndex

import numpy as np

from ..schemas.errors import ValidationError
from . import artefacts
from .tokenizer_bytes import read_token_bytes
from .trie import VocabularyTrie

LEAST_STORED = 10_000  # tokens of a vocabulary whose trie is kept on disk


class Vocabulary:
    """Bytes of every token id; None for ids that a grammar never allows. Immutable, thread-safe."""

    def __init__(
        self, token_bytes: Sequence[bytes | None], eos_token_ids: Iterable[SupportsIndex]
    ) -> None:
        """Take `token_bytes[i]` as exactly what token i adds to the text.

        An EOS id stands for no text: bytes given for one are dropped. Raises ValidationError for
        values that are not bytes, and for an empty or out-of-range set of EOS ids.
        """
        table = list(token_bytes)
        self.eos_token_ids = _checked_eos(eos_token_ids, len(table))
        for i in self.eos_token_ids:
            table[i] = None
        _check_types(table)
        self.token_bytes: tuple[bytes | None, ...] = tuple(table)
        self._building = threading.Lock()
        self._trie: VocabularyTrie | None = None

    @classmethod
    def from_tokenizer(
        cls,
        tokenizer: Any,
        *,
        eos_token_ids: Iterable[SupportsIndex] | None = None,
        size: int | None = None,
    ) -> Vocabulary:
        """Vocabulary of a transformers tokenizer (byte-level BPE or SentencePiece, not WordPiece).

        `eos_token_ids` defaults to the tokenizer's own single one; models often have more. `size`
        is the width of the model's logits: ids that only the model has are never legal, ids that
        only the tokenizer has are cut off. The tokenizer is neither changed nor kept. Raises
        ValidationError if its token bytes cannot be read or do not spell a set of probe texts, or
        if no EOS id is known.
        """
        table = read_token_bytes(tokenizer)
        if size is not None:
            table = _resize(table, size)
        if eos_token_ids is None:
            own = tokenizer.eos_token_id
            eos_token_ids = () if own is None else (own,)
        return cls(table, eos_token_ids)

    @property
    def size(self) -> int:
        """Number of token ids, those without bytes included."""
        return len(self.token_bytes)

    @cached_property
    def missing_bytes(self) -> frozenset[int]:
        """The byte values that no token stands for on its own; mostly none, or a few controls."""
        single = {token[0] for token in self.token_bytes if token is not None and len(token) == 1}
        return frozenset(range(256)) - single

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that depend on all token bytes and EOS ids; the same in every process."""
        length = [-1 if token is None else len(token) for token in self.token_bytes]
        digest = blake2b(np.array([self.size, *length], "<i8").tobytes(), digest_size=16)
        digest.update(b"".join(token for token in self.token_bytes if token))
        digest.update(np.array(sorted(self.eos_token_ids), "<i8").tobytes())
        return digest.hexdigest()

    @property
    def trie(self) -> VocabularyTrie:
        """Trie of all token bytes; read from disk or built by the first caller, others wait."""
        if self._trie is None:
            with self._building:
                if self._trie is None:
                    self._trie = self._stored_trie() or self._built_trie()
        return self._trie

    def _stored_trie(self) -> VocabularyTrie | None:
        if not self._is_large:
            return None
        arrays = artefacts.load(self.fingerprint)
        trie = None if arrays is None else VocabularyTrie.checked(arrays, self.size)
        if arrays is not None and trie is None:
            artefacts.discard(self.fingerprint)
        return trie

    def _built_trie(self) -> VocabularyTrie:
        trie = VocabularyTrie.build(self.token_bytes)
        if self._is_large:
            artefacts.store(self.fingerprint, trie.arrays())
        return trie

    @property
    def _is_large(self) -> bool:
        """Whether the trie takes longer to build than to read."""
        return self.size >= LEAST_STORED

    def __reduce__(self) -> tuple[type[Vocabulary], tuple[object, ...]]:
        """Pickle the table alone: a lock cannot travel and the trie is quick to build."""
        return type(self), (self.token_bytes, tuple(sorted(self.eos_token_ids)))

    def __repr__(self) -> str:
        """Size and EOS ids; the table itself is too long to show."""
        return f"Vocabulary(size={self.size}, eos_token_ids={sorted(self.eos_token_ids)})"


def _resize(table: list[bytes | None], size: int) -> list[bytes | None]:
    if size < 1:
        raise ValidationError(f"size must be at least 1, not {size}", parameter="size")
    return [*table[:size], *[None] * (size - len(table))]


def _check_types(table: list[bytes | None]) -> None:
    for i, token in enumerate(table):
        if token is not None and type(token) is not bytes:
            raise ValidationError(
                f"token {i} is a {type(token).__name__}; give the bytes it writes, or None",
                parameter="token_bytes",
            )


def _checked_eos(ids: Iterable[SupportsIndex], size: int) -> frozenset[int]:
    try:
        eos = frozenset(map(operator.index, ids))
    except TypeError as error:
        raise _eos_error(f"EOS token ids must be integers ({error})") from error
    if not eos:
        raise _eos_error("no EOS token is known; pass eos_token_ids, or no text could ever end")
    outside = sorted(i for i in eos if not 0 <= i < size)
    if outside:
        raise _eos_error(f"EOS token ids {outside} are outside the vocabulary of {size} tokens")
    return eos


def _eos_error(message: str) -> ValidationError:
    return ValidationError(message, parameter="eos_token_ids")
