"""Thirty-two logits at a time: what a loop over single ones is not compiled to.

A word of a mask is a vector of 32 booleans already, so logits are chosen by it in two or four
instructions of whatever vectors the processor has. And a row that is overwritten need not be read
first: stores past the cache ("non-temporal") leave out that half of the traffic. Neither can be
said in Python, so both are said to LLVM; without compiled loops (NUMBA_DISABLE_JIT=1) the same
functions are NumPy. Lanes are in memory order on little-endian machines, which numba's all are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

FORBIDDEN = np.float32(-np.inf).view(np.int32)  # the bits of minus infinity
LINE = 64  # bytes of a cache line, and of the widest vector

declared: Any = vars(cgutils)["get_or_insert_function"]
_INT = ir.IntType(32)
_LANES = ir.VectorType(_INT, 32)
_LINE = ir.VectorType(_INT, LINE // 4)


def _vectors(context: Any, builder: Any, signature: Any, args: Any, kind: Any) -> Any:
    """Return a pointer to the vectors of `kind` that begin at element args[1] of array args[0]."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), kind.as_pointer())


def _select(_typing: Any, row: Any, _first: Any, _bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> None:
        at = _vectors(context, builder, signature, args, _LANES)
        allowed = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), 32))
        forbidden = ir.Constant(_LANES, [int(FORBIDDEN)] * 32)
        chosen = builder.select(allowed, builder.load(at, align=4), forbidden)
        builder.store(chosen, at, align=4)

    return types.void(row, types.uintp, types.uint32), generate


def _stream(_typing: Any, row: Any, _first: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> None:
        at = _vectors(context, builder, signature, args, _LINE)
        hint = builder.module.add_metadata([ir.Constant(_INT, 1)])
        for line in range(32 * 4 // LINE):
            target = builder.gep(at, [ir.Constant(_INT, line)])
            forbidden = ir.Constant(_LINE, [int(FORBIDDEN)] * (LINE // 4))
            builder.store(forbidden, target, align=LINE).set_metadata("nontemporal", hint)

    return types.void(row, types.uintp), generate


def _fetch(_typing: Any, row: Any, _first: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> None:
        at = _vectors(context, builder, signature, args, _LINE)
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
        prefetch = declared(builder.module, kind, "llvm.prefetch.p0")
        to_write, often, data = (ir.Constant(_INT, value) for value in (1, 3, 1))
        for line in range(32 * 4 // LINE):
            target = builder.gep(at, [ir.Constant(_INT, line)])
            builder.call(prefetch, [builder.bitcast(target, byte), to_write, often, data])

    return types.void(row, types.uintp), generate


def _settle(_typing: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, _args: Any) -> None:
        builder.fence("seq_cst")

    return types.void(), generate


def _select_plainly(row: Any, first: int, bits: Any) -> None:
    allowed = np.unpackbits(np.atleast_1d(bits).view(np.uint8), bitorder="little")
    row[first : first + 32][allowed == 0] = FORBIDDEN


def _fetch_plainly(row: Any, first: int) -> None:
    pass  # a hint


def _stream_plainly(row: Any, first: int) -> None:
    row[first : first + 32] = FORBIDDEN


# For loops: row (V,) int32, contiguous; the index of the first of 32 logits, uintp. `select_lanes`
# forbids those of the 32 whose bit (uint32) is clear; `stream_lanes` forbids all of them past the
# cache, at the address of a line; `settle` lets other threads see what was streamed; `fetch_lanes`
# has them on their way into the cache, and may be asked for what lies behind the array.
_plain: bool = vars(config)["DISABLE_JIT"]
select_lanes: Any = _select_plainly if _plain else intrinsic(_select)
stream_lanes: Any = _stream_plainly if _plain else intrinsic(_stream)
fetch_lanes: Any = _fetch_plainly if _plain else intrinsic(_fetch)
settle: Any = (lambda: None) if _plain else intrinsic(_settle)
