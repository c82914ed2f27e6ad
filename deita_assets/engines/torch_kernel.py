"""`BlockKernel` on a torch device.

What belongs here: float32 estimates on cpu, cuda or another torch device. What does not: exact values and
decisions, which stay in `deita_assets.core` and do not depend on the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import Pairs

if TYPE_CHECKING:
    import torch

#: Kept rows compared at once: a tile of 1024 x 16384 estimates is 64 MiB of device memory.
TILE_ROWS = 16384


class TorchKernel:
    """Kept rows as one float32 matrix on the device: 4 * d bytes each, at most twice that while it grows."""

    def __init__(self, device: str) -> None:
        """Open a device.

        Args:
            device: a torch device such as `cpu`, `cuda` or `cuda:1`.

        Raises:
            ValueError: for a device that torch does not know or cannot use here.
        """
        import torch

        try:
            self._device = torch.device(device)
            self._rows = torch.empty((0, 0), dtype=torch.float32, device=self._device)
        except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
            raise ValueError(
                f"device is {device!r}, which torch cannot use here ({str(error).splitlines()[0]}); use 'cpu'"
            ) from error
        self._size = 0

    def __len__(self) -> int:
        """Number of rows appended so far."""
        return self._size

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add kept rows (n, d) behind those already there."""
        needed = self._size + len(rows)
        if needed > len(self._rows):
            capacity = max(1024, needed, 2 * len(self._rows))
            grown = self._rows.new_empty((capacity, rows.shape[1]))
            if self._size:
                grown[: self._size] = self._rows[: self._size]
            self._rows = grown
        self._rows[self._size : needed] = self._on_device(rows)
        self._size = needed

    def near_best(self, block: NDArray[np.float32], margin: float) -> Pairs:
        """All pairs whose estimate is within `margin` of the row's greatest estimate."""
        import torch

        with _full_float32(self._device.type):
            rows = self._on_device(block)
            best = torch.full((len(block),), -torch.inf, device=self._device)
            found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
            for start in range(0, self._size, TILE_ROWS):
                estimates = rows @ self._rows[start : min(start + TILE_ROWS, self._size)].T
                best = torch.maximum(best, estimates.amax(dim=1))
                row, column = torch.nonzero(estimates >= _below(best, margin)[:, None], as_tuple=True)
                found.append((row, column + start, estimates[row, column]))
            row, column, value = (torch.cat(part) for part in zip(*found, strict=True))
            # `best` has grown since the first tiles were searched.
            near = value >= _below(best, margin)[row]
            return Pairs(row[near].cpu().numpy(), column[near].cpu().numpy())

    def cross(self, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Estimates between two sets of rows, (len(rows), len(columns))."""
        with _full_float32(self._device.type):
            estimates: NDArray[np.float32] = (
                (self._on_device(rows) @ self._on_device(columns).T).cpu().numpy()
            )
        return estimates

    def _on_device(self, rows: NDArray[np.float32]) -> torch.Tensor:
        import torch

        return torch.from_numpy(rows).to(self._device)


@contextmanager
def _full_float32(device_type: str) -> Iterator[None]:
    """No TF32, no bfloat16, no autocast, whatever the program has set for its models; put back afterwards.

    The error bound of the greedy pass holds for float32 products only, and TF32 keeps 10 bits of them.
    """
    import torch

    modules = (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None))
    switches: list[Any] = [module for module in modules if hasattr(module, "fp32_precision")]
    with torch.no_grad(), torch.autocast(device_type, enabled=False):
        if not switches:  # torch before 2.9
            before = torch.get_float32_matmul_precision()
            torch.set_float32_matmul_precision("highest")
            try:
                yield
            finally:
                torch.set_float32_matmul_precision(before)
            return
        # The older getter raises once somebody has used the newer switches; so only these are touched.
        settings = [switch.fp32_precision for switch in switches]
        try:
            for switch in switches:
                switch.fp32_precision = "ieee"
            yield
        finally:
            for switch, setting in zip(switches, settings, strict=True):
                switch.fp32_precision = setting


def _below(best: torch.Tensor, margin: float) -> torch.Tensor:
    """Floors `margin` under `best`, lowered by more than float32 rounding can raise them."""
    return best - (margin + 2.0**-22)
