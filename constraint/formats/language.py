"""The formats by name: which there are, what each leaves out, and the term of each.

Sources: JSON Schema Validation 2020-12, section 7.3, and the documents it names; each is cited
where the language is built. A language contains nothing that is invalid. Where a valid text could
only be told from an invalid one with unbounded memory it is left out, and `SUBSETS` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..regex.compiler import Alphabet
from ..terms.terms import Terms
from . import addresses, dates, hostnames, identifiers, mail, patterns
from .machine import Speller

_BUILDERS: Final[dict[str, Callable[[Speller], int]]] = {
    "date-time": dates.date_time,
    "date": dates.date,
    "time": dates.time,
    "duration": dates.duration,
    "email": mail.email,
    "idn-email": mail.idn_email,
    "hostname": hostnames.hostname,
    "idn-hostname": hostnames.idn_hostname,
    "ipv4": addresses.ipv4,
    "ipv6": addresses.ipv6,
    "uuid": addresses.uuid,
    "uri": identifiers.uri,
    "uri-reference": identifiers.uri_reference,
    "iri": identifiers.iri,
    "iri-reference": identifiers.iri_reference,
    "uri-template": identifiers.uri_template,
    "json-pointer": identifiers.json_pointer,
    "relative-json-pointer": identifiers.relative_json_pointer,
    "regex": patterns.regex,
}
FORMATS: Final = frozenset(_BUILDERS)
SUBSETS: Final[dict[str, str]] = {
    "email": mail.SUBSET,
    "idn-email": mail.SUBSET,
    "hostname": hostnames.SUBSET,
    "idn-hostname": hostnames.IDN_SUBSET,
    "uri-template": identifiers.TEMPLATE_SUBSET,
    "relative-json-pointer": identifiers.RELATIVE_SUBSET,
    "regex": patterns.SUBSET,
}


def format_language(terms: Terms, name: str, alphabet: Alphabet) -> int:
    """Return the term of all texts of the format `name`, which is one of `FORMATS`.

    Cost: a few milliseconds; states are built as texts reach them.
    """
    return _BUILDERS[name](Speller(terms, alphabet))
