"""`deita-assets explain`: why a row is in or out.

What belongs here: the command and how a row's story is printed. What does not: finding the row (find_row), collecting
its story (row_story) or what a verdict means (row_verdicts).
"""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape

from deita_assets.cli.find_row import find_row
from deita_assets.cli.look import scope_kind
from deita_assets.cli.row_story import quarantine_story, row_story
from deita_assets.cli.row_verdicts import Asked
from deita_assets.cli.session import Session, one_line, printable, with_session
from deita_assets.stores.serving import open_serving

#: Characters shown of a text that stands alone, of one beside others, and the most places and versions listed.
_ALONE, _BESIDE = 100, 64
_MOST_PLACES, _MOST_VERSIONS = 6, 12
#: What the other row of a comparison is, by verdict.
_BESIDE_IS = {
    "kept": "nearest kept",
    "near_duplicate": "blocked by",
    "contaminated": "repeats",
    "excluded": "the same as",
}


@click.command("explain")
@click.argument("text")
@click.option("--scope", help="Only this source or mixture.")
@click.option("--budget", type=click.IntRange(min=1), help="Tell the verdict at this budget.")
@click.option(
    "--look-ahead", is_flag=True, help="Go through all rows before one that was not reached, however many."
)
@with_session
def command(session: Session, text: str, scope: str | None, budget: int | None, look_ahead: bool) -> None:
    """Where a row came from, its scores, what became of it in every scope and why, and the versions that hold it.

    TEXT is a sample id, 6 or more characters of one, the row's own id, FILE:LINE, or a phrase in it. Rows that left
    the pool and rows in quarantine are found too.
    """
    with open_serving(session.home) as con:
        if scope is not None:
            scope_kind(con, scope)
        found = find_row(con, text)
        for other in found.others:
            session.err.print(printable(f"  fits too: {other}"), markup=False)
        if found.quarantined is not None:
            story = quarantine_story(found.quarantined)
        else:
            asked = Asked(scope, budget, look_ahead)
            story = row_story(con, session.home, str(found.sample_id), asked)
    story["other_matches"] = found.others
    if found.quarantined is not None:
        _print_quarantined(session, story)
    else:
        _print(session, story)
    session.emit(story)


def _print(session: Session, story: dict[str, Any]) -> None:
    session.out.print(f"[bold]{story['sample_id']}[/bold]  {escape(printable(_where(story)))}")
    _print_places(session, story)
    _print_turns(session, story)
    for row in story["verdicts"]:
        _print_verdict(session, story, row)
    if not story["verdicts"]:
        session.out.print("in no current ledger" + ("" if story["in_pool"] else ": not in the pool"))
    _print_versions(session, story["selections"])


def _where(story: dict[str, Any]) -> str:
    """Whether a row is in the pool, or since when it is not, and why."""
    left = story["left"]
    if left is None:
        return "in the pool"
    since = f"since pool version {left.get('left_with') or 'unknown'}"
    if left.get("left_at"):
        since += f", {left['left_at']:%Y-%m-%d %H:%M} UTC"
    if story["state"] == "taken_down":
        return f"taken down {since}: {one_line(left['reason'], _ALONE)}"
    if not left:
        return "not in the pool"
    how = "was replaced" if left["file_stands"] else "left"
    return f"withdrawn {since}: {left['file']} ({left['file_sha256'][:12]}) {how}"


def _print_places(session: Session, story: dict[str, Any]) -> None:
    places = story["occurrences"]
    if not places:
        return
    first, living = places[0], [one for one in places if one["to_seq"] is None]
    own = f", own id {first['own_id']}" if first["own_id"] else ""
    batch = f"batch {first['batch_id']}" if first["batch_id"] else "batch unknown"
    at = f"{story['source']}/{first['file']}:{first['line']}{own}"
    session.out.print(printable(f"from {at} (file {first['file_sha256'][:12]}, {batch})"), markup=False)
    for word, others in (
        ("exact duplicate", living[1:]),
        ("earlier place", [one for one in places[1:] if one["to_seq"] is not None]),
    ):
        if others:
            shown = ", ".join(_place(one) for one in others[:_MOST_PLACES])
            more = ", ..." if len(others) > _MOST_PLACES else ""
            told = f"  + {len(others)} {word}{'s' if len(others) > 1 else ''} at {shown}{more}"
            session.out.print(printable(told), markup=False)


def _place(one: dict[str, Any]) -> str:
    own = f" (own id {one['own_id']})" if one["own_id"] else ""
    return f"{one['file']}:{one['line']}{own}"


