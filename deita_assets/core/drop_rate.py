"""Whether a threshold does anything sensible: how many of the visited rows a ledger dropped as near-duplicates.

What belongs here: the rule and its words. What does not: counting in the store, or where it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Fewer visited rows than this may well hold no near-duplicate.
ENOUGH_VISITED = 1_000
LOWEST_SHARE, HIGHEST_SHARE = 0.01, 0.9
#: How near a pair has to be to the threshold for another threshold to be worth a thought.
NEAR = 0.05


@dataclass(frozen=True)
class Drops:
    """What a ledger did with the rows it compared.

    Attributes:
        kept: rows kept.
        dropped: rows dropped for a kept one.
        near: rows of both kinds whose nearest kept row is within `NEAR` of the threshold.
    """

    kept: int
    dropped: int
    near: int


@dataclass(frozen=True)
class Judgement:
    """`passed` is False where somebody should look; `message` says what was found and what to do."""

    passed: bool
    message: str


def judge(scope: str, threshold: float | None, drops: Drops) -> Judgement:
    """Judge the share of rows that a threshold dropped.

    Fewer than 1 % of at least 1,000 visited, or more than 90 %, is remarkable. Where no pair is near the threshold,
    that is how the pool is, and said for information only.

    Args:
        scope: its name, for the command to type.
        threshold: None for a selector that has none.
        drops: counts over the visited rows.
    """
    if threshold is None:
        return Judgement(True, "The selector of this scope has no threshold.")
    visited = drops.kept + drops.dropped
    share = drops.dropped / visited if visited else 0.0
    found = (
        f"{drops.dropped:,} of {visited:,} visited rows ({share:.1%}) were dropped at threshold {threshold:g}"
    )
    calibrate = f"`deita-assets calibrate {scope}`"
    few = visited >= ENOUGH_VISITED and share < LOWEST_SHARE
    if not few and share <= HIGHEST_SHARE:
        return Judgement(True, f"{found}. {calibrate} shows what other thresholds would keep.")
    if not drops.near:
        return Judgement(
            True,
            f"{found}, and no row is within {NEAR:g} of it: a slightly other threshold would change nothing. "
            f"{calibrate} shows where the pairs are.",
        )
    fear = "hardly filters" if few else "drops nearly everything"
    return Judgement(
        False,
        f"{found}, and {drops.near:,} rows are within {NEAR:g} of it: it {fear}. Run {calibrate} to read the pairs on "
        "either side of it and to see a threshold that fits.",
    )
