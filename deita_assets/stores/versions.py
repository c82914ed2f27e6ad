"""Selection versions as people write them: the start of one is enough.

What belongs here: finding the one version that is meant. What does not: what a version holds (selections).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deita_assets.core.names import SHORTEST_PREFIX
from deita_assets.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    import duckdb

#: Fewer characters are more likely a typing slip than meant.


def whole_version(con: duckdb.DuckDBPyConnection, prefix: str, what: str) -> str:
    """The one selection version that starts with `prefix`; `what` it is for, in words.

    Raises:
        NotFoundError: none does. UsageError: the prefix is too short or not unique.
    """
    if len(prefix) < SHORTEST_PREFIX:
        raise UsageError(f"{what} {prefix!r}: give {SHORTEST_PREFIX} characters or more.")
    found = con.execute(
        "select selection_version from store.selection where starts_with(selection_version, ?) limit 2",
        [prefix],
    ).fetchall()
    if not found:
        raise NotFoundError(
            f"{what} {prefix!r} is no selection version of this home.",
            cure="`deita-assets selections` lists them; 6 or more characters are enough.",
        )
    if len(found) > 1:
        raise UsageError(
            f"{what} {prefix!r} is the start of more than one version.", cure="Give more characters."
        )
    return str(found[0][0])
