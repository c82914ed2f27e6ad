"""Stores damaged behind the platform's back: the check of the asset says so, names the rows and the way out."""

from __future__ import annotations

import shutil

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from deita_assets.defs.check_records import BLOCKING
from deita_assets.engines import mend, subset_contents
from deita_assets.engines.checks.embeddings import check_embeddings
from deita_assets.engines.checks.ledgers import check_ledger
from deita_assets.engines.checks.pool import check_pool
from deita_assets.engines.checks.scored_pool import check_scored_pool
from deita_assets.engines.checks.scores import check_scores
from deita_assets.engines.checks.serving import check_serving
from deita_assets.engines.checks.subsets import check_subset
from deita_assets.engines.score_pool import score_pool
from deita_assets.errors import NotFoundError
from deita_assets.stores.home import Home
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.core.greedy_oracle import make_pool
from deita_assets_tests.engines.scopes import Scoped, chat


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    """Source `s` of 40 rows and `t` of 3, both scored; the ledger and a subset of `s`; a published copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subset_contents, "card_figure", lambda _: b"figure")
        home = Home(tmp_path_factory.mktemp("checks")).create()
        shutil.copyfile(migrated, home.warehouse)
        made = Scoped(Warehouse(home), Landing(home))
        vectors, scores = make_pool("clusters", 40, 5, "float64", 3)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        made.source("s", {f"s{n}": (1 + s, v) for n, (s, v) in enumerate(zip(scores, vectors, strict=True))})
        made.source("t", {f"t{n}": (5.0 - n, np.eye(5)[n]) for n in range(3)})
        made.subset(made.ledger("s", threshold=0.8), 6)
        publish(home)
        yield made


@pytest.fixture
def made(template, tmp_path, monkeypatch):
    """A copy to damage."""
    monkeypatch.setattr(subset_contents, "card_figure", lambda _: b"figure")
    return template.copied(tmp_path)


def looked(made, source="s"):
    """Every finding about a source, its ledger and its subset of 6, by asset and check."""
    warehouse = made.warehouse
    by_asset = {
        "raw_pool": check_pool(warehouse, source),
        "complexity_scores": check_scores(warehouse, source, "complexity"),
        "quality_scores": check_scores(warehouse, source, "quality"),
        "embeddings": check_embeddings(warehouse, source),
        "scored_pool": check_scored_pool(warehouse, source, "sum"),
        "selection_ledger": check_ledger(warehouse, "source", "s"),
        "selected_subset": check_subset(warehouse, "source", "s", 6),
        "serving_catalog": check_serving(warehouse),
    }
    return {(asset, found.check): found for asset, all_ in by_asset.items() for found in all_}


def failed(found):
    return {name for name, one in found.items() if not one.passed}


#: What is wrong with a sound home of these tests: nobody said a licence, and its quality scorer gives 1.0 to all.
USUAL = {
    ("raw_pool", "licence_present"),
    ("quality_scores", "constant_scores"),
    ("selected_subset", "licence_present"),
}


def write(made, text, *parameters):
    with made.warehouse.write("damage") as con:
        con.execute(text, list(parameters))


def table(made, name):
    return lancedb.connect(str(made.home.lance)).open_table(name)


def score_row(made, text, score, status="ok", measure="complexity"):
    """A row as `add` would append it, whatever is there."""
    key = {"complexity": "complexity_prompt_sha256", "quality": "quality_prompt_sha256"}[measure]
    ((prompt, sample_id),) = made.query(
        f"select {key}, sample_id from store.turn where instruction = ?", text
    )
    scorer = getattr(made, measure).fingerprint.digest
    rows = {
        "score_key": [f"{measure[0]}{prompt[1:]}"], "prompt_sha256": [prompt], "measure": [measure],
        "scorer_fp": [scorer], "score": pa.array([score], pa.float64()), "status": [status],
        "checksum": pa.nulls(1, pa.int64()),
    }  # fmt: skip
    return pa.table(rows, schema=table(made, "scores").schema), prompt, sample_id


def set_score(made, text, score, status="ok", measure="complexity"):
    """Put another result in the place of a stored one; returns the row's id."""
    row, prompt, sample_id = score_row(made, text, score, status, measure)
    scores = table(made, "scores")
    scores.delete(f"prompt_sha256 = '{prompt}' AND measure = '{measure}'")
    scores.add(row)
    return sample_id


