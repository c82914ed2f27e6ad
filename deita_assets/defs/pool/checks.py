"""Checks of `raw_pool[source]`.

What belongs here: their names and wiring. What does not: the rules (core.checks.pool_rules), or the reading.
"""

from __future__ import annotations

from collections.abc import Sequence

from deita_assets.core.checks.finding import Finding
from deita_assets.defs.check_records import ROW_ACCOUNTING, UNIQUE_KEYS
from deita_assets.defs.check_steps import checks_of
from deita_assets.defs.platform import Platform
from deita_assets.defs.pool.assets import raw_pool
from deita_assets.engines.checks.pool import check_pool


def _pool(platform: Platform, source: str) -> Sequence[Finding]:
    return check_pool(platform.warehouse, source)


raw_pool_checks = checks_of(
    raw_pool,
    {
        UNIQUE_KEYS: "Each row of the pool has an id and a content of its own.",
        ROW_ACCOUNTING: "Rows read = in the pool + exact duplicates + quarantined + taken down, counted anew.",
        "licence_present": "Somebody said under which licence the source stands. Warns.",
    },
    _pool,
)