def _print_turns(session: Session, story: dict[str, Any]) -> None:
    if story["evol_score"] is not None:
        turns = f"{story['n_turns']} turn{'s' if story['n_turns'] > 1 else ''}"
        session.out.print(f"evol_score {story['evol_score']:.4f} over {turns}")
    session.table(
        "", ["turn", "complexity", "quality", "user", "assistant"],
        [
            [
                turn["turn"], _score(turn, "complexity"), _score(turn, "quality"),
                one_line(turn["instruction"], _BESIDE), one_line(turn["response"], _BESIDE),
            ]
            for turn in story["turns"]
        ],
    )  # fmt: skip


def _score(turn: dict[str, Any], measure: str) -> str:
    score, status = turn[measure], turn[f"{measure}_status"]
    if score is None:
        return str(status or "not scored")
    return f"{score:.2f}" + ("" if status == "ok" else f" ({status})")


def _print_verdict(session: Session, story: dict[str, Any], row: dict[str, Any]) -> None:
    rank = f", rank {row['rank']:,}" if row["rank"] else ""
    session.out.print(f"\n[bold]{row['scope']}[/bold] ({row['scope_kind']}{rank})  ", end="")
    session.out.print(printable(row["meaning"]), markup=False)
    if row.get("verdict_at_budget"):
        session.out.print(f"  at this budget: {row['verdict_at_budget']}")
    outlook = row["outlook"]
    for line in (outlook.get("text"), outlook.get("note")):
        if line:
            session.out.print(printable(f"  {line}"), markup=False)
    if row["nearest"]:
        _print_beside(session, story, row["nearest"], _BESIDE_IS.get(row["verdict"], ""), row["similarity"])
    if outlook.get("nearest"):
        _print_beside(session, story, outlook["nearest"], "would be blocked by", outlook["similarity"])


def _print_beside(
    session: Session, story: dict[str, Any], other: dict[str, Any], what: str, similarity: float | None
) -> None:
    """First instruction and answer of two rows, side by side."""
    similar = "" if similarity is None else f", similarity {similarity:.4f}"
    rank = f", rank {other['rank']:,}" if other["rank"] else ""
    place = f", position {other['kept_position']:,}" if other["kept_position"] else ""
    at = f" at {other['file']}:{other['line']}" if other["file"] else ""
    session.out.print(printable(f"  {what} {other['sample_id']}{at}{rank}{place}{similar}"), markup=False)
    own = story["turns"][0] if story["turns"] else {"instruction": "", "response": ""}
    session.table(
        "", ["  ", "this row", "that row"],
        [
            ["  user", one_line(own["instruction"], _BESIDE), one_line(other["instruction"], _BESIDE)],
            ["  assistant", one_line(own["response"], _BESIDE), one_line(other["response"], _BESIDE)],
        ],
    )  # fmt: skip


def _print_versions(session: Session, versions: list[dict[str, Any]]) -> None:
    if not versions:
        session.out.print("\nin no selection version")
        return
    session.out.print()
    session.table(
        "", ["in version", "scope", "budget", "position", "made (UTC)", ""],
        [
            [
                row["selection_version"], row["scope"], row["budget"], row["position"],
                f"{row['created_at']:%Y-%m-%d %H:%M}",
                "current" if row["is_head"] else "trial" if row["trial"] else "",
            ]
            for row in versions[:_MOST_VERSIONS]
        ],
    )  # fmt: skip
    if len(versions) > _MOST_VERSIONS:
        session.out.print(f"and {len(versions) - _MOST_VERSIONS} more (--json names all)")


def _print_quarantined(session: Session, story: dict[str, Any]) -> None:
    out = session.out
    place = f"{story['source']}/{story['file']}:{story['line']}"
    out.print(f"[bold]{escape(printable(place))}[/bold]  in quarantine")
    if not story["in_landing"]:
        out.print("  its file has left landing since")
    out.print(f"  {story['reason']}: {story['meaning'] or ''}", markup=False)
    detail = story["detail"].removeprefix(f"{story['reason']}: ")
    out.print(f"  detail {one_line(detail, _ALONE)}", markup=False)
    if story["cure"]:
        out.print(f"  cure   {story['cure']}", markup=False)
    out.print(f"  text   {one_line(story['raw_prefix'], _ALONE)}", markup=False)
    out.print(f"  file {story['file_sha256'][:12]}, batch {story['batch_id']}", markup=False)
