"""Loading from a folder, from a GGUF file and from objects; each failure is one typed sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import is_progress_bar_enabled

from lockstitch.engine import model_loading
from lockstitch.engine.model_loading import load_model, wrap_model
from lockstitch.schemas.errors import ModelUnavailableError, ValidationError

CONTEXT = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer model whose three places name three different end tokens."""
    path = tmp_path_factory.mktemp("model")
    letters = ["<a>", "<b>", "<c>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer: Any = PreTrainedTokenizerFast
    tokenizer(tokenizer_object=backend, eos_token="<a>").save_pretrained(path)
    config = LlamaConfig(
        vocab_size=len(letters),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        eos_token_id=1,
        bos_token_id=None,
        pad_token_id=None,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = [1, 2]
    model.save_pretrained(path)
    return path


def test_a_folder_is_loaded_ready_to_use(folder: Path) -> None:
    loaded = load_model(folder, device="cpu")
    assert loaded.name == folder.name
    assert loaded.model.training is False
    assert loaded.model.dtype == torch.float32
    assert loaded.context_length == CONTEXT
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("hé")) == "hé"


def test_every_end_token_counts(folder: Path) -> None:
    assert load_model(str(folder), device="cpu").eos_token_ids == {0, 1, 2}


def test_dtype_is_the_one_asked_for(folder: Path) -> None:
    assert load_model(folder, device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16
    with pytest.raises(ValidationError, match=r"'int4' is unknown.*float32") as caught:
        load_model(folder, dtype="int4")
    assert caught.value.parameter == "dtype"


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_unusable_devices_are_refused(folder: Path, device: str) -> None:
    with pytest.raises(ValidationError, match=f"{device!r} cannot be used") as caught:
        load_model(folder, device=device)
    assert caught.value.parameter == "device"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["no/such/folder", "somebody/some-model-name", "missing.gguf"])
def test_absent_models_are_refused_without_a_download(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*given: Any, **named: Any) -> Any:
        raise ConnectionRefusedError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", no_network)
    with pytest.raises(ModelUnavailableError) as caught:
        load_model(source, device="cpu")
    assert source in str(caught.value)
    assert "network" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00notjson!")
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        load_model(tmp_path, device="cpu")


def test_none_is_the_embedded_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_loading, "embedded_model_dir", lambda: folder)
    assert load_model(device="cpu").name == "SmolLM2-135M-Instruct"


def test_progress_bars_are_left_as_they_were(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = is_progress_bar_enabled()
    load_model(folder, device="cpu")
    assert is_progress_bar_enabled() == before
    assert "Loading weights" not in capfd.readouterr().err


def test_objects_are_wrapped(folder: Path) -> None:
    loaded = load_model(folder, device="cpu")
    loaded.model.train()
    wrapped = wrap_model(loaded.model, loaded.tokenizer, "mine")
    assert (wrapped.name, wrapped.eos_token_ids) == ("mine", loaded.eos_token_ids)
    assert wrapped.model is loaded.model
    assert wrapped.model.training is False


def test_a_model_that_cannot_stop_is_refused(folder: Path) -> None:
    loaded = load_model(folder, device="cpu")
    loaded.model.generation_config.eos_token_id = None
    loaded.model.config.eos_token_id = None
    with pytest.raises(ModelUnavailableError, match="no end token"):
        wrap_model(loaded.model, SimpleNamespace(eos_token_id=None))


def test_a_model_without_a_context_length_is_refused(folder: Path) -> None:
    tokenizer = load_model(folder, device="cpu").tokenizer
    config = SimpleNamespace(get_text_config=SimpleNamespace)
    with pytest.raises(ModelUnavailableError, match="no context length"):
        wrap_model(SimpleNamespace(config=config, eval=lambda: None), tokenizer)


@pytest.mark.slow
def test_a_gguf_file_is_loaded() -> None:
    pytest.importorskip("gguf", reason="extra [gguf] is not installed")
    from lockstitch.engine.embedded import find_packaged_model

    loaded = load_model(find_packaged_model(), device="cpu")
    assert loaded.context_length == 8192
    assert loaded.eos_token_ids == {2}
