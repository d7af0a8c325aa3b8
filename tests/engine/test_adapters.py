"""Adapters are chosen row by row, and a row never feels those of its neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_adapters, tiny_engine

from lockstitch import Engine
from lockstitch.schemas.errors import ModelUnavailableError, ValidationError
from lockstitch.schemas.parameters import GenerateParameters
from lockstitch.schemas.request import GenerateRequest
from lockstitch.schemas.response import GenerateResponse

peft: Any = pytest.importorskip("peft", reason="adapters need the extra lora")
# peft asks transformers under a name that has got a new one.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
RECORD = {"type": "json", "value": {"type": "object", "additionalProperties": {"type": "null"}}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_adapters(tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="module")
def adapted(folders: dict[str, Path]) -> Engine:
    return tiny_engine(adapters=folders)


def request(adapter_id: str | None, **values: Any) -> GenerateRequest:
    parameters = GenerateParameters(
        adapter_id=adapter_id, max_new_tokens=24, details=True, **values
    )
    return GenerateRequest(inputs="the quick brown fox", parameters=parameters)


def ids(response: GenerateResponse) -> list[int]:
    assert response.details is not None
    return [token.id for token in response.details.tokens]


def test_rows_with_different_adapters_share_a_batch(engine: Engine, adapted: Engine) -> None:
    names = [None, "first", "second", "", "first", None]
    together = adapted.generate_requests([request(name) for name in names])
    alone = [adapted.generate_requests([request(name)])[0] for name in names]
    assert [ids(r) for r in together] == [ids(r) for r in alone]
    base = engine.generate_requests([request(None)])[0]
    assert ids(together[0]) == ids(together[3]) == ids(together[5]) == ids(base)
    assert ids(together[1]) == ids(together[4])
    assert len({tuple(ids(r)) for r in together[:3]}) == 3


def test_an_adapter_alone_is_what_peft_makes_of_the_model(
    adapted: Engine, folders: dict[str, Path]
) -> None:
    plain = tiny_engine()
    model = peft.PeftModel.from_pretrained(plain.model, str(folders["second"])).merge_and_unload()
    merged = Engine.from_pretrained(model, plain.tokenizer)
    expected = ids(merged.generate_requests([request(None)])[0])
    assert ids(adapted.generate_requests([request("second")])[0]) == expected


def test_adapters_go_with_grammars_and_samplers(adapted: Engine) -> None:
    asked = [
        request(name, grammar=RECORD, do_sample=True, seed=7, repetition_penalty=1.2)
        for name in ("first", None, "second")
    ]
    together = adapted.generate_requests(asked)
    assert [ids(r) for r in together] == [ids(adapted.generate_requests([r])[0]) for r in asked]


def test_an_adapter_that_is_not_loaded_is_refused(adapted: Engine) -> None:
    with pytest.raises(ValidationError, match="adapter third is not loaded") as caught:
        adapted.generate("a", adapter_id="third")
    assert caught.value.parameter == "adapter_id"


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="cannot be loaded as an adapter"):
        tiny_engine(adapters={"none": tmp_path})
    with pytest.raises(ValidationError, match="cannot name an adapter"):
        tiny_engine(adapters={"a.b": tmp_path})
