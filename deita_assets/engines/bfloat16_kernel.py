"""`BlockKernel` for processors that multiply bfloat16 in hardware: a coarse product, then float32 for what is near.

What belongs here: the coarse product, and the margin within which it decides nothing. What does not: exact
values and decisions, which stay in `deita_assets.core`; what comes out of here is within the same bound as the
float32 estimates of any other kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import NumpyKernel, Pairs, float32_below
from deita_assets.core.similarity import float32_error_bound

if TYPE_CHECKING:
    import torch

_FEW_ROWS = 512
#: Coarse estimates that share one maximum. A row's near groups are looked into, the other 99 % are not.
_GROUP = 32
#: Near groups of a row in a tile above which a float32 product costs less than looking into them.
_CROWDED = 24
#: Numbers of a row above which the bounds below would want other constants.
_MAX_DIMENSION = 1 << 13
#: Unit roundoff of bfloat16.
_V = 2.0**-8


class Bfloat16Kernel:
    """Kept rows twice: in float32, as `NumpyKernel` holds them, and in bfloat16; 6 * d bytes each.

    Why nothing near is missed. For a pair of float32 rows x, y of length about 1, let s be their exact dot
    product, f the float32 estimate, |f - s| <= ef = g(d + 4); x', y' the rows rounded to bfloat16; c the
    product of x' and y' summed in float32, and b = c rounded to bfloat16. Then |c - s| <= e with

        e = |x - x'| + (1 + v) * max |y - y'| + 3 * g(2 d),    v = 2**-8:

    <x, y> - <x', y'> = <x - x', y> + <x', y - y'>, by Cauchy-Schwarz at most |x - x'| |y| + |x'| |y - y'|,
    with the lengths of the rounding residues as measured, |x'| <= 1 + v and |y| <= 1 + h, where h is u for rows
    normalised in float64 and (d / 2 + 4) u at most; what h adds to the first term is below v h. The sum of 2 d
    terms errs by g(2 d) (1 + v)**2, or twice that on hardware that truncates instead of rounding; the third g(2 d)
    covers (1 + v)**2, v h, and what h adds to ef. That holds up to 2**13 numbers; longer rows go to float32.

    A pair is wanted if f >= max f - margin. Then s >= max s - margin - 2 ef, so c >= max c - m with m = margin +
    2 ef + 2 e. Rounding is monotone, so the greatest b is the greatest c rounded, and max c >= max b - v |max b|;
    a c at or above a floor has a b at or above the floor less v times its magnitude. Whatever reaches that is
    estimated again in float32.
    """

    def __init__(self, plain: NumpyKernel | None = None, few_rows: int = _FEW_ROWS) -> None:
        """Start with the rows of `plain`, or with none.

        Args:
            plain: its tiles hold a multiple of 32 rows.
            few_rows: kept rows under which the plain product is as quick.
        """
        self._plain = NumpyKernel() if plain is None else plain
        self._few_rows = few_rows
        self._coarse: list[torch.Tensor] = []
        self._residue = 0.0
        self._workspace: torch.Tensor | None = None
        self._pays = True
        for start, rows in self._plain.tiles():
            self._append_coarse(start, rows)

    def __len__(self) -> int:
        """Number of rows appended so far."""
        return len(self._plain)

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add kept rows (n, d) behind those already there."""
        self._append_coarse(len(self), rows)
        self._plain.append(rows)

    def near_best(self, block: NDArray[np.float32], margin: float) -> Pairs:
        """All pairs whose estimate is within `margin` of the row's greatest estimate."""
        if len(self) < self._few_rows or not self._pays or block.shape[1] > _MAX_DIMENSION:
            return self._plain.near_best(block, margin)
        dimension = block.shape[1]
        coarse, residue = _rounded(block)
        ef = float32_error_bound(dimension)
        e = residue + (1 + _V) * self._residue + 3 * float32_error_bound(2 * dimension)
        wanted = margin + 2 * ef + 2 * e
        best = np.full(len(block), -np.inf)
        crowded = np.zeros(len(block), dtype=np.bool_)
        found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        for tile in range(len(self._coarse)):
            start = tile * self._plain.tile_rows
            estimates = self._tile(coarse, tile)
            groups = estimates.amax(dim=1).float().numpy()
            np.maximum(best, groups.max(axis=0), out=best)
            floor = best - wanted - _V * np.abs(best)
            floor -= _V * np.abs(floor) + 2.0**-40
            near = groups >= float32_below(floor)
            crowded |= near.sum(axis=0) > _CROWDED
            near[:, crowded] = False
            group, row = np.nonzero(near)
            inside = estimates[group, :, row].float().numpy()
            at, member = np.nonzero(inside >= float32_below(floor)[row, None])
            row, column = row[at], group[at] * _GROUP + member + start
            found.append((row, column, self._plain.pairs(block, row, column)))
        return self._settled(block, margin, found, np.flatnonzero(crowded))

    def cross(self, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Estimates between two sets of rows, (len(rows), len(columns))."""
        return self._plain.cross(rows, columns)

    def _append_coarse(self, used: int, rows: NDArray[np.float32]) -> None:
        """Add the rounded rows behind the `used` ones already there."""
        coarse, residue = _rounded(rows)
        self._residue = max(self._residue, float(residue.max(initial=0.0)))
        tile_rows = self._plain.tile_rows
        while len(coarse):
            tile, within = divmod(used, tile_rows)
            if tile == len(self._coarse):
                self._coarse.append(_new((tile_rows, rows.shape[1])))
            part = coarse[: tile_rows - within]
            self._coarse[tile][within : within + len(part)] = part
            coarse, used = coarse[len(part) :], used + len(part)

    def _settled(
        self,
        block: NDArray[np.float32],
        margin: float,
        found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]],
        crowded: NDArray[np.int64],
    ) -> Pairs:
        """What was found and is near by its float32 estimate; crowded rows are compared anew."""
        row, column, value = (np.concatenate(part) for part in zip(*found, strict=True))
        best = np.full(len(block), -np.inf, dtype=np.float32)
        np.maximum.at(best, row, value)
        best[crowded] = np.inf
        near = value >= float32_below(best.astype(float) - margin)[row]
        pairs = Pairs(row[near], column[near])
        if not len(crowded):
            return pairs
        self._pays = 2 * len(crowded) < len(block)
        more = self._plain.near_best(block[crowded], margin)
        return Pairs(
            np.concatenate((pairs.row, crowded[more.row])), np.concatenate((pairs.column, more.column))
        )

    def _tile(self, block: torch.Tensor, tile: int) -> torch.Tensor:
        """Coarse estimates (groups, rows of a group, n) against a tile; valid until the next call.

        Kept rows come first: the maxima of groups then run along contiguous memory.
        """
        import torch

        count = min(len(self) - tile * self._plain.tile_rows, self._plain.tile_rows)
        groups = -(-count // _GROUP)
        size = groups * _GROUP * len(block)
        if self._workspace is None or self._workspace.numel() < size:
            self._workspace = _new((self._plain.tile_rows * len(block),))
        estimates = self._workspace[:size].view(groups * _GROUP, len(block))
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            torch.mm(self._coarse[tile][: len(estimates)], block.T, out=estimates)
        estimates[count:] = -torch.inf
        return estimates.view(groups, _GROUP, len(block))


def _new(shape: tuple[int, ...]) -> torch.Tensor:
    """Room on the CPU that may be written to later, whatever the program has set for its models."""
    import torch

    with torch.inference_mode(False):
        return torch.empty(shape, dtype=torch.bfloat16, device="cpu")


def _rounded(rows: NDArray[np.float32]) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """(rows in bfloat16, length (n,) of what the rounding took off each)."""
    import torch

    coarse = torch.from_numpy(rows).to(torch.bfloat16)
    rest = rows - coarse.float().numpy()  # exact: a float32 less its first 8 bits
    return coarse, np.sqrt(np.vecdot(rest, rest).astype(np.float64)) * (1 + 2.0**-10)
