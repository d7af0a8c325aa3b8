"""Tables in and out: each kind, and what is broken in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockstitch.engine.jobs import sinks
from lockstitch.engine.jobs.ledger import Ledger
from lockstitch.engine.jobs.prompting import Prompter, PromptForm
from lockstitch.engine.jobs.records import RecordForm, confidence
from lockstitch.engine.jobs.sources import Source, SourceRow
from lockstitch.schemas.errors import JobError, ValidationError
from lockstitch.schemas.response import Token


def rows(path: Path, **options: Any) -> list[SourceRow]:
    source = Source.at(path, **options)
    found = list(source.rows())
    assert source.count() == len(found)
    assert list(source.rows()) == found  # it can be read again
    return found


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\n"only text"\n[1]\n{"text": "\xff"}\n'
        b'{"text": "\\ud800"}\n' + b"[" * 100_000 + b"\n" + '{"text": "Zoë 北京"}'.encode()
    )
    one, two, *bad, last = rows(path)
    assert (one.id, one.values) == (1, {"id": "a", "text": "x"})
    assert two.values == {"text": "only text"}
    assert last.values == {"text": "Zoë 北京"}
    assert [row.id for row in bad] == [3, 4, 5, 6]
    reasons = ["JSON object", "UTF-8", "UTF-8", "not JSON"]
    for row, reason in zip(bad, reasons, strict=True):
        assert row.values is None
        assert reason in str(row.error)
    named = rows(path, id_field="id")
    assert named[0].id == "a"
    assert "'id'" in str(named[1].error)


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(
        'id,text\r\n7,"two\nlines, ""quoted"""\r\n8\r\n9,é\r\n10,'.encode() + b"\xff\r\n"
    )
    first, short, third, broken = rows(path, id_field="id")
    assert (first.id, first.values) == ("7", {"id": "7", "text": 'two\nlines, "quoted"'})
    assert "1 columns" in str(short.error)
    assert third.values == {"id": "9", "text": "é"}
    assert "UTF-8" in str(broken.error)


def test_folder_and_file_of_text(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.txt").write_text("zwei\n", encoding="utf-8")
    (tmp_path / "a.md").write_text("eins", encoding="utf-8")
    (tmp_path / "c.txt").write_bytes(b"\xff")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    one, two, bad = rows(tmp_path)
    assert (one.id, one.values) == ("a.md", {"text": "eins", "file": "a.md"})
    assert (two.id, two.values) == ("b/two.txt", {"text": "zwei\n", "file": "b/two.txt"})
    assert (bad.id, bad.values) == ("c.txt", None)
    assert [row.id for row in rows(tmp_path / "a.md")] == ["a.md"]


def test_parquet_both_ways(tmp_path: Path) -> None:
    parquet: Any = pytest.importorskip("pyarrow.parquet", reason="tables")
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "count": {"type": ["integer", "null"]},
            "price": {"type": "number"},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
            "place": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/place"}]},
            "tree": {"$ref": "#/$defs/tree"},
            "any": {},
        },
        "additionalProperties": False,
        "$defs": {
            "place": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "additionalProperties": False,
            },
            "tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
        },
    }
    record = '{"name": "é", "count": 3.0, "price": 2, "tags": ["a"], "place": {}, "any": null}'
    path = tmp_path / "out.parquet"
    told = [
        (SourceRow(1, {}), {"text": record, "tokens": 9, "finish_reason": "eos_token"}),
        (SourceRow(2, None), {"error": {"type": "validation", "message": "m"}, "tokens": 0}),
        (SourceRow(3, {}), {"text": '{"count": null}', "tokens": 1, "finish_reason": "length"}),
    ]
    sinks.write(path, iter(told), schema)
    table = parquet.read_table(path)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["count"] == "int64"
    assert kinds["price"] == "double"
    assert kinds["tags"].startswith("list")
    assert kinds["place"].startswith("struct<city: string")
    one, two, three = table.to_pylist()
    assert (one["name"], one["count"], one["price"], one["tags"]) == ("é", 3, 2.0, ["a"])
    assert (one["place"], one["any"]) == ({"city": None}, "null")
    assert table.column("tree").null_count == 3
    assert (two["_error_type"], two["name"]) == ("validation", None)
    assert (three["count"], three["any"]) == (None, None)
    assert rows(path)[0].values == one
    assert not list(tmp_path.glob(".*"))
    big = {"text": '{"count": 123456789012345678901234567890}'}
    with pytest.raises(JobError, match="does not fit"):
        sinks.write(path, iter([(SourceRow(1, {}), big)]), schema)
    assert parquet.read_table(path).num_rows == 3  # the old file is still there


