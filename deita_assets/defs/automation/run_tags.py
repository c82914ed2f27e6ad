"""Tags by which automation knows its own runs, and what they say of a run.

What belongs here: the tags of requested runs, and reading them. What does not: tags of a run's process
(defs.processes), or what follows from an attempt (attempts).
"""

from __future__ import annotations

from dagster import DagsterRun

#: Digest of what a requested run is for.
FOR_INPUTS = "deita/inputs"
#: Which attempt at that it is, from 1.
ATTEMPT = "deita/attempt"
#: Dagster's: the run that a run repeats. The UI copies every tag of that one.
PARENT = "dagster/parent_run_id"
#: Dagster's: the partition that a run makes.
PARTITION = "dagster/partition"


def is_by_hand(run: DagsterRun) -> bool:
    """Whether a person started a run, or started one of automation again."""
    return FOR_INPUTS not in run.tags or PARENT in run.tags


def attempt_of(run: DagsterRun) -> int:
    """Which attempt of automation a run is; 0 for a run by hand."""
    attempt = run.tags.get(ATTEMPT, "")
    return 0 if is_by_hand(run) or not attempt.isdigit() else int(attempt)


def inputs_of(run: DagsterRun) -> str | None:
    """Digest of what automation requested a run for; None for a run by hand."""
    return None if is_by_hand(run) else run.tags.get(FOR_INPUTS)
