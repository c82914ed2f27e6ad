"""Mending beside what others need: two sources in one table, ledgers of refused results, versions that are cited."""

from __future__ import annotations

import shutil

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from deita_assets.engines import mend, subset_contents
from deita_assets.engines.checks.embeddings import check_embeddings
from deita_assets.engines.checks.ledgers import check_ledger
from deita_assets.engines.checks.scores import check_scores
from deita_assets.engines.checks.subsets import check_subset
from deita_assets.engines.cover import LOCK_WAIT_S
from deita_assets.errors import StoreError
from deita_assets.stores import let_go
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped

AXES = np.eye(5)
#: `t1` is a copy of `t0` by its vector; all others stand at right angles, or nearly.
VECTORS = {"t0": AXES[0], "t1": AXES[0], "t2": AXES[1]}


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    """Sources `s` and `t` of three rows each; ledgers and subsets of 2 of both, and of their mixture `all`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subset_contents, "card_figure", lambda _: b"figure")
        home = Home(tmp_path_factory.mktemp("mending")).create()
        shutil.copyfile(migrated, home.warehouse)
        made = Scoped(Warehouse(home), Landing(home))
        made.source("s", {f"s{n}": (5.5 - n, AXES[2 + n]) for n in range(3)})
        made.source("t", {text: (5.0 - n, vector) for n, (text, vector) in enumerate(VECTORS.items())})
        for scope in (("s",), ("t",)):
            made.subset(made.ledger(*scope, threshold=0.8), 2)
        mixed(made)
        yield made


def mixed(made):
    return made.subset(made.ledger("s", "t", name="all", kind="mixture", threshold=0.8), 2)


@pytest.fixture
def made(template, tmp_path, monkeypatch):
    """A copy to damage."""
    monkeypatch.setattr(subset_contents, "card_figure", lambda _: b"figure")
    return template.copied(tmp_path)


def vectors(made):
    return lancedb.connect(str(made.home.lance)).open_table(
        f"embeddings_{made.embedder.fingerprint.digest[:8]}"
    )


def scores(made):
    return lancedb.connect(str(made.home.lance)).open_table("scores")


def content_of(made, text):
    ((content,),) = made.query(
        "select content_sha256 from store.conversation join store.turn using (sample_id) where instruction = ?",
        text,
    )
    return content


def add_vector(made, text, numbers):
    """Append a vector of a text's content, whatever is there."""
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.asarray(numbers, np.float16)), 5)
    opened = vectors(made)
    opened.add(
        pa.table([pa.array([content_of(made, text)]), values, pa.nulls(1, pa.int64())], schema=opened.schema)
    )


def put_vector(made, text, numbers):
    vectors(made).delete(f"content_sha256 = '{content_of(made, text)}'")
    add_vector(made, text, numbers)


def double_score(made, text, score=None):
    """Append the result of a text's complexity once more, or with another score."""
    ((prompt,),) = made.query("select complexity_prompt_sha256 from store.turn where instruction = ?", text)
    opened = scores(made)
    row = opened.search().where(f"measure = 'complexity' AND prompt_sha256 = '{prompt}'").to_arrow()
    if score is not None:
        row = row.set_column(row.schema.get_field_index("score"), "score", pa.array([score]))
    opened.add(row.cast(opened.schema))


def forget_selections(made):
    """As if nothing had been selected yet."""
    tables = ("ledger", "ledger_row", "ledger_head", "selection", "selection_member", "selection_head")
    with made.warehouse.write("forget") as con:
        for name in tables:
            con.execute(f"delete from store.{name}")


def ids(made, query, *parameters):
    return [row[0] for row in made.query(query, *parameters)]


SELECTIONS = "select * exclude (created_at), created_at::varchar from store.selection order by 1"
PRUNED = "select ledger_id from store.ledger where pruned_at is not null order by 1"
VERDICTS = (
    "select instruction, verdict, similarity from store.ledger_row join store.turn using (sample_id) "
    "where ledger_id = ? order by 1"
)
ALTERED = (
    "update store.selection_member set sample_id = 's:0' where position = 1",
    "delete from store.selection_member where position = 1",
    "update store.selection_member set seq = null",
)


