"""DEITA data selection as an asset platform: score, embed, filter, and know why every row is in or out.

The names below are all there is to the Python interface. They are looked up when first used, so that
importing the package costs nothing and none of torch, LanceDB, DuckDB or Dagster is loaded before it is
needed.

    repr_filter          select by the score-first, diversity-aware filter
    Ledger               what `repr_filter` returns: a verdict and a reason for every row
    expected_score       digit logits to scores
    DeitaScorer          the paper's scorers
    parse_conversation   a row of any common format to a `Conversation`, or `ParseError`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deita_assets.api import expected_score, repr_filter
    from deita_assets.core.conversation import Conversation
    from deita_assets.core.formats import parse_conversation
    from deita_assets.core.ledger import Ledger
    from deita_assets.errors import ParseError
    from deita_assets.scorers.deita import DeitaScorer

__version__ = "0.1.0"

__all__ = [
    "Conversation",
    "DeitaScorer",
    "Ledger",
    "ParseError",
    "expected_score",
    "parse_conversation",
    "repr_filter",
]

_HOME = {
    "Conversation": "deita_assets.core.conversation",
    "DeitaScorer": "deita_assets.scorers.deita",
    "Ledger": "deita_assets.core.ledger",
    "ParseError": "deita_assets.errors",
    "expected_score": "deita_assets.core.evol_score",
    "parse_conversation": "deita_assets.core.formats",
    "repr_filter": "deita_assets.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    """Public names, used or not."""
    return sorted({*globals(), *__all__})
