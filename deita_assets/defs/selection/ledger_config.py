"""Run config of the ledgers: what the launchpad offers, and what it means.

What belongs here: names, descriptions, and what does not fit together. What does not: running a pass.
"""

from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field

from deita_assets.core.names import validate_budget
from deita_assets.core.selectors import SELECTORS
from deita_assets.defs.run_config import require, require_valid
from deita_assets.engines.parameters import SelectionParameters


class Selector(Enum):
    """How rows are chosen; the launchpad offers these names."""

    repr_filter = "repr_filter"
    score_only = "score_only"
    random = "random"
    k_center = "k_center"
    facility_location = "facility_location"


class Aggregation(Enum):
    """How the turns of a conversation add up; the launchpad offers these names."""

    sum = "sum"
    mean = "mean"
    max = "max"
    first = "first"
    last = "last"


class LedgerConfig(dg.Config):
    """Launchpad settings of a ledger. Leave all as they are for the lasting ledger of the scope.

    Any field that says Trial makes the run a trial: its ledger is kept beside the lasting one and can be looked at,
    and nothing follows from it.
    """

    budget: int | None = Field(
        default=None,
        description="Go on until this many rows are kept, 1 to 999999999. Default: the largest budget of the settings.",
    )
    to_end: bool = Field(
        default=False, description="Visit every row, whatever the budgets; not beside budget. Default: false."
    )
    threshold: float | None = Field(
        default=None,
        description="Trial: drop a row when its similarity to a kept row is above this; more than -1, at most 1. "
        "Default: as in the settings, else the embedder's own.",
    )
    aggregation: Aggregation | None = Field(
        default=None,
        description="Trial: how the turns of a conversation add up: "
        f"{', '.join(one.value for one in Aggregation)}. Default: as in the settings.",
    )
    selector: Selector | None = Field(
        default=None,
        description="Trial: how rows are chosen: "
        + " ".join(f"`{facts.name}`: {facts.description}" for facts in SELECTORS.values())
        + " Default: as in the settings.",
    )
    seed: int | None = Field(
        default=None, description="Trial: seed of selector `random`, 0 or more. Default: as in the settings."
    )
    where: str | None = Field(
        default=None,
        description="Trial: a condition in SQL over the columns of `pool` and `scored_pool`, such as n_turns > 1. "
        "Default: as in the settings.",
    )
    frozen_base: str | None = Field(
        default=None,
        description="Trial: a selection version (6 or more characters of it) whose rows stay, before anything else is "
        "chosen. Default: as in the settings.",
    )
    trial_budgets: list[int] = Field(
        default=[],
        description="Of a trial: publish subsets of these sizes too, 1 to 999999999 each. Default: none.",
    )

    @property
    def departures(self) -> dict[str, Any]:
        """What departs from the settings, by the name of the setting; plain values."""
        named = ("threshold", "aggregation", "selector", "seed", "where", "frozen_base")
        found = {name: value for name in named if (value := getattr(self, name)) is not None}
        return {name: value.value if isinstance(value, Enum) else value for name, value in found.items()}

    @property
    def is_trial(self) -> bool:
        """True when anything departs from the settings."""
        return bool(self.departures)

    def check(self) -> None:
        """Refuse values that are out of their bounds.

        Raises:
            UsageError: which field, what was found and what was expected.
        """
        if self.budget is not None:
            require_valid("budget", str(self.budget), validate_budget)
        require(
            self.budget is None or not self.to_end, "budget", self.budget, "none beside to_end: true",
            "Leave one of the two out.",
        )  # fmt: skip
        for budget in self.trial_budgets:
            require_valid("trial_budgets", str(budget), validate_budget)
        if self.threshold is not None:
            in_range = -1 < self.threshold <= 1
            require(
                in_range,
                "threshold",
                self.threshold,
                "a number above -1 and at most 1",
                "Use one such as 0.9.",
            )
        require(self.seed is None or self.seed >= 0, "seed", self.seed, "0 or more")
        for name in ("where", "frozen_base"):
            text = getattr(self, name)
            require(
                text is None or text.strip() != "", name, text, "some text", f"Leave {name} out, or give one."
            )
        require(
            self.is_trial or not self.trial_budgets, "trial_budgets", self.trial_budgets, "a field that says Trial",
            "Set one, such as threshold; or materialise the subsets of these budgets, which are lasting ones.",
        )  # fmt: skip

    def check_departs(self, settings: SelectionParameters) -> None:
        """Refuse fields that say what `settings` say: a trial of them alone would be the lasting ledger.

        Beside another selector they may stand: there the settings had no use for them.

        Raises:
            UsageError: which field.
        """
        if self.departures.get("selector", settings.selector) != settings.selector:
            return
        for name, value in self.departures.items():
            require(
                getattr(settings, name) != value, name, value, "another one than the settings have",
                f"Leave {name} out for what the settings say.",
            )  # fmt: skip

    def check_with(self, parameters: SelectionParameters) -> None:
        """Refuse fields that would change nothing beside the rest of `parameters`, settings included.

        Raises:
            UsageError: a seed without chance, or a threshold where none is used.
        """
        random = parameters.selector == "random"
        require(
            self.seed is None or random, "seed", self.seed, "none beside selector " + parameters.selector,
            "Give selector: random too, or leave seed out.",
        )  # fmt: skip
        takes = SELECTORS[parameters.selector].takes_threshold
        require(
            self.threshold is None or takes, "threshold", self.threshold,
            f"none beside selector {parameters.selector}, which compares with none", "Leave threshold out.",
        )  # fmt: skip
