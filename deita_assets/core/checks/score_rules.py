"""Rules about the scores of one measure and one source: keys, range, gaps, and signs of a scorer that measures nothing.

What belongs here: the rules of `complexity_scores` and `quality_scores`. What does not: scorers, or reading scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.checks.finding import Finding, curate, few, rows

LOWEST, HIGHEST = 1.0, 6.0
#: A share of turns with another status than `ok` beyond this is told.
MOST_NOT_OK = 0.05
#: Scores of fewer prompts than this may well be alike.
ENOUGH_PROMPTS = 20
#: Scores spread less than this are one score: real pools were seen from 0.36 upwards, on the scale of 1 to 6.
LEAST_DEVIATION = 0.01
#: Scores that follow the length of their prompt more closely than this say little else. Seen: 0.1 to 0.7.
MOST_CORRELATION = 0.85


@dataclass(frozen=True)
class TurnScores:
    """The stored results of one measure, seen from the turns of one source's pool.

    Attributes:
        measure: `complexity` or `quality`.
        source: whose pool.
        n_stored: results in LanceDB under the scorer's fingerprint, of this pool's prompts.
        n_keys: different prompts among these.
        doubled: prompts with more than one result.
        statuses: status -> turns; turns without any result are not among them.
        n_turns: turns in the pool.
        lacking: sample ids with a turn that has no result.
        n_lacking: turns without a result.
        out_of_range: sample ids with a turn whose status has a score, but none in [1, 6].
        n_out_of_range: such turns.
        unwarranted: sample ids with a turn whose status has no score, but there is one.
        n_unwarranted: such turns.
        scores: (k,) float64, one for each different prompt that has a score.
        lengths: (k,) int64, characters of these prompts.
        attempts: class of the error -> failed attempts at these scores.
    """

    measure: str
    source: str
    n_stored: int
    n_keys: int
    n_turns: int
    statuses: Mapping[str, int]
    scores: NDArray[np.float64]
    lengths: NDArray[np.int64]
    doubled: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    n_lacking: int = 0
    out_of_range: tuple[str, ...] = ()
    n_out_of_range: int = 0
    unwarranted: tuple[str, ...] = ()
    n_unwarranted: int = 0
    attempts: Mapping[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What these are, in words."""
        return f"{self.source}: {self.measure}"


#: What materialising an asset does about results that its check refused.
DROPPED = "drops the refused results and computes them again"


def unique_keys(found: TurnScores) -> Finding:
    """One result for each prompt."""
    passed = found.n_stored == found.n_keys
    told = f"{found.title}: {rows(found.n_stored, 'stored result')} of {rows(found.n_keys, 'prompt')}"
    return Finding(
        "unique_keys", passed,
        f"{told}." if passed else f"{told}, one each was expected; a join would double rows.",
        "" if passed else f"{curate('source', found.source)} {DROPPED}.",
        grave=True,
        numbers={"stored": found.n_stored, "keys": found.n_keys, "doubled": found.n_stored - found.n_keys},
        examples=few(found.doubled),
    )  # fmt: skip


def finite_scores(found: TurnScores) -> Finding:
    """A score in [1, 6] wherever the status has one, and none anywhere else."""
    passed = not found.n_out_of_range and not found.n_unwarranted
    wrong = [
        f"{rows(found.n_out_of_range, 'turn')} scored outside {LOWEST:g} to {HIGHEST:g} or not at all"
        if found.n_out_of_range else "",
        f"{rows(found.n_unwarranted, 'turn')} with a score that their status denies"
        if found.n_unwarranted else "",
    ]  # fmt: skip
    said = "; ".join(part for part in wrong if part)
    known = found.scores[np.isfinite(found.scores)]
    return Finding(
        "finite_scores", passed,
        f"{found.title}: every score is within {LOWEST:g} to {HIGHEST:g}." if passed
        else f"{found.title}: {said}.",
        "" if passed else
        f"{curate('source', found.source)} {DROPPED}; should it fail again, the scorer's model is damaged.",
        grave=True,
        numbers={
            "out_of_range": found.n_out_of_range, "unwarranted": found.n_unwarranted,
            "lowest": float(known.min()) if known.size else 0.0,
            "highest": float(known.max()) if known.size else 0.0,
        },
        examples=few((*found.out_of_range, *found.unwarranted)),
    )  # fmt: skip


