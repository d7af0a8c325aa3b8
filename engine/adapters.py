"""LoRA adapters beside one model: loaded once at the start, chosen row by row.

peft wraps the model; its forward takes the name of an adapter for each row of a batch, so rows
with different adapters, or none, share every pass. (transformers' own `load_adapter` takes such
names and ignores them.)
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..schemas.errors import ModelUnavailableError, ValidationError

BASE = "__base__"  # what peft calls a row without an adapter


def with_adapters(model: Any, adapters: Mapping[str, str | Path]) -> Any:
    """Return the model with adapters loaded from folders, by the ids that requests use.

    Raises ModelUnavailableError for a folder that holds no adapter for this model, ValidationError
    for an id that cannot be one.
    """
    if not adapters:
        return model
    for name in adapters:
        if not name or name == BASE or "." in name:
            raise ValidationError(
                f"{name!r} cannot name an adapter; use a name without dots", parameter="adapters"
            )
    try:
        peft: Any = import_module("peft")
    except ImportError as error:
        raise ModelUnavailableError(
            f"adapters need a package that is missing ({error}); "
            "run `pip install 'lockstitch[lora]'`"
        ) from error
    wrapped: Any = None
    for name, folder in adapters.items():
        path = str(Path(folder).expanduser())
        try:
            if wrapped is None:
                wrapped = peft.PeftModel.from_pretrained(model, path, adapter_name=name)
            else:
                wrapped.load_adapter(path, adapter_name=name)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ModelUnavailableError(
                f"{path} cannot be loaded as an adapter of this model: {reason}"
            ) from error
    return wrapped.eval()
