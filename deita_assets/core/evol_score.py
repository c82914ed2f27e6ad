"""From digit logits to a score, and from the scores of turns to the score of a conversation.

What belongs here: the paper's two formulas and their edge cases. What does not: models, prompts, stores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.aggregations import AGGREGATIONS

_DIGITS = 6


def expected_score(digit_logits: ArrayLike) -> NDArray[np.float64]:
    """Expected digit under the softmax over the six digit logits: sum over k = 1..6 of k * p_k.

    Args:
        digit_logits: (..., 6) real numbers for the tokens "1" .. "6". -inf is a probability of 0.

    Returns:
        (...) float64 in [1, 6]; NaN where all six are -inf, or any is NaN or +inf. Computed in float64 with
        the greatest logit subtracted, and summed in fixed order, so that equal logits give equal bits.

    Raises:
        ValueError: when the last axis does not have length 6.
    """
    logits = np.ascontiguousarray(digit_logits, dtype=np.float64)
    if np.ndim(digit_logits) == 0 or logits.shape[-1] != _DIGITS:
        raise ValueError(
            f"digit logits have shape {np.shape(digit_logits)}, expected (..., {_DIGITS}), one for each of "
            "'1' to '6'; pick these columns out of the vocabulary first"
        )
    greatest = logits.max(axis=-1, keepdims=True)  # NaN where any is NaN
    greatest = np.where(np.isfinite(greatest), greatest, np.nan)
    weight = np.exp(logits - greatest)
    total = sum(weight[..., k] for k in range(_DIGITS))
    weighted = sum((k + 1) * weight[..., k] for k in range(_DIGITS))
    # Mathematically within [1, 6]; the clip takes off a last-bit excess of the division and keeps NaN.
    return np.clip(weighted / total, 1.0, float(_DIGITS))


def turn_products(complexity: Sequence[float], quality: Sequence[float]) -> list[float]:
    """Products of complexity and quality, one for each turn.

    Raises:
        ValueError: for unequal lengths. (Broadcasting one score over many turns would hide a lost score.)
    """
    if len(complexity) != len(quality):
        raise ValueError(
            f"{len(complexity)} complexity and {len(quality)} quality scores, expected one of each for every "
            "turn; put NaN where a turn has none"
        )
    return [float(c) * float(q) for c, q in zip(complexity, quality, strict=True)]


def aggregate(products: Sequence[float], how: str = "sum") -> float:
    """evol_score of a conversation from the products of its turns; the paper sums them.

    `sum` and `mean` use `math.fsum`, so that the order of addition cannot move a rank.

    Args:
        products: complexity * quality of every turn, in order.
        how: one of `aggregations.AGGREGATIONS`.

    Returns:
        The score; NaN without turns, or when any product is not finite: a conversation with a missing turn
        has no score, whatever the others are.

    Raises:
        ValueError: for an unknown `how`.
    """
    if how not in AGGREGATIONS:
        raise ValueError(f"aggregation is {how!r}, expected one of {', '.join(AGGREGATIONS)}")
    values = [float(product) for product in products]
    if not values or not all(map(math.isfinite, values)):
        return math.nan
    if how == "max":
        return max(values)
    if how in ("first", "last"):
        return values[0 if how == "first" else -1]
    total = math.fsum(values)
    return total if how == "sum" else total / len(values)
