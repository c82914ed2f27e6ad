"""The `BlockKernel` for the processor at hand: numpy's float32, or bfloat16 where that saves time.

What belongs here: when to change over. What does not: the products themselves.
"""

from __future__ import annotations

import sys
import weakref
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from deita_assets.core.block_kernel import BlockKernel, NumpyKernel, Pairs

#: Operations after which torch is loaded for the rest: three seconds of float32 products at 90 GFLOP/s. Loading
#: takes one to two, and bfloat16 halves what is left; a pass that goes on loses little, one that ends nothing.
OPERATIONS_WORTH_TORCH = 250e9
#: Flags of /proc/cpuinfo; without one of them bfloat16 products are emulated, slower than float32.
_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


class CpuKernel:
    """Begins in numpy and changes over in mid-pass when it pays; no result depends on it."""

    def __init__(self) -> None:
        self._kernel: BlockKernel = NumpyKernel()
        self._operations = 0.0
        self._may_change = multiplies_bfloat16()

    def __len__(self) -> int:
        """Number of rows appended so far."""
        return len(self._kernel)

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add kept rows (n, d) behind those already there."""
        self._kernel.append(rows)

    def near_best(self, block: NDArray[np.float32], margin: float) -> Pairs:
        """All pairs whose estimate is within `margin` of the row's greatest estimate."""
        self._operations += 2.0 * block.size * len(self)
        if self._may_change and (self._operations > OPERATIONS_WORTH_TORCH or _torch_has_one_thread()):
            self._change()
        return self._kernel.near_best(block, margin)

    def cross(self, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Estimates between two sets of rows, (len(rows), len(columns))."""
        return self._kernel.cross(rows, columns)

    def _change(self) -> None:
        from deita_assets.engines.bfloat16_kernel import Bfloat16Kernel

        assert isinstance(self._kernel, NumpyKernel)  # noqa: S101 - it changes once
        self._kernel = Bfloat16Kernel(self._kernel)
        self._may_change = False
        _OneBlasThread.begin()
        weakref.finalize(self, _OneBlasThread.end)  # the limit ends with the last kernel


class _OneBlasThread:
    """Holds numpy's BLAS at one thread while any kernel multiplies with torch.

    The threads of both libraries wait busily, each on the other's core: with two of either a pass took 2.6 times as
    long as with two of torch's alone.
    """

    _lock = Lock()
    _users = 0
    _limit: Any = None

    @classmethod
    def begin(cls) -> None:
        """One more kernel; the first one sets the limit."""
        with cls._lock:
            if not cls._users:
                cls._limit = ThreadpoolController().limit(limits=1, user_api="blas")
            cls._users += 1

    @classmethod
    def end(cls) -> None:
        """One kernel less; the last one puts back what was."""
        with cls._lock:
            cls._users -= 1
            if not cls._users:
                cls._limit.restore_original_limits()


def _torch_has_one_thread() -> bool:
    """Whether torch is loaded and on one thread: only then is bfloat16 quicker from the first block on.

    With two threads both kernels came out level up to 50 million pairs of 384 numbers, and 1.3 times apart at 2,800.
    """
    torch = sys.modules.get("torch")
    return torch is not None and torch.get_num_threads() == 1


@cache
def multiplies_bfloat16() -> bool:
    """Whether torch is installed and this processor multiplies bfloat16 in hardware; Linux on x86 tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _FLAGS.isdisjoint(flags.split()) and find_spec("torch") is not None
