"""Files that were damaged on the disk: what an audit says, and that a repair computes nothing but what was lost.

In each case the account of the source holds, the published train.jsonl stays or comes back byte for byte, and no text
of a row stands in what is said.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import numpy as np
import pytest

from deita_assets.engines.compact import compact_home
from deita_assets.engines.reproduce import reproduce
from deita_assets.errors import StoreError
from deita_assets.stores import pool
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable
from deita_assets_tests.faults.damaged_home import (
    EMBEDDER,
    SCORES,
    VECTORS,
    copied,
    data_files,
    double,
    files_of,
    flip,
    flip_key,
    flip_score,
    flip_vector,
    made,
    newest_manifest,
    used_blocks,
    without_figure,
)
from deita_assets_tests.faults.matrix import Fault

GROUP = "writes"


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    return made(tmp_path_factory.mktemp("damage"), migrated)


@pytest.fixture
def home(template, tmp_path):
    return copied(template, tmp_path)


@dataclass(frozen=True)
class Case:
    """A fault of a store.

    Attributes:
        damage: brings it about.
        found: (part, kind, rows) that the audit must name; those of what is lost with it left out.
        asked: step -> texts that models are asked about by the repair.
    """

    fault: Fault
    damage: Callable
    found: tuple[str, str, int]
    asked: dict[str, int]

    def __str__(self):
        return str(self.fault)


def cut(damaged, name):
    """The largest data file loses its second half; rows in it."""
    path = max(data_files(damaged, name), key=lambda one: one.stat().st_size)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path):
    held = path.read_bytes()
    path.write_bytes(held[:10] + bytes(byte ^ 0x33 for byte in held[10:-20]) + held[-20:])


def first_score(damaged):
    return min(damaged.rows(SCORES))


LANCE, SCORED = f"lance/{VECTORS}", f"lance/{SCORES}"
CASES = [
    Case(
        Fault("49", "a bit of a stored vector turned over", "in Lance's data file", "told"),
        lambda d: flip_vector(d, d.contents[7]), (LANCE, "checksum", 1), {"embedding": 1},
    ),
    Case(
        Fault("49", "a bit of a stored score turned over", "in Lance's data file", "told"),
        lambda d: flip_score(d, sorted(d.rows(SCORES))[5]), (SCORED, "checksum", 1), {"complexity": 1},
    ),
    Case(
        Fault("49", "a digit of a stored key became another one", "in Lance's data file", "told"),
        lambda d: flip_key(d, VECTORS, d.contents[3], 0x01), (LANCE, "checksum", 1), {"embedding": 1},
    ),
    Case(
        Fault("49", "a stored key is no text any more", "a high bit in Lance's data file", "told"),
        lambda d: flip_key(d, VECTORS, d.contents[3], 0x80), (LANCE, "unreadable", 5), {"embedding": 5},
    ),
    Case(
        Fault("49", "a data file of Lance lost its second half", "15 of 30 rows stood in it", "told"),
        lambda d: cut(d, VECTORS), (LANCE, "unreadable", 15), {"embedding": 15},
    ),
    Case(
        Fault("49", "a data file of Lance is gone", "removed; it held 15 of 30 vectors", "told"),
        lambda d: max(data_files(d, VECTORS), key=lambda one: one.stat().st_size).unlink(),
        (LANCE, "unreadable", 15), {"embedding": 15},
    ),
    Case(
        Fault("49", "a table of Lance is gone", "its folder removed", "told"),
        lambda d: shutil.rmtree(d.home.lance / f"{VECTORS}.lance"), (LANCE, "missing", 30), {"embedding": 30},
    ),
    Case(
        Fault("50", "the newest manifest of Lance was cut off", "50 other bytes in its place", "told"),
        lambda d: newest_manifest(d, VECTORS).write_bytes(b"x" * 50), (LANCE, "unreadable", 1), {"embedding": 5},
    ),
    Case(
        Fault("50", "the newest manifest of Lance is empty", "its bytes removed", "told"),
        lambda d: newest_manifest(d, SCORES).write_bytes(b""), (SCORED, "unreadable", 1), {"quality": 5},
    ),
    Case(
        Fault("50", "the newest manifest of Lance is garbled", "all its bytes but both ends turned over", "told"),
        lambda d: garble(newest_manifest(d, SCORES)), (SCORED, "unreadable", 1), {"quality": 5},
    ),
    Case(
        Fault("31", "a vector stands in Lance twice", "appended behind the platform's back", "told"),
        lambda d: double(d, VECTORS, d.contents[2]), (LANCE, "doubled", 1), {"embedding": 1},
    ),
    Case(
        Fault("31", "a prompt has two scores", "another one appended behind the platform's back", "told"),
        lambda d: double(d, SCORES, first_score(d), score=3.25), (SCORED, "doubled", 1), {"quality": 1},
    ),
    Case(
        Fault("65", "a block of the published copy was altered", "one byte of serving.duckdb", "told"),
        lambda d: flip(d.home.serving, used_blocks(d.home.serving)[0] + 100),
        ("serving.duckdb", "unreadable", 1), {},
    ),
]  # fmt: skip


#: Of each kind of damage the first cases run by default; each takes a second and a half.
_BY_DEFAULT = (0, 1, 4, 7)
_MARKED = [
    case if at in _BY_DEFAULT else pytest.param(case, marks=pytest.mark.slow) for at, case in enumerate(CASES)
]


@pytest.mark.parametrize("case", _MARKED, ids=str)
def test_damage_is_named_and_only_damaged_rows_are_computed_again(home, case, witness):
    whole = {name: home.rows(name) for name in (VECTORS, SCORES)}
    published = files_of(home.subset)
    case.damage(home)
    audit = home.audit()
    part, kind, n = case.found
    assert [one.n for one in audit.damage if (one.part, one.kind) == (part, kind)] == [n]
    said = " ".join(f"{one.message} {one.cure}" for one in audit.damage)
    assert "question" not in said
    assert "answer" not in said
    assert home.repair(audit) == []
    assert home.asked() == case.asked
    assert home.audit().damage == []
    assert {name: home.rows(name) for name in whole} == whole
    assert files_of(home.subset) == published
    with home.warehouse.read("test") as con:
        assert pool.account(con, "tea").n_pool == 30
    computed = sum(case.asked.values())
    witness(case.fault, f"{kind}: {n} in {part.split('/')[0]}; repaired by computing {computed}")


def test_a_broken_manifest_stops_whoever_opens_the_table(home, witness):
    fault = Fault("50", "a run meets the broken newest manifest", "the embeddings are opened", "error")
    newest_manifest(home, VECTORS).write_bytes(b"x" * 50)
    before = files_of(home.home.lance)
    with pytest.raises(StoreError, match="cannot be opened") as met:
        EmbeddingTable(home.home, EMBEDDER, 16)
    assert "verify --repair" in met.value.cure
    assert files_of(home.home.lance) == before  # nothing older was taken for it
    witness(fault, f"{type(met.value).__name__}: cannot be opened; cure: verify --repair")


def test_rows_of_one_key_in_one_batch_land_once(home, witness):
    fault = Fault("31", "the same key twice in one batch", "both tables are given it", "impossible")
    content, prompt = "ab" * 32, "cd" * 32
    vectors = np.eye(16)[:2]
    assert EmbeddingTable(home.home, EMBEDDER, 16).insert([content, content], vectors) == 1
    assert (
        ScoreTable(home.home).insert("quality", "ab" * 8, [prompt] * 2, np.array([1.5, 2.5]), ["ok", "ok"])
        == 1
    )
    assert home.audit().of("doubled") == []
    witness(fault, "1 of 2 rows was inserted, the first")


@pytest.mark.parametrize("how", ["flipped", "truncated"])
def test_a_damaged_warehouse_is_never_overwritten(home, how, witness):
    fault = Fault("65", f"warehouse.duckdb is {how}", "one byte of a block, or half of the file", "error")
    path = home.home.warehouse
    if how == "flipped":
        flip(path, used_blocks(path)[0] + 100)
    else:
        path.write_bytes(path.read_bytes()[:300_000])
    before = files_of(home.home.root)
    audit = home.audit()
    (damage,) = audit.damage
    assert (damage.part, damage.kind, damage.repairable) == ("warehouse.duckdb", "unreadable", False)
    assert "copy serving.duckdb" in damage.cure
    assert home.repair(audit) == [damage.message]
    after = files_of(home.home.root)
    unchanged = [name for name in before if not name.endswith(".lock")]
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    witness(fault, "unreadable: named, with the way back by serving.duckdb; not a byte was changed")


@pytest.mark.slow
def test_the_way_back_from_a_damaged_warehouse(home):
    flip(home.home.warehouse, used_blocks(home.home.warehouse)[0] + 100)
    with pytest.raises(duckdb.Error):
        home.query("select * from store.conversation")
    home.home.warehouse.unlink()
    shutil.copyfile(home.home.serving, home.home.warehouse)  # cp --no-preserve=mode
    assert home.audit().sound
    home.asked()
    assert home.ingest("tea", [{"messages": "none"}], "c.jsonl").n_pool == 30
    home.cover("tea")
    assert home.asked() == {}


@pytest.mark.slow
def test_a_version_outlives_compaction(home, witness):
    fault = Fault("68", "old editions are dropped under a selection", "compact, keeping none", "safe")
    version, published = home.version, files_of(home.subset)
    compact_home(home.warehouse, keep_hours=0)
    assert home.audit().sound
    assert reproduce(home.warehouse, version).verdict == "identical"
    shutil.rmtree(home.subset)
    with without_figure():
        assert home.repair() == []
    again = files_of(home.subset)
    assert again.pop("provenance.json") != published.pop("provenance.json")
    assert again == published
    witness(fault, "reproduced: identical; published again: the same bytes")
