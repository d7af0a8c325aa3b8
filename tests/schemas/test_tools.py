"""Tools: the grammar that stands for them, and the reader of what is written under it."""

from __future__ import annotations

import json
from itertools import count, pairwise
from typing import Any

import pytest

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.schemas.errors import InvalidGrammarError, ToolError
from lockstitch.schemas.tool_reader import (
    ArgumentText,
    CallStart,
    ContentText,
    Part,
    ToolReader,
    new_call_id,
)
from lockstitch.schemas.tools import (
    Tool,
    ToolChoice,
    ToolPlan,
    parse_tool_choice,
    plan_tools,
    tool_grammar,
)

X = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
COMPACT = TextStyle(whitespace="compact")


def tool(name: str, parameters: object = X) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def compiled(*tools: dict[str, Any], choice: object = None, style: TextStyle = COMPACT) -> Grammar:
    return compile_grammar(tool_grammar(tools, choice), style=style)


def call(name: str, arguments: object) -> bytes:
    return json.dumps({"name": name, "arguments": arguments}, separators=(",", ":")).encode()


def words(text: str, name: str = "no_tool") -> bytes:
    content = {"name": name, "content": text}
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


# --- tool_choice ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        (None, ToolChoice("auto")),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("f", ToolChoice("named", "f")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("named", "f")),
        ({"function": {"name": "none"}}, ToolChoice("named", "none")),
    ],
    ids=str,
)
def test_spellings_of_a_choice(value: object, choice: ToolChoice) -> None:
    assert parse_tool_choice(value) == choice


@pytest.mark.parametrize("value", [5, [], {}, {"name": "f"}, {"function": {"name": 5}}], ids=str)
def test_a_choice_that_cannot_be_read(value: object) -> None:
    with pytest.raises(ToolError, match="tool_choice must be"):
        parse_tool_choice(value)


@pytest.mark.parametrize(
    ("tools", "choice", "sentence"),
    [
        ([tool("f")], "g", "names 'g', which is not one of the tools"),
        ([], "f", "names 'f'"),
        ([], "required", "needs at least one tool"),
        ([tool("f"), tool("g"), tool("g")], "none", "two tools are called 'g'"),
    ],
    ids=str,
)
def test_a_choice_that_the_tools_do_not_offer(tools: Any, choice: str, sentence: str) -> None:
    with pytest.raises(ToolError, match=sentence) as caught:
        tool_grammar(tools, choice)
    assert (caught.value.status, caught.value.error_type) == (422, "tool_error")


def test_tools_that_play_no_part() -> None:
    assert tool_grammar([], "auto") is None
    assert tool_grammar([tool("f")], "none") is None


# --- the grammar ---------------------------------------------------------------------------------


def test_auto_is_any_call_or_words() -> None:
    grammar = compiled(tool("f"), tool("g", {"type": "object", "properties": {"y": {}}}))
    assert grammar.accepts(call("f", {"x": 1}))
    assert grammar.accepts(call("g", {"y": [None]}))
    assert grammar.accepts(words('a "b"\n\t\u2028 🐲 \\'))
    assert not grammar.accepts(call("f", {"x": "a"}))
    assert not grammar.accepts(call("f", {}))
    assert not grammar.accepts(call("g", 5))
    assert not grammar.accepts(call("h", {"x": 1}))
    assert not grammar.accepts(call("no_tool", {"x": 1}))
    assert not grammar.accepts(words("a", name="f"))
    assert not grammar.accepts(b"{}")
    assert not grammar.accepts(b"words")


@pytest.mark.parametrize("choice", ["required", "f", {"function": {"name": "f"}}], ids=str)
def test_a_forced_call_allows_no_words(choice: object) -> None:
    grammar = compiled(tool("f"), tool("g"), choice=choice)
    assert grammar.accepts(call("f", {"x": 1}))
    assert grammar.accepts(call("g", {"x": 1})) is (choice == "required")
    assert not grammar.accepts(words("a"))


def test_the_name_for_words_is_no_tool_of_the_request() -> None:
    grammar = compiled(tool("no_tool"), tool("no_tool_"))
    assert grammar.accepts(call("no_tool", {"x": 1}))
    assert grammar.accepts(words("a", name="no_tool__"))
    assert not grammar.accepts(words("a"))


