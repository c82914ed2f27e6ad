"""The files of one subset: rows, card and figure, and the manifest that pins what decided them.

What belongs here: from a selection in the warehouse to an empty folder filled. What does not: cutting and registering
(cut), the formats (exports), or publishing (stores.subsets).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.calibration import Calibration
from deita_assets.engines.card_figure import CardPicture, card_figure
from deita_assets.exports.card import FIGURE, CardFacts, dataset_card
from deita_assets.exports.card_evidence import PERCENTILES, Curve, Evidence, Spread
from deita_assets.exports.jsonl import write_messages_jsonl
from deita_assets.exports.parquet import write_parquet
from deita_assets.exports.published import TRAIN, TRAIN_PARQUET
from deita_assets.stores import card_facts, selections
from deita_assets.stores.card_facts import ScoreColumns
from deita_assets.stores.code_versions import code_versions
from deita_assets.stores.home import Home
from deita_assets.stores.selections import Selection, TurnBias

if TYPE_CHECKING:
    import duckdb

#: Near-duplicates that a card shows.
EXAMPLES = 5


@dataclass
class SubsetContents:
    """The files of one subset, written from an open read connection.

    Attributes:
        con: of the warehouse.
        home: whose warehouse that is.
        selection: what is published.
        counts: rows of the ledger by verdict at its budget.
        mix: source -> selected rows.
        turns: mean turns selected and in the pool; None when the rows of its ledger were let go.
        show_rows: the card may show the first words of near-duplicates.
    """

    con: duckdb.DuckDBPyConnection
    home: Home
    selection: Selection
    counts: Mapping[str, int]
    mix: Mapping[str, int]
    turns: TurnBias | None
    show_rows: bool = False

    @cached_property
    def sources(self) -> list[dict[str, Any]]:
        """Licence, files and rows of each source at its pool version."""
        return selections.source_rows(self.con, self.selection.spec)

    @cached_property
    def fingerprints(self) -> dict[str, Mapping[str, Any]]:
        """Name and spec of each model that the selection stands on."""
        return selections.fingerprint_specs(self.con, list(self.selection.spec["fingerprints"].values()))

    def write(self, folder: Path) -> None:
        """Fill an empty folder."""
        (folder / TRAIN_PARQUET).parent.mkdir()
        write_messages_jsonl(folder / TRAIN, selections.member_rows(self.con, self.home, self.selection))
        write_parquet(folder / TRAIN_PARQUET, selections.member_rows(self.con, self.home, self.selection))
        self._write_card(folder)

    def manifest(self) -> dict[str, Any]:
        """Everything that decided this version; files are added with their checksums."""
        return {
            "selection_version": self.selection.version,
            "spec": self.selection.spec,
            "ledger_id": self.selection.ledger.ledger_id,
            "members_sha256": self.selection.members_sha256,
            "n_rows": len(self.selection.members),
            "verdicts": dict(self.counts),
            "mix": dict(self.mix),
            "mean_turns": asdict(self.turns) if self.turns else None,
            "fingerprints": {digest: dict(value) for digest, value in self.fingerprints.items()},
            "sources": self.sources,
            "code": code_versions(self.con, self.selection.spec),
        }

    def _write_card(self, folder: Path) -> None:
        scores = card_facts.score_columns(self.con, self.selection)
        similarities = card_facts.similarities(self.con, self.selection)
        calibration = card_facts.calibration_of(self.con, self.selection)
        n_rows, scope = len(self.selection.members), self.selection.ledger.scope
        drawn = n_rows > 0 and self.turns is not None
        if drawn:
            picture = self._picture(scores, similarities, calibration)
            (folder / FIGURE).write_bytes(card_figure(picture))
        facts = CardFacts(
            version=self.selection.version, title=f"{scope.name}, {n_rows:,} rows", spec=self.selection.spec,
            n_rows=n_rows, counts=self.counts, sources=self.sources, mix=self.mix, fingerprints=self.fingerprints,
            turns=(self.turns.selected, self.turns.pool) if self.turns else None,
            n_frozen=min(self.selection.budget, selections.frozen_rows(self.con, self.selection.ledger.ledger_id)),
            evidence=self._evidence(scores, similarities, calibration), has_figure=drawn,
        )  # fmt: skip
        (folder / "README.md").write_text(dataset_card(facts), encoding="utf-8")

    def _evidence(
        self, scores: ScoreColumns, similarities: NDArray[np.float64], calibration: Calibration | None
    ) -> Evidence:
        pairs = card_facts.near_pairs(self.con, self.selection, EXAMPLES) if self.show_rows else []
        return Evidence(
            spreads={
                name: Spread(_percentiles(values), _percentiles(values[scores.selected]))
                for name, values in _named(scores).items()
            },
            threshold=self.selection.ledger.threshold,
            nearest=_percentiles(similarities),
            n_compared=len(similarities),
            curve=_curve(calibration) if calibration else None,
            pairs=pairs,
            quarantine=card_facts.quarantine_counts(self.con, self.selection),
        )

    def _picture(
        self, scores: ScoreColumns, similarities: NDArray[np.float64], calibration: Calibration | None
    ) -> CardPicture:
        pool, n_rows = sum(source["rows"] for source in self.sources), len(self.selection.members)
        mix = [
            (source["source"], source["rows"] / max(pool, 1), self.mix.get(source["source"], 0) / n_rows)
            for source in sorted(self.sources, key=lambda one: (-one["rows"], one["source"]))
        ]
        curve = calibration.curve if calibration else ()
        return CardPicture(
            scores={name: (values, values[scores.selected]) for name, values in _named(scores).items()},
            similarities=similarities,
            threshold=self.selection.ledger.threshold,
            curve=([p.threshold for p in curve], [p.kept for p in curve]) if calibration else None,
            visited=calibration.visited if calibration else 0,
            mix=mix,
        )


def _named(scores: ScoreColumns) -> dict[str, NDArray[np.float64]]:
    """The scores that are known of some row, by name."""
    every = {"evol_score": scores.evol_score, "complexity": scores.complexity, "quality": scores.quality}
    return {name: values for name, values in every.items() if np.isfinite(values).any()}


def _percentiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    finite = values[np.isfinite(values)]
    return tuple(float(value) for value in np.percentile(finite, PERCENTILES)) if len(finite) else ()


def _curve(calibration: Calibration) -> Curve:
    return Curve(calibration.calibration_id, calibration.visited, calibration.curve)
