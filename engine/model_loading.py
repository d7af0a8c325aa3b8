"""Load a causal language model and its tokenizer, from this machine only, and know how it stops.

Three sources give the same `LoadedModel`: the embedded default, a folder (or a GGUF file) that
transformers reads, and objects that the caller made. Nothing is fetched: a name that is not on
the disk is an error that says what to do.

A model's end tokens are spread over three places (tokenizer, generation config, model config)
that often disagree. A text may end with any of them, so the union counts; a model without one is
refused, because a constrained text could never be closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import (
    disable_progress_bar,
    enable_progress_bar,
    is_progress_bar_enabled,
)

from ..schemas.errors import ModelUnavailableError, ValidationError
from .embedded import MODEL_NAME, embedded_model_dir

_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# Where configurations keep the number of positions; the first is by far the most common.
_LENGTH_FIELDS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode and its tokenizer; `context_length` in tokens, prompt included."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    eos_token_ids: frozenset[int]
    context_length: int


def load_model(
    source: str | Path | None = None, *, device: str | None = None, dtype: str | None = None
) -> LoadedModel:
    """Load the model at `source`: None is the embedded default, else a folder or a .gguf file.

    `device` is a torch device name, by default "cuda" where there is one, else "cpu". `dtype` is
    float32, bfloat16 or float16, by default float32 on CPU and bfloat16 elsewhere.

    Raises: ModelUnavailableError when the model is not on this machine or not usable;
            ValidationError for a device or dtype that does not exist.
    """
    place = _device(device)
    number = _dtype(dtype, place)
    if source is None:
        return _from_transformers(str(embedded_model_dir()), MODEL_NAME, place, number)
    path = Path(source).expanduser()
    if path.suffix == ".gguf":
        _require_file(path)
        return _from_transformers(str(path.parent), path.stem, place, number, gguf_file=path.name)
    folder = str(path) if path.is_dir() else str(source)
    return _from_transformers(folder, path.name, place, number)


def wrap_model(model: Any, tokenizer: Any, name: str = "model") -> LoadedModel:
    """Make a `LoadedModel` of a transformers model and tokenizer that are loaded already.

    The model is put into evaluation mode and otherwise left alone (device, dtype).
    Raises: ModelUnavailableError when no end token or no context length is known.
    """
    model.eval()
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        name=name,
        eos_token_ids=_eos_token_ids(model, tokenizer, name),
        context_length=_context_length(model, name),
    )


def _from_transformers(
    location: str, name: str, device: torch.device, dtype: torch.dtype, **options: str
) -> LoadedModel:
    try:
        with _no_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(location, local_files_only=True, **options)
            model: Any = AutoModelForCausalLM.from_pretrained(
                location, local_files_only=True, dtype=dtype, **options
            )
    except ImportError as error:
        raise ModelUnavailableError(
            f"reading {location} needs a package that is missing ({error}); "
            "run `pip install 'lockstitch[gguf]'`"
        ) from error
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelUnavailableError(
            f"{location} cannot be loaded from this machine: {_first_line(error)}; "
            "give the folder of a causal language model, with its tokenizer"
        ) from error
    return wrap_model(model.to(device), tokenizer, name)


def _first_line(error: BaseException) -> str:
    """What a one-line message can carry of an error that may bring a page of advice."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ModelUnavailableError(f"there is no file {path}; give the path of a GGUF file")


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch asserts when it was built without CUDA
        raise ValidationError(
            f"device {name!r} cannot be used: {_first_line(error)}; `cpu` always can",
            parameter="device",
        ) from error


def _dtype(name: str | None, device: torch.device) -> torch.dtype:
    if name is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in _DTYPES:
        raise ValidationError(
            f"dtype {name!r} is unknown; use one of {', '.join(_DTYPES)}", parameter="dtype"
        )
    return _DTYPES[name]


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep transformers' bars out of the terminal; the setting is process-wide, so it is undone."""
    shown = is_progress_bar_enabled()
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            enable_progress_bar()  # type: ignore[no-untyped-call]


def _eos_token_ids(model: Any, tokenizer: Any, name: str) -> frozenset[int]:
    generation = getattr(model, "generation_config", None)
    found = {
        *_ids(tokenizer.eos_token_id),
        *_ids(getattr(generation, "eos_token_id", None)),
        *_ids(getattr(model.config, "eos_token_id", None)),
    }
    if not found:
        raise ModelUnavailableError(
            f"{name} names no end token; set eos_token on its tokenizer or eos_token_id on its "
            "generation config"
        )
    return frozenset(found)


def _ids(value: int | Iterable[int] | None) -> tuple[int, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _context_length(model: Any, name: str) -> int:
    config = model.config.get_text_config()
    for field in _LENGTH_FIELDS:
        if isinstance(length := getattr(config, field, None), int):
            return length
    raise ModelUnavailableError(
        f"{name} names no context length; set max_position_embeddings on its config"
    )
