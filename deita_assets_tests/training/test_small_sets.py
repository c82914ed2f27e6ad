"""Graded sets that lack something: what can be learnt is learnt, what cannot is refused in words."""

import numpy as np
import pytest

from deita_assets.errors import ScorerError, UsageError
from deita_assets.training import choose as choosing
from deita_assets.training import feature_files
from deita_assets.training.choose import choose
from deita_assets.training.examples import Featured, examples, featured, ladder_of
from deita_assets.training.feature_files import read_features, write_features
from deita_assets.training.fit import Options
from deita_assets.training.graded_set import GradedText, fold_of, split
from deita_assets.training.statistics import bootstrap, partial_spearman

NAMES = ("telling", "noise", "more_noise", "v0")
ANSWER = "Bread needs time. It needs little work. Mix it at night. Bake it hot in the morning, with steam."


@pytest.fixture(autouse=True)
def few_options(monkeypatch):
    monkeypatch.setattr(choosing, "grid", lambda families: [Options(1.0, {"counted": 0.03, "vector": 0.3})])


def graded(seed, grade, *, step=0, response=None):
    parent = f"{seed}.{step - 1}" if step else None
    return GradedText(
        f"{seed}.{step}", seed, parent, None, "d", "en", f"Ask {seed} {step}", response, (grade,), grade
    )


def with_features(measure, texts):
    """A set whose first feature follows the grade."""
    ladder = ladder_of(measure, texts, judged=False)
    features = np.random.default_rng(0).normal(size=(len(texts) + len(ladder), len(NAMES)))
    features[: len(texts), 0] += 3 * np.array([text.grade for text in texts])
    features[len(texts) :, 0] -= 6
    return Featured(measure, texts, ladder, features)


