"""What single keywords and their combinations allow, through `compile_grammar`."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import (
    GrammarError,
    InvalidGrammarError,
    UnsatisfiableGrammarError,
    UnsupportedGrammarError,
    ValidationError,
)

EVERYTHING = TextStyle("flexible", "any", "any")
CROSSED_BOUNDS = {"type": "integer", "minimum": 5, "maximum": 4}
TOO_LONG = {"type": "string", "pattern": "^a$", "minLength": 2}


def grammar_of(schema: Any, style: TextStyle | None = None, **options: Any) -> Grammar:
    return compile_grammar({"type": "json", "value": schema}, style=style, **options)


def accepts(schema: Any, text: str, style: TextStyle | None = None) -> bool:
    return grammar_of(schema, style).accepts(text.encode())


class TestContract:
    """The names and meanings that other code builds on."""

    SCHEMA: ClassVar[dict[str, Any]] = {"properties": {"a": {"type": "integer"}}, "required": ["a"]}

    def test_accepts_whole_texts_only(self) -> None:
        grammar = grammar_of({"type": "object", **self.SCHEMA})
        assert grammar.accepts(b'{"a": 1}')
        assert not grammar.accepts(b'{"a": 1')
        assert not grammar.accepts(b'{"a": "1"}')

    def test_is_prefix_says_whether_it_can_be_completed(self) -> None:
        grammar = grammar_of({"type": "object", **self.SCHEMA})
        assert grammar.is_prefix(b'{"a"')
        assert grammar.is_prefix(b"")
        assert not grammar.is_prefix(b'{"b"')

    def test_shortest(self) -> None:
        grammar = grammar_of({"type": "object", **self.SCHEMA})
        assert len(grammar.shortest()) == len(b'{"a": 1}')
        assert grammar.accepts(grammar.shortest())

    def test_the_report_names_every_keyword(self) -> None:
        report = grammar_of({"title": "t", "type": "object", **self.SCHEMA, "x-own": 1}).report
        found = {(entry.pointer, entry.keyword): entry.status for entry in report}
        assert found == {
            ("/title", "title"): "annotation",
            ("/type", "type"): "enforced",
            ("/properties", "properties"): "enforced",
            ("/required", "required"): "enforced",
            ("/x-own", "x-own"): "annotation",
            ("/properties/a/type", "type"): "enforced",
        }

    def test_a_regex_needs_no_schema(self) -> None:
        grammar = compile_grammar({"type": "regex", "value": r"\d{3}-\d{4}"})
        assert grammar.accepts(b"555-0199")
        assert grammar.is_prefix(b"555-")
        assert not grammar.accepts(b"555-019")
        assert grammar.shortest() == b"000-0000"

    def test_an_empty_regex_means_the_empty_text(self) -> None:
        grammar = compile_grammar({"type": "regex", "value": ""})
        assert grammar.accepts(b"")
        assert not grammar.is_prefix(b"a")


class TestObjects:
    def test_the_order_of_the_schema(self) -> None:
        schema = {"properties": {"b": {}, "a": {}}, "type": "object"}
        assert accepts(schema, '{"b": 1, "a": 2}')
        assert not accepts(schema, '{"a": 1, "b": 2}')
        assert accepts(schema, '{"a": 1, "b": 2}', TextStyle(property_order="any"))

    @pytest.mark.parametrize("order", ["schema", "any"])
    @pytest.mark.parametrize(
        "text",
        [
            '{"a": 1, "a": 1}',
            '{"z": 1, "z": 1}',
            '{"z": 1, "y": 2, "z": 1}',
            '{"a": 1, "z": 1, "a": 1}',
        ],
    )
    def test_no_name_comes_twice(self, order: Any, text: str) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
        assert not accepts(schema, text, TextStyle(property_order=order))

    def test_names_are_compared_decoded(self) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}, "é": False}}
        assert accepts(schema, r'{"\u0061":1}', EVERYTHING)
        for text in (
            r'{"\u0061":"s"}',
            r'{"a":1,"\u0061":2}',
            r'{"\u00e9":1}',
            r'{"z":1,"\u007a":2}',
        ):
            assert not accepts(schema, text, EVERYTHING), text
        assert not accepts(schema, r'{"\u0061": 1}')

    def test_additional_values_keep_their_schema(self) -> None:
        schema = {
            "type": "object",
            "properties": {"a": True},
            "additionalProperties": {"type": "null"},
        }
        assert accepts(schema, '{"a": 1, "b": null}')
        assert not accepts(schema, '{"a": 1, "b": 1}')

    def test_a_required_name_need_not_be_declared(self) -> None:
        schema = {"type": "object", "required": ["k"], "additionalProperties": {"type": "null"}}
        assert accepts(schema, '{"k": null, "l": null}')
        assert not accepts(schema, '{"l": null}')

    def test_the_objects_inside_have_their_own_names(self) -> None:
        assert accepts({}, '{"a": {"a": {"a": []}, "b": {"a": 1}}}')


class TestStrings:
    @pytest.mark.parametrize(
        ("schema", "good", "bad"),
        [
            ({"minLength": 2, "maxLength": 3}, ["ab", "éé€", "🐲🐲"], ["a", "abcd", "🐲"]),
            ({"pattern": "^a+$", "maxLength": 3}, ["a", "aaa"], ["aaaa", "b", ""]),
            ({"pattern": "b"}, ["abc", "b"], ["ac", ""]),
            ({"pattern": '"'}, ['"', 'a"b'], ["a"]),
            ({"enum": ["x", 'y"', "\n"], "pattern": "[y\n]"}, ['y"', "\n"], ["x"]),
        ],
    )
    def test_limits_count_decoded_characters(self, schema: Any, good: Any, bad: Any) -> None:
        schema = {"type": "string", **schema}
        for style in (TextStyle(), EVERYTHING):
            for ascii_only in (False, True) if style is EVERYTHING else (False,):
                for value, expected in [(v, True) for v in good] + [(v, False) for v in bad]:
                    text = json.dumps(value, ensure_ascii=ascii_only)
                    assert accepts(schema, text, style) is expected, text

    def test_canonical_text_has_one_spelling(self) -> None:
        for text in (r'"\u0061"', r'"\/"', r'"\u000A"', r'"\ud83d\udc32"'):
            assert not accepts({"type": "string"}, text)
            assert accepts({"type": "string"}, text, EVERYTHING)
        for text in (r'"\ud83d"', r'"\udc32"', '"\x01"', '"\n"', r'"\x"'):
            assert not accepts({"type": "string"}, text, EVERYTHING), text

    def test_a_large_counter_costs_nothing(self) -> None:
        grammar = grammar_of({"type": "string", "minLength": 5, "maxLength": 100_000})
        assert len(grammar.terms) < 1000
        assert grammar.accepts(b'"' + b"a" * 1000 + b'"')
        assert not grammar.accepts(b'"aaaa"')


class TestArrays:
    def test_prefix_rest_and_counts(self) -> None:
        schema = {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "items": {"type": "null"},
            "minItems": 1,
            "maxItems": 3,
        }
        for text in ("[1]", '[1, "a"]', '[1, "a", null]'):
            assert accepts(schema, text), text
        for text in ("[]", "[null]", '[1, "a", null, null]', '[1, "a", 1]'):
            assert not accepts(schema, text), text

    def test_an_item_without_values_ends_the_array(self) -> None:
        schema = {"type": "array", "prefixItems": [True, False], "items": True}
        assert accepts(schema, "[1]")
        assert not accepts(schema, "[1, 2]")
        assert not accepts({"type": "array", "items": False}, "[1]")
        with pytest.raises(UnsatisfiableGrammarError):
            grammar_of({**schema, "minItems": 2})

    def test_older_drafts_write_tuples_as_items(self) -> None:
        schema = {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "array",
            "items": [{"type": "integer"}],
            "additionalItems": {"type": "null"},
        }
        assert accepts(schema, "[1, null]")
        assert not accepts(schema, "[1, 2]")
        with pytest.raises(InvalidGrammarError):
            grammar_of({"items": [{}]})

    def test_unique_items_are_compared_as_values(self) -> None:
        schema = {"type": "array", "items": {"type": ["number", "string"]}, "uniqueItems": True}
        for text, expected in (
            ("[]", True),
            ('[1, 2, "1"]', True),
            ("[1, 2, 1]", False),
            ("[1, 1.0]", False),
            ("[0, -0]", False),
            ('["a", "b", "a"]', False),
            (r'["a", "\u0061"]', False),
        ):
            assert accepts(schema, text, EVERYTHING) is expected, text
            if "1.0" not in text and "u0061" not in text:
                assert accepts(schema, text) is expected, text

    def test_unique_items_never_run_out(self) -> None:
        few = {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True}
        assert accepts({**few, "minItems": 2}, '["b", "a"]')
        with pytest.raises(UnsatisfiableGrammarError):
            grammar_of({**few, "minItems": 3})
        tight = {**few, "prefixItems": [{"type": "string"}], "items": {"const": "a"}, "minItems": 2}
        assert accepts(tight, '["b", "a"]')
        assert not grammar_of(tight).is_prefix(b'["a"')


class TestCombinations:
    def test_siblings_of_anyof_and_ref_count(self) -> None:
        schema = {
            "anyOf": [{"type": "string"}, {"type": "integer"}],
            "maxLength": 2,
            "minimum": 5,
            "$ref": "#/$defs/not_ab",
            "$defs": {"not_ab": {"pattern": "^(?!ab)"}},
        }
        for text, expected in (
            ('"a"', True),
            ('"abc"', False),
            ('"ab"', False),
            ("5", True),
            ("4", False),
        ):
            assert accepts(schema, text) is expected, text

    def test_draft_7_ignores_the_siblings_of_ref(self) -> None:
        schema = {
            "$ref": "#/definitions/s",
            "maxLength": 1,
            "definitions": {"s": {"type": "string"}},
        }
        assert not accepts(schema, '"ab"')
        assert accepts({"$schema": "http://json-schema.org/draft-07/schema#", **schema}, '"ab"')

    def test_draft_4_has_flags_for_open_bounds(self) -> None:
        schema = {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "integer",
            "minimum": 1,
            "exclusiveMinimum": True,
            "maximum": 3,
            "exclusiveMaximum": False,
        }
        assert [accepts(schema, str(n)) for n in range(5)] == [False, False, True, True, False]

    def test_recursion(self) -> None:
        schema = {
            "type": "object",
            "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}},
            "required": ["value"],
            "additionalProperties": False,
        }
        assert accepts(schema, '{"value": 1, "next": {"value": 2, "next": {"value": 3}}}')
        assert not accepts(schema, '{"value": 1, "next": {"next": {"value": 3}}}')

    def test_references_decode_their_pointers(self) -> None:
        schema = {"$ref": "#/$defs/a~1b~0c%25", "$defs": {"a/b~c%": {"const": 1}}}
        assert accepts(schema, "1")

    def test_any_schema_at_the_top(self) -> None:
        assert accepts(True, '[1, {"a": null}]')
        assert accepts({"enum": [[1, {"a": "b"}], None]}, '[1, {"a": "b"}]')
        assert accepts({"const": {"b": 1, "a": [2.5]}}, '{"b": 1, "a": [2.5]}')
        assert not accepts({"const": {"b": 1}}, '{"b": 1, "a": 1}')
        assert accepts({"type": ["null", "boolean"]}, "null")
        assert not accepts({"const": 1}, "true")

    def test_long_chains_need_no_stack(self) -> None:
        count = 5000
        defs: dict[str, Any] = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(count)}
        defs[f"d{count}"] = {"const": "end"}
        assert accepts({"$ref": "#/$defs/d0", "$defs": defs}, '"end"')
        for i in range(count):
            below = {"x": {"$ref": f"#/$defs/d{i + 1}"}}
            defs[f"d{i}"] = {"type": "object", "properties": below, "required": ["x"]}
        grammar = grammar_of({"$ref": "#/$defs/d0", "$defs": defs})
        assert grammar.min_bytes == count * len('{"x": }') + len('"end"')


TWICE = {"$ref": "#x", "$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}
NEVER = {"type": "object", "required": ["a"], "properties": {"a": False}}
LINKED = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
PAIRS = {"type": "array", "uniqueItems": True, "minItems": 2, "items": {"enum": [[]]}}


class TestRefusals:
    """Nothing is weakened: each refusal has a type, a place and a sentence."""

    @pytest.mark.parametrize(
        ("schema", "error", "pointer", "words"),
        [
            ({"type": "frob"}, InvalidGrammarError, "/type", "'frob'"),
            ({"minLength": -1}, InvalidGrammarError, "/minLength", "not negative"),
            ({"maxItems": 1.5}, InvalidGrammarError, "/maxItems", "whole number"),
            ({"minimum": "1"}, InvalidGrammarError, "/minimum", "a number"),
            ({"enum": 1}, InvalidGrammarError, "/enum", "an array"),
            ({"required": "a"}, InvalidGrammarError, "/required", "strings"),
            ({"properties": []}, InvalidGrammarError, "/properties", "an object"),
            ({"properties": {"a/b": 3}}, InvalidGrammarError, "/properties/a~1b", "a schema"),
            ({"anyOf": []}, InvalidGrammarError, "/anyOf", "non-empty"),
            ({"$ref": "#/nope"}, InvalidGrammarError, "/$ref", "leads nowhere"),
            ({"$ref": "#"}, InvalidGrammarError, "", "circle"),
            ({"pattern": "(a"}, InvalidGrammarError, "/pattern", "offset"),
            ({"pattern": r"(a)\1"}, UnsupportedGrammarError, "/pattern", "backreference"),
            ({"$ref": "http://x/y"}, UnsupportedGrammarError, "/$ref", "registry"),
            ({"$ref": "#nope"}, InvalidGrammarError, "/$ref", "no anchor"),
            ({"$dynamicRef": 1}, InvalidGrammarError, "/$dynamicRef", "a string"),
            ({"unevaluatedItems": 1}, InvalidGrammarError, "/unevaluatedItems", "a schema"),
            ({"items": {"oneOf": []}}, InvalidGrammarError, "/items/oneOf", "non-empty"),
            (PAIRS, UnsatisfiableGrammarError, "", "fewer different items"),
            ({"not": {"uniqueItems": True}}, UnsupportedGrammarError, "/not", "negation"),
            ({"uniqueItems": True, "contains": {}}, UnsupportedGrammarError, "", "contains"),
            ({"not": {"format": "hostname"}}, UnsupportedGrammarError, "/not", "'hostname'"),
            ({"format": 1}, InvalidGrammarError, "/format", "a string"),
            ({"$schema": "http://x/y"}, UnsupportedGrammarError, "/$schema", "drafts"),
            (False, UnsatisfiableGrammarError, "", "nothing"),
            ({"enum": []}, UnsatisfiableGrammarError, "", "nothing"),
            ({"dependentRequired": {"a": {}}}, InvalidGrammarError, "/dependentRequired", "arrays"),
            (TWICE, InvalidGrammarError, "/$defs/b/$anchor", "rename"),
            (NEVER, UnsatisfiableGrammarError, "", "contradict"),
            (LINKED, UnsatisfiableGrammarError, "", "without end"),
            (CROSSED_BOUNDS, UnsatisfiableGrammarError, "", "contradict"),
            (TOO_LONG, UnsatisfiableGrammarError, "", "contradict"),
        ],
    )  # fmt: skip
    def test_bad_schemas(
        self, schema: Any, error: type[GrammarError], pointer: str | None, words: str
    ) -> None:
        with pytest.raises(error) as caught:
            grammar_of(schema)
        assert caught.value.pointer == pointer
        assert words in str(caught.value)
        assert (caught.value.error_type, caught.value.status) == ("validation", 422)

    def test_a_schema_without_finite_values_names_the_circle(self) -> None:
        schema = {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/n"}},
            "required": ["a"],
            "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 1}},
        }
        with pytest.raises(UnsatisfiableGrammarError) as caught:
            grammar_of(schema)
        assert "without end" in str(caught.value)
        assert caught.value.pointers

    def test_what_cannot_be_reached_does_not_matter(self) -> None:
        schema = {"type": "string", "$defs": {"unused": {"oneOf": [3]}}}
        assert accepts(schema, '"a"')
        assert accepts({"uniqueItems": False, "then": {}, "format": "own-format"}, "[1, 1]")

    def test_formats_can_be_annotations(self) -> None:
        grammar = grammar_of({"type": "string", "format": "date"}, assert_format=False)
        assert {e.keyword: e.status for e in grammar.report}["format"] == "annotation"

    @pytest.mark.parametrize("field", ["whitespace", "property_order", "escapes"])
    def test_styles_are_checked(self, field: str) -> None:
        with pytest.raises(ValidationError, match=field):
            TextStyle(**{field: "no"})  # type: ignore[arg-type]
