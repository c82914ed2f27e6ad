"""Vectors in the order of a pass: the right ones, read in stretches, none held that is not needed."""

import numpy as np
import pytest

from deita_assets.core.fingerprint import sha256_hex
from deita_assets.errors import StoreError
from deita_assets.stores import ordered_vectors
from deita_assets.stores.home import Home
from deita_assets.stores.ordered_vectors import OrderedVectors
from deita_assets.stores.vectors import EmbeddingTable

ROWS, DIMENSION = 600, 4
EMBEDDER = "ab" * 32


@pytest.fixture
def stored(tmp_path):
    home = Home(tmp_path).create()
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIMENSION)).astype(np.float16)
    contents = [sha256_hex(str(row)) for row in range(ROWS)]
    table = EmbeddingTable(home, EMBEDDER, DIMENSION)
    for start in range(0, ROWS, 200):  # several fragments
        table.insert(contents[start : start + 200], vectors[start : start + 200])
    return home, contents, vectors


class Counted(EmbeddingTable):
    """A table that tells how many vectors were taken, and how often it was scanned."""

    def __init__(self, home):
        super().__init__(home, EMBEDDER)
        self.taken, self.scans = [], 0

    def take(self, row_ids):
        self.taken.append(len(row_ids))
        return super().take(row_ids)

    def load(self, contents):
        self.scans += 1
        return super().load(contents)


@pytest.mark.parametrize("stretch", [1, 7, 100, 10_000])
@pytest.mark.parametrize("scan_after", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("held_bytes", [0, 300 * DIMENSION, 1 << 30])
def test_every_row_gets_its_own_vector(stored, monkeypatch, stretch, scan_after, held_bytes):
    home, contents, vectors = stored
    monkeypatch.setattr(ordered_vectors, "STRETCH_ROWS", stretch)
    monkeypatch.setattr(ordered_vectors, "SCAN_AFTER", scan_after)
    monkeypatch.setattr(ordered_vectors, "HELD_BYTES", held_bytes)
    rng = np.random.default_rng(stretch)
    source = OrderedVectors(EmbeddingTable(home, EMBEDDER), contents)
    order = rng.permutation(ROWS)[: ROWS // 2]
    source.follow(order)
    asked = [order[start : start + 11] for start in range(0, len(order), 11)]
    asked += [rng.integers(0, ROWS, 20), order[:5], order[:0], np.array([7, 7, 3])]
    for rows in asked:
        assert np.array_equal(source.take(rows), vectors[rows])


def test_no_more_is_held_than_allowed(stored, monkeypatch):
    home, contents, vectors = stored
    monkeypatch.setattr(ordered_vectors, "STRETCH_ROWS", 50)
    monkeypatch.setattr(ordered_vectors, "HELD_BYTES", 120 * DIMENSION * 2)
    source = OrderedVectors(EmbeddingTable(home, EMBEDDER), contents)
    order = np.random.default_rng(1).permutation(ROWS)
    source.follow(order)
    for start in range(0, ROWS, 10):
        rows = order[start : start + 10]
        assert np.array_equal(source.take(rows), vectors[rows])
        assert sum(map(len, source._stretches.values())) <= 120
    assert np.array_equal(source.take(order[:5]), vectors[order[:5]])  # let go of, and read again


def test_a_pass_that_stops_early_reads_little(stored, monkeypatch):
    home, contents, _ = stored
    monkeypatch.setattr(ordered_vectors, "STRETCH_ROWS", 50)
    table = Counted(home)
    source = OrderedVectors(table, contents)
    order = np.random.default_rng(1).permutation(ROWS)
    source.follow(order)
    assert table.taken == []
    for start in range(0, 100, 10):
        source.take(order[start : start + 10])
    assert (table.taken, table.scans) == ([50, 50], 0)


def test_a_pass_that_goes_on_scans_once(stored, monkeypatch):
    home, contents, _ = stored
    monkeypatch.setattr(ordered_vectors, "STRETCH_ROWS", 50)
    table = Counted(home)
    source = OrderedVectors(table, contents)
    order = np.random.default_rng(1).permutation(ROWS)
    source.follow(order)
    for start in range(0, ROWS, 10):
        source.take(order[start : start + 10])
    assert table.taken == [50, 50, 50, 50]  # more than a quarter of 600
    assert table.scans == 1


def test_rows_that_were_read_are_not_read_again(stored, monkeypatch):
    """A pass comes back to the rows that it kept."""
    home, contents, vectors = stored
    monkeypatch.setattr(ordered_vectors, "STRETCH_ROWS", 50)
    table = Counted(home)
    source = OrderedVectors(table, contents)
    order = np.random.default_rng(1).permutation(ROWS)
    source.follow(order)
    source.take(order[:120])
    for rows in (order[:10], order[5:100:7], order[119::-3]):
        assert np.array_equal(source.take(rows), vectors[rows])
    assert table.taken == [120]
    source.take(order[[3, 130]])
    assert table.taken == [120, 50]


def test_rows_without_a_vector_are_known_before_any_is_read(stored):
    home, contents, vectors = stored
    source = OrderedVectors(EmbeddingTable(home, EMBEDDER), [contents[3], "f" * 64, contents[5]])
    assert source.missing.tolist() == [False, True, False]
    assert np.array_equal(source.take(np.array([2, 0])), vectors[[5, 3]])
    with pytest.raises(StoreError, match=r"1 vectors of embeddings_abababab are gone, f{64} among them"):
        source.take(np.array([0, 1]))


def test_rows_inserted_later_change_nothing(stored):
    home, contents, vectors = stored
    source = OrderedVectors(EmbeddingTable(home, EMBEDDER), contents)
    more = [sha256_hex(f"more {row}") for row in range(100)]
    EmbeddingTable(home, EMBEDDER).insert(more, np.ones((100, DIMENSION)))
    assert np.array_equal(source.take(np.arange(ROWS)), vectors)


@pytest.mark.parametrize("value", [0.0, np.inf])
def test_damaged_vectors_stop_the_pass_that_meets_them(stored, value):
    home, contents, _ = stored
    EmbeddingTable(home, EMBEDDER).insert(["e" * 64], np.full((1, DIMENSION), value))
    source = OrderedVectors(EmbeddingTable(home, EMBEDDER), [*contents, "e" * 64])
    source.take(np.arange(ROWS))
    with pytest.raises(StoreError, match=r"1 vectors of embeddings_abababab are zero or not finite.*e{64}"):
        source.take(np.array([0, ROWS]))
