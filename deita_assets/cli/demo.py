"""`deita-assets demo`: the whole graph on the bundled pool, and what came out, in a newcomer's words.

What belongs here: the tour. What does not: anything the real commands do not do too.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.add import add_files, show_report
from deita_assets.cli.curate import Plan, run_plan
from deita_assets.cli.session import Session, dictionaries, one_line, with_session
from deita_assets.settings import ALL
from deita_assets.stores.home import Home
from deita_assets.stores.serving import open_serving

if TYPE_CHECKING:
    import duckdb

DEMO_HOME = "deita_demo"
BUDGETS = (30, 60, 120)
#: The bundled pool, written for this project: one source per format.
DEMO_FILES = {
    "front_desk": "front_desk.jsonl",
    "study_hall": "study_hall.json",
    "workbench": "workbench.jsonl",
}
DEMO_LICENCE = "Apache-2.0"

_PAIR = """
select l.sample_id, l.blocked_by, l.similarity, a.instruction as dropped, a.response as dropped_response,
       b.instruction as kept, b.response as kept_response
from ledger l
join turns a on a.sample_id = l.sample_id and a.turn = 0
join turns b on b.sample_id = l.blocked_by and b.turn = 0
where l.scope = 'all' and l.verdict = 'near_duplicate' and a.instruction <> b.instruction
order by l.rank limit 1
"""
_EXTREMES = """
(select 'best' as kind, s.sample_id, s.evol_score, s.complexity, s.quality, t.instruction, t.response
 from scored_pool s join turns t on t.sample_id = s.sample_id and t.turn = 0
 where s.n_turns = 1 order by s.evol_score desc, s.sample_id limit 3)
union all
(select 'worst', s.sample_id, s.evol_score, s.complexity, s.quality, t.instruction, t.response
 from scored_pool s join turns t on t.sample_id = s.sample_id and t.turn = 0
 where s.n_turns = 1 and s.evol_score is not null order by s.evol_score, s.sample_id limit 3)
"""


@click.command("demo")
@with_session
def command(session: Session) -> None:
    """Ingest, score, embed and select the bundled pool: budgets 30, 60 and 120, in ./deita_demo."""
    given = (click.get_current_context().obj or {}).get("home") or click.get_current_context().params.get(
        "home"
    )
    if not given:
        session = Session(str(Home.at(DEMO_HOME).root), session.as_json)
    out = session.out
    out.print("[bold]1  Rows in[/bold] - three sources, three formats, read from landing/")
    reports = [_add(session, source, name) for source, name in DEMO_FILES.items()]
    for report in reports:
        show_report(session, report)
    out.print("\n[bold]2  Scoring, embedding, selecting[/bold] - each arrow is a Dagster run of real assets")
    plan = Plan("mixture", tuple(sorted(DEMO_FILES)), {ALL: BUDGETS})
    run_plan(session, plan)
    with open_serving(session.home) as con:
        document = _tell(session, con, reports)
    session.emit(document)


def _add(session: Session, source: str, name: str) -> dict[str, Any]:
    with as_file(files("deita_assets") / "demo" / name) as path:
        return add_files(session, source, (path,), {"licence": DEMO_LICENCE})


def _tell(session: Session, con: duckdb.DuckDBPyConnection, reports: list[dict[str, Any]]) -> dict[str, Any]:
    out = session.out
    verdicts = dictionaries(
        con, "select verdict, count(*) as rows from ledger where scope = 'all' group by 1 order by 2 desc"
    )
    selections = dictionaries(
        con,
        "select budget, n_rows, selection_version, directory from selections where is_head and scope = 'all' "
        "and list_contains(?, budget) order by budget",
        [list(BUDGETS)],
    )
    pair = dictionaries(con, _PAIR)
    extremes = dictionaries(con, _EXTREMES)
    out.print("\n[bold]3  What came out[/bold]")
    session.table("", ["verdict", "rows"], [list(row.values()) for row in verdicts])
    if pair:
        _show_pair(session, pair[0])
    for kind in ("best", "worst"):
        out.print(f"\n[bold]{kind.capitalize()} single-turn rows[/bold] by evol_score = complexity x quality")
        for row in extremes:
            if row["kind"] == kind:
                scores = f"{row['evol_score']:5.2f} = {row['complexity']:.2f} x {row['quality']:.2f}"
                out.print(f"  {scores}  {one_line(row['instruction'], 80)}", markup=False)
    out.print("\n[bold]4  Where it is[/bold]")
    for row in selections:
        out.print(
            f"  budget {row['budget']:>3}: {session.home.root / row['directory'] / 'train.jsonl'}",
            markup=False,
        )
    out.print(
        "\nScores come from the embedded `distilled` scorers; they are not DEITA scores.\n"
        "[bold]Look further[/bold]"
    )
    home = "" if session.home.root.name == "deita_home" else f"--home {_shown(session)} "
    sample = pair[0]["sample_id"][: pair[0]["sample_id"].index(":") + 9] if pair else "ID"
    out.print(f"  deita-assets {home}explain {sample}", markup=False)
    out.print(f"  deita-assets {home}dev            # the same graph in the Dagster UI", markup=False)
    return {
        "sources": reports, "verdicts": verdicts, "selections": selections,
        "near_duplicate": pair[0] if pair else None, "extremes": extremes,
    }  # fmt: skip


def _show_pair(session: Session, pair: dict[str, Any]) -> None:
    out = session.out
    out.print(f"\n[bold]A near-duplicate[/bold], similarity {pair['similarity']:.3f}: the better row stays")
    out.print(f"  kept     {one_line(pair['kept'])}", markup=False)
    out.print(f"           {one_line(pair['kept_response'])}", markup=False)
    out.print(f"  dropped  {one_line(pair['dropped'])}", markup=False)
    out.print(f"           {one_line(pair['dropped_response'])}", markup=False)


def _shown(session: Session) -> str:
    from pathlib import Path

    root = session.home.root
    return str(root.relative_to(Path.cwd())) if root.is_relative_to(Path.cwd()) else str(root)
