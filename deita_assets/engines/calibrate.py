"""Calibrating a scope: its best rows compared at many thresholds, and the texts of near pairs read.

What belongs here: from a scope's scored and embedded rows to a stored result. What does not: the walk and the rules
(core), and Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core import calibration as rules
from deita_assets.core.calibration import Calibration
from deita_assets.core.fingerprint import short_digest
from deita_assets.core.repr_filter import GreedyPass
from deita_assets.core.threshold_evidence import common_words, recommend, words_of
from deita_assets.core.threshold_walk import ThresholdWalk, walk_thresholds
from deita_assets.embedders.text import conversation_text
from deita_assets.engines.cpu_kernel import CpuKernel
from deita_assets.engines.ledger_spec import ledger_spec
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.screen import Screen, screen_rows
from deita_assets.engines.select import OnProgress, ledger_inputs
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores import calibrations
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.warehouse import Warehouse

#: Version of the rules; part of every calibration's identity.
ALGORITHM = "calibration/1"
#: Rows compared where nobody says otherwise: the best ones, which decide what is kept first.
ROWS = 20_000
#: Rows of a source, at most, whose words tell which words are common in it.
_PLAIN_ROWS = 500


@dataclass
class _BestRows:
    """The best rows of a scope, best first; `VectorSource` of a walk, by rank.

    Attributes:
        sample_ids: (n,).
        vectors: (n, dimension) float16.
        dimension: length of a vector.
        selectable: how many rows could be selected in all.
    """

    sample_ids: list[str]
    vectors: NDArray[np.float16]
    dimension: int
    selectable: int

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Vectors of these ranks."""
        return self.vectors[rows]


def calibrate(
    warehouse: Warehouse,
    scope: Scope,
    parameters: SelectionParameters,
    *,
    default: float,
    rows: int = ROWS,
    on_progress: OnProgress | None = None,
) -> Calibration:
    """What other thresholds would do to a scope as it stands now; the stored result where it was calibrated before.

    Selector, quotas and a frozen base play no part: a calibration is about the similarity of the rows that filters
    and exclusion sets leave.

    Args:
        warehouse: of the home.
        scope: its sources in order of priority.
        parameters: the scope's own; its threshold is the current one.
        default: the embedder's own threshold, recommended where the pairs do not tell.
        rows: how many to compare, best first; cost grows with their square (20,000 x 384 numbers: seconds).
        on_progress: called with (rows visited, rows kept at any threshold).

    Raises:
        UsageError: fewer than two rows asked for.
        NotFoundError: a source was not scored or embedded yet.
        MixedFingerprintsError: its sources were scored or embedded by different models.
    """
    if rows < 2:
        raise UsageError(f"--rows {rows}: expected at least 2, to have a pair to compare.")
    plain = replace(parameters, selector="repr_filter", caps={}, shares={}, floors={}, frozen_base=None)
    screen = screen_rows(warehouse, scope, plain)
    grid = rules.threshold_grid(parameters.threshold)
    with warehouse.read(f"calibration of {scope.name}: what is known") as con:
        ledger = ledger_spec(con, scope, plain, screen, None)
        spec = {
            "ledger": ledger,
            "grid": list(grid),
            "rows": rows,
            "default": default,
            "algorithm": ALGORITHM,
        }
        found = calibrations.find_calibration(con, short_digest(spec))
    if found is None:
        best = _best_rows(warehouse, scope, ledger, screen, rows)
        found = _calibration(warehouse, scope, best, spec, on_progress)
        with warehouse.write(f"calibration of {scope.name}") as con:
            calibrations.save_calibration(con, found, spec)
    return found


def stored_calibration(warehouse: Warehouse, calibration_id: str) -> Calibration:
    """A result by its id.

    Raises:
        NotFoundError: there is none.
    """
    with warehouse.read(f"calibration {calibration_id}") as con:
        found = calibrations.find_calibration(con, calibration_id)
    if found is None:
        raise NotFoundError(
            f"no calibration {calibration_id}.", cure="Run `deita-assets calibrate` for its scope."
        )
    return found


def pair_texts(warehouse: Warehouse, calibration: Calibration) -> dict[str, str]:
    """sample_id -> text of every row in the pairs that are shown; taken-down rows are missing."""
    shown = [*calibration.below, *calibration.above]
    ids = sorted({name for pair in shown for name in (pair.sample_id, pair.nearest)})
    with warehouse.read(f"calibration of {calibration.scope}: texts") as con:
        found = calibrations.conversations(con, ids)
    return {sample_id: conversation_text(one) for sample_id, one in found.items()}


def _best_rows(
    warehouse: Warehouse, scope: Scope, ledger: dict[str, Any], screen: Screen, rows: int
) -> _BestRows:
    """The rows that a ledger would visit first, with their vectors."""
    inputs = ledger_inputs(warehouse, scope, ledger, screen)
    order = inputs.ranked.order[:rows]
    inputs.vectors.follow(order)
    ids = [inputs.ranked.sample_ids[row] for row in order]
    return _BestRows(ids, inputs.vectors.take(order), inputs.vectors.dimension, len(inputs.ranked.order))


def _calibration(
    warehouse: Warehouse, scope: Scope, best: _BestRows, spec: dict[str, Any], on_progress: OnProgress | None
) -> Calibration:
    threshold, ids = float(spec["ledger"]["selector"]["threshold"]), best.sample_ids
    order = np.arange(len(ids))
    walk = walk_thresholds(
        best, order, spec["grid"], CpuKernel(),
        pairs_per_band=rules.PAIRS_PER_BAND, on_progress=on_progress,
    )  # fmt: skip
    now = GreedyPass(best, order, threshold, CpuKernel())
    now.run()
    below, above = rules.pairs_around(now, ids)
    bands = rules.bands_of(walk, _words(warehouse, scope, walk, ids))
    return Calibration(
        calibration_id=short_digest(spec),
        scope_kind=scope.kind,
        scope=scope.name,
        threshold=threshold,
        visited=len(ids),
        selectable=best.selectable,
        curve=rules.curve_of(walk),
        growth=rules.growth_of(walk),
        percentiles=rules.percentiles_of(walk),
        bands=bands,
        below=below,
        above=above,
        recommendation=recommend(bands, spec["default"]),
    )


def _words(
    warehouse: Warehouse, scope: Scope, walk: ThresholdWalk, ids: Sequence[str]
) -> dict[int, frozenset[str]]:
    """Rank -> the distinct words of every row in a sampled pair, without those that are common in its source."""
    paired = {row for band in walk.pairs for pair in band for row in (pair.row, pair.nearest)}
    plain = _plain_rows(ids)
    wanted = sorted(paired.union(*plain.values()))
    with warehouse.read(f"calibration of {scope.name}: texts of {len(wanted)} rows") as con:
        found = calibrations.conversations(con, [ids[row] for row in wanted])
    texts = {row: conversation_text(found[ids[row]]) if ids[row] in found else "" for row in wanted}
    common = {source: common_words([texts[row] for row in rows]) for source, rows in plain.items()}
    return {row: words_of(texts[row]) - common[_source(ids[row])] for row in paired}


def _plain_rows(ids: Sequence[str]) -> dict[str, list[int]]:
    """Source -> ranks of some of its rows, spread evenly."""
    ranks: dict[str, list[int]] = {}
    for rank, sample_id in enumerate(ids):
        ranks.setdefault(_source(sample_id), []).append(rank)
    return {source: rows[:: -(-len(rows) // _PLAIN_ROWS)] for source, rows in ranks.items()}


def _source(sample_id: str) -> str:
    return sample_id.partition(":")[0]
