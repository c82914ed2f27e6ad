"""Labelled sets of other people, to judge a head with and never to train it: files in, rated texts and pairs out.

A *rated* set is JSONL with `instruction`, `rating` and, for quality, `response`; texts that stem from one seed name a
common `group`. A *pair* set is JSONL with `instruction`, `better`, `worse`, as people judged; ties are left out. Both
may be gzipped. The file's name is the set's name; `complexity/` and `quality/` hold the files of the two measures.

What belongs here: reading those sets and taking out what overlaps. What does not: judging.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deita_assets.core.strict_json import loads
from deita_assets.errors import UsageError
from deita_assets.scorers.base import Measure
from deita_assets.training.set_file import lines_of

_ENDINGS = (".jsonl", ".jsonl.gz")
#: Further keys of a row may hold anything that is not nested deeper.
_MAX_DEPTH = 32
_CURE = "Name JSONL files in UTF-8, plain or gzipped."


@dataclass(frozen=True)
class RatedText:
    """One text with a rating from elsewhere; higher is harder or better."""

    instruction: str
    response: str
    rating: float
    group: str


@dataclass(frozen=True)
class JudgedPair:
    """Two answers of which people preferred the first."""

    instruction: str
    better: str
    worse: str


@dataclass(frozen=True)
class LabelSet:
    """One set: either rated texts or judged pairs.

    Attributes:
        name: the file's name without its endings.
        rated: rated texts; empty for a set of pairs.
        pairs: judged pairs; empty for a set of ratings.
        n_overlapping: rows taken out because their instruction occurs elsewhere.
    """

    name: str
    rated: tuple[RatedText, ...]
    pairs: tuple[JudgedPair, ...]
    n_overlapping: int = 0


def read_label_sets(folder: Path, measure: Measure, *, known: Iterable[str] = ()) -> list[LabelSet]:
    """The sets of one measure, in order of name, without instructions that are known or stand in an earlier set.

    Args:
        folder: holds `complexity/` and `quality/`, or one of them.
        measure: which of them.
        known: instructions that were learnt from.

    Raises:
        UsageError: no such folder, a file that cannot be read, or a line without the fields above; names file and
            line.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: found no folder of labels.", cure="Correct `[training] labels`, or leave it out."
        )
    seen = {normalised(instruction) for instruction in known}
    sets = []
    for path in sorted(path for ending in _ENDINGS for path in (folder / measure).glob(f"*{ending}")):
        found = _read(path, measure)
        rated = [row for row in found.rated if normalised(row.instruction) not in seen]
        pairs = [row for row in found.pairs if normalised(row.instruction) not in seen]
        n_overlapping = len(found.rated) + len(found.pairs) - len(rated) - len(pairs)
        seen.update(normalised(row.instruction) for row in rated)
        seen.update(normalised(row.instruction) for row in pairs)
        sets.append(LabelSet(found.name, tuple(rated), tuple(pairs), n_overlapping))
    return sets


def normalised(instruction: str) -> str:
    """An instruction without case, marks and white space, by which copies are known; as it is if it has no word."""
    return " ".join(re.findall(r"\w+", instruction.lower())) or instruction


def _read(path: Path, measure: Measure) -> LabelSet:
    rated: list[RatedText] = []
    pairs: list[JudgedPair] = []
    for number, line in enumerate(lines_of(path, _CURE), 1):
        try:
            row = _parse(loads(line, _MAX_DEPTH), measure, f"{path.name}:{number}")
            if rated and isinstance(row, JudgedPair) or pairs and isinstance(row, RatedText):
                raise ValueError("found ratings and pairs in one file, expected one of the two")
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path}: line {number}: {error}.",
                cure="Give instruction and rating (and response, for quality), or instruction, better and worse.",
            ) from error
        if isinstance(row, JudgedPair):
            pairs.append(row)
        else:
            rated.append(row)
    return LabelSet(path.name.removesuffix(".gz").removesuffix(".jsonl"), tuple(rated), tuple(pairs))


def _parse(row: Any, measure: Measure, own_group: str) -> RatedText | JudgedPair:
    if not isinstance(row, dict):
        raise TypeError(f"found {type(row).__name__}, expected an object")
    if "better" in row and measure == "quality":
        return JudgedPair(*_texts(row, "instruction", "better", "worse"))
    rating = row.get("rating")
    if isinstance(rating, bool) or not isinstance(rating, int | float):
        raise TypeError(f"rating: found {rating!r}, expected a number")
    texts = _texts(row, "instruction", "response") if measure == "quality" else _texts(row, "instruction")
    return RatedText(
        texts[0], texts[1] if len(texts) > 1 else "", float(rating), str(row.get("group", own_group))
    )


def _texts(row: dict[str, Any], *keys: str) -> list[str]:
    for key in keys:
        if not isinstance(row.get(key), str):
            raise TypeError(f"{key}: found {type(row.get(key)).__name__}, expected text")
    return [row[key] for key in keys]
