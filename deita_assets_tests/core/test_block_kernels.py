"""Kernels estimate; no estimate within the error bound may change a result."""

import numpy as np
import pytest

from deita_assets.core.block_kernel import NumpyKernel, Pairs
from deita_assets.core.similarity import float32_error_bound
from deita_assets.engines.torch_kernel import TorchKernel
from deita_assets_tests.core.greedy_oracle import DTYPES, KINDS, full_pass, make_pool, ranked, state


class WorstKernel:
    """Float64 similarities, each moved by nearly all that the error bound allows, differently every time."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.rows = None

    def __len__(self):
        return 0 if self.rows is None else len(self.rows)

    def append(self, rows):
        self.rows = rows if self.rows is None else np.vstack([self.rows, rows])

    def cross(self, rows, columns):
        slack = 0.9 * float32_error_bound(rows.shape[1])
        noise = slack * self.rng.choice([-1.0, 1.0], (len(rows), len(columns)))
        return (rows.astype(np.float64) @ columns.T.astype(np.float64) + noise).astype(np.float32)

    def near_best(self, block, margin):
        estimates = self.cross(block, self.rows).astype(np.float64)
        row, column = np.nonzero(estimates >= estimates.max(axis=1, keepdims=True) - margin)
        shuffled = self.rng.permutation(len(row))
        return Pairs(row[shuffled], column[shuffled])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [0.9, 1.0])
def test_no_kernel_within_the_error_bound_changes_anything(kind, threshold):
    vectors, scores = make_pool(kind, 300, 6, np.float32, seed=3)
    order = ranked(scores)
    expected = state(full_pass(vectors, order, threshold))
    for seed in range(4):
        assert (
            state(full_pass(vectors, order, threshold, kernel=WorstKernel(seed), block_size=70)) == expected
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_and_numpy_agree_in_every_byte(kind, dtype):
    vectors, scores = make_pool(kind, 500, 16, dtype, seed=4)
    order = ranked(scores)
    for threshold in (0.7, 1.0):
        torch_pass = full_pass(vectors, order, threshold, kernel=TorchKernel("cpu"))
        assert state(torch_pass) == state(full_pass(vectors, order, threshold))


def test_the_torch_kernel_works_in_float32_whatever_the_program_has_set():
    import torch

    rng = np.random.default_rng(5)
    rows = rng.standard_normal((200, 64)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    switch = getattr(torch.backends.mkldnn, "matmul", None)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        settings_then = getattr(switch, "fp32_precision", None)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            coarse = (torch.from_numpy(rows) @ torch.from_numpy(rows).T).float().numpy()
            estimates = TorchKernel("cpu").cross(rows, rows)
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_float32_matmul_precision() == "medium"
        assert getattr(switch, "fp32_precision", None) == settings_then
    finally:
        torch.set_float32_matmul_precision(before)
    exact = rows.astype(np.float64) @ rows.T.astype(np.float64)
    assert np.abs(coarse - exact).max() > 100 * float32_error_bound(64)
    assert np.abs(estimates - exact).max() <= float32_error_bound(64)


@pytest.mark.parametrize("make_kernel", [NumpyKernel, lambda: TorchKernel("cpu")])
def test_kernels_find_all_pairs_across_tiles(make_kernel, monkeypatch):
    """The best of a row may come in the last tile, its competitors in the first."""
    monkeypatch.setattr("deita_assets.core.block_kernel.TILE_ROWS", 8)
    monkeypatch.setattr("deita_assets.engines.torch_kernel.TILE_ROWS", 8)
    rng = np.random.default_rng(6)
    rows = np.round(rng.standard_normal((90, 3)) * 2).astype(np.float32)  # few values, many ties
    kernel = make_kernel()
    for start in range(0, 90, 13):
        kernel.append(rows[start : start + 13])
    estimates = (rows @ rows.T).astype(np.float64)  # small integers: exact
    wanted = {tuple(pair) for pair in np.argwhere(estimates >= estimates.max(axis=1)[:, None] - 1.5).tolist()}
    found = kernel.near_best(rows, 1.5)
    pairs = list(zip(found.row.tolist(), found.column.tolist(), strict=True))
    assert len(kernel) == 90 and len(set(pairs)) == len(pairs)
    assert set(pairs) == wanted
