"""What is wanted of a home: the subsets that settings name or that were ever published, and what these stand on.

What belongs here: from settings and partitions to scopes and budgets. What does not: whether any of it is stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dagster import DagsterInstance

from deita_assets.core.names import is_source_name
from deita_assets.defs.automation.landed import SourceFolder
from deita_assets.defs.automation.present import Mixture
from deita_assets.defs.automation.records import Made
from deita_assets.partitions import is_budget, known_budgets
from deita_assets.settings import DeitaSettings


@dataclass(frozen=True)
class Known:
    """What there is, as partitions or in landing.

    Attributes:
        sources: valid names of sources, in name order.
        pools: source -> rows in its pool, of those that were ever read, partitions that were deleted since included.
        mixtures: partitions.
        budgets: partitions.
        odd: (dimension, key) of partitions that nothing can come of, as the UI lets them in.
    """

    sources: tuple[str, ...]
    pools: Mapping[str, int]
    mixtures: frozenset[str]
    budgets: tuple[int, ...]
    odd: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls, instance: DagsterInstance, *, pools: Mapping[str, Made], landed: Mapping[str, SourceFolder]
    ) -> Known:
        """What an instance and landing hold; a source whose partition was deleted counts while it has files."""
        partitions = instance.get_dynamic_partitions("source")
        names = {*filter(is_source_name, partitions), *landed}
        odd = [("source", key) for key in partitions if not is_source_name(key)]
        odd += [("budget", key) for key in instance.get_dynamic_partitions("budget") if not is_budget(key)]
        return cls(
            sources=tuple(sorted(names)),
            pools={name: made.rows for name, made in pools.items()},
            mixtures=frozenset(instance.get_dynamic_partitions("mixture")),
            budgets=tuple(known_budgets(instance)),
            odd=tuple(odd),
        )


@dataclass(frozen=True)
class Wanted:
    """What is to be kept current.

    Attributes:
        source_budgets: source -> budgets wanted of it alone; those with none are absent.
        mixtures: mixtures with a wanted budget.
        scored: sources whose scores and embeddings are wanted.
        embedded: exclusion sets whose embeddings are compared.
        avoids: source -> exclusion sets of its own scope.
        notes: (subject, what a person should know).
    """

    source_budgets: Mapping[str, tuple[int, ...]]
    mixtures: tuple[Mixture, ...]
    scored: frozenset[str]
    embedded: frozenset[str]
    avoids: Mapping[str, tuple[str, ...]]
    notes: tuple[tuple[str, str], ...]


def settings_partitions(settings: DeitaSettings) -> dict[str, list[str]]:
    """Dimension -> partition keys that settings name; sources only where these come from the hub."""
    scopes = [*settings.sources.values(), *settings.mixtures.values()]
    budgets = {*settings.budgets, *(budget for scope in scopes for budget in scope.budgets or [])}
    return {
        "source": sorted(name for name, source in settings.sources.items() if source.hub),
        "mixture": settings.mixture_names,
        "budget": [str(budget) for budget in sorted(budgets)],
    }


def wanted(settings: DeitaSettings, known: Known, published: Mapping[str, Iterable[str]]) -> Wanted:
    """What is to be kept current.

    Args:
        settings: as they are now.
        known: what there is.
        published: subset asset -> its partitions that were ever materialised.
    """
    from_sources = _pairs(published.get("selected_subset", ()))
    from_mixtures = _pairs(published.get("pooled_subset", ()))
    excluded = settings.exclusion_sources
    budgets = {
        name: chosen
        for name in known.sources
        if name not in excluded
        and (chosen := _budgets(settings, known, "source", name, from_sources.get(name, set())))
    }
    mixtures = tuple(
        _mixture(settings, known, name, chosen)
        for name in sorted({*settings.mixture_names, *from_mixtures} & known.mixtures)
        if (chosen := _budgets(settings, known, "mixture", name, from_mixtures.get(name, set())))
    )
    named = {source for mixture in mixtures for source in mixture.sources}
    scopes = [("source", name) for name in budgets]
    scopes += [("mixture", mixture.name) for mixture in mixtures if not mixture.trouble]
    embedded = {
        source
        for kind, name in scopes
        if settings.selection(kind, name).contamination.similarity is not None
        for source in settings.scope_exclusion_sets(kind, name)
    }
    return Wanted(
        source_budgets=budgets,
        mixtures=mixtures,
        scored=frozenset(set(known.sources) - excluded | named),
        embedded=frozenset(embedded),
        avoids={name: tuple(settings.scope_exclusion_sets("source", name)) for name in budgets},
        notes=tuple(_notes(settings, known)),
    )


def _budgets(
    settings: DeitaSettings, known: Known, kind: str, name: str, published: set[int]
) -> tuple[int, ...]:
    """Budgets of a scope that are partitions; a partition that was deleted is wanted no more."""
    defined = kind == "source" or name in settings.mixture_names
    named = settings.wanted_budgets(kind, name) if defined else []
    return tuple(sorted({*named, *published} & set(known.budgets)))


def _mixture(settings: DeitaSettings, known: Known, name: str, budgets: tuple[int, ...]) -> Mixture:
    if name not in settings.mixture_names:
        return Mixture(name, budgets, trouble=f"deita.toml has no [mixtures.{name}] any more")
    chosen = settings.mixture(name).sources
    named = [one for one in known.sources if one not in settings.exclusion_sources]
    named = named if chosen is None else list(chosen)
    held = [one for one in named if one in known.sources and known.pools.get(one)]
    unread = [one for one in named if one in known.sources and one not in known.pools]
    missing = [] if chosen is None else [one for one in named if one not in {*held, *unread}]
    return Mixture(
        name=name,
        budgets=budgets,
        sources=tuple(held),
        coming=tuple(unread),
        missing=tuple([*missing, *unread] if chosen is not None else missing),
        avoids=tuple(settings.scope_exclusion_sets("mixture", name)),
    )


def _pairs(keys: Iterable[str]) -> dict[str, set[int]]:
    """Scope -> budgets, out of partition keys `budget|scope`."""
    found: dict[str, set[int]] = {}
    for key in keys:
        budget, _, scope = key.partition("|")
        if is_budget(budget):
            found.setdefault(scope, set()).add(int(budget))
    return found


def _notes(settings: DeitaSettings, known: Known) -> list[tuple[str, str]]:
    notes = [(f"{dimension} {key!r}", _ODD[dimension]) for dimension, key in known.odd]
    for name in sorted(known.mixtures - set(settings.mixture_names)):
        notes.append((f"mixture {name}", f"a partition, but deita.toml has no [mixtures.{name}]"))
    return notes


_ODD: dict[str, Any] = {
    "source": "no name of a source, which is a-z 0-9 _ - in at most 64 characters; delete this partition",
    "budget": "no budget, which is a whole number such as 6000; delete this partition",
}
