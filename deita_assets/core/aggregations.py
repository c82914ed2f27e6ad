"""Ways to make one evol_score of the products of all turns.

What belongs here: the names. What does not: the sums (evol_score); nor numpy, because commands read this for `--help`.
"""

from __future__ import annotations

from typing import Final

#: The paper's is `sum`.
AGGREGATIONS: Final = ("sum", "mean", "max", "first", "last")