DEFINED = {
    "type": "object",
    "properties": {"x": {"$ref": "#/$defs/n"}, "next": {"$ref": "#"}},
    "required": ["x"],
    "$defs": {"n": {"type": "integer"}},
}
OLD = "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize(
    "parameters",
    [
        DEFINED,
        {**DEFINED, "$id": "person"},
        {**DEFINED, "$id": "https://example.com/person"},
        {**DEFINED, "$id": "#"},
        {**DEFINED, "$id": None},
        {"$schema": OLD, "$ref": "#/definitions/p", "definitions": {"p": X}},
        {"$ref": "#/$defs/p", "$defs": {"p": X}},
        {**X, "properties": {"x": {"$ref": "n"}}, "$defs": {"o": {"$id": "n", "type": "integer"}}},
        {"allOf": [{"$ref": "#/$defs/p"}], "$defs": {"p": X}},
        X,
    ],
    ids=str,
)  # fmt: skip
def test_references_inside_parameters_lead_where_they_did(parameters: dict[str, Any]) -> None:
    other = {**DEFINED, "$defs": {"n": {"type": "string"}}}
    grammar = compiled(tool("g", other), tool("f", parameters))
    assert grammar.accepts(call("f", {"x": 1}))
    assert not grammar.accepts(call("f", {"x": "a"}))
    assert grammar.accepts(call("g", {"x": "a"}))
    assert not grammar.accepts(call("g", {"x": 1}))


def test_recursive_parameters() -> None:
    grammar = compiled(tool("g"), tool("f", DEFINED))
    assert grammar.accepts(call("f", {"x": 1, "next": {"x": 2, "next": {"x": 3}}}))
    assert not grammar.accepts(call("f", {"x": 1, "next": {"x": 2, "next": {"x": "a"}}}))


def test_arguments_are_an_object_by_default() -> None:
    grammar = compiled(tool("none", None), tool("any", {}), tool("props", {"properties": {}}))
    assert grammar.accepts(call("none", {}))
    assert not grammar.accepts(call("none", {"a": 1}))
    for name in ("any", "props"):
        assert grammar.accepts(call(name, {"a": 1}))
        assert not grammar.accepts(call(name, 1))


def test_a_schema_that_is_none_is_refused_when_it_is_compiled() -> None:
    with pytest.raises(InvalidGrammarError):
        compiled(tool("f", {"properties": {"x": {"type": "number!"}}}))


# --- the reader ----------------------------------------------------------------------------------


def plan(choice: str = "auto") -> ToolPlan:
    tools = tuple(Tool.model_validate(tool(name)) for name in ("f", "g"))
    found = plan_tools(tools, parse_tool_choice(choice))
    assert found is not None
    return found


def reader() -> ToolReader:
    ids = count()
    return ToolReader(plan(), lambda: f"call_{next(ids)}")


def joined(parts: list[Part]) -> list[Part]:
    """Parts of the same kind behind each other as one."""
    found: list[Part] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, ArgumentText) and isinstance(last, ArgumentText):
            found[-1] = ArgumentText(last.text + part.text)
        elif isinstance(part, ContentText) and isinstance(last, ContentText):
            found[-1] = ContentText(last.text + part.text)
        else:
            found.append(part)
    return found


def read(pieces: list[str]) -> tuple[list[Part], ToolReader]:
    one = reader()
    parts = [part for piece in pieces for part in one.feed(piece)]
    return joined(parts + one.finish()), one


F = CallStart("call_0", "f")
ARGUMENTS = [
    "{}",
    '{"x": 1}',
    '{ "a" : [ { "}" : "\\"}{" } , "\\\\" ] , "b": "\\u007d"}',
    '{"x": "é🐲\\n"}',
    "[1, [2]]",
    "-1.5e+3",
    "null",
    '"a\\"}"',
]
CONTENTS = [
    "",
    "a",
    'say "x": {}\n\\ \x00\x1f/',
    "é🐲\u2028",
    "\ud83d",
    "\ud83d\ud83d\ude00x\ude00",
]


