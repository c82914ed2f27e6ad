"""What reproducing says when something was tampered with: verdict, first difference, what is gone or altered."""

import hashlib
import json
import shutil

import lancedb
import numpy as np
import pyarrow.parquet as pq
import pytest

from deita_assets.engines.reproduce import reproduce
from deita_assets_tests.engines.past_versions import change, folder_of, licence, members, missing

PARQUET = "data/train-00000-of-00001.parquet"
SAME_ROWS = "same rows, other writer version"


@pytest.fixture
def scoped(past_template, tmp_path):
    """A home to be changed, and a version in it."""
    made, versions = past_template
    return made.copied(tmp_path), versions["selector repr_filter"]


def test_an_altered_score(scoped):
    scoped, version = scoped
    first = members(scoped, version)[0]
    ((prompt,),) = scoped.query("select complexity_prompt_sha256 from store.turn where sample_id = ?", first)
    table = lancedb.connect(str(scoped.home.lance)).open_table("scores")
    table.update(where=f"prompt_sha256 = '{prompt}'", values={"score": 0.5})
    done = reproduce(scoped.warehouse, version)
    assert done.verdict == "different"
    assert done.difference.where == "members"
    assert done.difference.facts["position"] == 1
    assert done.difference.facts["published"] == first
    assert missing(done) == [("altered", "scores")]
    assert "stored scores of 1 rows are not those of the version" in done.missing[0].message
    assert first in done.missing[0].message
    with scoped.warehouse.write("prune") as con:  # the members tell it too
        con.execute("delete from store.ledger_row")
    assert missing(reproduce(scoped.warehouse, version)) == [("altered", "scores")]


@pytest.mark.slow
def test_lost_scores(scoped):
    scoped, version = scoped
    digest = scoped.complexity.fingerprint.digest
    prompts = [
        prompt for (prompt,) in scoped.query(
            "select complexity_prompt_sha256 from store.turn where starts_with(sample_id, 'b:') limit 4"
        )
    ]  # fmt: skip
    listed = ", ".join(f"'{prompt}'" for prompt in prompts)
    lancedb.connect(str(scoped.home.lance)).open_table("scores").delete(
        f"measure = 'complexity' and prompt_sha256 in ({listed})"
    )
    done = reproduce(scoped.warehouse, version)
    (lost,) = [one.message for one in done.missing if one.state == "gone"]
    assert lost == f"4 of 30 complexity scores of b by {digest} (fake) are gone"
    shutil.rmtree(scoped.home.lance / "scores.lance")
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "rebuild")
    assert done.difference.message == "LanceDB has no table scores: every score is gone"
    assert not (scoped.home.lance / "scores.lance").exists()


@pytest.mark.parametrize("pruned", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_deleted_embedding(scoped, pruned):
    scoped, version = scoped
    second = members(scoped, version)[1]
    ((content,),) = scoped.query("select content_sha256 from store.conversation where sample_id = ?", second)
    fingerprint = scoped.embedder.fingerprint.digest
    table = lancedb.connect(str(scoped.home.lance)).open_table(f"embeddings_{fingerprint[:8]}")
    table.delete(f"content_sha256 = '{content}'")
    if pruned:
        change(scoped, "delete from store.ledger_row")
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.facts["position"]) == ("different", 2)
    assert missing(done) == [("gone", "vectors")]
    assert done.missing[0].message == (
        f"1 vectors of embedder {fingerprint} are gone; rows without: {second}."
    )


@pytest.mark.slow
def test_rows_that_never_had_a_vector_are_not_missed(scoped):
    scoped, _ = scoped
    scoped.source("z", {"zero": (5.0, np.zeros(5)), "one": (4.0, np.eye(5)[0])})
    version = scoped.subset(scoped.ledger("z"), 2).selection.version
    assert missing(reproduce(scoped.warehouse, version)) == []
    change(scoped, "delete from store.ledger_row")
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, missing(done)) == ("identical", [])


def test_an_altered_text(scoped):
    scoped, version = scoped
    third, other = members(scoped, version)[2], None
    chosen = set(members(scoped, version))
    for row in sorted(scoped.query("select sample_id from store.pool_row where source = 'b'")):
        other = other or (row[0] if row[0] not in chosen else None)
    change(scoped, "update store.conversation set conversation = replace(conversation, 'answer', 'Answer') "
                   "where sample_id = ?", third)  # fmt: skip
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "train.jsonl")
    assert done.difference.facts["line"] == 3
    assert missing(done) == [("altered", "text")]
    assert f"the text of 1 rows is not the one that was read: {third};" in done.missing[0].message
    change(scoped, "update store.conversation set conversation = replace(conversation, 'Answer', 'answer')")
    change(
        scoped, "update store.conversation set conversation = conversation || ' ' where sample_id = ?", other
    )
    done = reproduce(scoped.warehouse, version)  # of no influence, and said all the same
    assert (done.verdict, missing(done)) == ("identical", [("altered", "text")])


