"""Batches of token rows: longest first, under a token budget, results left to their own places.

What belongs here: the order in which rows meet a model. What does not: the model, or what a batch computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def run_by_length(
    lengths: Sequence[int],
    compute: Callable[[list[int]], None],
    *,
    budget: int,
    tightness: float = 0.0,
    out_of_memory: tuple[type[BaseException], ...] = (),
) -> None:
    """Calls `compute(rows)` until every row number of `lengths` was handed over exactly once.

    Rows go longest first (ties by row number), so that the batch which needs the most memory comes at once
    and not after hours. A batch holds as many rows as fit `rows * longest <= budget`, at least one. When
    `compute` runs out of memory the budget is halved, for good, and the same rows are tried again in smaller
    batches; `compute` must therefore write results by row number and keep nothing between calls.

    Args:
        lengths: tokens of each row.
        compute: gets row numbers, in descending order of length.
        budget: most padded tokens in one batch; 1 makes batches of one row.
        tightness: in [0, 1]; no row of a batch is shorter than `tightness * longest`; 1 makes batches of
            equal lengths, which need no padding.
        out_of_memory: exceptions that mean "try a smaller batch".

    Raises:
        Exception: whatever `compute` raises; an out-of-memory error only when a single row was too much.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    start = 0
    while start < len(order):
        rows = order[start : _batch_end(lengths, order, start, budget, tightness)]
        try:
            compute(rows)
        except out_of_memory:
            if len(rows) == 1:
                raise
            budget = len(rows) * lengths[rows[0]] // 2
            continue
        start += len(rows)


def _batch_end(lengths: Sequence[int], order: list[int], start: int, budget: int, tightness: float) -> int:
    longest = lengths[order[start]]
    most = max(1, budget // max(1, longest))
    end = start + 1
    while end < min(len(order), start + most) and lengths[order[end]] >= tightness * longest:
        end += 1
    return end
