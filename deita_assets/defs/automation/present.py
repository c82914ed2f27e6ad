"""The state of a home as the plan asks for it.

What belongs here: the shapes, and nothing that reads. What does not: filling them (reading), deciding (plan).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deita_assets.defs.automation.attempts import Outlook

SCORED = ("complexity_scores", "quality_scores", "embeddings", "scored_pool")


@dataclass(frozen=True)
class Source:
    """One source.

    Attributes:
        name: its name.
        rows: in its pool; None when it was never read.
        landed: files stand in its landing folder, or its settings name a dataset of the hub.
        settled: its files are the same as some time ago; False where nobody knows.
        trouble: why its landing folder cannot be listed, with the cure.
        scored: its rows may be selected, so that scores and embeddings are wanted; False for exclusion sets.
        embedded: embeddings are wanted though scores are not.
        budgets: wanted of it alone.
        avoids: exclusion sets of its own scope.
    """

    name: str
    rows: int | None = None
    landed: bool = True
    settled: bool = False
    trouble: str | None = None
    scored: bool = True
    embedded: bool = False
    budgets: tuple[int, ...] = ()
    avoids: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """Assets below its pool that are kept current, in journey order."""
        if self.rows is None:
            return ()
        scores = SCORED if self.scored else ("embeddings",) if self.embedded else ()
        return (*scores, "selection_ledger") if self.budgets and self.rows else scores


@dataclass(frozen=True)
class Mixture:
    """One mixture of which a budget is wanted.

    Attributes:
        name: its name.
        budgets: wanted of it.
        sources: those with rows, in order of priority.
        coming: sources that will belong to it once they were read.
        missing: sources that it names and that hold no rows and are not coming.
        avoids: its exclusion sets.
        trouble: why it cannot be ranked whatever its sources hold, such as no definition in the settings.
    """

    name: str
    budgets: tuple[int, ...]
    sources: tuple[str, ...] = ()
    coming: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    avoids: tuple[str, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True)
class Work:
    """What one run is to do.

    Attributes:
        assets: in journey order, of one kind of partition.
        partition: their partition; None for assets without.
        inputs: digest of what they would read now.
        budget: rows that a ledger among them has to keep.
    """

    assets: tuple[str, ...]
    partition: str | None
    inputs: str
    budget: int | None = None

    @property
    def subject(self) -> str:
        """Which assets of which partition, for people."""
        names = ", ".join(self.assets)
        return f"{names}[{self.partition}]" if self.partition else names


@dataclass(frozen=True)
class Present:
    """Everything that the plan may ask.

    Attributes:
        at: seconds since 1970.
        sources: every source, by name, in name order.
        mixtures: those of which something is wanted.
        notes: (subject, what a person should know of it), such as partitions that nothing can come of.
        is_stale: (asset, partition) -> whether it has to be made, or made again.
        stale_assets: (source, assets) -> those of them that are stale, or stand on a stale one of them.
        digest: (assets, partition) -> digest of what they would read now.
        covering: (asset, partition) -> who works on it now, in words.
        working: whether any run or backfill of the home's assets is open.
        failed_checks: (asset, partition) -> names of blocking checks that failed there.
        outlook: what earlier attempts at some work mean for the next one.
        unpublished_since: when the first thing was materialised that the catalog lacks; None when it lacks nothing.
    """

    at: float
    sources: Mapping[str, Source]
    mixtures: Sequence[Mixture]
    notes: Sequence[tuple[str, str]]
    is_stale: Callable[[str, str], bool]
    stale_assets: Callable[[str, tuple[str, ...]], list[str]]
    digest: Callable[[Sequence[str], str | None], str]
    covering: Callable[[str, str | None], str | None]
    working: bool
    failed_checks: Callable[[str, str], tuple[str, ...]]
    outlook: Callable[[Work], Outlook]
    unpublished_since: float | None = None


def subset_asset(kind: str) -> str:
    """Asset that publishes the subsets of a kind of scope."""
    return "selected_subset" if kind == "source" else "pooled_subset"
