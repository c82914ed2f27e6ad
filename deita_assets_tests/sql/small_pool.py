"""A small home full of exceptions, as Python lists and, row for row, in the tables of a warehouse.

The lists are what the oracles compute with; nothing of them comes out of SQL.
"""

import datetime as dt
import random
from dataclasses import dataclass, field

SOURCES = ("essays", "forum", "manuals")
LICENCES = {"essays": "CC0-1.0", "forum": None, "manuals": "MIT"}
SPEC = (
    '{"sources": [["essays", "pool-essays"], ["forum", "pool-forum"], ["manuals", "pool-manuals"]], '
    '"fingerprints": {"complexity": "cs", "quality": "qs", "embedder": "e"}, "selector": {"name": "repr_filter"}}'
)
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclass
class Row:
    sample_id: str
    source: str
    n_turns: int
    n_chars: int
    language: str | None
    has_system: bool
    has_tools: bool
    in_pool: bool
    line: int
    #: [(complexity or None, quality or None, complexity status, quality status)] by turn
    turns: list = field(default_factory=list)

    @property
    def evol_score(self):
        products = [c * q for c, q, _, _ in self.turns if c is not None and q is not None]
        return sum(products) if len(products) == len(self.turns) else None

    def mean(self, at):
        values = [turn[at] for turn in self.turns]
        return None if None in values else sum(values) / len(values)


@dataclass
class LedgerRow:
    scope_kind: str
    scope: str
    ledger_id: str
    row: Row
    rank: int | None
    verdict: str
    reason: str | None
    kept_position: int | None
    blocked_by: str | None
    similarity: float | None


@dataclass
class Version:
    name: str
    scope_kind: str
    scope: str
    budget: int
    ledger_id: str
    is_head: bool
    trial: bool
    created_at: dt.datetime
    members: list  # of LedgerRow


@dataclass
class Pool:
    rows: list
    ledgers: dict  # ledger_id -> [LedgerRow]
    heads: list  # ledger ids
    versions: list
    quarantine: list  # (source, file, line, reason)

    @property
    def live(self):
        return [row for row in self.rows if row.in_pool]

    @property
    def ledger(self):
        return [row for head in self.heads for row in self.ledgers[head]]


def make_pool(seed=7, n=90):
    rng = random.Random(seed)
    rows = [_row(rng, at) for at in range(n)]
    # The same contents in a second source.
    rows += [_copy(row, "manuals") for row in rows if row.source == "essays" and row.line % 5 == 0]
    pool = Pool(rows, {}, ["mixture-2", "essays-2", "forum-2"], [], [])
    for edition in (1, 2):
        for kind, scope in (("mixture", "all"), ("source", "essays"), ("source", "forum")):
            name = "mixture" if kind == "mixture" else scope
            ledger_id = f"{name}-{edition}"
            taking_part = [
                row for row in rows if scope in ("all", row.source) and (row.in_pool or edition == 1)
            ]
            pool.ledgers[ledger_id] = _ledger(
                random.Random(f"{seed}{ledger_id}"), kind, scope, ledger_id, taking_part
            )
            for budget in (6, 15):
                kept = [r for r in pool.ledgers[ledger_id] if r.kept_position and r.kept_position <= budget]
                made = START + dt.timedelta(days=edition, minutes=len(pool.versions))
                pool.versions.append(
                    Version(
                        f"v{edition}{name}{budget}".ljust(16, "0"), kind, scope, budget, ledger_id, edition == 2,
                        False, made, sorted(kept, key=lambda r: r.kept_position),
                    )
                )  # fmt: skip
    pool.quarantine = [
        (
            rng.choice(SOURCES),
            f"f{rng.randrange(3)}.jsonl",
            line,
            rng.choice(["malformed_json", "unknown_role"]),
        )
        for line in range(1, 13)
    ]
    return pool


def _row(rng, at):
    source = rng.choice(SOURCES)
    n_turns = rng.choice([1, 1, 1, 2, 3])
    turns = []
    for _ in range(n_turns):
        c, q = round(rng.uniform(1, 6), 3), round(rng.uniform(1, 6), 3)
        status = rng.choice(["ok"] * 12 + ["truncated", "too_long"])
        turns.append((c, None if status == "too_long" else q, "ok", status))
    return Row(
        f"{source}:{rng.getrandbits(128):032x}", source, n_turns, rng.randrange(10, 900),
        rng.choice(["en", "en", "de", None]), rng.random() < 0.3, rng.random() < 0.2, rng.random() > 0.1, at + 1, turns,
    )  # fmt: skip


def _copy(row, source):
    return Row(
        f"{source}:{row.sample_id.partition(':')[2]}", source, row.n_turns, row.n_chars, row.language, row.has_system,
        row.has_tools, True, row.line, list(row.turns),
    )  # fmt: skip


