"""Chunks of bytes to lines, without ever holding a line that is too long.

What belongs here: line ends and line numbers. What does not: what stands in a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deita_assets.core.limits import ReadLimits
from deita_assets.readers.held_bytes import HeldBytes
from deita_assets.readers.records import RawRow


def split_lines(chunks: Iterable[bytes], limits: ReadLimits) -> Iterator[RawRow]:
    r"""The lines that are not blank, numbered from 1; a `\r` before the `\n` is white space.

    Of a line beyond the limit only the first bytes are kept, and its size. The last line counts as ended only
    if a line end follows it.
    """
    line, held = 1, HeldBytes(limits)
    for chunk in chunks:
        pieces = chunk.split(b"\n")
        held.add(pieces[0])
        if held.overflows:
            held.drop()
        if len(pieces) == 1:
            continue
        if row := _row(held, line, ended=True):
            yield row
        for raw in pieces[1:-1]:
            line += 1
            if raw and not raw.isspace():
                yield RawRow(line, raw, len(raw))
        line += 1
        held = HeldBytes(limits)
        held.add(pieces[-1])
    if row := _row(held, line, ended=False):
        yield row


def _row(held: HeldBytes, line: int, *, ended: bool) -> RawRow | None:
    raw = held.joined()
    return RawRow(line, raw, held.size, ended) if raw and not raw.isspace() else None
