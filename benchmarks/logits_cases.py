"""Cases of whole batches: masks put onto logits, and masks filled into one array.

Masks are put onto float32 logits beside the fastest of the ways that are installed: two lines of
NumPy, llguidance, xgrammar. One of these compiles itself at its first call, so no first call is
counted; what ours takes is a row of its own. The batch fill has 64 rows with 64 different grammars
that have been met before, and goes through their documents token by token.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rows import US, Row, Rows

from lockstitch.engine.masking import apply_masks

Kernel = Callable[[torch.Tensor, torch.Tensor], Any]
ROUNDS = {1: 60, 8: 30, 64: 20}
BATCH, STEPS = 64, 60


def ours(logits: torch.Tensor, masks: torch.Tensor) -> None:
    """Put masks on as the engine does, which holds one array a row."""
    rows = list(masks.numpy())
    apply_masks(logits, range(len(rows)), rows)


def unpacked(logits: torch.Tensor, masks: torch.Tensor) -> None:
    """Put masks on with two lines of NumPy."""
    bits = np.unpackbits(~masks.numpy().view(np.uint8), axis=1, bitorder="little")
    np.copyto(logits.numpy(), -np.inf, where=bits[:, : logits.shape[1]].view(bool))


def peers() -> dict[str, Kernel]:
    """Return what else can put masks on, of what is installed."""
    found: dict[str, Kernel] = {"NumPy": unpacked}
    try:
        import llguidance.numpy
        import llguidance.torch
    except ImportError:
        print("left out: llguidance (not installed)")
    else:
        kernel = llguidance.numpy.apply_token_bitmask_inplace
        found["llguidance.numpy"] = lambda logits, masks: kernel(logits.numpy(), masks.numpy())
        found["llguidance.torch"] = llguidance.torch.apply_token_bitmask_inplace
    try:
        import xgrammar
    except Exception as error:  # what its libraries raise on a machine they do not fit
        print(f"left out: xgrammar ({type(error).__name__})")
    else:
        found["xgrammar"] = xgrammar.apply_token_bitmask_inplace
    return found


def random_masks(rows: int, size: int, allowed: float) -> torch.Tensor:
    """Return packed masks that allow a share of the tokens, three at least."""
    rng = np.random.default_rng(0)
    bits = np.zeros((rows, (size + 31) // 32 * 32), np.uint8)
    for row in bits:
        row[rng.choice(size, max(3, int(size * allowed)), replace=False)] = 1
    return torch.from_numpy(np.packbits(bits, axis=1, bitorder="little").view(np.int32))


def checked(kernels: dict[str, Kernel], base: torch.Tensor, masks: torch.Tensor) -> dict[str, Any]:
    """Return the kernels that run here and are right; this is their first call as well."""
    bits = np.unpackbits(masks.numpy().view(np.uint8), axis=1, bitorder="little")
    refused = torch.from_numpy(bits[:, : base.shape[1]] == 0)
    want, live = base.masked_fill(refused, float("-inf")), {}
    for name, kernel in kernels.items():
        logits = base.clone()
        try:
            kernel(logits, masks)
        except Exception as error:  # no compiler, no such machine: it is told and left out
            print(f"left out: {name} ({type(error).__name__})")
            continue
        assert torch.equal(logits, want), name
        live[name] = kernel
    return live


def medians(live: dict[str, Kernel], base: torch.Tensor, masks: torch.Tensor) -> dict[str, float]:
    """Return the median CPU seconds of each kernel; they take turns, in a new order each time.

    What comes behind one that takes 40 ms and more takes up to twice as long as behind a short one.
    """
    times: dict[str, list[float]] = {name: [] for name in live}
    logits, order, rng = base.clone(), list(live), random.Random(0)
    for _ in range(ROUNDS[len(base)]):
        rng.shuffle(order)
        for name in order:
            logits.copy_(base)
            began = time.process_time()
            live[name](logits, masks)
            times[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def first_call(rows: Rows, size: int) -> None:
    """Measure the very first call of ours in this process against the later ones."""
    masks, base = random_masks(1, size, 0.0), torch.zeros(1, size)
    began = time.process_time()
    ours(base.clone(), masks)
    first = (time.process_time() - began) * 1e6
    later = medians({"ours": ours}, base, masks)["ours"] * 1e6
    rows.add(Row("masks applied: first call in a process / later ones", "us", [first], [later]))


def applied(rows: Rows, size: int) -> None:
    """Measure masks put onto logits against the fastest peer."""
    torch.set_num_threads(1)
    first_call(rows, size)
    kernels = {"ours": ours, **peers()}
    for kind, allowed in (("sparse", 0.0), ("dense", 0.95)):
        for count in ROUNDS:
            masks, base = random_masks(count, size, allowed), torch.randn(count, size)
            live = checked(kernels, base, masks)
            found = [medians(live, base, masks) for _ in range(rows.repeats)]
            own = [times.pop("ours") * 1e6 for times in found]
            names = {min(times, key=lambda name: times[name]) for times in found}
            name = f"masks applied, {count} rows, {kind} (best: {', '.join(sorted(names))})"
            rows.add(Row(name, "us", own, [min(t.values()) * 1e6 for t in found], 1.0))


class Walk:
    """A batch of documents, each under its own grammar, gone through token by token, again."""

    def __init__(self, compiled: list[Any], documents: list[list[int]]) -> None:
        self.compiled, self.documents = compiled, documents
        self.sessions = [one.start() for one in compiled]
        self.at = [0] * len(compiled)

    def step(self) -> None:
        """Take the next token of each document; one that has ended begins again."""
        for row, ids in enumerate(self.documents):
            if self.at[row] == len(ids):
                self.sessions[row], self.at[row] = self.compiled[row].start(), 0
            else:
                self.sessions[row].advance(ids[self.at[row]])
                self.at[row] += 1

    def mean(self, fill: Callable[[list[Any]], None]) -> float:
        """Return the mean CPU seconds of a fill, over `STEPS` of them."""
        spent = 0.0
        for _ in range(STEPS):
            began = time.process_time()
            fill(self.sessions)
            spent += time.process_time() - began
            self.step()
        return spent / STEPS


def batch_fill(rows: Rows, own: list[Any], other: list[Any], documents: list[list[int]]) -> None:
    """Measure all masks of a batch filled into one array; `other` are llguidance's."""
    from llguidance import LLExecutor
    from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask_par

    executor = LLExecutor(num_threads=1)
    words = len(own[0].start().mask())
    target = allocate_token_bitmask(len(own), words * 32)
    filled = list(np.empty((len(own), words), np.int32))

    def fill_own(sessions: list[Any]) -> None:
        for row, session in zip(filled, sessions, strict=True):
            session.fill(row)

    def fill_other(sessions: list[Any]) -> None:
        fill_next_token_bitmask_par(executor, [(s.m, i) for i, s in enumerate(sessions)], target)

    def met_before(compiled: list[Any], fill: Callable[[list[Any]], None]) -> float:
        Walk(compiled, documents).mean(fill)
        return Walk(compiled, documents).mean(fill)

    rows.beside(
        f"{len(own)} rows, {len(own)} grammars met before: masks in one array",
        US,
        lambda: met_before(own, fill_own),
        lambda: met_before(other, fill_other),
        0.1,
    )
