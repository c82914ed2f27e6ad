"""Kernels estimate; no estimate within the error bound may change a result."""

from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from deita_assets.core.block_kernel import NumpyKernel, Pairs
from deita_assets.core.repr_filter import GreedyPass
from deita_assets.core.similarity import float32_error_bound
from deita_assets.engines.bfloat16_kernel import Bfloat16Kernel
from deita_assets.engines.cpu_kernel import CpuKernel, _OneBlasThread
from deita_assets.engines.torch_kernel import TorchKernel
from deita_assets_tests.core.greedy_oracle import (
    DTYPES,
    KINDS,
    Vectors,
    full_pass,
    make_pool,
    ranked,
    similarity,
    state,
)


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


def small_bfloat16():
    """Coarse from the first row on, in tiles that small pools fill."""
    return Bfloat16Kernel(NumpyKernel(tile_rows=64), few_rows=1)


KERNELS = {"torch": lambda: TorchKernel("cpu"), "bfloat16": small_bfloat16, "cpu": CpuKernel}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_agrees_with_numpy_in_every_byte(kind, dtype, kernel):
    vectors, scores = make_pool(kind, 500, 16, dtype, seed=4)
    order = ranked(scores)
    for threshold in (0.7, 1.0):
        expected = state(full_pass(vectors, order, threshold))
        for block_size in (None, 17):
            found = full_pass(vectors, order, threshold, kernel=KERNELS[kernel](), block_size=block_size)
            assert state(found) == expected


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_pairs_within_an_ulp_of_the_threshold_for_every_kernel_and_thread_count(threads, kernel):
    """The threshold is the median of 600 similarities that differ in their last bits only."""
    import torch

    rng = np.random.default_rng(12)
    first = rng.standard_normal(48)
    first /= np.linalg.norm(first)
    others = rng.standard_normal((600, 48))
    others -= np.outer(others @ first, first)
    others /= np.linalg.norm(others, axis=1)[:, None]
    vectors = np.vstack([first, 0.8 * first + 0.6 * others])
    exact = np.array([similarity(vectors[0], other) for other in vectors[1:]])
    threshold = float(np.median(exact))
    blocked = exact > threshold
    assert blocked.sum() > 20 and (exact < threshold).sum() > 20 and np.ptp(exact) < 1e-14
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for limit in (threshold, np.nextafter(threshold, 2), np.nextafter(threshold, -2)):
            found = full_pass(vectors, range(601), limit, kernel=KERNELS[kernel](), block_size=100)
            near_first = found.blocked_by[1:] == 0
            assert near_first.sum() > 400 and (found.similarity[1:][near_first] == exact[near_first]).all()
            assert (found.is_kept[1:][near_first] == (exact <= limit)[near_first]).all()
            assert state(found) == state(full_pass(vectors, range(601), limit))
    finally:
        torch.set_num_threads(before)


def rows_that_mislead(rng, d):
    """Kept rows (300, d) and a block (60, d) of length about 1, whose nearest rows the coarse product passes over.

    Components of kept rows lie beside the middle between two bfloat16 numbers, so a row is rounded up or down as
    a whole. Of each of twelve families the nearest rows are rounded down; the second nearest, with one more sign
    turned, up. Families turn more and more signs, so that estimates are rounded in every direction.
    """
    size = np.where(np.arange(d) % 2, 1.0, 0.25) * 2.0 ** -np.round(np.log2(d * 17 / 32) / 2)
    families = size * rng.choice([-1.0, 1.0], (12, d))
    below, above = 1 + 2.0**-8 - 2.0**-14, 1 + 2.0**-8 + 2.0**-14
    kept = np.empty((300, d))
    for i in range(300):
        turned = i % 12 + 1 + i // 12 % 3
        kept[i] = families[i % 12] * (above if turned == i % 12 + 2 else below)
        kept[i, rng.choice(np.arange(0, d, 2), turned, replace=False)] *= -1
    return kept, np.tile(families, (5, 1))


def random_rows(rng, d):
    return rng.standard_normal((300, d)), rng.standard_normal((60, d))


