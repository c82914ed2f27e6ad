"""The partition dimensions: sources, mixtures and budgets, all dynamic, added by commands and sensors.

What belongs here: definitions and key helpers. What does not: when a partition is added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dagster as dg

from deita_assets.core.names import validate_budget, validate_mixture_name, validate_source_name
from deita_assets.errors import InvalidNameError

sources = dg.DynamicPartitionsDefinition(name="source")
mixtures = dg.DynamicPartitionsDefinition(name="mixture")
budgets = dg.DynamicPartitionsDefinition(name="budget")

# The same definitions (equal names) must serve as dimensions: only then does Dagster infer source -> source x budget.
source_budgets = dg.MultiPartitionsDefinition({"source": sources, "budget": budgets})
mixture_budgets = dg.MultiPartitionsDefinition({"mixture": mixtures, "budget": budgets})


def subset_key(scope_kind: str, scope: str, budget: int) -> dg.MultiPartitionKey:
    """Partition key of one subset; as text it reads `budget|scope`."""
    return dg.MultiPartitionKey({scope_kind: scope, "budget": str(budget)})


def known_budgets(instance: dg.DagsterInstance) -> list[int]:
    """Budgets that are partitions, smallest first; what else the UI let in is passed over."""
    return sorted(int(key) for key in instance.get_dynamic_partitions("budget") if is_budget(key))


def is_budget(key: str) -> bool:
    """Whether a partition key is a budget."""
    try:
        validate_budget(key)
    except InvalidNameError:
        return False
    return True


_RULES: Mapping[str, Callable[[str], object]] = {
    "source": validate_source_name,
    "mixture": validate_mixture_name,
    "budget": validate_budget,
}


def check_partition(partitions: dg.PartitionsDefinition[str] | None, key: str) -> None:
    """Refuse a partition that was added by hand under a name that nothing can bear.

    Raises:
        InvalidNameError: it names no source, mixture or budget.
    """
    if isinstance(key, dg.MultiPartitionKey):
        names = dict(key.keys_by_dimension)
    else:
        names = {partitions.name or "": key} if isinstance(partitions, dg.DynamicPartitionsDefinition) else {}
    for dimension, name in names.items():
        try:
            _RULES[dimension](name)
        except InvalidNameError as error:
            raise InvalidNameError(
                f"partition {key!a}: {error.message}", cure=f"{error.cure} This partition can be deleted."
            ) from error
