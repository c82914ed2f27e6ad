"""The partition dimensions: sources, mixtures and budgets, all dynamic, added by commands and sensors.

What belongs here: definitions and key helpers. What does not: when a partition is added.
"""

from __future__ import annotations

import dagster as dg

sources = dg.DynamicPartitionsDefinition(name="source")
mixtures = dg.DynamicPartitionsDefinition(name="mixture")
budgets = dg.DynamicPartitionsDefinition(name="budget")

# The same definitions (equal names) must serve as dimensions: only then does Dagster infer source -> source x budget.
source_budgets = dg.MultiPartitionsDefinition({"source": sources, "budget": budgets})
mixture_budgets = dg.MultiPartitionsDefinition({"mixture": mixtures, "budget": budgets})


def subset_key(scope_kind: str, scope: str, budget: int) -> dg.MultiPartitionKey:
    """Partition key of one subset; as text it reads `budget|scope`."""
    return dg.MultiPartitionKey({scope_kind: scope, "budget": str(budget)})
