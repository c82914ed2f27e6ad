"""The graded set: instructions and responses with grades 1 to 6, one JSON object per line.

What belongs here: the schema and reading it. What does not: what is learnt from it.

Complexity lines have `id, seed, parent, mutation, domain, language, instruction, grades, grade`, quality lines also
`response`; `why` and further keys are for readers. `seed` names the chain or group that a text belongs to; all of its
texts fall into one split. `grades` are independent gradings, `grade` is what was decided.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deita_assets.core.strict_json import loads
from deita_assets.errors import UsageError
from deita_assets.scorers.base import Measure
from deita_assets.training.set_file import lines_of

GRADES = range(1, 7)
#: One seed in this many is held out: never trained on, never used to choose anything.
HELD_OUT_ONE_IN = 5
_FOLDER = Path(__file__).parent.parent / "graded_set"
_MAX_DEPTH = 4
_TEXT_KEYS = ("id", "seed", "domain", "language", "instruction")


@dataclass(frozen=True)
class GradedText:
    """One graded instruction, or response to one.

    Attributes:
        id: its name.
        seed: name of its chain or group; one text of each, the seed itself, has no parent.
        parent: id of the text that it was made from; None for a seed.
        mutation: how it was made from its parent; None for a seed.
        domain: what it is about.
        language: ISO 639-1.
        instruction: the instruction.
        response: the response that is graded; None where the instruction is.
        grades: independent gradings, each 1 to 6.
        grade: the grade decided on, 1 to 6.
    """

    id: str
    seed: str
    parent: str | None
    mutation: str | None
    domain: str
    language: str
    instruction: str
    response: str | None
    grades: tuple[int, ...]
    grade: int


def packaged_set(measure: Measure) -> Path:
    """The graded set that the project wrote."""
    return _FOLDER / f"{measure}.jsonl"


def read_graded_set(path: Path, measure: Measure) -> list[GradedText]:
    """Reads a graded set and checks it whole.

    Raises:
        UsageError: no such file, or a line that does not fit the schema; names file, line, what was found.
    """
    lines = lines_of(path, "Name a JSONL file in UTF-8.")
    texts: dict[str, GradedText] = {}
    seeds: set[str] = set()
    for number, line in enumerate(lines, 1):
        try:
            text = _parse(loads(line, _MAX_DEPTH), measure)
            _check_links(text, texts, seeds)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path}: line {number}: {error}.", cure="See graded_set/DATASHEET.md for the schema."
            ) from error
        texts[text.id] = text
        seeds.add(text.seed)
    return list(texts.values())


def set_sha256(texts: Iterable[GradedText]) -> str:
    """Identity of what is learnt from: ids, texts and grades, 64 hex characters."""
    rows = [[t.id, t.seed, t.parent, t.instruction, t.response, t.grades, t.grade] for t in texts]
    return hashlib.sha256(json.dumps(sorted(rows), ensure_ascii=False).encode()).hexdigest()


def place_of(seed: str) -> float:
    """A number in [0, 1) that depends on the seed's name alone: splits stay when a set grows."""
    return int(hashlib.sha256(seed.encode()).hexdigest()[:12], 16) / 16**12


def split(texts: Sequence[GradedText]) -> tuple[list[GradedText], list[GradedText]]:
    """(to learn from, held out), by seed."""
    held = {text.id for text in texts if place_of(text.seed) < 1 / HELD_OUT_ONE_IN}
    return [t for t in texts if t.id not in held], [t for t in texts if t.id in held]


def fold_of(seed: str, n_folds: int) -> int:
    """Fold of a seed for cross-validation; independent of the split."""
    return int(place_of(f"fold {seed}") * n_folds)


def _parse(value: Any, measure: Measure) -> GradedText:
    if not isinstance(value, dict):
        raise TypeError(f"found {type(value).__name__}, expected an object")
    keys = (*_TEXT_KEYS, "response") if measure == "quality" else _TEXT_KEYS
    for key in keys:
        if not isinstance(value.get(key), str):
            raise TypeError(f"{key}: found {type(value.get(key)).__name__}, expected text")
    grades = [*_gradings(value), value.get("grade")]
    if any(type(grade) is not int or grade not in GRADES for grade in grades):
        raise ValueError(f"grades and grade: found {grades}, expected whole numbers 1 to 6")
    return GradedText(
        value["id"], value["seed"], value.get("parent"), value.get("mutation"), value["domain"], value["language"],
        value["instruction"], value.get("response") if measure == "quality" else None,
        tuple(value["grades"]), value["grade"],
    )  # fmt: skip


def _gradings(value: dict[str, Any]) -> list[Any]:
    grades = value.get("grades")
    if not isinstance(grades, list) or not grades:
        raise ValueError(f"grades: found {grades!r}, expected a list of one or more")
    return grades


def _check_links(text: GradedText, before: dict[str, GradedText], seeds: set[str]) -> None:
    if text.id in before:
        raise ValueError(f"id {text.id!r} stands twice")
    if text.parent is None:
        if text.seed in seeds:
            raise ValueError(
                f"{text.id!r} has no parent, but its seed {text.seed!r} has a first text already"
            )
    elif text.parent not in before or before[text.parent].seed != text.seed:
        raise ValueError(f"parent {text.parent!r} of {text.id!r} does not stand above it with the same seed")
