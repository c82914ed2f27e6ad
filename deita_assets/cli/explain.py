"""`deita-assets explain`: why a row is in or out.

What belongs here: collecting a row's story and telling it. What does not: verdicts.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.look import find_row
from deita_assets.cli.session import Session, dictionaries, one_line, with_session
from deita_assets.stores.serving import open_serving

if TYPE_CHECKING:
    import duckdb

_ROW = """
select p.sample_id, p.source, p.own_id, p.n_turns, p.n_messages, p.n_chars, p.file, p.line, p.batch_id, p.licence,
       s.complexity, s.quality, s.evol_score
from pool p left join scored_pool s on s.sample_id = p.sample_id where p.sample_id = ?
"""
_TURNS = """
select t.turn, t.instruction, t.response, c.score as complexity, c.status as complexity_status,
       q.score as quality, q.status as quality_status
from turns t
left join scores c on c.sample_id = t.sample_id and c.turn = t.turn and c.measure = 'complexity'
left join scores q on q.sample_id = t.sample_id and q.turn = t.turn and q.measure = 'quality'
where t.sample_id = ? order by t.turn
"""
_VERDICTS = """
select l.sample_id, l.scope_kind, l.scope, l.ledger_id, l.rank, l.verdict, l.reason, l.evol_score,
       l.kept_position, l.blocked_by, l.similarity, l.threshold
from ledger l where l.sample_id = ? order by l.scope_kind, l.scope
"""
_SELECTED = """
select s.selection_version, s.scope, s.budget, m.position, s.is_head
from selected m join selections s on s.selection_version = m.selection_version
where m.sample_id = ? order by s.scope, s.budget
"""
_TEXT = """
select t.instruction, t.response, p.file, p.line, s.evol_score
from turns t join pool p on p.sample_id = t.sample_id left join scored_pool s on s.sample_id = t.sample_id
where t.sample_id = ? and t.turn = 0
"""


@click.command("explain")
@click.argument("text")
@click.option("--budget", type=click.IntRange(min=1), help="Tell the verdict at this budget.")
@with_session
def command(session: Session, text: str, budget: int | None) -> None:
    """Where a row came from, its scores, its verdict in every ledger, what blocked it, and the versions that hold it.

    TEXT is a sample id, 6 or more characters of one, the row's own id, or a phrase in it.
    """
    with open_serving(session.home) as con:
        sample_id, others = find_row(con, text)
        for other in others:
            session.err.print(f"  also holds this phrase: {other}", markup=False)
        story = {**tell(con, sample_id, budget), "other_matches": others}
    _print(session, story)
    session.emit(story)


def tell(con: duckdb.DuckDBPyConnection, sample_id: str, budget: int | None = None) -> dict[str, Any]:
    """Everything that is known of one row."""
    story: dict[str, Any] = dictionaries(con, _ROW, [sample_id])[0]
    story["turns"] = dictionaries(con, _TURNS, [sample_id])
    story["verdicts"] = [_verdict(con, row, budget) for row in dictionaries(con, _VERDICTS, [sample_id])]
    story["selections"] = dictionaries(con, _SELECTED, [sample_id])
    return story


def _verdict(con: duckdb.DuckDBPyConnection, row: dict[str, Any], budget: int | None) -> dict[str, Any]:
    if row["blocked_by"]:
        nearest = dictionaries(con, _TEXT, [row["blocked_by"]])
        row["nearest"] = nearest[0] if nearest else None
    if budget is not None:
        at = con.execute(
            "select verdict from ledger_at(?, ?) where sample_id = ?",
            [_ledger_of(con, row, budget), budget, row["sample_id"]],
        ).fetchall()
        row["verdict_at_budget"] = at[0][0] if at else None
    row["meaning"] = _meaning(row)
    return row


def _ledger_of(con: duckdb.DuckDBPyConnection, row: dict[str, Any], budget: int) -> str:
    """The ledger under the current selection of this budget: with shares and floors each budget has its own."""
    found = con.execute(
        "select ledger_id from selections where is_head and scope_kind = ? and scope = ? and budget = ?",
        [row["scope_kind"], row["scope"], budget],
    ).fetchall()
    return str(found[0][0] if found else row["ledger_id"])


def _meaning(row: dict[str, Any]) -> str:
    if row["verdict"] == "kept" and row["reason"] == "frozen_base":
        return f"kept at position {row['kept_position']:,}: a row of the frozen base, which stays whatever it resembles"
    if row["verdict"] == "kept":
        place = f"{row['kept_position']:,}"
        return f"kept at position {place}: in every selection with a budget of {place} or more"
    if row["verdict"] == "near_duplicate":
        return (
            f"dropped: similarity {row['similarity']:.4f} to a kept row is above {row['threshold']}; "
            f"it would stay at a threshold of {ceil(row['similarity'] * 10_000) / 10_000:.4f} or more"
        )
    if row["verdict"] == "unvisited":
        return "not reached: the largest budget so far was filled by rows that came first"
    if row["verdict"] == "over_quota":
        return "dropped: its source had all the rows that it may have (a cap, a share, or rows owed to other sources)"
    return f"{row['verdict']}: {row['reason'] or 'no reason recorded'}"


def _print(session: Session, story: dict[str, Any]) -> None:
    out = session.out
    out.print(f"[bold]{story['sample_id']}[/bold]")
    own = f", its own id {story['own_id']}" if story["own_id"] else ""
    out.print(f"  from {story['source']}/{story['file']} line {story['line']}{own}", markup=False)
    if story["evol_score"] is not None:
        out.print(
            f"  evol_score {story['evol_score']:.3f} over {story['n_turns']} turns "
            f"(complexity {story['complexity']:.2f}, quality {story['quality']:.2f} on average)"
        )
    for turn in story["turns"]:
        out.print(
            f"  turn {turn['turn']}: complexity {_score(turn, 'complexity')}, quality {_score(turn, 'quality')}"
        )
        out.print(f"    user      {one_line(turn['instruction'])}", markup=False)
        out.print(f"    assistant {one_line(turn['response'])}", markup=False)
    for row in story["verdicts"]:
        _print_verdict(session, row)
    for row in story["selections"]:
        current = "" if row["is_head"] else " (not current)"
        where = f"{row['scope']} budget {row['budget']:,} at position {row['position']:,}"
        out.print(f"  in {where}: {row['selection_version']}{current}")
    if not story["selections"]:
        out.print("  in no selection version")


def _print_verdict(session: Session, row: dict[str, Any]) -> None:
    rank = f"rank {row['rank']:,}, " if row["rank"] else ""
    session.out.print(f"  [bold]{row['scope']}[/bold]: {rank}{row['meaning']}")
    if row.get("verdict_at_budget"):
        session.out.print(f"    at this budget: {row['verdict_at_budget']}")
    nearest = row.get("nearest")
    if nearest:
        word = "nearest kept" if row["verdict"] == "kept" else "blocked by"
        similar = "" if row["similarity"] is None else f" (similarity {row['similarity']:.4f})"
        session.out.print(f"    {word} {row['blocked_by']}{similar}", markup=False)
        session.out.print(f"      user      {one_line(nearest['instruction'])}", markup=False)
        session.out.print(f"      assistant {one_line(nearest['response'])}", markup=False)


def _score(turn: dict[str, Any], measure: str) -> str:
    score, status = turn[measure], turn[f"{measure}_status"]
    if score is None:
        return str(status or "not scored")
    return f"{score:.2f}" + ("" if status == "ok" else f" ({status})")
