"""A home whose warehouse holds so many scored rows: the tables of a real one, filled in bulk, then published.

What belongs here: the rows of `benchmarks/sql.py`. What does not: measuring.

Every conversation has a source, 1 to 4 turns of words drawn from a fixed list, scores, and a verdict in the ledgers of
its source and of the mixture `all`; one in twenty has left the pool. Ledgers and selections have two editions each, of
which one is the head. Everything follows from the row's number: the same rows give the same file.
"""

from __future__ import annotations

from pathlib import Path

from deita_assets.core.fingerprint import canonical_json
from deita_assets.stores.home import Home
from deita_assets.stores.pool import rebuild_pool
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse

SOURCES = ("essays", "forum", "manuals")
#: Of a hundred rows in score order so many are kept; the others resemble one of them.
_KEPT = 60

_ROWS = """
create temp table words as
select list(word order by word) as words
from (select distinct substr(md5('w' || x), 1, 2 + (hash(x) % 9)::integer) as word from range(4000) t(x));

create temp table row as
with numbered as (
    select x, $sources[1 + (hash(x, 's') % 3)::integer] as source,
           1 + case when hash(x, 't') % 10 < 7 then 0 else (hash(x, 't2') % 4)::integer end as n_turns
    from range($rows + $rows // 20) t(x)
)
select x, source, source || ':' || substr(sha256(x::varchar), 1, 32) as sample_id, sha256(x::varchar) as content,
       n_turns, x < $rows as in_pool
from numbered;

create temp table spoken as
select r.x, r.sample_id, t.turn::integer as turn,
       list_aggregate([w.words[1 + (hash(r.x, t.turn, y, 'i') % len(w.words))::integer]
                       for y in range(20 + (hash(r.x, 'n') % 60)::integer)], 'string_agg', ' ') as instruction,
       list_aggregate([w.words[1 + (hash(r.x, t.turn, y, 'r') % len(w.words))::integer]
                       for y in range(60 + (hash(r.x, 'm') % 200)::integer)], 'string_agg', ' ') as response
from row r, range(4) t(turn), words w
where t.turn < r.n_turns;

insert into store.source select unnest($sources), 'messages', '{}', 'CC-BY-4.0';

insert into store.conversation by name
select r.sample_id, r.source, r.content as content_sha256, s.conversation, r.n_turns, 2 * r.n_turns as n_messages,
       s.n_chars, r.x % 9 = 0 as has_system, r.x % 31 = 0 as has_tools,
       case when r.x % 2 = 0 then ['en', 'de', 'fr'][1 + r.x % 3] end as language, 'batch-' || r.source as batch_id
from row r
join (select sample_id,
             '{"messages":[' || string_agg('{"content":"' || instruction || '","role":"user"},{"content":"' || response
                 || '","role":"assistant"}', ',' order by turn) || ']}' as conversation,
             sum(length(instruction) + length(response))::bigint as n_chars
      from spoken group by sample_id) s on s.sample_id = r.sample_id
order by r.x;

insert into store.turn
select s.sample_id, s.turn, null, s.instruction, s.response, sha256(s.instruction), sha256(s.instruction || s.response)
from spoken s order by s.x, s.turn;

insert into store.occurrence
select r.source, 'part-' || r.x // 50000 || '.jsonl', sha256('part-' || r.x // 50000), r.x % 50000 + 1, r.sample_id,
       case when r.x % 3 = 0 then 'own-' || r.x end, 1, case when not r.in_pool then 2 end
from row r order by r.x;

insert into store.file
select source, uri, file_sha256, 1, 'jsonl', 'none', count(*), 'batch-' || source, 1, null
from store.occurrence group by all order by all;

insert into store.quarantine
select source, 'part-0.jsonl', sha256('part-0'), x + 60000, 'malformed_json', 'line ' || x, 'x', 'batch-' || source, 1,
       null
from row where x % 100 = 7 order by x;

insert into store.scored_turn
select r.source, s.sample_id, s.turn, m.measure, m.measure || '-scorer',
       case when (r.x + s.turn) % 200 <> 0 then 1 + (hash(r.x, s.turn, m.measure) % 5000) / 1000.0 end,
       case when (r.x + s.turn) % 200 <> 0 then 'ok' else 'too_long' end
from spoken s join row r on r.x = s.x and r.in_pool, (values ('complexity'), ('quality')) m(measure)
order by m.measure, s.x, s.turn;

insert into store.scored_pool
select r.sample_id, r.source, r.content, r.n_turns, c.complexity, c.quality, c.evol_score, c.products, c.reason,
       'complexity-scorer', 'quality-scorer', 'pool-' || r.source
from row r
join (select c.sample_id, avg(c.score) as complexity, avg(q.score) as quality,
             case when count(*) = count(c.score * q.score) then sum(c.score * q.score) end as evol_score,
             case when count(*) = count(c.score * q.score) then list(c.score * q.score order by c.turn) end as products,
             case when count(*) > count(c.score * q.score) then 'turn: too_long' end as reason
      from store.scored_turn c
      join store.scored_turn q on q.sample_id = c.sample_id and q.turn = c.turn and q.measure = 'quality'
      where c.measure = 'complexity' group by c.sample_id) c on c.sample_id = r.sample_id
where r.in_pool order by r.x;

insert into store.coverage
select source, step, step || '-scorer', 'pool-' || source
from (select unnest($sources) as source), (values ('complexity'), ('quality'), ('embedding')) s(step);
"""

