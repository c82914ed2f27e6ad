"""`nightly_catalog`: the catalog is published once a night, whatever changed.

Publishing what is current writes nothing. What it gives is a sign of life: the age of `serving_catalog` then says
whether automation works, which is what its freshness policy judges.

What belongs here: the schedule. What does not: when the catalog is published besides (automation.plan).
"""

import dagster as dg

from deita_assets.defs.automation.jobs import catalog_job


@dg.schedule(
    job=catalog_job,
    cron_schedule="55 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each night at 03:55, after nightly_recuration: a sign of life for the freshness policy.",
)
def nightly_catalog(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Publishes the catalog again, once there is one."""
    if not context.instance.fetch_materializations(dg.AssetKey("serving_catalog"), limit=1).records:
        return dg.SkipReason("nothing was published yet")
    return dg.RunRequest()