@pytest.mark.parametrize("spaces", ["", " ", "\n  "])
@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_a_call_is_read_the_same_in_any_pieces(arguments: str, spaces: str) -> None:
    s = spaces
    text = f'{s}{{{s}"name"{s}:{s}"f"{s},{s}"arguments"{s}:{s}{arguments}{s}}}{s}'
    expected = [F, ArgumentText(arguments)]
    for size in (1, 2, 3, 7, len(text)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        parts, done = read(pieces)
        assert parts == expected
        assert (done.called, done.complete) == (True, True)
    for at in range(len(text)):
        assert read([text[:at], text[at:]])[0] == expected


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("content", CONTENTS, ids=ascii)
def test_words_are_unescaped_the_same_in_any_pieces(content: str, ascii_only: bool) -> None:
    text = json.dumps({"name": "no_tool", "content": content}, ensure_ascii=ascii_only)
    content = json.loads(text)["content"]  # two halves that were apart are a pair in JSON
    expected: list[Part] = [ContentText(content)] if content else []
    assert read([text])[0] == expected
    parts, done = read(list(text))
    assert parts == expected
    assert (done.called, done.complete) == (False, True)
    assert done.finish_reason("eos_token") == "stop"


def test_the_name_is_known_before_the_arguments_begin() -> None:
    one = reader()
    assert one.feed('{"name": "') == []
    assert one.feed('f"') == [F]
    assert one.feed(', "arguments": ') == []
    assert one.feed('{"x"') == [ArgumentText('{"x"')]
    assert one.feed(": 1}") == [ArgumentText(": 1}")]
    assert not one.complete
    assert one.feed("}") == []
    assert one.complete
    assert one.finish() == []


def test_every_cut_gives_what_there_was() -> None:
    text = '{"name": "f", "arguments": {"a": "\\"}", "b": [1]}}'
    seen = []
    for end in range(len(text)):
        parts, done = read(list(text[:end]))
        assert not done.complete
        assert done.finish_reason("length") == "length"
        assert done.finish_reason("stop_sequence") == "stop"
        assert done.called is bool(parts)
        seen.append("".join(part.text for part in parts if isinstance(part, ArgumentText)))
    assert seen[-1] == '{"a": "\\"}", "b": [1]}'
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(seen))


def test_every_cut_of_words() -> None:
    content = 'a\n"é🐲'
    text = json.dumps({"name": "no_tool", "content": content})
    seen = []
    for end in range(len(text)):
        parts, done = read([text[:end]])
        assert not done.called
        assert done.finish_reason("length") == "length"
        seen.append("".join(part.text for part in parts if isinstance(part, ContentText)))
    assert seen[-1] == content
    assert all(content.startswith(part) for part in seen)


def test_a_whole_call_is_a_call_even_on_the_last_allowed_token() -> None:
    _, done = read(['{"name": "f", "arguments": {}}'])
    assert done.finish_reason("length") == done.finish_reason("eos_token") == "tool_calls"


@pytest.mark.parametrize(
    ("text", "parts", "complete"),
    [
        ('{"arguments": {"a": [1.0]}, "name": "f"}', [F, ArgumentText('{"a": [1.0]}')], True),
        ('{"content": "a\\n", "name": "no_tool"}', [ContentText("a\n")], True),
        ('{"arguments": {"a": 1}, "name": "f"', [F, ArgumentText('{"a": 1}')], False),
        ('{"arguments": {"a": 1}, "na', [], False),
        ('{"n\\u0061me": "\\u0066", "argument\\u0073": {}}', [F, ArgumentText("{}")], True),
        ("", [], False),
    ],
)
def test_other_text_styles(text: str, parts: list[Part], complete: bool) -> None:
    for pieces in ([text], list(text)):
        found, done = read(pieces)
        assert found == parts
        assert done.complete is complete


@pytest.mark.parametrize(
    "style",
    [COMPACT, TextStyle(), TextStyle(whitespace="flexible"), TextStyle(property_order="any")],
    ids=str,
)
def test_what_the_grammar_writes_is_what_the_reader_reads(style: TextStyle) -> None:
    for choice, called in (("auto", False), ("required", True)):
        grammar = compile_grammar(plan(choice).grammar(), style=style)
        parts, done = read([grammar.shortest().decode()])
        assert (done.called, done.complete) == (called, True)
        assert bool(parts) is called


def test_ids_are_unique() -> None:
    ids = {new_call_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(id_.startswith("call_") for id_ in ids)