_LEDGER = """
insert into store.ledger_row
with ranked as (
    select p.sample_id, p.evol_score,
           case when p.evol_score is not null
                then row_number() over (order by p.evol_score desc nulls last, p.content_sha256) + $shift end as rank
    from store.scored_pool p where $source is null or p.source = $source
), decided as (
    select *, rank % 100 < $kept as kept,
           count(*) filter (where rank % 100 < $kept) over (order by rank nulls last rows unbounded preceding) as so_far
    from ranked
)
select $ledger_id, d.sample_id, d.rank - $shift,
       case when d.rank is null then 'unscored' when d.kept then 'kept' else 'near_duplicate' end,
       case when d.rank is null then 'turn 0: quality too_long' end, d.evol_score,
       case when d.rank is not null and d.kept then d.so_far end,
       case when d.rank is not null and d.so_far > 1 then k.sample_id end,
       case when d.rank is not null and d.so_far > 1
            then case when d.kept then 0.5 else 0.9 end + (hash(d.sample_id) % 100) / 1000.0 end
from decided d
left join decided k on k.kept and k.so_far = greatest(1, d.so_far // 2) and k.rank is not null
order by d.rank nulls last, d.sample_id;
"""


def make_home(root: Path, rows: int, budgets: tuple[int, ...]) -> Home:
    """A published home with `rows` scored rows in its pool and selections of `budgets` in each scope."""
    home = Home(root).create()
    warehouse = Warehouse(home)
    warehouse.migrate()
    with warehouse.write("rows") as con:
        con.execute("set threads = 1")  # what is drawn does not depend on it, how float sums round does
        sources = list(SOURCES)
        for text in _ROWS.split(";\n\n"):
            named = {"rows": rows, "sources": sources}
            con.execute(text, {name: value for name, value in named.items() if f"${name}" in text})
        for source in SOURCES:
            rebuild_pool(con, source, 2)
        for scope in (None, *SOURCES):
            for edition in (0, 1):
                _add_ledger(con, scope, edition, budgets)
    publish(home)
    return home


def _add_ledger(con, source, edition, budgets):
    kind, scope = ("mixture", "all") if source is None else ("source", source)
    ledger_id = f"{scope}-{edition}".ljust(16, "0")[:16]
    sources = list(SOURCES) if source is None else [source]
    versions = dict(con.execute("select source, pool_version from store.pool_version").fetchall())
    spec = {
        "scope_kind": kind, "scope": scope, "sources": [[one, versions[one]] for one in sources],
        "fingerprints": {
            "complexity": "complexity-scorer", "quality": "quality-scorer", "embedder": "embedding-scorer",
        },
        "aggregation": "sum", "selector": {"name": "repr_filter", "threshold": 0.9}, "algorithm": edition,
    }  # fmt: skip
    con.execute(_LEDGER, {"source": source, "ledger_id": ledger_id, "kept": _KEPT, "shift": 37 * edition})
    con.execute(
        "insert into store.ledger select $id, $kind, $scope, $spec, 0.9, count(*), count(kept_position), count(rank), "
        "true, false, timestamptz '2026-01-01 00:00:00+00', null from store.ledger_row where ledger_id = $id",
        {"id": ledger_id, "kind": kind, "scope": scope, "spec": canonical_json(spec)},
    )
    con.execute("insert or replace into store.ledger_head values (?, ?, ?)", [kind, scope, ledger_id])
    for budget in budgets:
        version = f"{scope}-{budget}-{edition}".ljust(16, "0")[:16]
        con.execute(
            "insert into store.selection_member "
            "select $version, kept_position, sample_id, rank, evol_score, 1, similarity, blocked_by "
            "from store.ledger_row where ledger_id = $id and kept_position <= $budget order by kept_position",
            {"version": version, "id": ledger_id, "budget": budget},
        )
        con.execute(
            "insert into store.selection select $version, $kind, $scope, $budget, count(*), $id, 'm', $spec, 'd', "
            "false, 'run', timestamptz '2026-01-01 00:00:00+00' from store.selection_member "
            "where selection_version = $version",
            {"version": version, "kind": kind, "scope": scope, "budget": budget, "id": ledger_id,
             "spec": canonical_json({**spec, "budget": budget})},
        )  # fmt: skip
        con.execute(
            "insert or replace into store.selection_head values (?, ?, ?, ?)", [kind, scope, budget, version]
        )
