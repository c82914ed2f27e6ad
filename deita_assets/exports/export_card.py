"""The card of an export: how to train on this form of the rows, then the card of the subset that they come from.

What belongs here: putting the two together. What does not: their texts (usage, card).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deita_assets.core.fingerprint import short_digest
from deita_assets.exports.card import FIGURE, FILES_HEADING, licence_warning, unknown_licences, used_licences
from deita_assets.exports.card_head import card_head
from deita_assets.exports.escaping import escaped, table
from deita_assets.exports.forms import LEFT_OUT, SKIPS
from deita_assets.exports.survey import Survey
from deita_assets.exports.usage import usage_lines

#: How the last paragraph of cards began that had no heading for it.
_OLD_FILES = "`train.jsonl` holds chat"


@dataclass(frozen=True)
class ExportFacts:
    """What an export is of.

    Attributes:
        form: what was asked for.
        manifest: of the selection version.
        licences: source -> its licence as the catalog has it now, which goes before that of the manifest.
        found: survey of the rows.
        columns: ids and scores beside the rows.
        dataset: name for LLaMA-Factory.
        files: path or pattern of the rows below the folder.
        features: types of the columns, where a loader should not guess them.
        has_figure: the subset's figure was copied.
    """

    form: str
    manifest: Mapping[str, Any]
    licences: Mapping[str, str | None]
    found: Survey
    columns: Sequence[str]
    dataset: str
    files: str
    features: Sequence[Mapping[str, Any]] | None
    has_figure: bool

    @property
    def config(self) -> str:
        """Name of the card's configuration: another one for other rows, forms or columns."""
        beside = f"-{short_digest(list(self.columns))[:8]}" if self.columns else ""
        return f"{self.manifest['selection_version']}-{self.form}{beside}"

    @property
    def sources(self) -> list[dict[str, Any]]:
        """Sources of the manifest with their licences as they are known now."""
        return [
            {**s, "licence": self.licences.get(s["source"]) or s["licence"]} for s in self.manifest["sources"]
        ]


def export_card(facts: ExportFacts, subset_card: str) -> str:
    """README.md of an export.

    Args:
        facts: about it.
        subset_card: README.md of the published subset.
    """
    spec, mix = facts.manifest["spec"], facts.manifest["mix"]
    title = f"{spec['scope']}, {facts.found.n_held:,} rows"
    head = card_head(
        title=title, licences=used_licences(facts.sources, mix), n_rows=facts.found.n_held,
        files=facts.files, config=facts.config, features=facts.features,
    )  # fmt: skip
    asked = "".join(f" --columns {','.join(facts.columns)}" if facts.columns else "")
    command = (
        f"deita-assets export {facts.manifest['selection_version']} --format {facts.form}{asked} --out DIR"
    )
    parts = [
        [f"# {escaped(title)}, as {facts.form}"],
        ["Written by", "", "```bash", command, "```"],
        licence_warning(unknown_licences(facts.sources, mix)),
        _said_since(facts),
        _shortfall(facts),
        ["## Train on it", "", *usage_lines(facts.form, facts.found, facts.dataset)],
        ["## The selection", "", *_deeper(subset_body(subset_card, keep_figure=facts.has_figure))],
    ]
    return head + "\n" + "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def subset_body(card: str, *, keep_figure: bool) -> str:
    """A subset's card without its head, its title, its warning of licences, and what it says about its own files."""
    text = re.sub(r"\A---\n.*?\n---\n", "", card, count=1, flags=re.DOTALL)
    text = re.sub(r"\A\s*# [^\n]*\n", "", text)
    text = re.sub(r"^> \*\*Licence unknown: [^\n]*\n+", "", text, flags=re.MULTILINE)
    for end in (f"\n{FILES_HEADING}\n", f"\n{_OLD_FILES}"):
        text = text.partition(end)[0]
    if not keep_figure:
        text = re.sub(rf"^!\[[^\n]*\]\({re.escape(FIGURE)}\)\n", "", text, flags=re.MULTILINE)
    return text.strip()


def _deeper(text: str) -> list[str]:
    """Lines with every heading one level below."""
    return [f"#{line}" if line.startswith("## ") else line for line in text.splitlines()]


def _said_since(facts: ExportFacts) -> list[str]:
    """Licences that differ from those in the selection's own card; nothing where none does."""
    pairs = zip(facts.manifest["sources"], facts.sources, strict=True)
    told = [f"{escaped(now['source'])}: {escaped(now['licence'])}" for then, now in pairs if then != now]
    return [f"Licences said since the selection was published: {'; '.join(told)}."] if told else []


def _shortfall(facts: ExportFacts) -> list[str]:
    """What this form does not hold; nothing where it holds everything."""
    found = facts.found
    lines = []
    if found.skipped:
        n_skipped = sum(found.skipped.values())
        rows = [[escaped(reason), f"{n:,}", SKIPS[reason]] for reason, n in sorted(found.skipped.items())]
        lines += [f"**{n_skipped:,} of {n_skipped + found.n_held:,} selected rows are not here**, because the form "
                  "cannot hold them; `skipped.jsonl` has their ids.", "",
                  *table(["reason", "rows", "meaning"], rows, numbers=(1,))]  # fmt: skip
    if found.left_out:
        told = "; ".join(f"{LEFT_OUT[code]} ({n:,} rows)" for code, n in sorted(found.left_out.items()))
        lines += [*([""] if lines else []), f"Left out of rows that are here: {told}."]
    return lines