SETS = {
    "seeds without chains": ("complexity", [graded(f"s{n}", 1 + n % 6) for n in range(24)]),
    "one answer a question": ("quality", [graded(f"s{n}", 1 + n % 6, response=ANSWER) for n in range(24)]),
    "no good answer": ("quality", [graded(f"s{n}", 1 + n % 3, response=ANSWER) for n in range(24)]),
    "no good answer in groups": (
        "quality",
        [graded(f"s{n}", 1 + k, step=k, response=f"Word {k}.") for n in range(8) for k in range(3)],
    ),
    "equal answers": ("quality", [graded(f"s{n}", 3, step=k, response=ANSWER) for n in range(6) for k in (0, 1)]
                      + [graded("other", 2, response="No.")]),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_a_set_without_pairs_or_without_a_ladder_trains_on_what_it_has(name):
    set_ = with_features(*SETS[name])
    learnt = examples(set_)
    assert len(learnt.pairs) == len(learnt.pair_weights)
    chosen = choose(set_, NAMES)
    assert -1 <= chosen.criterion <= 1
    head = choosing.final_head(set_, chosen, NAMES, {"measure": set_.measure})
    assert np.isfinite(head.weights).all() and (np.diff(head.borders) > 0).all()
    assert head.weights[0] > 0.1


def test_pair_weights_add_up_to_one_with_and_without_a_ladder():
    texts = [
        graded(f"s{n}", 6 - 2 * k, step=k, response=ANSWER * (k + 1)) for n in range(8) for k in range(3)
    ]
    set_ = with_features("quality", texts)
    assert set_.ladder
    assert examples(set_).pair_weights.sum() == pytest.approx(1.0)
    set_ = with_features(*SETS["no good answer in groups"])
    assert not set_.ladder
    assert examples(set_).pair_weights.sum() == pytest.approx(1.0)


def test_one_grade_alone_and_one_fold_alone_are_refused():
    with pytest.raises(UsageError, match="two grades or more") as caught:
        choose(with_features("complexity", [graded(f"s{n}", 4) for n in range(24)]), NAMES)
    assert caught.value.cure
    near = [graded(f"s{n}", 1 + n % 6) for n in range(60) if fold_of(f"s{n}", choosing.N_FOLDS) == 0]
    with pytest.raises(UsageError, match="folds"):
        choose(with_features("complexity", near), NAMES)


@pytest.mark.parametrize("judged", [False, True])
def test_no_text_on_one_side_of_the_split_is_refused(judged):
    with pytest.raises(UsageError, match="judge with" if judged else "learn from") as caught:
        featured("complexity", [], None, judged=judged)
    assert "more seeds" in caught.value.cure


@pytest.fixture
def stored(tmp_path):
    """Features of a set on disk: (path, texts, learnt, held)."""
    texts = [graded(f"s{n}", 1 + n % 6, response=ANSWER) for n in range(30)]
    learnt, held = (with_features("quality", part) for part in split(texts))
    held = Featured("quality", held.texts, ladder_of("quality", held.texts, judged=True), held.features)
    path = tmp_path / "training" / "quality.features.safetensors"
    write_features(path, learnt, held)
    return path, texts, learnt, held


def test_features_survive_their_file_which_has_the_same_bytes_each_time(stored):
    path, texts, learnt, held = stored
    found = read_features(path, "quality", texts)
    for one, other in zip(found, (learnt, held), strict=True):
        assert (one.measure, list(one.texts), one.ladder) == (other.measure, list(other.texts), other.ladder)
        np.testing.assert_array_equal(one.features, other.features)
    contents = set()
    for _ in range(8):
        write_features(path, learnt, held)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_features_of_another_set_another_version_or_no_file_are_refused(stored, monkeypatch):
    path, texts, learnt, held = stored
    with pytest.raises(ScorerError, match="expected") as caught:
        read_features(path, "quality", [*texts[:-1], graded("s29", 1, response=ANSWER)])
    assert "graded_features again" in caught.value.cure
    monkeypatch.setattr(feature_files, "feature_versions", lambda: [99, 99, 99])
    with pytest.raises(ScorerError, match="99"):
        read_features(path, "quality", texts)
    for content in (b"", b"no features", path.read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(ScorerError, match="Materialise graded_features"):
            read_features(path, "quality", texts)
    path.unlink()
    with pytest.raises(ScorerError, match="no features"):
        read_features(path, "quality", texts)


def test_nothing_is_left_of_a_ranking_that_length_explains():
    length = [3, 1, 4, 1, 5, 9, 2, 6]
    other = [2, 7, 1, 8, 2, 8, 1, 8]
    assert np.isnan(partial_spearman(length, other, length))
    assert np.isnan(partial_spearman(other, length, [-n for n in length]))
    assert np.isnan(partial_spearman([1] * 8, other, length))
    assert np.isnan(partial_spearman(other, length, [1] * 8))
    nearly = [3, 1, 4, 1, 5, 9, 2, 6.5]
    assert np.isnan(partial_spearman(nearly, other, length))  # the same ranks
    assert np.isfinite(partial_spearman([*length[:-2], 6, 2], other, length))


@pytest.mark.filterwarnings("error")
def test_an_interval_leaves_out_resamples_that_give_no_number():
    values = np.array([0.0, 1.0, 2.0])

    def odd(at):
        return float("nan") if len(set(at.tolist())) < 3 else float(values[at].mean())

    found = bootstrap(odd, ["a", "b", "c"])
    assert (found.value, found.low, found.high, found.n) == (1.0, 1.0, 1.0, 3)
    nowhere = bootstrap(lambda at: float("nan"), ["a", "b"])
    assert np.isnan([nowhere.value, nowhere.low, nowhere.high]).all() and nowhere.n == 2


def test_groups_may_be_texts_of_any_length_and_differ_in_their_last_character():
    values = np.arange(400.0)
    short = bootstrap(lambda at: float(values[at].mean()), [f"{n:04d}" for n in range(400)])
    groups = [f"{n:04d}{'x' * (2_000_000 if n == 7 else 0)}" for n in range(400)]
    assert bootstrap(lambda at: float(values[at].mean()), groups) == short
    assert bootstrap(lambda at: float(at.max()), ["a", "a\0"]).low == 0.0
