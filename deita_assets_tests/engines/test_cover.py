"""Covering a pool: everything that is wanted gets its result once, and what was done is not done again."""

from itertools import chain

import numpy as np
import pytest

from deita_assets.core.fingerprint import Fingerprint
from deita_assets.engines import cover as engine
from deita_assets.engines.cover import EmbedStep, ScoreStep, cover_source
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.errors import EmbedderError, LockTimeoutError, NotFoundError, ScorerError
from deita_assets.stores import scored
from deita_assets.stores.lock import file_lock
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable, audit_tables
from deita_assets_tests import crashes
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer, Study, hash_score


@pytest.fixture
def study(warehouse, land):
    return Study(warehouse, land)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(engine, "_FIRST_BATCH", 4)
    monkeypatch.setattr(engine, "_next_batch", lambda size, seconds: 4)
    monkeypatch.setattr(engine, "FETCH_KEYS", 8)


def chat(*texts):
    """A conversation of user and assistant in turns."""
    roles = ("user", "assistant") * len(texts)
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]}


def chats(numbers):
    return [chat(f"question {n}" + "!" * (n % 7), f"answer {n}") for n in numbers]


def stored_scores(study, scorer):
    results = ScoreTable(study.home).results(scorer.measure, scorer.fingerprint.digest)
    return dict(zip(results["prompt_sha256"].to_pylist(), results["score"].to_pylist(), strict=True))


def no_doubled_keys(home):
    return all(audit.n_rows == audit.n_keys for audit in audit_tables(home))


def coverage(study, source, step):
    with study.warehouse.read("test") as con:
        return scored.coverage(con, source, step)


def attempts(study):
    return study.query("select step, source, error from store.scoring_attempt")


def test_every_prompt_gets_its_score_once(study, small_batches):
    """Turns of one conversation, repeated instructions and repeated turns."""
    rows = [
        *chats(range(25)),
        chat("question 1!", "other", "again", "yes", "again", "yes"),
        chat("again", "no"),
    ]
    study.ingest("s", rows)
    for scorer in (study.complexity, study.quality):
        covered = study.score("s", scorer)
        asked = list(chain.from_iterable(scorer.calls))
        column = f"{scorer.measure}_prompt_sha256"
        turns = study.query(f"select {column}, instruction, response from store.turn")
        expected = {key: hash_score(scorer.measure, ask, reply) for key, ask, reply in turns}
        assert stored_scores(study, scorer) == expected
        assert len(asked) == len(expected) == covered.n_wanted == covered.n_computed
        assert covered.statuses == {"ok": len(expected)}
        assert max(map(len, scorer.calls)) == 4
    assert len(stored_scores(study, study.complexity)) < len(stored_scores(study, study.quality))
    assert no_doubled_keys(study.home)


def test_every_conversation_gets_its_vector_once(study, small_batches):
    study.ingest("s", chats(range(13)))
    covered = study.embed("s")
    assert (covered.n_wanted, covered.n_computed, covered.n_resumed) == (13, 13, 0)
    contents = [content for (content,) in study.query("select content_sha256 from store.conversation")]
    vectors, found = EmbeddingTable(study.home, study.embedder.fingerprint.digest).load(contents)
    assert found.all()
    texts = [f"question {n}" + "!" * (n % 7) for n in range(13)]
    expected = np.array([FakeEmbedder()._vector(text) for text in texts]).astype(np.float16)
    assert sorted(vectors.tolist()) == sorted(expected.tolist())


def test_long_texts_come_first(study, small_batches):
    study.ingest("s", chats(range(20)))
    study.score("s", study.complexity)
    lengths = [len(ask) for ask, _ in chain.from_iterable(study.complexity.calls)]
    assert lengths == sorted(lengths, reverse=True)


def test_covering_again_computes_nothing(study):
    study.ingest("s", chats(range(8)))
    first = study.score("s", study.complexity)
    study.complexity.calls.clear()
    second = study.score("s", study.complexity)
    assert study.complexity.calls == []
    assert (second.n_wanted, second.n_resumed, second.n_computed, second.statuses) == (8, 8, 0, {})
    assert second.keys_digest == first.keys_digest


