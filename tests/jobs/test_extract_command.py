"""`lockstitch extract`: what a user types and sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_engine
from typer.testing import CliRunner

from lockstitch.engine import engine as engine_module
from lockstitch.engine.cli import app
from lockstitch.engine.jobs import sinks

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 5}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a tiny model as the default."""
    monkeypatch.chdir(tmp_path)
    engine = tiny_engine()
    monkeypatch.setattr(engine_module.Engine, "from_pretrained", lambda *a, **k: engine)
    Path("schema.json").write_text(json.dumps(SCHEMA))
    lines = [json.dumps({"key": f"k{i}", "body": f"mail {i}"}) for i in range(4)]
    Path("mails.jsonl").write_text("\n".join(lines))
    return tmp_path


def extract(*arguments: str, stdin: str | None = None) -> Any:
    given = ["extract", "--schema", "schema.json", "--text-field", "body"]
    return CliRunner().invoke(app, [*given, "--max-new-tokens", "30", *arguments], input=stdin)


@pytest.mark.usefixtures("folder")
def test_a_table_in_a_table_out() -> None:
    result = extract("--input", "mails.jsonl", "--output", "out.jsonl", "--id-field", "key")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["errors"], summary["output"]) == (4, 0, "out.jsonl")
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["k0", "k1", "k2", "k3"]
    again = extract("--input", "mails.jsonl", "--output", "out.jsonl", "--id-field", "key")
    assert json.loads(again.stdout)["computed"] == 0
    changed = extract("--input", "mails.jsonl", "--output", "out.jsonl", "--seed", "3")
    assert changed.exit_code == 2
    assert "parameters changed" in changed.stderr
    assert "--restart" in changed.stderr


@pytest.mark.usefixtures("folder")
def test_standard_input_and_a_template() -> None:
    Path("prompt.jinja").write_text("{{ body }} as JSON: ")
    options = ["--input", "-", "--output", "out.jsonl", "--template", "prompt.jinja"]
    result = extract(*options, stdin='{"body": "x"}\n{"other": 1}\n')
    assert result.exit_code == 0, result.output
    one, two = (json.loads(line) for line in Path("out.jsonl").read_text().splitlines())
    assert one["record"]
    assert "template" in two["error"]["message"]


@pytest.mark.usefixtures("folder")
def test_a_model_beside_the_data() -> None:
    Path("shapes_for_test.py").write_text(
        "import pydantic\nclass Mail(pydantic.BaseModel):\n    urgent: bool\n"
    )
    options = ["--input", "mails.jsonl", "--output", "out.jsonl"]
    result = extract(*options, "--schema", "shapes_for_test:Mail")
    assert result.exit_code == 0, result.output
    for line in Path("out.jsonl").read_text().splitlines():
        assert json.loads(line)["record"]["urgent"] in (True, False)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--schema", "nowhere.json"], "nowhere.json"),
        (["--schema", "no_module:Mail"], "no_module"),
        (["--schema", "mails.jsonl"], "not JSON"),
        (["--input", "missing.jsonl"], "missing.jsonl"),
        (["--on-error", "maybe"], "maybe"),
        (["--output", "no/folder/out.jsonl"], "make it first"),
        (["--max-new-tokens", "2"], "raise max_new_tokens"),
        (["--chat", "--template", "nothing.jinja"], "nothing.jinja"),
    ],
)
def test_refusals_are_one_line(arguments: list[str], words: str) -> None:
    result = extract("--input", "mails.jsonl", "--output", "out.jsonl", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures("folder")
def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sinks, "write", interrupted)
        result = extract("--input", "mails.jsonl", "--output", "out.jsonl")
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr
    assert not Path("out.jsonl").exists()
    again = extract("--input", "mails.jsonl", "--output", "out.jsonl")
    assert json.loads(again.stdout)["computed"] == 0  # all was in the ledger
