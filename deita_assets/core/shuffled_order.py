"""The visiting order of selector `random`: a shuffle that anybody can make again.

What belongs here: the order. What does not: which rows are kept of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def shuffled_order(keys: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Rows sorted by sha256 of "<seed>:<key>" in UTF-8, smallest digest first.

    The place of a row depends on its key and on the seed alone: not on where it stood in the input, nor on a
    library's generator, and a new row takes a place without moving the others past each other. So the first
    rows of a pool that grew are those of the old one, but for new rows between them.

    Args:
        keys: (n,) different texts that last, such as content hash and source.
        seed: any integer.

    Returns:
        (n,) int64 row numbers.

    Raises:
        ValueError: a key occurs twice; nothing but the input's order could tell such rows apart.
    """
    place: dict[str, int] = {}
    for row, key in enumerate(keys):
        if place.setdefault(key, row) != row:
            raise ValueError(
                f"key {key!r} belongs to rows {place[key]} and {row}, expected different keys; "
                "add what tells these rows apart, or leave one of them out"
            )
    digests = [hashlib.sha256(f"{seed}:{key}".encode()).digest() for key in keys]
    return np.array(sorted(range(len(digests)), key=digests.__getitem__), dtype=np.int64)