def test_new_rows_alone_are_computed(study):
    study.ingest("s", chats(range(8)))
    study.score("s", study.quality)
    study.quality.calls.clear()
    version = study.ingest("s", chats(range(10))).pool_version
    assert coverage(study, "s", "quality").pool_version != version
    covered = study.score("s", study.quality)
    assert sorted(chain.from_iterable(study.quality.calls)) == [
        ("question 8!", "answer 8"),
        ("question 9!!", "answer 9"),
    ]
    assert (covered.n_resumed, covered.n_computed) == (8, 2)
    assert coverage(study, "s", "quality").pool_version == version


def test_equal_prompts_of_other_sources_are_not_computed_again(study):
    study.ingest("s", chats(range(8)))
    study.ingest("t", [*chats(range(4, 10)), chat("question 0", "another answer")])
    study.cover("s")
    for model in (study.complexity, study.quality, study.embedder):
        model.calls.clear()
    complexity, quality, embedding = study.cover("t")
    assert (complexity.n_wanted, complexity.n_computed) == (7, 2)
    assert (quality.n_wanted, quality.n_computed) == (7, 3)
    assert (embedding.n_wanted, embedding.n_computed) == (7, 3)
    assert len(list(chain.from_iterable(study.complexity.calls))) == 2


def test_another_fingerprint_starts_over(study):
    study.ingest("s", chats(range(5)))
    study.score("s", study.complexity)
    other = FakeScorer(
        "complexity", version=2, table={f"question {n}" + "!" * (n % 7): 2.0 for n in range(5)}
    )
    assert study.score("s", other).n_computed == 5
    assert set(stored_scores(study, other).values()) == {2.0}
    assert len(set(stored_scores(study, study.complexity).values())) == 5
    assert coverage(study, "s", "complexity").fingerprint == other.fingerprint.digest


def test_a_source_whose_rows_all_left(study):
    study.ingest("s", chats(range(3)))
    study.land("s", "a.jsonl", b"nonsense\n")
    report = ingest_source(study.warehouse, "s", SourceReading(accept_removals=True))
    assert report.n_pool == 0
    for covered in study.cover("s"):
        assert (covered.n_wanted, covered.n_computed) == (0, 0)
    assert study.complexity.calls == []
    assert coverage(study, "s", "embedding").pool_version == report.pool_version


def test_an_unknown_source(study):
    with pytest.raises(NotFoundError, match="'nobody' has no pool yet"):
        study.score("nobody", study.complexity)
    with pytest.raises(NotFoundError, match="complexity_scores yet"):
        coverage(study, "nobody", "complexity")


def test_a_crash_in_the_middle_keeps_what_was_committed(study, small_batches):
    study.ingest("s", chats(range(22)))
    breaks_down = FakeScorer("complexity", fail_at=3)
    with pytest.raises(MemoryError):
        study.score("s", breaks_down)
    assert len(stored_scores(study, breaks_down)) == 12
    with pytest.raises(NotFoundError):
        coverage(study, "s", "complexity")
    assert attempts(study) == [("complexity", "s", "MemoryError: no room for another batch")]

    done = set(chain.from_iterable(breaks_down.calls))
    covered = study.score("s", study.complexity)
    assert (covered.n_resumed, covered.n_computed) == (12, 10)
    assert done.isdisjoint(chain.from_iterable(study.complexity.calls))
    assert coverage(study, "s", "complexity").fingerprint == breaks_down.fingerprint.digest
    assert no_doubled_keys(study.home)


def test_results_that_are_no_scores_are_kept_as_results(study):
    study.ingest("s", [chat("long", "x"), chat("fine", "y"), chat("cut", "z")])
    scorer = FakeScorer("quality", statuses={"long": "too_long", "cut": "truncated"})
    assert study.score("s", scorer).statuses == {"ok": 1, "too_long": 1, "truncated": 1}
    assert sum(score is None for score in stored_scores(study, scorer).values()) == 1
    assert study.score("s", scorer).n_computed == 0


