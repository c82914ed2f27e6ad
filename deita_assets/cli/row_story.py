"""Everything that is known of one row, collected from the published catalog.

What belongs here: collecting. What does not: printing it (explain), finding the row (find_row), or computing what
would be (engines.look_ahead).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deita_assets.cli.row_verdicts import Asked, verdict_story
from deita_assets.cli.session import dictionaries
from deita_assets.core.reasons import REASONS
from deita_assets.stores.home import Home
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb


def row_story(con: duckdb.DuckDBPyConnection, home: Home, sample_id: str, asked: Asked) -> dict[str, Any]:
    """The story of a row that was read: where it stood, its turns, what the ledgers say, and versions that hold it."""
    story = dictionaries(con, statement("explain/row"), {"sample_id": sample_id})[0]
    places = dictionaries(con, statement("explain/occurrences"), {"sample_id": sample_id})
    first: dict[str, Any] = places[0] if places else {}
    story |= {name: first.get(name) for name in ("own_id", "file", "file_sha256", "line", "batch_id")}
    story["occurrences"] = places
    story["state"], story["left"] = _state(con, story)
    story["turns"] = dictionaries(con, statement("explain/turns"), {"sample_id": sample_id})
    scoped = {"sample_id": sample_id, "scope": asked.scope}
    story["verdicts"] = [
        verdict_story(con, home, row, asked)
        for row in dictionaries(con, statement("explain/verdicts"), scoped)
    ]
    story["selections"] = dictionaries(con, statement("explain/versions"), scoped)
    return story


def _state(con: duckdb.DuckDBPyConnection, story: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """`in_pool`, `taken_down` or `withdrawn`; and since when and why, where it left."""
    taken = dictionaries(con, "select * from store.takedown where sample_id = ?", [story["sample_id"]])
    if taken:
        version = con.execute(
            "select pool_version from store.pool_version where source = ? and seq = ?",
            [story["source"], taken[0].get("from_seq")],
        ).fetchall()
        return "taken_down", {
            "reason": taken[0]["reason"],
            "left_with": version[0][0] if version else None,
            "left_at": taken[0]["taken_at"],
        }
    if story["in_pool"]:
        return "in_pool", None
    place = next((one for one in story["occurrences"] if one["to_seq"] is not None), None)
    names = ("file", "file_sha256", "line", "file_stands", "left_with", "left_at")
    return "withdrawn", {name: place[name] for name in names} if place else {}


def quarantine_story(row: dict[str, Any]) -> dict[str, Any]:
    """The story of a row in quarantine."""
    reason = REASONS.get(row["reason"])
    told = {"meaning": reason.description, "cure": reason.cure} if reason else {"meaning": None, "cure": None}
    return {"state": "quarantined", **row, **told}
