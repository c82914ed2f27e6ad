"""How many malformed rows one ingest may bring; with more it is likelier that the file or its format is wrong.

What belongs here: the rule. What does not: which reasons count (core.reasons), and what happens to such an ingest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deita_assets.core.reasons import MALFORMED

#: Share of the rows that an ingest reads.
SHARE = 0.05
#: Rows: a small file is not refused for a few bad ones.
ROWS = 50


@dataclass(frozen=True, slots=True)
class QuarantineLimit:
    """Malformed rows that are too many: more than `share` of the rows that an ingest reads, and `rows` or more.

    Attributes:
        share: in [0, 1]; 1 allows everything.
        rows: at least 1.
    """

    share: float = SHARE
    rows: int = ROWS

    def exceeded(self, n_malformed: int, n_read: int) -> bool:
        """True when so many malformed rows of so many read are too many."""
        return n_malformed >= self.rows and n_malformed > self.share * n_read


def malformed_only(reasons: Mapping[str, int]) -> dict[str, int]:
    """Reason -> rows, of the reasons that count, most rows first."""
    counted = {reason: n for reason, n in reasons.items() if reason in MALFORMED}
    return dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))
