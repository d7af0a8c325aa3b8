r"""URIs, IRIs, templates and JSON pointers, straight from the grammars of their RFCs.

RFC 3986, appendix A: `reg-name` is so wide that `999.1.1.1` is a valid host, though no address.
RFC 3987, section 2.2 adds `ucschar` to what is unreserved, and `iprivate` to queries; it asks
nothing of names in the host beyond that. RFC 6570, section 2, with the correction that an
apostrophe is a literal (its errata). RFC 6901, section 3, for JSON pointers, and the draft
"Relative JSON Pointers" (draft-handrews-relative-json-pointer-01, section 3, which later versions
extend by a shift of the index).
"""

from __future__ import annotations

from typing import Final

from .addresses import HEX, IPV6
from .machine import Speller

TEMPLATE_SUBSET: Final = (
    "expressions with an operator that RFC 6570 reserves for extensions (= , ! @ |) are not written"
)
RELATIVE_SUBSET: Final = (
    "shifts of an index (0+1, 0-1/a), which only later drafts of the format know, are not written"
)

_ESCAPED: Final = rf"%{HEX}{{2}}"
_UNRESERVED: Final = r"A-Za-z\d\-._~"
_SUB_DELIMS: Final = r"!$&'()*+,;="
_PLANES: Final = "".join(rf"\u{{{n:x}0000}}-\u{{{n:x}fffd}}" for n in range(1, 15))
_UCS: Final = r"\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + _PLANES.replace(r"\u{e0000}", r"\u{e1000}")
_PRIVATE: Final = r"\ue000-\uf8ff\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}"


class _Identifiers:
    """URIs, or IRIs, whose unreserved characters are joined by `more`; `private` is for queries."""

    def __init__(self, speller: Speller, more: str = "", private: str = "") -> None:
        regex, self._terms = speller.regex, speller.terms
        plain = _UNRESERVED + more + _SUB_DELIMS
        char = rf"(?:[{plain}:@]|{_ESCAPED})"
        future = rf"[Vv]{HEX}+\.[{_UNRESERVED}{_SUB_DELIMS}:]+"
        host = rf"(?:\[(?:{IPV6}|{future})\]|(?:[{plain}]|{_ESCAPED})*)"
        authority = rf"(?:(?:[{plain}:]|{_ESCAPED})*@)?{host}(?::\d*)?"
        segments = rf"(?:/{char}*)*"
        self._scheme = regex(r"[A-Za-z][A-Za-z\d+\-.]*:")
        self._anchored = regex(rf"(?://{authority}{segments}|/(?:{char}+{segments})?)?")
        self._rootless = regex(rf"{char}+{segments}")
        # segment-nz-nc: a colon would end a scheme
        self._relative = regex(rf"(?:[{plain}@]|{_ESCAPED})+{segments}")
        self._tail = regex(rf"(?:\?(?:[/?{private}]|{char})*)?(?:#(?:[/?]|{char})*)?")

    def absolute(self) -> int:
        """Return those with a scheme."""
        path = self._terms.union((self._anchored, self._rootless))
        return self._terms.concat(self._scheme, path, self._tail)

    def reference(self) -> int:
        """Return those with a scheme and those without."""
        path = self._terms.union((self._anchored, self._relative))
        return self._terms.union((self.absolute(), self._terms.concat(path, self._tail)))


_EXPLODED: Final = r"(?:\*|:[1-9]\d{0,3})?"
_VARIABLE_CHAR: Final = rf"(?:[A-Za-z\d_]|{_ESCAPED})"
_VARIABLE: Final = rf"{_VARIABLE_CHAR}+(?:\.{_VARIABLE_CHAR}+)*{_EXPLODED}"
_EXPRESSION: Final = rf"\{{[+#./;?&]?{_VARIABLE}(?:,{_VARIABLE})*\}}"
_LITERAL: Final = r"!#$&'-;=?-\[\]_a-z~"
_TEMPLATE: Final = rf"(?:[{_LITERAL}{_UCS}{_PRIVATE}]|{_ESCAPED}|{_EXPRESSION})*"
_POINTER: Final = r"(?:/(?:[^/~]|~[01])*)*"


def uri(speller: Speller) -> int:
    """Return `URI`: with a scheme."""
    return _Identifiers(speller).absolute()


def uri_reference(speller: Speller) -> int:
    """Return `URI-reference`."""
    return _Identifiers(speller).reference()


def iri(speller: Speller) -> int:
    """Return `IRI`: with a scheme."""
    return _Identifiers(speller, _UCS, _PRIVATE).absolute()


def iri_reference(speller: Speller) -> int:
    """Return `IRI-reference`."""
    return _Identifiers(speller, _UCS, _PRIVATE).reference()


def uri_template(speller: Speller) -> int:
    """Return `URI-Template`; the operators reserved for extensions are left out of it."""
    return speller.regex(_TEMPLATE)


def json_pointer(speller: Speller) -> int:
    """Return `json-pointer`, the empty one included."""
    return speller.regex(_POINTER)


def relative_json_pointer(speller: Speller) -> int:
    """Return `relative-json-pointer`."""
    return speller.regex(rf"(?:0|[1-9]\d*)(?:#|{_POINTER})")
