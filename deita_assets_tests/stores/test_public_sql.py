"""The public views and macros, with rows written by hand into the internal tables."""

import re
import shutil

import duckdb
import pytest

from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse

#: The contract, column by column; `...` in it allows more columns behind these.
CONTRACT = """
pool(sample_id, source, own_id, n_turns, n_messages, n_chars, language, licence, has_system, has_tools, conversations, file, line, batch_id, pool_version)
turns(sample_id, turn, system, instruction, response, n_chars_instruction, n_chars_response)
scores(sample_id, turn, measure, scorer, score, status)
scored_pool(sample_id, source, n_turns, complexity, quality, evol_score, scorer_complexity, scorer_quality, embedder)
ledger(scope_kind, scope, ledger_id, sample_id, rank, verdict, reason, evol_score, kept_position, blocked_by, similarity, threshold, source)
selections(selection_version, scope_kind, scope, budget, n_rows, ledger_id, members_sha256, is_head, trial, created_at, ...)
selected(selection_version, position, sample_id, rank, evol_score, ...)
quarantine(source, file, line, reason, detail, ...)
"""  # noqa: E501
VIEWS = dict(re.findall(r"^(\w+)\((.*)\)$", CONTRACT, re.MULTILINE))

ROWS = """
insert into store.source values ('s', 'alpaca', '{}', 'CC0');
insert into store.pool_row select 's:' || x, 's', null, 'f.jsonl', x, 'b', 'v' from range(1, 4) t(x);
insert into store.pool_version values
    ('s', 1, 'v-of-one', 8, now()), ('s', 2, 'v-of-two', 8, now()), ('s', 3, 'v', 3, now());
insert into store.conversation
select 's:' || x, 's', 'c' || x, '{}', 1, 2, 3, false, false, null, 'b', x < 4,
       null, case when x < 4 then 'f.jsonl' end, case when x < 4 then x end from range(1, 9) t(x);
insert into store.turn
select 's:' || x, 0, null, 'ask ' || x, 'answer', 'p', 'q' from range(1, 9) t(x);
insert into store.occurrence
select 's', 'f.jsonl', 'sha', x, 's:' || x, null, 1, case when x > 3 then 3 end from range(1, 9) t(x);
insert into store.quarantine values
    ('s', 'f.jsonl', 'sha', 9, 'malformed_json', 'd', 'p', 'b', 1, null),
    ('s', 'old.jsonl', 'sha', 1, 'malformed_json', 'd', 'p', 'b', 1, 2);
insert into store.ledger select id, 'source', 's',
    '{"sources": [["s", "v-of-' || id || '"]], "fingerprints": {"complexity": "c-of-' || id || '", "quality": "q"},
      "selector": {"name": "repr_filter"}}',
    0.9, 8, 3, 6, false, false, now(), null from (values ('one'), ('two')) t(id);
insert into store.ledger_row values
    ('one', 's:1', 1, 'kept', null, 9, 1, null, null),
    ('one', 's:2', 2, 'near_duplicate', null, 8, null, 's:1', 0.95),
    ('one', 's:3', 3, 'kept', null, 7, 2, 's:1', 0.5),
    ('one', 's:4', 4, 'near_duplicate', null, 6, null, 's:3', 0.95),
    ('one', 's:5', 5, 'kept', null, 5, 3, 's:1', 0.5),
    ('one', 's:6', 6, 'unvisited', null, 4, null, null, null),
    ('one', 's:7', null, 'unscored', 'turn 0: quality too_long', null, null, null, null),
    ('one', 's:8', null, 'invalid', 'no_embedding', 3, null, null, null),
    ('two', 's:1', 2, 'near_duplicate', null, 1, null, 's:3', 0.99),
    ('two', 's:3', 1, 'kept', null, 2, 1, null, null),
    ('two', 's:5', 3, 'kept', null, 0.5, 2, 's:3', 0.1),
    ('two', 's:6', 4, 'kept', null, 0.4, 3, 's:3', 0.1),
    ('two', 's:2', 5, 'unvisited', null, 0.3, null, null, null);
insert into store.ledger_head values ('source', 's', 'two');
insert into store.selection
select v, 'source', 's', 3, 3, l, 'm', (select spec from store.ledger where ledger_id = l), 'd', false, 'run', now()
from (values ('va', 'one'), ('vb', 'two')) t(v, l);
insert into store.selection_head values ('source', 's', 3, 'vb');
insert into store.selection_member
select *, case when v = 'va' then 1 else 2 end, null, null from (values
    ('va', 1, 's:1', 1, 9), ('va', 2, 's:3', 3, 7), ('va', 3, 's:5', 5, 5),
    ('vb', 1, 's:3', 1, 2), ('vb', 2, 's:5', 3, 0.5), ('vb', 3, 's:6', 4, 0.4)) m(v, position, id, rank, score);
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory, migrated):
    home = Home(tmp_path_factory.mktemp("sql")).create()
    shutil.copyfile(migrated, home.warehouse)
    with Warehouse(home).write("rows") as con:
        con.execute(ROWS)
    return home.warehouse


@pytest.fixture(params=["open", "attach"])
def con(request, path):
    """The file opened directly, and attached beside another database."""
    with duckdb.connect() if request.param == "attach" else duckdb.connect(str(path), read_only=True) as con:
        if request.param == "attach":
            con.execute(f"attach '{path}' as d (read_only); use d")
        yield con


def rows(con, query):
    return con.execute(query).fetchall()


@pytest.mark.parametrize("view", VIEWS)
def test_views_have_the_promised_columns(con, view):
    found = [name for name, *_ in rows(con, f"describe main.{view}")]
    promised = VIEWS[view].removesuffix(", ...").split(", ")
    assert (found[: len(promised)] if VIEWS[view].endswith("...") else found) == promised


def test_pool_is_what_is_in_the_pool_now(con):
    assert rows(con, "select sample_id, licence, file, line from pool order by 1") == [
        (f"s:{n}", "CC0", "f.jsonl", n) for n in (1, 2, 3)
    ]
    assert rows(con, "select sample_id, n_chars_instruction from turns order by 1") == [
        (f"s:{n}", 5) for n in (1, 2, 3)
    ]


def test_quarantine_forgets_files_that_left(con):
    assert rows(con, "select file, line, reason from quarantine") == [("f.jsonl", 9, "malformed_json")]


def test_ledger_is_the_head(con):
    assert rows(con, "select distinct ledger_id, scope, threshold from ledger") == [("two", "s", 0.9)]


@pytest.mark.parametrize(
    ("budget", "verdicts"),
    [
        (1, "kept beyond beyond beyond beyond beyond unscored invalid"),
        (2, "kept near kept beyond beyond beyond unscored invalid"),
        (3, "kept near kept near kept beyond unscored invalid"),
        (4, "kept near kept near kept unvisited unscored invalid"),
        (10**18, "kept near kept near kept unvisited unscored invalid"),
    ],
)
def test_ledger_at_a_budget(con, budget, verdicts):
    words = {"near": "near_duplicate", "beyond": "beyond_budget"}
    found = rows(con, f"select verdict from ledger_at('one', {budget}) order by sample_id")
    assert [verdict for (verdict,) in found] == [words.get(word, word) for word in verdicts.split()]


def test_ledger_at_has_the_columns_of_a_ledger(con):
    names = [name for name, *_ in rows(con, "describe select * from ledger_at('one', 1)")]
    expected = "sample_id, rank, verdict, reason, evol_score, kept_position, blocked_by, similarity, source"
    assert ", ".join(names) == expected


def test_ledger_at_knows_one_ledger_from_another(con):
    assert rows(con, "select count(*), count(blocked_by) from ledger_at('two', 1)") == [(5, 3)]
    assert rows(con, "select verdict from ledger_at('two', 3) where rank = 5") == [("beyond_budget",)]
    assert rows(con, "select verdict from ledger_at('two', 4) where rank = 5") == [("unvisited",)]
    assert rows(con, "select count(*) from ledger_at('none', 1)") == [(0,)]


def test_heads_and_versions(con):
    found = rows(con, "select selection_version, is_head, trial from selections order by 1")
    assert found == [("va", False, False), ("vb", True, False)]


def test_diff_of_two_selections_says_why(con):
    assert rows(con, "from selection_diff('va', 'vb') order by sample_id") == [
        ("s:1", "removed", "near_duplicate", 1, None, "s:3"),
        ("s:3", "moved", None, 2, 1, None),
        ("s:5", "moved", None, 3, 2, None),
        ("s:6", "added", "rescored", None, 3, None),
    ]
    back = "select sample_id, change, reason, blocked_by from selection_diff('vb', 'va') order by 1"
    assert rows(con, back) == [
        ("s:1", "added", "unblocked", "s:3"),
        ("s:3", "moved", None, None),
        ("s:5", "moved", None, None),
        ("s:6", "removed", "rescored", None),
    ]
    assert rows(con, "select distinct change, reason from selection_diff('va', 'va')") == [
        ("unchanged", None)
    ]


def test_lineage_keeps_the_scorers_of_its_own_selection(con):
    found = rows(
        con,
        "select selection_version, file, line, pool_version, scorer_complexity, rank, run_id "
        "from lineage where sample_id = 's:3' order by 1",
    )
    assert found == [
        ("va", "f.jsonl", 3, "v-of-one", "c-of-one", 3, "run"),
        ("vb", "f.jsonl", 3, "v-of-two", "c-of-two", 1, "run"),
    ]
