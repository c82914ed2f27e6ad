"""`nightly_recuration`: the same plan at night, whatever the sensors did, with earlier attempts forgotten.

From 03:00 to 03:50 UTC every ten minutes, because each tick can start only what no stale thing stands above: with the
sensors switched off, a night still takes new files all the way to published subsets. The first tick starts afresh
what was given up.

What belongs here: the schedule. What does not: the plan.
"""

from __future__ import annotations

import time

import dagster as dg

from deita_assets.defs.automation.landed import look_at_landing, quiet_since
from deita_assets.defs.automation.plan import plan
from deita_assets.defs.automation.reading import read_present
from deita_assets.defs.automation.requests import lines, run_request
from deita_assets.defs.automation.sensors import INTERVAL_S
from deita_assets.defs.automation.wanted import settings_partitions
from deita_assets.defs.platform import Platform
from deita_assets.errors import SettingsError

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
    instance = context.instance
    try:
        settings = platform.settings
    except SettingsError as error:
        return dg.SkipReason(f"nothing is done until the settings can be read: {error}")
    landed = look_at_landing(platform.home, settings, set(instance.get_dynamic_partitions("source")))
    quiet = time.time() - 2 * INTERVAL_S
    settled = {name for name in landed if quiet_since(platform.home, name) < quiet}
    named = settings_partitions(settings)
    for dimension, keys in {**named, "source": [*named["source"], *settled]}.items():
        if new := sorted(set(keys) - set(instance.get_dynamic_partitions(dimension))):
            instance.add_dynamic_partitions(dimension, new)
    read = read_present(
        instance, platform.home, settings, landed,
        settled=lambda source: source in settled, afresh=context.scheduled_execution_time.minute == 0,
    )  # fmt: skip
    planned = plan(read.present)
    told = lines(planned)
    if not planned.requests:
        return dg.SkipReason("\n".join(told) or "everything is current")
    for line in told:
        context.log.info(line)
    return [run_request(request, by_job=False) for request in planned.requests]
