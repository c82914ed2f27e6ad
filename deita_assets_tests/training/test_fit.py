"""The ordinal head: recovers what made the grades, and its arithmetic is the definition's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from deita_assets.scorers.distilled.head import OrdinalHead, load_head
from deita_assets.training.fit import Examples, Options, fit
from deita_assets.training.statistics import spearman


def graded_rows(n=600, d=5, seed=0):
    """Rows whose grade follows the first feature, with logistic noise: proportional odds by construction."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d))
    latent = 2.5 * features[:, 0] + rng.logistic(size=n)
    grades = 1 + np.searchsorted([-3.0, -1.5, 0.0, 1.5, 3.0], latent)
    return features, grades


def examples_of(features, grades, pairs=()):
    targets = np.eye(6)[np.asarray(grades) - 1]
    rows = np.asarray(list(pairs), np.int64).reshape(-1, 2)
    return Examples(features, targets, rows, np.ones(len(rows)), [f"s{i}" for i in range(len(features))])


def fitted(examples, pair_weight=0.0, penalty=1e-4):
    names = [f"f{i}" for i in range(examples.features.shape[1])]
    options = Options(pair_weight, {"counted": penalty})
    return fit(examples, options, names=names, families=["counted"] * len(names), about={"measure": "test"})


def test_a_head_recovers_the_weights_and_borders_that_made_the_grades():
    head = fitted(examples_of(*graded_rows(n=6_000)))
    raw = head.weights / head.scale
    assert raw[0] == pytest.approx(2.5, rel=0.1)
    assert np.abs(raw[1:]).max() < 0.15
    shift = float((head.mean / head.scale) @ head.weights)
    assert_allclose(head.borders + shift, [-3.0, -1.5, 0.0, 1.5, 3.0], atol=0.2)


def test_fitting_twice_gives_the_same_bytes():
    examples = examples_of(*graded_rows())
    assert fitted(examples).to_bytes() == fitted(examples).to_bytes()


def test_pairs_teach_an_order_that_the_grades_do_not_know():
    rng = np.random.default_rng(1)
    features, grades = graded_rows()
    better = rng.normal(size=(200, 5))
    worse = better.copy()
    better[:, 4] += 1.0
    rows = np.vstack([features, better, worse])
    pairs = [(600 + i, 800 + i) for i in range(200)]
    targets = np.eye(6)[grades - 1]
    examples = Examples(rows, targets, np.array(pairs), np.ones(200), [f"s{i}" for i in range(1_000)])
    without, with_pairs = fitted(examples), fitted(examples, pair_weight=1.0)
    assert with_pairs.weights[4] > without.weights[4] + 0.3
    assert (with_pairs.latent(better) > with_pairs.latent(worse)).all()


def test_the_score_is_the_expectation_of_the_proportional_odds_model():
    head = fitted(examples_of(*graded_rows()))
    features = np.random.default_rng(2).normal(size=(50, 5))
    for row, score in zip(features, head.scores(features), strict=True):
        x = sum(
            w * np.clip((f - m) / s, -4, 4)
            for w, f, m, s in zip(head.weights, row, head.mean, head.scale, strict=True)
        )
        above = [1.0, *(1 / (1 + np.exp(-(x - border))) for border in head.borders), 0.0]
        expected = sum(k * (above[k - 1] - above[k]) for k in range(1, 7))
        assert score == pytest.approx(expected, abs=1e-9)
    assert ((head.scores(features) > 1) & (head.scores(features) < 6)).all()


def test_scores_of_a_row_do_not_depend_on_its_neighbours():
    head = fitted(examples_of(*graded_rows()))
    features = np.random.default_rng(3).normal(size=(40, 5))
    alone = np.concatenate([head.scores(features[i : i + 1]) for i in range(40)])
    assert (alone == head.scores(features)).all()


def test_held_out_rows_are_ranked():
    head = fitted(examples_of(*graded_rows()))
    features, grades = graded_rows(seed=9)
    assert spearman(head.scores(features), grades) > 0.75


def test_a_head_survives_its_file(tmp_path):
    head = fitted(examples_of(*graded_rows()))
    path = tmp_path / "complexity.safetensors"
    path.write_bytes(head.to_bytes())
    loaded, digest = load_head(path)
    assert isinstance(loaded, OrdinalHead)
    assert loaded.to_bytes() == head.to_bytes()
    assert len(digest) == 64


def test_folds_keep_only_pairs_whose_rows_stay():
    features, grades = graded_rows(n=10)
    examples = examples_of(features, grades, pairs=[(0, 1), (2, 9), (8, 9)])
    rows = np.array([True] * 9 + [False])
    part = examples.of(rows)
    assert part.pairs.tolist() == [[0, 1]]
    rows[:] = True
    rows[3] = False
    assert examples.of(rows).pairs.tolist() == [[0, 1], [2, 8], [7, 8]]
