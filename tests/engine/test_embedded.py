"""The embedded model: found without an import, converted once, equal to transformers' reading."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from lockstitch.engine import embedded
from lockstitch.engine.embedded import (
    INSTALL_COMMAND,
    build_tokenizer,
    convert_llama_gguf,
    embedded_model_dir,
    find_packaged_model,
)
from lockstitch.engine.gguf import read_gguf
from lockstitch.schemas.errors import ModelUnavailableError

gguf = pytest.importorskip("gguf", reason="the oracle, extra [gguf], is not installed")

HIDDEN, LAYERS, HEADS, KV_HEADS, FEED_FORWARD = 64, 2, 4, 2, 96
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġ Ġ", "ĠĠ Ġ", "o r", "Ġw or", "l d"]

TEXTS = [
    "",
    " ",
    "hello world",
    '{"name": "Zoë", "age": 42, "tags": ["a", "b"]}',
    "  indented\n\tand\r\nbroken  lines   ",
    "don't we'll I'M they're",
    "日本語とEmoji 👩\u200d👩\u200d👧 ü e\u0301",
    "<|im_start|>user\nhi<|im_end|>\n",
    "a<|endoftext|>b <|not_special|>",
    "3.14159 -7e10 0x1F 1,000,000 (½)",
    "x=1;y = 22 ; z\n33",
    "".join(chr(i) for i in range(1, 300)),
    "\u00a0nbsp\u2003em\u3000wide",
]


def tiny_gguf(path: Path) -> Path:
    """Write a random llama model of SmolLM2's layout, storage types and tokenizer kind."""
    rng = np.random.default_rng(0)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = SPECIAL + letters + [merge.replace(" ", "") for merge in MERGES]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(len(tokens))
    writer.add_block_count(LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['content'] }}{% endfor %}")

    def add(name: str, kind: str, *shape: int) -> None:
        qtype = gguf.GGMLQuantizationType[kind]
        weight = rng.normal(scale=0.3, size=shape).astype(np.float32)
        writer.add_tensor(name, gguf.quants.quantize(weight, qtype), raw_dtype=qtype)

    add("token_embd.weight", "Q8_0", len(tokens), HIDDEN)
    add("output_norm.weight", "F32", HIDDEN)
    head = HIDDEN // HEADS
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        add(f"{at}.attn_norm.weight", "F32", HIDDEN)
        add(f"{at}.attn_q.weight", "Q4_1", HIDDEN, HIDDEN)
        add(f"{at}.attn_k.weight", "Q4_1", head * KV_HEADS, HIDDEN)
        add(f"{at}.attn_v.weight", "Q4_1", head * KV_HEADS, HIDDEN)
        add(f"{at}.attn_output.weight", "Q4_1", HIDDEN, HIDDEN)
        add(f"{at}.ffn_norm.weight", "F32", HIDDEN)
        add(f"{at}.ffn_gate.weight", "Q4_1", FEED_FORWARD, HIDDEN)
        add(f"{at}.ffn_up.weight", "Q4_1", FEED_FORWARD, HIDDEN)
        add(f"{at}.ffn_down.weight", "Q4_1", HIDDEN, FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def packaged(source: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny file in the place of the package's."""
    monkeypatch.setattr(embedded, "find_packaged_model", lambda: source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    monkeypatch.setattr(embedded, "SOURCE_SHA256", digest)
    return source


def logits(model: Any, length: int = 40) -> torch.Tensor:
    ids = torch.arange(length)[None] * 7 % model.config.vocab_size
    with torch.inference_mode():
        return torch.as_tensor(model(ids).logits)


# The package


def test_package_is_found_without_being_imported() -> None:
    try:
        path = find_packaged_model()
    except ModelUnavailableError as error:
        pytest.skip(str(error))
    assert path.read_bytes()[:4] == b"GGUF"


def test_absent_package_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(embedded, "distribution", absent)
    with pytest.raises(ModelUnavailableError, match=re.escape(INSTALL_COMMAND)):
        embedded_model_dir(tmp_path)
    assert not list(tmp_path.iterdir())


def test_package_without_its_file_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Emptied:
        files = None

    monkeypatch.setattr(embedded, "distribution", lambda _: Emptied())
    with pytest.raises(ModelUnavailableError, match="without its model file"):
        find_packaged_model()


def test_another_file_is_refused_by_its_hash(
    packaged: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "SOURCE_SHA256", "0" * 64)
    with pytest.raises(ModelUnavailableError, match=r"has sha256 .*--force-reinstall"):
        embedded_model_dir(tmp_path)
    assert not list(tmp_path.rglob("model.safetensors"))


# The conversion


def test_converted_model_equals_transformers_reading(source: Path, tmp_path: Path) -> None:
    convert_llama_gguf(read_gguf(source), tmp_path)
    ours = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    theirs = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32
    )
    assert ours.dtype == torch.float32
    assert torch.equal(logits(ours), logits(theirs))
    assert ours.generation_config.eos_token_id == [2, 0]
    assert ours.config.max_position_embeddings == 256


def test_converted_tokenizer_equals_transformers_reading(source: Path, tmp_path: Path) -> None:
    convert_llama_gguf(read_gguf(source), tmp_path)
    ours = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    theirs = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    for text in TEXTS:
        ids = ours.encode(text)
        assert ids == theirs.encode(text), text
        assert ours.decode(ids) == text
    assert ours.all_special_tokens == theirs.all_special_tokens
    assert ours.chat_template == theirs.chat_template
    assert (ours.bos_token_id, ours.eos_token_id, ours.pad_token_id) == (1, 2, 2)
    assert ours.model_max_length == 256


def test_digits_are_parted_from_the_white_space_before_them(source: Path) -> None:
    tokenizer = build_tokenizer(read_gguf(source).metadata)
    assert tokenizer.encode("he   12").tokens == ["he", "ĠĠĠ", "1", "2"]
    assert tokenizer.encode("he   w").tokens == ["he", "ĠĠ", "Ġw"]
    assert tokenizer.encode(" ½").tokens == ["Ġ", "Â", "½"]


def test_other_architectures_are_refused(source: Path, tmp_path: Path) -> None:
    file = read_gguf(source)
    file.metadata["general.architecture"] = "gemma3"
    with pytest.raises(ModelUnavailableError, match="gemma3"):
        convert_llama_gguf(file, tmp_path)


# The cache


@pytest.fixture
def conversions(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The folders that a conversion wrote to, in order."""
    made: list[Path] = []

    def counted(file: Any, folder: Path) -> None:
        made.append(folder)
        convert_llama_gguf(file, folder)

    monkeypatch.setattr(embedded, "convert_llama_gguf", counted)
    yield made
    assert not [path for path in made if path.exists()], "scratch folders are removed"


def test_conversion_happens_once(conversions: list[Path], tmp_path: Path) -> None:
    first = embedded_model_dir(tmp_path)
    assert embedded_model_dir(tmp_path) == first
    assert len(conversions) == 1
    assert {path.name for path in first.parent.iterdir() if path.is_dir()} == {first.name}


def test_cache_home_follows_the_environment(
    conversions: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert embedded_model_dir().parent == tmp_path / "xdg" / "lockstitch"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert embedded_model_dir().parent == tmp_path / "home" / ".cache" / "lockstitch"


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def alter(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])


def older(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 0}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", Path.unlink),
        ("model.safetensors", shorten),
        ("tokenizer.json", Path.unlink),
        ("tokenizer.json", alter),
        ("config.json", alter),
        ("manifest.json", Path.unlink),
        ("manifest.json", shorten),
        ("manifest.json", older),
        ("manifest.json", lambda path: path.write_text("[]")),
        ("manifest.json", lambda path: path.write_text('{"format": 1, "source": 2, "files": 3}')),
    ],
)
def test_damaged_cache_is_made_again(
    conversions: list[Path], tmp_path: Path, name: str, damage: Any
) -> None:
    folder = embedded_model_dir(tmp_path)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    damage(folder / name)
    assert embedded_model_dir(tmp_path) == folder
    assert len(conversions) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_foreign_files_in_the_folder_are_left_alone(
    conversions: list[Path], tmp_path: Path
) -> None:
    folder = embedded_model_dir(tmp_path)
    (folder / ".DS_Store").write_bytes(b"x")
    embedded_model_dir(tmp_path)
    assert len(conversions) == 1


def test_failed_conversion_leaves_nothing(
    packaged: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(file: Any, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedded, "convert_llama_gguf", full)
    with pytest.raises(ModelUnavailableError, match=r"No space left.*XDG_CACHE_HOME"):
        embedded_model_dir(tmp_path)
    assert not [path for path in (tmp_path / "lockstitch").iterdir() if path.is_dir()]


def test_unwritable_cache_says_so(packaged: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailableError, match="XDG_CACHE_HOME"):
        embedded_model_dir(tmp_path / "file")


CONVERT = """
import hashlib, pathlib, sys, time
from lockstitch.engine import embedded
source, cache = map(pathlib.Path, sys.argv[1:])
convert, made = embedded.convert_llama_gguf, []
embedded.find_packaged_model = lambda: source
embedded.SOURCE_SHA256 = hashlib.sha256(source.read_bytes()).hexdigest()
embedded.convert_llama_gguf = lambda *given: (made.append(1), time.sleep(1), convert(*given))
embedded.embedded_model_dir(cache)
print(len(made))
"""


def test_two_processes_convert_once(source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONVERT, str(source), str(tmp_path)]
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [Popen(command, stdout=PIPE, text=True, env=where) for _ in range(2)]
    assert sorted(worker.communicate()[0].strip() for worker in workers) == ["0", "1"]


# The real file


def test_real_tokenizer_equals_transformers_reading() -> None:
    try:
        path = find_packaged_model()
    except ModelUnavailableError as error:
        pytest.skip(str(error))
    ours = build_tokenizer(read_gguf(path).metadata)
    theirs = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    root = Path(__file__).resolve().parents[2]
    files = [p.read_text(encoding="utf-8") for p in sorted(root.glob("*/*.py"))]
    # The two differences that build_tokenizer documents are taken out.
    plain = ["".join(c for c in text if c.isascii() or not c.isnumeric()) for text in files]
    prose = [re.sub(r"\s+(?=\d)", " ", text) for text in plain]
    for text in [*TEXTS, *prose]:
        assert ours.encode(text).ids == theirs.encode(text)
    assert ours.get_vocab_size() == len(theirs) == 49152


@pytest.mark.slow
def test_real_model_equals_transformers_reading() -> None:
    try:
        path = find_packaged_model()
    except ModelUnavailableError as error:
        pytest.skip(str(error))
    ours = AutoModelForCausalLM.from_pretrained(embedded_model_dir(), local_files_only=True)
    theirs = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[name], other[name]) for name in mine)
    assert torch.equal(logits(ours), logits(theirs))
