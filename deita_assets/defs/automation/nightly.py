"""`nightly_recuration`: the same plan at night, whatever the sensors did or told.

From 03:00 to 03:50 UTC every ten minutes, because each tick can start only what no stale thing stands above: with the
sensors switched off, a night still takes new files all the way to published subsets, and tells what they would have
told. From 03:00 on what was given up before is tried again (attempts), by the night or by the sensors.

What belongs here: the schedule. What does not: the plan.
"""

from __future__ import annotations

import time

import dagster as dg

from deita_assets.defs.automation import standing
from deita_assets.defs.automation.landed import look_at_landing, quiet_since
from deita_assets.defs.automation.plan import Plan, plan
from deita_assets.defs.automation.reading import read_present
from deita_assets.defs.automation.requests import lines, log_lines, run_request
from deita_assets.defs.automation.sensors import INTERVAL_S
from deita_assets.defs.automation.told import tell, told_if_it_fails
from deita_assets.defs.automation.wanted import settings_partitions
from deita_assets.defs.platform import Platform
from deita_assets.errors import SettingsError
from deita_assets.settings import DeitaSettings
from deita_assets.stores.home import Home

#: Dagster's own job of all assets, the only one that holds partitions of every kind.
_EVERY_ASSET = "__ASSET_JOB"


@dg.schedule(
    name="nightly_recuration",
    cron_schedule="*/10 3 * * *",
    job_name=_EVERY_ASSET,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each night from 03:00: what is stale and wanted is made again, also what was given up.",
)
def nightly_recuration(
    context: dg.ScheduleEvaluationContext, platform: Platform
) -> list[dg.RunRequest] | dg.SkipReason:
    """Has everything read and made again that is stale and wanted, also what was given up."""
    with told_if_it_fails(context.log, platform, "nightly_recuration"):
        try:
            settings = platform.settings
        except SettingsError as error:
            tell(context.log, platform.home, {standing.SETTINGS: [standing.settings(error)]})
            return dg.SkipReason(f"nothing is done until the settings can be read: {error}")
        planned = _planned(context, platform.home, settings)
    if not planned.requests:
        return dg.SkipReason("\n".join(lines(planned)) or "everything is current")
    return [run_request(request, by_job=False) for request in planned.requests]


def _planned(context: dg.ScheduleEvaluationContext, home: Home, settings: DeitaSettings) -> Plan:
    """The whole plan, told and logged; new partitions are made at once, because a schedule cannot request them."""
    instance = context.instance
    landing = look_at_landing(home, settings, set(instance.get_dynamic_partitions("source")))
    quiet = time.time() - 2 * INTERVAL_S
    settled = {name for name in landing.sources if quiet_since(home, name) < quiet}
    named = settings_partitions(settings)
    for dimension, keys in {**named, "source": [*named["source"], *settled]}.items():
        if new := sorted(set(keys) - set(instance.get_dynamic_partitions(dimension))):
            instance.add_dynamic_partitions(dimension, new)
    read = read_present(instance, home, settings, landing, settled=lambda source: source in settled)
    planned = plan(read.present)
    tell(
        context.log, home,
        {
            standing.SETTINGS: [],
            standing.ARRIVALS: standing.arrivals(landing, read.records, planned),
            standing.DOWNSTREAM: standing.downstream(planned),
        },
    )  # fmt: skip
    log_lines(context.log, planned)
    return planned
