"""One tiny engine for all tests of this folder."""

from __future__ import annotations

import pytest
from tiny import tiny_engine

from lockstitch import Engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    return tiny_engine()
