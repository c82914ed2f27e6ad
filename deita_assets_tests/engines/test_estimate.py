import pytest

from deita_assets.engines import estimate as engine
from deita_assets.engines.cover import EmbedStep, ScoreStep
from deita_assets.engines.estimate import estimate_step
from deita_assets.stores.vectors import audit_tables
from deita_assets_tests.engines.fakes import Study
from deita_assets_tests.engines.scopes import chat


@pytest.fixture
def study(warehouse, land):
    made = Study(warehouse, land)
    made.ingest("s", [chat("x" * n) for n in range(1, 61)])
    made.ingest("t", [chat("x" * n) for n in range(51, 71)])
    return made


def test_what_is_left_is_counted_once_across_sources(study):
    step = ScoreStep(study.home, study.complexity)
    found = estimate_step(study.warehouse, step, ["s", "t"])
    assert (found.step, found.fingerprint) == ("complexity", study.complexity.fingerprint.digest)
    assert (found.n_wanted, found.n_left, found.chars_left) == (70, 70, sum(range(1, 71)))
    study.score("s", study.complexity)
    found = estimate_step(study.warehouse, step, ["s", "t"])
    assert (found.n_wanted, found.n_left, found.chars_left) == (70, 10, sum(range(61, 71)))
    assert found.disk_bytes == 10 * step.result_bytes > 0
    study.score("t", study.complexity)
    found = estimate_step(study.warehouse, step, ["s", "t"])
    assert (found.n_left, found.chars_left, found.seconds, found.disk_bytes) == (0, 0, 0.0, 0)


def test_nothing_is_stored(study):
    for step in (ScoreStep(study.home, study.quality), EmbedStep(study.home, study.embedder)):
        estimate_step(study.warehouse, step, ["s", "t"])
    assert {audit.n_rows for audit in audit_tables(study.home)} == {0}
    assert study.query("select count(*) from store.coverage") == [(0,)]


def test_the_trial_is_spread_over_the_lengths_and_scaled_by_them(study, monkeypatch):
    ticks = iter([0.0, 2.0])
    monkeypatch.setattr(engine, "monotonic", lambda: next(ticks))
    found = estimate_step(study.warehouse, ScoreStep(study.home, study.complexity), ["s", "t"])
    lengths = sorted(len(ask) for ask, _ in study.complexity.calls[-1])
    assert len(lengths) == engine.TRIAL_ROWS
    assert lengths[0] <= 4
    assert lengths[-1] >= 67
    assert abs(sum(lengths) / len(lengths) - 35.5) < 1
    assert found.seconds == pytest.approx(2.0 * sum(range(1, 71)) / sum(lengths))


def test_tokens_are_counted_on_the_trial_and_scaled(study):
    found = estimate_step(
        study.warehouse, EmbedStep(study.home, study.embedder), ["t"]
    )  # all 20 rows are tried
    assert found.tokens_left == sum(range(51, 71))
    assert found.share_over_window == 1.0
    study.embedder.window = 60
    assert (
        estimate_step(study.warehouse, EmbedStep(study.home, study.embedder), ["t"]).share_over_window == 0.5
    )
    found = estimate_step(study.warehouse, ScoreStep(study.home, study.complexity), ["t"])
    assert (found.tokens_left, found.share_over_window) == (None, None)


def test_a_trial_of_few_rows_takes_them_all(study):
    study.ingest("u", [chat("y" * n) for n in range(1, 31)])
    study.score("s", study.complexity)
    estimate_step(study.warehouse, ScoreStep(study.home, study.complexity), ["t"])
    assert sorted(len(ask) for ask, _ in study.complexity.calls[-1]) == list(range(61, 71))
    estimate_step(study.warehouse, ScoreStep(study.home, study.complexity), ["u"])
    lengths = [len(ask) for ask, _ in study.complexity.calls[-1]]
    assert (len(set(lengths)), max(lengths) >= 29) == (engine.TRIAL_ROWS, True)
