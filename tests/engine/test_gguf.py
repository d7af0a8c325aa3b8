"""The GGUF reader against the reference package, and against files that are damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from lockstitch.engine.gguf import read_gguf
from lockstitch.schemas.errors import ModelUnavailableError

gguf = pytest.importorskip("gguf", reason="the oracle, extra [gguf], is not installed")

RNG = np.random.default_rng(7)
METADATA_ALIGNMENTS = (32, 64)


def random_weights(rows: int, columns: int) -> np.ndarray:
    return RNG.normal(scale=3.0, size=(rows, columns)).astype(np.float32)


def write_file(path: Path, alignment: int = 32) -> dict[str, np.ndarray]:
    """Write a file with each storage type that is read; return what the reference decodes."""
    writer = gguf.GGUFWriter(path, "llama")
    if alignment != gguf.GGUF_DEFAULT_ALIGNMENT:
        writer.add_custom_alignment(alignment)
    writer.add_uint32("a.u32", 2**32 - 1)
    writer.add_int8("a.i8", -5)
    writer.add_uint64("a.u64", 2**63)
    writer.add_float32("a.f32", 0.5)
    writer.add_float64("a.f64", 0.1)
    writer.add_bool("a.bool", True)
    writer.add_string("a.string", "Ġé日本🙂")
    writer.add_array("a.strings", ["", "x", "日"])
    writer.add_array("a.ints", [1, -2, 3])
    expected = {}
    kinds = {"f32": "F32", "f16": "F16", "q8": "Q8_0", "q4": "Q4_1"}
    for name, kind in kinds.items():
        qtype = gguf.GGMLQuantizationType[kind]
        packed = gguf.quants.quantize(random_weights(5, 96), qtype)
        writer.add_tensor(name, packed, raw_dtype=qtype)
        expected[name] = gguf.quants.dequantize(packed, qtype).astype(np.float32)
    writer.add_tensor("vector", np.arange(3, dtype=np.float32))
    expected["vector"] = np.arange(3, dtype=np.float32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


@pytest.mark.parametrize("alignment", METADATA_ALIGNMENTS)
def test_tensors_equal_the_reference_bit_for_bit(tmp_path: Path, alignment: int) -> None:
    expected = write_file(tmp_path / "model.gguf", alignment)
    found = read_gguf(tmp_path / "model.gguf")
    assert found.tensors.keys() == expected.keys()
    for name, want in expected.items():
        got = found.tensor(name)
        assert got.dtype == np.float32
        assert got.shape == want.shape
        assert np.array_equal(got.view(np.uint32), want.view(np.uint32)), name


@pytest.mark.parametrize("bits", [0x0000, 0x8000, 0x0001, 0x7BFF, 0x7C00])
def test_q4_1_scale_extremes_equal_the_reference(tmp_path: Path, bits: int) -> None:
    """Zero, minus zero, the smallest, the largest and an infinite scale."""
    block = struct.pack("<HH", bits, 0x3C00) + bytes(range(0, 256, 16))
    packed = np.frombuffer(block, dtype=np.uint8).reshape(1, -1)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("w", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with np.errstate(invalid="ignore"):  # infinity times zero, in both
        want = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q4_1)
        got = read_gguf(tmp_path / "m.gguf").tensor("w")
    assert np.array_equal(got, want, equal_nan=True)


def test_metadata_equals_the_reference(tmp_path: Path) -> None:
    write_file(tmp_path / "model.gguf")
    reference = gguf.GGUFReader(tmp_path / "model.gguf")
    found = read_gguf(tmp_path / "model.gguf").metadata
    fields = {k: v for k, v in reference.fields.items() if not k.startswith("GGUF.")}
    assert found == {key: field.contents() for key, field in fields.items()}
    assert found["a.string"] == "Ġé日本🙂"


def test_other_storage_types_are_refused_by_name(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    packed = np.zeros((1, 210), dtype=np.uint8)
    writer.add_tensor("w", packed, raw_dtype=gguf.GGMLQuantizationType.Q6_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelUnavailableError, match=r"tensor w .* stored as Q6_K"):
        read_gguf(tmp_path / "m.gguf").tensor("w")


def test_absent_tensor_is_named(tmp_path: Path) -> None:
    write_file(tmp_path / "model.gguf")
    with pytest.raises(ModelUnavailableError, match=r"no tensor output\.weight"):
        read_gguf(tmp_path / "model.gguf").tensor("output.weight")


def test_every_shortened_file_is_a_typed_error(tmp_path: Path) -> None:
    """Cut anywhere, the file is refused when it is opened or when the last tensor is asked for."""
    write_file(tmp_path / "model.gguf")
    whole = (tmp_path / "model.gguf").read_bytes()
    for length in {*range(0, len(whole) - 32, 37), len(whole) - 32}:
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelUnavailableError):
            read_gguf(cut).tensor("vector")


def test_files_that_are_not_gguf_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ModelUnavailableError, match="not a GGUF file"):
        read_gguf(other)
    other.write_bytes(b"GGUF" + struct.pack("<I", 99) + bytes(100))
    with pytest.raises(ModelUnavailableError, match="not a GGUF file"):
        read_gguf(other)
    with pytest.raises(ModelUnavailableError, match=r"absent\.gguf"):
        read_gguf(tmp_path / "absent.gguf")


def test_altered_headers_are_read_or_refused(tmp_path: Path) -> None:
    """Any single altered byte of the header gives arrays or the typed error, nothing else."""
    write_file(tmp_path / "model.gguf")
    whole = (tmp_path / "model.gguf").read_bytes()
    altered = tmp_path / "altered.gguf"
    refused = 0
    for place in range(4, 500, 3):
        altered.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = read_gguf(altered)
            for name in found.tensors:
                with np.errstate(all="ignore"):
                    assert found.tensor(name).dtype == np.float32
        except ModelUnavailableError:
            refused += 1
    assert refused > 0
