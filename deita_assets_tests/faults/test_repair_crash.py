"""SIGKILL in the middle of `verify --repair`: the next one ends where one ends that was never killed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from deita_assets.engines.cut import cut_subset
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.select import make_ledger
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Scope
from deita_assets_tests import crashes
from deita_assets_tests.faults.damaged_home import (
    SCORES,
    VECTORS,
    DamagedHome,
    copied,
    data_files,
    files_of,
    flip,
    flip_score,
    flip_vector,
    made,
    newest_manifest,
    used_blocks,
    without_figure,
)
from deita_assets_tests.faults.matrix import Fault

GROUP = "crash"


@dataclass(frozen=True)
class Case:
    """One kill.

    Attributes:
        table: what of the vectors is damaged besides, a name of `TABLES`.
        place: function at whose call the process is killed, `module:attribute`.
        calls: the how-manieth call.
        default: run without being asked for.
    """

    table: str
    place: str
    calls: int = 1
    default: bool = False

    def __str__(self) -> str:
        return f"{self.table}-{self.place.rpartition(':')[2]}-{self.calls}".replace(" ", "-")


#: How the table of vectors is damaged; everything else in a home is, too.
TABLES = {
    "a bit": lambda home: flip_vector(home, home.contents[7]),
    "a file": lambda home: data_files(home, VECTORS)[0].unlink(),
    "the manifest": lambda home: newest_manifest(home, VECTORS).write_bytes(b""),
}
_REPAIR, _SALVAGE = "deita_assets.engines.verify_repair", "deita_assets.stores.lance_salvage"
CASES = [
    Case("a bit", "deita_assets.engines.verify_texts:_read_again"),
    Case("a bit", "deita_assets.engines.verify_republish:set_aside"),
    Case("a bit", "deita_assets.engines.verify_republish:publish_folder", default=True),
    Case("a bit", "deita_assets.stores.subsets:_write_json"),
    Case("a bit", "deita_assets.stores.marks:add"),
    Case("a bit", "deita_assets.stores.let_go:rows_of", default=True),
    Case("a bit", f"{_REPAIR}:drop_rows"),
    Case("a bit", f"{_REPAIR}:drop_rows", calls=2),
    Case("a bit", f"{_REPAIR}:_run"),
    Case("a bit", "deita_assets.stores.vectors:_insert"),
    Case("a bit", "deita_assets.stores.vectors:_insert", calls=2),
    Case("a bit", "deita_assets.stores.scored:replace_scored_turns"),
    Case("a bit", "deita_assets.stores.serving:_copy_in_child"),
    Case("a file", f"{_REPAIR}:salvage"),
    Case("a file", f"{_SALVAGE}:_insert"),
    Case("a file", f"{_SALVAGE}:set_aside"),
    Case("a file", "pathlib:Path.rename", calls=2),
    Case("a file", "pathlib:Path.rename", calls=3, default=True),
    Case("a file", "pathlib:Path.rename", calls=4),
    Case("a file", f"{_SALVAGE}:_put_in_place"),
    Case("the manifest", f"{_SALVAGE}:_readable"),
    Case("the manifest", "pathlib:Path.rename", calls=3),
    Case("the manifest", f"{_SALVAGE}:_put_in_place", default=True),
    Case("the manifest", "shutil:rmtree", calls=2),
]
_MARKED = [case if case.default else pytest.param(case, marks=pytest.mark.slow) for case in CASES]


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    return made(tmp_path_factory.mktemp("repair"), migrated)


def damage(home: DamagedHome, table: str) -> None:
    """A text, scores, mirrored scores, vectors, the folder of the version and the serving copy at once."""
    (row, *_) = home.query("select sample_id from store.conversation order by content_sha256")
    home.write(
        "update store.conversation set conversation = replace(conversation, 'answer', 'answer!') where sample_id = ?",
        row[0],
    )
    home.write("update store.scored_turn set score = score + 0.5 where measure = 'quality'")
    flip_score(home, sorted(home.rows(SCORES))[5])
    flip(home.subset / "train.jsonl", 30)
    flip(home.home.serving, used_blocks(home.home.serving)[0] + 100)
    TABLES[table](home)


def repair(root: Path) -> None:
    """For a process of its own."""
    with without_figure():
        DamagedHome(Home(root)).repair()


@pytest.mark.parametrize("case", _MARKED, ids=str)
def test_a_killed_repair_is_completed_by_the_next(template, tmp_path, witness, case):
    home = copied(template, tmp_path)
    published, vectors, scores = files_of(home.subset), home.rows(VECTORS), home.rows(SCORES)
    texts = home.query("select sample_id, conversation from store.conversation order by 1")
    version = home.version
    damage(home, case.table)
    assert crashes.run(repair, home.home.root, kill_at=case.place, calls=case.calls) == crashes.KILLED
    with without_figure():
        assert home.repair() == []
    audit = home.audit()
    assert audit.sound, audit.damage
    assert home.rows(VECTORS) == vectors
    assert home.rows(SCORES) == scores
    assert home.query("select sample_id, conversation from store.conversation order by 1") == texts
    assert {**files_of(home.subset), "provenance.json": b""} == {**published, "provenance.json": b""}
    ledger = make_ledger(
        home.warehouse, Scope("mixture", "all", ("tea",)), SelectionParameters(0.9), budget=5
    )
    with without_figure():
        cut_subset(home.warehouse, ledger, 5, provenance={"run_id": "after"})
    assert home.version == version
    assert list(home.home.staging.iterdir()) == []
    where = f"at `{case.place.rpartition(':')[2]}`, call {case.calls}"
    witness(
        Fault("59", f"SIGKILL: verify --repair, {case.table} of the vectors damaged", where, "safe"),
        "the next repair completes: every text, vector, score and file as it was",
    )
