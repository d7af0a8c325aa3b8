"""Schema documents and the resources in them: what a URI, an anchor or an `$id` names.

A document is a schema, or a file of the caller's registry, or a bundled metaschema; a resource is a
part of it with its own URI, base of the references inside. Documents are looked through only when a
reference asks for more than a JSON pointer, so a schema without such references pays nothing.
Nothing is ever fetched.

Sources: JSON Schema Core 2020-12 sections 8.1 and 8.2; `$id: "#name"` is an anchor up to draft 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urljoin

from referencing import Registry

from ...schemas.errors import InvalidGrammarError, UnsupportedGrammarError
from .dialects import Dialect, Draft, draft_named, identifier, in_force, subschemas

Documents: TypeAlias = Mapping[str, object] | Registry[Any]
RECURSIVE = ""  # the name under which `$recursiveAnchor: true` is kept, a fragment like the others
METASCHEMA_HOPS = 8


class Located(NamedTuple):
    """A schema and the JSON pointer that leads to it, after the URI of a foreign document."""

    pointer: str
    schema: object


class Resource:
    """A schema with its own base URI; equal only to itself.

    `anchors` and `dynamic` (the names that `$dynamicRef` may be led away from) are filled when the
    document is looked through.
    """

    __slots__ = ("anchors", "dialect", "dynamic", "root", "uri")

    def __init__(self, uri: str, root: Located, dialect: Dialect) -> None:
        self.uri = uri
        self.root = root
        self.dialect = dialect
        self.anchors: dict[str, Located] = {}
        self.dynamic: set[str] = set()


class Library:
    """The documents of one compilation by URI.

    `registry` is a mapping of URIs to documents or a `referencing.Registry`, whose own retrieval is
    never asked. Raises GrammarError for a `$schema` that no draft and no document explains.
    """

    def __init__(self, schema: object, registry: Documents) -> None:
        self._registry = registry
        self._resources: dict[str, Resource] = {}
        self._embedded: dict[int, Resource] = {}
        self._unread: list[Resource] = []
        self.drafts: set[Draft] = set()
        self.root = self._document("", schema, Dialect(Draft.DRAFT2020), "")

    def _document(self, uri: str, schema: object, inherited: Dialect, pointer: str) -> Resource:
        resource = self._resource(uri, Located(pointer, schema), inherited)
        self._resources.setdefault(uri, resource)
        self._unread.append(resource)
        return resource

    def _resource(self, base: str, root: Located, inherited: Dialect) -> Resource:
        """Return the resource of a schema that lies at `base`, or names itself relative to it."""
        schema = root.schema
        uri, dialect = base, inherited
        if isinstance(schema, dict):
            dialect = self._dialect(schema, root.pointer, inherited)
            name = identifier(schema, dialect.draft)
            uri = urljoin(base, name.partition("#")[0]) if name else base
        self.drafts.add(dialect.draft)
        resource = Resource(uri, root, dialect)
        self._resources.setdefault(uri, resource)
        self._embedded[id(schema)] = resource
        return resource

    def _dialect(self, schema: dict[str, object], pointer: str, inherited: Dialect) -> Dialect:
        name = schema.get("$schema")
        if name is None:
            return inherited
        pointer = f"{pointer}/$schema"
        if not isinstance(name, str):
            raise InvalidGrammarError("$schema must be a string", pointer=pointer)
        vocabulary: object = None
        for _ in range(METASCHEMA_HOPS):
            draft = draft_named(name)
            if draft is not None:
                dialect, unknown = in_force(draft, vocabulary)
                if unknown is None:
                    return dialect
                raise UnsupportedGrammarError(
                    "$vocabulary", f"{unknown!r} is required and not known", pointer=pointer
                )
            metaschema = self._registered(name.rstrip("#"))
            if not isinstance(metaschema, dict):
                break
            vocabulary = vocabulary or metaschema.get("$vocabulary")
            name = str(metaschema.get("$schema"))
        raise UnsupportedGrammarError(
            "$schema",
            f"{schema['$schema']!r} is not one of the drafts 4, 6, 7, 2019-09 and 2020-12, and the "
            "registry has no metaschema of that name",
            pointer=pointer,
        )

    def _registered(self, uri: str) -> object:
        """Return a document of the registry or a bundled metaschema, None if neither has it."""
        for key in (uri, uri + "#"):
            if isinstance(self._registry, Registry):
                found = self._registry.get(key)
                if found is not None:
                    return found.contents
            elif key in self._registry:
                return self._registry[key]
        if "json-schema.org/" in uri:
            return _bundled(uri)
        return None

    def find(self, uri: str, dialect: Dialect) -> Resource | None:
        """Return the resource of a URI; a document without `$schema` speaks `dialect`."""
        steps: tuple[Callable[[], None], ...] = (
            self.read,
            lambda: self._open(uri, dialect),
            lambda: self._open_all(dialect),
        )
        for step in steps:
            if uri in self._resources:
                break
            step()
        return self._resources.get(uri)

    def _open(self, uri: str, dialect: Dialect) -> None:
        document = self._registered(uri)
        if document is not None:
            self._document(uri, document, dialect, f"{uri}#")

    def _open_all(self, dialect: Dialect) -> None:
        """Read the whole registry: one of its documents may name itself by the URI in question."""
        for uri in list(self._registry):
            name = uri.rstrip("#")
            if name not in self._resources:
                self._open(name, dialect)
        self.read()

    def embedded(self, schema: dict[str, object], pointer: str, within: Resource) -> Resource:
        """Return the resource that a schema with an `$id` inside `within` opens."""
        self.read()
        found = self._embedded.get(id(schema))
        if found is None:
            found = self._resource(within.uri, Located(pointer, schema), within.dialect)
            self._unread.append(found)
        return found

    def read(self) -> None:
        """Look through the documents that nobody has looked through yet. Cost: linear in them."""
        seen: set[int] = set()
        while self._unread:
            resource = self._unread.pop()
            stack = [(resource, resource.root)]
            while stack:
                resource, place = stack.pop()
                schema = place.schema
                if not isinstance(schema, dict) or id(schema) in seen:
                    continue
                seen.add(id(schema))
                if schema is not resource.root.schema and opens_resource(schema, resource.dialect):
                    resource = self._resource(resource.uri, place, resource.dialect)
                _note_anchors(resource, place, schema)
                inside = [
                    (resource, Located(child_pointer(place.pointer, *parts), below))
                    for parts, below in subschemas(schema, resource.dialect)
                ]
                stack.extend(reversed(inside))  # what comes first in the text is read first


def opens_resource(schema: dict[str, object], dialect: Dialect) -> bool:
    """Return whether a schema has an identifier that changes the base of its references."""
    if "$id" not in schema and "id" not in schema:
        return False
    name = identifier(schema, dialect.draft)
    return name is not None and not name.startswith("#")


def _note_anchor(resource: Resource, name: str, place: Located, keyword: str) -> None:
    """Raises InvalidGrammarError if another place of the resource has the name."""
    known = resource.anchors.setdefault(name, place)
    if known.pointer != place.pointer:
        raise InvalidGrammarError(
            f"the anchor {name!r} is at {known.pointer or 'the root'} too; rename one of them",
            pointer=f"{place.pointer}/{keyword}",
        )


def _note_anchors(resource: Resource, place: Located, schema: dict[str, object]) -> None:
    dialect = resource.dialect
    name = identifier(schema, dialect.draft)
    if name is not None and dialect.draft <= Draft.DRAFT7 and "#" in name:
        _note_anchor(
            resource,
            name.partition("#")[2],
            place,
            "id" if dialect.draft is Draft.DRAFT4 else "$id",
        )
    for keyword in ("$anchor", "$dynamicAnchor"):
        anchor = schema.get(keyword)
        if isinstance(anchor, str) and dialect.knows(keyword):
            _note_anchor(resource, anchor, place, keyword)
            if keyword == "$dynamicAnchor":
                resource.dynamic.add(anchor)
    if schema.get("$recursiveAnchor") is True and dialect.knows("$recursiveAnchor"):
        resource.anchors.setdefault(RECURSIVE, place)
        resource.dynamic.add(RECURSIVE)


def child_pointer(pointer: str, *parts: object) -> str:
    """Return the pointer extended by unescaped parts."""
    for part in parts:
        text = str(part)
        if "~" in text or "/" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        pointer = f"{pointer}/{text}"
    return pointer


def _bundled(uri: str) -> object:
    """Return a metaschema of the drafts; they come as a package, read when one is asked for."""
    from jsonschema_specifications import REGISTRY

    found = REGISTRY.get(uri) or REGISTRY.get(uri + "#")
    return None if found is None else found.contents
