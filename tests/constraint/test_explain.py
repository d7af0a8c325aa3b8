"""Grammars in words, and where and why a text leaves its language."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from schema_maker import grammars

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.language.explain import Explanation, explain
from lockstitch.constraint.text.style import TextStyle

EVERY = TextStyle("flexible", "any", "any")
ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "minimum": 1, "maximum": 100},
        "note": {"type": "string", "maxLength": 5},
        "lines": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["id"],
    "additionalProperties": False,
    "$defs": {
        "line": {
            "type": "object",
            "properties": {"price": {"type": "number", "minimum": 0}},
            "required": ["price"],
        }
    },
}


def grammar_of(schema: Any, style: TextStyle | None = None) -> Grammar:
    return compile_grammar({"type": "json", "value": schema}, style=style)


def why(schema: Any, text: str, style: TextStyle | None = None) -> Explanation:
    return explain(grammar_of(schema, style), text.encode())


class TestWords:
    """Golden outputs of `Grammar.describe`."""

    @pytest.mark.parametrize(
        ("schema", "words"),
        [
            ({}, "any value"),
            ({"type": "object"}, "an object"),
            ({"type": "boolean"}, "a boolean"),
            ({"const": False}, "false"),
            ({"not": {"type": "string"}}, "null, a boolean, a number, an array or an object"),
            ({"enum": [None, True, "b", "a", 2.5]}, 'null, true, 2.5, "a" or "b"'),
            ({"enum": list(range(12))}, "0, 1, 2, 3, 4, 5, 6, 7 or 4 more"),
            ({"type": "integer"}, "an integer"),
            (
                {"type": "number", "minimum": 0, "maximum": 10, "multipleOf": 0.5},
                "a number from 0 to 10, a multiple of 0.5",
            ),
            (
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                "a number above 0 and of at most 1",
            ),
            ({"type": "integer", "exclusiveMaximum": -3}, "an integer below -3"),
            ({"type": "integer", "not": {"multipleOf": 3}}, "an integer, not a multiple of 3"),
            ({"type": "number", "not": {"type": "integer"}}, "a number, not whole"),
            ({"type": "string", "minLength": 1}, "a string of at least 1 character"),
            ({"type": "string", "minLength": 2, "maxLength": 9}, "a string of 2 to 9 characters"),
            ({"type": "string", "pattern": "^ab+$"}, 'a string of a limited form, such as "ab"'),
            (
                {"type": "string", "pattern": "b", "minLength": 2, "maxLength": 2},
                'a string of exactly 2 characters of a limited form, such as "0b"',
            ),
            ({"type": "string", "pattern": "b{50}"}, "a string of a limited form"),
            ({"type": "array", "maxItems": 1}, "an array of at most 1 item"),
            ({"type": "object", "minProperties": 3}, "an object of at least 3 members"),
        ],
        ids=str,
    )
    def test_one_line_is_enough(self, schema: Any, words: str) -> None:
        assert grammar_of(schema).describe()[0] == f"#: {words}"

    def test_places_are_named_by_the_pointers_of_their_schemas(self) -> None:
        assert grammar_of(ORDER).describe() == (
            "#: an object",
            "  required: id",
            "  id: an integer from 1 to 100",
            "  note: a string of at most 5 characters",
            "  lines: an array of 1 to 2 items, see #/properties/lines",
            "  other names: never",
            "#/properties/lines: an array of 1 to 2 items",
            "  each item: an object, see #/$defs/line",
            "#/$defs/line: an object",
            "  required: price",
            "  price: a number of at least 0",
            "  other names: any value",
        )

    def test_recursion_ends_in_names(self) -> None:
        tree = {"type": "array", "items": {"$ref": "#/$defs/tree"}}
        nested = {"$defs": {"tree": tree}, "properties": {"t": {"$ref": "#/$defs/tree"}}}
        assert grammar_of({"type": "object", **nested}).describe() == (
            "#: an object",
            "  t: an array, see #/$defs/tree",
            "  other names: any value",
            "#/$defs/tree: an array",
            "  each item: an array, see #/$defs/tree",
        )

    def test_several_forms_are_told_apart(self) -> None:
        schema = {
            "anyOf": [
                {"type": "null"},
                {"type": "array", "prefixItems": [{"const": 1}, {"type": "string"}]},
                {"type": "object", "patternProperties": {"^x": {"type": "integer"}}},
            ]
        }
        assert grammar_of(schema).describe() == (
            "#: null, an array or an object",
            "  as an array:",
            "    item 0: 1",
            "    item 1: a string",
            "    further items: any value",
            "  as an object:",
            '    other names such as "x": an integer',
            '    other names such as "": any value',
        )

    def test_what_must_occur_somewhere(self) -> None:
        integers = {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 5}}
        assert grammar_of(integers).describe()[1:] == (
            "  each item: an integer",
            "  at least 1 item: an integer of at least 5",
        )
        some = {"type": "object", "not": {"additionalProperties": {"type": "string"}}}
        others = "null, a boolean, a number, an array or an object"
        assert grammar_of(some).describe()[1:] == (f"  at least 1 member: {others}",)

    def test_items_that_differ_and_names_in_quotes(self) -> None:
        schema = {
            "type": "object",
            "properties": {"a b": {"type": "array", "uniqueItems": True, "items": {"enum": [1]}}},
        }
        lines = grammar_of(schema).describe()
        assert lines[1] == '  "a b": an array, all different, see #/properties/a b'
        assert "  each item: 1" in lines

    def test_a_long_chain_is_cut_and_needs_no_stack(self) -> None:
        links = {
            f"n{i}": {"type": "object", "properties": {"next": {"$ref": f"#/$defs/n{i + 1}"}}}
            for i in range(3000)
        }
        schema = {"$ref": "#/$defs/n0", "$defs": {**links, "n3000": {"type": "null"}}}
        lines = grammar_of(schema).describe()
        assert lines[0] == "#: an object"
        assert lines[-1] == "(only the first 40 places are described)"
        assert sum(not line.startswith((" ", "(")) for line in lines) == 40

    def test_more_names_than_anyone_reads_are_counted(self) -> None:
        schema = {"type": "object", "properties": {f"p{i}": True for i in range(25)}}
        assert "  (5 more names)" in grammar_of(schema).describe()

    def test_a_regex_is_one_sentence(self) -> None:
        (line,) = compile_grammar({"type": "regex", "value": "a+"}).describe()
        assert "regular expression" in line


class TestWhy:
    """The byte, the value, its schemas, what could follow, and one sentence."""

    @pytest.mark.parametrize(
        ("text", "value", "places", "sentence"),
        [
            (
                '{"id": 1, "lines": [{"price": |"x"}]}',
                "/lines/0/price",
                ("/$defs/line/properties/price",),
                '"x" is not allowed here; expected is a number of at least 0',
            ),
            (
                '{"id": 15|0}',
                "/id",
                ("/properties/id",),
                "150 is not allowed here; expected is an integer from 1 to 100",
            ),
            (
                '{"id": 1, "note": "abcde|fg"}',
                "/note",
                ("/properties/note",),
                '"abcdefg" is not allowed here; expected is a string of at most 5 characters',
            ),
            (
                '{"id": 1, "lines": [{"price": 1}, |3]}',
                "/lines/1",
                ("/properties/lines/items",),
                "3 is not allowed here; expected is an object",
            ),
            (
                '{"id": 1, "lines": [{|}]}',
                "/lines/0",
                ("/properties/lines/items",),
                "the object cannot end here; still required: price",
            ),
            (
                '{"id": 1, "lines": [|]}',
                "/lines",
                ("/properties/lines",),
                "the array cannot end here; it must have at least 1 item",
            ),
            (
                '{"id": 1, "lines": [{"price": 1}, {"price": 2}|, {"price": 3}]}',
                "/lines",
                ("/properties/lines",),
                "no item can stand here in this array",
            ),
            (
                '{"id": 1, "n|ame": "x"}',
                "",
                ("",),
                'the name "name" is not allowed here; names are note, lines',
            ),
            (
                '{"id": 1, "lines": [{"price": 1}]|, "x": 2}',
                "",
                ("",),
                'the name "x" is not allowed here; names are note',
            ),
            (
                '{"id": 1, "lines": [{"price": 1, "price|": 2}]}',
                "/lines/0",
                ("/properties/lines/items",),
                'the name "price" is in this object already',
            ),
            (
                '{"|note": "x", "id": 1}',
                "",
                ("",),
                'the name "note" cannot stand at this place; '
                "the style keeps the order of the schema",
            ),
            ('{"id":|1}', "/id", ("/properties/id",), "the style writes white space before `1`"),
            ('{"id": 1|\n}', "", ("",), "white space cannot stand here in this style"),
            ('{"id": 1}|x', "", ("",), "the value is complete here; `x` cannot follow"),
            ("|[]", "", ("",), "an array is not allowed here; expected is an object"),
            ("{|1: 2}", "", ("",), "a name is expected here, not `1`"),
            (
                '{"id"|; 2}',
                "/id",
                ("/properties/id",),
                "a colon is expected after a name, not `;`",
            ),
        ],
        ids=str,
    )
    def test_a_fault_has_a_place(
        self, text: str, value: str, places: tuple[str, ...], sentence: str
    ) -> None:
        found = why(ORDER, text.replace("|", "", 1))
        assert not found.accepted
        assert found.offset == text.index("|")
        assert found.json_pointer == value
        assert found.schema_pointers == places
        assert found.sentence == sentence

    @pytest.mark.parametrize(
        ("text", "value", "sentence"),
        [
            ("", "", "before a value; expected is an object"),
            ("{", "", "before a name; still required: id"),
            ('{"i', "", "in a name; still required: id"),
            ('{"id"', "/id", "between a name and its value; expected is an integer from 1 to 100"),
            ('{"id": ', "/id", "before a value; expected is an integer from 1 to 100"),
            ('{"id": 1', "", "in an array or object; more must follow"),
            ('{"id": 1, "note": "', "/note", "in a string, a number or a word; expected is a str"),
            ('{"id": 1, "lines": [', "/lines/0", "before a value; expected is an object"),
        ],
        ids=str,
    )
    def test_a_text_cut_short_is_not_at_fault(self, text: str, value: str, sentence: str) -> None:
        found = why(ORDER, text)
        assert not found.accepted
        assert found.offset == len(text)
        assert found.json_pointer == value
        assert found.sentence.startswith(f"the text is cut short {sentence}")

    @pytest.mark.parametrize(
        ("schema", "text", "expected"),
        [
            (ORDER, "", ('{"id": ',)),
            (ORDER, '{"id": ', ("1-9",)),
            (ORDER, '{"id": 1, "', ("lin", "note")),
            ({"enum": ["red", "green", None, 7]}, "", ('"green"', '"red"', "7", "null")),
            ({"type": "boolean"}, "", ("false", "true")),
            ({"type": "integer"}, "1x", ("0-9", "end of text")),
            ({"type": "string"}, '"', ("any character", '"')),
            ({"type": "string", "pattern": "^[^x]$"}, '"', ("any character but x",)),
            ({"const": "é"}, '"', ('é"',)),
            ({"type": "object", "maxProperties": 0}, "", ("{}",)),
        ],
        ids=str,
    )
    def test_what_is_allowed_next(self, schema: Any, text: str, expected: tuple[str, ...]) -> None:
        found = why(schema, text)
        shortened = tuple(way[: len(e)] for way, e in zip(found.expected, expected, strict=True))
        assert shortened == expected

    def test_white_space_is_told_in_one_word(self) -> None:
        assert why({"type": "array", "maxItems": 0}, "[1]", EVERY).expected == ("]", "white space")

    def test_members_written_before_choose_among_the_forms(self) -> None:
        def form(kind: str, value: Any) -> Any:
            properties = {"kind": {"const": kind}, "value": {"type": value}}
            return {"type": "object", "properties": properties, "required": ["kind", "value"]}

        schema = {"anyOf": [form("a", "integer"), form("b", "string")]}
        found = why(schema, '{"kind": "a", "value": "x"}')
        assert found.schema_pointers == ("/anyOf/0/properties/value",)
        assert found.sentence == '"x" is not allowed here; expected is an integer'
        neither = why(schema, '{"kind": "c"}')
        assert neither.schema_pointers == (
            "/anyOf/0/properties/kind",
            "/anyOf/1/properties/kind",
        )
        assert neither.sentence == '"c" is not allowed here; expected is "a" or "b"'

    @pytest.mark.parametrize("name", ['"a~/é"', r'"\u0061~\/\u00e9"', r'"a\u007e/\u00E9"'])
    def test_names_are_decoded_for_the_pointers(self, name: str) -> None:
        schema = {"properties": {"a~/é": {"items": {"type": "null"}}}}
        found = why(schema, f"{{{name}: [null, 1]}}", EVERY)
        assert found.json_pointer == "/a~0~1é/1"
        assert found.schema_pointers == ("/properties/a~0~1é/items",)
        assert found.sentence == "1 is not allowed here; expected is null"

    def test_quotes_and_braces_inside_strings_open_nothing(self) -> None:
        schema = {"properties": {r"}]\"": {"items": {"type": "string"}}}}
        name = json.dumps(r"}]\"")
        found = why(schema, f'{{{name}: ["{{[\\"", "\\\\", 1]}}')
        assert found.json_pointer == r"/}]\"/2"

    def test_items_that_must_differ(self) -> None:
        schema = {"type": "array", "uniqueItems": True, "items": {"type": "integer"}}
        found = why(schema, "[1, 12, 1]")
        assert (found.offset, found.json_pointer) == (9, "/2")
        assert "must all differ" in found.sentence

    def test_the_middle_of_a_character(self) -> None:
        found = why({"enum": ["é"]}, '"è"')
        assert found.offset == 2
        assert found.sentence == '"è" is not allowed here; expected is "é"'

    def test_a_schema_that_says_nothing_about_a_value_has_no_pointer(self) -> None:
        found = why({"type": "object"}, '{"a": x}')
        assert (found.json_pointer, found.schema_pointers) == ("/a", ())

    def test_a_text_of_the_language(self) -> None:
        found = why(ORDER, '{"id": 1}')
        assert found == Explanation(True, 9, "", (), (), "the text is in the language")

    @pytest.mark.parametrize(
        ("text", "offset", "expected", "words"),
        [
            ("12", 2, ("0-9",), "cut short"),
            ("12x", 2, ("0-9",), "`x` cannot stand here"),
            ("1234-abc", 7, ("é", "end of text"), "`c` cannot stand here"),
            ("1234-abé!", 9, ("end of text",), "the text is complete here; `!` cannot follow"),
            ("1234-a\n", 6, ("b",), "U+000A cannot stand here"),
        ],
    )
    def test_a_regex_has_bytes_only(
        self, text: str, offset: int, expected: tuple[str, ...], words: str
    ) -> None:
        grammar = compile_grammar({"type": "regex", "value": "[0-9]{4}-(ab|cd)é?"})
        found = explain(grammar, text.encode())
        assert (found.offset, found.expected) == (offset, expected)
        assert (found.json_pointer, found.schema_pointers) == ("", ())
        assert words in found.sentence

    def test_depth_needs_no_stack(self) -> None:
        found = why({}, "[" * 5_000 + "x")
        assert found.offset == 5_000
        assert found.json_pointer == "/0" * 5_000


def test_every_explanation_agrees_with_the_language() -> None:
    """Random schemas, their shortest texts and damaged ones: the offset is the first bad byte."""
    random = Random(5)
    verdicts = set()
    for _, grammar in grammars(60, seed=11):
        assert grammar.describe()[0].startswith("#: ")
        good = grammar.shortest()
        damaged = [good[: random.randrange(len(good))] for _ in range(3)]
        for _ in range(8):
            at = random.randrange(len(good) + 1)
            damaged.append(good[:at] + random.choice((b"x", b'"', b"}", b",", b"7")) + good[at:])
        for text in (good, *damaged):
            found = explain(grammar, text)
            verdicts.add(found.accepted)
            assert found.accepted == grammar.accepts(text)
            assert grammar.is_prefix(text[: found.offset])
            if not found.accepted:
                assert found.expected
                assert found.offset == len(text) or not grammar.is_prefix(text[: found.offset + 1])
    assert verdicts == {True, False}
