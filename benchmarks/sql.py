"""What the public views cost: the same question on a view, on its base tables in the same file, and on a Parquet file.

    python benchmarks/sql.py                       # 300,000 scored rows: three minutes to make, 1 GB; five to ask
    python benchmarks/sql.py --rows 3000           # a test of the benchmark
    python benchmarks/sql.py --home FOLDER         # keep the home there, or ask one that was kept

The rows are those of `benchmarks/sql_home.py`, in a published home. Every question is asked on the view, on the base
tables in the leanest way that gives the same answer, and on a Parquet file that holds the view (zstd, DuckDB's writer),
in turns, timed by `time.process_time`; of each the fastest round counts. Answers have to be equal before any time is
printed.

Macros have no Parquet file. What takes less than `--floor` milliseconds counts as that much: below it a question costs
its planning, which grows with the text of the view and not with its rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import duckdb
from sql_home import make_home

from deita_assets.stores.home import Home

#: What stands for itself in the questions below; {v} is the newest version of the mixture, {w} the one before, {l} the
#: newest ledger.
NAMES = {
    "head": "(select ledger_id from store.ledger_head where scope = 'all')",
    "in_pool": "semi join store.pool_row p on p.sample_id = c.sample_id",
    "members": "store.selection_member m join store.conversation c on c.sample_id = m.sample_id",
    "places": "store.selection_member m join store.occurrence o on o.sample_id = m.sample_id",
    "mine": "where selection_version = '{v}'",
}
#: view -> (what is asked, on the view, on the base tables)
QUESTIONS = {
    "pool": [
        ("rows by source", "select source, count(*) from {pool} group by 1",
         "select source, count(*) from store.conversation where in_pool group by 1"),
        ("length by language", "select language, count(*), sum(n_chars) from {pool} group by 1",
         "select language, count(*), sum(n_chars) from store.conversation where in_pool group by 1"),
        ("all texts", "select sum(length(conversations)) from {pool}",
         "select sum(length(conversation)) from store.conversation where in_pool"),
    ],
    "turns": [
        ("longest responses", "select sample_id, turn, n_chars_response from {turns} "
         "order by 3 desc, 1, 2 limit 10",
         "select c.sample_id, turn, length(response) from store.turn c {in_pool} "
         "order by 3 desc, 1, 2 limit 10"),
        ("turns of a row", "select turn, count(*) from {turns} group by 1",
         "select turn, count(*) from store.turn c {in_pool} group by 1"),
    ],
    "scores": [
        ("by status", "select measure, status, count(*), max(score) from {scores} group by all",
         "select measure, status, count(*), max(score) from store.scored_turn group by all"),
    ],
    "scored_pool": [
        ("by source", "select source, count(evol_score), median(evol_score) from {scored_pool} group by 1",
         "select source, count(evol_score), median(evol_score) from store.scored_pool group by 1"),
        ("by embedder", "select embedder, count(*) from {scored_pool} group by 1",
         "select e.fingerprint, count(*) from store.scored_pool s join store.coverage e "
         "on e.source = s.source and e.step = 'embedding' group by 1"),
    ],
    "ledger": [
        ("verdicts", "select verdict, source, count(*) from {ledger} where scope = 'all' group by all",
         "select verdict, split_part(sample_id, ':', 1), count(*) from store.ledger_row where ledger_id = {head} "
         "group by all"),
        ("near misses", "select sample_id, similarity from {ledger} where scope = 'all' and verdict = 'near_duplicate' "
         "order by 2, 1 limit 20",
         "select sample_id, similarity from store.ledger_row where ledger_id = {head} and verdict = 'near_duplicate' "
         "order by 2, 1 limit 20"),
    ],
    "selections": [
        ("current ones", "select scope, budget, selection_version from {selections} where is_head",
         "select scope, budget, selection_version from store.selection_head"),
    ],
    "selected": [
        ("texts of one", "select sum(length(conversations)) from {selected} {mine}",
         "select sum(length(conversation)) from {members} {mine}"),
        # The base reads the conversations too, though it needs none of them; see docs/sql.md.
        ("sources of one", "select source, count(*), min(evol_score) from {selected} {mine} group by 1",
         "select c.source, count(*), min(evol_score) from {members} {mine} group by 1"),
    ],
    "lineage": [
        ("files of one", "select file, file_sha256, count(*) from {lineage} {mine} group by all",
         "select uri, file_sha256, count(*) from {places} {mine} group by all"),
        ("all of one", "select position, file, line, batch_id, similarity from {lineage} {mine}",
         "select position, o.uri, o.line, f.batch_id, r.similarity from {places} join store.file f "
         "on f.source = o.source and f.uri = o.uri and f.file_sha256 = o.file_sha256 and f.from_seq = o.from_seq "
         "join store.ledger_row r on r.sample_id = m.sample_id and r.ledger_id = "
         "(select ledger_id from store.selection {mine}) {mine}"),
    ],
    "quarantine": [
        ("by reason", "select source, reason, count(*) from {quarantine} group by all",
         "select source, reason, count(*) from store.quarantine where to_seq is null group by all"),
    ],
    "ledger_at": [
        ("verdicts at a budget", "select verdict, count(*) from ledger_at('{l}', 5) group by 1",
         "with cut as (select rank as last from store.ledger_row where ledger_id = '{l}' and kept_position = 5) "
         "select case when kept_position > 5 or (verdict <> 'kept' and rank > last) then 'beyond_budget' else verdict "
         "end, count(*) from store.ledger_row, cut where ledger_id = '{l}' group by 1"),
    ],
    "selection_diff": [
        ("counts", "select change, count(*) from selection_diff('{v}', '{w}') group by 1",
         "select case when a.sample_id is null then 'added' when b.sample_id is null then 'removed' "
         "when a.position <> b.position then 'moved' else 'unchanged' end, count(*) "
         "from (from store.selection_member where selection_version = '{v}') a "
         "full join (from store.selection_member where selection_version = '{w}') b on b.sample_id = a.sample_id "
         "group by 1"),
    ],
}  # fmt: skip


def measure(con, texts, rounds):
    """Fastest CPU seconds of each text, asked in turns.

    Raises:
        SystemExit: their answers differ.
    """
    best, answers = [float("inf")] * len(texts), [None] * len(texts)
    for _ in range(rounds):
        for at, text in enumerate(texts):
            start = time.process_time()
            answers[at] = con.execute(text).fetchall()
            best[at] = min(best[at], time.process_time() - start)
    told = [sorted(map(repr, answer)) for answer in answers]
    if not told[0] or any(one != told[0] for one in told):
        raise SystemExit(
            "answers differ:\n" + "\n".join(f"{text}\n  {a[:3]}" for text, a in zip(texts, told, strict=True))
        )
    return best


def write_parquet(con, folder):
    """One file for each view."""
    for view in QUESTIONS:
        if view not in ("ledger_at", "selection_diff"):
            con.execute(f"copy (from {view}) to '{folder / view}.parquet' (compression zstd)")


def named(view, text, names, folder=None):
    """A question on the view, or on its Parquet file."""
    table = f"'{folder / view}.parquet'" if folder else view
    text = text.replace("{" + view + "}", table)
    for name, value in (NAMES | names).items():
        text = text.replace("{" + name + "}", value)
    return text


def compare(con, folder, options):
    ledger, (older, newer) = (
        con.execute("select ledger_id from ledger where scope = 'all' limit 1").fetchall()[0][0],
        [row[0] for row in con.execute(
            "select selection_version from selections where scope = 'all' "
            "qualify budget = max(budget) over () order by 1"
        ).fetchall()],
    )  # fmt: skip
    names = {"v": newer, "w": older, "l": ledger}
    print(
        f"{'view':<15} {'question':<21} {'view ms':>9} {'base ms':>9} {'ratio':>6} {'parquet ms':>11} {'ratio':>6}"
    )
    for view, asked in QUESTIONS.items():
        for question, on_view, on_base in asked:
            texts = [named(view, on_view, names), named(view, on_base, names)]
            if "{" + view + "}" in on_view:
                texts.append(named(view, on_view, names, folder))
            ms = [max(seconds * 1000, options.floor) for seconds in measure(con, texts, options.rounds)]
            parquet = f"{ms[2]:>11.1f} {ms[0] / ms[2]:>6.2f}" if len(ms) > 2 else f"{'-':>11} {'-':>6}"
            print(
                f"{view:<15} {question:<21} {ms[0]:>9.1f} {ms[1]:>9.1f} {ms[0] / ms[1]:>6.2f} {parquet}",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--floor", type=float, default=5.0, help="milliseconds that count as this much")
    parser.add_argument("--home", type=Path, help="folder of the home; made when it is not there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.home or Path(scratch) / "home"
        start = time.perf_counter()
        home = (
            Home(root)
            if root.exists()
            else make_home(root, options.rows, (options.rows // 60, options.rows // 30))
        )
        made = time.perf_counter() - start
        folder = Path(scratch)
        with duckdb.connect(str(home.serving), read_only=True, config={"threads": options.threads}) as con:
            write_parquet(con, folder)
            rows = con.execute("select count(*) from scored_pool").fetchall()[0][0]
            size = home.serving.stat().st_size / 1e6
            print(
                f"{rows:,} scored rows, {size:,.0f} MB (home {made:.0f} s), DuckDB {duckdb.__version__}, "
                f"CPU time on {options.threads} threads, fastest of {options.rounds}; equal answers; "
                f"below {options.floor:g} ms counts as that"
            )
            compare(con, folder, options)


if __name__ == "__main__":
    main()