def vectors(made):
    return table(made, f"embeddings_{made.embedder.fingerprint.digest[:8]}")


def set_vector(made, sample_id, numbers):
    ((content,),) = made.query("select content_sha256 from store.conversation where sample_id = ?", sample_id)
    opened = vectors(made)
    opened.delete(f"content_sha256 = '{content}'")
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.asarray(numbers, np.float16)), 5)
    opened.add(pa.table([pa.array([content]), values, pa.nulls(1, pa.int64())], schema=opened.schema))
    return content


def test_nothing_is_wrong_with_a_sound_home(made):
    found = looked(made)
    assert failed(found) == USUAL
    assert all(not one.cure for one in found.values() if one.passed)
    assert all(isinstance(n, int | float) for one in found.values() for n in one.numbers.values())
    account = found["raw_pool", "row_accounting"].numbers
    assert (account["rows_read"], account["in_pool"], account["quarantine_share"]) == (40, 40, 0.0)
    met = found["selected_subset", "budget_met"].numbers
    assert (met["budget"], met["rows"], met["short"]) == (6, 6, 0)


def test_what_is_grave_is_what_blocks(made):
    """Two modules say it: the rules, whose findings it is, and `check_records`, which automation reads."""
    kinds = {asset: f"pooled_{asset.split('_')[1]}" for asset in ("selection_ledger", "selected_subset")}
    grave = {key for key, one in looked(made).items() if one.grave}
    grave |= {(kinds[asset], check) for asset, check in grave if asset in kinds}
    assert grave == {(asset, check) for asset, checks in BLOCKING.items() for check in checks}


def test_rows_of_every_kind_are_accounted_for(made):
    rows = [chat("one"), chat("one"), chat("two"), {"messages": []}, chat("three")]
    made.ingest("u", rows)
    ((taken,),) = made.query("select sample_id from store.turn where instruction = 'three'")
    from deita_assets_tests.engines.past_versions import take_down

    take_down(made, taken)
    _, account, _ = check_pool(made.warehouse, "u")
    assert account.passed, account.message
    expected = {"rows_read": 5, "in_pool": 2, "exact_duplicates": 1, "quarantined": 1, "taken_down": 1}
    assert {name: account.numbers[name] for name in expected} == expected
    assert account.numbers["quarantine_share"] == 0.2


def test_an_empty_pool_passes(made):
    made.ingest("void", [])
    keys, account, _ = check_pool(made.warehouse, "void")
    assert keys.passed
    assert account.passed
    assert (account.numbers["rows_read"], account.numbers["quarantined"]) == (1, 1)


@pytest.mark.parametrize(
    ("damage", "expected", "said"),
    [
        (
            "insert into store.pool_row select * from store.pool_row where source = 's' limit 1",
            {"unique_keys", "row_accounting"}, "too many",
        ),
        (
            "insert into store.conversation by name select * from store.conversation where source = 's' limit 1",
            {"unique_keys"}, "41 stored conversations",
        ),
        (
            "delete from store.occurrence where sample_id = (select min(sample_id) from store.occurrence)",
            {"row_accounting"}, "in the pool in no file",
        ),
        (
            "delete from store.pool_row where sample_id = (select min(sample_id) from store.pool_row)",
            {"row_accounting"}, "1 row lost",
        ),
        (
            "update store.pool_version set n_rows = 39 where source = 's'", {"row_accounting"}, "recorded with 39 rows",
        ),
        (
            "update store.occurrence set sample_id = 's:0' where sample_id = "
            "(select min(sample_id) from store.occurrence where source = 's')",
            {"row_accounting"}, "1 row or more in the pool in no file",  # every count is as it was
        ),
    ],
)  # fmt: skip
def test_a_damaged_pool(made, damage, expected, said):
    write(made, damage)
    found = {one.check: one for one in check_pool(made.warehouse, "s") if not one.passed and one.grave}
    assert set(found) == expected
    assert any(said in one.message for one in found.values()), found
    assert all("`deita-assets withdraw s`" in one.cure for one in found.values())
    assert {one.check for one in check_pool(made.warehouse, "t") if one.grave and not one.passed} == set()


