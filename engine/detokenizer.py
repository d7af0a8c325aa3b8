"""From token ids to text, one token at a time.

A token is a piece of a byte string, not of a text: a character may be spread over several. So bytes
go through an incremental UTF-8 decoder, and a character appears with the token that completes it.
Special tokens have a name, which is shown per token, and no bytes in the text.
"""

from __future__ import annotations

import codecs
from typing import Any

from ..fsm.vocabulary import Vocabulary


class TokenTexts:
    """How the tokens of one tokenizer are written; shared by all requests, immutable."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary) -> None:
        flagged = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        self.special = flagged.union(tokenizer.all_special_ids, vocabulary.eos_token_ids)
        self._tokenizer = tokenizer
        self._bytes = vocabulary.token_bytes

    def is_special(self, token_id: int) -> bool:
        """Return whether the token never belongs to the text."""
        return token_id in self.special

    def bytes_of(self, token_id: int) -> bytes:
        """Return the bytes of a token, those of its name if it is special."""
        known = self._bytes[token_id]
        if known is not None:
            return known
        name: str = self._tokenizer.decode([token_id], clean_up_tokenization_spaces=False)
        return name.encode()

    def text_of(self, token_id: int) -> str:
        """Return a token on its own; parts of a character show as U+FFFD."""
        return self.bytes_of(token_id).decode("utf-8", "replace")


class Detokenizer:
    """Writes one text. Cost: linear in the text."""

    def __init__(self, texts: TokenTexts) -> None:
        self._texts = texts
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pieces: list[str] = []

    def feed(self, token_id: int) -> str:
        """Take a token; return what it adds: "" while a character is unfinished.

        A special token returns its name, adds nothing to the text, and leaves a character open.
        """
        if self._texts.is_special(token_id):
            return self._texts.text_of(token_id)
        piece = self._decoder.decode(self._texts.bytes_of(token_id))
        self._pieces.append(piece)
        return piece

    def text(self) -> str:
        """Return all complete characters so far; the bytes of an unfinished one are left out."""
        return "".join(self._pieces)
