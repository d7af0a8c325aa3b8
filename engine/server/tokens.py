"""Tokens of a text with the bytes that they stand for, as `/tokenize` tells them."""

from __future__ import annotations

from itertools import accumulate
from typing import Any


def tokens_of(tokenizer: Any, text: str, *, special_tokens: bool = True) -> list[dict[str, Any]]:
    """Return `{"id", "text", "start", "stop"}` for each token; offsets are bytes of the text.

    A special token that the tokenizer added stands for nothing: its offsets are 0, its text is its
    name. A token that is a part of a character has the offsets of the character.
    """
    encoded = tokenizer(text, add_special_tokens=special_tokens, return_offsets_mapping=True)
    at = [0, *accumulate(len(character.encode()) for character in text)]
    found = []
    for token_id, (start, stop) in zip(
        encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        shown = text[start:stop] or tokenizer.convert_ids_to_tokens(token_id)
        empty = start == stop
        found.append(
            {
                "id": token_id,
                "text": shown,
                "start": 0 if empty else at[start],
                "stop": 0 if empty else at[stop],
            }
        )
    return found
