"""Judging a head: on seeds that it never saw, and on other people's labels; always beside `random` and `longest`.

What belongs here: which figures are reported. What does not: their arithmetic (`statistics`), reading labels
(`labels`), and the words around them (`card`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.scorers.base import Measure, TurnText
from deita_assets.scorers.distilled.features import SegmentEncoder, complexity_features, quality_features
from deita_assets.scorers.distilled.head import OrdinalHead
from deita_assets.scorers.heuristic_text import read_text
from deita_assets.training.examples import Featured, graded_pairs, in_parts
from deita_assets.training.labels import JudgedPair, LabelSet, RatedText
from deita_assets.training.statistics import (
    Floats,
    Interval,
    bootstrap,
    mean_of_strata,
    partial_spearman,
    spearman,
    strata_of,
)

STRATA = ("longer", "alike", "shorter")


@dataclass(frozen=True)
class Figure:
    """One reported number beside what length alone and chance would give.

    Attributes:
        set: the set it was measured on.
        figure: what it is.
        scorer: the head's.
        longest: that of a scorer that counts words.
        random: what chance gives.
    """

    set: str
    figure: str
    scorer: Interval
    longest: Interval
    random: float


def held_out_figures(head: OrdinalHead, held: Featured) -> list[Figure]:
    """Figures on the held-out seeds of the graded set."""
    scores = head.scores(held.graded)
    length = np.array([_words(text.instruction, text.response, held.measure) for text in held.texts])
    if held.measure == "complexity":
        return _held_out_complexity(held, scores, length)
    return _held_out_quality(head, held, scores, length)


def label_figures(
    head: OrdinalHead, measure: Measure, sets: Sequence[LabelSet], encoder: SegmentEncoder
) -> list[Figure]:
    """Figures on other people's labels; a set of which nothing is left has none."""
    return [
        figure
        for one in sets
        if one.rated or one.pairs
        for figure in (
            _rated(head, measure, one.name, one.rated, encoder)
            if one.rated
            else _judged(head, one.name, one.pairs, encoder)
        )
    ]


