"""Values that are compared: `values`, `few_values`, and arrays whose items must differ."""

from __future__ import annotations

import itertools
import json
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.language.few_values import MANY, NONE, FewValues
from lockstitch.constraint.language.name_languages import MOST_NAMES
from lockstitch.constraint.language.values import (
    DEEPEST,
    ValueText,
    comparable,
    decimal,
    read_value,
)
from lockstitch.constraint.terms.shortest import INFINITE
from lockstitch.constraint.terms.terms import Terms
from lockstitch.constraint.text.json_text import JsonText
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import (
    GrammarTooLargeError,
    UnsatisfiableGrammarError,
)

EVERYTHING = TextStyle("flexible", "any", "any", max_whitespace=4)
COMPACT = TextStyle("compact")


def unique(style: TextStyle = EVERYTHING, **keywords: Any) -> Grammar:
    schema = {"type": "array", "uniqueItems": True, **keywords}
    return compile_grammar({"type": "json", "value": schema}, style=style)


def accepts(grammar: Grammar, text: str) -> bool:
    return grammar.accepts(text.encode())


def values_of(schema: Any, definitions: Any = None) -> Any:
    """The values of a schema's root as the compiler counts them."""
    whole = {**schema, "$defs": definitions or {}} if isinstance(schema, dict) else schema
    grammar = compile_grammar({"type": "json", "value": whole})
    assert grammar.schema is not None
    language, root = grammar.schema

    return FewValues(language.graph, language.productive, language).of(root)


class TestComparison:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("1", "1.0"),
            ("1", "1e0"),
            ("1.50", "15e-1"),
            ("0", "-0.0"),
            ("100", "1E+2"),
            ('"a"', r'"\u0061"'),
            ('"é"', r'"\u00e9"'),
            ('"\U0001f600"', r'"\ud83d\ude00"'),
            ('"/"', r'"\/"'),
            ('{"a":1,"b":2}', '{ "b" : 2.0, "a" : 1 }'),
            ("[1,[2]]", "[ 1.0 , [2e0] ]"),
            (r'{"\u0061":[{}]}', '{"a":[{}]}'),
            ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
        ],
    )
    def test_equal(self, first: str, second: str) -> None:
        assert read_value(first.encode()) == read_value(second.encode())
        assert hash(read_value(first.encode())) == hash(read_value(second.encode()))

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("1", "true"),
            ("0", "false"),
            ("[1]", "[true]"),
            ("[]", "{}"),
            ("null", "false"),
            ('"1"', "1"),
            ('""', "null"),
            ('{"a":0}', '{"a":false}'),
            ('{"a":1}', '{"a":1,"b":1}'),
            ("[1,2]", "[2,1]"),
            ("[[]]", "[]"),
            ('"é"', r'"e\u0301"'),
            ("0.1", "0.1000000000000000055511151231257827021181583404541015625"),
            ("9007199254740993", "9007199254740992"),
        ],
    )
    def test_different(self, first: str, second: str) -> None:
        assert read_value(first.encode()) != read_value(second.encode())

    def test_the_form(self) -> None:
        assert comparable({"a": [None, True, "x", Decimal("0.5")]}) == (
            "object",
            frozenset(
                [
                    (
                        "a",
                        (
                            "array",
                            (
                                ("null", None),
                                ("boolean", True),
                                ("string", "x"),
                                ("number", Fraction(1, 2)),
                            ),
                        ),
                    )
                ]
            ),
        )

    @pytest.mark.parametrize("depth", [DEEPEST + 1, 100_000])
    def test_deeper_values_are_refused(self, depth: int) -> None:
        read_value(b"[" * DEEPEST + b"]" * DEEPEST)
        with pytest.raises(GrammarTooLargeError) as caught:
            read_value(b"[" * (depth + 1) + b"]" * (depth + 1))
        assert caught.value.allowed == DEEPEST

    @pytest.mark.parametrize("number", ["0.5", "-3", "12.125", "100"])
    def test_decimals_are_exact(self, number: str) -> None:
        assert decimal(Fraction(number)) == Decimal(number)


