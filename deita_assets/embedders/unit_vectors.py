"""Vectors of length one, the only ones that an embedder gives.

What belongs here: the normalisation and its check. What does not: what is normalised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_assets.errors import EmbedderError

#: A unit vector in float32 is off by 1e-7; anything beyond this is a fault.
_TOLERANCE = 1e-4


def unit_vectors(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Each row divided by its length, float32 of the same shape.

    Raises:
        EmbedderError: a row is not finite or has no direction; names the first one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    vectors: NDArray[np.float32] = unit.astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1.0) <= _TOLERANCE))
    if wrong.size:
        row = int(wrong[0])
        raise EmbedderError(
            f"row {row}: found a vector of length {norms[row]}, expected a finite one of length 1 "
            f"({wrong.size} of {len(norms)} rows are like this).",
            cure="Use dtype float32; if it stays, the model's weights are damaged.",
        )
    return vectors
