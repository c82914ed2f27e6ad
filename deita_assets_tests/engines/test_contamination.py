"""Contaminated rows of a pool, by words and by vectors, against both definitions."""

import numpy as np
import pytest

from deita_assets.engines import contamination as engine
from deita_assets.engines.contamination import Contaminated, contaminated_rows, exclusion_versions
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.errors import NotFoundError, StoreError
from deita_assets.stores.vectors import EmbeddingTable
from deita_assets_tests.core.greedy_oracle import make_pool
from deita_assets_tests.engines.scopes import Scoped, chat

QUESTION = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
TAIL = QUESTION.split(" ", 1)[1]


@pytest.fixture
def scoped(warehouse, land):
    return Scoped(warehouse, land)


def by_text(scoped, found):
    names = dict(scoped.query("select sample_id, instruction from turns where turn = 0"))
    return {names[key]: (names[one.by], one.by.split(":")[0], one.reason) for key, one in found.items()}


def test_thirteen_words_in_a_row_contaminate(scoped):
    scoped.ingest("bench", [chat(QUESTION), chat("Write a poem!"), chat(f"x {TAIL} y")])
    later = {"messages": chat("hello")["messages"] + chat(QUESTION)["messages"]}
    shorter = [chat(TAIL.rsplit(" ", 2)[0]), chat("write a POEM"), chat("please write a poem")]
    scoped.ingest("a", [chat(QUESTION), chat(f"Please: {TAIL.upper()}?"), later, *shorter])
    scoped.ingest("other", [chat(QUESTION)])
    found = contaminated_rows(scoped.warehouse, ["a"], ["bench"])
    assert by_text(scoped, found) == {
        QUESTION: (QUESTION, "bench", "13-gram: 3 of 3 shared with bench"),
        "hello": (QUESTION, "bench", "13-gram: 3 of 3 shared with bench"),
        f"Please: {TAIL.upper()}?": (
            min(QUESTION, f"x {TAIL} y", key=lambda text: _id(scoped, "bench", text)),
            "bench",
            found[_id(scoped, "a", f"Please: {TAIL.upper()}?")].reason,
        ),
        "write a POEM": ("Write a poem!", "bench", "13-gram: all 3 words of an instruction of bench"),
    }
    assert all(one.similarity is None for one in found.values())
    assert found[_id(scoped, "a", f"Please: {TAIL.upper()}?")].reason in (
        "13-gram: 2 of 3 shared with bench", "13-gram: 2 of 4 shared with bench",
    )  # fmt: skip
    assert len(contaminated_rows(scoped.warehouse, ["a"], ["bench"], ngram=15)) == 3
    assert contaminated_rows(scoped.warehouse, ["a"], ["bench"], ngram=None) == {}
    assert contaminated_rows(scoped.warehouse, ["a"], []) == {}


def _id(scoped, source, text):
    query = "select t.sample_id from turns t semi join pool p on p.sample_id = t.sample_id and p.source = ? "
    ((found,),) = scoped.query(f"{query} where t.instruction = ?", source, text)
    return found


def test_of_equal_shares_the_first_set_is_named(scoped):
    for source in ("b", "c", "a"):
        scoped.ingest(source, [chat(QUESTION)])
    for order in (["b", "c"], ["c", "b"]):
        found = contaminated_rows(scoped.warehouse, ["a"], order)
        assert [one.by.split(":")[0] for one in found.values()] == [order[0]]


def test_questions_without_answers_exclude_too(scoped, land):
    land("bench", "q.jsonl", [{"turns": ["hm", QUESTION]}])
    ingest_source(scoped.warehouse, "bench", SourceReading(answers_required=False))
    scoped.ingest("a", [chat(QUESTION), chat("else")])
    found = contaminated_rows(scoped.warehouse, ["a"], ["bench"])
    assert [one.reason for one in found.values()] == ["13-gram: 3 of 3 shared with bench"]


@pytest.mark.parametrize("kind", ["spread", "lattice", "equal", "close"])
def test_vectors_above_the_cut_contaminate(scoped, kind, monkeypatch):
    """Greatest similarity over all exclusion rows, by hand in float64; ties to the first in (set, id) order."""
    monkeypatch.setattr(engine, "_VECTOR_ROWS", 17)
    monkeypatch.setattr(engine, "_BLOCK_ROWS", 7)
    vectors, _ = make_pool(kind, 60, 5, "float16", 3)
    names = [f"{kind} {n}" for n in range(60)]
    for source, part in (("x2", slice(0, 10)), ("x1", slice(10, 20)), ("a", slice(20, 60))):
        scoped.source(source, {n: (1.0, v) for n, v in zip(names[part], vectors[part], strict=True)})
    digest = scoped.embedder.fingerprint.digest
    questions = [row for source in ("x2", "x1") for row in sorted(scoped.candidates(source))]
    for cut in (0.3, 0.9, 1.0):
        found = contaminated_rows(
            scoped.warehouse, ["a"], ["x2", "x1"], ngram=None, similarity=cut, embedder_fp=digest
        )
        expected = {}
        for sample_id, *_, vector in scoped.candidates("a"):
            values = [_cosine(vector, question[4]) for question in questions]
            if max(values) > cut:
                expected[sample_id] = (questions[values.index(max(values))][0], max(values))
        assert {key: (one.by, one.similarity) for key, one in found.items()} == expected
        assert all(one.reason == f"cosine {one.similarity:.4f} > {cut:g}" for one in found.values())


