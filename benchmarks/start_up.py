"""What an engine takes for a tokenizer, in a process of its own.

`python benchmarks/start_up.py HARNESS --engine lockstitch --tokenizer DIR` prints two numbers of
CPU seconds: what this engine loads once a process, and the way from the tokenizer, as transformers
loads it, to an engine that can compile. Imports are left out, for every engine. Whether it is the
first time on the machine is up to XDG_CACHE_HOME.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

import masks


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("harness", type=Path)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--tokenizer", required=True)
    given = parser.parse_args()
    harness = given.harness.resolve()
    adapters = masks.harness_module(harness, "adapters")
    tok = masks.harness_module(harness, "protocol").TokenizerBundle.load(given.tokenizer)
    importlib.import_module(f"adapters.{adapters.ENGINES[given.engine][0]}")
    began = time.process_time()
    if given.engine == "lockstitch":
        masks.load_kernels()
    loaded = time.process_time()
    adapters.load_engine(given.engine, tok).prepare()
    print(loaded - began, time.process_time() - loaded)


if __name__ == "__main__":
    main()
