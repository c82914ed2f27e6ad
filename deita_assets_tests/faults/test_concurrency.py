"""Several processes on one home: each thing is done once, waiting has an end, and readers see one whole state.

Processes are real ones, set off together; models are fakes that write down what they are asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from deita_assets.engines import ingest
from deita_assets.engines.ingest import ingest_source
from deita_assets.errors import DeitaError, LockTimeoutError, SourceFileError
from deita_assets.stores import lock
from deita_assets.stores.home import Home
from deita_assets.stores.new_folder import new_folder
from deita_assets.stores.serving import open_serving
from deita_assets.stores.vectors import EmbeddingTable
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests import crashes
from deita_assets_tests.cli.commands import command_line, deita, environment, write_jsonl
from deita_assets_tests.conftest import Landing
from deita_assets_tests.faults.journeys import STEPS, Journey, Standing, arrived, asked, assert_clean, row
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.faults.watching import watched_all_the_time
from deita_assets_tests.soak import invariants

GROUP = "concurrency"


def together(*tasks: tuple[Any, ...]) -> None:
    """Processes that begin at once, each a task and its arguments; all have to end well."""
    begin = crashes.barrier(len(tasks))
    running = [crashes.start(after_all, begin, *task) for task in tasks]
    assert [crashes.finish(process) for process in running] == [0] * len(tasks)


def after_all(begin: Any, task: Callable[..., None], *arguments: Any) -> None:
    """A task that waits for the others first; what it needs is loaded by then."""
    if task is go_abreast:
        importlib.import_module("lancedb")
    begin.wait()
    task(*arguments)


def go_abreast(root: Path, abreast: Any) -> None:
    """The whole way, each step begun at the same moment as by the other process."""
    for take in Journey(Home(root)).steps.values():
        abreast.wait(60)
        take()


TWO = Fault(
    "62", "two processes curate one home at once", "the whole way in two processes, readers beside", "safe"
)


def test_two_curate_at_once_and_readers_look_on(world, tmp_path, witness):
    """One of two has nothing left to do, whichever it is at each step; the reader never sees half of anything."""
    with (
        world.copy(STEPS[0], tmp_path / "homes", "two") as journey,
        watched_all_the_time(tmp_path / "homes", tmp_path / "report.json") as watch,
    ):
        assert len(asked(journey.home)) == len(set(asked(journey.home)))
        with duckdb.connect(str(journey.home.serving), read_only=True) as reader:
            count = "select count(*) from pool"
            before = reader.execute(count).fetchall()
            abreast = crashes.barrier(2)
            together(*[(go_abreast, journey.home.root, abreast)] * 2)
            assert reader.execute(count).fetchall() == before  # an open reader keeps what it opened
        with open_serving(journey.home) as reader:
            assert reader.execute(count).fetchall() != before
        assert len(asked(journey.home)) == len(set(asked(journey.home))), "both computed the same"
        assert Standing.of(journey) == world.untouched
        assert_clean(journey)
    assert watch.faults == ()
    assert watch.looks > 1
    witness(TWO, "each result computed once; one version; nothing half done was visible")


def ingest_one(root: Path, source: str) -> None:
    ingest_source(Warehouse(Home(root)), source)


SOURCES = Fault("62", "two processes ingest at once", "one source, and two others, in four processes", "safe")


def test_ingests_of_one_source_and_of_others(home, warehouse, witness):
    land = Landing(home)
    for source in ("a", "b", "c"):
        land(source, "a.jsonl", [row(source, n) for n in range(20)])
    together(*((ingest_one, home.root, source) for source in ("a", "a", "b", "c")))
    with warehouse.read("test") as con:
        assert con.execute("select source, count(*) from pool group by 1 order by 1").fetchall() == [
            ("a", 20), ("b", 20), ("c", 20),
        ]  # fmt: skip
        assert (
            con.execute(
                "select source, count(*) from store.ingest_batch group by 1 having count(*) > 1"
            ).fetchall()
            == []
        )
    witness(SOURCES, "each row once, one batch for each source")


WRITERS = Fault(
    "62", "several processes insert vectors of the same keys", "four processes, five keys a commit", "safe"
)


def test_lance_writers_of_the_same_keys(home, witness):
    home.create()
    begin = crashes.barrier(4)
    fingerprint, numbers = hashlib.sha256(b"writers").hexdigest(), range(30)
    running = [
        crashes.start(crashes.insert_vectors, home, fingerprint, [*numbers[at:], *numbers[:at]], 3, begin)
        for at in (0, 10, 20, 0)
    ]
    assert [crashes.finish(process) for process in running] == [0] * 4
    table = EmbeddingTable(home, fingerprint)
    keys = [hashlib.sha256(str(n).encode()).hexdigest() for n in numbers]
    assert table._table.count_rows() == len(keys)
    assert table.contents() == set(keys)
    witness(WRITERS, f"{len(keys)} keys, {len(keys)} rows")


def first_command(root: Path, source: str) -> None:
    home = Home(root).create()
    ingest_one(home.root, source)


FRESH = Fault("62", "two first commands on a fresh home", "{}", "safe")


def fresh_fault(how: str) -> Fault:
    return Fault(FRESH.number, FRESH.what, how, FRESH.outcome)


def test_first_commands_on_a_fresh_home(tmp_path, witness):
    home = Home(tmp_path / "home")
    for source in ("a", "b", "c"):
        Landing(home)(source, "a.jsonl", [row(source, n) for n in range(5)])
    together(*((first_command, home.root, source) for source in ("a", "b", "c")))
    with Warehouse(home).read("test") as con:
        assert con.execute("select count(*), count(distinct source) from pool").fetchall() == [(15, 3)]
    witness(fresh_fault("three processes that make it and ingest"), "all three complete")


@dataclass(frozen=True)
class Lock:
    """A lock that another process holds.

    Attributes:
        name: of the lock's file, below the home.
        waits: what has to wait for it, on a journey whose lock waits are short.
    """

    what: str
    name: str
    waits: Callable[[Journey], Any]

    @property
    def fault(self) -> Fault:
        return Fault("61", f"a lock is held: {self.what}", f"`{self.name}` by another process", "retried")


def _complexity_lock(journey: Journey) -> str:
    return f"complexity-{journey.complexity.fingerprint.digest}.lock"


LOCKS = [
    Lock("the warehouse, to write", "warehouse.lock", lambda j: j.takes_down()),
    Lock("the warehouse, to read", "warehouse.lock", lambda j: j.query("select 1")),
    Lock("the warehouse, to publish", "warehouse.lock", lambda j: j.publishes()),
    Lock("ingest of a source", "locks/ingest-s.lock", lambda j: j.ingests()),
    Lock("withdrawal from a source", "locks/ingest-s.lock", lambda j: j.withdraws()),
    Lock("scoring with one scorer", "locks/complexity-FINGERPRINT.lock", lambda j: j.scores()),
    Lock("a subset of one scope and budget", "locks/subset-mixture-all-5.lock", lambda j: j.selects()),
    Lock("upkeep", "locks/compact.lock", lambda j: j.compacts()),
]


@pytest.fixture
def impatient(monkeypatch):
    """Every wait ends after a moment; what is said then stays."""
    wait = lock._wait
    monkeypatch.setattr(lock, "_wait", lambda *given: wait(*given[:-1], min(given[-1], 0.2)))
    yield


@pytest.fixture(scope="module")
def standing(world, tmp_path_factory):
    """A home to look at locks in; nothing comes through."""
    with world.copy(STEPS[0], tmp_path_factory.mktemp("locks"), "held") as journey:
        journey.adds()
        yield journey


@pytest.mark.parametrize("held", LOCKS, ids=lambda one: one.what.replace(" ", "-"))
def test_a_held_lock_names_its_holder(held, standing, impatient, witness):
    before = arrived(standing)
    path = standing.home.root / held.name.replace("FINGERPRINT", standing.complexity.fingerprint.digest)
    ready = crashes.event()
    holder = crashes.start(crashes.hold_lock, path, "count sheep", False, ready)
    assert ready.wait(60)
    with contextlib.ExitStack() as stack:
        stack.callback(crashes.kill, holder)
        with pytest.raises(LockTimeoutError) as caught:
            held.waits(standing)
    assert f"pid {holder.pid} (count sheep)" in caught.value.message
    assert "serving.duckdb" in caught.value.cure
    assert arrived(standing) == before
    witness(held.fault, "LockTimeoutError: still held after its deadline by pid N (purpose)")


FOREIGN = Fault(
    "61", "the warehouse is open in another program", "a DuckDB client that knows no lock", "retried"
)


def hold_database(path: Path, ready: Any) -> None:
    con = duckdb.connect(str(path))
    ready.set()
    time.sleep(60)
    con.close()


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_a_program_that_knows_no_lock_is_waited_for_and_named(write, world, tmp_path, witness):
    with world.copy(STEPS[0], tmp_path, "foreign") as journey:
        ready = crashes.event()
        holder = crashes.start(hold_database, journey.home.warehouse, ready)
        assert ready.wait(60)
        impatient = Warehouse(journey.home, deadline_s=0.3)
        try:
            with (
                pytest.raises(LockTimeoutError) as caught,
                (impatient.write if write else impatient.read)("look"),
            ):
                pass
        finally:
            ending = threading.Timer(0.3, crashes.kill, [holder])
            ending.start()
        assert f"pid {holder.pid}" in caught.value.message
        assert "serving.duckdb" in caught.value.cure
        assert journey.query("select count(*) from pool") == [(20,)]  # waits until it is gone
        ending.join()
        witness(
            FOREIGN,
            "LockTimeoutError: open in another program, pid N; waits as long as the deadline, and goes on",
        )


def fill(target: Path, ready: Any) -> None:
    with new_folder(target):
        ready.set()
        time.sleep(60)


def test_an_export_to_a_folder_that_another_one_fills(tmp_path, witness):
    target, ready = tmp_path / "train", crashes.event()
    holder = crashes.start(fill, target, ready)
    assert ready.wait(60)
    with pytest.raises(DeitaError, match="being filled by another process") as caught, new_folder(target):
        pass
    crashes.kill(holder)
    with new_folder(target) as partial:
        (partial / "a").write_text("a")
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
    fault = Fault("62", "two exports to one folder", "the other process was killed then", "refused")
    witness(
        fault,
        f"{type(caught.value).__name__}: is being filled by another process; after its end it completes",
    )


CHANGES = {
    "grows": lambda path: path.write_bytes(path.read_bytes() * 2),
    "is replaced": lambda path: write_jsonl(path.with_suffix(".new"), [row("s", 99)]).replace(path),
    "leaves": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_changes_while_it_is_read(change, home, warehouse, monkeypatch, witness):
    """Its rows would stand under the checksum of other bytes."""
    land = Landing(home)
    land("s", "a.jsonl", [row("s", n) for n in range(5)])
    assert ingest_source(warehouse, "s").n_pool == 5
    path = land("s", "b.jsonl", [row("s", n) for n in range(5, 10)])
    add_file = ingest.Stage.add_file

    def disturbed(stage, *given):
        done = add_file(stage, *given)
        CHANGES[change](path)
        return done

    with (
        monkeypatch.context() as patch,
        pytest.raises(SourceFileError, match="changed while it was read") as caught,
    ):
        patch.setattr(ingest.Stage, "add_file", disturbed)
        ingest_source(warehouse, "s")
    assert ingest_source(warehouse, "s").n_pool == {"grows": 10, "is replaced": 6, "leaves": 5}[change]
    assert list(home.staging.iterdir()) == []
    fault = Fault(
        "67", f"a file {change} while it is read", "between two rows of its source's ingest", "error"
    )
    witness(fault, f"{type(caught.value).__name__}: changed while it was read; the next run reads it anew")


def test_a_file_that_is_being_copied_is_no_file_yet(home, warehouse, witness):
    land = Landing(home)
    land("s", "a.jsonl", [row("s", n) for n in range(5)])
    for name in ("b.jsonl.part", ".b.jsonl.77.part", "b.tmp", "b.jsonl.crdownload"):
        land("s", name, b'{"messages": [{"role": "us')
    report = ingest_source(warehouse, "s")
    assert (report.n_read, report.n_pool, report.n_quarantined) == (5, 5, 0)
    fault = Fault(
        "67",
        "a file that is being copied",
        "names that end in .part or .tmp, or are hidden",
        "safe",
    )
    witness(fault, f"{report.n_read} rows read, all of them of finished files")


def _ended(*commands: subprocess.Popen[str]) -> list[tuple[int, str]]:
    done = [(command, *command.communicate(timeout=400)) for command in commands]
    return [(command.returncode, err) for command, _, err in done]


def started(*arguments: str, home: Path, program: str | None = None) -> subprocess.Popen[str]:
    python, _, text, *rest = command_line(home, *arguments)
    return subprocess.Popen(
        [python, "-c", program or text, *rest], env=environment(DEITA_SCORER__NAME="heuristic"), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
def test_first_commands_of_the_command_line_on_a_fresh_home(tmp_path, witness):
    home = tmp_path / "home"
    files = [
        write_jsonl(tmp_path / f"{name}.jsonl", [row(name, n) for n in range(5)]) for name in ("a", "b", "c")
    ]
    ended = _ended(*(started("add", file.stem, str(file), home=home) for file in files))
    assert [code for code, _ in ended] == [0, 0, 0], ended
    rows = deita(home, "sql", "select source, count(*) as n from pool group by 1 order by 1", "--json")
    assert rows.document == [{"source": source, "n": 5} for source in ("a", "b", "c")]
    witness(fresh_fault("`add` of three sources"), "all three complete")


#: What a daemon's run does: the assets of the graph, one by one, in a process of its own.
_AS_A_DAEMON = """
import sys, dagster as dg
from deita_assets.definitions import build_defs
from deita_assets.defs.automation.staleness import SOURCE_ASSETS
from deita_assets.defs.instance import open_instance
from deita_assets.stores.home import Home
home = Home.at(sys.argv[2])
instance = open_instance(home)
instance.add_dynamic_partitions("source", ["a"])
job = build_defs(home_path=str(home.root)).resolve_implicit_global_asset_job_def()
for asset in SOURCE_ASSETS:
    assert job.execute_in_process(
        instance=instance, partition_key="a", asset_selection=[dg.AssetKey(asset)]
    ).success
"""


@pytest.mark.slow
def test_a_curate_and_a_run_of_the_daemon(tmp_path, witness):
    """Real commands: each waits for the other's locks, and both end in one version."""
    home = tmp_path / "home"
    (home / "landing" / "a").mkdir(parents=True)
    write_jsonl(home / "landing" / "a" / "a.jsonl", [row("a", n) for n in range(24)])
    curate = ("curate", "--source", "a", "--budget", "10", "--json")
    ended = _ended(started(*curate, home=home), started(home=home, program=_AS_A_DAEMON))
    assert [code for code, _ in ended] == [0, 0], ended
    history = invariants.open_history(home)
    assert invariants.keys_twice(home) == {}
    assert invariants.scored_twice(home, history) == {}
    assert invariants.live_runs(history) == []
    (head,) = invariants.heads(home)
    assert head == ("source", "a", 10)
    how = "`curate`, and the assets one by one in another process"
    fault = Fault("62", "the command line and a daemon's run at once", how, "safe")
    witness(fault, "both complete; each result computed once; one version")
