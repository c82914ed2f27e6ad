"""What an audit says of damage inside the warehouse and of subset folders, and what a repair makes of it."""

import json
import shutil
import threading

import numpy as np
import pytest

from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.select import make_ledger
from deita_assets.errors import StoreError
from deita_assets.stores import let_go
from deita_assets.stores.lance_rows import TableRows
from deita_assets.stores.lance_salvage import finish_salvages, salvage
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.vectors import EmbeddingTable
from deita_assets_tests.faults.damaged_home import (
    EMBEDDER,
    SCORES,
    VECTORS,
    copied,
    data_files,
    files_of,
    flip,
    flip_vector,
    made,
    without_checksums,
    without_figure,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    return made(tmp_path_factory.mktemp("verify"), migrated)


@pytest.fixture
def home(template, tmp_path):
    return copied(template, tmp_path)


def kinds(audit):
    return {(one.part, one.kind) for one in audit.damage}


def sample(home, text):
    ((sample_id,),) = home.query("select sample_id from store.turn where instruction = ?", text)
    return sample_id


def test_a_sound_home_is_sound_and_nothing_is_written(home):
    before = files_of(home.home.root)
    audit = home.audit()
    assert (audit.damage, audit.notes, audit.unchecked) == ([], [], {})
    looked_at = {part.name: part.looked_at for part in audit.parts}
    assert looked_at.pop("warehouse.duckdb") == looked_at.pop("serving.duckdb") > 200
    assert looked_at == {
        "conversations": 30, "sources": 1, f"lance/{VECTORS}": 30, "lance/scores": 60, "mirrored scores": 60,
        "versions": 1, "subsets": 1,
    }  # fmt: skip
    after = files_of(home.home.root)
    assert {name for name in after if before.get(name) != after[name]} <= {"warehouse.lock"} | {
        name for name in after if name.endswith(".lock")
    }


def test_altered_texts_are_read_again_from_their_lines(home):
    was = (
        home.query("select * from store.conversation order by 1"),
        home.query("select * from store.turn order by 1, 2"),
    )
    ids = [sample(home, "question 4"), sample(home, "question 7"), sample(home, "question 25")]
    home.write("update store.conversation set conversation = '{}' where sample_id = ?", ids[0])
    home.write("update store.turn set instruction = 'other' where sample_id = ?", ids[1])
    home.write("update store.conversation set content_sha256 = 'no' where sample_id = ?", ids[2])
    audit = home.audit()
    (damage,) = audit.of("text")
    assert set(damage.ids) == set(ids)
    assert "landing/tea/" in damage.message
    home.repair(audit)
    assert home.asked() == {}
    assert home.audit().sound
    assert was == (
        home.query("select * from store.conversation order by 1"),
        home.query("select * from store.turn order by 1, 2"),
    )


@pytest.mark.slow
def test_a_text_whose_file_is_gone_stays_named(home):
    home.write(
        "update store.conversation set conversation = '{}' where sample_id = ?", sample(home, "question 4")
    )
    path = home.home.source_landing("tea") / "a.jsonl"
    path.write_text("another file\n", encoding="utf-8")
    home.repair()
    (damage,) = home.audit().damage
    assert (damage.kind, damage.ids) == ("text", (sample(home, "question 4"),))
    assert "landing/tea/a.jsonl:5" in damage.message


@pytest.mark.slow
def test_references_and_accounts(home):
    lost = sample(home, "question 4")
    home.write("delete from store.conversation where sample_id = ?", lost)
    audit = home.audit()
    assert {("warehouse.duckdb", "astray"), ("sources", "account")} <= kinds(audit)
    assert all(one.ids == (lost,) for one in audit.of("astray"))
    assert not any(one.repairable for one in audit.of("astray"))


def test_a_mirror_that_differs_is_made_again(home):
    changed = sample(home, "question 4")
    home.write(
        "update store.scored_turn set score = 2.5 where sample_id = ? and measure = 'quality'", changed
    )
    audit = home.audit()
    (damage,) = audit.of("mirror")
    assert (damage.n, damage.ids) == (1, (changed,))
    assert home.repair(audit) == []
    assert home.asked() == {}
    assert home.audit().sound


def verdicts(home):
    """The rows of a ledger at a threshold at which many rows are too similar."""
    ledger = make_ledger(
        home.warehouse, Scope("mixture", "all", ("tea",)), SelectionParameters(0.3), budget=30
    )
    columns = "sample_id, rank, verdict, blocked_by, similarity"
    return home.query(
        f"select {columns} from store.ledger_row where ledger_id = ? order by 2", ledger.ledger_id
    )


def unranked(template, folder):
    """A home without ledgers: a new one takes over what the last one had found."""
    home = copied(template, folder)
    for table in ("ledger_row", "ledger_head", "ledger"):
        home.write(f"delete from store.{table}")
    return home


def copy_vector(home):
    """The vector of the second best row is that of the best one, and its checksum stays."""
    best, second = (
        content
        for (content,) in home.query(
            "select content_sha256 from store.scored_pool order by evol_score desc limit 2"
        )
    )
    values = {"vector": home.vector(best).tolist()}
    home.table(VECTORS).update(where=f"content_sha256 = '{second}'", values=values)


def change_mirror(home):
    """A score is another one in the warehouse alone, and what is ranked by it."""
    home.write(
        "update store.scored_turn set score = 6.0 where score = (select min(score) from store.scored_turn)"
    )
    home.write(
        "update store.scored_pool set turn_products = [36.0] "
        "where evol_score = (select min(evol_score) from store.scored_pool)"
    )


@pytest.mark.parametrize("damage", [copy_vector, change_mirror])
def test_a_ledger_made_of_damage_is_let_go_and_made_again(damage, template, tmp_path):
    right, home = verdicts(unranked(template, tmp_path / "sound")), unranked(template, tmp_path / "damaged")
    damage(home)
    assert verdicts(home) != right
    assert home.repair() == []
    assert [said for said in home.said if "let go" in said]
    assert list(let_go.marked(home.home)) == ["mixture:all"]
    assert home.query("select count(*) from store.ledger_row") == [(0,)]
    assert verdicts(home) == right


def test_ledgers_stay_when_nothing_that_they_read_was_damaged(home):
    before = home.query("select * from store.ledger_row order by all")
    home.write(
        "update store.conversation set conversation = '{}' where sample_id = ?", sample(home, "question 4")
    )
    (home.subset / "README.md").chmod(0o644)
    flip(home.subset / "README.md", 30)
    assert home.repair() == []
    assert home.query("select * from store.ledger_row order by all") == before
    assert let_go.marked(home.home) == {}


@pytest.mark.slow
def test_an_altered_registry_is_told(home):
    home.write("update store.selection_member set rank = rank, sample_id = 'tea:x' where position = 2")
    audit = home.audit()
    (damage,) = audit.of("registry")
    assert (damage.ids, damage.repairable) == ((home.version,), False)


FOLDERS = {
    "altered train.jsonl": lambda folder: flip(folder / "train.jsonl", 30),
    "altered Parquet file": lambda folder: flip(folder / "data" / "train-00000-of-00001.parquet", 300),
    "altered card": lambda folder: flip(folder / "README.md", 30),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "no train.jsonl": lambda folder: (folder / "train.jsonl").unlink(),
    "no folder": shutil.rmtree,
    "a second Parquet file": lambda folder: (folder / "data" / "more.parquet").write_bytes(b"PAR1"),
}


_BY_DEFAULT = ("altered train.jsonl", "no folder")
_MARKED = [how if how in _BY_DEFAULT else pytest.param(how, marks=pytest.mark.slow) for how in FOLDERS]


@pytest.mark.parametrize("how", _MARKED)
def test_a_damaged_folder_is_set_aside_and_published_again(home, how):
    published, folder = files_of(home.subset), home.subset
    FOLDERS[how](folder)
    damaged = files_of(folder)
    audit = home.audit()
    (damage,) = audit.damage
    assert (damage.part, damage.kind, damage.ids) == ("subsets", "folder", (folder.name,))
    with without_figure():
        assert home.repair(audit) == []
    again = files_of(folder)
    assert again.pop("provenance.json") != published.pop("provenance.json")
    assert again == published
    assert home.audit().sound
    if damaged:
        (aside,) = home.home.damaged.rglob(f"{folder.name}-1")
        assert files_of(aside) == damaged


def test_a_folder_whose_ledger_has_no_rows_any_more_says_so(home):
    published, folder = files_of(home.subset), home.subset
    ((ledger_id,),) = home.query("select ledger_id from store.selection")
    home.write("delete from store.ledger_row where ledger_id = ?", ledger_id)
    home.write("update store.ledger set pruned_at = current_timestamp where ledger_id = ?", ledger_id)
    shutil.rmtree(folder)
    assert home.repair() == []
    again, card = files_of(folder), (folder / "README.md").read_text()
    rows = ("train.jsonl", "data/train-00000-of-00001.parquet")
    assert {name: again[name] for name in rows} == {name: published[name] for name in rows}
    assert "had been let go" in card
    assert "turns of a row" not in card
    assert "card.png" not in again
    assert "card.png" not in card
    manifest = json.loads(again["manifest.json"])
    assert (manifest["mean_turns"], manifest["verdicts"]) == (None, {})
    assert home.audit().sound


def test_a_folder_that_would_be_another_one_stays(home):
    folder = home.subset
    (member, *_) = home.query("select sample_id from store.selection_member order by position")
    home.write(
        "update store.conversation set conversation = replace(conversation, 'answer', 'another') where sample_id = ?",
        member[0],
    )
    for file in home.home.source_landing("tea").iterdir():
        file.unlink()
    flip(folder / "README.md", 30)
    damaged = files_of(folder)
    with without_figure():
        (failed,) = home.repair()
    assert "train.jsonl" in failed
    assert files_of(folder) == damaged
    assert ("subsets", "folder") in kinds(home.audit())


@pytest.mark.slow
def test_folders_of_no_version_and_leftovers_are_no_damage(home):
    shutil.copytree(home.subset, home.subset.with_name("0" * 16))
    home.subset.with_name(".new-1").mkdir()
    audit = home.audit()
    assert audit.sound
    assert [part.orphans for part in audit.parts if part.name == "subsets"] == [1]
    assert any("compact" in note for note in audit.notes)


def test_tables_of_before_there_were_checksums(home):
    whole = {name: home.rows(name) for name in (VECTORS, SCORES)}
    without_checksums(home)
    assert len(home.query("select 1 from store.coverage")) == 3
    home.ingest(
        "tea", [{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}], "c"
    )
    home.cover("tea")  # the columns come with the first writes
    audit = home.audit()
    assert audit.unchecked == {VECTORS: 30, SCORES: 60}
    home.repair(audit)
    assert home.asked() == {}
    assert home.audit().unchecked == {}
    for name, rows in whole.items():
        again = home.rows(name)
        assert {key: again[key] for key in rows} == rows


@pytest.mark.slow
def test_orphans_are_counted(home):
    EmbeddingTable(home.home, EMBEDDER, 16).insert(["ab" * 32], np.full((1, 16), 0.25))
    audit = home.audit()
    assert audit.sound
    assert {part.name: part.orphans for part in audit.parts}[f"lance/{VECTORS}"] == 1


def test_rows_that_come_meanwhile_are_not_damage(home, monkeypatch):
    from deita_assets.engines import verify_lance

    read = verify_lance._read

    def late(*arguments):
        table = read(*arguments)
        if table.name == VECTORS and not home.query("select 1 from store.file where uri = 'late.jsonl'"):
            chat = [{"role": "user", "content": "late"}, {"role": "assistant", "content": "a"}]
            home.ingest("tea", [{"messages": chat}], "late.jsonl")
            home.cover("tea")
        return table

    monkeypatch.setattr(verify_lance, "_read", late)
    audit = home.audit()
    assert audit.of("missing") == audit.of("mirror") == []
    assert any("changed meanwhile" in note for note in audit.notes)


@pytest.mark.slow
def test_runs_go_on_while_it_reads(home):
    """The lock is free between any two reads: a writer gets in while an audit is under way."""
    entered, free = threading.Event(), threading.Event()

    def on_part(part, done, total):
        entered.set()
        assert free.wait(30)

    from deita_assets.engines.verify import verify

    found = []
    audit = threading.Thread(target=lambda: found.append(verify(home.warehouse, on_part)))
    audit.start()
    assert entered.wait(30)
    home.write("update store.source set licence = 'CC0-1.0'")
    free.set()
    audit.join()
    assert {one.kind for one in found[0].damage} <= {"differs"}


def test_a_salvage_that_was_killed_is_completed(home):
    from functools import partial

    from deita_assets.engines.verify_lance import off_length
    from deita_assets.stores import lance_salvage
    from deita_assets.stores.lance_audit import judge_vectors

    whole = home.rows(VECTORS)
    path = max(data_files(home, VECTORS), key=lambda one: one.stat().st_size)
    path.unlink()

    class KilledError(Exception):
        pass

    def killed(*arguments):
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lance_salvage, "_put_in_place", killed)
        with pytest.raises(KilledError):
            salvage(home.home, VECTORS, partial(judge_vectors, off=off_length))
    with pytest.raises(StoreError, match="cannot be opened"):
        TableRows.at(home.home.lance, VECTORS)
    home.repair()
    assert home.asked() == {"embedding": 15}
    assert home.rows(VECTORS) == whole
    assert finish_salvages(home.home) == []
    assert home.audit().sound


def test_a_repair_that_was_killed_is_completed(home):
    whole = home.rows(VECTORS)
    flip_vector(home, home.contents[7])

    def killed(source, assets):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            home.repair()
    (damage,) = home.audit().damage
    assert (damage.kind, damage.n) == ("missing", 1)
    assert home.repair() == []
    assert home.asked() == {"embedding": 1}
    assert home.rows(VECTORS) == whole