class Lossy(FakeScorer):
    """Breaks its contract in one way or another."""

    def __init__(self, how):
        super().__init__("complexity")
        self.how = how

    def score_turns(self, turns):
        scores, statuses = super().score_turns(turns)
        if self.how == "short":
            return scores[1:], statuses[1:]
        if self.how == "long":
            return np.append(scores, 1.0), [*statuses, "ok"]
        if self.how == "column":
            return scores[:, None], statuses
        scores[0] = np.nan if self.how == "ok without score" else 3.0
        return scores, (["ok"] if self.how == "ok without score" else ["too_long"]) * len(turns)


@pytest.mark.parametrize("how", ["short", "long", "column", "ok without score", "score without ok"])
def test_a_scorer_that_breaks_its_contract_stores_nothing(study, small_batches, how):
    study.ingest("s", chats(range(5)))
    with pytest.raises(ScorerError, match="complexity scorer gave"):
        study.score("s", Lossy(how))
    assert stored_scores(study, study.complexity) == {}


def test_an_embedder_that_breaks_its_contract_stores_nothing(study, small_batches):
    study.ingest("s", chats(range(5)))
    for wrong in (lambda vectors: vectors[1:], lambda vectors: vectors[:, :2], lambda vectors: vectors[0]):
        embedder = FakeEmbedder()
        real = embedder.embed
        embedder.embed = lambda conversations, real=real, wrong=wrong: wrong(real(conversations))
        with pytest.raises(EmbedderError, match=r"for 4 conversations, expected \(4, 4\)"):
            study.embed("s", embedder)
    assert EmbeddingTable(study.home, embedder.fingerprint.digest).contents() == set()


def test_vectors_without_direction_are_counted_and_not_stored(study):
    rows = [chat(text, "x") for text in ("zero", "nan", "inf", "tiny", "fine")]
    vectors = {"zero": [0, 0], "nan": [np.nan, 1], "inf": [np.inf, 0], "tiny": [1e-9, 0], "fine": [1, 0]}
    study.ingest("s", rows)
    covered = study.embed("s", FakeEmbedder(2, vectors))
    assert covered.statuses == {"ok": 1, "non_finite": 4}
    assert len(EmbeddingTable(study.home, covered.fingerprint).contents()) == 1
    assert coverage(study, "s", "embedding").pool_version == covered.pool_version


def test_progress_counts_rows_and_characters(study, small_batches):
    study.ingest("s", chats(range(10)))
    shown = []
    covered = study.score(
        "s", study.complexity, show=lambda now: shown.append((now.rows, now.weight)), every_s=0
    )
    total = sum(len(f"question {n}" + "!" * (n % 7)) for n in range(10))
    assert [rows for rows, _ in shown] == [4, 8, 10]
    assert shown[-1][1] == total
    assert covered.n_tokens is None


class CountingScorer(FakeScorer):
    """One token a character of the instruction."""

    window = 12

    def __init__(self, **spec):
        super().__init__("complexity")
        self.fingerprint = Fingerprint("scorer", "counting", spec)

    def count_tokens(self, turns):
        return [len(instruction) for instruction, _ in turns]


@pytest.mark.parametrize(
    ("beyond_the_window", "read"),
    [
        ({}, sum), ({"window_policy": {"most": 1000}}, sum), ({"truncation": None}, sum),
        ({"truncation": "middle"}, lambda lengths: sum(min(n, 12) for n in lengths)),
        ({"window_policy": {"truncation": "right"}}, lambda lengths: sum(min(n, 12) for n in lengths)),
        ({"window_policy": {"most": 2}}, lambda lengths: sum(min(n, 24) for n in lengths)),
    ],
)  # fmt: skip
def test_the_last_numbers_are_those_of_the_whole_run(study, beyond_the_window, read):
    """Without a line in between; what a model reads beyond its window, its fingerprint says."""
    rows = [*chats(range(40)), chat("a long question " * 3, "yes")]
    study.ingest("s", rows)
    lengths = [len(row["messages"][0]["content"]) for row in rows]
    scorer, shown = CountingScorer(**beyond_the_window), []
    covered = study.score("s", scorer, show=shown.append)
    (last,) = shown
    assert (last.rows, last.total_rows, last.weight) == (41, 41, last.total_weight)
    assert last.tokens == covered.n_tokens == read(lengths)
    assert covered.seconds == last.seconds
    assert study.score("s", scorer, show=shown.append).n_tokens is None
    assert len(shown) == 1


