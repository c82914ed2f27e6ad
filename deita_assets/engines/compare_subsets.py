"""Where two subsets first differ: their specs, their members, their files.

What belongs here: finding the first difference and saying it in words. What does not: making either subset, or what
follows from the difference (reproduce).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from deita_assets.engines.findings import Difference
from deita_assets.stores.selections import Member

_SHOWN = 60
#: Rows of a Parquet file in memory at once.
_BATCH_ROWS = 1_000
#: Columns for reading, which may have been empty once and known later.
_FOR_READING = ("complexity", "quality")
_GONE = object()


@dataclass(frozen=True)
class ParquetComparison:
    """What two Parquet files have in common.

    Attributes:
        difference: the first one in schema or rows, or None.
        n_later: rows whose complexity or quality only the rebuilt file has.
    """

    difference: Difference | None
    n_later: int = 0


def spec_difference(published: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> Difference | None:
    """The first key, in name order, that two specs do not agree on."""
    for key, theirs, ours in _unequal(published, rebuilt, ""):
        shown = f"spec: {key} was {_short(theirs)}, is {_short(ours)}"
        values = {
            "published": None if theirs is _GONE else theirs,
            "rebuilt": None if ours is _GONE else ours,
        }
        return Difference("spec", shown, {"key": key, **values})
    return None


def _unequal(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from _unequal(one.get(key, _GONE), other.get(key, _GONE), f"{path}.{key}" if path else key)
    elif one != other:
        yield path, one, other


def member_difference(published: Sequence[Member], rebuilt: Sequence[Member]) -> Difference | None:
    """The first position where two selections have other rows, or the same row with another score or rank."""
    for at, (theirs, ours) in enumerate(zip_longest(published, rebuilt), 1):
        if theirs == ours:
            continue
        facts: dict[str, Any] = {"position": at}
        if theirs is None or ours is None or theirs.sample_id != ours.sample_id:
            shown = [f"{m.sample_id} ({m.evol_score:.6g})" if m else "nothing" for m in (theirs, ours)]
            facts |= {
                "published": theirs.sample_id if theirs else None,
                "rebuilt": ours.sample_id if ours else None,
            }
            return Difference(
                "members", f"position {at:,}: {shown[0]} was there, {shown[1]} is rebuilt", facts
            )
        key = next(
            key for key in ("evol_score", "rank", "position") if getattr(theirs, key) != getattr(ours, key)
        )
        values = {"published": getattr(theirs, key), "rebuilt": getattr(ours, key)}
        shown_values = f"was {values['published']!r}, is {values['rebuilt']!r}"
        facts |= {"sample_id": theirs.sample_id, "key": key, **values}
        return Difference("members", f"position {at:,} ({theirs.sample_id}): {key} {shown_values}", facts)
    return None


def line_difference(name: str, published: Path, rebuilt: Path) -> Difference | None:
    """The first line, and the place in it, where two text files differ."""
    with published.open("rb") as theirs, rebuilt.open("rb") as ours:
        for at, (one, other) in enumerate(zip_longest(theirs, ours), 1):
            if one != other:
                place = next(
                    (n for n, (a, b) in enumerate(zip(one or b"", other or b"", strict=False)) if a != b),
                    min(len(one or b""), len(other or b"")),
                )
                was, now = (_excerpt(line, place) for line in (one, other))
                return Difference(
                    name,
                    f"{name} line {at:,}, byte {place + 1:,}: {was} was there, {now} is rebuilt",
                    {"line": at, "byte": place + 1},
                )
    return None


def _excerpt(line: bytes | None, place: int) -> str:
    if line is None:
        return "no line"
    start = max(0, place - 10)
    return repr(line[start : start + 30].decode("utf-8", "replace"))


def compare_parquet(name: str, published: Path, rebuilt: Path) -> ParquetComparison:
    """The first difference in schema or rows, whatever the writers; complexity and quality may have become known.

    Raises:
        OSError, pyarrow.ArrowException: the published one cannot be read.
    """
    with pq.ParquetFile(published) as theirs, pq.ParquetFile(rebuilt) as ours:
        one, other = theirs.schema_arrow, ours.schema_arrow
        if not one.equals(other, check_metadata=False):
            return ParquetComparison(_schema_difference(name, one, other))
        n_later = 0
        for at, (was, now) in enumerate(zip_longest(_rows(theirs), _rows(ours)), 1):
            if was is None or now is None:
                shown = f"{name} row {at:,}: {'no row was' if was is None else 'a row was'} there, "
                shown += "none is rebuilt" if now is None else "one is rebuilt"
                return ParquetComparison(Difference(name, shown, {"position": at}))
            unequal = [key for key in was if was[key] != now[key]]
            later = [key for key in unequal if key in _FOR_READING and was[key] is None]
            n_later += bool(later)
            for key in unequal:
                if key not in later:
                    shown = f"{name} row {at:,}: {key} was {_short(was[key])}, is {_short(now[key])}"
                    return ParquetComparison(Difference(name, shown, {"position": at, "column": key}))
        return ParquetComparison(None, n_later)


def _rows(file: Any) -> Iterator[dict[str, Any]]:
    for batch in file.iter_batches(_BATCH_ROWS):
        yield from batch.to_pylist()


def _schema_difference(name: str, one: Any, other: Any) -> Difference:
    theirs, ours = ({field.name: str(field.type) for field in schema} for schema in (one, other))
    for key in [*theirs, *(key for key in ours if key not in theirs)]:
        if theirs.get(key) != ours.get(key):
            shown = f"{name}: column {key} was {theirs.get(key)}, is {ours.get(key)}"
            return Difference(name, shown, {"column": key})
    return Difference(name, f"{name}: columns were {', '.join(theirs)}, are {', '.join(ours)}")


def _short(value: Any) -> str:
    text = "absent" if value is _GONE else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
