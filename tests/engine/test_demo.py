"""The demo on the embedded model: its record is valid, greedy and far from greedy."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lockstitch import Engine
from lockstitch.schemas.parameters import GenerateParameters
from lockstitch.schemas.request import GenerateRequest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SEEDS = range(20)


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("extract_record", EXAMPLES / "extract_record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def request(prompt: str, schema: dict[str, Any], **parameters: Any) -> GenerateRequest:
    given = {"grammar": {"type": "json", "value": schema}, "max_new_tokens": 500, "details": True}
    return GenerateRequest(
        inputs=prompt, parameters=GenerateParameters.parse({**given, **parameters})
    )


def test_the_record_validates_whatever_the_temperature(
    default_engine: Engine, demo: ModuleType
) -> None:
    schema = json.loads((EXAMPLES / "purchase_order.schema.json").read_text())
    text = " ".join((EXAMPLES / "purchase_order.txt").read_text().split())
    prompt = demo.ask(default_engine, text, schema)
    requests = [request(prompt, schema)]
    requests += [request(prompt, schema, temperature=2.0, seed=seed) for seed in SEEDS]
    texts = set()
    for response in default_engine.generate_requests(requests):
        assert response.details is not None
        assert response.details.finish_reason == "eos_token"
        Draft202012Validator(schema).validate(json.loads(response.generated_text))
        texts.add(response.generated_text)
    assert len(texts) > len(SEEDS) // 2