class TestSpellings:
    @pytest.mark.parametrize(
        ("value", "spelled", "others"),
        [
            ("1", ["1", "1.0"], ["2", '"1"', "10"]),
            ('"a"', ['"a"', r'"\u0061"'], ['"b"', '""']),
            ("[]", ["[]", "[ ]"], ["{}", "[[]]"]),
            ("{}", ["{}", "{ \n}"], ["[]"]),
            ("[1,null]", ["[1,null]", "[ 1.0 , null ]"], ["[1]", "[null,1]", "[1,null,null]"]),
            (
                '{"a":1,"b":[true]}',
                ['{"a":1,"b":[true]}', '{"b":[ true ], "a":1.0}', r'{"\u0062":[true],"a":1}'],
                ['{"a":1}', '{"a":1,"a":1,"b":[true]}', '{"a":1,"b":[1]}'],
            ),
        ],
    )
    def test_every_spelling_of_one_value(
        self, value: str, spelled: list[str], others: list[str]
    ) -> None:
        terms = Terms()
        term = ValueText(JsonText(terms, EVERYTHING)).term(read_value(value.encode()))
        assert [terms.accepts(term, text.encode()) for text in spelled] == [True] * len(spelled)
        assert [terms.accepts(term, text.encode()) for text in others] == [False] * len(others)


class TestFewValues:
    @pytest.mark.parametrize(
        ("schema", "values"),
        [
            ({"enum": [1, 1.0, "a"]}, [1, "a"]),
            ({"type": "boolean"}, [True, False]),
            ({"type": "integer", "minimum": -1, "maximum": 2}, [-1, 0, 1, 2]),
            ({"type": "number", "multipleOf": 0.5, "minimum": 0, "maximum": 1}, [0, 0.5, 1]),
            ({"type": "string", "pattern": "^[ab]?$"}, ["", "a", "b"]),
            ({"type": "array", "items": {"type": "null"}, "maxItems": 2}, [[], [None], [None] * 2]),
            (
                {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
                [[], [True], [False], [True, False], [False, True]],
            ),
            (
                {
                    "type": "object",
                    "properties": {"a": {"const": 1}, "b": {"type": "null"}},
                    "required": ["a"],
                    "additionalProperties": False,
                },
                [{"a": 1}, {"a": 1, "b": None}],
            ),
            (
                {
                    "type": "array",
                    "items": {"enum": [1, 2]},
                    "contains": {"const": 2},
                    "maxItems": 2,
                },
                [[2], [1, 2], [2, 1], [2, 2]],
            ),
            (
                {"anyOf": [{"const": []}, {"const": [1]}, {"maxItems": 0, "type": "array"}]},
                [[], [1]],
            ),
        ],
    )
    def test_listed(self, schema: Any, values: list[Any]) -> None:
        found = values_of(schema)
        assert found.few == {read_value(json.dumps(value).encode()) for value in values}
        assert found.least == len(values)

    @pytest.mark.parametrize(
        ("schema", "least"),
        [
            ({"type": "integer", "minimum": 0, "maximum": 99}, MOST_NAMES + 1),
            ({"type": "integer"}, INFINITE),
            ({"type": "string"}, INFINITE),
            ({"type": "number", "minimum": 0, "maximum": 1}, INFINITE),
            ({"type": "object"}, INFINITE),
            ({"type": "array", "items": {"type": "null"}}, INFINITE),
            ({"type": "string", "pattern": "^[a-z]{2}$"}, MOST_NAMES + 1),
        ],
    )
    def test_many_are_counted_from_below(self, schema: Any, least: int) -> None:
        found = values_of(schema)
        assert found.few is None
        assert found.least >= least

    def test_a_value_that_may_hold_itself_has_many(self) -> None:
        node = {"anyOf": [{"const": 1}, {"type": "array", "items": {"$ref": "#/$defs/n"}}]}
        assert values_of({"$ref": "#/$defs/n"}, {"n": node}).few is None
        assert MANY.least == INFINITE
        assert NONE.few == frozenset()

    @pytest.mark.parametrize(
        ("items", "text"),
        [
            (
                {"type": "array", "contains": {"const": 1}, "minItems": 1, "maxItems": 3},
                b"[[1],[2,1],[1,2,3]]",
            ),
            (
                {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "null"}},
                b'[{},{"a":null},{"b":null}]',
            ),
            (
                {"type": "object", "not": {"properties": {"a": {"const": 1}}}},
                b'[{"a":2},{"a":2,"b":1},{"a":{}}]',
            ),
        ],
    )
    def test_what_cannot_be_counted_is_drawn(self, items: Any, text: bytes) -> None:
        grammar = unique(items=items, minItems=3)
        assert grammar.accepts(text)
        assert not grammar.accepts(text.replace(b",[2,1]", b",[ 1.0 ]").replace(b'"b"', b'"a"'))
        assert len(json.loads(grammar.shortest())) == 3

    @pytest.mark.parametrize(
        ("keywords", "values"),
        [
            ({"items": {"enum": [1, 2]}, "minItems": 2}, [[1, 2], [2, 1]]),
            ({"prefixItems": [{"enum": [1, 2]}] * 13, "items": False, "minItems": 13}, []),
            ({"items": {"const": 1}, "minItems": 100, "maxItems": 100, "uniqueItems": False},
             [[1] * 100]),
        ],
    )  # fmt: skip
    def test_long_arrays(self, keywords: dict[str, Any], values: list[Any]) -> None:
        schema = {"anyOf": [{"const": 0}, {"type": "array", "uniqueItems": True, **keywords}]}
        found = values_of(schema)
        assert found.few == {read_value(json.dumps(value).encode()) for value in [0, *values]}