def _cosine(x, y):
    x, y = np.float16(x).astype(float), np.float16(y).astype(float)
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))


def test_words_are_named_first_where_both_hold(scoped):
    scoped.source("bench", {QUESTION: (1.0, np.eye(5)[0])})
    scoped.source(
        "a", {QUESTION: (1.0, np.eye(5)[0]), "near": (1.0, np.eye(5)[0]), "far": (1.0, np.eye(5)[1])}
    )
    digest = scoped.embedder.fingerprint.digest
    found = contaminated_rows(scoped.warehouse, ["a"], ["bench"], similarity=0.9, embedder_fp=digest)
    assert by_text(scoped, found) == {
        QUESTION: (QUESTION, "bench", "13-gram: 3 of 3 shared with bench"),
        "near": (QUESTION, "bench", "cosine 1.0000 > 0.9"),
    }
    near = found[_id(scoped, "a", "near")]
    assert near == Contaminated(_id(scoped, "bench", QUESTION), 1.0, "cosine 1.0000 > 0.9")
    with pytest.raises(ValueError, match="embedder_fp"):
        contaminated_rows(scoped.warehouse, ["a"], ["bench"], similarity=0.9)


def test_rows_without_a_usable_vector_are_left_to_others(scoped):
    scoped.source("bench", {"q": (1.0, np.eye(5)[0])})
    scoped.source("a", {"zero": (1.0, np.zeros(5)), "near": (1.0, np.eye(5)[0])})
    digest = scoped.embedder.fingerprint.digest
    ((content,),) = scoped.query(
        "select content_sha256 from store.conversation where sample_id = ?", _id(scoped, "a", "zero")
    )
    EmbeddingTable(scoped.home, digest).insert([content], np.full((1, 5), np.inf))
    found = contaminated_rows(
        scoped.warehouse, ["a"], ["bench"], ngram=None, similarity=0.5, embedder_fp=digest
    )
    assert set(found) == {_id(scoped, "a", "near")}


def test_an_exclusion_row_without_a_vector_stops_the_pass(scoped):
    scoped.source("a", {"q": (1.0, np.eye(5)[0])})
    scoped.ingest("bench", [chat("r"), chat("s")])
    digest = scoped.embedder.fingerprint.digest
    with pytest.raises(
        StoreError, match="2 rows of exclusion set bench have no vector in embeddings_"
    ) as error:
        contaminated_rows(scoped.warehouse, ["a"], ["bench"], similarity=0.9, embedder_fp=digest)
    assert "Materialise `embeddings` for bench" in error.value.cure
    assert contaminated_rows(scoped.warehouse, ["a"], ["bench"]) == {}


def test_the_identity_of_sets_is_their_names_and_versions(scoped):
    first = scoped.ingest("y", [chat("r")]).pool_version
    other = scoped.ingest("x", [chat("r"), chat("s")]).pool_version
    expected = (("x", other), ("y", first))
    assert exclusion_versions(scoped.warehouse, ["y", "x", "y"]) == expected
    assert exclusion_versions(scoped.warehouse, ["x", "y"]) == expected
    assert exclusion_versions(scoped.warehouse, []) == ()
    later = scoped.ingest("y", [chat("t")]).pool_version
    assert exclusion_versions(scoped.warehouse, ["y"]) == (("y", later),) != (("y", first),)
    for call in (exclusion_versions, lambda *given: contaminated_rows(given[0], ["x"], given[1])):
        with pytest.raises(NotFoundError, match="exclusion set 'nope' was never read") as error:
            call(scoped.warehouse, ["y", "nope"])
        assert "deita-assets add nope FILE" in error.value.cure


def test_an_empty_set_contaminates_nothing(scoped):
    scoped.source("a", {"q": (1.0, np.eye(5)[0])})
    scoped.ingest("bench", [])
    digest = scoped.embedder.fingerprint.digest
    assert contaminated_rows(scoped.warehouse, ["a"], ["bench"], similarity=0.1, embedder_fp=digest) == {}