def test_a_result_stored_twice(made):
    row, prompt, _ = score_row(made, "t0", 5.0)
    table(made, "scores").add(row)
    keys = check_scores(made.warehouse, "t", "complexity")[0]
    assert (keys.passed, keys.grave, keys.examples) == (False, True, (prompt,))
    assert keys.numbers == {"stored": 4, "keys": 3, "doubled": 1}
    assert "`deita-assets curate --source t`" in keys.cure
    assert check_scores(made.warehouse, "t", "quality")[0].passed
    assert mend.mend_scores(made.warehouse, "t", "complexity") == 2
    keys, _, missing, *_ = check_scores(made.warehouse, "t", "complexity")
    assert keys.passed
    assert missing.numbers["without_result"] == 1  # as if it had never been scored
    made.cover("t")
    assert all(one.passed for one in check_scores(made.warehouse, "t", "complexity"))


@pytest.mark.parametrize(
    ("score", "status", "name"),
    [
        (float("nan"), "ok", "out_of_range"),
        (None, "ok", "out_of_range"),
        (7.0, "ok", "out_of_range"),
        (0.999, "truncated", "out_of_range"),
        (float("inf"), "fallback", "out_of_range"),
        (3.0, "too_long", "unwarranted"),
        (float("nan"), "empty_response", "unwarranted"),
    ],
)
def test_a_score_that_cannot_be(made, score, status, name):
    concerned = set_score(made, "t1", score, status)
    finite = check_scores(made.warehouse, "t", "complexity")[1]
    assert (finite.passed, finite.grave, finite.examples) == (False, True, (concerned,))
    assert finite.numbers[name] == 1
    assert "`deita-assets curate --source t`" in finite.cure
    assert check_scores(made.warehouse, "s", "complexity")[1].passed
    assert mend.mend_scores(made.warehouse, "t", "complexity") == 1
    assert check_scores(made.warehouse, "t", "complexity")[1].passed


@pytest.mark.parametrize(
    ("score", "status"), [(1.0, "ok"), (6.0, "truncated"), (3.0, "fallback"), (None, "too_long")]
)
def test_a_score_that_can_be(made, score, status):
    set_score(made, "t1", score, status)
    assert check_scores(made.warehouse, "t", "complexity")[1].passed
    assert mend.mend_scores(made.warehouse, "t", "complexity") == 0


def test_turns_without_a_result_and_why(made):
    _, prompt, sample_id = score_row(made, "t2", 1.0)
    table(made, "scores").delete(f"prompt_sha256 = '{prompt}' AND measure = 'complexity'")
    scorer = made.complexity.fingerprint.digest
    for error in ("OutOfMemoryError: the row said something private", "OutOfMemoryError: again"):
        write(
            made, "insert into store.scoring_attempt values ('complexity', 't', ?, ?, now())", scorer, error
        )
    missing = check_scores(made.warehouse, "t", "complexity")[2]
    assert (missing.passed, missing.grave, missing.examples) == (False, False, (sample_id,))
    assert "no result for 1 of 3 turns" in missing.message
    assert "2 x OutOfMemoryError" in missing.message
    assert "private" not in missing.words
    assert "materialise complexity_scores" in missing.cure


def test_statuses_scores_and_lengths_of_a_source(made):
    texts = [f"question {'long ' * n}{n}" for n in range(24)]
    made.source("u", {text: (1 + n / 6, np.eye(5)[n % 5]) for n, text in enumerate(texts)})
    for text in texts[:2]:
        set_score(made, text, None, "too_long")
    set_score(made, texts[2], 1.4, "truncated")
    found = {one.check: one for one in check_scores(made.warehouse, "u", "complexity")}
    assert not any(one.grave for one in found.values() if not one.passed)
    share = found["status_share"]
    assert (share.passed, share.numbers["share_not_ok"]) == (False, 0.125)
    assert (share.numbers["status_too_long"], share.numbers["status_truncated"]) == (2, 1)
    assert "2 too_long, 1 truncated, 12.5%" in share.message
    lengths = found["length_correlation"]
    assert (lengths.passed, lengths.numbers["spearman"]) == (False, 1.0)  # each longer one scores more
    assert found["constant_scores"].passed
    quality = {one.check: one for one in check_scores(made.warehouse, "u", "quality")}
    assert not quality["constant_scores"].passed
    assert quality["length_correlation"].numbers["spearman"] == 0.0
    assert quality["length_correlation"].passed


