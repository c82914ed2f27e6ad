"""Choosing the options of a fit on folds of the seeds that are learnt from; held-out seeds and labels choose nothing.

What belongs here: the grid and the criterion. What does not: fitting, and judging a finished head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from deita_assets.errors import UsageError
from deita_assets.scorers.base import Measure
from deita_assets.scorers.distilled.head import OrdinalHead
from deita_assets.scorers.heuristic import SPREAD
from deita_assets.scorers.heuristic_text import read_text
from deita_assets.training.examples import Featured, examples, families_of
from deita_assets.training.fit import Examples, Floats, Options, fit
from deita_assets.training.graded_set import fold_of
from deita_assets.training.statistics import mean_of_strata, spearman, strata_of

N_FOLDS = 4
#: Weights that are given: the heuristic's reading of form enters at its own scale, 1 / SPREAD^2 a grade, the slope of
#: its kernel. The set is balanced by length on purpose; learnt from it alone, a head would take length, the best single
#: sign in the wild, for no sign. What is learnt are corrections to that reading.
FIXED: Mapping[Measure, Mapping[str, float]] = {
    "complexity": {},
    "quality": {"heuristic_form": 1.0 / SPREAD**2},
}
PAIR_WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0)
COUNTED_PENALTIES = (0.003, 0.01, 0.03, 0.1)
VECTOR_PENALTIES = (0.1, 0.3, 1.0)


@dataclass(frozen=True)
class Chosen:
    """The options that did best, and what every combination reached.

    Attributes:
        options: for the final fit.
        criterion: what they reached, see `criterion_of`.
        tried: (options, criterion) of the whole grid, in its order.
    """

    options: Options
    criterion: float
    tried: tuple[tuple[Options, float], ...]


def choose(set_: Featured, names: Sequence[str]) -> Chosen:
    """The options with the best criterion over the folds; the first of equals.

    Raises:
        UsageError: too few seeds for folds, or all with one grade.
    """
    _check_enough(set_)
    learnt, families = examples(set_), families_of(names)
    folds = np.array([fold_of(seed, N_FOLDS) for seed in learnt.seeds])
    tried = []
    for options in grid(families):
        latent = np.zeros(len(folds))
        for fold in range(N_FOLDS):
            part, fixed = learnt.of(folds != fold), FIXED[set_.measure]
            head = fit(part, options, names=names, families=families, about={}, fixed=fixed)
            latent[folds == fold] = head.latent(set_.features[folds == fold])
        tried.append((options, criterion_of(set_, learnt, latent)))
    best = max(range(len(tried)), key=lambda at: (tried[at][1], -at))
    return Chosen(*tried[best], tuple(tried))


def _check_enough(set_: Featured) -> None:
    seeds, grades = {text.seed for text in set_.texts}, {text.grade for text in set_.texts}
    if len(grades) < 2 or len({fold_of(seed, N_FOLDS) for seed in seeds}) < 2:
        raise UsageError(
            f"graded set of {set_.measure}: found {len(seeds)} seeds to learn from with grades {sorted(grades)}, "
            f"expected two grades or more and seeds in two of {N_FOLDS} folds or more.",
            cure="Give more seeds of different grades.",
        )


def grid(families: Sequence[str]) -> Iterator[Options]:
    """Every combination of options for features of these families."""
    vector = VECTOR_PENALTIES if "vector" in families else (1.0,)
    for pair_weight, counted, coordinates in product(PAIR_WEIGHTS, COUNTED_PENALTIES, vector):
        yield Options(pair_weight, {"counted": counted, "vector": coordinates})


def criterion_of(set_: Featured, learnt: Examples, latent: Floats) -> float:
    """What a head must do, as one number in [-1, 1]: the mean of two orders on seeds that it has not seen.

    Complexity: Spearman's rho with the grade between seeds, and the share of chain pairs in order. Quality: the share
    of graded pairs in order, as the mean over the three strata of length, and the share of answers above their
    corruptions, as the mean over the kinds of corruption; what a set has nothing of is left out, and where it has
    neither the criterion is Spearman's rho with the grade.
    """
    won = (latent[learnt.pairs[:, 0]] > latent[learnt.pairs[:, 1]]).astype(np.float64)
    if set_.measure == "complexity":
        rows = [at for at, text in enumerate(set_.texts) if text.parent is None]
        between = spearman(latent[rows], [set_.texts[at].grade for at in rows])
        return (between + float(won.mean())) / 2 if len(won) else between
    n_graded = len(won) - len(set_.ladder)
    orders = []
    if n_graded:
        lengths = np.array([read_text(text.response or "").n_words for text in set_.texts])
        words = lengths[learnt.pairs[:n_graded]]
        orders.append(mean_of_strata(won[:n_graded], strata_of(words[:, 0], words[:, 1])))
    if set_.ladder:
        kinds = np.array([one.kind for one in set_.ladder])
        orders.append(float(np.mean([won[n_graded:][kinds == kind].mean() for kind in np.unique(kinds)])))
    if not orders:
        return spearman(latent, [text.grade for text in set_.texts])
    return sum(orders) / len(orders)


def final_head(set_: Featured, chosen: Chosen, names: Sequence[str], about: dict[str, object]) -> OrdinalHead:
    """The head fitted to every seed that may be learnt from."""
    return fit(
        examples(set_),
        chosen.options,
        names=names,
        families=families_of(names),
        fixed=FIXED[set_.measure],
        about={
            **about,
            "options": {"pair_weight": chosen.options.pair_weight, **chosen.options.penalties},
            "criterion_on_folds": round(chosen.criterion, 4),
        },
    )