def opposite_rows(rng, d):
    """Not one estimate above zero."""
    return -abs(rng.standard_normal((300, d))), abs(rng.standard_normal((60, d)))


@pytest.mark.parametrize("d", [120, 482])
@pytest.mark.parametrize("make", [rows_that_mislead, random_rows, opposite_rows])
def test_the_coarse_product_misses_nothing_that_is_near(make, d):
    kept, block = make(np.random.default_rng(d), d)
    if make is rows_that_mislead:
        assert np.abs(np.linalg.norm(np.vstack([kept, block]), axis=1) - 1).max() < 0.005
        kept, block = kept.astype(np.float32), block.astype(np.float32)
    else:
        kept, block = (
            (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32) for rows in (kept, block)
        )
    kernel = small_bfloat16()
    for start in range(0, 300, 71):
        kernel.append(kept[start : start + 71])
    exact = block.astype(np.float64) @ kept.T.astype(np.float64)
    slack = 4 * float32_error_bound(d)
    for margin in (0.0, 1e-3, 0.05):
        found = kernel.near_best(block, margin)
        pairs = set(zip(found.row.tolist(), found.column.tolist(), strict=True))
        assert len(pairs) == len(found.row)
        floor = exact.max(axis=1, keepdims=True) - margin
        assert pairs >= {tuple(pair) for pair in np.argwhere(exact >= floor + slack).tolist()}
        assert pairs <= {tuple(pair) for pair in np.argwhere(exact >= floor - slack).tolist()}
        assert {row for row, _ in pairs} == set(range(60))
    if make is rows_that_mislead:
        assert (coarse(block, kept).argmax(axis=1) != exact.argmax(axis=1)).mean() > 0.8


def coarse(block, kept):
    import torch

    return (torch.from_numpy(block).bfloat16() @ torch.from_numpy(kept).bfloat16().T).float().numpy()


def test_rows_crowded_with_near_ones_are_compared_in_float32():
    """1,500 rows within the coarse margin of each other: looking into all would cost more than a product."""
    rng = np.random.default_rng(9)
    vectors = (rng.standard_normal(40) + 0.03 * rng.standard_normal((1500, 40))).astype(np.float32)
    kernel = Bfloat16Kernel()
    assert state(full_pass(vectors, range(1500), 1.0, kernel=kernel)) == state(
        full_pass(vectors, range(1500), 1.0)
    )


def test_the_cpu_kernel_changes_over_in_the_middle_of_a_pass(monkeypatch):
    monkeypatch.setattr("deita_assets.engines.cpu_kernel.OPERATIONS_WORTH_TORCH", 1e6)
    monkeypatch.setattr("deita_assets.engines.cpu_kernel.multiplies_bfloat16", lambda: True)
    monkeypatch.setattr("deita_assets.engines.cpu_kernel.sys", SimpleNamespace(modules={}))
    vectors, scores = make_pool("clusters", 3000, 16, np.float32, seed=4)
    kernel = CpuKernel()
    kinds = []
    greedy_pass = GreedyPass(Vectors(vectors), ranked(scores), 0.999, kernel)
    greedy_pass.run(on_progress=lambda *_: kinds.append(type(kernel._kernel)))
    assert kinds[0] is NumpyKernel and kinds[-1] is Bfloat16Kernel
    assert state(greedy_pass) == state(full_pass(vectors, ranked(scores), 0.999))


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


@pytest.mark.parametrize(
    "make_kernel", [lambda: NumpyKernel(tile_rows=8), lambda: TorchKernel("cpu"), small_bfloat16]
)
def test_kernels_find_all_pairs_across_tiles(make_kernel, monkeypatch):
    """The best of a row may come in the last tile, its competitors in the first."""
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


def test_kernels_that_overlap_leave_the_threads_of_numpy_as_they_were():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    for _ in range(2):
        _OneBlasThread.begin()
    assert set(threads()) == {1}
    _OneBlasThread.end()
    assert set(threads()) == {1}
    _OneBlasThread.end()
    assert threads() == before
