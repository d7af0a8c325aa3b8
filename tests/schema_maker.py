"""Random JSON Schemas of the keywords that are enforced, for tests that want many.

`FORMAT_CHECKER` says for each format that occurs whether a text has it, so that `jsonschema` judges
the formats too, also under a negation. Formats known only in part are left out: their negation is
refused.
"""

from __future__ import annotations

import ipaddress
import random
import re
from calendar import isleap
from collections.abc import Callable
from typing import Any

from jsonschema import FormatChecker

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import (
    GrammarTooLargeError,
    InvalidGrammarError,
    UnsatisfiableGrammarError,
    UnsupportedGrammarError,
)

NAMES = ["a", "b", "ab", 'q"', "é", "long name", ""]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2.5,
    100,
    "",
    "a",
    "ab",
    'x"\\',
    "é",
    [],
    [1, "a"],
    {"a": 1},
]
ROOT = "https://example.org/root"
PATTERNS = ["^a", "b$", "^[a-c]{2,4}$", "a|é", "^[0-9]+$", "^(?!a)", "(^| )ab", "^(ab)*$", "[^a]"]
REFUSED = frozenset(["uniqueItems", "multipleOf"])  # what may be refused of the schemas made here
DATE = r"(\d{4})-(\d\d)-(\d\d)"
TIME = r"(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[zZ]|([+-])(\d\d):(\d\d))"
DAY_TIME = r"\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S"
DAYS = r"\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D"
DURATION = rf"P(?:(?:{DAYS})(?:T(?:{DAY_TIME}))?|T(?:{DAY_TIME})|\d+W)"


def matches(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text, re.ASCII) is not None


