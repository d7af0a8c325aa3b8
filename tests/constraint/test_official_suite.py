"""The official JSON Schema test suite: whatever is compiled is right, in every spelling.

A group is right if its schema compiles and each instance is accepted exactly if it is valid; a
schema without instances is right if it is refused as unsatisfiable. Refusals are counted, not
forgiven: the table is part of `docs/json-schema.md` and has to be true.
"""

from __future__ import annotations

import pytest
from suite_table import DRAFTS, cell, column, documented, name


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_cell_of_the_pass_table_is_true(draft: str) -> None:
    cells = documented()
    for key, verdicts in column(draft).items():
        print(key, dict(verdicts))
        assert not any(verdict.startswith("WRONG") for verdict in verdicts)
        assert cells[name(key), draft] == cell(verdicts), key
