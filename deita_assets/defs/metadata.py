"""What assets show in the UI: numbers, small tables and text histograms, with every foreign string escaped.

What belongs here: presentation. What does not: computing what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np

#: Metadata key under which a ledger or subset keeps what its pass had to say: how much it took over, and why not more.
NOTES = "notes"
#: The one metadata key of a trial's observation.
TRIAL = "trial"
_BLOCKS = "▁▂▃▄▅▆▇█"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.MarkdownMetadataValue:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def counts(values: Mapping[str, int], what: str) -> dg.MarkdownMetadataValue:
    """A two-column table of counts; a heading over nothing would look like a fault."""
    if not values:
        return dg.MetadataValue.md("none")
    return table([what, "rows"], [(name, f"{count:,}") for name, count in values.items()])


def histogram(values: Sequence[float], bins: int = 24) -> dg.MarkdownMetadataValue:
    """A one-line histogram with range, median and mean; readable in light and dark."""
    finite = np.asarray([v for v in values if v is not None and np.isfinite(v)], np.float64)
    if not len(finite):
        return dg.MetadataValue.md("no scores")
    heights, edges = np.histogram(finite, bins=bins)
    bars = "".join(_BLOCKS[int(7 * h / heights.max() + 0.5)] for h in heights)
    facts = f"median {np.median(finite):.2f}, mean {finite.mean():.2f}, n {len(finite):,}"
    return dg.MetadataValue.md(f"`{edges[0]:.2f} {bars} {edges[-1]:.2f}`\n\n{facts}")


def escape(text: object) -> str:
    """Text that stays text inside a Markdown table: no tags, links, images or cell breaks."""
    safe = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\|[]!`*_":
        safe = safe.replace(mark, f"\\{mark}")
    return " ".join(safe.split())
