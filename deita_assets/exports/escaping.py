"""Foreign text in Markdown: names, paths and rows as text, and as nothing else.

What belongs here: escaping, and tables of escaped cells. What does not: what is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from deita_assets.core.shown import printable

#: What begins a tag, entity, cell, code, link, image, emphasis, formula, or an address that links by itself. An
#: underscore inside a word begins nothing. Written as a numeric reference each means itself.
_MARKS: Final = re.compile(
    r"[<>&|`\\\[\]*~$]|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.|:(?=//)|^[#+\-=](?=\W|$)|(?<=^\d)[.)](?=\s|$)",
    re.IGNORECASE,
)
#: An address of mail, or a name that is called upon: parted by a mark that nobody sees.
_AT: Final = "@&#8288;"


def escaped(text: object) -> str:
    """Text on one line that renders as itself: no tag, link, image, emphasis, code, heading or end of a cell."""
    flat = printable(" ".join(str(text).split()))
    return _MARKS.sub(lambda found: f"&#{ord(found[0])};", flat).replace("@", _AT)


def shortened(text: str, chars: int) -> str:
    """At most so many characters of a row's text on one line; to be escaped afterwards."""
    flat = " ".join(text.split())
    return flat if len(flat) <= chars else flat[: chars - 1] + "…"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> list[str]:
    """Lines of a Markdown table; its cells are escaped already. Columns in `numbers` stand to the right."""
    rule = ["---:" if at in numbers else "---" for at in range(len(header))]
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]
