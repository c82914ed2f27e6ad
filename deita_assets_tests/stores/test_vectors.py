import hashlib

import numpy as np
import pytest

from deita_assets.errors import StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable, audit_tables, comparable
from deita_assets_tests import crashes

FP, OTHER_FP = "abcdef12" * 2, "12345678" * 2


def key(n):
    return hashlib.sha256(str(n).encode()).hexdigest()


def score(table, numbers, values=None, statuses=None, measure="complexity", fingerprint=FP):
    values = np.array([float(n) for n in numbers] if values is None else values)
    return table.insert(
        measure, fingerprint, [key(n) for n in numbers], values, statuses or ["ok"] * len(values)
    )


def stored(table, measure="complexity", fingerprint=FP):
    results = table.results(measure, fingerprint).to_pylist()
    return sorted((row["prompt_sha256"], row["score"], row["status"]) for row in results)


def counts(home):
    return {audit.name: (audit.n_rows, audit.n_keys) for audit in audit_tables(home)}


def vectors(numbers, dimension=4):
    return np.array([[n + 1, 1, 0, -n][:dimension] for n in numbers], np.float32)


def test_scores_are_stored_once(home):
    table = ScoreTable(home)
    assert score(table, [1, 2, 3]) == 3
    assert score(table, [1, 2, 3]) == 0
    assert score(table, [3, 4], values=[99.0, 4.0]) == 1
    assert stored(table) == sorted((key(n), float(n), "ok") for n in (1, 2, 3, 4))
    assert counts(home) == {"scores": (4, 4)}


def test_a_key_twice_in_one_batch_is_stored_once_and_the_first_counts(home):
    table = ScoreTable(home)
    assert score(table, [1, 2, 1, 1], values=[5.0, 2.0, 6.0, 7.0]) == 2
    assert stored(table) == sorted([(key(1), 5.0, "ok"), (key(2), 2.0, "ok")])
    embeddings = EmbeddingTable(home, FP, 4)
    assert embeddings.insert([key(1), key(1), key(2)], vectors([1, 5, 2])) == 2
    assert embeddings.load([key(1)])[0].tolist() == vectors([1]).tolist()
    assert counts(home) == {"scores": (2, 2), "embeddings_abcdef12": (2, 2)}


def test_measures_and_fingerprints_do_not_mix(home):
    table = ScoreTable(home)
    assert score(table, [1]) == 1
    assert score(table, [1], values=[2.0], measure="quality") == 1
    assert score(table, [1], values=[3.0], fingerprint=OTHER_FP) == 1
    assert stored(table) == [(key(1), 1.0, "ok")]
    assert stored(table, "quality") == [(key(1), 2.0, "ok")]
    assert stored(table, fingerprint=OTHER_FP) == [(key(1), 3.0, "ok")]
    assert table.prompts("complexity", FP) == {key(1)}
    assert table.prompts("quality", OTHER_FP) == set()


def test_a_missing_score_is_null_and_still_a_result(home):
    table = ScoreTable(home)
    score(table, [1, 2], values=[np.nan, 2.0], statuses=["too_long", "ok"])
    assert stored(table) == sorted([(key(1), None, "too_long"), (key(2), 2.0, "ok")])
    assert table.prompts("complexity", FP) == {key(1), key(2)}


def test_nothing_to_insert(home):
    assert score(ScoreTable(home), []) == 0
    embeddings = EmbeddingTable(home, FP, 4)
    assert embeddings.insert([], np.empty((0, 4))) == 0
    loaded, found = embeddings.load([])
    assert (loaded.shape, found.shape) == ((0, 4), (0,))
    assert embeddings.contents() == set()


def test_thousands_of_results_are_all_read_back(home):
    """A search without a limit of its own must not be cut to a first page."""
    table = ScoreTable(home)
    numbers = list(range(12_000))
    assert score(table, numbers) == len(numbers)
    assert table.prompts("complexity", FP) == {key(n) for n in numbers}
    assert table.results("complexity", FP).num_rows == len(numbers)
    embeddings = EmbeddingTable(home, FP, 2)
    assert embeddings.insert([key(n) for n in numbers], np.array([[n % 100, 1] for n in numbers])) == len(
        numbers
    )
    assert embeddings.contents() == {key(n) for n in numbers}
    wanted = numbers[::-7]
    loaded, found = embeddings.load([key(n) for n in wanted])
    assert found.all()
    assert loaded.tolist() == [[n % 100, 1] for n in wanted]


def test_vectors_come_back_in_the_order_asked_for_with_repeats_and_gaps(home):
    table = EmbeddingTable(home, FP, 4)
    table.insert([key(n) for n in (1, 2)], vectors([1, 2]))
    table.insert([key(n) for n in (3, 4)], vectors([3, 4]))
    loaded, found = EmbeddingTable(home, FP).load([key(n) for n in (4, 9, 1, 4, 2, 9)])
    assert loaded.dtype == np.float16
    assert found.tolist() == [True, False, True, True, True, False]
    expected = vectors([4, 0, 1, 4, 2, 0])
    expected[~found] = 0
    assert loaded.tolist() == expected.tolist()


