"""Selection parameters out of settings.

What belongs here: the one place where a scope's settings become parameters. What does not: run config (defs).
"""

from __future__ import annotations

from dataclasses import replace

from deita_assets.core.row_filters import FilterRules
from deita_assets.embedders import default_threshold
from deita_assets.engines.parameters import Contamination, SelectionParameters
from deita_assets.settings import DeitaSettings, FilterSettings, MixtureSettings


def selection_parameters(settings: DeitaSettings, scope_kind: str, scope: str) -> SelectionParameters:
    """Parameters of a scope; without a threshold of its own, the embedder's."""
    chosen = settings.selection(scope_kind, scope)
    threshold = chosen.threshold  # 0.0 is a threshold too
    parameters = SelectionParameters(
        threshold=default_threshold(settings.embedder.name) if threshold is None else threshold,
        aggregation=chosen.aggregation,
        selector=chosen.selector,
        seed=chosen.seed,
        filters=filter_rules(chosen.filters),
        where=chosen.where,
        frozen_base=chosen.frozen_base,
        exclusion_sets=tuple(settings.scope_exclusion_sets(scope_kind, scope)),
        contamination=Contamination(chosen.contamination.ngram, chosen.contamination.similarity),
    )
    if not isinstance(chosen, MixtureSettings):
        return parameters
    return replace(parameters, caps=chosen.caps, shares=chosen.shares, floors=chosen.floors)


def filter_rules(chosen: FilterSettings) -> FilterRules:
    """Row filters of a scope's settings."""
    values = chosen.model_dump()
    for name in ("languages", "licences", "phrases"):
        values[name] = None if values[name] is None else tuple(values[name])
    return FilterRules(**values)
