"""What is made for a vocabulary, kept on disk: named arrays of numbers in one file, never code.

A file is a digest followed by an uncompressed .npz archive. Its name has the format's version and
the fingerprint of the vocabulary, so a file of another version or tokenizer is not even opened.
A file whose bytes do not have the digest, that is cut short or does not parse is deleted, and the
arrays are made again; one that appears is complete, as it is moved to its place. What the arrays
mean, and whether they can be trusted with memory, is for the caller to check.

A folder that cannot be read or written costs time, nothing else. `LOCKSTITCH_DISK_CACHE=off` turns
both off.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import zipfile
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
VERSION = 1
"""Of the format and of what the arrays mean; raised with every change of either."""
SWITCH = "LOCKSTITCH_DISK_CACHE"
MOST_FILES = 32
"""Files kept; the one read or written longest ago goes first."""
_DIGEST_BYTES = 32


def cache_home() -> Path:
    """Return $XDG_CACHE_HOME, or ~/.cache."""
    # The XDG specification: an empty or relative value counts as unset.
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if os.path.isabs(named) else Path.home() / ".cache"


def load(fingerprint: str) -> Arrays | None:
    """Return the arrays stored for a fingerprint; None if there are none or the disk is not used.

    Cost: the reading and two checksums; 6 MB, about 10 ms, for 150 000 tokens.
    """
    if not _enabled():
        return None
    try:
        path = _path(fingerprint)
        stored = path.read_bytes()
        os.utime(path)
    except (OSError, RuntimeError):  # no such file, folder, right; no home
        return None
    arrays = _read(stored)
    if arrays is None:
        discard(fingerprint)
    return arrays


def store(fingerprint: str, arrays: Arrays) -> None:
    """Keep arrays of numbers for a fingerprint; older files over `MOST_FILES` are deleted."""
    if not _enabled():
        return
    text = io.BytesIO()
    np.savez(text, allow_pickle=False, **dict(arrays))
    payload = text.getvalue()
    try:
        path = _path(fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, _digest(payload) + payload)
        _remove_oldest(path.parent)
    except (OSError, RuntimeError):  # a full or read-only disk, no home
        return


def discard(fingerprint: str) -> None:
    """Delete what is stored for a fingerprint."""
    with contextlib.suppress(OSError, RuntimeError):
        _path(fingerprint).unlink()


def _enabled() -> bool:
    return os.environ.get(SWITCH, "").lower() not in ("off", "0", "false", "no")


def _path(fingerprint: str) -> Path:
    return cache_home() / "lockstitch" / "vocabularies" / f"{fingerprint}-v{VERSION}.arrays"


def _digest(payload: bytes | memoryview) -> bytes:
    return blake2b(payload, digest_size=_DIGEST_BYTES).digest()


def _read(stored: bytes) -> Arrays | None:
    """Return the arrays of a file's content, None if it is not what was written."""
    payload = memoryview(stored)[_DIGEST_BYTES:]
    if stored[:_DIGEST_BYTES] != _digest(payload):
        return None
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
        return None  # somebody else's bytes under a right digest


def _put(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or absent, whatever happens meanwhile."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _remove_oldest(folder: Path) -> None:
    """Delete what is too many, drafts of processes that died included."""
    found = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[MOST_FILES:]:
        path.unlink(missing_ok=True)
