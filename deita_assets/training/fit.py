"""Fitting an ordinal head: graded rows and ordered pairs in, a head out. Deterministic, seconds on a CPU.

What belongs here: the loss, the optimiser, cross-validation. What does not: features, sets and files.

The loss is convex but for the spacing of the borders:

    mean over rows of CE(proportional odds(x), grades)                       absolute grades, both gradings half each
    + pair_weight * mean over pairs of log(1 + exp(-(x_better - x_worse)))   order inside a chain, group or ladder
    + sum over feature families of penalty * |w_family|^2                    of the weights that are not given

Pairs teach order inside a chain, where texts differ by one step; only the absolute grades teach order between seeds.
Full batches, float64 and one thread make the result the same on every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deita_assets.scorers.distilled.head import CLIP, N_BORDERS, OrdinalHead

Floats = NDArray[np.float64]
_STEPS = 300
#: Shipped weights carry this many decimals: what differs beyond is noise of the optimiser.
_DECIMALS = 6


@dataclass(frozen=True)
class Examples:
    """What a head is fitted to.

    Attributes:
        features: float64 (n, d), graded rows first, then rows that occur in pairs only.
        targets: float64 (m, 6), m <= n, the share of each grade among the gradings of row i.
        pairs: int64 (p, 2), rows (better, worse).
        pair_weights: float64 (p,).
        seeds: the seed of each of the n rows, for folds.
    """

    features: Floats
    targets: Floats
    pairs: NDArray[np.int64]
    pair_weights: Floats
    seeds: Sequence[str]

    def of(self, rows: NDArray[np.bool_]) -> Examples:
        """The examples made of some rows; pairs stay when both of their rows do."""
        place = np.cumsum(rows) - 1
        both = rows[self.pairs].all(axis=1) if len(self.pairs) else np.zeros(0, np.bool_)
        return Examples(
            self.features[rows],
            self.targets[rows[: len(self.targets)]],
            place[self.pairs[both]].reshape(-1, 2),
            self.pair_weights[both],
            [seed for seed, stays in zip(self.seeds, rows, strict=True) if stays],
        )


@dataclass(frozen=True)
class Options:
    """What is chosen on folds of the seeds that are learnt from.

    Attributes:
        pair_weight: weight of the ordered pairs beside the grades.
        penalties: by feature family, the weight of its squared weights.
    """

    pair_weight: float
    penalties: Mapping[str, float] = field(default_factory=dict)


def fit(
    examples: Examples,
    options: Options,
    *,
    names: Sequence[str],
    families: Sequence[str],
    about: Mapping[str, object],
    fixed: Mapping[str, float] = MappingProxyType({}),
) -> OrdinalHead:
    """The head of least loss.

    Args:
        examples: what it is fitted to.
        options: weights of the loss's parts.
        names: what each feature is.
        families: the family of each feature, keys of `options.penalties`.
        about: kept with the head.
        fixed: weights, per unit of the feature, that are given and not learnt.
    """
    mean, scale = examples.features.mean(axis=0), examples.features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    z = np.clip((examples.features - mean) / scale, -CLIP, CLIP)
    penalty = np.array([options.penalties[family] for family in families])
    given = np.array([fixed.get(name, 0.0) for name in names]) * scale
    free = np.array([name not in fixed for name in names], np.float64)
    weights, borders = _minimise(z, examples, options.pair_weight, penalty, given, free)
    if fixed:
        weights, borders = _calibrated(z, weights, borders, examples)
    return OrdinalHead(
        tuple(names),
        np.round(weights, _DECIMALS),
        np.round(mean, _DECIMALS),
        np.maximum(np.round(scale, _DECIMALS), 10.0**-_DECIMALS),
        np.round(borders, _DECIMALS),
        dict(about),
    )


def _calibrated(z: Floats, weights: Floats, borders: Floats, examples: Examples) -> tuple[Floats, Floats]:
    """The same order of rows on the scale of the grades: one factor for all weights, and borders to fit.

    Given weights and heavy pairs stretch the latent until every score lies at an end; a grade's noise says how wide it
    should be (temperature scaling, Guo et al. 2017). Where the grades say nothing of it, it stays as it is.
    """
    latent, alone = (z @ weights)[:, np.newaxis], np.ones(1)
    graded = replace(examples, pairs=np.zeros((0, 2), np.int64))
    factor, found = _minimise(latent, graded, 0.0, 0 * alone, 0 * alone, alone)
    # Fewer grades than borders let the outer ones run off; 20 units are odds of a thousand million to one.
    if not 1e-3 < factor[0] < 10.0 or np.abs(found).max() > 20.0 or (np.diff(found) <= 0.0).any():
        return weights, borders
    return weights * factor[0], found


def _minimise(
    z: Floats, examples: Examples, pair_weight: float, penalty: Floats, given: Floats, free: Floats
) -> tuple[Floats, Floats]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows, targets = torch.tensor(z), torch.tensor(examples.targets)
        strength, offset, mask = torch.tensor(penalty), torch.tensor(z @ given), torch.tensor(free)
        better, worse = torch.tensor(examples.pairs.reshape(-1, 2)).T
        shares = torch.tensor(examples.pair_weights)
        shares = shares / shares.sum().clamp_min(1e-12)
        weights = torch.zeros(z.shape[1], dtype=torch.float64, requires_grad=True)
        first, gaps = _first_borders(examples.targets)
        start = torch.tensor(first, requires_grad=True)
        log_gaps = torch.tensor(np.log(gaps), requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [weights, start, log_gaps],
            max_iter=_STEPS,
            tolerance_grad=1e-9,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )

        def borders() -> torch.Tensor:
            return torch.cat([start, start + torch.cumsum(log_gaps.exp(), 0)])

        def loss() -> torch.Tensor:
            optimiser.zero_grad()
            x = rows @ (weights * mask) + offset
            above = torch.sigmoid(x[: len(targets), None] - borders())
            one, none = torch.ones(len(targets), 1), torch.zeros(len(targets), 1)
            graded = -torch.diff(torch.cat([one, above, none], 1).double(), dim=1)
            total = -(targets * graded.clamp_min(1e-12).log()).sum(1).mean()
            if len(better):
                total = (
                    total + pair_weight * (shares * torch.nn.functional.softplus(x[worse] - x[better])).sum()
                )
            total = total + (strength * weights**2).sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        optimiser.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            return (weights * mask).numpy() + given, borders().numpy().copy()
    finally:
        torch.set_num_threads(threads)


def _first_borders(targets: Floats) -> tuple[Floats, Floats]:
    """Borders of a head that knows nothing but how often each grade occurs: the first, and the gaps after it."""
    above = 1.0 - np.cumsum(targets.mean(axis=0))[:N_BORDERS]
    above = np.clip(above, 0.005, 0.995)
    borders = np.sort(-np.log(above / (1.0 - above)))
    return borders[:1], np.maximum(np.diff(borders), 0.05)