def test_vectors_are_kept_as_halves(home):
    table = EmbeddingTable(home, FP, 3)
    rng = np.random.default_rng(0)
    given = rng.standard_normal((50, 3))
    table.insert([key(n) for n in range(50)], given)
    loaded, _ = table.load([key(n) for n in range(50)])
    assert loaded.tobytes() == given.astype(np.float16).tobytes()


def test_an_embedder_keeps_its_dimension(home):
    EmbeddingTable(home, FP, 4)
    with pytest.raises(StoreError, match="holds vectors of 4 numbers, the embedder gives 3"):
        EmbeddingTable(home, FP, 3)
    with pytest.raises(StoreError, match=r"4 numbers; 2 keys came with vectors of shape \(2, 2\)"):
        EmbeddingTable(home, FP).insert([key(1), key(2)], vectors([1, 2], 2))
    with pytest.raises(StoreError, match="1 keys"):
        EmbeddingTable(home, FP).insert([key(1)], vectors([1, 2]))
    assert EmbeddingTable(home, FP).contents() == set()


def test_scores_of_another_number_than_prompts_are_refused(home):
    table = ScoreTable(home)
    with pytest.raises(StoreError, match="2 prompts, 1 scores, 2 statuses"):
        table.insert("complexity", FP, [key(1), key(2)], np.ones(1), ["ok", "ok"])
    assert stored(table) == []


def test_a_table_that_was_never_made(home):
    with pytest.raises(StoreError, match="no table embeddings_12345678") as error:
        EmbeddingTable(home, OTHER_FP)
    assert "Materialise `embeddings`" in error.value.cure


@pytest.mark.parametrize(
    "bad", ["x' OR true --", "", "ABCDEF12", "abcdef1", "abcdef12\n", "a" * 65, "../abcdef12"]
)
def test_names_that_are_no_fingerprint_reach_no_filter_and_no_path(home, bad):
    table = ScoreTable(home)
    score(table, [1])
    for attempt in (
        lambda: table.results("complexity", bad),
        lambda: table.prompts("complexity", bad),
        lambda: score(table, [2], fingerprint=bad),
        lambda: EmbeddingTable(home, bad, 4),
    ):
        with pytest.raises(StoreError, match="no such"):
            attempt()
    assert counts(home) == {"scores": (1, 1)}


@pytest.mark.parametrize("bad", ["complexity' OR true --", "Quality", ""])
def test_names_that_are_no_measure_reach_no_filter(home, bad):
    table = ScoreTable(home)
    for attempt in (lambda: table.results(bad, FP), lambda: score(table, [1], measure=bad)):
        with pytest.raises(StoreError, match="no such scores"):
            attempt()


def test_keys_are_protected_against_racing_writers(tmp_path):
    """Without the declared key LanceDB lets every one of them insert the same rows.

    In homes without a table, since the first writers make it: three that do at once, unguarded, overwrite each other in
    one home out of fifteen.
    """
    homes = [Home(tmp_path / str(n)).create() for n in range(20)]
    prompts = [key(n) for n in range(20)]
    together = crashes.barrier(3)
    processes = [crashes.start(crashes.insert_scores, homes, prompts, together) for _ in range(3)]
    assert [crashes.finish(process) for process in processes] == [0, 0, 0]
    assert [counts(home) for home in homes] == [{"scores": (20, 20)}] * 20


def test_an_open_table_sees_what_others_insert(home):
    scores, embeddings = ScoreTable(home), EmbeddingTable(home, FP, 4)
    score(ScoreTable(home), [1, 2])
    EmbeddingTable(home, FP).insert([key(1)], vectors([1]))
    assert scores.prompts("complexity", FP) == {key(1), key(2)}
    assert scores.results("complexity", FP).num_rows == 2
    assert score(scores, [1, 2, 3]) == 1
    assert embeddings.contents() == {key(1)}
    assert embeddings.load([key(1)])[1].all()


def test_audit_sees_a_doubled_key(home):
    table = ScoreTable(home)
    score(table, [1, 2])
    table._table.add(table.results("complexity", FP).append_column("score_key", [["same", "same"]]).append_column(
        "measure", [["complexity"] * 2]).append_column("scorer_fp", [[FP] * 2]))  # fmt: skip
    assert counts(home) == {"scores": (4, 3)}


def test_vectors_without_direction():
    rows = np.array(
        [[1, 0], [0, 0], [np.nan, 1], [np.inf, 0], [-np.inf, 1], [-0.0, 0.0], [6e-8, 0], [65504, 0]]
    )
    assert comparable(rows.astype(np.float16)).tolist() == [
        True,
        False,
        False,
        False,
        False,
        False,
        True,
        True,
    ]
    assert comparable(np.empty((0, 3), np.float16)).tolist() == []
