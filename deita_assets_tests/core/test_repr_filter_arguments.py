"""What `repr_filter` takes, refuses and marks, and the ledger that it returns."""

import math

import numpy as np
import pytest

from deita_assets import repr_filter
from deita_assets_tests.core.greedy_oracle import DTYPES, make_pool, same


def test_invalid_rows_are_marked_and_influence_nothing():
    vectors, scores = make_pool("clusters", 60, 6, np.float32, seed=15)
    clean = repr_filter(vectors, scores, threshold=0.9)
    bad_vectors = np.array(
        [[0] * 6, [np.nan] + [1] * 5, [np.inf] + [1] * 5, [1] * 6, [1] * 6, [1] * 6, [0] * 6]
    )
    bad_scores = np.array([9, 9, 9, np.nan, np.inf, -np.inf, np.nan])
    ledger = repr_filter(
        np.vstack([bad_vectors.astype(np.float32), vectors]),
        np.concatenate([bad_scores, scores]),
        threshold=0.9,
        invalid="mark",
    )
    assert ledger.verdict[:7].tolist() == ["invalid"] * 3 + ["unscored"] * 3 + ["invalid"]
    assert (ledger.rank[:7] == -1).all() and (ledger.kept_position[:7] == -1).all()
    assert (ledger.blocked_by[:7] == -1).all() and np.isnan(ledger.similarity[:7]).all()
    assert (ledger.kept - 7).tolist() == clean.kept.tolist()
    assert np.array_equal(ledger.rank[7:], clean.rank)
    assert np.array_equal(ledger.similarity[7:], clean.similarity, equal_nan=True)
    assert ledger.exhausted and ledger.counts()["invalid"] == 4
    nothing = repr_filter(np.zeros((2, 3)), [1, 2], threshold=0.9, invalid="mark")
    assert nothing.verdict.tolist() == ["invalid"] * 2 and nothing.exhausted


@pytest.mark.parametrize("dtype", DTYPES)
def test_invalid_rows_are_refused_by_name(dtype):
    vectors = np.ones((20, 3), dtype=dtype)
    vectors[4] = 0
    vectors[7, 1] = -np.inf
    scores = np.arange(20.0)
    scores[9:] = np.nan
    ids = [f"id{i}" for i in range(20)]
    with pytest.raises(ValueError) as refused:
        repr_filter(vectors, scores, threshold=0.9, ids=ids)
    message = str(refused.value)
    assert message.startswith(
        "13 of 20 rows cannot be ranked: row 4 (id 'id4'): embedding is zero or not finite;"
    )
    assert "row 9 (id 'id9'): score is nan" in message and "and 3 more" in message
    assert "row 16 " in message and "row 17 " not in message and "invalid='mark'" in message


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"threshold": -1}, "threshold is -1, expected"),
        ({"threshold": 1.0000001}, "threshold is 1.0000001"),
        ({"threshold": math.nan}, "threshold is nan"),
        ({"threshold": True}, "threshold is True"),
        ({"threshold": "0.9"}, "threshold is '0.9'"),
        ({"threshold": None}, "threshold is None"),
        ({"budget": 0}, "budget is 0, expected the number of rows to keep"),
        ({"budget": -1}, "budget is -1"),
        ({"budget": True}, "budget is True"),
        ({"budget": 2.0}, "budget is 2.0"),
        ({"block_size": 0}, "block_size is 0"),
        ({"invalid": "skip"}, "invalid is 'skip', expected 'raise' or 'mark'"),
        ({"embeddings": np.ones(3)}, r"embeddings have shape \(3,\), expected \(rows, dimension\)"),
        ({"embeddings": np.ones((3, 0))}, r"embeddings have shape \(3, 0\)"),
        ({"embeddings": np.ones((3, 2), dtype=int)}, "embeddings are int64, expected float16"),
        ({"embeddings": np.ones((3, 2), dtype=complex)}, "embeddings are complex128"),
        ({"scores": [1.0, 2.0]}, r"scores have shape \(2,\), expected \(3,\)"),
        ({"scores": [[1.0], [2.0], [3.0]]}, r"scores have shape \(3, 1\)"),
        ({"scores": ["1", "2", "3"]}, "scores are <U1, expected numbers"),
        ({"scores": [None, 1.0, 2.0]}, "scores are object, expected numbers"),
        ({"ids": ["a", "b"]}, "2 ids, expected 3"),
        ({"ids": ["a", "b", "a"]}, "id 'a' of row 2 occurs twice"),
        ({"ids": ["a", 5, "b"]}, "id of row 1 is 5, expected str"),
        ({"device": "abacus"}, "device is 'abacus'"),
        ({"device": 0}, "device is 0"),
    ],
)
def test_arguments_out_of_bounds_are_refused(changed, told):
    arguments = {"embeddings": np.eye(3), "scores": [1.0, 2.0, 3.0], "threshold": 0.9} | changed
    with pytest.raises(ValueError, match=told):
        repr_filter(**arguments)


