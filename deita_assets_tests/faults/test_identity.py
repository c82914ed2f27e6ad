"""Identity and duplicates: which rows are one, and what a row's own id is worth."""

import json

import pytest

from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import make_ledger
from deita_assets.stores.ledgers import Scope
from deita_assets_tests.faults.input_home import OLD, Case, come_in, good, one, published_home, told
from deita_assets_tests.faults.invariant import watched
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.readers import packing

GROUP = "identity"
#: Ids as rows bring them along -> the label that is kept.
IDS = {"none": None, "null": None, "17": "17", "huge": "x" * 256, "text": "a/b|c\n"}


def labels(study):
    query = "select own_id, count(*) from pool where source = 's' and file = 'b.jsonl' group by 1"
    return dict(study.query(query))


def doubled_told(study, report):
    assert labels(study) == {"x": 2}
    query = "select count(*) from store.occurrence where source = 's' and own_id = 'x'"
    assert study.query(query) == [(2,)]
    return "the label on both of them"


def labels_told(study, report):
    rows = study.query(
        "select own_id, instruction from pool join turns using (sample_id) where file = 'b.jsonl'"
    )
    assert sorted((name is not None, name or "") for name, _ in rows) == sorted(
        (label is not None, label or "") for label in IDS.values()
    )
    return f"labels of {sorted(len(name) for name, _ in rows if name)} characters, 2 rows without"


def once_in_a_selection(study, report):
    """The same rows in a second source, and a mixture of both."""
    study.land("other", "a.jsonl", packing.jsonl([good(n, id=f"other-{n}") for n in range(OLD)]))
    assert study.read("other").n_pool == OLD
    for source in ("s", "other"):
        study.cover(source)
        score_pool(study.warehouse, source, "sum")
    scope = Scope("mixture", "both", ("s", "other"))
    made = make_ledger(study.warehouse, scope, SelectionParameters(1.0), budget=None)
    query = (
        "select verdict, reason, count(*) from store.ledger_row where ledger_id = ? group by all order by all"
    )
    found = study.query(query, made.ledger_id)
    assert found == [("excluded", "exact_duplicate", OLD), ("kept", None, OLD + 1)]
    return f"{OLD} equal rows of another source excluded from a mixture as `exact_duplicate`"


def nothing_new(study, report):
    """The same files once more: no row, no version, no batch."""
    batches = "select count(*) from store.ingest_batch"
    ((before,),) = study.query(batches)
    again = study.read("s")
    assert (again.pool_version, again.changed, again.n_new) == (report.pool_version, False, 0)
    assert study.query(batches) == [(before,)]
    return "the same pool version"


def same_version(study, report):
    """A copy of a file that stands there: only its occurrences are more."""
    versions = study.query("select distinct pool_version from store.pool_version where source = 's'")
    assert versions == [(report.pool_version,)]
    return "the same pool version"


def ids_of():
    values = {
        "none": {},
        "null": {"id": None},
        "17": {"id": 17},
        "huge": {"id": "x" * 5_000},
        "text": {"id": "a/b|c\n"},
    }
    return packing.jsonl([good(n, **values[name]) for n, name in enumerate(values, 100)])


CASES = [
    Case(
        Fault("27", "the same id and content", "twice in a file", "told"),
        one(packing.jsonl([good(100, id="x"), good(100, id="x"), good(101, id="y")])),
        duplicates=1,
    ),
    Case(
        Fault("28", "the same id with other content", "twice in a file", "as usual"),
        one(packing.jsonl([good(100, id="x"), good(101, id="x")])),
        also=doubled_told,
    ),
    Case(
        Fault("29", "the same content with another id", "twice in a file, and once more in another", "told"),
        lambda: {
            "b.jsonl": packing.jsonl([good(100, id="x"), good(100, id="y"), good(101)]),
            "c.jsonl": packing.jsonl([good(100, id="z")]),
        },
        duplicates=2,
    ),
    Case(
        Fault("29", "the same content with another id", "in two sources of one mixture", "told"),
        one(packing.jsonl([good(100)])),
        gained=1,
        also=once_in_a_selection,
    ),
    Case(
        Fault("30", "ids that are none", "missing, null, a number, 5,000 characters, odd signs", "as usual"),
        one(ids_of),
        gained=len(IDS),
        also=labels_told,
    ),
    Case(
        Fault("32", "the same file again", "ingested twice", "safe"),
        one(packing.jsonl([good(100), good(101)])),
        also=nothing_new,
    ),
    Case(
        Fault("32", "the same file again", "a copy under another name", "safe"),
        lambda: {"copy.jsonl": packing.jsonl([good(n) for n in range(OLD)])},
        gained=0,
        duplicates=OLD,
        also=same_version,
    ),
    Case(
        Fault("32", "the same file again", "its rows in another container and order", "safe"),
        lambda: {"copy.parquet": packing.parquet([good(n) for n in reversed(range(OLD))])},
        gained=0,
        duplicates=OLD,
        also=same_version,
    ),
]


@pytest.fixture
def study(tmp_path, tmp_path_factory, migrated):
    return published_home(tmp_path, tmp_path_factory, migrated)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_identity(case, study, witness, caplog, capsys):
    _, report = come_in(case, study, caplog, capsys)
    with watched(study.home, caplog, capsys):
        more = case.also(study, report) if case.also else ""
    texts = [json.loads(text)["messages"][0]["content"] for text in study.texts("s")]
    assert len(texts) == len(set(texts)) == OLD + case.gained
    witness(case.fault, told(report, more))
