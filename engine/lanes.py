"""Thirty-two logits at a time: what a loop over single ones is not compiled to.

A word of a mask is a vector of 32 booleans already, so logits are chosen by it in two or four
instructions of whatever vectors the processor has. And logits that are overwritten are on their way
into the cache before it is their turn, which no processor sees to by itself where they are only
stored to. Neither can be said in Python, so both are said to LLVM; without compiled loops
(NUMBA_DISABLE_JIT=1) they are NumPy. Lanes are in memory order on little-endian machines, which
numba's all are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

FORBIDDEN = np.float32(-np.inf).view(np.int32)  # the bits of minus infinity
IN_LINE = 16  # logits in a line of the cache
_INT, _BYTE = ir.IntType(32), ir.IntType(8)
_LANES = ir.VectorType(_INT, 32)


def _address(context: Any, builder: Any, signature: Any, args: Any, offset: int = 0) -> Any:
    """Return a pointer to element args[1] of the array args[0], or to one behind it."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    at = builder.add(args[1], ir.Constant(args[1].type, offset))
    return builder.gep(array.data, [at])


def _select(_typing: Any, row: Any, _first: Any, _bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> None:
        at = _address(context, builder, signature, args)
        lanes = builder.bitcast(at, _LANES.as_pointer())
        allowed = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), 32))
        forbidden = ir.Constant(_LANES, [int(FORBIDDEN)] * 32)
        chosen = builder.select(allowed, builder.load(lanes, align=4), forbidden)
        builder.store(chosen, lanes, align=4)

    return types.void(row, types.uintp, types.uint32), generate


def _fetch(_typing: Any, row: Any, _first: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> None:
        pointer = _BYTE.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, _INT, _INT, _INT])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        to_write, often, data = (ir.Constant(_INT, value) for value in (1, 3, 1))
        for line in range(0, 32, IN_LINE):
            at = _address(context, builder, signature, args, line)
            builder.call(prefetch, [builder.bitcast(at, pointer), to_write, often, data])

    return types.void(row, types.uintp), generate


def _select_plainly(row: Any, first: int, bits: Any) -> None:
    allowed = np.unpackbits(np.atleast_1d(bits).view(np.uint8), bitorder="little")
    row[first : first + 32][allowed == 0] = FORBIDDEN


def _fetch_plainly(row: Any, first: int) -> None:
    pass  # a hint


# For loops: row (V,) int32, contiguous; the index of the first of 32 logits, uintp. `select_lanes`
# forbids those of them whose bit (uint32) is clear; `fetch_lanes` asks for them, and may be asked
# for what lies behind the array.
_plain: bool = vars(config)["DISABLE_JIT"]
select_lanes: Any = _select_plainly if _plain else intrinsic(_select)
fetch_lanes: Any = _fetch_plainly if _plain else intrinsic(_fetch)