def as_rows(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """Figures as JSON values; null for what is not a number, such as a correlation with equal grades."""
    return [
        {
            "set": one.set,
            "figure": one.figure,
            "n": one.scorer.n,
            "scorer": _rounded(one.scorer),
            "longest": _rounded(one.longest),
            "random": one.random,
        }
        for one in figures
    ]


def _rounded(one: Interval) -> list[float | None]:
    return [round(v, 4) if np.isfinite(v) else None for v in (one.value, one.low, one.high)]


def _held_out_complexity(held: Featured, scores: Floats, length: Floats) -> list[Figure]:
    grade = np.array([float(text.grade) for text in held.texts])
    seed_rows = np.array([at for at, text in enumerate(held.texts) if text.parent is None])
    names = [held.texts[at].seed for at in seed_rows]
    s, g, n = scores[seed_rows], grade[seed_rows], length[seed_rows]
    pairs = np.array(graded_pairs(held.texts), np.int64).reshape(-1, 2)
    groups = [held.texts[a].seed for a, _ in pairs]
    shorter = length[pairs[:, 0]] <= length[pairs[:, 1]]
    return [
        _both("held-out seeds", "rho with grade", lambda x: lambda at: spearman(x[at], g[at]), s, n, names),
        Figure(
            "held-out seeds",
            "partial rho with grade, length taken out",
            bootstrap(lambda at: partial_spearman(s[at], g[at], n[at]), names),
            Interval(0.0, 0.0, 0.0, len(names)),
            0.0,
        ),
        *_ordered("held-out chains", "order of steps", pairs, groups, scores, length),
        *_ordered(
            "held-out chains",
            "order where the harder text is not longer",
            pairs[shorter],
            [group for group, short in zip(groups, shorter, strict=True) if short],
            scores,
            length,
        ),
    ]


def _held_out_quality(head: OrdinalHead, held: Featured, scores: Floats, length: Floats) -> list[Figure]:
    grade = np.array([float(text.grade) for text in held.texts])
    names = [text.seed for text in held.texts]
    figures = [
        _both(
            "held-out responses",
            "rho with grade",
            lambda x: lambda at: spearman(x[at], grade[at]),
            scores,
            length,
            names,
        ),
        Figure(
            "held-out responses",
            "partial rho with grade, length taken out",
            bootstrap(lambda at: partial_spearman(scores[at], grade[at], length[at]), names),
            Interval(0.0, 0.0, 0.0, len(names)),
            0.0,
        ),
    ]
    pairs = np.array(graded_pairs(held.texts), np.int64).reshape(-1, 2)
    groups = [held.texts[a].seed for a, _ in pairs]
    figures += _ordered("held-out responses", "order within an instruction", pairs, groups, scores, length)
    figures += _strata("held-out responses", scores[pairs], length[pairs], groups)
    return figures + _ladder(head, held, scores, length)


def _ladder(head: OrdinalHead, held: Featured, scores: Floats, length: Floats) -> list[Figure]:
    """Order of each good answer and what became of it, by kind of corruption."""
    row = {text.id: at for at, text in enumerate(held.texts)}
    broken = head.scores(held.corrupted) if len(held.ladder) else np.zeros(0)
    figures = []
    for kind in sorted({one.kind for one in held.ladder}):
        at = [place for place, one in enumerate(held.ladder) if one.kind == kind]
        whole = [row[held.ladder[place].original.id] for place in at]
        short = np.array(
            [_words(held.ladder[p].original.instruction, held.ladder[p].response, "quality") for p in at]
        )
        wins = np.stack([scores[whole], broken[at]], axis=1)
        words = np.stack([length[whole], short], axis=1)
        groups = [held.ladder[place].original.seed for place in at]
        figures.append(
            _both_pairs(
                "held-out ladder", f"original above its {kind.replace('_', ' ')}", wins, words, groups
            )
        )
    return figures


def _rated(
    head: OrdinalHead, measure: Measure, name: str, rated: Sequence[RatedText], encoder: SegmentEncoder
) -> list[Figure]:
    scores = _scores(head, measure, [(row.instruction, row.response) for row in rated], encoder)
    length = np.array([_words(row.instruction, row.response, measure) for row in rated])
    rating = np.array([row.rating for row in rated])
    groups = [row.group for row in rated]
    figures = [
        _both(
            name, "rho with rating", lambda x: lambda at: spearman(x[at], rating[at]), scores, length, groups
        )
    ]
    if len(set(groups)) < len(groups):
        pairs = np.array(_rated_pairs(rated), np.int64).reshape(-1, 2)
        of = [rated[a].group for a, _ in pairs]
        figures += _ordered(name, "order within a group", pairs, of, scores, length)
    return figures


def _judged(
    head: OrdinalHead, name: str, judged: Sequence[JudgedPair], encoder: SegmentEncoder
) -> list[Figure]:
    turns = [(p.instruction, text) for p in judged for text in (p.better, p.worse)]
    scores = _scores(head, "quality", turns, encoder).reshape(-1, 2)
    length = np.array([_words(i, r, "quality") for i, r in turns]).reshape(-1, 2)
    groups = [pair.instruction for pair in judged]
    return [
        _both_pairs(name, "accuracy on pairs", scores, length, groups),
        *_strata(name, scores, length, groups),
    ]


def _scores(
    head: OrdinalHead, measure: Measure, turns: Sequence[TurnText], encoder: SegmentEncoder
) -> Floats:
    """Scores of turns, some at a time: their token states by sentence take up to 200 KB a turn."""
    parts = [
        complexity_features(encoder, [instruction for instruction, _ in part])
        if measure == "complexity"
        else quality_features(encoder, part)[0]
        for part in in_parts(turns)
    ]
    return head.scores(np.vstack(parts))


def _rated_pairs(rated: Sequence[RatedText]) -> list[tuple[int, int]]:
    by_group: dict[str, list[int]] = {}
    for at, row in enumerate(rated):
        by_group.setdefault(row.group, []).append(at)
    return [
        (a, b)
        for group in by_group.values()
        for a in group
        for b in group
        if rated[a].rating > rated[b].rating
    ]


def _strata(name: str, scores: Floats, length: Floats, groups: Sequence[str]) -> list[Figure]:
    """Accuracy where the better text is more than 20 % longer, alike, or shorter, and the mean of the three."""
    places = strata_of(length[:, 0], length[:, 1])
    figures = []
    for at, stratum in enumerate(STRATA):
        rows = places == at
        if rows.any():
            of = [group for group, inside in zip(groups, rows, strict=True) if inside]
            figures.append(
                _both_pairs(name, f"accuracy, better is {stratum}", scores[rows], length[rows], of)
            )
    if len(figures) == len(STRATA):
        won, longer = _won(scores), _won(length)
        figures.append(
            Figure(
                name,
                "mean of the three",
                bootstrap(lambda at: mean_of_strata(won[at], places[at]), groups),
                bootstrap(lambda at: mean_of_strata(longer[at], places[at]), groups),
                0.5,
            )
        )
    return figures


def _ordered(
    name: str,
    figure: str,
    pairs: NDArray[np.int64],
    groups: Sequence[str],
    scores: Floats,
    length: Floats,
) -> list[Figure]:
    return [_both_pairs(name, figure, scores[pairs], length[pairs], groups)] if len(pairs) else []


def _both_pairs(name: str, figure: str, scores: Floats, length: Floats, groups: Sequence[str]) -> Figure:
    """Share of rows (better, worse) in which the better one has more; equal ones count half."""
    won, longer = _won(scores), _won(length)
    return Figure(
        name,
        figure,
        bootstrap(lambda at: float(won[at].mean()), groups),
        bootstrap(lambda at: float(longer[at].mean()), groups),
        0.5,
    )


def _won(values: Floats) -> Floats:
    difference = values[:, 0] - values[:, 1]
    won: Floats = (difference > 0) + 0.5 * (difference == 0)
    return won


def _both(
    name: str,
    figure: str,
    statistic: Callable[[Floats], Callable[[NDArray[np.intp]], float]],
    scores: Floats,
    length: Floats,
    groups: Sequence[str],
) -> Figure:
    return Figure(
        name, figure, bootstrap(statistic(scores), groups), bootstrap(statistic(length), groups), 0.0
    )


def _words(instruction: str, response: str | None, measure: Measure) -> float:
    return read_text(instruction if measure == "complexity" else response or "").n_words


def by_name(figures: Sequence[Figure]) -> Mapping[tuple[str, str], Figure]:
    """Figures by set and name."""
    return {(one.set, one.figure): one for one in figures}
