"""`lineage` against a walk through a record of what stood where, kept by the test itself."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.takedown import take_down
from deita_assets.stores import selections
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped, chat

COLUMNS = (
    "selection_version, position, sample_id, source, file, file_sha256, line, own_id, batch_id, ingest_run_id, "
    "pool_version, scorer_complexity, scorer_quality, embedder, ledger_id, verdict, rank, kept_position, evol_score, "
    "similarity, blocked_by, run_id, created_at"
)


class Files(Scoped):
    """Sources of several files; remembers which rows stood where when a version was made."""

    def __init__(self, warehouse, land):
        super().__init__(warehouse, land)
        self.landed, self.batches, self.made, self.runs = {}, {}, {}, 0

    def put(self, source, files):
        """`files`: {name: texts in order}; what is not named leaves. Rows have own ids, scores and spread vectors."""
        for name in {*self.landed.get(source, {}), *files}:
            if name in files:
                rows = [{**chat(text), "id": f"{name}-{line}"} for line, text in enumerate(files[name], 1)]
                self.land(source, name, rows)
            else:
                self.land.remove(source, name)
        for texts in files.values():
            for text in texts:
                number = int(hashlib.sha256(text.encode()).hexdigest()[:6], 16)
                self.scores[text] = 1.0 + number % 97
                self.vectors[text] = np.random.default_rng(number).normal(size=5)
        self.runs += 1
        reading = SourceReading(accept_removals=True)
        report = ingest_source(self.warehouse, source, reading, run_id=f"ingest-{self.runs}")
        shas = {name: hashlib.sha256(self.land.path(source, name).read_bytes()).hexdigest() for name in files}
        known = self.landed.get(source, {})
        for name, sha in shas.items():  # the run that brought this edition of the file, as long as it stood
            if known.get(name, (None, None))[1] != sha:
                self.batches[source, name] = f"ingest-{self.runs}"
        self.landed[source] = {name: (files[name], sha) for name, sha in shas.items()}
        self._store_results(source, report.pool_version)
        score_pool(self.warehouse, source, "sum")
        return report.pool_version

    def places(self):
        """{text: every (source, file, sha, line, own id, ingest run) of it} as things stand."""
        found = {}
        for source, files in self.landed.items():
            for name, (texts, sha) in files.items():
                for line, text in enumerate(texts, 1):
                    place = (source, name, sha, line, f"{name}-{line}", self.batches[source, name])
                    found.setdefault(text, set()).add(place)
        return found

    def select(self, *sources, budget, from_places=None, **chosen):
        ledger = self.ledger(*sources, kind="mixture", name="m", threshold=0.99, **chosen)
        with self.warehouse.write("test") as con:
            selection = selections.cut(con, ledger, budget)
            selections.register(con, selection, "nowhere", run_id="select", head=True)
        self.made[selection.version] = from_places or self.places()
        return selection.version

    def walked(self):
        """{(version, text): places} by the record."""
        names = dict(self.query("select sample_id, instruction from store.turn"))
        members = self.query("select selection_version, sample_id from store.selection_member")
        return {(version, names[name]): self.made[version][names[name]] for version, name in members}

    def told(self):
        """The same by the view."""
        names = dict(self.query("select sample_id, instruction from store.turn"))
        found = {}
        for version, name, *place in self.query(
            "select selection_version, sample_id, source, file, file_sha256, line, own_id, ingest_run_id from lineage"
        ):
            found.setdefault((version, names[name]), []).append(tuple(place))
        assert all(len(set(places)) == len(places) for places in found.values())
        return {key: set(places) for key, places in found.items()}


@pytest.fixture(scope="module")
def history(tmp_path_factory, migrated):
    """Files that come, are replaced, leave and come back; versions in between; then everything moves on."""
    home = Home(tmp_path_factory.mktemp("lineage")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Files(Warehouse(home), Landing(home))
    first = {"a.jsonl": ["one", "two", "three", "one"], "b.jsonl": ["three", "four"]}
    made.put("s", first)
    made.put("t", {"c.jsonl": ["five", "six"]})
    made.first = made.select("s", "t", budget=5)
    made.put("s", {"a.jsonl": ["three", "two"], "d.jsonl": ["seven", "two"]})
    made.second = made.select("s", "t", budget=6)
    with made.warehouse.read("test") as con:
        content = con.execute(
            "select c.content_sha256 from store.conversation c join store.turn t using (sample_id) "
            "where t.instruction = 'two'"
        ).fetchall()[0][0]
    take_down(made.warehouse, [content], "asked for")
    version = made.put("s", {"a.jsonl": ["three", "two"], "d.jsonl": ["seven", "two"]})
    made.third = made.select("s", "t", budget=6)
    # The same pool version again out of other files: rows equal, places not.
    assert made.put("s", {"e.jsonl": ["seven", "three"]}) == version
    made.fourth = made.select("s", "t", budget=2)
    made.put("s", {"f.jsonl": ["eight"]})
    # Over a frozen base: rows of it that left stand where they stood when it was made.
    places = {**made.made[made.first], **made.places()}
    made.based = made.select("s", "t", budget=7, frozen_base=made.first, from_places=places)
    made.put("t", {"g.jsonl": ["nine"]})
    places = {**places, **made.places()}
    made.twice = made.select("s", "t", budget=9, frozen_base=made.based, from_places=places)
    made.put("t", {"c.jsonl": ["six"]})
    return made


def test_every_row_of_every_version_leads_to_where_it_stood(history):
    assert history.told() == history.walked()
    assert len(history.made) == 6


def test_the_other_columns_are_those_of_the_spec_and_the_ledger(history):
    names = [row[0] for row in history.query("describe lineage")]
    assert ", ".join(names) == COLUMNS
    specs = {
        version: json.loads(spec)
        for version, spec in history.query("select selection_version, spec from store.selection")
    }
    for row in history.query("from lineage"):
        told = dict(zip(names, row, strict=True))
        version, prints = told["selection_version"], specs[told["selection_version"]]["fingerprints"]
        assert (told["scorer_complexity"], told["scorer_quality"], told["embedder"]) == (
            prints["complexity"], prints["quality"], prints["embedder"],
        )  # fmt: skip
        if version not in (history.based, history.twice):
            assert told["pool_version"] == dict(specs[version]["sources"])[told["source"]]
        assert told["run_id"] == "select"
        stored = history.query(
            "select verdict, rank, kept_position, evol_score, similarity, blocked_by from store.ledger_row "
            "where ledger_id = ? and sample_id = ?",
            told["ledger_id"], told["sample_id"],
        )  # fmt: skip
        kept = ("verdict", "rank", "kept_position", "evol_score", "similarity", "blocked_by")
        assert [tuple(told[name] for name in kept)] == stored
        assert told["kept_position"] == told["position"]
        assert told["batch_id"] in {
            batch for (batch,) in history.query(
                "select batch_id from store.ingest_batch where run_id = ?", told["ingest_run_id"])
        }  # fmt: skip


def test_rows_of_a_frozen_base_have_the_pool_version_of_the_base(history):
    based = dict(
        history.query(
            "select t.instruction, l.pool_version from lineage l join store.turn t using (sample_id) "
            "where l.selection_version = ?", history.twice,
        )
    )  # fmt: skip
    then = dict(
        history.query(
            "select distinct source, pool_version from lineage where selection_version = ?", history.first
        )
    )
    assert based["one"] == then["s"]
    assert based["five"] == then["t"]
    assert based["eight"] != then["s"]


def test_without_the_rows_of_a_ledger_nothing_is_lost(history, tmp_path):
    home = Home(tmp_path / "copy")
    shutil.copytree(history.home.root, home.root)
    before = history.query("from lineage order by all")
    with Warehouse(home).write("let go") as con:
        con.execute("delete from store.ledger_row")
        found = con.execute("from lineage order by all").fetchall()
    assert found == before
    assert sum(row[-3] is not None for row in found) > 0
