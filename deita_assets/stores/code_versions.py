"""Which code a version was made with: for its manifest, never for its hash.

What belongs here: the `code` block of a manifest. What does not: libraries and run, which are provenance.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from deita_assets.stores.selections import pinned_sources
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb


def code_versions(con: duckdb.DuckDBPyConnection, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Versions of deita_assets, of the selection algorithm with its tie rule, and of the rules files were read by.

    Returns:
        `deita_assets`, `algorithm`, `tie_rule`, and `readers`: source -> versions of the rules by which the files of
        its pinned pool version were read; sources of exclusion sets and of frozen bases are among them.
    """
    sets = (spec.get("exclusion_sets") or {}).get("sets", [])
    pinned = {**dict(sets), **pinned_sources(con, spec)}
    rows = con.execute(
        statement("reproduce/readers"), {"sources": list(pinned), "versions": list(pinned.values())}
    ).fetchall()
    return {
        "deita_assets": version("deita-assets"),
        "algorithm": spec["algorithm"],
        "tie_rule": spec["tie_rule"],
        "readers": {source: list(readers) for source, readers in rows},
    }