@pytest.mark.parametrize(
    "numbers", [[0, 0, 0, 0, 0], [2, 0, 0, 0, 0], [0.999, 0, 0, 0, 0], [np.inf, 0, 0, 0, 1]]
)
def test_a_vector_that_is_no_unit_vector(made, numbers):
    ((sample_id,),) = made.query("select sample_id from store.turn where instruction = 't0'")
    content = set_vector(made, sample_id, numbers)
    _, norms, missing = check_embeddings(made.warehouse, "t")
    assert (norms.passed, norms.grave, norms.examples) == (False, True, (content,))
    assert missing.passed
    assert "`deita-assets curate --source t`" in norms.cure
    assert all(np.isfinite(value) for value in norms.numbers.values())  # JSON has no NaN
    assert check_embeddings(made.warehouse, "s")[1].passed
    assert mend.mend_embeddings(made.warehouse, "t") == 1
    keys, norms, missing = check_embeddings(made.warehouse, "t")
    assert keys.passed
    assert norms.passed
    assert (missing.passed, missing.grave, missing.examples) == (False, False, (content,))
    made.embed("t")
    assert all(one.passed for one in check_embeddings(made.warehouse, "t"))


def test_a_vector_stored_twice(made):
    opened = vectors(made)
    opened.add(opened.search().limit(1).to_arrow().select(["content_sha256", "vector"]))
    keys = check_embeddings(made.warehouse, "s")[0]
    assert (keys.passed, keys.grave, keys.numbers["doubled"], len(keys.examples)) == (False, True, 1, 1)
    assert mend.mend_embeddings(made.warehouse, "s") == 1
    assert all(one.passed for one in check_embeddings(made.warehouse, "s"))  # the other copy is there still


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            "update store.scored_turn set score = score + 1e-15 where source = 's' and measure = 'complexity' "
            "and sample_id = (select max(sample_id) from store.scored_turn where source = 's')",
            {"stores_agree", "evol_scores"},
        ),
        ("update store.scored_turn set status = 'truncated' where source = 's'", {"stores_agree"}),
        (
            "delete from store.scored_turn where source = 's' and measure = 'quality'",
            {"stores_agree", "evol_scores"},
        ),
        ("delete from store.scored_pool where source = 's'", {"stores_agree"}),
        (
            "delete from store.scored_pool where sample_id = (select min(sample_id) from store.scored_pool where "
            "source = 's')",
            {"stores_agree"},
        ),
        (
            "insert into store.scored_pool select * from store.scored_pool where source = 's' limit 1",
            {"stores_agree", "evol_scores"},
        ),
        (
            "update store.scored_pool set evol_score = evol_score * 1.0000001 where source = 's'",
            {"evol_scores"},
        ),
        ("update store.scored_pool set turn_products = [1.0] where source = 's'", {"evol_scores"}),
    ],
)
def test_a_scored_pool_that_says_something_else(made, damage, expected):
    write(made, damage)
    found = [one for one in check_scored_pool(made.warehouse, "s", "sum") if not one.passed]
    assert {one.check for one in found} == expected
    assert all(one.grave and "`deita-assets curate --source s`" in one.cure for one in found)
    assert all(one.passed for one in check_scored_pool(made.warehouse, "t", "sum"))
    score_pool(made.warehouse, "s", "sum")
    assert all(one.passed for one in check_scored_pool(made.warehouse, "s", "sum"))


