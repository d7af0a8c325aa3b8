"""Text that a grammar forces, as the tokens that the tokenizer itself would write for it.

Where every continuation begins with the same bytes there is nothing to sample. Which tokens stand
for these bytes matters all the same: a model has seen each text in one division only, and reads
another one badly. So the forced text is encoded behind the token before it. Its last tokens are
left to the sampler if one of them could merge with what follows: a token that begins inside of the
forced text and reaches over its end, and that the tokenizer would write there.

What is found depends on the state and the token before only, so it is found once for a grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, takewhile
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from ..fsm.token_fsm import TokenFSM
from ..fsm.vocabulary import Vocabulary

WINDOW = 48  # bytes at the end of a forced text within which it can merge with what follows
MOST_TRIED = 64  # tokens that could reach over the end from one place


class ForcedText:
    """The forced tokens of all grammars over one tokenizer; thread-safe."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary, lock: Lock) -> None:
        """Encode under `lock` if the tokenizer cannot be used by two threads."""
        self._encode = _encoder(tokenizer, lock)
        self._vocabulary = vocabulary
        self._known: WeakKeyDictionary[TokenFSM, dict[tuple[int, int], tuple[int, ...]]]
        self._known = WeakKeyDictionary()

    def tokens(self, fsm: TokenFSM, state: int, previous: int) -> tuple[int, ...]:
        """Return the tokens that must come next, behind the token `previous`; mostly none."""
        forced = fsm.forced_bytes(state)
        if not forced:
            return ()
        known = self._known.setdefault(fsm, {})
        found = known.get((state, previous))
        if found is None:
            found = known[state, previous] = self._find(fsm, state, forced, previous)
        return found

    def _find(self, fsm: TokenFSM, state: int, forced: bytes, previous: int) -> tuple[int, ...]:
        text = _whole_characters(forced)
        after = fsm.advance_bytes(state, text)
        if not text or after is None:
            return ()
        for before in dict.fromkeys((_end_of(self._vocabulary.token_bytes[previous]), b"")):
            ids = self._behind(before, text)
            if ids is not None:
                return tuple(ids if fsm.is_complete(after) else self._settled(fsm, after, ids))
        return ()

    def _behind(self, before: bytes, text: bytes) -> list[int] | None:
        """Return the tokens of a text behind another, None if they do not part there."""
        try:
            ids = self._encode((before + text).decode())
        except UnicodeDecodeError:
            return None
        spelled = [self._vocabulary.token_bytes[i] or b"" for i in ids]
        ends = [0, *accumulate(map(len, spelled))]
        if b"".join(spelled) != before + text or len(before) not in ends:
            return None
        return ids[ends.index(len(before)) :]

    def _settled(self, fsm: TokenFSM, after: int, ids: list[int]) -> list[int]:
        """Return the first of some tokens, those that no continuation would divide otherwise."""
        first = self._window(ids)
        text = b"".join(self._vocabulary.token_bytes[i] or b"" for i in ids[first:])
        settled = len(ids) - first
        for place in range(len(text)):
            head = self._behind(b"", text[:place]) if place else []
            if head is None:
                continue  # inside of a character, or not where tokens part
            same = _shared(head, ids[first:])
            if same < settled and self._merges(fsm, after, text[:place], text[place:], head):
                settled = same
        return ids[: first + settled]

    def _window(self, ids: list[int]) -> int:
        first, size = len(ids), 0
        while first and size < WINDOW:
            first -= 1
            size += len(self._vocabulary.token_bytes[ids[first]] or b"")
        return first

    def _merges(
        self, fsm: TokenFSM, after: int, head: bytes, tail: bytes, head_ids: list[int]
    ) -> bool:
        """Whether a token that begins with `tail` and goes on would be written behind `head`."""
        trie = self._vocabulary.trie
        node = trie.find(tail)
        tried = 0
        for token_id in [] if node < 0 else trie.tokens_below(node).tolist():
            token = self._vocabulary.token_bytes[token_id] or b""
            if fsm.advance_bytes(after, token[len(tail) :]) is None:
                continue
            tried += 1
            behind = self._behind(head, token)
            if tried > MOST_TRIED or behind == [token_id] or _whole_characters(token) != token:
                return True
        return False


def _encoder(tokenizer: Any, lock: Lock) -> Callable[[str], list[int]]:
    """Return a function from a text to its tokens, special tokens not added."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:  # which threads may share as long as nobody changes it

        def encode(text: str) -> list[int]:
            found: list[int] = backend.encode(text, add_special_tokens=False).ids
            return found

        return encode

    def encode_alone(text: str) -> list[int]:
        with lock:
            found: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return found

    return encode_alone


def _shared(some: list[int], others: list[int]) -> int:
    """Return how many tokens two lists have in common at their beginning."""
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False))
    )


def _whole_characters(text: bytes) -> bytes:
    """Return a text without an unfinished character at its end; nothing if it begins inside one."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return b"" if error.start == 0 else text[: error.start]
    return text


def _end_of(token: bytes | None) -> bytes:
    """Return the end of a token that can be read as text."""
    while token:
        if _whole_characters(token) == token:
            return token
        token = token[1:]
    return b""
