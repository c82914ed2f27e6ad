"""`deita-assets diff`: what one selection version has that another has not, and why.

What belongs here: the command and its output. What does not: finding differences (macro `selection_diff`,
engines.selection_diff).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from deita_assets.cli.look import find_version
from deita_assets.cli.session import Session, one_line, with_session
from deita_assets.engines.selection_diff import SelectionDiff, changed_rows, selection_diff
from deita_assets.stores.serving import open_serving

#: Characters shown of an instruction.
_SHOWN = 56
#: What each reason means; NULL is told apart.
REASONS = {
    "out_of_scope": "its source is not selected from there",
    "withdrawn": "left the pool",
    "taken_down": "was taken down",
    "excluded": "a filter refuses it",
    "contaminated": "repeats a row of an exclusion set",
    "unscored": "a turn has no score",
    "invalid": "has no vector",
    "over_quota": "its source has all its rows",
    "near_duplicate": "too similar to a row that is kept",
    "rescored": "its own score changed",
    "beyond_budget": "the budgets differ, and it is behind the smaller one",
    "out_ranked": "other rows come first",
    "new_source": "its source was not selected from before",
    "new_row": "was not in the pool before",
    "unblocked": "was a near-duplicate before",
    "let_in": "was refused before: by a filter, an exclusion set, a quota, or for want of a score",
    "moved_up": "rows that came first are gone",
}


@click.command("diff")
@click.argument("a")
@click.argument("b")
@click.option(
    "--limit", type=click.IntRange(0, 100_000), default=5, show_default=True, help="Rows shown of each kind."
)
@with_session
def command(session: Session, a: str, b: str, limit: int) -> None:
    """What changed from version A to version B: rows added, removed and moved, each with its reason.

    A and B are versions or 6 and more characters of one; `deita-assets selections` lists them.
    """
    with open_serving(session.home) as con:
        versions = [find_version(con, a), find_version(con, b)]
        found = selection_diff(con, versions[0]["selection_version"], versions[1]["selection_version"])
        rows = changed_rows(con, found.a, found.b, limit)
    _print(session, versions, found, rows)
    session.emit(
        {
            "a": versions[0],
            "b": versions[1],
            "same_members": found.same_members,
            "spec": [asdict(change) for change in found.spec],
            "changes": dict(found.changes),
            "reasons": [
                {"change": change, "reason": reason, "rows": n}
                for (change, reason), n in found.reasons.items()
            ],
            "sources": [asdict(one) for one in found.sources],
            "pruned_ledgers": list(found.pruned),
            "rows": rows,
        }
    )


def _print(
    session: Session, versions: list[dict[str, Any]], found: SelectionDiff, rows: list[dict[str, Any]]
) -> None:
    out = session.out
    session.table(
        "", ["", "version", "scope", "budget", "rows", "made (UTC)", ""],
        [
            [
                name, v["selection_version"], v["scope"], v["budget"], v["n_rows"],
                f"{v['created_at']:%Y-%m-%d %H:%M}", "trial" if v["trial"] else "current" if v["is_head"] else "",
            ]
            for name, v in zip("AB", versions, strict=True)
        ],
    )  # fmt: skip
    if found.a == found.b:
        out.print("\none and the same version")
        return
    if found.same_members:
        out.print("\n[bold]same members[/bold]: the same rows in the same order; only the spec differs")
    if found.spec:
        out.print("\n[bold]what differs[/bold]")
    for change in found.spec:
        out.print(f"  {change.text}", markup=False)
    if found.same_members:
        return
    out.print()
    session.table(
        "", ["change", "reason", "rows", ""],
        [[change, reason, n, _why(change, reason)] for (change, reason), n in found.reasons.items()],
    )  # fmt: skip
    if found.pruned:
        out.print(f"  no reason is known where the rows of a ledger were let go ({', '.join(found.pruned)})")
    out.print()
    session.table(
        "", ["source", "A", "B", "added", "removed"],
        [[one.source, one.a, one.b, one.added, one.removed] for one in found.sources],
    )  # fmt: skip
    _print_rows(session, rows)


def _why(change: str, reason: str | None) -> str:
    if reason is None:
        return "not known" if change in ("added", "removed") else ""
    return REASONS.get(reason, "")


def _print_rows(session: Session, rows: list[dict[str, Any]]) -> None:
    for change in ("removed", "added", "moved"):
        chosen = [row for row in rows if row["change"] == change]
        if not chosen:
            continue
        session.out.print(f"\n[bold]{change}[/bold]")
        reasons, beside = change != "moved", any(row["blocked_by"] for row in chosen)
        header = ["  A", "B", "reason" if reasons else "", "sample_id", "first instruction"]
        session.table(
            "", [*header, "blocked by" if beside else ""],
            [
                [
                    _position(row["position_a"], "  "), _position(row["position_b"]), row["reason"] or "",
                    row["sample_id"], one_line(row["instruction"] or "", _SHOWN), _blocker(row),
                ]
                for row in chosen
            ],
        )  # fmt: skip


def _position(position: int | None, before: str = "") -> str:
    return before + ("-" if position is None else f"{position:,}")


def _blocker(row: dict[str, Any]) -> str:
    if not row["blocked_by"]:
        return ""
    return f"{row['blocked_by']} {one_line(row['blocked_by_instruction'] or '', _SHOWN)}"