def missing_pairs(found: TurnScores) -> Finding:
    """Every turn of the pool has a result, be it one without a score."""
    passed = not found.n_lacking
    attempts = ", ".join(f"{count:,} x {error}" for error, count in sorted(found.attempts.items()))
    why = f"failed attempts: {attempts}" if attempts else "no attempt failed; the pool or the store changed"
    return Finding(
        "missing_pairs", passed,
        f"{found.title}: a result for each of {rows(found.n_turns, 'turn')}." if passed else
        f"{found.title}: no result for {found.n_lacking:,} of {rows(found.n_turns, 'turn')}, whose rows cannot be "
        f"selected ({why}).",
        "" if passed else f"Run {curate('source', found.source)}, or materialise {found.measure}_scores for it.",
        numbers={
            "turns": found.n_turns, "without_result": found.n_lacking,
            "failed_attempts": sum(found.attempts.values()),
        },
        examples=few(found.lacking),
    )  # fmt: skip


def status_share(found: TurnScores) -> Finding:
    """Few turns were cut to the window, given the official code's fallback, or left without a score."""
    n_results = sum(found.statuses.values())
    other = {status: n for status, n in sorted(found.statuses.items()) if status != "ok" and n}
    share = sum(other.values()) / n_results if n_results else 0.0
    passed = share <= MOST_NOT_OK
    listed = ", ".join(f"{count:,} {status}" for status, count in other.items()) or "all ok"
    return Finding(
        "status_share", passed,
        f"{found.title}: {listed}, {share:.1%} of {rows(n_results, 'turn')}"
        + ("." if passed else f", more than {MOST_NOT_OK:.0%}."),
        "" if passed else
        "`deita-assets sql -f unscored_turns` shows those without a score. `truncated` and `too_long` need a scorer "
        "with a longer window, or shorter rows; `empty_response` rows need answers.",
        numbers={"share_not_ok": round(share, 6), **{f"status_{name}": n for name, n in found.statuses.items()}},
    )  # fmt: skip


def constant_scores(found: TurnScores) -> Finding:
    """Scores of different prompts differ."""
    known = found.scores[np.isfinite(found.scores)]
    deviation = float(np.std(known)) if known.size else 0.0
    n_values = len(np.unique(known))
    enough = known.size >= ENOUGH_PROMPTS
    passed = not enough or (n_values > 1 and deviation >= LEAST_DEVIATION)
    told = (
        f"{found.title}: {rows(n_values, 'different score')} of {rows(known.size, 'prompt')}, standard deviation "
        f"{deviation:.3g}"
    )
    return Finding(
        "constant_scores", passed,
        f"{told}." if passed else f"{told}, below {LEAST_DEVIATION:g}: they rank nothing.",
        "" if passed else
        "`deita-assets sql -f score_spread` compares sources. Where their prompts do differ, the scorer's model or its "
        "heads are damaged: choose another in deita.toml and run `deita-assets curate`.",
        numbers={"prompts": int(known.size), "different": n_values, "standard_deviation": deviation},
    )  # fmt: skip


def length_correlation(found: TurnScores) -> Finding:
    """Scores say more than how long the prompt is; Spearman's rank correlation."""
    finite = np.isfinite(found.scores)
    value = spearman(found.scores[finite], found.lengths[finite])
    passed = not (finite.sum() >= ENOUGH_PROMPTS and value > MOST_CORRELATION)
    told = f"{found.title}: rank correlation of score and prompt length {value:.3f}"
    return Finding(
        "length_correlation", passed,
        f"{told}." if passed else
        f"{told}, above {MOST_CORRELATION:g}: choosing by it is choosing the longest prompts.",
        "" if passed else
        "`deita-assets sql -f score_and_length` compares sources. Choose another scorer in deita.toml if that is not "
        "what you want.",
        numbers={"spearman": round(value, 6), "prompts": int(finite.sum())},
    )  # fmt: skip


def spearman(first: NDArray[np.float64], second: NDArray[np.int64]) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, equal values sharing their mean rank.

    Args:
        first: (n,) finite numbers.
        second: (n,) finite numbers.

    Returns:
        In [-1, 1]; 0.0 where it is not defined: fewer than two rows, or one side constant.
    """
    if len(first) < 2:
        return 0.0
    a, b = _mean_ranks(first), _mean_ranks(second)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip((a @ b) / scale, -1.0, 1.0)) if scale else 0.0


def _mean_ranks(values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]