@pytest.mark.slow
def test_lost_rows_and_turns(scoped):
    scoped, version = scoped
    chosen = members(scoped, version)
    change(scoped, "delete from store.turn where sample_id = ?", chosen[3])
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, ("gone", "turns") in missing(done)) == ("different", True)
    change(scoped, "delete from store.conversation where sample_id = ?", chosen[4])
    done = reproduce(scoped.warehouse, version)
    assert {("gone", "text"), ("altered", "pool"), ("gone", "turns")} <= set(missing(done))
    assert any(f"{chosen[4]} among them" in one.message for one in done.missing)


@pytest.mark.slow
def test_an_altered_turn(scoped):
    scoped, version = scoped
    row = members(scoped, version)[0]
    change(scoped, "update store.turn set instruction = instruction || '!' where sample_id = ?", row)
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, missing(done)) == ("identical", [("altered", "turns")])
    control = "bell \x07 and unit \x1f"
    scoped.source("c", {control: (4.0, np.ones(5))})
    version = scoped.subset(scoped.ledger("c"), 1).selection.version
    assert missing(reproduce(scoped.warehouse, version)) == []


@pytest.mark.slow
def test_a_pool_version_that_is_not_in_the_history(scoped):
    scoped, version = scoped
    ((pinned,),) = scoped.query("select pool_version from store.pool_version where source = 'b'")
    change(scoped, "delete from store.pool_version where source = 'b'")
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "rebuild")
    assert f"b has no pool version {pinned} in its history" in [one.message for one in done.missing]


def test_an_altered_member_of_the_registry(scoped):
    scoped, version = scoped
    chosen = members(scoped, version)
    change(scoped, "update store.selection_member set sample_id = ? where selection_version = ? and position = 2",
           "b:" + "0" * 32, version)  # fmt: skip
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "registry")
    assert done.difference.facts["position"] == 2
    assert chosen[1] in done.difference.message
    assert "what is rebuilt has the right one" in done.difference.message
    assert ("altered", "registry") in missing(done)
    assert done.compared["version_rebuilt"] == version


@pytest.mark.slow
@pytest.mark.parametrize("column", ["evol_score", "rank"])
def test_an_altered_number_in_the_registry(scoped, column):
    scoped, version = scoped
    change(scoped, f"update store.selection_member set {column} = {column} + 1 "  # noqa: S608 - named above
                   "where selection_version = ? and position = 3", version)  # fmt: skip
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "members")
    assert (done.difference.facts["position"], done.difference.facts["key"]) == (3, column)


@pytest.mark.slow
def test_an_altered_spec_in_the_registry(scoped):
    """The manifest's is the one that the version is the hash of, and is gone by."""
    scoped, version = scoped
    change(
        scoped,
        "update store.selection set spec = replace(spec, '0.8', '0.7') where selection_version = ?",
        version,
    )
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "registry")
    assert "spec: selector.threshold was 0.7, is 0.8" in done.difference.message
    assert done.compared["version_rebuilt"] == version


@pytest.mark.slow
def test_another_algorithm_or_fingerprint(scoped):
    scoped, version = scoped
    ((text, ids),) = scoped.query(
        "select s.spec, list(m.sample_id order by m.position) from store.selection s "
        "join store.selection_member m using (selection_version) where selection_version = ? group by 1", version,
    )  # fmt: skip
    old = {**json.loads(text), "algorithm": "selection/0"}
    canonical = json.dumps({"members": ids, "spec": old}, sort_keys=True, separators=(",", ":"))
    aged = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    for table in ("selection", "selection_member"):
        change(
            scoped,
            f"update store.{table} set selection_version = ? where selection_version = ?",
            aged,
            version,
        )  # noqa: S608
    change(scoped, "update store.selection set spec = ? where selection_version = ?", json.dumps(old), aged)
    change(scoped, "update store.fingerprint set spec = '{}' where kind = 'embedder'")
    change(scoped, "delete from store.fingerprint where kind = 'scorer'")
    done = reproduce(scoped.warehouse, aged)
    assert (done.verdict, done.difference.where) == (
        "different",
        "manifest.json",
    ) or done.difference.where == "spec"
    assert ("gone", "algorithm") in missing(done)
    assert any("made by selection/0" in one.message for one in done.missing)
    assert {("gone", "fingerprint"), ("altered", "fingerprint")} <= set(missing(done))