def test_the_record_keeps_its_digits() -> None:
    text = '{"price": 1.10, "big": 123456789012345678901234567890}'
    line = sinks.json_line(SourceRow("é", {}), {"text": text, "tokens": 3})
    assert f'"record": {text}' in line
    assert json.loads(line)["id"] == "é"


@pytest.mark.parametrize("name", ["rows.xlsx", "missing.jsonl"])
def test_sources_that_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    with pytest.raises(JobError):
        Source.at(tmp_path / name)


def test_no_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="tables")
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"no")
    with pytest.raises(JobError, match="not a Parquet file"):
        list(Source.at(path).rows())


def test_a_full_disk_leaves_the_old_output(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old")

    def some() -> Iterator[tuple[SourceRow, dict[str, Any]]]:
        yield SourceRow(1, {}), {"text": "{}"}
        raise OSError(28, "No space left on device")

    with pytest.raises(JobError, match="No space left"):
        sinks.write(path, some(), {})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_prompts() -> None:
    schema = {"type": "object"}
    plain = Prompter(PromptForm(text_field="body", show_schema=True), schema, None)
    prompt = plain.prompt({"body": "Hello"})
    assert "Hello" in prompt
    assert '{"type": "object"}' in prompt
    assert plain.special_tokens
    textless: list[dict[str, Any]] = [{}, {"body": None}, {"body": 3}]
    for values in textless:
        with pytest.raises(ValidationError, match="'body'"):
            plain.prompt(values)
    chat = Prompter(PromptForm(), schema, lambda messages: f"<{messages[0]['content']}>")
    assert chat.prompt({"text": "Hello"}).endswith("Hello>")
    assert not chat.special_tokens
    form = PromptForm(template="{{ a }}-{{ b.c }}: {{ schema }}\n")
    own = Prompter(form, schema, lambda messages: "")
    assert own.prompt({"a": 1, "b": {"c": 2}}) == '1-2: {"type": "object"}\n'
    incomplete: list[dict[str, Any]] = [{"a": 1}, {"a": 1, "b": {}}]
    for values in incomplete:
        with pytest.raises(ValidationError, match="cannot render"):
            own.prompt(values)
    with pytest.raises(JobError, match="not Jinja2"):
        Prompter(PromptForm(template="{{"), schema, None)
    with pytest.raises(JobError, match="chat template"):
        Prompter(PromptForm(chat=True), schema, None)


def test_two_processes_do_not_share_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl.ledger"
    with Ledger(path, {"model": "1"}) as ledger:
        ledger.put(b"1", {"text": "é"})
        with pytest.raises(JobError, match="in use"), Ledger(path, {"model": "1"}):
            pass
    with Ledger(path, {"model": "1"}) as ledger:
        assert b"1" in ledger
        assert ledger.get(b"1") == {"text": "é"}
        assert ledger.get(b"2") is None


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl.ledger"
    path.write_bytes(b"something else, longer than a header of a hundred bytes" * 9)
    with pytest.raises(JobError, match="cannot be used"), Ledger(path, {"model": "1"}):
        pass


def test_confidence_belongs_to_values() -> None:
    pieces = [('{"', 0.0), ("a", 0.0), ('": ', 0.0), ("12", -1.0), (', "b": "', -0.5), ('x"', -2.0)]
    tokens = [
        Token(id=i, text=text, logprob=logprob, special=False)
        for i, (text, logprob) in enumerate([*pieces, ("}", 0.0)])
    ]
    found = confidence('{"a": 12, "b": "x"}', tokens)
    assert found is not None
    assert found["a"] == pytest.approx(0.36788, abs=1e-4)  # e^-1
    assert found["b"] == pytest.approx(0.082085, abs=1e-4)  # e^-2.5: the quote is of the value
    assert confidence("[1]", tokens) is None


def test_a_schema_is_needed() -> None:
    with pytest.raises(ValidationError):
        RecordForm.of(3)
