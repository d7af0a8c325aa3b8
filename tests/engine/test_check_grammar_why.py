"""`check-grammar` in words, and with `--why`: where a text leaves the language, exit code 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lockstitch.constraint.grammar import Grammar, compile_grammar
from lockstitch.constraint.text.style import TextStyle
from lockstitch.engine import cli
from lockstitch.engine.grammar_report import judge
from lockstitch.schemas.errors import GrammarTooLargeError

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"price": {"type": "number", "minimum": 0}},
                "required": ["price"],
            },
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}
WRONG = '{"name": "日本", "items": [{"price": -1}]}'
AT = len(WRONG[: WRONG.index("-")].encode())


@pytest.fixture
def schema_file(tmp_path: Path) -> str:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return str(path)


def check(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, ["check-grammar", *arguments], input=stdin)


def report(schema_file: str, text: str, *more: str, stdin: str | None = None) -> dict[str, Any]:
    result = check("--schema", schema_file, "--why", text, "--json", *more, stdin=stdin)
    found: dict[str, Any] = json.loads(result.stdout)["why"]
    assert result.exit_code == (0 if found["accepted"] else 1)
    return found


def test_words_come_with_every_report(schema_file: str) -> None:
    lines = check("--schema", schema_file).stdout.splitlines()
    start = lines.index("in words:")
    assert lines[start + 1 : start + 3] == ["  #: an object", "    required: name"]
    words = json.loads(check("--schema", schema_file, "--json").stdout)
    assert words["words"][0] == "#: an object"
    assert "why" not in words
    assert "regular expression" in check("--regex", "a+").stdout


def test_a_text_of_the_language(schema_file: str) -> None:
    result = check("--schema", schema_file, "--why", '{"name": "a"}')
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "the text is in the language"
    assert report(schema_file, '{"name": "a"}')["value_allowed"] is True


def test_the_place_has_a_caret(schema_file: str) -> None:
    result = check("--schema", schema_file, "--why", WRONG)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    start = lines.index(f"the text is not in the language, see byte {AT}:")
    assert lines[start + 1] == f"  {WRONG}"
    wide = 2  # characters that take two columns
    assert lines[start + 2] == " " * (2 + WRONG.index("-") + wide) + "^"
    assert lines[start + 3 :] == [
        "  -1 is not allowed here; expected is a number of at least 0",
        "  value: /items/0/price",
        "  schema: /properties/items/items/properties/price",
        "  allowed next: `0-9`",
    ]


def test_the_fields_of_the_report(schema_file: str) -> None:
    assert report(schema_file, WRONG) == {
        "accepted": False,
        "offset": AT,
        "json_pointer": "/items/0/price",
        "schema_pointers": ["/properties/items/items/properties/price"],
        "expected": ["0-9"],
        "sentence": "-1 is not allowed here; expected is a number of at least 0",
        "value_allowed": False,
        "spelling": None,
    }


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ('{"name":"a"}', "spaced"),
        ('{"name": "a"}', "compact"),
        (r'{"name": "\u0061"}', "spaced"),
        (r'{"n\u0061me": "a"}', "flexible"),
        ('{"items": [], "name": "a"}', "spaced"),
    ],
)
def test_only_the_spelling_is_wrong(schema_file: str, text: str, style: str) -> None:
    found = report(schema_file, text, "--whitespace", style)
    allowed = "the value is allowed, but not in this spelling; the style writes"
    assert found["value_allowed"] is True
    assert found["sentence"].startswith(allowed)
    assert not found["accepted"]


def test_a_fault_of_the_value_comes_before_one_of_the_style(schema_file: str) -> None:
    text = '{"items":[{"price":"x"}],"name":"a"}'
    found = report(schema_file, text)
    assert found["json_pointer"] == "/items/0/price"
    assert found["offset"] == text.index('"x"')
    assert found["spelling"]["offset"] == 2
    shown = check("--schema", schema_file, "--why", text).stdout.splitlines()[-1]
    assert shown.startswith("  before that, at byte 2, only the style: ")


@pytest.mark.parametrize(
    ("text", "pointer", "words"),
    [
        ('{"items": []}', "", "still required: name"),
        ('{"name": "a", "nme": 1}', "", 'the name "nme" is not allowed here; names are items'),
        ('{"name": "a"', "", "the text is cut short"),
        ('{"name": "a"}]', "", "the value is complete here; `]` cannot follow"),
        ('{"name": ["a"]}', "/name", "an array is not allowed here; expected is a string"),
        ('{"name": "a", "items": [{"price": 1}, {"price": nil}]}', "/items/1/price", "nil is not"),
    ],
)
def test_faults_of_the_value(schema_file: str, text: str, pointer: str, words: str) -> None:
    found = report(schema_file, text)
    assert found["value_allowed"] is False
    assert found["json_pointer"] == pointer
    assert words in found["sentence"]


def test_standard_input_less_its_last_line_break(schema_file: str) -> None:
    assert report(schema_file, "-", stdin='{"name": "a"}\n')["accepted"]
    assert not report(schema_file, "-", stdin='{"name": "a"}\n\n')["accepted"]
    text = '{"name": "a",\n "items": [\n  {"price": null}]}\n'
    result = check("--schema", schema_file, "--whitespace", "flexible", "--why", "-", stdin=text)
    lines = result.stdout.splitlines()
    offset = text.index("null")
    start = lines.index(f"the text is not in the language, see line 3, byte {offset}:")
    assert lines[start + 1 : start + 3] == ['    {"price": null}]}', "              ^"]


def test_a_long_text_is_shown_around_the_place(schema_file: str) -> None:
    text = '{"name": "' + "a" * 300 + '", "items": 1' + " " * 300
    result = check("--schema", schema_file, "--why", text)
    line, caret = result.stdout.splitlines()[-6:-4]
    assert line.startswith("  ...aaa")
    assert line.endswith(" ...")
    assert line[caret.index("^")] == "1"
    assert len(line) < 90


def test_a_regex_has_no_pointers() -> None:
    result = check("--regex", "[a-f]{3}(x|y)", "--why", "abcz")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-5:] == [
        "the text is not in the language, see byte 3:",
        "  abcz",
        "     ^",
        "  `z` cannot stand here",
        "  allowed next: `x`, `y`",
    ]
    assert check("--regex", "a+", "--why", "aaa").exit_code == 0


def test_a_refused_grammar_is_exit_code_2() -> None:
    assert check("--regex", "(a", "--why", "a").exit_code == 2
    assert check("--why", "a").exit_code == 2


def test_the_exit_codes_are_documented() -> None:
    text = " ".join(check("--help").stdout.split())
    assert "1: the text of --why is not in its language" in text


def test_a_permissive_grammar_that_is_too_large_is_said() -> None:
    def refused() -> Grammar:
        raise GrammarTooLargeError("states", 1, 2)

    grammar = compile_grammar({"type": "json", "value": SCHEMA}, style=TextStyle("compact"))
    verdict = judge(grammar, b'{"name": "a"}', refused)
    assert verdict.value_allowed is None
    assert "other spellings were not looked at" in verdict.why.sentence
