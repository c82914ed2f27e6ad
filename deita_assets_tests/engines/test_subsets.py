"""Cutting, publishing and registering: files that say what the ledger says, once and for ever."""

import hashlib
import json
import shutil
import threading
from contextlib import suppress

import numpy as np
import pyarrow.parquet as pq
import pytest

from deita_assets.engines import subset_contents
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import deepen
from deita_assets.errors import StoreError
from deita_assets.exports.jsonl import write_messages_jsonl
from deita_assets.stores import ledgers, selections
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests import crashes
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.fakes import FakeScorer
from deita_assets_tests.engines.scopes import Scoped

CALL = {"type": "function", "function": {"name": "look", "arguments": {"q": "ü", "n": [1, 2.5, None]}}}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
WITH_TOOLS = {
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "use a tool"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", **CALL}]},
        {"role": "tool", "content": "42", "tool_call_id": "c1", "name": "look"},
        {"role": "assistant", "content": "It is 42."},
    ],
    "tools": TOOLS,
}


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    home = Home(tmp_path_factory.mktemp("subsets")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Scoped(Warehouse(home), Landing(home))
    vectors = np.vstack([np.eye(5), np.eye(5)[:2]])
    made.source("s", {f"q{n}": (6.0 - n, vectors[n]) for n in range(7)})
    made.ledger("s")
    return made


@pytest.fixture(autouse=True)
def quick_figure(monkeypatch):
    """Half a second of drawing at each cut; test_subset_card has the real figure."""
    monkeypatch.setattr(subset_contents, "card_figure", lambda _: b"figure")


@pytest.fixture
def scoped(template, tmp_path):
    """Seven rows of falling score; the last two repeat the vectors of the first two."""
    return template.copied(tmp_path)


def cut(scoped, ledger, budget, trial=False, **provenance):
    return cut_subset(
        scoped.warehouse, ledger, budget, provenance={"run_id": "run"} | provenance, trial=trial
    )


def heads(scoped):
    found = scoped.query(
        "select scope_kind, scope, budget, selection_version from store.selection_head order by all"
    )
    return {row[:3]: row[3] for row in found}


def everything(folder):
    """Content, inode and time of every file: what a reader could see change."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def members(scoped, version):
    query = "select sample_id from selected where selection_version = ? order by position"
    return [name for (name,) in scoped.query(query, version)]


def kept(scoped, ledger):
    rows = [row for row in scoped.rows(ledger).values() if row[5] is not None]
    return [row[0] for row in sorted(rows, key=lambda row: row[5])]


def test_the_files_hold_the_kept_rows_in_order(scoped):
    ledger = scoped.ledger("s")
    done = cut(scoped, ledger, 4)
    order = kept(scoped, ledger)[:4]
    stored = dict(scoped.query("select sample_id, conversation from store.conversation"))
    assert (done.directory / "train.jsonl").read_bytes().decode() == "".join(
        stored[name] + "\n" for name in order
    )

    table = pq.read_table(done.directory / "data" / "train-00000-of-00001.parquet").to_pylist()
    assert [row["sample_id"] for row in table] == order
    assert [row["position"] for row in table] == [1, 2, 3, 4]
    texts = [[message["content"] for message in row["messages"]] for row in table]
    assert texts == [[f"q{n}", "answer"] for n in range(4)]
    scores = [
        (row["rank"], row["evol_score"], row["complexity"], row["quality"], row["n_turns"]) for row in table
    ]
    assert scores == [(n + 1, 6.0 - n, 6.0 - n, 1.0, 1) for n in range(4)]
    assert {row["source"] for row in table} == {"s"}


def test_the_manifest_pins_what_decided(scoped):
    scoped.ingest("s", [{"instruction": "other", "output": "x"}], name="ignored.jsonl")
    ledger = scoped.ledger("s")
    done = cut(scoped, ledger, 4, host="here")
    manifest = json.loads((done.directory / "manifest.json").read_text(encoding="utf-8"))
    order = kept(scoped, ledger)[:4]
    members_sha256 = hashlib.sha256("\n".join(order).encode()).hexdigest()
    spec = {**ledger.spec, "budget": 4}
    canonical = json.dumps({"members": order, "spec": spec}, sort_keys=True, separators=(",", ":"))
    version = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    assert done.directory == scoped.home.root / "subsets" / "source" / "s" / "4" / version
    assert (manifest["selection_version"], manifest["members_sha256"]) == (version, members_sha256)
    assert (manifest["spec"], manifest["ledger_id"], manifest["n_rows"]) == (spec, ledger.ledger_id, 4)
    assert manifest["verdicts"] == {"kept": 4, "beyond_budget": 3}
    assert manifest["mix"] == done.mix == {"s": 4}
    names = {role: manifest["fingerprints"][digest]["name"] for role, digest in spec["fingerprints"].items()}
    assert names == {"complexity": "fake", "quality": "fake", "embedder": "fake"}
    paths = [path for path in done.directory.rglob("*") if path.is_file()]
    files = {str(path.relative_to(done.directory)): sha256(path) for path in paths}
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
        name: digest for name, digest in files.items() if name not in ("manifest.json", "provenance.json")
    }
    assert {"train.jsonl", "README.md", "data/train-00000-of-00001.parquet"} <= manifest["files"].keys()
    assert json.loads((done.directory / "provenance.json").read_text()) == {"run_id": "run", "host": "here"}
    columns = "selection_version, n_rows, members_sha256, is_head, trial, run_id, directory"
    (row,) = scoped.query(f"select {columns} from selections")
    assert row == (version, 4, members_sha256, True, False, "run", f"subsets/source/s/4/{version}")


def test_conversations_with_tools_come_through_unharmed(scoped):
    scoped.scores["use a tool"] = 6.5
    scoped.vectors["use a tool"] = scoped.vectors["be brief"] = np.ones(5)
    scoped.ingest("t", [WITH_TOOLS])
    scoped.cover("t")
    score_pool(scoped.warehouse, "t", "sum")
    done = cut(scoped, scoped.ledger("t"), 1)
    assert json.loads((done.directory / "train.jsonl").read_text(encoding="utf-8")) == WITH_TOOLS
    (row,) = pq.read_table(done.directory / "data" / "train-00000-of-00001.parquet").to_pylist()
    assert json.loads(row["tools"]) == TOOLS
    messages = [
        {key: value for key, value in message.items() if value is not None} for message in row["messages"]
    ]
    messages[2] |= {"content": None, "tool_calls": json.loads(messages[2]["tool_calls"])}
    assert messages == WITH_TOOLS["messages"]


def test_publishing_again_is_a_no_op(scoped):
    ledger = scoped.ledger("s")
    first = cut(scoped, ledger, 3)
    before = everything(scoped.home.subsets), scoped.query("select * from store.selection")
    second = cut(scoped, ledger, 3, run_id="another run")
    assert (first.new, second.new) == (True, False)
    assert (first.previous, second.previous) == (None, first.selection.version)
    assert second.selection.version == first.selection.version
    assert (everything(scoped.home.subsets), scoped.query("select * from store.selection")) == before
    assert members(scoped, first.selection.version) == kept(scoped, ledger)[:3]


def test_smaller_budgets_are_prefixes_under_versions_of_their_own(scoped):
    ledger = scoped.ledger("s")
    cuts = [cut(scoped, ledger, budget) for budget in (1, 3, 5)]
    versions = [done.selection.version for done in cuts]
    assert len(set(versions)) == 3
    lines = [(done.directory / "train.jsonl").read_bytes().splitlines() for done in cuts]
    assert lines[0] == lines[2][:1]
    assert lines[1] == lines[2][:3]
    expected = {("source", "s", budget): version for budget, version in zip((1, 3, 5), versions, strict=True)}
    assert heads(scoped) == expected


def test_a_budget_that_the_pool_cannot_fill(scoped):
    done = cut(scoped, scoped.ledger("s"), 100)
    assert len(done.selection.members) == 5
    assert done.counts == {"kept": 5, "near_duplicate": 2}
    assert scoped.query("select budget, n_rows from selections") == [(100, 5)]
    full = cut(scoped, scoped.ledger("s"), 5)
    assert full.selection.version != done.selection.version
    assert full.selection.members_sha256 == done.selection.members_sha256


def test_a_shallow_ledger_is_deepened_first(scoped):
    ledger = scoped.ledger("s", threshold=0.8, budget=1)
    done = cut(scoped, ledger, 4)
    assert (ledger.n_kept, done.selection.ledger.n_kept, len(done.selection.members)) == (1, 4, 4)
    to_the_end = scoped.ledger("s", threshold=0.8)
    assert cut(scoped, to_the_end, 4).selection.version == done.selection.version


def test_nothing_to_select(scoped):
    scoped.source("t", {"long": (None, np.ones(5))})
    done = cut(scoped, scoped.ledger("t"), 10)
    assert done.selection.members == ()
    assert done.counts == {"unscored": 1}
    assert (done.directory / "train.jsonl").read_bytes() == b""
    assert pq.read_table(done.directory / "data" / "train-00000-of-00001.parquet").num_rows == 0


@pytest.mark.parametrize("name", ["train.jsonl", "README.md", "data/train-00000-of-00001.parquet"])
def test_an_altered_subset_is_found(scoped, name):
    ledger = scoped.ledger("s")
    done = cut(scoped, ledger, 3)
    path = done.directory / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"{name}: found"):
        cut(scoped, ledger, 3)


def test_a_trial_is_registered_and_moves_no_head(scoped):
    lasting = cut(scoped, scoped.ledger("s"), 3)
    before = heads(scoped)
    ledger = scoped.ledger("s", threshold=-0.5, trial=True)
    trial = cut(scoped, ledger, 3, trial=True)
    assert heads(scoped) == before == {("source", "s", 3): lasting.selection.version}
    query = "select trial, is_head from selections where selection_version = ?"
    assert scoped.query(query, trial.selection.version) == [(True, False)]
    assert trial.previous == lasting.selection.version
    changes = "select change, count(*) from selection_diff(?, ?) group by 1 order by 1"
    assert scoped.query(changes, lasting.selection.version, trial.selection.version) == [
        ("removed", 2), ("unchanged", 1),
    ]  # fmt: skip
    cut(scoped, scoped.ledger("s", trial=True), 3, trial=True)  # a trial of what is lasting
    assert scoped.query(query, lasting.selection.version) == [(False, True)]
    cut(scoped, scoped.ledger("s", threshold=-0.5), 3)  # the trial is made lasting
    assert scoped.query(query, trial.selection.version) == [(False, True)]


@pytest.mark.parametrize(
    ("place", "stands"),
    [
        pytest.param("deita_assets.engines.subset_contents:write_parquet", False, marks=pytest.mark.slow),
        pytest.param("deita_assets.stores.subsets:_write_json", False, marks=pytest.mark.slow),
        ("pathlib:Path.rename", False),
        ("deita_assets.stores.selections:register", True),
    ],
)
def test_killed_while_publishing(scoped, place, stands):
    """The folder is there as a whole or not at all, and the next call completes files and registry."""
    ledger = scoped.ledger("s")
    assert crashes.run(crashes.cut, scoped.home, ledger.ledger_id, 3, kill_at=place) == crashes.KILLED
    parent = scoped.home.subsets / "source" / "s" / "3"
    folders = [path.name for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert len(folders) == stands
    assert scoped.query("select * from selections") == []
    done = cut(scoped, ledger, 3)
    assert done.new is not stands
    assert heads(scoped) == {("source", "s", 3): done.selection.version}
    assert [path for path in parent.iterdir() if path.is_dir()] == [done.directory]
    assert (done.directory / "train.jsonl").read_bytes().count(b"\n") == 3


def test_two_processes_cut_the_same_at_once(scoped):
    ledger = scoped.ledger("s")
    processes = [crashes.start(crashes.cut, scoped.home, ledger.ledger_id, 3) for _ in range(3)]
    assert [crashes.finish(process) for process in processes] == [0, 0, 0]
    assert scoped.query("select count(*) from selections") == [(1,)]
    assert scoped.query("select count(*) from store.selection_member") == [(3,)]


def test_one_version_is_written_by_one_process_at_a_time(scoped, monkeypatch):
    ledger = scoped.ledger("s")
    other = threading.Barrier(2, timeout=0.7)
    results = []

    def slow(path, rows):
        with suppress(threading.BrokenBarrierError):
            other.wait()
            results.append("two at once")
        return write_messages_jsonl(path, rows)

    monkeypatch.setattr(subset_contents, "write_messages_jsonl", slow)
    threads = [threading.Thread(target=lambda: results.append(cut(scoped, ledger, 3).new)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, True]


def test_the_same_spec_with_other_members_is_an_alarm(scoped):
    ledger = scoped.ledger("s")
    cut(scoped, ledger, 3)
    with scoped.warehouse.write("damage") as con:
        con.execute(
            "update store.ledger_row set kept_position = 5 - kept_position where kept_position in (2, 3)"
        )
    before = heads(scoped)
    with pytest.raises(StoreError, match=f"ledger {ledger.ledger_id} at budget 3 gave .* before"):
        cut(scoped, ledger, 3)
    assert heads(scoped) == before


def test_scores_of_later_scorers_are_not_passed_off_as_those_of_the_selection(scoped):
    ledger = scoped.ledger("s")
    scoped.complexity = FakeScorer("complexity", table=dict.fromkeys(scoped.scores, 1.0), version=2)
    scoped.score("s", scoped.complexity)
    score_pool(scoped.warehouse, "s", "sum")
    done = cut(scoped, ledger, 2)
    table = pq.read_table(done.directory / "data" / "train-00000-of-00001.parquet").to_pylist()
    assert [(row["evol_score"], row["complexity"], row["quality"]) for row in table] == [
        (6.0, 6.0, 1.0), (5.0, 5.0, 1.0),
    ]  # fmt: skip
    found = scoped.query("select distinct scorer_complexity from lineage")
    assert found == [(ledger.spec["fingerprints"]["complexity"],)]


def test_a_version_stays_when_the_pool_moves_on(scoped):
    old = scoped.ledger("s")
    first = cut(scoped, old, 3)
    before = everything(first.directory)
    scoped.source("s", {"fresh": (6.0, np.ones(5))})
    second = cut(scoped, scoped.ledger("s"), 3)
    assert second.previous == first.selection.version != second.selection.version
    assert len(second.selection.members) == 1
    assert everything(first.directory) == before
    assert cut(scoped, deepen(scoped.warehouse, old, 3), 3).selection.version == first.selection.version


def test_members_stream_out_in_order_however_many(scoped, monkeypatch):
    monkeypatch.setattr(selections, "STREAM_ROWS", 2)
    ledger = scoped.ledger("s")
    with scoped.warehouse.read("test") as con:
        selection = selections.cut(con, ledger, 5)
        streamed = list(selections.member_rows(con, scoped.warehouse.home, selection))
        again = list(selections.member_rows(con, scoped.warehouse.home, selection))
    assert [row["position"] for row in streamed] == [1, 2, 3, 4, 5]
    assert streamed == again
    assert isinstance(streamed[0]["conversation"], dict)


def test_a_mixture_counts_its_sources(scoped):
    with scoped.warehouse.write("licence") as con:
        con.execute("update store.source set licence = 'CC0' where source = 's'")
    scoped.source("t", {f"t{n}": (3.5, np.eye(5)[n] + np.eye(5)[(n + 1) % 5]) for n in range(3)})
    done = cut(scoped, scoped.ledger("s", "t", name="m"), 5)
    assert done.mix == {"s": 3, "t": 2}
    assert done.directory.parent == scoped.home.subsets / "mixture" / "m" / "5"
    card = (done.directory / "README.md").read_text(encoding="utf-8")
    assert "| s | CC0 | 7 | 70.0% | 3 | 60.0% |" in card
    assert "| t | **unknown** | 3 | 30.0% | 2 | 40.0% |" in card
    assert done.selection.version in card


def test_an_unregistered_ledger_is_not_found(scoped):
    with scoped.warehouse.read("test") as con:
        assert ledgers.find_ledger(con, "0" * 16) is None
        assert selections.head_members(con, "source", "s", 3) is None