def test_lance_that_says_something_else(made):
    concerned = set_score(made, "t1", 2.25)
    agree, evol = check_scored_pool(made.warehouse, "t", "sum")
    assert (agree.passed, agree.numbers["different"], agree.examples) == (False, 1, (concerned,))
    assert evol.passed


def test_a_setting_or_a_pool_that_moved_on_is_no_fault(made):
    agree, evol = check_scored_pool(made.warehouse, "s", "mean")
    assert agree.passed
    assert evol.passed
    made.source("w", {"two turns": (2.0, np.eye(5)[0])})
    made.ingest("w", [chat("another")], name="b.jsonl")
    agree, _ = check_scored_pool(made.warehouse, "w", "sum")
    assert agree.passed
    assert "the pool is at" in agree.message


@pytest.mark.parametrize(
    ("damage", "check", "said"),
    [
        ("delete from store.ledger_row where rank = 40", "row_accounting", "39 verdicts for 40 rows"),
        ("insert into store.ledger_row from store.ledger_row where rank = 40", "row_accounting", "41 verdicts"),
        ("update store.ledger_row set kept_position = 99 where kept_position = 2", "row_accounting", "kept positions"),
        ("update store.ledger_row set rank = 41 where rank = 40", "row_accounting", "ranks are not"),
        ("update store.ledger_row set verdict = 'kepd' where rank = 40", "row_accounting", "unknown verdicts: kepd"),
        ("update store.ledger set n_rows = 39", "row_accounting", "its head tells 39 rows"),
        ("update store.ledger_row set sample_id = 's:0' where rank = 40", "row_accounting", "without a verdict"),
        (
            "update store.ledger_row set blocked_by = null where rank = "
            "(select min(rank) from store.ledger_row where verdict = 'near_duplicate')",
            "lineage_complete", "1 near-duplicate without the name of a row",
        ),
        (
            "update store.ledger_row set blocked_by = (select sample_id from store.ledger_row where kept_position = "
            "(select max(kept_position) from store.ledger_row)) where rank = "
            "(select min(rank) from store.ledger_row where verdict = 'near_duplicate')",
            "lineage_complete", "1 near-duplicate without the name of a row",
        ),
        (
            "update store.ledger_row set evol_score = null where kept_position = 3",
            "lineage_complete", "1 row without an evol_score",
        ),
    ],
)  # fmt: skip
def test_a_damaged_ledger(made, damage, check, said):
    write(made, damage)
    found = [one for one in check_ledger(made.warehouse, "source", "s") if not one.passed]
    assert check in {one.check for one in found}
    assert all(one.grave and "`deita-assets curate --source s`" in one.cure for one in found)
    assert any(said in one.message for one in found), found
    before = made.query("select ledger_id from store.ledger_head")
    assert mend.mend_ledger(made.warehouse, "source", "s") == 1
    made.ledger("s", threshold=0.8)
    assert all(one.passed for one in check_ledger(made.warehouse, "source", "s"))
    assert made.query("select ledger_id from store.ledger_head") == before
    assert mend.mend_ledger(made.warehouse, "source", "s") == 0


def test_a_kept_row_that_stands_in_no_file(made):
    ((member,),) = made.query("select sample_id from store.ledger_row where kept_position = 1")
    write(made, "delete from store.occurrence where sample_id = ?", member)
    _, lineage, _ = check_ledger(made.warehouse, "source", "s")
    assert (lineage.passed, lineage.numbers["in_no_file"], lineage.examples) == (False, 1, (member,))
    assert "`deita-assets withdraw s`" in lineage.cure
    trail = check_subset(made.warehouse, "source", "s", 6)[0]
    assert (trail.passed, trail.grave, trail.examples) == (False, True, (member,))
    assert "`deita-assets withdraw s`" in trail.cure


def test_a_member_without_scores_or_vector(made):
    ((member, text),) = made.query(
        "select r.sample_id, t.instruction from store.ledger_row r join store.turn t using (sample_id) "
        "where r.kept_position = 2"
    )
    set_score(made, text, None, "too_long", "quality")
    ((content,),) = made.query("select content_sha256 from store.conversation where sample_id = ?", member)
    vectors(made).delete(f"content_sha256 = '{content}'")
    trail = check_subset(made.warehouse, "source", "s", 6)[0]
    assert (trail.passed, trail.examples) == (False, (member,))
    assert (trail.numbers["without_score"], trail.numbers["without_vector"]) == (1, 1)
    assert "`deita-assets verify --repair`" in trail.cure


