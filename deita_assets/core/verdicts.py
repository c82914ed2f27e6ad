"""What can become of a row in a selection.

What belongs here: the words. What does not: deciding them; nor numpy, because commands read this for their `--help`.
"""

from __future__ import annotations

from typing import Final

KEPT: Final = "kept"
NEAR_DUPLICATE: Final = "near_duplicate"  # more similar to a kept row than the threshold allows
CONTAMINATED: Final = "contaminated"  # too similar to a row of an exclusion set
EXCLUDED: Final = "excluded"  # a row filter says no
OVER_QUOTA: Final = "over_quota"  # its source has all the rows that its cap allows
UNVISITED: Final = "unvisited"  # the budget was full before its turn came
UNSCORED: Final = "unscored"  # no finite score: some turn lacks one
INVALID: Final = "invalid"  # no vector that could be compared

#: Every verdict, in the order in which counts are shown.
VERDICTS: Final = (
    KEPT,
    NEAR_DUPLICATE,
    CONTAMINATED,
    EXCLUDED,
    OVER_QUOTA,
    UNVISITED,
    UNSCORED,
    INVALID,
)
