"""`landing_sensor`: what landed is read. `recuration_sensor`: what follows from it is brought up to date.

Both ask the same plan, every 15 s, and act on their part of it; they can be switched off one by one.

What belongs here: the two ticks. What does not: the plan, the rule of staleness, or any work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg
from dagster import DagsterInstance

from deita_assets.core.fingerprint import short_digest
from deita_assets.defs.automation.alerts import Alert
from deita_assets.defs.automation.jobs import JOBS, source_job
from deita_assets.defs.automation.landed import Landed, look_at_landing
from deita_assets.defs.automation.memory import Memory
from deita_assets.defs.automation.plan import Plan, plan
from deita_assets.defs.automation.reading import Read, read_present
from deita_assets.defs.automation.requests import gave_up, lines, run_request, told_key
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
    before = Memory.of(context.cursor)
    try:
        settings = platform.settings
    except SettingsError as error:
        return _wrong_settings(context, platform, before, error)
    landed = look_at_landing(platform.home, settings, set(context.instance.get_dynamic_partitions("source")))
    settled = {name for name, one in landed.items() if one.state and before.states.get(name) == one.state}
    read = read_present(
        context.instance, platform.home, settings, landed, settled=lambda source: source in settled
    )
    planned = plan(read.present, downstream=False)
    told = before.tell(context.log, platform.home, [*_arrival_alerts(landed, read), *_give_ups(planned)])
    memory = Memory({name: one.state for name, one in landed.items() if one.state}, told.told)
    return _result(context, planned, memory, _new_partitions(context.instance, settings, settled))


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
    before = Memory.of(context.cursor)
    try:
        settings = platform.settings
    except SettingsError as error:
        return _wrong_settings(context, platform, before, error)
    landed = look_at_landing(platform.home, settings, set(context.instance.get_dynamic_partitions("source")))
    read = read_present(context.instance, platform.home, settings, landed)
    planned = plan(read.present, arrivals=False)
    memory = before.tell(context.log, platform.home, _give_ups(planned))
    return _result(context, planned, memory, _new_partitions(context.instance, settings, ()))


def _result(
    context: dg.SensorEvaluationContext,
    planned: Plan,
    memory: Memory,
    new: list[dg.AddDynamicPartitionsRequest],
) -> dg.SensorResult:
    told = lines(planned)
    requests = [run_request(request) for request in planned.requests]
    if requests:  # a tick that requests nothing keeps no log file
        for line in told:
            context.log.info(line)
    return dg.SensorResult(
        run_requests=requests or None,
        skip_reason=None if requests else "\n".join(told) or "everything is current",
        dynamic_partitions_requests=new,
        cursor=memory.cursor(),
    )


def _wrong_settings(
    context: dg.SensorEvaluationContext, platform: Platform, before: Memory, error: SettingsError
) -> dg.SensorResult:
    alert = Alert(kind="settings", subject="deita.toml", message=error.message, cure=error.cure)
    told = before.tell(context.log, platform.home, [(short_digest(["settings", error.message]), alert)])
    reason = f"nothing is done until the settings can be read: {error.message} {error.cure}"
    return dg.SensorResult(skip_reason=reason, cursor=Memory(before.states, told.told).cursor())


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


def _arrival_alerts(landed: Mapping[str, Landed], read: Read) -> Iterator[tuple[str, Alert]]:
    """Folders that cannot be listed, and removals that were held back."""
    for name, one in landed.items():
        if one.trouble:
            found = Alert("landing", name, one.trouble, one.cure)
            yield short_digest(["landing", name, one.trouble]), found
    for name, made in read.records.of("raw_pool").items():
        if made.withheld:
            yield (
                short_digest(["withheld", name, made.withheld]),
                Alert(
                    kind="removals_withheld",
                    subject=f"raw_pool[{name}]",
                    message=f"{made.withheld:,} of its {made.rows:,} rows no longer stand in landing/{name}/, "
                    "more than 20 % of them or all. They were kept, because an unmounted disk looks the same",
                    cure=f"Put the files back, or run `deita-assets add {name} --accept-removals`.",
                    run_id=made.run_id,
                ),
            )


def _give_ups(planned: Plan) -> Iterator[tuple[str, Alert]]:
    for work in planned.stopped:
        yield told_key(work), gave_up(work)
