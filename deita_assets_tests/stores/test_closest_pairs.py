"""Pairs near a threshold: none with a row that was taken down, on either side, and no join of all with all."""

import re

import duckdb

from deita_assets.stores.ledger_facts import closest_pairs
from deita_assets.stores.sql import statement

N = 60


def store():
    con = duckdb.connect()
    con.execute("create schema store")
    con.execute("create table store.ledger as select 'one' as ledger_id, 0.9::double as threshold")
    con.execute(
        "create table store.ledger_row as select 'one' as ledger_id, 'a:' || i as sample_id, i as rank, "
        "if(i % 2 = 0, 'kept', 'near_duplicate') as verdict, if(i = 0, null, 'a:' || i // 3) as blocked_by, "
        "if(i = 0, null, (i * 7 % 60) / 60) as similarity from range(?) t(i)", [N],
    )  # fmt: skip
    con.execute(
        "create table store.takedown as select 'a:' || i as sample_id, 1 as from_seq from range(?) t(i) "
        "where i % 5 = 1",
        [N],
    )
    return con


def test_pairs_with_a_row_that_was_taken_down_are_not_shown():
    con = store()
    for verdict in ("kept", "near_duplicate"):
        rows = [i for i in range(1, N) if (i % 2 == 0) == (verdict == "kept")]
        shown = [i for i in rows if i % 5 != 1 and i // 3 % 5 != 1]
        assert len(shown) < len(rows)
        shown.sort(key=lambda i: (abs((i * 7 % 60) / 60 - 0.9), i))
        for limit in (3, N):
            found = closest_pairs(con, "one", verdict, limit)
            expected = [((i * 7 % 60) / 60, f"a:{i}", f"a:{i // 3}") for i in shown[:limit]]
            assert [tuple(vars(one).values()) for one in found] == expected


def test_no_row_is_compared_with_every_take_down():
    parameters = {"ledger_id": "one", "verdict": "kept", "limit": 5}
    ((_, plan),) = store().execute(f"explain {statement('selection/closest_pairs')}", parameters).fetchall()
    joins = set(re.findall(r"(\w[\w ]*?) join\b", plan.lower().replace("_", " ")))
    assert joins == {"hash"}
