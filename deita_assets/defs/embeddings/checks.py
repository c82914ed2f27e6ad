"""Checks of `embeddings[source]`.

What belongs here: their names and wiring. What does not: the rules (core.checks.vector_rules), or the reading.
"""

from __future__ import annotations

from collections.abc import Sequence

from deita_assets.core.checks.finding import Finding
from deita_assets.defs.check_records import UNIQUE_KEYS, UNIT_NORMS
from deita_assets.defs.check_steps import checks_of
from deita_assets.defs.embeddings.assets import embeddings
from deita_assets.defs.platform import Platform
from deita_assets.engines.checks.embeddings import check_embeddings


def _embeddings(platform: Platform, source: str) -> Sequence[Finding]:
    return check_embeddings(platform.warehouse, source)


embeddings_checks = checks_of(
    embeddings,
    {
        UNIQUE_KEYS: "Each content has one stored vector of this embedder.",
        UNIT_NORMS: "Every vector of the pool has length one, as float16 can hold it.",
        "missing_vectors": "Every row of the pool has a vector. Warns.",
    },
    _embeddings,
)
