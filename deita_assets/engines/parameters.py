"""What a user may choose about a selection, as values: settings and run config end here.

What belongs here: names, defaults, and what of them becomes part of a ledger's spec. What does not: where they come
from (settings, defs), or what they do (ranked, screen, passes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deita_assets.core.row_filters import FilterRules
from deita_assets.core.selectors import SELECTORS, is_prefix_stable
from deita_assets.errors import SettingsError


@dataclass(frozen=True)
class Contamination:
    """How near a row may come to an exclusion set; None switches a rule off."""

    ngram: int | None = 13
    similarity: float | None = None


@dataclass(frozen=True)
class SelectionParameters:
    """Everything that decides a selection besides the rows themselves.

    Attributes:
        threshold: of `repr_filter`, in (-1, 1].
        aggregation: one of `core.evol_score.AGGREGATIONS`.
        selector: one of `core.selectors.SELECTORS`.
        seed: of `random`.
        caps: source -> rows at most.
        shares: source -> share of the budget at most, in [0, 1].
        floors: source -> rows at least.
        filters: rules about single rows.
        where: a condition in SQL, or None.
        frozen_base: selection version whose rows stay, or None.
        exclusion_sets: sources to keep clear of.
        contamination: what clear means.
    """

    threshold: float
    aggregation: str = "sum"
    selector: str = "repr_filter"
    seed: int = 0
    caps: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)
    filters: FilterRules = field(default_factory=FilterRules)
    where: str | None = None
    frozen_base: str | None = None
    exclusion_sets: tuple[str, ...] = ()
    contamination: Contamination = Contamination()

    @property
    def prefix_stable(self) -> bool:
        """True when the rows of a budget are the first rows of any larger one, so that one pass serves all."""
        return is_prefix_stable(self.selector, shares=self.shares, floors=self.floors)

    @property
    def has_quotas(self) -> bool:
        """True when sources are limited or owed rows."""
        return bool(self.caps or self.shares or self.floors)

    def selector_spec(self) -> dict[str, Any]:
        """What the spec says of the selector: its name, and only those parameters that it has."""
        facts = SELECTORS[self.selector]
        spec: dict[str, Any] = {"name": self.selector}
        if facts.takes_threshold:
            spec["threshold"] = self.threshold
        if self.selector == "random":
            spec["seed"] = self.seed
        for name in ("caps", "shares", "floors"):
            if chosen := getattr(self, name):
                spec[name] = dict(sorted(chosen.items()))
        return spec

    def check(self, scope: str, sources: tuple[str, ...]) -> None:
        """Refuse what does not fit together.

        Raises:
            SettingsError: a threshold that is no similarity; quotas for a selector that has none, that contradict
                each other, or for sources that are not in the scope.
        """
        if not -1 < self.threshold <= 1:
            raise SettingsError(
                f"{scope}: threshold {self.threshold}, expected a cosine similarity above -1 and up to 1.",
                cure="`deita-assets calibrate` shows what each threshold would keep.",
            )
        if self.has_quotas and not SELECTORS[self.selector].takes_quotas:
            able = ", ".join(name for name, facts in SELECTORS.items() if facts.takes_quotas)
            raise SettingsError(
                f"{scope}: selector {self.selector} takes no caps, shares or floors.",
                cure=f"Use one of {able}.",
            )
        above = [source for source, floor in self.floors.items() if floor > self.caps.get(source, floor)]
        if above:
            raise SettingsError(
                f"{scope}: the floor of {', '.join(sorted(above))} is above its cap.",
                cure="Lower the floor, or raise the cap.",
            )
        strangers = sorted({*self.caps, *self.shares, *self.floors} - set(sources))
        if strangers:
            raise SettingsError(
                f"{scope}: caps, shares or floors for {', '.join(strangers)}, which it does not select from.",
                cure=f"Its sources: {', '.join(sources)}.",
            )
