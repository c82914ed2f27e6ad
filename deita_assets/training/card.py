"""The model card of a folder of heads, written from the heads and their evaluation.

What belongs here: the words around the figures. What does not: computing them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deita_assets.scorers.base import MEASURES
from deita_assets.scorers.distilled.head import OrdinalHead, load_head

_INTENT = """# Distilled scorers

Two small ordinal heads over the frozen sentence encoder all-MiniLM-L6-v2 and counted features: `complexity` reads an
instruction, `quality` an instruction and a response. They make a first run real on a CPU without a download. **They
give no DEITA scores**: the paper's scorers are 13B models trained on ChatGPT's rankings, and those (or your own) are
the choice for production.

- Input: text in any language; learnt mostly from English, with a fifth of the seeds in other languages.
- Output: the expectation over six grades, a real number in (1, 6), as the paper's scorers give.
- Training: the project's own graded set (`deita_assets/graded_set/DATASHEET.md`), four fifths of its seeds.
- Licence: Apache-2.0, with the project.
- Build: `python -m deita_assets.training.build`; `--check` compares with what is shipped.

Use them to order a pool for a first look. Do not use them to compare models, to grade people, or as a reward.
"""
_READING = """
Intervals are 95 %, by bootstrap over seeds or instructions. `longest` is a scorer that counts words, `random` is
chance. Strata: the better answer is more than 20 % longer, within 20 %, or more than 20 % shorter; length alone cannot
win their mean.
"""


def card(folder: Path) -> str:
    """Markdown for what a folder of heads holds; a measure without a head is left out."""
    parts = [_INTENT]
    for measure in MEASURES:
        path = folder / f"{measure}.safetensors"
        if path.exists():
            head, digest = load_head(path)
            parts.append(_about(measure, head, digest))
            evaluation = folder / f"{measure}.evaluation.json"
            if evaluation.exists():
                parts += [_READING, figures_table(json.loads(evaluation.read_text(encoding="utf-8")))]
    return "\n".join(parts)


def figures_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Figures, as `evaluate.as_rows` gives them, in one Markdown table."""
    lines = ["| set | figure | n | scorer | longest | random |", "|---|---|---:|---|---|---:|"]
    lines += [
        f"| {row['set']} | {row['figure']} | {row['n']:,} | {interval(row['scorer'])} | {interval(row['longest'])} "
        f"| {row['random']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def interval(values: Sequence[float | None]) -> str:
    """`**0.31** (0.24 to 0.38)`; a dash for what is not a number."""
    value, low, high = ("\u2013" if number is None else f"{number:.2f}" for number in values)
    return f"**{value}** ({low} to {high})"


def _about(measure: str, head: OrdinalHead, digest: str) -> str:
    about = dict(head.about)
    return (
        f"## {measure}\n\n{len(head.names)} features; {about['n_texts']:,} texts of {about['n_seeds']:,} seeds"
        + (f" and {about['n_corruptions']:,} corruptions" if about["n_corruptions"] else "")
        + f"; chosen on folds: `{json.dumps(about['options'])}`; head sha256 `{digest[:16]}`.\n"
    )
