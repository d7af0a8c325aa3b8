"""The rules inside one label: RFC 5891, section 4.2.3, RFC 5892, appendix A, RFC 5893, section 2.

A label is read character by character. What has to come later (the second `l` around a middle dot,
Greek behind a keraia, a joining letter behind a non-joiner, any kana beside a katakana dot, a
proper end) is a debt: how many characters it takes at most is known, so whoever counts room can
stop before a debt can no longer be paid.
"""

from __future__ import annotations

from typing import NamedTuple

from .idna import (
    GERESH,
    GERSHAYIM,
    JOINER,
    KATAKANA_DOT,
    KERAIA,
    MIDDLE_DOT,
    NON_JOINER,
    Letter,
)


class Label(NamedTuple):
    """A place in a label."""

    length: int = 0  # as far as 4
    third: bool = False  # the third character is a hyphen
    side: str = ""  # "L", "R", or "W" for a label that starts with neither
    good_end: bool = False  # the label may end here, as far as its side is concerned
    number: str = ""  # "N" or "A": the digits of a label written from the right
    last: str = ""  # the last character where a rule asks for it, "h" Hebrew, "v" a virama
    order: int = 0  # combining class of the last character
    alone: bool = False  # the last character combines with nothing
    linked: bool = False  # before this place is a letter that joins, and transparent marks
    need: str = ""  # what must come next: "l", "g" Greek, "j" a letter that joins
    kana: str = ""  # "." a katakana dot that still needs kana, "k" kana

    @property
    def can_end(self) -> bool:
        """Whether the label may end here, in a domain without right-to-left labels."""
        proper = self.good_end or self.side != "R"
        return bool(self.length and proper) and not self.debt

    @property
    def standing(self) -> str:
        """What the label, which can end here, is in a domain by RFC 5893: "right", "left" or "any".

        Beside labels that are written from the right ("right") those that obey the rule ("any")
        may stand, but not the others ("left").
        """
        if self.side == "R":
            return "right"
        return "any" if self.good_end and self.side == "L" else "left"

    @property
    def debt(self) -> int:
        """How many characters it takes at most until the label may end."""
        late = self.kana == "."
        if self.need:
            return 1 + late
        bad_end = self.last == "-" or (self.side == "R" and not self.good_end)
        return int(late or bad_end)


def step(label: Label, letter: Letter) -> Label | None:
    """Return the place after one more character, None if a rule forbids it."""
    side = _side(label, letter)
    number = letter.side if side == "R" and letter.side in "NA" else label.number
    if (
        not side
        or not _is_composed(label, letter)
        or not _is_in_context(label, letter, side)
        or (label.number and number != label.number)
        or (label.need and not _pays(label.need, letter))
    ):
        return None
    return Label(
        length=min(label.length + 1, 4),
        third=label.length == 2 and letter.itself == "-",
        side=side,
        good_end=label.good_end if letter.side == "M" else _ends_well(side, letter.side),
        number=number,
        last=_role(letter),
        order=letter.order,
        alone=letter.alone and not letter.order,
        linked=letter.linking == "D" or (letter.linking == "T" and label.linked),
        need=_need(label, letter),
        kana="k" if letter.script == "k" else label.kana or "." * (letter.itself == KATAKANA_DOT),
    )


def _ends_well(side: str, last: str) -> bool:
    return last in ("RNA" if side == "R" else "LN")


def _side(label: Label, letter: Letter) -> str:
    """Return the side of the label; empty if the character cannot stand on it."""
    if not label.side:
        if letter.mark or letter.itself == "-":
            return ""
        return letter.side if letter.side in "LR" else "" if letter.side == "A" else "W"
    forbidden = "L" if label.side == "R" else "RA"
    return "" if letter.side in forbidden else label.side


def _is_composed(label: Label, letter: Letter) -> bool:
    """Return whether the text stays in form C, on the safe side."""
    if label.third and label.length == 3 and letter.itself == "-":
        return False
    if letter.joins_before and not label.alone:
        return False
    if label.order and letter.order:
        return 0 < label.order <= letter.order
    return True


def _is_in_context(label: Label, letter: Letter, side: str) -> bool:
    """Return whether a character that a rule of appendix A names may come here."""
    if letter.itself == MIDDLE_DOT:
        return label.last == "l"
    if letter.itself in (GERESH, GERSHAYIM) and letter.itself:
        return label.last == "h"
    if letter.itself == JOINER:
        return label.last == "v"
    if letter.itself == NON_JOINER:
        return label.last == "v" or label.linked
    if letter.itself in (KERAIA, KATAKANA_DOT) and letter.itself:
        return side != "R"  # what they need is written from the left
    return True


def _pays(need: str, letter: Letter) -> bool:
    if need == "j":
        return letter.linking != ""
    return letter.itself == "l" if need == "l" else letter.script == "g"


def _need(label: Label, letter: Letter) -> str:
    if label.need == "j" and letter.linking == "T":
        return "j"
    if letter.itself == NON_JOINER:
        return "" if label.last == "v" else "j"
    return {MIDDLE_DOT: "l", KERAIA: "g"}.get(letter.itself, "")


def _role(letter: Letter) -> str:
    if letter.itself in ("l", "-"):
        return letter.itself
    if letter.order == 9:
        return "v"
    return "h" if letter.script == "h" else ""
