"""Matrix products that equal the definition bit for bit."""

import numpy as np
import pytest

from deita_assets.core.exact_products import GrowingRows, rows_at, similarities, take_all
from deita_assets.core.similarity import exact_rows, exact_similarity
from deita_assets_tests.core.greedy_oracle import Vectors, similarity
from deita_assets_tests.core.whole_pool_oracle import unit_pool


def prepared(vectors):
    return exact_rows(vectors, np.arange(len(vectors)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [2.0**-3, 1.0, 3.0, 40.0])
def test_every_entry_is_the_definition(dtype, scale):
    rng = np.random.default_rng(5)
    vectors = (scale * rng.standard_normal((30, 9))).astype(dtype)
    found = similarities(prepared(vectors[:20]), prepared(vectors[15:]))
    expected = [[similarity(x, y) for y in vectors[15:]] for x in vectors[:20]]
    assert found.tolist() == expected
    assert (np.diagonal(found[15:20]) == 1.0).all()


def test_orthogonal_rows_have_one_zero():
    vectors = np.array([[1, 0], [0, 1], [0, -1]], dtype=np.float16)
    found = similarities(prepared(vectors), prepared(vectors))
    assert not np.signbit(found[found == 0]).any()


def test_permuted_columns_change_nothing():
    vectors = unit_pool(300, 384, seed=1)
    found = similarities(prepared(vectors), prepared(vectors))
    for seed in range(3):
        permuted = vectors[:, np.random.default_rng(seed).permutation(384)]
        assert similarities(prepared(permuted), prepared(permuted)).tobytes() == found.tobytes()


def test_long_float16_rows_do_not_take_the_plain_product():
    """At length 2**7 and more a plain product is rounded, and the order of the sum shows."""
    rng = np.random.default_rng(7)
    vectors = (rng.standard_normal((40, 384)) * 2.0 ** rng.integers(-12, 10, (40, 384))).astype(np.float16)
    rows = prepared(vectors)
    wide = vectors.astype(np.float64)
    backwards = wide[:, ::-1].copy()
    assert (wide @ wide.T != backwards @ backwards.T).any()
    left, right = np.divmod(np.arange(1600), 40)
    expected = exact_similarity(rows, left, rows, right).reshape(40, 40)
    assert similarities(rows, rows).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_all_rows_are_taken_in_order_and_lose_nothing(dtype):
    vectors = np.random.default_rng(3).standard_normal((2500, 3)).astype(dtype)
    order = np.random.default_rng(4).permutation(2500)
    source = Vectors(vectors)
    rows = take_all(source, order)
    assert source.taken == 2500
    assert (rows.values == vectors[order]).all() and rows.stored == dtype
    assert rows.square.tobytes() == prepared(vectors).square[order].tobytes()


def test_no_rows_can_be_taken():
    rows = take_all(Vectors(np.empty((0, 3), dtype=np.float16)), np.empty(0, dtype=np.int64))
    assert similarities(rows, rows).shape == (0, 0)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([np.ones((1024, 4), np.float32)], r"\(1024, 4\), expected float16, float32 or float64 \(1024, 2\)"),
        ([np.ones((1024, 2), np.int8)], "int8"),
        ([np.ones((1024, 2), np.float16), np.ones((76, 2), np.float32)], "float32 after float16"),
        ([np.zeros((1024, 2), np.float32)], r"rows \[0, 1, 2.*zero or not finite"),
    ],
)
def test_sources_that_break_their_contract_are_refused(answers, told):
    source = Vectors(np.ones((1100, 2), dtype=np.float32))
    source.take = lambda rows: answers.pop(0)
    with pytest.raises(ValueError, match=told):
        take_all(source, np.arange(1100))


def test_rows_grow_in_order():
    rows = prepared(np.random.default_rng(8).standard_normal((3000, 2)).astype(np.float32))
    grown = GrowingRows()
    with pytest.raises(ValueError, match="no rows were added"):
        grown.between(0, 1)
    for start in range(0, 3000, 700):
        grown.append(rows_at(rows, slice(start, min(start + 700, 3000))))
    assert len(grown) == 3000
    assert (grown.between(1300, 2900).values == rows.values[1300:2900]).all()
    assert (grown.between(1300, 9999).square == rows.square[1300:]).all()
