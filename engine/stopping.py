"""Find stop strings in a text that grows.

A stop string counts as soon as the text contains it, also inside a token or over several. Only as
much text is kept as a stop string can still reach back into.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Watches one text for any of some strings, none of them empty."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._reach = max(map(len, self._stops), default=1) - 1
        self._tail = ""

    def feed(self, text: str) -> int | None:
        """Take more text; return how many characters follow the first stop string, None without.

        The count is at most `len(text)`: a stop string that ended earlier was found earlier.
        Cost: linear in the new text plus the longest stop string.
        """
        if not self._stops or not text:
            return None
        window = self._tail + text
        ends = [at + len(stop) for stop in self._stops if (at := window.find(stop)) >= 0]
        self._tail = window[max(0, len(window) - self._reach) :]
        return len(window) - min(ends) if ends else None
