"""One pass for scores and embeddings: what was embedded on the way is not embedded again, and nothing else is."""

import numpy as np
import pytest

from deita_assets.engines import cover as engine
from deita_assets.engines.cover import EmbedStep, cover_source
from deita_assets.engines.joint import JointStep
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer, Study


class StoppedError(Exception):
    pass


TOOL_CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def single(n):
    return {"messages": [message("user", f"question {n}"), message("assistant", f"answer {n}")]}


def several(n):
    turn = single(n)["messages"]
    return {"messages": [*turn, message("user", "and then?"), message("assistant", f"so {n}")]}


def with_system(n):
    return {"messages": [message("system", "be brief"), *single(n)["messages"]]}


def calling(n):
    return {"messages": [message("user", f"call {n}"), message("assistant", "yes", tool_calls=[TOOL_CALL])]}


class EmbeddingScorer(FakeScorer):
    """Embeds the joint text of a turn with the same fake as the embedder, whose table is the first message's text."""

    def __init__(self, embedder, **options):
        super().__init__("quality", **options)
        self.embedder = embedder

    def score_and_embed(self, turns):
        scores, statuses = self.score_turns(turns)
        vectors = {
            at: self.embedder._vector(turn[0]) for at, turn in enumerate(turns) if statuses[at] == "ok"
        }
        return scores, statuses, vectors


@pytest.fixture
def study(warehouse, land):
    return Study(warehouse, land)


def joint_step(study, embedder, **options):
    table = EmbeddingTable(study.home, embedder.fingerprint.digest, embedder.dimension)
    return JointStep(study.home, EmbeddingScorer(embedder, **options), table)


def cover(study, step, **options):
    return cover_source(study.warehouse, step, "chat", **options)


def embedded(calls):
    return sorted(text for call in calls for text in call)


def test_single_turn_conversations_are_embedded_by_the_scorer_and_the_others_later(study):
    rows = [*map(single, range(5)), *map(several, range(5, 8)), with_system(20), calling(30)]
    study.ingest("chat", rows)
    embedder = FakeEmbedder()
    step = joint_step(study, embedder)
    cover(study, step)
    assert step.n_embedded == 5
    assert embedder.calls == []
    cover(study, EmbedStep(study.home, embedder))
    assert embedded(embedder.calls) == sorted(
        ["question 5", "question 6", "question 7", "be brief", "call 30"]
    )


def test_the_vectors_are_those_that_the_embedder_would_have_given(study):
    study.ingest("chat", map(single, range(6)))
    embedder = FakeEmbedder()
    cover(study, joint_step(study, embedder))
    keys = sorted(EmbeddingTable(study.home, embedder.fingerprint.digest, 4).contents())
    held, found = EmbeddingTable(study.home, embedder.fingerprint.digest, 4).load(keys)
    assert len(keys) == 6 and found.all()
    expected = {tuple(np.float16(embedder._vector(f"question {n}"))) for n in range(6)}
    assert {tuple(vector) for vector in held} == expected


def test_a_turn_without_a_score_brings_no_vector(study):
    study.ingest("chat", map(single, range(4)))
    embedder = FakeEmbedder()
    step = joint_step(study, embedder, statuses={"question 2": "non_finite"})
    cover(study, step)
    assert step.n_embedded == 3


def test_a_useless_vector_is_not_stored(study):
    study.ingest("chat", map(single, range(3)))
    embedder = FakeEmbedder(
        table={f"question {n}": np.zeros(4) if n == 1 else np.ones(4) / 2 for n in range(3)}
    )
    step = joint_step(study, embedder)
    cover(study, step)
    assert step.n_embedded == 2


@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_a_kill_leaves_is_taken_up(study, monkeypatch, after):
    monkeypatch.setattr(engine, "_FIRST_BATCH", 2)
    monkeypatch.setattr(engine, "_next_batch", lambda size, seconds: 2)
    study.ingest("chat", map(single, range(8)))
    embedder = FakeEmbedder()
    commits = []

    def stop(point):
        commits.append(point)
        if len(commits) == after:
            raise StoppedError

    with pytest.raises(StoppedError):
        cover(study, joint_step(study, embedder), hook=stop)
    done = cover(study, joint_step(study, embedder))
    assert (done.n_resumed, done.n_computed) == (2 * after, 8 - 2 * after)
    cover(study, EmbedStep(study.home, embedder))
    assert embedder.calls == []
    assert len(ScoreTable(study.home).prompts("quality", joint_step(study, embedder).fingerprint.digest)) == 8
