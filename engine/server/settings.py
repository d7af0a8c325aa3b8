"""What whoever starts a server may choose, beside the limits of the engine."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ... import __version__


@dataclass(frozen=True)
class Settings:
    """Choices of one server. `api_key` None lets everybody in; `payload_limit` is in bytes.

    `full_text_default` makes `POST /` repeat the prompt, as text-generation-inference does;
    `keep_alive` is the silence in a stream after which a comment is sent, in seconds.
    """

    api_key: str | None = None
    payload_limit: int = 2_000_000
    max_concurrent_requests: int = 128
    max_client_batch_size: int = 4
    cors_allow_origins: tuple[str, ...] = ("*",)
    full_text_default: bool = False
    strict_parameters: bool = False
    keep_alive: float = 15.0
    label: str = "native"

    @property
    def fingerprint(self) -> str:
        """What the OpenAI routes call the system."""
        return f"{__version__}-{self.label}"


def compute_type(device: str) -> str:
    """Return what the header x-compute-type says; the environment may name the machine."""
    return os.environ.get("COMPUTE_TYPE", "cpu" if device == "cpu" else "gpu+optimized")
