"""Versions of many kinds, published in one home, and everything changed around them afterwards."""

import datetime as dt
import hashlib
import shutil

import lancedb
import numpy as np
import pytest

from deita_assets.core.row_filters import FilterRules
from deita_assets.core.selectors import SELECTORS
from deita_assets.engines.parameters import Contamination
from deita_assets.engines.score_pool import score_pool
from deita_assets.stores import pool
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.core.greedy_oracle import make_pool
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer
from deita_assets_tests.engines.scopes import Scoped, chat

EXAM = "name the largest planet that goes around the sun in our own solar system today please"


def arrive(scoped, source, file, rows):
    """One more file of a source, scored and embedded; `rows` as in `Scoped.source`."""
    for text, (score, vector) in rows.items():
        scoped.scores[text], scoped.vectors[text] = score, vector
    version = scoped.ingest(source, [chat(text) for text in rows], name=file).pool_version
    scoped._store_results(source, version)
    score_pool(scoped.warehouse, source, "sum")


def random_rows(name, n_rows, seed):
    vectors, scores = make_pool("clusters", n_rows, 5, "float16", seed)
    return {f"{name} {n}": (1.0 + s, v) for n, (s, v) in enumerate(zip(scores, vectors, strict=True))}


def licence(scoped, source, name):
    with scoped.warehouse.write("licence") as con:
        con.execute("update store.source set licence = ? where source = ?", [name, source])


def take_down(scoped, *sample_ids):
    source = sample_ids[0].partition(":")[0]
    with scoped.warehouse.write("take down") as con:
        seq, now = pool.next_seq(con, source), dt.datetime.now(dt.UTC)
        for sample_id in sample_ids:
            con.execute("insert into store.takedown values (?, 'asked for', ?, ?)", [sample_id, now, seq])
        pool.rebuild_pool(con, source, seq)


def compact(scoped):
    connection = lancedb.connect(str(scoped.home.lance))
    for path in scoped.home.lance.glob("*.lance"):
        connection.open_table(path.stem).optimize(cleanup_older_than=dt.timedelta(0))


def shake(scoped, member):
    """Change whatever may change around a published version."""
    for source in ("a", "b"):
        arrive(scoped, source, "later.jsonl", random_rows(f"later {source}", 10, seed=8))
    scoped.land.remove("a", "more.jsonl")  # withdrawn
    arrive(scoped, "a", "last.jsonl", {"best of all": (6.0, np.ones(5))})
    take_down(scoped, member)
    scoped.complexity = FakeScorer("complexity", table=dict.fromkeys(scoped.scores, 2.5), version=2)
    scoped.quality = FakeScorer("quality", version=2)
    for source in ("a", "b", "exam"):
        scoped.cover(source)
        scoped.embed(source, FakeEmbedder(5, version=2))
        score_pool(scoped.warehouse, source, "max")
        licence(scoped, source, "CC-BY-4.0")
    compact(scoped)
    with scoped.warehouse.write("prune") as con:
        con.execute("delete from store.ledger_row")
        con.execute("update store.ledger set pruned_at = now()")


#: name -> (sources, budget, what is chosen)
CASES = {
    **{f"selector {name}": (("a", "b"), 12, {"selector": name, "threshold": 0.8}) for name in SELECTORS},
    "one source": (("a",), 9, {}),
    "seed": (("b", "a"), 9, {"selector": "random", "seed": 4}),
    "more than there is": (("a", "b"), 500, {"threshold": 0.6}),
    "mean of turns": (("a", "b"), 7, {"aggregation": "mean"}),
    "caps": (("a", "b"), 14, {"caps": {"a": 4}}),
    "shares and floors": (("a", "b"), 16, {"shares": {"a": 0.25}, "floors": {"b": 8}, "threshold": 0.8}),
    "a floor that cannot be met": (("a", "b"), 60, {"floors": {"b": 45}, "threshold": 1.0}),
    "lengths": (("a", "b"), 12, {"filters": FilterRules(min_chars=15, max_turns=3)}),
    "licences": (("a", "b"), 12, {"filters": FilterRules(licences=("mit",))}),
    "texts": (("a", "b"), 12, {"filters": FilterRules(tools="without", refusals=True, phrases=("no",))}),
    "where": (("a", "b"), 12, {"where": "evol_score < 5 and file = 'a.jsonl' and licence is not null"}),
    "contamination by words": (("a", "b"), 12, {"exclusion_sets": ("exam",)}),
    "contamination by vectors": (
        ("a", "b"), 12, {"exclusion_sets": ("exam",), "contamination": Contamination(None, 0.7)},
    ),
    "trial": (("a", "b"), 5, {"threshold": 0.5, "trial": True}),
}  # fmt: skip


#: What every run of the tests makes again; the others are slow ones.
FEW = (
    "selector repr_filter",
    "one source",
    "shares and floors",
    "licences",
    "where",
    "contamination by words",
)
BASES = (("frozen base", "selector repr_filter"), ("base of a base", "frozen base"))


def published(folder, migrated, cases):
    """A home in which nothing has changed yet, and its versions by case."""
    home = Home(folder).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Scoped(Warehouse(home), Landing(home))
    made.random_source("a", "clusters", 30, seed=1)
    arrive(made, "a", "more.jsonl", random_rows("more", 10, seed=5) | {EXAM + " more": (5.5, np.ones(5))})
    made.random_source("b", "spread", 30, seed=2)
    made.source("exam", {EXAM: (1.0, np.array([1.0, 1, 1, 1, 0]))})
    licence(made, "a", "MIT")
    licence(made, "b", "Apache-2.0")
    with pytest.MonkeyPatch.context() as patched:  # figures of cards take half a second each
        patched.setattr("deita_assets.engines.subset_contents.card_figure", lambda picture: b"")
        return made, published_versions(made, cases)


def published_versions(made, cases):
    """Case -> version."""
    versions = {}
    for name in cases:
        sources, budget, chosen = CASES[name]
        ledger = made.ledger(*sources, name="m" if len(sources) > 1 else None, budget=budget, **chosen)
        versions[name] = made.subset(ledger, budget, trial=chosen.get("trial", False)).selection.version
    for name, base in BASES:
        ledger = made.ledger("b", name="grown", kind="mixture", budget=20, frozen_base=versions[base])
        versions[name] = made.subset(ledger, 16 if name == "frozen base" else 20).selection.version
    return versions


def shaken_copy(template, folder):
    """(home after everything changed, versions, a row that was taken down)."""
    made, versions = template
    copy = made.copied(folder)
    (member,) = copy.query(
        "select sample_id from store.selection_member where selection_version = ? and starts_with(sample_id, 'a:') "
        "order by position limit 1", versions["frozen base"],
    )  # fmt: skip
    shake(copy, member[0])
    return copy, versions, member[0]


def folder_of(scoped, version):
    ((directory,),) = scoped.query(
        "select directory from store.selection where selection_version = ?", version
    )
    return scoped.home.root / directory


def members(scoped, version):
    query = "select sample_id from store.selection_member where selection_version = ? order by position"
    return [name for (name,) in scoped.query(query, version)]


def home_state(home):
    """Every file of a home but its locks, with its content."""
    files = list(home.root.rglob("*"))
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in files
        if path.suffix != ".lock" and path.is_file()
    }


def change(scoped, statement, *parameters):
    with scoped.warehouse.write("tamper") as con:
        con.execute(statement, list(parameters))


def missing(done):
    return [(one.state, one.what) for one in done.missing]
