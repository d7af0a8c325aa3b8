"""Read GGUF files: metadata, tensor directory, and tensors as float32 arrays.

A GGUF file is a header, key-value pairs, a tensor directory and aligned tensor data, all
little-endian. The file is mapped, so a tensor costs memory only while it is looked at; the whole
vocabulary of a 50k-token model is read in a tenth of a second because strings are sliced, not
walked element by element.

Quantised tensors are stored in blocks of 32 weights that share a scale `d` (and an offset `m`):
Q8_0 is `d * q`, Q4_1 is `d * q + m`, computed in float32 as the reference implementation does.
The types that the embedded model uses are read; any other is refused by name.
Source: the GGUF specification, version 3, in the ggml repository (docs/gguf.md).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..schemas.errors import ModelUnavailableError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_BLOCK = 32  # weights that share one scale
_MAX_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32

_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_STRING, _ARRAY = 8, 9

# What parsing random or shortened bytes can raise; each of them means the same to the caller.
_DAMAGE = (struct.error, LookupError, UnicodeDecodeError, TypeError, ZeroDivisionError)

# Names for the sentence that refuses a tensor; the numbers are the file format's.
_TYPE_NAMES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
    10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 30: "BF16",
}  # fmt: skip


class TensorInfo(NamedTuple):
    """One row of the tensor directory; `shape` outermost first, `offset` in bytes of the file."""

    name: str
    shape: tuple[int, ...]
    type_number: int
    offset: int

    @property
    def type_name(self) -> str:
        """The format's name for the storage type, such as Q4_1."""
        return _TYPE_NAMES.get(self.type_number, f"type {self.type_number}")


@dataclass(frozen=True)
class GgufFile:
    """A parsed GGUF file, still mapped; keys and tensor names are those of the file."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, TensorInfo]
    data: memoryview

    def tensor(self, name: str) -> NDArray[np.float32]:
        """Return tensor `name` dequantised, outermost dimension first.

        Raises: ModelUnavailableError for an absent name, an unread storage type or a truncated
                file.
        Cost:   4 bytes per weight, plus as much again while a quantised tensor is unpacked.
        """
        info = self.tensors.get(name)
        if info is None:
            raise ModelUnavailableError(
                f"{self.path} has no tensor {name}; use a complete GGUF file"
            )
        storage = _STORAGE.get(info.type_number)
        if storage is None:
            known = ", ".join(sorted(_TYPE_NAMES[number] for number in _STORAGE))
            raise ModelUnavailableError(
                f"tensor {name} of {self.path} is stored as {info.type_name}, "
                f"only {known} are read here; convert the model to safetensors and pass that folder"
            )
        blocks, rest = divmod(prod(info.shape), storage.block)
        end = info.offset + blocks * storage.size
        if rest or end > len(self.data):
            raise ModelUnavailableError(
                f"{self.path} ends inside tensor {name}; fetch the file again"
            )
        raw = np.frombuffer(self.data[info.offset : end], dtype=np.uint8)
        return storage.decode(raw).reshape(info.shape)


def read_gguf(path: Path) -> GgufFile:
    """Parse the header of the file at `path`; tensors are decoded when they are asked for.

    Raises: ModelUnavailableError when the file is absent, not GGUF, of another version or cut
            short.
    """
    try:
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise ModelUnavailableError(
            f"cannot read {path}: {error}; give a readable GGUF file"
        ) from error
    try:
        return _parse(path, data)
    except _DAMAGE as error:
        raise ModelUnavailableError(
            f"{path} is damaged or cut short; fetch the file again"
        ) from error


def _parse(path: Path, data: memoryview) -> GgufFile:
    reader = _Reader(data)
    magic, version = bytes(reader.take(4)), reader.u32()
    if magic != _MAGIC or version not in _VERSIONS:
        raise ModelUnavailableError(
            f"{path} is not a GGUF file of version 2 or 3; give one that is"
        )
    tensor_count, pair_count = reader.u64(), reader.u64()
    metadata: dict[str, Any] = {}
    for _ in range(pair_count):
        key = reader.string()
        metadata[key] = reader.value(reader.u32())
    rows = [reader.tensor_info() for _ in range(tensor_count)]
    alignment = int(metadata.get("general.alignment", _DEFAULT_ALIGNMENT))
    start = -(-reader.position // alignment) * alignment  # data begins at the next multiple
    tensors = {row.name: row._replace(offset=start + row.offset) for row in rows}
    return GgufFile(path, metadata, tensors, data)


class _Reader:
    """A cursor over the mapped bytes; every read checks the end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> memoryview:
        start, self.position = self.position, self.position + count
        if self.position > len(self._data):
            raise IndexError(count)
        return self._data[start : self.position]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def string(self) -> str:
        return str(self.take(self.u64()), "utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._array(self.u32(), self.u64())
        scalar = _SCALARS[kind]
        return scalar.unpack(self.take(scalar.size))[0]

    def _array(self, kind: int, count: int) -> list[Any]:
        if kind in _SCALARS:
            scalar = _SCALARS[kind]
            return [item for (item,) in scalar.iter_unpack(self.take(scalar.size * count))]
        return [self.value(kind) for _ in range(count)]

    def tensor_info(self) -> TensorInfo:
        name, dimensions = self.string(), self.u32()
        if dimensions > _MAX_DIMENSIONS:
            raise IndexError(dimensions)
        innermost_first = [self.u64() for _ in range(dimensions)]
        return TensorInfo(name, tuple(reversed(innermost_first)), self.u32(), self.u64())


def _f32(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    return raw.view("<f4").astype(np.float32)


def _f16(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    return raw.view("<f2").astype(np.float32)


def _q8_0(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    blocks = raw.reshape(-1, 2 + _BLOCK)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)  # (blocks, 1)
    return blocks[:, 2:].view(np.int8).astype(np.float32) * scale  # (blocks, 32)


def _q4_1(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    blocks = raw.reshape(-1, 4 + _BLOCK // 2)
    pair = np.ascontiguousarray(blocks[:, :4]).view("<f2").astype(np.float32)  # (blocks, 2)
    nibbles = blocks[:, 4:]
    quants = np.concatenate((nibbles & 0x0F, nibbles >> 4), axis=1)  # low halves come first
    weights = quants.astype(np.float32)
    weights *= pair[:, :1]
    weights += pair[:, 1:]
    return weights


class _Storage(NamedTuple):
    block: int  # weights per block
    size: int  # bytes per block
    decode: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


_STORAGE = {
    0: _Storage(1, 4, _f32),
    1: _Storage(1, 2, _f16),
    3: _Storage(_BLOCK, 4 + _BLOCK // 2, _q4_1),
    8: _Storage(_BLOCK, 2 + _BLOCK, _q8_0),
}