def _ledger(rng, kind, scope, ledger_id, rows):
    scored = sorted((r for r in rows if r.evol_score is not None), key=lambda r: (-r.evol_score, r.sample_id))
    made = [
        LedgerRow(kind, scope, ledger_id, r, None, "unscored", "turn 0: quality too_long", None, None, None)
        for r in rows if r.evol_score is None
    ]  # fmt: skip
    kept = []
    for rank, row in enumerate(scored, 1):
        similarity = round(rng.uniform(-0.2, 1), 3) if kept else None
        verdict, reason = "kept", None
        if rng.random() < 0.08:
            made.append(
                LedgerRow(
                    kind,
                    scope,
                    ledger_id,
                    row,
                    None,
                    "excluded",
                    f"max_chars: {row.n_chars}",
                    None,
                    None,
                    None,
                )
            )
            continue
        if similarity is not None and similarity > 0.6:
            verdict = "near_duplicate"
        blocker = rng.choice(kept).sample_id if kept else None
        if rank > 0.8 * len(scored):
            verdict, blocker, similarity = "unvisited", None, None
        position = None
        if verdict == "kept":
            kept.append(row)
            position = len(kept)
        made.append(
            LedgerRow(kind, scope, ledger_id, row, rank, verdict, reason, position, blocker, similarity)
        )
    return made


def store(con, pool):
    """The same rows in the internal tables."""
    con.executemany("insert into store.source values (?, 'messages', '{}', ?)", list(LICENCES.items()))
    con.executemany(
        "insert into store.pool_version values (?, 1, ?, 1, now())", [(s, f"pool-{s}") for s in SOURCES]
    )
    for r in pool.rows:
        con.execute(
            "insert into store.conversation (sample_id, source, content_sha256, conversation, n_turns, n_messages, "
            "n_chars, has_system, has_tools, language, batch_id, in_pool, own_id, uri, line) "
            "values (?, ?, ?, '{}', ?, ?, ?, ?, ?, ?, 'batch', ?, null, ?, ?)",
            [r.sample_id, r.source, r.sample_id.partition(":")[2], r.n_turns, 2 * r.n_turns, r.n_chars, r.has_system,
             r.has_tools, r.language, r.in_pool, f"{r.source}.jsonl" if r.in_pool else None,
             r.line if r.in_pool else None],
        )  # fmt: skip
        if r.in_pool:
            con.execute(
                "insert into store.pool_row values (?, ?, null, ?, ?, 'batch', ?)",
                [r.sample_id, r.source, f"{r.source}.jsonl", r.line, f"pool-{r.source}"],
            )
            con.execute(
                "insert into store.scored_pool values (?, ?, 'c', ?, ?, ?, ?, null, null, 'cs', 'qs', 'p')",
                [r.sample_id, r.source, r.n_turns, r.mean(0), r.mean(1), r.evol_score],
            )
        for at, (c, q, c_status, q_status) in enumerate(r.turns):
            con.execute(
                "insert into store.turn values (?, ?, null, ?, 'answer', 'p', 'q')",
                [r.sample_id, at, f"ask {r.line} {at}"],
            )
            if r.in_pool:
                for measure, score, status in (("complexity", c, c_status), ("quality", q, q_status)):
                    con.execute(
                        "insert into store.scored_turn values (?, ?, ?, ?, 'f', ?, ?)",
                        [r.source, r.sample_id, at, measure, score, status],
                    )
    for ledger_id, rows in pool.ledgers.items():
        first = rows[0]
        con.execute(
            "insert into store.ledger values (?, ?, ?, ?, 0.6, ?, 0, 0, true, false, now(), null)",
            [ledger_id, first.scope_kind, first.scope, SPEC, len(rows)],
        )
        if ledger_id in pool.heads:
            con.execute(
                "insert into store.ledger_head values (?, ?, ?)", [first.scope_kind, first.scope, ledger_id]
            )
        con.executemany(
            "insert into store.ledger_row values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(ledger_id, r.row.sample_id, r.rank, r.verdict, r.reason, r.row.evol_score, r.kept_position, r.blocked_by,
              r.similarity) for r in rows],
        )  # fmt: skip
    for v in pool.versions:
        con.execute(
            "insert into store.selection values (?, ?, ?, ?, ?, ?, 'm', ?, 'd', ?, 'run', ?)",
            [
                v.name,
                v.scope_kind,
                v.scope,
                v.budget,
                len(v.members),
                v.ledger_id,
                SPEC,
                v.trial,
                v.created_at,
            ],
        )
        if v.is_head:
            con.execute(
                "insert into store.selection_head values (?, ?, ?, ?)",
                [v.scope_kind, v.scope, v.budget, v.name],
            )
        con.executemany(
            "insert into store.selection_member (selection_version, position, sample_id, rank, evol_score) "
            "values (?, ?, ?, ?, ?)",
            [(v.name, m.kept_position, m.row.sample_id, m.rank, m.row.evol_score) for m in v.members],
        )
    con.executemany(
        "insert into store.quarantine values (?, ?, 'sha', ?, ?, 'd', 'p', 'batch', 1, null)", pool.quarantine
    )
