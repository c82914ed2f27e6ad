"""Anything that a user may do, in any order, beside a model of a few dictionaries.

The model knows files, take-downs, the scorer's edition and the settings; what must be selected of them is found by
comparing every pair of rows, one multiplication at a time. Kills are real ones, of a process of their own.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from deita_assets.engines.compact import compact_home
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.export import export_version
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.reproduce import reproduce
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import make_ledger
from deita_assets.engines.takedown import take_down
from deita_assets.engines.withdrawal import move_out
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.subsets import check_folder
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests import crashes
from deita_assets_tests.cli.commands import chat
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.fakes import FakeEmbedder, Study, hash_score
from deita_assets_tests.engines.scopes import expected_rows
from deita_assets_tests.faults.invariant import Look
from deita_assets_tests.faults.journeys import AskedEmbedder, AskedScorer, Asking, content_of, without_figure
from deita_assets_tests.faults.matrix import Fault

GROUP = "crash"
SOURCES, DIMENSION = ("a", "b"), 3
FILES = ("one.jsonl", "two.jsonl", "three.jsonl")
#: Rows are numbers: few, so that files share some, and sources too.
TEXTS = st.lists(st.integers(0, 14), min_size=1, max_size=6)
PLACES = (
    "deita_assets.stores.pool:rebuild_pool", "deita_assets.stores.pool:save_batch",
    "deita_assets.stores.vectors:_insert", "deita_assets.stores.scored:save_coverage",
    "deita_assets.stores.scored:replace_scored_pool", "deita_assets.stores.ledgers:save_ledger",
    "deita_assets.stores.subsets:_write_json", "deita_assets.stores.selections:register",
)  # fmt: skip


def conversation(n: int) -> dict[str, Any]:
    return chat(f"question {n}", f"answer {n}")


class EditedScorer(AskedScorer):
    """Other weights, other scores."""

    def _score(self, instruction, response):
        edition = self.fingerprint.spec["version"]
        return hash_score(f"{self.measure} {edition}", instruction, response)


class Life(Study):
    """One home, done something to."""

    def __init__(self, root: Path, edition: int) -> None:
        home = Home(root)
        super().__init__(
            Warehouse(home, deadline_s=60), Landing(home), EditedScorer(home, "complexity", version=edition),
            EditedScorer(home, "quality", version=edition), AskedEmbedder(home, DIMENSION),
        )  # fmt: skip

    def read(self) -> None:
        for source in SOURCES:
            if any(self.home.source_landing(source).glob("*.jsonl")) or source in self.known():
                ingest_source(self.warehouse, source, SourceReading(accept_removals=True))

    def known(self) -> list[str]:
        return [name for (name,) in self.query("select source from store.source order by 1")]

    def covered(self, aggregation: str) -> tuple[str, ...]:
        """Sources with rows, scored and embedded."""
        sources = tuple(source for source in self.known() if self.pool(source))
        for source in sources:
            self.cover(source)
            score_pool(self.warehouse, source, aggregation)
        return sources

    def pool(self, source: str) -> list[str]:
        found = self.query("select sample_id from pool where source = ? order by 1", source)
        return [name for (name,) in found]

    def select(self, chosen: Any, *, trial: bool = False) -> Any:
        """(ledger, cut) of mixture `all`; None where there is nothing to select."""
        threshold, budget, aggregation = chosen
        sources = self.covered(aggregation)
        if not sources:
            return None
        parameters = SelectionParameters(threshold, aggregation=aggregation)
        ledger = make_ledger(
            self.warehouse, Scope("mixture", "all", sources), parameters, budget=budget, trial=trial
        )
        with without_figure():
            return ledger, cut_subset(self.warehouse, ledger, budget, provenance={"run_id": "r"}, trial=trial)


def curate(root: Path, edition: int, chosen: Any) -> None:
    """What a user runs who wants everything current, for a process of its own."""
    life = Life(root, edition)
    life.read()
    life.select(chosen)


class AnyOrder(RuleBasedStateMachine):
    """The home and the model of it."""

    migrated: Path

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="any-order-"))
        home = Home(self.folder / "home").create()
        shutil.copyfile(self.migrated, home.warehouse)
        self.files: dict[str, dict[str, list[int]]] = {source: {} for source in SOURCES}
        self.read: dict[str, dict[str, list[int]]] = {source: {} for source in SOURCES}
        self.taken: set[int] = set()
        self.edition, self.chosen = 1, (0.9, 3, "sum")
        self.versions: dict[str, list[str]] = {}
        self.head: str | None = None
        self.n_exports, self.n_withdrawn = itertools.count(), 0
        self.life = Life(home.root, self.edition)
        self.asking = Asking(self.life)
        self.published: dict[str, str] = {}
        self.lands("a", FILES[0], [*range(8)])
        self.lands("b", FILES[0], [5, 9, 10, 11])
        self.selects()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(source=st.sampled_from(SOURCES), name=st.sampled_from(FILES), texts=TEXTS)
    def lands(self, source: str, name: str, texts: list[int]) -> None:
        """A new file, or another edition of one that stands."""
        self.life.land(source, name, [conversation(n) for n in texts])
        self.files[source][name] = texts

    @rule()
    def ingests(self) -> None:
        self.life.read()
        self.is_read()

    def is_read(self) -> None:
        self.read = {source: dict(files) for source, files in self.files.items()}

    @rule(source=st.sampled_from(SOURCES), name=st.sampled_from(FILES))
    def withdraws(self, source: str, name: str) -> None:
        if name in self.files[source]:
            move_out(self.life.home, source, [name])
            del self.files[source][name]

    @rule(n=st.integers(0, 14))
    def takes_down(self, n: int) -> None:
        take_down(self.life.warehouse, [content_of(conversation(n))], "asked")
        known = {source: self.life.query(
            "select count(*) from store.conversation where content_sha256 = ?", content_of(conversation(n))
        ) for source in SOURCES}  # fmt: skip
        if any(count != [(0,)] for count in known.values()):
            self.taken.add(n)

    @rule()
    def changes_the_scorer(self) -> None:
        self.edition = 3 - self.edition
        self.life = Life(self.life.home.root, self.edition)

    @rule(
        threshold=st.sampled_from([-0.2, 0.5, 0.9]), budget=st.sampled_from([1, 3, 6]),
        aggregation=st.sampled_from(["sum", "mean"]),
    )  # fmt: skip
    def changes_settings(self, threshold: float, budget: int, aggregation: str) -> None:
        self.chosen = (threshold, budget, aggregation)

    @rule(place=st.sampled_from(PLACES), calls=st.integers(1, 3))
    def is_killed(self, place: str, calls: int) -> None:
        """A whole `curate`, killed if it comes by there so often; the next rule goes on from there."""
        root = self.life.home.root
        code = crashes.run(curate, root, self.edition, self.chosen, kill_at=place, calls=calls)
        assert code in (0, crashes.KILLED)
        self.follow()

    def follow(self) -> None:
        """What a run that was cut off had done: each source is as it was, or as its files say."""
        for source in SOURCES:
            if self.life.pool(source) == self.ids(self.files[source], source):
                self.read[source] = dict(self.files[source])
        heads = self.heads()
        if heads and heads[0] != self.head:
            self.head = heads[0]
            self.versions[self.head] = self.members(self.head)

    @rule()
    def selects(self) -> None:
        self.ingests()
        self.decided(self.life.select(self.chosen), self.chosen, trial=False)

    @rule(threshold=st.sampled_from([0.0, 0.7]))
    def tries(self, threshold: float) -> None:
        """A trial moves no current selection."""
        chosen = (threshold, *self.chosen[1:])
        before = self.heads()
        self.decided(self.life.select(chosen, trial=True), chosen, trial=True)
        assert self.heads() == before

    def decided(self, made: Any, chosen: Any, *, trial: bool) -> None:
        candidates = self.candidates()
        if made is None:
            assert candidates == []
            return
        ledger, cut = made
        threshold, budget, _ = chosen
        rows = expected_rows(candidates, threshold, None, SOURCES)
        kept = sorted((row for row in rows.values() if row[2] == "kept"), key=lambda row: row[5])
        version = cut.selection.version
        assert [member.sample_id for member in cut.selection.members] == [row[0] for row in kept[:budget]]
        found = self.life.query(
            "select sample_id, verdict, blocked_by from store.ledger_row "
            "where ledger_id = ? and verdict <> 'unvisited'",
            ledger.ledger_id,
        )
        assert found
        for name, verdict, blocked_by in found:
            assert (verdict, blocked_by) == (rows[name][2], rows[name][6])
        self.versions[version] = self.members(version)
        if not trial:
            self.head = version
            assert self.heads() == [version]

    @precondition(lambda self: self.head)
    @rule()
    def exports(self) -> None:
        out = self.folder / f"export-{next(self.n_exports)}"
        export_version(self.place(self.head), out, form="jsonl")
        assert (out / "train.jsonl").read_bytes() == (self.place(self.head) / "train.jsonl").read_bytes()

    @rule()
    def compacts(self) -> None:
        compact_home(self.life.warehouse, keep_hours=0)

    @precondition(lambda self: self.versions)
    @rule(at=st.integers(0, 100))
    def reproduces(self, at: int) -> None:
        """Any version that ever was, from rows and scores as they were then."""
        version = sorted(self.versions)[at % len(self.versions)]
        with without_figure():
            done = reproduce(self.life.warehouse, version)
        assert done.verdict == "identical", done.values()

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "life"):
            return
        look = Look.at(self.life.home)
        for source, account in look.accounts.items():
            assert account.balanced, (source, account)
        with self.life.warehouse.read("look") as con:
            pools = con.execute(
                "select source, list(sample_id order by sample_id) from pool group by 1"
            ).fetchall()
            members = con.execute(
                "select selection_version, list(sample_id order by position) from store.selection_member group by 1"
            ).fetchall()
            folders = con.execute("select directory from store.selection").fetchall()
        expected = {source: self.ids(self.read[source], source) for source in SOURCES}
        assert dict(pools) == {source: ids for source, ids in expected.items() if ids}
        assert self.versions.items() <= dict(members).items()
        subsets = {
            name: sha
            for name, sha in look.published.items()
            if name.startswith("subsets/") and "/." not in name
        }
        assert self.published.items() <= subsets.items()
        self.published = subsets
        self.asking.since()
        for (directory,) in folders:
            check_folder(self.life.home.root / directory)

    def ids(self, files: dict[str, list[int]], source: str) -> list[str]:
        numbers = {n for texts in files.values() for n in texts} - self.taken
        return sorted(f"{source}:{content_of(conversation(n))[:32]}" for n in numbers)

    def candidates(self) -> list[tuple[Any, ...]]:
        """(sample_id, content, source, evol_score, vector) of every row of the model."""
        embedder = FakeEmbedder(DIMENSION)
        found = []
        for source in SOURCES:
            for n in {n for texts in self.read[source].values() for n in texts} - self.taken:
                content, text, answer = content_of(conversation(n)), f"question {n}", f"answer {n}"
                complexity, quality = (
                    hash_score(f"{m} {self.edition}", text, answer if m == "quality" else "")
                    for m in ("complexity", "quality")
                )
                vector = np.asarray(embedder._vector(text), np.float32).astype(np.float16)
                found.append((f"{source}:{content[:32]}", content, source, complexity * quality, vector))
        return found

    def heads(self) -> list[str]:
        budget = self.chosen[1]
        rows = self.life.query("select selection_version from store.selection_head where budget = ?", budget)
        return [version for (version,) in rows]

    def members(self, version: str) -> list[str]:
        rows = self.life.query(
            "select sample_id from store.selection_member where selection_version = ? order by position",
            version,
        )
        return [name for (name,) in rows]

    def place(self, version: str | None) -> Path:
        ((directory,),) = self.life.query(
            "select directory from store.selection where selection_version = ?", version
        )
        return self.life.home.root / str(directory)


ANY_ORDER = Fault(
    "59", "anything in any order, kills among it", "ingest, change, withdraw, take down, kill, select, ... (generated)",
    "safe",
)  # fmt: skip


_AS_THE_MODEL = "pools, verdicts, versions and bytes are those of a model of three dictionaries"


def _in_any_order(migrated: Path, examples: int, steps: int) -> None:
    AnyOrder.migrated = migrated
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck), print_blob=False,
        ),
    )  # fmt: skip


#: One order by default, in which every rule takes part once at least.
SOME_ORDER = (
    ("lands", "a", FILES[1], [12, 13, 2]),
    ("is_killed", PLACES[2], 2),
    ("takes_down", 3),
    ("is_killed", PLACES[6], 2),
    ("selects",),
    ("exports",),
    ("changes_settings", 0.5, 3, "mean"),
    ("withdraws", "b", FILES[0]),
    ("changes_the_scorer",),
    ("selects",),
    ("tries", 0.0),
    ("compacts",),
    ("reproduces", 0),
    ("reproduces", 1),
)


def test_in_some_order(migrated, witness):
    AnyOrder.migrated = migrated
    life = AnyOrder()
    try:
        life.begin()
        for name, *arguments in SOME_ORDER:
            getattr(life, name)(*arguments)
            life.nothing_is_lost()
        assert len(life.versions) >= 3
    finally:
        life.teardown()
    witness(ANY_ORDER, _AS_THE_MODEL)


@pytest.mark.slow
def test_in_any_order(migrated, witness):
    _in_any_order(migrated, examples=12, steps=16)
    witness(ANY_ORDER, _AS_THE_MODEL, times=12)