def is_date(text: str) -> bool:
    found = re.fullmatch(DATE, text, re.ASCII)
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    longest = [31, 29 if isleap(year) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return 1 <= month <= 12 and 1 <= day <= longest[month - 1]


def is_time(text: str) -> bool:
    found = re.fullmatch(TIME, text, re.ASCII)
    if found is None:
        return False
    hour, minute, second = (int(part) for part in found.groups()[:3])
    sign, ahead, late = found[4], int(found[5] or 0), int(found[6] or 0)
    shift = (ahead * 60 + late) * (-1 if sign == "+" else 1)
    last_minute = (hour * 60 + minute + shift) % 1440 == 1439
    return max(hour, ahead) < 24 and max(minute, late) < 60 and second < 60 + last_minute


def is_address(kind: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            kind(text)
        except ValueError:
            return False
        return text.isascii() and "%" not in text

    return check


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": is_date,
    "time": is_time,
    "date-time": lambda text: (
        text[10:11] in ("t", "T") and is_date(text[:10]) and is_time(text[11:])
    ),
    "duration": matches(DURATION),
    "ipv4": is_address(ipaddress.IPv4Address),
    "ipv6": is_address(ipaddress.IPv6Address),
    "uuid": matches(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "json-pointer": matches(r"(/([^~/]|~[01])*)*"),
}
FORMAT_CHECKER = FormatChecker(formats=())
for name, has_format in FORMATS.items():
    FORMAT_CHECKER.checks(name)(
        lambda value, has_format=has_format: not isinstance(value, str) or has_format(value)
    )


class SchemaMaker:
    """Draws schemas from a seed; `depth` bounds nesting, `$ref`s go to three definitions."""

    def __init__(self, seed: int | random.Random) -> None:
        """Draw from a seed, or from somebody else's choices."""
        self.random = random.Random(seed) if isinstance(seed, int) else seed
        self.references: list[str] = []

    def schema(self, depth: int = 3) -> dict[str, Any]:
        """Return a whole document with definitions, some of them recursive."""
        return self.document(self.with_definitions(depth - 1), self.part(depth))

    def document(self, definitions: dict[str, Any], *drawn: Any) -> dict[str, Any]:
        """Return a document that holds what was drawn beside these definitions."""
        known = [part for part in drawn if isinstance(part, dict)]
        root: dict[str, Any] = known[0] if len(drawn) == len(known) == 1 else {"allOf": list(drawn)}
        if isinstance(drawn[0], bool) and len(drawn) == 1:
            root = {}
        return {"$id": ROOT, **root, "$defs": definitions}

    def with_definitions(self, depth: int) -> dict[str, Any]:
        """Return definitions, reached by pointer, by anchor, or as a resource of its own."""
        self.references = [f"{ROOT}#/$defs/{name}" for name in "xyz"]
        style = self.random.choice(["pointers", "anchors", "resource", "dynamic"])
        if style == "anchors":
            self.references.append(f"{ROOT}#here")
        elif style != "pointers":
            self.references += ["https://example.org/inner", "https://example.org/inner#there"]
        made: dict[str, Any] = {name: self.part(depth) for name in "xyz"}
        if style == "anchors":
            made["w"] = {"$anchor": "here", "allOf": [self.part(depth)]}
        elif style != "pointers":
            made["w"] = {"$id": "inner", "allOf": [self.part(depth)]}
            made["w"]["$defs"] = {"v": {"$anchor": "there", "not": self.part(depth - 1)}}
        if style == "dynamic":
            made["w"]["properties"] = {"a": {"$dynamicRef": "#node"}}
            made["w"]["items"] = {"$dynamicRef": "#node"}
            made["w"]["$defs"]["node"] = {"$dynamicAnchor": "node", "type": ["null", "string"]}
            made["node"] = {"$dynamicAnchor": "node", "anyOf": [{"$ref": "inner"}, {"const": 1}]}
        return made

    def part(self, depth: int) -> Any:
        """Return a schema of some kind, simple where the depth is used up."""
        pick = self.random
        kinds = ["string", "number", "integer", "enum", "const", "true", "boolean", "null"]
        if depth > 0:
            kinds += ["object", "object", "array", "array", "anyOf", "ref", "allOf", "types"]
            kinds += ["oneOf", "not", "if", "unevaluated", "unevaluated"]
        match pick.choice(kinds):
            case "string":
                return self.string()
            case "number" | "integer" as kind:
                return self.number(kind)
            case "enum":
                return {"enum": pick.sample(VALUES, pick.randint(1, 4))}
            case "const":
                return {"const": pick.choice(VALUES)}
            case "true":
                return pick.choice([True, {}])
            case "object":
                return self.object(depth)
            case "array":
                return self.array(depth)
            case "anyOf" | "allOf" | "oneOf" as keyword:
                parts = [self.part(depth - 1) for _ in range(pick.randint(1, 3))]
                return {keyword: parts[: 2 if keyword == "allOf" else 3], **self.sibling()}
            case "not":
                return {"not": self.part(depth - 1), **self.sibling()}
            case "if":
                sides = pick.sample(["then", "else"], pick.randint(1, 2))
                return {
                    "if": self.part(depth - 1),
                    **{side: self.part(depth - 1) for side in sides},
                }
            case "ref":
                return {"$ref": pick.choice(self.references), **self.sibling()}
            case "unevaluated":
                return self.unevaluated(depth)
            case "types":
                return {"type": pick.sample(["string", "integer", "null", "array", "object"], 2)}
            case other:
                return {"type": other}

    def sibling(self) -> dict[str, Any]:
        return self.random.choice([{}, {}, {"minLength": 1}, {"maximum": 50}, {"maxItems": 2}])

    def string(self) -> dict[str, Any]:
        pick, schema = self.random, {"type": "string"}
        extra: dict[str, Any] = {}
        if pick.random() < 0.15:
            extra["format"] = pick.choice(list(FORMATS))
            return schema | extra
        if pick.random() < 0.4:
            extra["minLength"] = pick.randint(0, 3)
        if pick.random() < 0.4:
            extra["maxLength"] = pick.randint(1, 6)
        if pick.random() < 0.4:
            extra["pattern"] = pick.choice(PATTERNS)
        return schema | extra

    def number(self, kind: str) -> dict[str, Any]:
        pick, schema = self.random, {"type": kind}
        extra: dict[str, Any] = {}
        if pick.random() < 0.5:
            extra[pick.choice(["minimum", "exclusiveMinimum"])] = pick.choice(
                [-7, -0.5, 0, 1, 9.75]
            )
        if pick.random() < 0.3:
            extra["multipleOf"] = pick.choice([1, 2, 0.5, 0.25, 3])
        if pick.random() < 0.5:
            extra[pick.choice(["maximum", "exclusiveMaximum"])] = pick.choice([3, 10, 10.25, 1234])
        return schema | extra

    def array(self, depth: int) -> dict[str, Any]:
        pick = self.random
        schema: dict[str, Any] = {"type": "array"}
        if pick.random() < 0.7:
            schema["items"] = self.part(depth - 1)
        if pick.random() < 0.4:
            schema["prefixItems"] = [self.part(depth - 1) for _ in range(pick.randint(1, 3))]
        if pick.random() < 0.4:
            schema["minItems"] = pick.randint(0, 3)
        if pick.random() < 0.5:
            schema["maxItems"] = pick.randint(0, 4)
        if pick.random() < 0.25:
            return self.unique_array(depth)
        if pick.random() < 0.3:
            schema["contains"] = self.part(0)
            if pick.random() < 0.5:
                schema["minContains"] = pick.randint(0, 2)
                schema["maxContains"] = pick.randint(1, 3)
        return schema

    def unique_array(self, depth: int) -> dict[str, Any]:
        pick = self.random
        items: list[dict[str, Any]] = [
            {"enum": ["a", "b", 1, 2.5, None]},
            {"type": "integer", "maximum": 9},
            {"type": ["string", "null"]},
            {"type": "integer", "minimum": 1, "maximum": 3},
            {"enum": [[], [1], {"a": 1}, {"a": 1, "b": 2}, True]},
            {"items": {"type": "boolean"}, "type": "array", "maxItems": 2},
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        ]
        schema = {"type": "array", "uniqueItems": True, "items": pick.choice(items)}
        if pick.random() < 0.5:
            schema["prefixItems"] = [pick.choice(items) for _ in range(pick.randint(1, 2))]
        schema["minItems"] = pick.randint(0, 3)
        return schema

    def unevaluated(self, depth: int) -> dict[str, Any]:
        """Return an object or array schema whose parts are looked at beside and below it."""
        pick = self.random
        if pick.random() < 0.6:
            schema: dict[str, Any] = {"unevaluatedProperties": pick.choice([False, self.part(0)])}
            draw: Callable[[], Any] = lambda: self.object_part(depth - 1)  # noqa: E731
        else:
            schema = {"unevaluatedItems": pick.choice([False, self.part(0)])}
            draw = lambda: self.array_part(depth - 1)  # noqa: E731
        schema |= draw()
        for _ in range(pick.randint(1, 2)):
            match pick.choice(["allOf", "anyOf", "oneOf", "if", "dependentSchemas", "$ref"]):
                case "if":
                    schema |= {"if": draw(), "then": draw()}
                case "dependentSchemas":
                    schema["dependentSchemas"] = {pick.choice(NAMES): draw()}
                case "$ref":
                    schema["$ref"] = pick.choice(self.references)
                case keyword:
                    schema[keyword] = [draw() for _ in range(pick.randint(1, 2))]
        return schema

    def object_part(self, depth: int) -> dict[str, Any]:
        pick = self.random
        names = pick.sample(NAMES, pick.randint(1, 2))
        part: dict[str, Any] = {"properties": {name: self.part(max(depth, 0)) for name in names}}
        if pick.random() < 0.3:
            part["required"] = names[:1]
        if pick.random() < 0.2:
            part["patternProperties"] = {pick.choice(PATTERNS): self.part(0)}
        return part

    def array_part(self, depth: int) -> dict[str, Any]:
        pick = self.random
        part: dict[str, Any] = {}
        if pick.random() < 0.7:
            part["prefixItems"] = [self.part(max(depth, 0)) for _ in range(pick.randint(1, 2))]
        if pick.random() < 0.3:
            part["contains"] = self.part(0)
        if pick.random() < 0.2:
            part["items"] = self.part(0)
        return part

    def object(self, depth: int) -> dict[str, Any]:
        pick = self.random
        names = pick.sample(NAMES, pick.randint(0, 4))
        schema: dict[str, Any] = {"type": "object"}
        schema["properties"] = {name: self.part(depth - 1) for name in names}
        if pick.random() < 0.6:
            schema["required"] = pick.sample(NAMES, pick.randint(0, 2))
        if pick.random() < 0.6:
            schema["additionalProperties"] = pick.choice([False, self.part(depth - 1)])
        if pick.random() < 0.3:
            schema["patternProperties"] = {pick.choice(PATTERNS): self.part(depth - 1)}
        if pick.random() < 0.2:
            schema["propertyNames"] = self.string()
        if pick.random() < 0.2:
            schema["minProperties"] = pick.randint(0, 3)
        if pick.random() < 0.3:
            schema["maxProperties"] = pick.randint(1, 4)
        if pick.random() < 0.2:
            schema["dependentRequired"] = {pick.choice(NAMES): [pick.choice(NAMES)]}
        if pick.random() < 0.2:
            schema["dependentSchemas"] = {pick.choice(NAMES): self.part(depth - 1)}
        return schema


def grammars(
    count: int, *, seed: int, style: TextStyle | None = None
) -> list[tuple[dict[str, Any], Grammar]]:
    """Return `count` schemas that have instances, each with its grammar."""
    maker = SchemaMaker(seed)
    made: list[tuple[dict[str, Any], Grammar]] = []
    while len(made) < count:
        schema = maker.schema(2)
        try:
            made.append((schema, compile_grammar({"type": "json", "value": schema}, style=style)))
        except (UnsatisfiableGrammarError, GrammarTooLargeError):
            continue
        except UnsupportedGrammarError as error:
            if error.feature not in REFUSED:
                raise
        except InvalidGrammarError as error:
            if "circle" not in error.reason:
                raise
    return made