def test_the_copy_of_another_sources_vector_goes_and_the_vector_stays(made):
    for text in ("t0", "s1"):
        add_vector(made, text, made.vectors[text])
    assert mend.mend_embeddings(made.warehouse, "s") == 2
    for source in ("s", "t"):
        assert all(one.passed for one in check_embeddings(made.warehouse, source))
    assert ids(made, PRUNED) == []  # every ledger was made of what is there still
    assert vectors(made).count_rows() == 6


def test_the_copy_of_another_sources_score_goes_and_the_score_stays(made):
    for text in ("t0", "s1"):
        double_score(made, text)
    assert mend.mend_scores(made.warehouse, "s", "complexity") == 2
    for source in ("s", "t"):
        named = {one.check: one for one in check_scores(made.warehouse, source, "complexity")}
        assert named["unique_keys"].passed
        assert named["missing_pairs"].passed
    assert ids(made, PRUNED) == []


def test_copies_that_differ_are_the_business_of_the_source_that_holds_them(made):
    add_vector(made, "t0", AXES[4])
    double_score(made, "t0", 1.25)
    assert check_embeddings(made.warehouse, "s")[0].passed
    assert check_scores(made.warehouse, "s", "complexity")[0].passed
    assert (
        mend.mend_embeddings(made.warehouse, "s") == mend.mend_scores(made.warehouse, "s", "complexity") == 0
    )
    assert not check_embeddings(made.warehouse, "t")[0].passed
    assert not check_scores(made.warehouse, "t", "complexity")[0].passed
    assert (
        mend.mend_embeddings(made.warehouse, "t") == mend.mend_scores(made.warehouse, "t", "complexity") == 2
    )
    made.cover("t")
    assert check_embeddings(made.warehouse, "t")[0].passed
    assert check_scores(made.warehouse, "t", "complexity")[0].passed


def test_a_ledger_of_a_refused_vector_is_made_again_and_its_version_is_followed_by_the_right_one(made):
    right = {
        scope: made.query(VERDICTS, scope) for scope in ids(made, "select ledger_id from store.ledger_head")
    }
    before = mixed(made)
    ledger_id = before.selection.ledger.ledger_id
    forget_selections(made)
    put_vector(made, "t1", np.full(5, 0.3))  # no copy of t0 any more, and too short
    made.ledger("s", threshold=0.8)
    made.ledger("t", threshold=0.8)
    wrong = mixed(made)
    assert wrong.selection.ledger.ledger_id == ledger_id
    assert made.query(VERDICTS, ledger_id) != right[ledger_id]
    assert mend.mend_embeddings(made.warehouse, "t") == 1
    heads = dict(made.query("select scope, ledger_id from store.ledger_head"))
    assert ids(made, PRUNED) == sorted([heads["t"], heads["all"]])  # not that of s, which read nothing of t
    assert sorted(let_go.marked(made.home)) == ["mixture:all", "source:t"]
    assert made.query("select trial from store.selection") == [(True,)]
    made.embed("t")
    after = mixed(made)
    assert made.query(VERDICTS, ledger_id) == right[ledger_id]
    assert check_ledger(made.warehouse, "mixture", "all")[0].passed
    assert ids(made, PRUNED) == [heads["t"]]
    known = dict(made.query("select selection_version, trial from store.selection"))
    assert known == {wrong.selection.version: wrong.selection.version != after.selection.version,
                     after.selection.version: False}  # fmt: skip


def test_another_version_takes_the_place_of_one_that_was_cut_out_of_refused_results(made):
    forget_selections(made)
    put_vector(made, "t1", np.full(5, 0.3))
    wrong = made.subset(made.ledger("t", threshold=0.8), 2)
    mend.mend_embeddings(made.warehouse, "t")
    made.embed("t")
    right = made.subset(made.ledger("t", threshold=0.8), 2)
    assert right.selection.version != wrong.selection.version
    assert right.selection.ledger.ledger_id == wrong.selection.ledger.ledger_id
    assert made.query("select selection_version, trial from store.selection order by trial") == [
        (right.selection.version, False), (wrong.selection.version, True),
    ]  # fmt: skip
    assert ids(made, "select selection_version from store.selection_head") == [right.selection.version]


def test_other_members_of_a_ledger_that_was_not_let_go_are_refused_still(made):
    with made.warehouse.write("damage") as con:
        con.execute("update store.ledger_row set sample_id = 's:0' where kept_position = 1")
    with pytest.raises(StoreError, match="gave .* before and gives"):
        mixed(made)


