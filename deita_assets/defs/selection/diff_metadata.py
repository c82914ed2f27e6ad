"""What a new selection says of its predecessor: numbers that the UI plots over time, and tables to read.

What belongs here: presentation of a diff. What does not: the diff (engines.selection_diff).
"""

from typing import Any

from deita_assets.defs.metadata import table
from deita_assets.engines.cut import Cut
from deita_assets.engines.selection_diff import SelectionDiff, selection_diff
from deita_assets.stores.warehouse import Warehouse


def diff_metadata(warehouse: Warehouse, cut: Cut) -> dict[str, Any]:
    """The diff of a published selection against the one that was current before; nothing for the first one."""
    if cut.previous is None:
        return {}
    with warehouse.read(f"diff {cut.previous} {cut.selection.version}") as con:
        return {
            "previous_version": cut.previous,
            **_shown(selection_diff(con, cut.previous, cut.selection.version)),
        }


def _shown(diff: SelectionDiff) -> dict[str, Any]:
    shown: dict[str, Any] = dict(diff.changes)
    if diff.a == diff.b:
        return shown
    if diff.same_members:
        shown["members"] = "same members: only the spec moved"
    else:
        shown["changes"] = table(
            ["change", "reason", "rows"],
            [(change, reason or "", f"{n:,}") for (change, reason), n in diff.reasons.items()],
        )
        shown["changes_by_source"] = table(
            ["source", "before", "now", "added", "removed"],
            [
                [one.source, *(f"{n:,}" for n in (one.a, one.b, one.added, one.removed))]
                for one in diff.sources
            ],
        )
    if diff.spec:
        shown["what_differs"] = table(
            ["part", "before and now"],
            [(one.what, one.text.removeprefix(f"{one.what}: ")) for one in diff.spec],
        )
    return shown
