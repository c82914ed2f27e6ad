"""`landing_sensor`: what landed is read. `recuration_sensor`: what follows from it is brought up to date.

Both ask the same plan, every 15 s, and act on their part of it; they can be switched off one by one.

What belongs here: the two ticks. What does not: the plan, the rule of staleness, or any work.
"""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
from dagster import DagsterInstance

from deita_assets.defs.automation import standing
from deita_assets.defs.automation.jobs import JOBS, source_job
from deita_assets.defs.automation.landed import look_at_landing
from deita_assets.defs.automation.memory import Memory
from deita_assets.defs.automation.plan import Plan, plan
from deita_assets.defs.automation.reading import read_present
from deita_assets.defs.automation.requests import lines, log_lines, run_request
from deita_assets.defs.automation.told import tell, told_if_it_fails
from deita_assets.defs.automation.wanted import settings_partitions
from deita_assets.defs.platform import Platform
from deita_assets.errors import SettingsError
from deita_assets.partitions import budgets, mixtures, sources
from deita_assets.settings import DeitaSettings

INTERVAL_S = 15
_DIMENSIONS = {"source": sources, "mixture": mixtures, "budget": budgets}


@dg.sensor(
    job=source_job,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads what landed: new folders become partitions, changed files are ingested.",
)
def landing_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult:
    """Adds a partition for every new folder in landing, and has every source read whose files changed.

    A source is acted on when its files were the same at two ticks, so that a file being copied is left alone. Budgets
    and mixtures that settings name become partitions too.
    """
    return _tick("landing_sensor", context, platform, _arrive)


@dg.sensor(
    jobs=list(JOBS),
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes again what is stale and wanted: scores, embeddings, rankings, subsets, the catalog.",
)
def recuration_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult:
    """Has everything made again that is stale and wanted: scores, embeddings, rankings, subsets, the catalog.

    A mixture waits for its sources, and every line of a tick says what waits for what.
    """
    return _tick("recuration_sensor", context, platform, _follow)


def _arrive(
    context: dg.SensorEvaluationContext, platform: Platform, settings: DeitaSettings, before: Memory
) -> dg.SensorResult:
    home = platform.home
    landing = look_at_landing(home, settings, set(context.instance.get_dynamic_partitions("source")))
    states = {name: one.state for name, one in landing.sources.items() if one.state}
    settled = {name for name, state in states.items() if before.states.get(name) == state}
    read = read_present(context.instance, home, settings, landing, settled=lambda name: name in settled)
    now = read.present.at
    planned = plan(read.present, downstream=False)
    memory = Memory(states, before.waiting(planned.unsettled, now))
    tell(
        context.log, home,
        {
            standing.SETTINGS: [],
            standing.ARRIVALS: standing.arrivals(landing, read.records, planned),
            standing.UNSETTLED: standing.unsettled(sorted(memory.overdue(now))),
        },
    )  # fmt: skip
    return _result(context, planned, memory, _new_partitions(context.instance, settings, settled))


def _follow(
    context: dg.SensorEvaluationContext, platform: Platform, settings: DeitaSettings, before: Memory
) -> dg.SensorResult:
    home = platform.home
    landing = look_at_landing(home, settings, set(context.instance.get_dynamic_partitions("source")))
    read = read_present(context.instance, home, settings, landing)
    now = read.present.at
    planned = plan(read.present, arrivals=False, overdue=before.overdue(now))
    tell(context.log, home, {standing.SETTINGS: [], standing.DOWNSTREAM: standing.downstream(planned)})
    memory = Memory(since=before.waiting(planned.kept_waiting, now))
    return _result(context, planned, memory, _new_partitions(context.instance, settings, ()))


def _tick(
    name: str,
    context: dg.SensorEvaluationContext,
    platform: Platform,
    act: Callable[[dg.SensorEvaluationContext, Platform, DeitaSettings, Memory], dg.SensorResult],
) -> dg.SensorResult:
    """One tick: nothing is done while the settings cannot be read, and a tick that fails is told."""
    before = Memory.of(context.cursor)
    with told_if_it_fails(context.log, platform, name):
        try:
            settings = platform.settings
        except SettingsError as error:
            tell(context.log, platform.home, {standing.SETTINGS: [standing.settings(error)]})
            reason = f"nothing is done until the settings can be read: {error}"
            return dg.SensorResult(skip_reason=reason, cursor=before.cursor())
        return act(context, platform, settings, before)


def _result(
    context: dg.SensorEvaluationContext,
    planned: Plan,
    memory: Memory,
    new: list[dg.AddDynamicPartitionsRequest],
) -> dg.SensorResult:
    requests = [run_request(request) for request in planned.requests]
    log_lines(context.log, planned)
    return dg.SensorResult(
        run_requests=requests or None,
        skip_reason=None if requests else "\n".join(lines(planned)) or "everything is current",
        dynamic_partitions_requests=new,
        cursor=memory.cursor(),
    )


def _new_partitions(
    instance: DagsterInstance, settings: DeitaSettings, landed: set[str] | tuple[str, ...]
) -> list[dg.AddDynamicPartitionsRequest]:
    """Partitions that settings or landing name and that do not exist yet."""
    requests = []
    for dimension, named in settings_partitions(settings).items():
        known = set(instance.get_dynamic_partitions(dimension))
        more = sorted(landed) if dimension == "source" else []
        new = [key for key in dict.fromkeys([*named, *more]) if key not in known]
        if new:
            requests.append(_DIMENSIONS[dimension].build_add_request(new))
    return requests
