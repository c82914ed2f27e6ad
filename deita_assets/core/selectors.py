"""Which selectors there are, and what each of them needs and promises.

What belongs here: facts about selectors. What does not: their passes (`repr_filter`, `score_only_pass`,
`k_center_pass`, `facility_location_pass`), or how settings become one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class SelectorFacts:
    """What the platform has to know of a selector.

    Attributes:
        name: as settings and ledgers call it.
        prefix_stable: whether the kept list of a budget is the beginning of that of any larger one, without
            quotas or with caps alone; see `is_prefix_stable`.
        needs_vectors: whether it compares embeddings.
        takes_quotas: whether caps, shares and floors may limit it.
        takes_threshold: whether it drops rows that are too similar to kept ones.
        description: one line for people.
    """

    name: str
    prefix_stable: bool
    needs_vectors: bool
    takes_quotas: bool
    takes_threshold: bool
    description: str


SELECTORS: Final[Mapping[str, SelectorFacts]] = MappingProxyType(
    {
        facts.name: facts
        for facts in (
            SelectorFacts(
                "repr_filter",
                prefix_stable=True,
                needs_vectors=True,
                takes_quotas=True,
                takes_threshold=True,
                description="Best score first, leaving out rows too similar to one that is kept (DEITA).",
            ),
            SelectorFacts(
                "score_only",
                prefix_stable=True,
                needs_vectors=False,
                takes_quotas=True,
                takes_threshold=False,
                description="Best score first, near-duplicates included.",
            ),
            SelectorFacts(
                "random",
                prefix_stable=True,
                needs_vectors=False,
                takes_quotas=True,
                takes_threshold=False,
                description="A seeded shuffle, whatever the scores: the baseline to beat.",
            ),
            SelectorFacts(
                "k_center",
                prefix_stable=True,
                needs_vectors=True,
                takes_quotas=False,
                takes_threshold=False,
                description="Always the row least similar to the kept ones: the widest coverage, outliers first.",
            ),
            SelectorFacts(
                "facility_location",
                prefix_stable=True,
                needs_vectors=True,
                takes_quotas=False,
                takes_threshold=False,
                description="Rows that best stand for all others: typical ones first. Small scopes only.",
            ),
        )
    }
)


def is_prefix_stable(selector: str, *, shares: Mapping[str, float], floors: Mapping[str, int]) -> bool:
    """Whether one pass answers every budget: its first b kept rows are the selection of budget b.

    Caps in rows keep that property, as no budget occurs in them. Shares of the budget do not: a larger budget
    lets a source have rows earlier that were over quota before. Nor do floors, which reserve places at the end
    of one budget. A selector that is not prefix-stable runs one pass for each budget.

    Args:
        selector: a name of `SELECTORS`.
        shares: source -> share of the budget that it may fill at most.
        floors: source -> rows that it gets at least.

    Raises:
        ValueError: for an unknown selector.
    """
    if selector not in SELECTORS:
        raise ValueError(f"selector is {selector!r}, expected one of {', '.join(SELECTORS)}")
    return SELECTORS[selector].prefix_stable and not shares and not floors