class TestUniqueItems:
    @pytest.mark.parametrize(
        ("items", "different", "equal"),
        [
            ({"type": "integer"}, "[1, 2]", "[1, 1.0]"),
            ({}, "[1, true, 0, false]", "[1, true, 1]"),
            ({}, "[[1], [true]]", "[[1], [1.0]]"),
            ({}, '[{"a":1,"b":2}, {"a":2,"b":1}]', '[{"a":1,"b":2}, {"b":2,"a":1}]'),
            ({}, '[{"a":1}, {"a":1,"b":2}]', r'[{"a":1}, {"\u0061": 1.0}]'),
            ({"type": "string"}, '["a", "A", "b"]', r'["a", "b", "\u0061"]'),
            ({}, '["1", 1, [1], {"1": 1}]', "[[[]], 1, [[]]]"),
            ({"type": "array"}, "[[], [[]], [[], []]]", "[[], [[]], [ ]]"),
            ({"type": "object"}, '[{}, {"a": {}}, {"a": []}]', '[{"a": {}}, {}, {"a": { }}]'),
        ],
    )
    def test_values_are_compared_not_texts(self, items: Any, different: str, equal: str) -> None:
        grammar = unique(items=items)
        assert accepts(grammar, different)
        assert not accepts(grammar, equal)

    def test_more_than_the_few_values_are_told_apart(self) -> None:
        items = {"type": "integer", "minimum": 0, "maximum": 99}
        grammar = unique(items=items, minItems=100)
        numbers = [number * 37 % 100 for number in range(100)]
        assert accepts(grammar, json.dumps(numbers))
        assert not accepts(grammar, json.dumps([*numbers[:99], 0]))
        assert not accepts(grammar, json.dumps(numbers[:99]))
        assert not grammar.is_prefix(json.dumps([*numbers, 0])[:-1].encode())
        assert grammar.is_prefix(json.dumps(numbers[:99])[:-1].encode() + b",")

    def test_more_items_than_integers_are_unsatisfiable(self) -> None:
        with pytest.raises(UnsatisfiableGrammarError):
            unique(items={"type": "integer", "minimum": 0, "maximum": 99}, minItems=101)

    @pytest.mark.parametrize(
        "items",
        [
            {"enum": [1, "a", None]},
            {"enum": [1, 1.0, "a", "a", -5]},
            {"type": ["boolean", "null"]},
            {"type": "integer", "exclusiveMinimum": 8, "maximum": 11},
            {"type": "number", "multipleOf": 2.5, "minimum": 0, "maximum": 7},
            {"type": "string", "pattern": "^(|a|\\u00e9)$"},
        ],
    )
    def test_as_many_items_as_values(self, items: Any) -> None:
        """Every prefix can be finished, byte by byte; one item more is too many."""
        grammar = unique(COMPACT, items=items, minItems=3)
        text = grammar.shortest()
        assert len({read_value(json.dumps(value).encode()) for value in json.loads(text)}) == 3
        self.check_prefixes(grammar, text)
        with pytest.raises(UnsatisfiableGrammarError):
            unique(COMPACT, items=items, minItems=4)

    @pytest.mark.parametrize(
        ("items", "text"),
        [
            ({"enum": [[], [1], {}, 2]}, b"[2,[1],{},[]]"),
            ({"enum": [{"a": 1}, {"a": 1.0}, [1], [True]]}, b'[{"a":1},[true],[1]]'),
            (
                {"type": "array", "items": {"type": "null"}, "maxItems": 2},
                b"[[null],[],[null,null]]",
            ),
            (
                {
                    "type": "object",
                    "properties": {"a": {"enum": [1, 2]}},
                    "additionalProperties": False,
                },
                b'[{"a":1},{},{"a":2}]',
            ),
        ],
    )
    def test_no_more_containers_than_values(self, items: Any, text: bytes) -> None:
        grammar = unique(COMPACT, items=items)
        assert grammar.accepts(text)
        self.check_prefixes(grammar, text)

    def check_prefixes(self, grammar: Grammar, text: bytes) -> None:
        assert not grammar.is_prefix(text[:-1] + b",")
        for prefix in self.prefixes(grammar, text):
            end = grammar.shortest_texts.text(grammar.terms.walk(grammar.start, prefix))
            assert grammar.accepts(prefix + end), prefix

    def prefixes(self, grammar: Grammar, text: bytes) -> set[bytes]:
        """Every text of up to a byte more than a prefix of `text` that can be completed."""
        near = {text[:cut] + bytes([byte]) for cut in range(len(text)) for byte in range(32, 127)}
        return {prefix for prefix in near if grammar.is_prefix(prefix)}

    def test_a_value_is_kept_for_a_later_item_that_needs_it(self) -> None:
        prefix = [{"enum": [1, 2, 3]}, {"enum": [1, 2]}, {"enum": [1]}]
        grammar = unique(prefixItems=prefix, items=False, minItems=3)
        assert accepts(grammar, "[3, 2, 1]")
        assert not grammar.is_prefix(b"[1")
        assert not grammar.is_prefix(b"[2")
        assert not grammar.is_prefix(b"[3, 1")

    def test_containers_leave_out_what_was_taken(self) -> None:
        prefix = [{"enum": [[], [1], {}]}, {"enum": [[], [1]]}, {"const": []}]
        grammar = unique(COMPACT, prefixItems=prefix, items=False)
        assert grammar.accepts(b"[{},[1],[]]")
        assert grammar.accepts(b"[[],[1]]")
        assert not grammar.is_prefix(b"[[],[1],")
        assert not grammar.is_prefix(b"[{},[],[")

    def test_mixed_items_without_a_minimum(self) -> None:
        items = {"anyOf": [{"type": "array", "items": {"type": "null"}}, {"const": 1}]}
        grammar = unique(items=items)
        assert accepts(grammar, "[1, [], [null]]")
        assert not accepts(grammar, "[1, [null], [], [null]]")
        assert grammar.is_prefix(b"[1, [null], [null")
        assert not grammar.is_prefix(b"[1, [null], [null],")

    @pytest.mark.parametrize(
        ("items", "enough", "shortest"),
        [
            ({"type": "object"}, 4, b'[{},{"":1},{"":2},{"":3}]'),
            ({"enum": [[], [1], {}]}, 3, None),
            ({"type": "array", "items": {"enum": [0, 1]}, "maxItems": 1}, 3, None),
            ({"type": ["object", "number"]}, 2, None),
            ({"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"],
              "additionalProperties": False}, 2, b'[{"a":1},{"a":2}]'),
        ],
    )  # fmt: skip
    def test_required_containers_differ(
        self, items: dict[str, Any], enough: int, shortest: bytes | None
    ) -> None:
        schema = {"type": "array", "uniqueItems": True, "items": items, "minItems": enough}
        found = unique(items=items, minItems=enough).shortest()
        assert len(json.loads(found)) == enough
        Draft202012Validator(schema).validate(json.loads(found))
        assert shortest is None or len(found) <= len(shortest)

    def test_fewer_containers_than_required_leave_nothing(self) -> None:
        short = {"type": "array", "uniqueItems": True, "minItems": 4}
        short["items"] = {"enum": [[], [1], {}]}
        with pytest.raises(UnsatisfiableGrammarError):
            compile_grammar({"type": "json", "value": short})
        other = compile_grammar({"type": "json", "value": {"anyOf": [short, {"const": "x"}]}})
        assert other.shortest() == b'"x"'
        assert not other.is_prefix(b"[")
        optional = {"type": "object", "properties": {"a": short}, "additionalProperties": False}
        assert not compile_grammar({"type": "json", "value": optional}).is_prefix(b'{"')
        nested = {"type": "array", "uniqueItems": True, "items": short}
        assert compile_grammar({"type": "json", "value": nested}).shortest() == b"[]"

    def test_arrays_that_hold_themselves(self) -> None:
        """A value is there only if it can be made of values that are: `[null,[null,` has none."""

        def compiled(scalar: Any) -> Grammar:
            again = {"type": "array", "uniqueItems": True, "minItems": 2, "items": {"$ref": "#"}}
            schema = {"anyOf": [scalar, again]}
            return compile_grammar({"type": "json", "value": schema}, style=EVERYTHING)

        assert not compiled({"const": None}).is_prefix(b"[")
        two = compiled({"enum": [1, 2]})
        assert two.accepts(b"[1,[1,2],[[1,2],[2,1]]]")
        assert not two.is_prefix(b"[1,[1, 1.0]")

    @pytest.mark.parametrize("high", [69, 89])
    def test_values_that_later_items_need_are_kept_or_the_array_is_refused(self, high: int) -> None:
        prefix, items = [{"type": "integer"}], {"type": "integer", "minimum": 0, "maximum": high}
        if high >= 70:
            grammar = unique(COMPACT, prefixItems=prefix, items=items, minItems=71)
            assert len(json.loads(grammar.shortest())) == 71
        else:
            with pytest.raises(GrammarTooLargeError) as caught:
                unique(COMPACT, prefixItems=prefix, items=items, minItems=71)
            assert caught.value.allowed == MOST_NAMES

    def test_many_containers_may_be_used_up(self) -> None:
        items = {"type": "array", "items": {"enum": [0, 1, 2, 3]}, "maxItems": 3}
        grammar = unique(COMPACT, items=items, minItems=85)
        every = [list(v) for n in range(4) for v in itertools.product(range(4), repeat=n)]
        text = json.dumps(every, separators=(",", ":")).encode()
        assert grammar.accepts(text)
        assert not grammar.is_prefix(text[:-1] + b",")
        with pytest.raises(UnsatisfiableGrammarError):
            unique(COMPACT, items=items, minItems=86)

    @pytest.mark.parametrize("seed", range(12))
    def test_small_arrays_are_what_the_oracle_says(self, seed: int) -> None:
        """Every array of up to three of some values, under schemas drawn from them."""
        rng = random.Random(seed)
        values: list[Any] = [0, True, None, "a", [], [0], {}, {"a": 1}, [[]]]
        parts: list[dict[str, Any]] = [
            {"enum": rng.sample(values, rng.randint(2, 6))},
            {"type": "array", "items": {"enum": rng.sample(values, 2)}, "maxItems": 1},
            {"type": ["object", "null"], "properties": {"a": {"const": 1}}},
        ]
        items = rng.choice([*parts, {"anyOf": rng.sample(parts, 2)}])
        least = rng.randint(2, 3)
        schema = {"type": "array", "uniqueItems": True, "items": items, "minItems": least}
        validator = Draft202012Validator(schema)
        try:
            grammar = unique(items=items, minItems=least)
        except UnsatisfiableGrammarError:
            grammar = None
        for count in range(4):
            for some in itertools.product(values, repeat=count):
                text = json.dumps(some, separators=(",", ":"))
                told = grammar is not None and accepts(grammar, text)
                assert told == validator.is_valid(list(some)), text

    def test_false_asks_for_nothing(self) -> None:
        schema = {"type": "array", "uniqueItems": False, "items": {"const": 1}, "minItems": 2}
        grammar = compile_grammar({"type": "json", "value": schema}, style=COMPACT)
        assert grammar.shortest() == b"[1,1]"

    def test_more_items_than_are_allowed(self) -> None:
        """Items with items of their own: how many differ is told late, that none fit is not."""
        items = {"enum": [[], [1], {"a": 1}, True]}
        with pytest.raises(UnsatisfiableGrammarError):
            unique(items=items, minItems=3, maxItems=2)
        array = {"type": "array", "uniqueItems": True, "items": items, "minItems": 3}
        schema = {"oneOf": [{"type": "object"}, array], "maxItems": 2}
        grammar = compile_grammar({"type": "json", "value": schema}, style=COMPACT)
        assert grammar.is_prefix(b"{")
        assert not grammar.is_prefix(b"[")