def test_numpy_numbers_and_other_layouts_are_taken():
    vectors, _ = make_pool("spread", 30, 4, np.float32, seed=16)
    scores = np.arange(30)
    expected = repr_filter(vectors, scores, threshold=0.5, budget=5)
    assert same(
        repr_filter(vectors, scores.astype(np.uint8), threshold=np.float64(0.5), budget=np.int64(5)), expected
    )
    assert same(repr_filter(vectors.astype(">f4"), scores, threshold=0.5, budget=5), expected)
    assert same(repr_filter(np.asfortranarray(vectors), scores, threshold=0.5, budget=5), expected)
    assert same(repr_filter(vectors.tolist(), scores.tolist(), threshold=0.5, budget=5), expected)
    half = vectors.astype(np.float16)
    assert same(
        repr_filter(half.astype(">f2"), scores, threshold=0.5), repr_filter(half, scores, threshold=0.5)
    )


def test_empty_pool():
    for embeddings in (np.empty((0, 5), dtype=np.float32), np.empty((0, 0)), []):
        ledger = repr_filter(embeddings, [], threshold=0.9, budget=3, ids=[])
        assert len(ledger) == 0 and ledger.kept.tolist() == [] and ledger.exhausted
        assert ledger.verdict.dtype.kind == "U" and ledger.rank.dtype == ledger.kept.dtype == np.int64
        assert ledger.at_budget(5).tolist() == [] and sum(ledger.counts().values()) == 0
        assert "0 rows: empty" in repr(ledger)


def test_the_ledger_is_read_only_and_readable():
    vectors, scores = make_pool("clusters", 40, 6, np.float32, seed=17)
    ledger = repr_filter(vectors, scores, threshold=0.9, budget=3)
    with pytest.raises(ValueError, match="read-only"):
        ledger.verdict[0] = "kept"
    assert "40 rows: 3 kept" in repr(ledger) and "threshold 0.9" in repr(ledger)
    assert sum(ledger.counts().values()) == 40 and ledger.counts()["contaminated"] == 0
    assert ledger.at_budget(2).tolist() == ledger.kept[:2].tolist()
    with pytest.raises(ValueError, match="budget is 4, but this ledger stopped at 3 kept rows"):
        ledger.at_budget(4)
    with pytest.raises(ValueError, match="budget is 0"):
        ledger.at_budget(0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tiny_vectors_are_valid(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    ledger = repr_filter(np.array([[tiny, 0], [0, tiny], [-tiny, 0]], dtype=dtype), [3, 2, 1], threshold=0.5)
    assert ledger.kept.tolist() == [0, 1, 2] and ledger.similarity[1:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_vectors_are_valid_and_infinite_ones_are_not(dtype):
    """Their sum of squares is infinite either way."""
    huge = np.finfo(dtype).max
    rows = np.array([[huge, 0], [huge, huge], [np.inf, 0]], dtype=dtype)
    ledger = repr_filter(rows, [3, 2, 1], threshold=0.5, invalid="mark")
    assert ledger.verdict.tolist() == ["kept", "near_duplicate", "invalid"]
