"""Check of `serving_catalog`.

What belongs here: its name and wiring. What does not: the rule (core.checks.subset_rules), or the reading.
"""

from __future__ import annotations

from collections.abc import Sequence

from deita_assets.core.checks.finding import Finding
from deita_assets.defs.check_records import STORES_AGREE
from deita_assets.defs.check_steps import checks_of
from deita_assets.defs.platform import Platform
from deita_assets.defs.serving.assets import serving_catalog
from deita_assets.engines.checks.serving import check_serving


def _serving(platform: Platform, _: str) -> Sequence[Finding]:
    return check_serving(platform.warehouse)


serving_catalog_checks = checks_of(
    serving_catalog,
    {
        STORES_AGREE: "The published copy holds as many rows of everything as the warehouse it was copied from."
    },
    _serving,
)
