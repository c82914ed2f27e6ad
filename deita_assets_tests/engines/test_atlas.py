"""The map of a ledger: rows as the ledger has them, neighbours exact, places that come out the same again."""

import math
import stat

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.engines import atlas_layout
from deita_assets.engines.atlas import make_atlas, shown_rows
from deita_assets.engines.atlas_layout import best_method, lay_out, nearest, principal_axes
from deita_assets.engines.atlas_picture import draw
from deita_assets.errors import NotFoundError, SettingsError
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped

BUDGET = 5


@pytest.fixture(scope="module")
def scoped(tmp_path_factory):
    """A mixture of two sources, one row without a score, ranked to the end."""
    from deita_assets.stores.home import Home

    home = Home(tmp_path_factory.mktemp("atlas") / "home").create()
    warehouse = Warehouse(home)
    warehouse.migrate()
    scoped = Scoped(warehouse, Landing(home))
    scoped.random_source("aa", "clusters", 25, seed=1)
    scoped.source("bb", {"lost": (None, [1, 0, 0, 0, 0]), "found": (9.0, [0, 1, 0, 0, 0])})
    return scoped


@pytest.fixture(scope="module")
def ledger(scoped):
    return scoped.ledger("aa", "bb", threshold=0.8)


def mapped(scoped, ledger, budget=BUDGET, **options):
    with scoped.warehouse.read("map") as con:
        return make_atlas(scoped.home, con, ledger.ledger_id, budget, **{"method": "pca", **options})


def test_it_shows_every_row_as_the_ledger_has_it_at_the_budget(scoped, ledger):
    atlas = mapped(scoped, ledger)
    shown = {row["sample_id"]: row for row in pq.read_table(atlas.parquet).to_pylist()}
    kept = 0
    for sample_id, rank, verdict, reason, score, position, blocked_by, similarity in scoped.rows(
        ledger
    ).values():
        row = shown.pop(sample_id)
        kept += position is not None and position <= BUDGET
        assert (row["rank"], row["reason"], row["evol_score"]) == (rank, reason, score)
        assert (row["blocked_by"], row["similarity"], row["kept_position"]) == (
            blocked_by,
            similarity,
            position,
        )
        if position is not None:
            assert row["verdict"] == ("kept" if position <= BUDGET else "beyond_budget")
        elif verdict == "unscored":
            assert row["verdict"] == "unscored"
        assert (row["complexity"], row["quality"]) == ((None, 1.0) if score is None else (score, 1.0))
        assert sample_id.startswith(row["source"] + ":")
        assert row["instruction"] in scoped.scores
        assert row["answer"] == "answer"
        assert (row["n_turns"], row["n_chars"]) == (1, len(row["instruction"]) + len("answer"))
    assert not shown
    assert kept == BUDGET == atlas.verdicts["kept"]
    assert sum(atlas.verdicts.values()) == atlas.n_shown == atlas.n_rows == 27


def test_without_a_budget_the_verdicts_are_those_of_the_ledger(scoped, ledger):
    atlas = mapped(scoped, ledger, budget=None)

    assert atlas.verdicts["kept"] == ledger.n_kept
    assert "budget" not in atlas.caption


def test_the_neighbours_in_the_file_are_row_numbers_of_the_file(scoped, ledger):
    table = pq.read_table(mapped(scoped, ledger).parquet).to_pylist()
    assert [row["__row_index__"] for row in table] == list(range(len(table)))
    for at, row in enumerate(table):
        near = row["__neighbors"]
        assert len(near["ids"]) == len(near["distances"]) == 10
        assert at not in near["ids"]
        assert near["distances"] == sorted(near["distances"])
        vectors = [
            np.array(scoped.vectors[table[n]["instruction"]], np.float16) for n in (at, near["ids"][0])
        ]
        assert near["distances"][0] == pytest.approx(1 - cosine(*vectors), abs=1e-6)


def test_the_same_again_gives_the_same_bytes_without_computing(scoped, ledger, monkeypatch):
    first = mapped(scoped, ledger)
    before = first.parquet.read_bytes(), first.picture.read_bytes()
    monkeypatch.setattr("deita_assets.engines.atlas.lay_out", None)

    again = mapped(scoped, ledger)

    assert (again.parquet.read_bytes(), again.picture.read_bytes()) == before
    monkeypatch.undo()
    for path in first.folder.glob("layout-*"):
        path.unlink()
    anew = mapped(scoped, ledger)
    assert (anew.parquet.read_bytes(), anew.picture.read_bytes()) == before


