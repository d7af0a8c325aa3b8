"""A schema document and the places in it: which schema a reference means.

A place is a schema, where it stands, the resource that it belongs to, and what the way there has
fixed for dynamic references. Of that way only one thing can ever matter: for each dynamic anchor,
the first resource on it that has the anchor. Kept in this form the ways through a recursive schema
are finitely many. The resource of the whole document is the first on every way and is left out.

Sources: RFC 6901 (JSON pointer), RFC 3986 section 5 (base URIs), JSON Schema Core 2020-12 section
8.2.3 (`$ref`, `$dynamicRef`), Core 2019-09 section 8.2.4.2 (`$recursiveRef`).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias
from urllib.parse import unquote, urljoin

from ...schemas.errors import InvalidGrammarError, UnsupportedGrammarError
from .dialects import Draft
from .documents import (
    RECURSIVE,
    Documents,
    Library,
    Located,
    Resource,
    child_pointer,
    opens_resource,
)

Scope: TypeAlias = frozenset[tuple[str, Resource]]


class Place(NamedTuple):
    """A schema with the pointer that leads to it.

    The pointer is a JSON pointer in the document, for other documents after their URI and `#`.
    """

    pointer: str
    schema: object
    resource: Resource
    scope: Scope = frozenset()


class SchemaSource:
    """The document that is compiled; resolves references and never reads anything from outside."""

    def __init__(self, schema: object, registry: Documents | None = None) -> None:
        self._library = Library(schema, {} if registry is None else registry)
        self.root = Place("", schema, self._library.root)

    @property
    def oldest(self) -> Draft:
        """The oldest draft that any resource met so far is written in."""
        return min(self._library.drafts)

    def below(self, place: Place, pointer: str, schema: object) -> Place:
        """Return the place of a subschema, which may open a resource of its own."""
        resource = place.resource
        if not isinstance(schema, dict) or not opens_resource(schema, resource.dialect):
            return Place(pointer, schema, resource, place.scope)
        resource = self._library.embedded(schema, pointer, resource)
        return self._enter(place, Located(pointer, schema), resource)

    def resolve(self, keyword: str, reference: object, place: Place) -> Place:
        """Return the place that `$ref`, `$dynamicRef` or `$recursiveRef` at `place` means.

        Raises InvalidGrammarError if there is nothing, UnsupportedGrammarError if no document of
        that URI was given.
        """
        pointer = child_pointer(place.pointer, keyword)
        if not isinstance(reference, str):
            raise InvalidGrammarError(f"{keyword} must be a string", pointer=pointer)
        base, _, fragment = reference.partition("#")
        resource = self._resource(base, keyword, pointer, place)
        fragment = unquote(fragment)
        target = self._target(resource, fragment, f"{keyword} {reference!r}", pointer)
        target = self._enter(place, target, target.resource)
        return target if keyword == "$ref" else self._led_away(target, fragment)

    def _resource(self, base: str, keyword: str, pointer: str, place: Place) -> Resource:
        if not base:
            return place.resource
        uri = urljoin(place.resource.uri, base)
        found = self._library.find(uri, place.resource.dialect)
        if found is None:
            raise UnsupportedGrammarError(
                keyword,
                f"no document is known as {uri!r}; pass it in registry=, nothing is fetched",
                pointer=pointer,
            )
        return found

    def _target(self, resource: Resource, fragment: str, name: str, pointer: str) -> Place:
        if not fragment:
            return Place(*resource.root, resource)
        if fragment.startswith("/"):
            return self._follow(resource, fragment, name, pointer)
        self._library.read()
        found = resource.anchors.get(fragment)
        if found is None:
            raise InvalidGrammarError(
                f"{name} leads nowhere: there is no anchor {fragment!r}", pointer=pointer
            )
        return Place(*found, resource)

    def _follow(self, resource: Resource, fragment: str, name: str, pointer: str) -> Place:
        where, here = resource.root
        for part in fragment.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(here, dict) and key in here:
                here = here[key]
            elif isinstance(here, list) and key.isdecimal() and int(key) < len(here):
                here = here[int(key)]
            else:
                raise InvalidGrammarError(
                    f"{name} leads nowhere: there is no {key!r}", pointer=pointer
                )
            where = child_pointer(where, key)
            if isinstance(here, dict) and opens_resource(here, resource.dialect):
                resource = self._library.embedded(here, where, resource)
        return Place(where, here, resource)

    def _enter(self, place: Place, target: Located | Place, resource: Resource) -> Place:
        """Return the target as it is met on the way that led to `place`."""
        scope = place.scope
        if resource is not place.resource and resource is not self._library.root:
            self._library.read()
            new = resource.dynamic - self._library.root.dynamic - {name for name, _ in scope}
            scope |= {(name, resource) for name in new}
        return Place(target.pointer, target.schema, resource, scope)

    def _led_away(self, target: Place, fragment: str) -> Place:
        """Return where a dynamic reference ends whose first target is an anchor made for that."""
        self._library.read()
        if fragment not in target.resource.dynamic or fragment.startswith("/"):
            return target
        owner = self._library.root
        if fragment not in owner.dynamic:
            owner = dict(target.scope).get(fragment, target.resource)
        return Place(*owner.anchors[fragment or RECURSIVE], owner, target.scope)