def test_ledgers_of_another_scorer_stay_whatever_is_refused(made):
    with made.warehouse.write("another embedder") as con:
        con.execute(
            "update store.ledger set spec = replace(spec, ?, ?)", [made.embedder.fingerprint.digest, "0" * 64]
        )
    put_vector(made, "t1", np.full(5, 0.3))
    assert mend.mend_embeddings(made.warehouse, "t") == 1
    assert ids(made, PRUNED) == []


def test_a_stray_file_and_a_lost_score_take_no_version_away(made):
    ((directory, version),) = made.query(
        "select directory, selection_version from store.selection where scope = 'all'"
    )
    registry = made.query(SELECTIONS)
    (made.home.root / directory / "NOTES.txt").write_text("mine")
    scores(made).delete("measure = 'quality'")
    lineage, files, *_ = check_subset(made.warehouse, "mixture", "all", 2)
    assert not lineage.passed
    assert not files.passed
    assert mend.mend_subset(made.warehouse, "mixture", "all", 2) == 0
    assert registry == made.query(SELECTIONS)
    assert ids(made, "select selection_version from store.selection_head where scope = 'all'") == [version]


@pytest.mark.parametrize("damage", ALTERED)
def test_rows_of_the_registry_are_written_again_where_the_ledger_gives_the_version(made, damage):
    tables = [
        SELECTIONS,
        "select * from store.selection_member order by 1, 2", "select * from store.selection_head order by all",
    ]  # fmt: skip
    before = [made.query(table) for table in tables]
    with made.warehouse.write("damage") as con:
        con.execute(damage)
    for kind, scope in (("source", "s"), ("source", "t"), ("mixture", "all")):
        assert mend.mend_subset(made.warehouse, kind, scope, 2) == 1
        assert mend.mend_subset(made.warehouse, kind, scope, 2) == 0
    assert [made.query(table) for table in tables] == before


def test_an_altered_version_that_no_ledger_gives_is_forgotten_and_its_folder_stays(made):
    ((directory,),) = made.query("select directory from store.selection where scope = 's'")
    with made.warehouse.write("damage") as con:
        con.execute("delete from store.ledger_row")
        con.execute("delete from store.selection_member where position = 1")
    assert mend.mend_subset(made.warehouse, "source", "s", 2) == 1
    assert ids(made, "select scope from store.selection order by 1") == ["all", "t"]
    assert (made.home.root / directory / "train.jsonl").exists()


def test_a_version_whose_rows_left_the_files_stays_though_its_ledger_was_let_go(made):
    with made.warehouse.write("damage") as con:
        con.execute("delete from store.occurrence")
        con.execute("update store.ledger set pruned_at = now()")
    before = made.query(SELECTIONS)
    assert not check_subset(made.warehouse, "source", "s", 2)[0].passed
    assert mend.mend_subset(made.warehouse, "source", "s", 2) == 0
    assert made.query(SELECTIONS) == before


def test_where_nothing_is_known_nothing_is_mended(made):
    with made.warehouse.write("damage") as con:
        con.execute("delete from store.coverage")
        con.execute("delete from store.ledger_head")
    assert mend.mend_scores(made.warehouse, "s", "complexity") == 0
    assert mend.mend_embeddings(made.warehouse, "s") == 0
    assert mend.mend_ledger(made.warehouse, "source", "s") == 0
    assert mend.mend_ledger(made.warehouse, "mixture", "nowhere") == 0
    assert mend.mend_subset(made.warehouse, "source", "s", 99) == 0


def test_a_ledger_whose_rows_left_the_files_stays(made):
    with made.warehouse.write("damage") as con:
        con.execute("delete from store.occurrence")
    assert not check_ledger(made.warehouse, "source", "s")[1].passed
    assert mend.mend_ledger(made.warehouse, "source", "s") == 0
    with made.warehouse.write("damage") as con:
        con.execute("update store.ledger_row set evol_score = null where kept_position = 1")
    assert mend.mend_ledger(made.warehouse, "source", "s") == 1


def test_mending_waits_as_long_as_scoring_may_take(made, monkeypatch):
    waited = []
    real = mend.file_lock
    monkeypatch.setattr(
        mend, "file_lock", lambda path, why, *, deadline_s=120.0: waited.append(deadline_s) or real(path, why)
    )
    mend.mend_scores(made.warehouse, "s", "quality")
    mend.mend_embeddings(made.warehouse, "s")
    assert waited == [LOCK_WAIT_S, LOCK_WAIT_S]