def test_nobody_else_may_read_it(scoped, ledger):
    folder = mapped(scoped, ledger).folder

    assert folder.is_relative_to(scoped.home.root)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_limit_keeps_the_kept_rows_and_says_so(scoped, ledger):
    atlas = mapped(scoped, ledger, limit=12)

    assert (atlas.n_shown, atlas.verdicts["kept"]) == (12, BUDGET)
    assert "12 rows of 27" in atlas.caption


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 70))
def test_shown_rows_are_kept_ones_first_then_others_evenly(kept, limit):
    shown = shown_rows(["kept" if one else "beyond_budget" for one in kept], limit).tolist()

    assert shown == sorted(set(shown))
    assert len(shown) == min(limit, len(kept))
    chosen = [at for at in shown if kept[at]]
    assert chosen == [at for at, one in enumerate(kept) if one][:limit]
    others = [at for at, one in enumerate(kept) if not one]
    places = [others.index(at) for at in shown if not kept[at]]
    gaps = {b - a for a, b in zip(places, places[1:], strict=False)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def cosine(x, y):
    """Similarity by its definition, in whole numbers as far as they go."""
    x, y = [float(v) for v in x], [float(v) for v in y]
    scale = math.fsum(v * v for v in x) * math.fsum(v * v for v in y)
    return max(-1.0, min(1.0, math.fsum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(scale)))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 40),
    st.integers(1, 12),
    st.integers(0, 2**31),
    st.booleans(),
    st.sampled_from([7, 64, 1 << 23]),
)
def test_neighbours_are_those_of_brute_force(n, k, seed, repeats, block):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 4)).astype(np.float16)
    if repeats:
        vectors = vectors[rng.integers(0, max(n // 3, 1), n)]  # many ties, which go by row number
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atlas_layout, "_BLOCK_NUMBERS", block)
        found, similarity = nearest(vectors, k)

    assert found.shape == similarity.shape == (n, min(k, n - 1))
    for row in range(n):
        order = sorted((-cosine(vectors[row], vectors[other]), other) for other in range(n) if other != row)[
            :k
        ]
        assert found[row].tolist() == [other for _, other in order]
        assert similarity[row].tolist() == [-s for s, _ in order]


def test_the_axes_are_those_of_greatest_variance():
    rng = np.random.default_rng(3)
    spread = np.array([5.0, 0.1, 2.0, 0.2])
    vectors = (rng.normal(size=(500, 4)) * spread).astype(np.float16)

    xy, explained = principal_axes(vectors)

    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    assert explained == pytest.approx(values[:2].sum() / values.sum(), abs=1e-9)
    assert xy.astype(np.float64).var(axis=0) * len(xy) == pytest.approx(values[:2], rel=1e-3)
    assert (
        np.corrcoef(xy[:, 0], vectors[:, 0].astype(np.float64))[0, 1] > 0.99
    )  # its largest component is positive
    assert np.corrcoef(xy[:, 1], vectors[:, 2].astype(np.float64))[0, 1] > 0.99


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_tiny_pool_has_a_map_too(n):
    layout = lay_out(np.eye(4, dtype=np.float16)[:n], best_method())

    assert layout.xy.shape == (n, 2)
    assert layout.neighbours.shape == (n, max(n - 1, 0))
    assert draw(layout.xy, ["kept"] * n, "caption").startswith(b"\x89PNG")


def test_umap_begins_at_the_same_places_and_ends_at_the_same():
    pytest.importorskip("umap", reason="umap-learn is not installed (extra `atlas`)")
    vectors = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float16)

    first, again = lay_out(vectors, "umap"), lay_out(vectors, "umap")

    assert first.method == "umap"
    assert first.explained is None
    assert np.array_equal(first.xy, again.xy)
    assert np.isfinite(first.xy).all()


def test_what_cannot_be_mapped_is_refused(scoped, ledger, monkeypatch):
    with scoped.warehouse.read("map") as con, pytest.raises(NotFoundError, match="there is no ledger"):
        make_atlas(scoped.home, con, "0" * 16, None)
    with pytest.raises(SettingsError, match="tsne"):
        mapped(scoped, ledger, method="tsne")
    monkeypatch.setattr("deita_assets.engines.atlas.best_method", lambda: "pca")
    with pytest.raises(SettingsError, match="umap-learn"):
        mapped(scoped, ledger, method="umap")


def test_a_ledger_whose_rows_were_let_go_is_refused(scoped):
    old = scoped.ledger("aa", threshold=0.5)
    with scoped.warehouse.write("let go") as con:
        con.execute("update store.ledger set pruned_at = now() where ledger_id = ?", [old.ledger_id])

    with pytest.raises(NotFoundError, match="let go"):
        mapped(scoped, old)
