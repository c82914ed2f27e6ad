"""What a scorer is: turns in, one score and one status per turn out.

What belongs here: the protocol and the vocabulary of statuses. What does not: any model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.fingerprint import Fingerprint

Measure: TypeAlias = Literal["complexity", "quality"]
MEASURES: tuple[Measure, ...] = ("complexity", "quality")

Status: TypeAlias = Literal["ok", "truncated", "fallback", "too_long", "empty_response", "non_finite"]
#: Statuses that carry a score. The others are results too (the same fingerprint would give them again), with NaN.
#: `fallback` is the 3.0 of the official code, given by scorers that imitate it (`compat="official"`) and no other.
SCORED: frozenset[str] = frozenset({"ok", "truncated", "fallback"})

TurnText: TypeAlias = tuple[str, str]
"""(instruction, response) of one turn; the response is "" where no assistant text follows."""


class Scorer(Protocol):
    """Scores turns for one measure.

    Attributes:
        measure: which of `MEASURES` it gives.
        fingerprint: identity of its scores; two scorers with equal fingerprints give equal scores.
    """

    measure: Measure
    fingerprint: Fingerprint

    def score_turns(self, turns: Sequence[TurnText]) -> tuple[NDArray[np.float64], list[Status]]:
        """Scores in [1, 6], shape (len(turns),), NaN exactly where the status is not in `SCORED`.

        Raises:
            ScorerError: when the model cannot be used at all. Errors of the moment (out of memory,
                I/O) are raised as they are and never turned into a status, because another attempt may succeed.
        """
        ...