@pytest.mark.slow
def test_a_frozen_base_that_is_gone_or_altered(past_template, tmp_path):
    made, versions = past_template
    scoped = made.copied(tmp_path)
    base, version = versions["frozen base"], versions["base of a base"]
    change(scoped, "update store.selection_member set sample_id = sample_id || 'x' "
                   "where selection_version = ? and position = 1", versions["selector repr_filter"])  # fmt: skip
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, missing(done)) == ("identical", [("altered", "frozen_base")])
    change(scoped, "delete from store.selection_member where selection_version = ? and position = 1", base)
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, set(missing(done))) == ("different", {("altered", "frozen_base")})
    assert done.difference.message.startswith("spec: frozen_base.members_sha256 was")
    change(scoped, "delete from store.selection where selection_version = ?", base)
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "rebuild")
    assert f"frozen base {base} is not in the registry any more" in [one.message for one in done.missing]


@pytest.mark.slow
def test_a_licence_that_nothing_tells_any_more(past_template, tmp_path):
    made, versions = past_template
    scoped = made.copied(tmp_path)
    licence(scoped, "a", "CC-BY-4.0")
    shutil.rmtree(folder_of(scoped, versions["licences"]))
    done = reproduce(scoped.warehouse, versions["licences"])
    assert (done.verdict, done.difference.facts["key"]) == ("different", "filters.excluded_sha256")
    assert set(missing(done)) == {("gone", "files"), ("gone", "licence")}
    assert any(
        "a had is not known; it counts under its present one, CC-BY-4.0" in m.message for m in done.missing
    )


def test_a_folder_that_is_gone(scoped):
    scoped, version = scoped
    shutil.rmtree(folder_of(scoped, version))
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, missing(done)) == ("identical", [("gone", "files")])
    assert done.compared["against"] == ["registry"]
    assert "compared with the registry alone" in done.missing[0].message


def test_an_altered_jsonl(scoped):
    scoped, version = scoped
    path = folder_of(scoped, version) / "train.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[4].replace(b"answer", b"ANSWER"), *lines[5:]]))
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "train.jsonl")
    assert done.difference.facts["line"] == 5
    assert "what is rebuilt is what the manifest pins" in done.difference.message
    path.unlink()
    assert reproduce(scoped.warehouse, version).difference.message.startswith("train.jsonl is gone")


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "snappy"},
        *(pytest.param(one, marks=pytest.mark.slow) for one in ({"row_group_size": 3}, {"version": "1.0"})),
    ],
)
def test_a_parquet_file_of_another_writer(scoped, options):
    scoped, version = scoped
    path = folder_of(scoped, version) / PARQUET
    pq.write_table(pq.read_table(path), path, **options)
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference) == (SAME_ROWS, None)
    manifest = folder_of(scoped, version) / "manifest.json"  # as a later pyarrow would have published it
    pinned = json.loads(manifest.read_text())
    pinned["files"][PARQUET]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(pinned))
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, missing(done)) == (SAME_ROWS, [])


@pytest.mark.slow
def test_an_altered_parquet_file(scoped):
    scoped, version = scoped
    path = folder_of(scoped, version) / PARQUET
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[3]["quality"] = 5.5
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.message) == (
        "different",
        f"{PARQUET} row 4: quality was 5.5, is 1.0",
    )
    pq.write_table(table.slice(0, 5), path)
    assert "row 6: no row was there" in reproduce(scoped.warehouse, version).difference.message
    pq.write_table(table.drop_columns(["rank"]), path)
    assert "column rank was None, is int64" in reproduce(scoped.warehouse, version).difference.message
    path.write_bytes(b"PAR1")
    assert "cannot be read" in reproduce(scoped.warehouse, version).difference.message


@pytest.mark.slow
def test_scores_that_were_not_known_at_publication_are_no_difference(scoped):
    scoped, version = scoped
    path = folder_of(scoped, version) / PARQUET
    table = pq.read_table(path)
    rows = [{**row, "complexity": None} for row in table.to_pylist()]
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    done = reproduce(scoped.warehouse, version)
    assert done.verdict == SAME_ROWS
    assert any("of 12 rows were not known" in one.message for one in done.findings)


@pytest.mark.slow
def test_other_things_about_the_folder(scoped):
    scoped, version = scoped
    folder = folder_of(scoped, version)
    (folder / "README.md").write_text("mine")
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, missing(done)) == ("identical", [("altered", "files")])
    shutil.copyfile(folder / PARQUET, folder / "data" / "train-00001-of-00001.parquet")
    done = reproduce(scoped.warehouse, version)
    assert done.difference.message == "data/train-00001-of-00001.parquet is not in the manifest"
    (folder / "manifest.json").write_text("{}")
    done = reproduce(scoped.warehouse, version)
    assert (done.verdict, done.difference.where) == ("different", "manifest.json")
    assert done.compared["rows"] == 12
