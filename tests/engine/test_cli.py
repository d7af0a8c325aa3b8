"""The command line: what it prints, and one clean line with exit code 2 for whatever is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_engine
from typer.testing import CliRunner, Result

from lockstitch.engine import cli

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"enum": ["x", "y"]}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(model: str | None, **options: Any) -> Any:
        return tiny_engine(style=options["style"])

    monkeypatch.setattr(cli, "load_engine", load)


def invoke(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), input=stdin)


@pytest.fixture
def schema_file(tmp_path: Path) -> str:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return str(path)


def test_generate_prints_the_text(schema_file: str) -> None:
    for extra in ([], ["--stream"], ["--chat"], ["--temperature", "3", "--seed", "1"]):
        result = invoke("generate", "Hi", "--schema", schema_file, *extra)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) in ({"a": "x"}, {"a": "y"})
        assert result.stdout.endswith("}\n")


def test_generate_reads_standard_input_and_prints_responses() -> None:
    result = invoke("generate", "--regex", "[0-9]{4}", "--json", "--top-n-tokens", "2", stdin="Hi")
    response = json.loads(result.stdout)
    assert response["generated_text"].isdigit()
    assert response["details"]["finish_reason"] == "eos_token"
    assert len(response["details"]["top_tokens"]) == response["details"]["generated_tokens"]


def test_streamed_json_is_one_event_a_line() -> None:
    result = invoke("generate", "Hi", "--regex", "ab?", "--json", "--stream")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["index"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["generated_text"] in ("a", "ab")


def test_every_parameter_is_an_option(schema_file: str) -> None:
    options = """--max-new-tokens 40 --do-sample --temperature 0.8 --top-k 5 --top-p 0.9
    --typical-p 0.9 --seed 3
    --repetition-penalty 1.1 --frequency-penalty 0.2 --watermark --stop ZZ --stop YY
    --truncate 5 --top-n-tokens 2 --return-full-text --details --decoder-input-details --json"""
    result = invoke("generate", "Hi", "--schema", schema_file, *options.split())
    response = json.loads(result.stdout)
    assert response["generated_text"].startswith("Hi{")
    assert response["details"]["seed"] == 3
    assert response["details"]["prefill"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "x", "--regex", "(a"], "offset 0"),
        (["generate", "x", "--max-new-tokens", "0"], "max_new_tokens must be >= 1"),
        (["generate", "x", "--temperature", "-1"], "temperature must be > 0"),
        (["generate", "x", "--schema", "/nowhere.json"], "cannot be read"),
        (["generate", "x", "--schema", "y", "--regex", "z"], "not both"),
        (["generate", ""], "inputs must not be empty"),
        (["generate", "x", "--whitespace", "wide"], "whitespace must be one of"),
        (["check-grammar"], "give a grammar"),
        (["check-grammar", "--regex", "a{2,1}"], "offset"),
        (["check-grammar", "--regex", "[^\\s\\S]"], "no text matches"),
    ],
    ids=str,
)
def test_errors_are_one_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    first, *rest = result.stderr.splitlines()
    assert words in first
    assert all(not line.strip() or line.startswith("  ") for line in rest)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("schema", "words", "below"),
    [
        ({"type": "frob"}, "at /type", ['  "frob"']),
        ({"items": {"pattern": "a(b"}}, "/items/pattern at offset 1", ["  a(b", "   ^"]),
        ({"$ref": "#/$defs/x"}, "leads nowhere", ['  "#/$defs/x"']),
        ({"minimum": 2, "maximum": 1, "type": "number"}, "contradict", []),
        (7, "must be an object or a JSON string", []),
    ],
    ids=str,
)
def test_a_refusal_shows_the_place(
    tmp_path: Path, schema: object, words: str, below: list[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(schema))
    for command in ("check-grammar", "generate"):
        arguments = ["x"] if command == "generate" else []
        result = invoke(command, *arguments, "--schema", str(path))
        assert result.exit_code == 2
        assert words in result.stderr.splitlines()[0]
        if command == "check-grammar" and below:
            assert result.stderr.splitlines()[1:] == below


def test_check_grammar_reports(schema_file: str) -> None:
    result = invoke("check-grammar", "--schema", schema_file, "--json")
    report = json.loads(result.stdout)
    assert json.loads(report["shortest"]) in ({"a": "x"}, {"a": "y"})
    assert {"pointer": "/type", "keyword": "type", "status": "enforced"} in report["keywords"]
    plain = invoke("check-grammar", "--schema", schema_file)
    assert "/properties/a/enum" in plain.stdout.replace("\n", "")
    assert "shortest text (10 bytes)" in plain.stdout


def test_check_grammar_needs_no_model_and_no_torch() -> None:
    program = (
        "import sys; from lockstitch.engine import cli\n"
        "sys.argv = ['lockstitch', 'check-grammar', '--regex', 'a+']\n"
        "try: cli.main()\n"
        "except SystemExit as end: code = end.code\n"
        "print(code, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 False False"


def test_the_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lockstitch", "check-grammar", "--regex", "(a"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == ["  (a", "  ^"]
