"""Random JSON Schemas of the keywords that are enforced, for tests that want many."""

from __future__ import annotations

import random
from typing import Any

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import (
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
PATTERNS = ["^a", "b$", "^[a-c]{2,4}$", "a|é", "^[0-9]+$", "^(?!a)", "(^| )ab", "^(ab)*$", "[^a]"]


class SchemaMaker:
    """Draws schemas from a seed; `depth` bounds nesting, `$ref`s go to three definitions."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def schema(self) -> dict[str, Any]:
        """Return a whole document with definitions, some of them recursive."""
        drawn = self.part(3)
        document: dict[str, Any] = {} if isinstance(drawn, bool) else drawn
        document["$defs"] = {name: self.part(2) for name in "xyz"}
        return document

    def part(self, depth: int) -> Any:
        """Return a schema of some kind, simple where the depth is used up."""
        pick = self.random
        kinds = ["string", "number", "integer", "enum", "const", "true", "boolean", "null"]
        if depth > 0:
            kinds += ["object", "object", "array", "array", "anyOf", "ref", "allOf", "types"]
            kinds += ["oneOf", "not", "if"]
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
                return {"$ref": f"#/$defs/{pick.choice('xyz')}", **self.sibling()}
            case "types":
                return {"type": pick.sample(["string", "integer", "null", "array", "object"], 2)}
            case other:
                return {"type": other}

    def sibling(self) -> dict[str, Any]:
        return self.random.choice([{}, {}, {"minLength": 1}, {"maximum": 50}, {"maxItems": 2}])

    def string(self) -> dict[str, Any]:
        pick, schema = self.random, {"type": "string"}
        extra: dict[str, Any] = {}
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
            scalars = [{"enum": ["a", "b", 1, 2.5, None]}, {"type": "integer", "maximum": 9}]
            scalars += [
                {"type": ["string", "null"]},
                {"type": "integer", "minimum": 1, "maximum": 3},
            ]
            prefix = [pick.choice(scalars) for _ in range(pick.randint(0, 2))]
            schema = {"type": "array", "uniqueItems": True, "items": pick.choice(scalars)}
            if prefix:
                schema["prefixItems"] = prefix
            schema["minItems"] = pick.randint(0, 3)
            return schema
        if pick.random() < 0.3:
            schema["contains"] = self.part(0)
            if pick.random() < 0.5:
                schema["minContains"] = pick.randint(0, 2)
                schema["maxContains"] = pick.randint(1, 3)
        return schema

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
        schema = maker.schema()
        try:
            made.append((schema, compile_grammar({"type": "json", "value": schema}, style=style)))
        except UnsatisfiableGrammarError:
            continue
        except UnsupportedGrammarError as error:
            if error.feature != "uniqueItems":  # refused where items are not scalars, and negated
                raise
        except InvalidGrammarError as error:
            if "circle" not in error.reason:
                raise
    return made