def test_tokens_of_conversations_are_counted_too(study):
    study.ingest("s", chats(range(40)))
    assert study.embed("s").n_tokens == sum(len(f"question {n}" + "!" * (n % 7)) for n in range(40))


def test_the_longest_text_goes_alone_and_batches_grow_from_there(study, monkeypatch):
    """On a CPU one prompt of a large model takes minutes, and what is not committed is lost in a kill."""
    monkeypatch.setattr(engine, "monotonic", lambda: 0.0)
    study.ingest("s", chats(range(40)))
    study.score("s", study.complexity)
    assert [len(call) for call in study.complexity.calls] == [1, 4, 16, 19]


def test_batches_grow_towards_the_commit_time_and_shrink_again():
    assert engine._next_batch(16, 0.0) == 64
    assert engine._next_batch(1000, 0.1) == engine.FETCH_KEYS
    assert engine._next_batch(64, 16.0) == 17
    assert engine._next_batch(1, 1000.0) == 1
    assert engine._next_batch(64, 4.0) == 65


def test_a_second_run_waits_for_the_first_and_finds_its_results(study, small_batches):
    """One (measure, fingerprint) is computed by one process at a time."""
    study.ingest("s", chats(range(8)))
    inside = []

    class Nosy(FakeScorer):
        def score_turns(self, turns):
            lock = study.home.locks / f"complexity-{self.fingerprint.digest}.lock"
            with pytest.raises(LockTimeoutError), file_lock(lock, "me too", deadline_s=0):
                pass
            inside.append(len(turns))
            return super().score_turns(turns)

    study.score("s", Nosy("complexity"))
    assert inside == [4, 4]


def test_a_run_that_had_to_wait_does_not_repeat_what_it_waited_for(study):
    """Its model and table were open long before it got the lock."""
    study.ingest("s", chats(range(8)))
    waiting = ScoreStep(study.home, FakeScorer("quality")), EmbedStep(study.home, FakeEmbedder())
    study.cover("s")
    for step in waiting:
        covered = cover_source(study.warehouse, step, "s")
        assert (covered.n_resumed, covered.n_computed) == (8, 0)


def test_killed_in_the_middle_nothing_committed_is_computed_again(study):
    commits = 2
    study.ingest("s", chats(range(30)))
    assert crashes.run(crashes.cover, study.home, "quality", "s", commits) == crashes.KILLED
    assert len(stored_scores(study, study.quality)) == 8 * commits
    with pytest.raises(NotFoundError):
        coverage(study, "s", "quality")
    covered = study.score("s", study.quality)
    assert (covered.n_resumed, covered.n_computed) == (8 * commits, 30 - 8 * commits)
    assert len(list(chain.from_iterable(study.quality.calls))) == covered.n_computed
    assert len(stored_scores(study, study.quality)) == 30
    assert no_doubled_keys(study.home)


def test_computing_alone_stores_nothing(study):
    study.ingest("s", chats(range(3)))
    score, embed = ScoreStep(study.home, study.complexity), EmbedStep(study.home, study.embedder)
    scores, statuses = score.compute([("question", "")])
    assert (scores.tolist(), statuses) == ([hash_score("complexity", "question", "")], ["ok"])
    ((text,),) = study.query("select conversation from store.conversation limit 1")
    assert embed.compute([(text, "")]).shape == (1, 4)
    assert score.present() == embed.present() == set()


def test_coverage_is_of_the_pool_that_was_read(study, small_batches):
    """A row that comes while a step runs is not called covered."""
    first = study.ingest("s", chats(range(8)))
    seen = []

    def hook(point):
        if not seen:
            seen.append(point)
            study.ingest("s", chats(range(9)))

    cover_source(study.warehouse, ScoreStep(study.home, study.complexity), "s", hook=hook)
    assert coverage(study, "s", "complexity").pool_version == first.pool_version
    assert study.score("s", study.complexity).n_computed == 1
