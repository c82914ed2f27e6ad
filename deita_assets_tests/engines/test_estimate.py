"""What is left, and what it will take: against the cost of every row, added up by a definition of its own."""

import random

import numpy as np
import pytest

from deita_assets.core.fingerprint import Fingerprint
from deita_assets.engines import estimate as engine
from deita_assets.engines import trial
from deita_assets.engines.cover import EmbedStep, ScoreStep
from deita_assets.engines.estimate import estimate_in_child, estimate_step, given_contents
from deita_assets.engines.joint import JointStep
from deita_assets.errors import DeitaError
from deita_assets.stores.vectors import EmbeddingTable, audit_tables
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer, Study
from deita_assets_tests.engines.scopes import chat

LOAD_S = 7.0


class TimedScorer(FakeScorer):
    """Costs what `cost` says of the tokens of a row, and `LOAD_S` at first; a token is three characters."""

    window = 100

    def __init__(self, clock, cost=lambda tokens: 0.0, **spec):
        super().__init__("complexity")
        self.fingerprint = Fingerprint("scorer", "timed", spec)
        self.clock, self.cost, self.loaded = clock, cost, False

    def count_tokens(self, turns):
        return [len(instruction) // 3 for instruction, _ in turns]

    def score_turns(self, turns):
        self.clock[0] += 0.0 if self.loaded else LOAD_S
        self.loaded = True
        self.clock[0] += sum(self.cost(tokens) for tokens in self.count_tokens(turns))
        return super().score_turns(turns)


@pytest.fixture
def clock(monkeypatch):
    """Time passes only where a model works."""
    now = [0.0]
    for module in (engine, trial):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def study(warehouse, land):
    made = Study(warehouse, land)
    made.ingest("s", [chat("x" * n) for n in range(1, 61)])
    made.ingest("t", [chat("x" * n) for n in range(51, 71)])
    return made


@pytest.fixture
def long_tail(warehouse, land):
    """3,000 rows as real pools have them: most of them short, a few very long; and their lengths."""
    drawn = random.Random(0)
    lengths = [min(20_000, int(drawn.lognormvariate(5, 1.2)) + 8) for _ in range(2_999)]
    lengths = [*lengths, 90_000]
    made = Study(warehouse, land)
    made.ingest("s", [chat(f"{at:06d} " + "x" * (n - 7)) for at, n in enumerate(lengths)])
    return made, lengths


def work(found):
    """Seconds beside starting processes and committing."""
    return found.seconds - found.start_seconds - engine._commits(found.n_left, 0) * engine.COMMIT_COST_S


def test_what_is_left_is_counted_once_across_sources(study):
    step = ScoreStep(study.home, study.complexity)
    found = estimate_step(study.warehouse, step, ["s", "t"])
    assert (found.step, found.fingerprint) == ("complexity", study.complexity.fingerprint.digest)
    assert (found.n_wanted, found.n_left, found.chars_left) == (70, 70, sum(range(1, 71)))
    study.score("s", study.complexity)
    found = estimate_step(study.warehouse, step, ["s", "t"])
    assert (found.n_wanted, found.n_left, found.chars_left) == (70, 10, sum(range(61, 71)))
    study.score("t", study.complexity)
    found = estimate_step(study.warehouse, step, ["s", "t"])
    assert (found.n_left, found.chars_left, found.seconds, found.disk_bytes) == (0, 0, 0.0, 0)


def test_nothing_is_stored(study):
    for step in (ScoreStep(study.home, study.quality), EmbedStep(study.home, study.embedder)):
        estimate_step(study.warehouse, step, ["s", "t"])
    assert {audit.n_rows for audit in audit_tables(study.home)} == {0}
    assert study.query("select count(*) from store.coverage") == [(0,)]


@pytest.mark.parametrize(
    ("cost", "window", "cut"),
    [
        (lambda tokens: 0.001 * tokens, 100, False),
        (lambda tokens: 0.5, 100, False),
        (lambda tokens: 0.2 + 0.002 * tokens, 100, False),
        (lambda tokens: 0.001 * min(tokens, 100), 100, True),
        (lambda tokens: 0.001 * min(tokens, 2_000) + 1e-6 * min(tokens, 2_000) ** 2, 2_000, True),
    ],
    ids=["by tokens", "by rows", "by both", "cut at the window", "attention within a window"],
)
def test_time_tokens_and_share_are_those_of_the_whole_pool(long_tail, clock, cost, window, cut):
    """Though one row in 3,000 holds nearly a tenth of all text."""
    study, lengths = long_tail
    scorer = TimedScorer(clock, cost, **({"truncation": "middle"} if cut else {}))
    scorer.window = window
    found = estimate_step(study.warehouse, ScoreStep(study.home, scorer), ["s"])
    tokens = [n // 3 for n in lengths]
    assert work(found) == pytest.approx(sum(map(cost, tokens)), rel=0.06)
    assert found.tokens_left == pytest.approx(sum(min(n, window) if cut else n for n in tokens), rel=0.02)
    assert found.share_over_window == pytest.approx(np.mean(np.array(tokens) > window), rel=0.1)
    assert found.start_seconds == pytest.approx(LOAD_S, abs=0.6)


def test_a_slow_model_computes_twenty_rows_and_a_fast_one_more(long_tail, clock):
    study, lengths = long_tail
    for cost, computed in ((1.0, [20]), (0.1, [20, 80]), (1e-6, [20, 80, 320, 1280])):
        scorer = TimedScorer(clock, lambda tokens, cost=cost: cost)
        estimate_step(study.warehouse, ScoreStep(study.home, scorer), ["s"])
        first, *calls = [len(call) for call in scorer.calls]
        assert first == 1
        found = [sum(calls[at : at + trial.STRATA]) for at in range(0, len(calls), trial.STRATA)]
        # The parts of the longest texts have fewer rows than are asked for in the end.
        assert found[: len(computed)] == pytest.approx(computed, rel=0.3)
        assert len(found) == len(computed) + (cost == 1e-6)


def test_a_trial_reads_short_and_long_texts_alike(study, clock):
    scorer = TimedScorer(clock, lambda tokens: 1.0)
    estimate_step(study.warehouse, ScoreStep(study.home, scorer), ["s", "t"])
    lengths = sorted(len(ask) for call in scorer.calls[1:] for ask, _ in call)
    assert len(lengths) == trial.TRIAL_ROWS
    assert lengths[0] <= 10
    assert lengths[-1] >= 67


def test_every_source_starts_a_process(study, clock):
    step = ScoreStep(study.home, TimedScorer(clock))
    one = estimate_step(study.warehouse, step, ["t"], before_s=1.0)
    assert one.start_seconds == LOAD_S + 1
    assert one.seconds == pytest.approx(LOAD_S + 1, abs=0.5)
    step = ScoreStep(study.home, TimedScorer(clock))
    both = estimate_step(study.warehouse, step, ["s", "t"], before_s=1.0)
    assert both.seconds == pytest.approx(2 * (LOAD_S + 1), abs=0.5)


def test_a_model_without_tokens_is_timed_by_characters(study):
    found = estimate_step(study.warehouse, ScoreStep(study.home, study.complexity), ["t"])
    assert (found.tokens_left, found.share_over_window) == (None, None)
    embedding = estimate_step(study.warehouse, EmbedStep(study.home, study.embedder), ["t"])
    assert (embedding.tokens_left, embedding.share_over_window) == (sum(range(51, 71)), 1.0)
    study.embedder.window = 60
    again = estimate_step(study.warehouse, EmbedStep(study.home, study.embedder), ["t"])
    assert again.share_over_window == 0.5


def test_a_trial_of_few_rows_takes_them_all(study):
    study.score("s", study.complexity)
    estimate_step(study.warehouse, ScoreStep(study.home, study.complexity), ["t"])
    tried = {len(ask) for call in study.complexity.calls[-trial.STRATA :] for ask, _ in call}
    assert tried == set(range(61, 71))


@pytest.mark.parametrize("kind", ["scores", "vectors"])
def test_the_tables_grow_as_was_said(study, kind):
    rows = [chat(f"question {n} " + "x" * (n % 90)) for n in range(1_500)]
    study.ingest("u", rows)
    embedder = FakeEmbedder(384)
    step = ScoreStep(study.home, study.quality) if kind == "scores" else EmbedStep(study.home, embedder)
    found = estimate_step(study.warehouse, step, ["u"])
    before = size(study.home.lance)
    if kind == "scores":
        study.score("u", study.quality)
    else:
        study.embed("u", embedder)
    assert found.disk_bytes == pytest.approx(size(study.home.lance) - before, rel=0.3)


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class EmbeddingScorer(FakeScorer):
    """Gives vectors too, as a scorer over an encoder does."""

    def score_and_embed(self, turns):
        return (*self.score_turns(turns), {})


def test_what_the_quality_scores_give_is_not_computed_again(study, clock):
    turn = [{"role": "user", "content": "again?"}, {"role": "assistant", "content": "yes"}]
    several = [{"messages": [*chat("x" * n)["messages"], *turn]} for n in range(1, 6)]
    study.ingest("u", [*(chat("y" * n) for n in range(1, 11)), *several])
    table = EmbeddingTable(study.home, study.embedder.fingerprint.digest, study.embedder.dimension)
    quality = JointStep(study.home, EmbeddingScorer("quality"), table)
    given = given_contents(study.warehouse, quality, ["u"])
    step = EmbedStep(study.home, study.embedder)
    found = estimate_step(study.warehouse, step, ["u"], given=given)
    assert (found.n_wanted, found.n_left, found.n_given) == (15, 15, 10)
    assert found.tokens_left == sum(range(1, 6))
    assert found.disk_bytes > 15 * step.result_bytes
    assert given_contents(study.warehouse, ScoreStep(study.home, study.quality), ["u"]) == set()
    everything = estimate_step(study.warehouse, step, ["u"], given={*given, *step_keys(study)})
    assert (everything.n_left, everything.n_given, everything.seconds) == (15, 15, 0.0)
    # Vectors are committed to a table of their own.
    alone = estimate_step(study.warehouse, ScoreStep(study.home, study.quality), ["u"])
    joint = estimate_step(study.warehouse, quality, ["u"])
    rows = joint.n_left * quality.result_bytes
    assert joint.disk_bytes - rows == 2 * (alone.disk_bytes - rows)


def step_keys(study):
    return {key for (key,) in study.query("select content_sha256 from store.conversation where source = 'u'")}


def test_in_a_process_of_its_own_the_start_is_measured_and_errors_keep_their_cure(study):
    settings = study.home.root / "deita.toml"
    settings.write_text('[scorer]\nname = "heuristic"\n', encoding="utf-8")
    found = estimate_in_child(study.home, "complexity", ["s", "t"])
    assert (found.step, found.n_left) == ("complexity", 70)
    assert found.seconds > 2 * found.start_seconds > 0.1
    settings.write_text(
        '[scorer]\nname = "deita"\ncomplexity_model = "/nowhere"\nquality_model = "/nowhere"\n',
        encoding="utf-8",
    )
    with pytest.raises(DeitaError, match="/nowhere") as refused:
        estimate_in_child(study.home, "complexity", ["s"])
    assert refused.value.cure
