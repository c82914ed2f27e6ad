"""What one ledger says of one row, in words, and what would let it in.

What belongs here: the meaning of verdicts. What does not: deciding them, or printing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from deita_assets.cli.session import dictionaries
from deita_assets.core.row_filters import EXACT_DUPLICATE
from deita_assets.core.verdicts import (
    CONTAMINATED,
    EXCLUDED,
    INVALID,
    KEPT,
    NEAR_DUPLICATE,
    OVER_QUOTA,
    UNSCORED,
    UNVISITED,
)
from deita_assets.errors import DeitaError
from deita_assets.stores import ledgers
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import StoredLedger
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Asked:
    """What the reader wants to know.

    Attributes:
        scope: of this source or mixture alone.
        budget: the verdict at this budget too.
        look_ahead: go on with a pass however many rows are ahead.
    """

    scope: str | None = None
    budget: int | None = None
    look_ahead: bool = False


def verdict_story(
    con: duckdb.DuckDBPyConnection, home: Home, row: dict[str, Any], asked: Asked
) -> dict[str, Any]:
    """A row of `ledger` with its meaning, the row beside it, and at which budget or threshold it would be in."""
    ledger = ledgers.find_ledger(con, row["ledger_id"])
    assert ledger is not None  # noqa: S101 - the view joins it
    if asked.budget is not None:
        row["verdict_at_budget"] = _verdict_at(con, row, asked.budget)
    row["meaning"] = _meaning(row, ledger)
    row["outlook"] = _outlook(con, home, row, ledger, asked)
    row["nearest"] = _neighbour(con, row["ledger_id"], row["blocked_by"])
    ahead = row["outlook"].get("blocked_by")
    if ahead:
        row["outlook"]["nearest"] = _neighbour(con, row["ledger_id"], ahead)
    return row


def _neighbour(
    con: duckdb.DuckDBPyConnection, ledger_id: str, sample_id: str | None
) -> dict[str, Any] | None:
    if sample_id is None:
        return None
    found = dictionaries(
        con, statement("explain/neighbour"), {"sample_id": sample_id, "ledger_id": ledger_id}
    )
    return found[0] if found else None


def _verdict_at(con: duckdb.DuckDBPyConnection, row: dict[str, Any], budget: int) -> str | None:
    """The verdict in the ledger under the current selection of a budget: with shares and floors each has its own."""
    found = con.execute(
        "select ledger_id from selections where is_head and scope_kind = ? and scope = ? and budget = ?",
        [row["scope_kind"], row["scope"], budget],
    ).fetchall()
    ledger_id = found[0][0] if found else row["ledger_id"]
    at = con.execute(
        "select verdict from ledger_at(?, ?) where sample_id = ?", [ledger_id, budget, row["sample_id"]]
    ).fetchall()
    return str(at[0][0]) if at else None


def _meaning(row: dict[str, Any], ledger: StoredLedger) -> str:
    """The verdict in one sentence."""
    verdict, reason = row["verdict"], row["reason"] or "no reason recorded"
    if verdict == KEPT:
        place = f"kept at position {row['kept_position']:,}"
        if row["reason"] == "frozen_base":
            return f"{place}: a row of the frozen base, which stays whatever it resembles"
        if ledger.for_one_budget:
            return f"{place} of the {ledger.n_kept:,} that this budget keeps"
        return f"{place}: in every selection with a budget of {row['kept_position']:,} or more"
    if verdict == NEAR_DUPLICATE:
        return f"near-duplicate: similarity {row['similarity']:.4f} to a kept row is above {row['threshold']}"
    if verdict == UNVISITED:
        return f"not reached: {ledger.n_kept:,} rows were kept by then, as many as the largest budget so far asked for"
    if verdict == OVER_QUOTA:
        return "over quota: its source had all the rows that it may have (a cap, a share, or rows owed to others)"
    if verdict == EXCLUDED and row["reason"] == EXACT_DUPLICATE:
        return "excluded: the same conversation stands in another source, whose row takes part"
    return f"{verdict}: {reason}"


def _outlook(
    con: duckdb.DuckDBPyConnection, home: Home, row: dict[str, Any], ledger: StoredLedger, asked: Asked
) -> dict[str, Any]:
    """At which budget or threshold the row would be in, as numbers and in words (`text`)."""
    verdict = row["verdict"]
    if verdict == KEPT:
        return {} if ledger.for_one_budget else {"budget": row["kept_position"]}
    try:
        if verdict == NEAR_DUPLICATE:
            return _at_thresholds(con, home, row, ledger)
        if verdict == UNVISITED:
            return _further_on(con, home, row, ledger, asked)
    except DeitaError as error:
        return {**_without_vectors(row), "note": str(error)}
    return {"text": _cure(row, ledger)}


def _at_thresholds(
    con: duckdb.DuckDBPyConnection, home: Home, row: dict[str, Any], ledger: StoredLedger
) -> dict[str, Any]:
    from deita_assets.engines.look_ahead import thresholds

    found = thresholds(con, home, ledger, row["sample_id"], row["blocked_by"])
    text = f"would be kept at a threshold of {_up(found.in_from)} or more"
    if "caps" in ledger.spec["selector"]:
        text += ", unless the cap of its source is full by then"
    if found.in_from != found.out_below:
        certain = found.out_from <= row["threshold"]
        text += (
            f" ({found.nearest} is that similar); "
            + (f"out below {_down(found.out_below)}; " if certain else "")
            + "in between it depends on which rows are kept"
        )
    return {**{f"threshold_{name}": value for name, value in asdict(found).items()}, "text": text}


def _further_on(
    con: duckdb.DuckDBPyConnection, home: Home, row: dict[str, Any], ledger: StoredLedger, asked: Asked
) -> dict[str, Any]:
    from deita_assets.engines.look_ahead import MOST_AHEAD, can_look_ahead, look_ahead

    if not can_look_ahead(ledger):
        why = (
            "its quotas follow the budget, so that each budget has a pass of its own"
            if ledger.for_one_budget
            else f"{ledger.spec['selector']['name']} chooses by what is kept, not down an order"
        )
        return {"budget_least": ledger.n_kept + 1, "text": f"only a larger budget tells: {why}"}
    most = None if asked.look_ahead else MOST_AHEAD
    found = look_ahead(con, home, ledger, row["sample_id"], most=most)
    told = {
        "rows_ahead": found.rows_ahead, "walked": found.walked, "verdict": found.verdict,
        "budget": found.position_most if found.walked else None,
        "budget_least": found.position_least, "budget_most": found.position_most,
        "blocked_by": found.blocked_by, "similarity": found.similarity,
    }  # fmt: skip
    rows = f"{found.rows_ahead:,} rows are before it"
    if found.verdict == NEAR_DUPLICATE:
        text = f"would be a near-duplicate (similarity {found.similarity:.4f}); {rows}"
    elif found.verdict == OVER_QUOTA:
        text = f"would be over quota: the cap of its source is full by then; {rows}"
    elif found.walked:
        place = f"{found.position_most:,}"
        text = f"would be kept at position {place}: in from a budget of {place} on; {rows}"
    else:
        sure = "would be kept" if found.verdict == KEPT else "if it is kept,"
        text = (
            f"{sure} at a position from {found.position_least:,} to {found.position_most:,}; {rows}: "
            "`--look-ahead` goes through them"
        )
    return {**told, "text": text}


def _without_vectors(row: dict[str, Any]) -> dict[str, Any]:
    """What numbers alone say where rows or vectors are gone."""
    if row["verdict"] != NEAR_DUPLICATE:
        return {}
    return {"text": f"to pass this row takes a threshold of {_up(row['similarity'])} or more"}


def _cure(row: dict[str, Any], ledger: StoredLedger) -> str:
    """What would let a row in that no threshold and no budget lets in."""
    verdict, reason = row["verdict"], row["reason"] or ""
    source = row["sample_id"].partition(":")[0]
    if verdict == OVER_QUOTA:
        quotas = [
            f"{name[:-1]} of {source} (now {ledger.spec['selector'][name][source]})"
            for name in ("caps", "shares")
            if source in ledger.spec["selector"].get(name, {})
        ]
        return f"would take part with a higher {' or '.join(quotas) or 'share, or lower floors of other sources'}"
    if verdict == EXCLUDED and reason == EXACT_DUPLICATE:
        return "one of the two takes part, whatever the settings; the order of `sources` says which"
    if verdict == EXCLUDED:
        return f"would take part without the filter `{reason.partition(':')[0]}`"
    if verdict == CONTAMINATED:
        return "would take part if the exclusion set lacked that row, or with looser `contamination` settings"
    if verdict == UNSCORED:
        return "would take part if every turn had a score; another scorer or a wider window may give one"
    if verdict == INVALID:
        return "would take part with a vector to compare; `curate` embeds what has none"
    return ""


def _up(value: float) -> str:
    """At least the value, in four decimals: a threshold that can be typed."""
    return f"{ceil(value * 10_000) / 10_000:.4f}"


def _down(value: float) -> str:
    return f"{floor(value * 10_000) / 10_000:.4f}"