@pytest.mark.parametrize(
    "damage",
    [
        "update store.selection_member set sample_id = 's:0' where position = 3",
        "delete from store.selection_member where position = 6",
        "update store.selection set members_sha256 = 'x'",
    ],
)
def test_a_registry_that_was_altered(made, damage):
    registry = "select * exclude (created_at), created_at::varchar from store.selection"
    ((version,),) = made.query("select selection_version from store.selection_head")
    before = made.query(registry)
    write(made, damage)
    trail = check_subset(made.warehouse, "source", "s", 6)[0]
    assert (trail.passed, trail.grave) == (False, True)
    assert trail.numbers["registry_faults"] >= 1
    assert f"`deita-assets reproduce {version}`" in trail.cure
    assert mend.mend_subset(made.warehouse, "source", "s", 6) == 1
    assert made.query(registry) == before  # when and by which run it was made, too
    made.subset(made.ledger("s", threshold=0.8), 6)
    assert made.query("select selection_version from store.selection_head") == [(version,)]
    assert check_subset(made.warehouse, "source", "s", 6)[0].passed
    assert mend.mend_subset(made.warehouse, "source", "s", 6) == 0


def test_an_altered_file(made):
    ((directory, version),) = made.query("select directory, selection_version from store.selection")
    path = made.home.root / directory / "train.jsonl"
    path.write_bytes(path.read_bytes() + b"\n")
    files = check_subset(made.warehouse, "source", "s", 6)[1]
    assert (files.passed, files.grave) == (False, True)
    assert "train.jsonl" in files.message
    assert version in files.message
    assert "Move it away" in files.cure


def test_a_budget_that_cannot_be_met_says_why(made):
    made.subset(made.ledger("s", threshold=0.8), 30)
    met = check_subset(made.warehouse, "source", "s", 30)[2]
    kept = met.numbers["rows"]
    assert kept < 30
    assert (met.passed, met.grave, met.numbers["short"]) == (False, False, 30 - kept)
    assert f"{40 - kept} near_duplicate" in met.message
    assert "`deita-assets calibrate s`" in met.cure


def test_a_licence_for_every_source(made):
    write(made, "update store.source set licence = 'MIT' where source = 's'")
    assert check_pool(made.warehouse, "s")[2].passed
    assert check_subset(made.warehouse, "source", "s", 6)[3].passed
    unknown = check_pool(made.warehouse, "t")[2]
    assert (unknown.passed, unknown.grave) == (False, False)
    assert "[sources.t] licence" in unknown.cure


def test_a_published_copy_that_was_written_to(made):
    import duckdb

    made.home.serving.chmod(0o644)
    with duckdb.connect(str(made.home.serving)) as con:
        con.execute("delete from store.turn where sample_id like 't:%'")
    (agree,) = check_serving(made.warehouse)
    assert (agree.passed, agree.grave, agree.examples) == (False, True, ("turn",))
    assert "turn 40 for 43" in agree.message
    assert "`deita-assets curate`" in agree.cure
    publish(made.home)
    assert check_serving(made.warehouse)[0].passed


def test_a_warehouse_that_was_written_to_since_is_no_fault(made):
    made.ingest("later", [chat("one")])
    (agree,) = check_serving(made.warehouse)
    assert agree.passed
    assert "written to since" in agree.message


def test_what_was_never_made_says_how(made):
    for look in (
        lambda: check_scores(made.warehouse, "v", "quality"),
        lambda: check_embeddings(made.warehouse, "v"),
        lambda: check_scored_pool(made.warehouse, "v", "sum"),
        lambda: check_ledger(made.warehouse, "mixture", "all"),
        lambda: check_subset(made.warehouse, "source", "s", 7),
    ):
        with pytest.raises(NotFoundError) as caught:
            look()
        assert "curate" in caught.value.cure
