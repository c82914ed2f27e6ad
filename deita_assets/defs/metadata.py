"""What assets show in the UI: numbers, small tables and pictures, with every foreign string as the text that it is.

Dagster plots plain numbers over time and over partitions. It shows Markdown of up to 1,000 characters in place and a
longer one behind a link; tables of its own it shows in place whatever their length, and their cells as plain text.

What belongs here: presentation. What does not: computing what is shown, or drawing (engines.plots).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.shown import printable
from deita_assets.engines.plots import SHOWN_IN_PLACE, histogram, markdown_image

#: Metadata key under which a ledger or subset keeps what its pass had to say: how much it took over, and why not more.
NOTES = "notes"
#: The one metadata key of a trial's observation.
TRIAL = "trial"
#: What makes a link out of plain text in the UI's Markdown, escaped or not; a word joiner after it prevents that.
_LINK = re.compile(r"(://|www|@)", re.IGNORECASE)
_JOINER = "\u2060"


def table(
    header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> dg.MarkdownMetadataValue | dg.TableMetadataValue:
    """A small table as Markdown; where that would be hidden behind a link, one of Dagster's own."""
    body = [tuple(row) for row in rows]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in body]
    text = "\n".join(lines)
    return dg.MetadataValue.md(text) if len(text) < SHOWN_IN_PLACE else text_table(header, body)


def text_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    """A table for texts of rows and names of files: its cells are never read as Markdown."""
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(header, map(plain, row), strict=True))) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in header]),
    )


def counts(values: Mapping[str, int], what: str) -> dg.MetadataValue[Any]:
    """A two-column table of counts; a heading over nothing would look like a fault."""
    if not values:
        return dg.MetadataValue.md("none")
    return table([what, "rows"], [(name, f"{count:,}") for name, count in values.items()])


def picture(svg: str, description: str, caption: str = "") -> dg.MarkdownMetadataValue:
    """A picture with a line below it.

    Args:
        svg: of `engines.plots`.
        description: for those who cannot see it.
        caption: numbers and what the picture covers; no foreign text.
    """
    return dg.MetadataValue.md(
        "\n\n".join([markdown_image(svg, description), *([caption] if caption else [])])
    )


def score_histogram(values: ArrayLike, what: str) -> dg.MarkdownMetadataValue:
    """A histogram with its median marked; missing and other values that are no number are left out."""
    known = finite(values)
    if not len(known):
        return dg.MetadataValue.md("no scores")
    caption = (
        f"{known.min():.2f} to {known.max():.2f}, median {np.median(known):.2f}, mean {known.mean():.2f}, "
        f"{len(known):,} rows"
    )
    return picture(histogram(known), f"histogram of {what}", caption)


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """(m,) what is a number of these values."""
    known = np.asarray(values, np.float64)
    return known[np.isfinite(known)]


def numbers(**values: float | None) -> dict[str, float]:
    """Metadata that Dagster plots, to four places; what is not known or not finite is left out."""
    return {
        name: round(value, 4) for name, value in values.items() if value is not None and np.isfinite(value)
    }


def plain(text: object) -> str:
    """Text in one line, with what cannot be seen or turns the direction of reading written as escapes."""
    return printable(" ".join(str(text).split()))


def escape(text: object) -> str:
    """Text that stays text inside a Markdown table: no tags, links, images or cell breaks."""
    safe = plain(text).replace("\\", "\\\\")
    safe = safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "|[]!`*_~":
        safe = safe.replace(mark, f"\\{mark}")
    return _LINK.sub(rf"\g<1>{_JOINER}", safe)
