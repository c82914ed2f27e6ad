"""`landing_sensor`: files that land become sources, changed sources get a run; `dead_run_sensor` clears the dead.

What belongs here: noticing. What does not: ingesting (raw_pool) and the rule of staleness.
"""

import json

import dagster as dg

from deita_assets.defs.automation.staleness import SOURCE_ASSETS
from deita_assets.defs.instance import clear_dead_runs
from deita_assets.defs.platform import Platform
from deita_assets.defs.steps import staleness
from deita_assets.engines.landing import landing_paths, landing_state, source_names
from deita_assets.errors import DeitaError
from deita_assets.partitions import budgets, mixtures, sources

INTERVAL_S = 15
#: Runs on the same files that may fail before the sensor waits for other files.
MOST_FAILURES = 3
LANDING_STATE = "deita/landing_state"

source_job = dg.define_asset_job(
    "curate_source",
    selection=list(SOURCE_ASSETS),
    description="Ingest, score, embed and rank one source.",
)
_LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dg.sensor(job=source_job, minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING)
def landing_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult:
    """Adds a partition for every new folder in landing and requests a run for every source whose files changed.

    A source is acted on when its files were the same at two ticks, so that a file being copied is left alone.
    """
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    states: dict[str, str] = {}
    for source in source_names(platform.home):
        try:
            if landing_paths(platform.home, source):
                states[source] = landing_state(platform.home, source)
        except (DeitaError, OSError) as error:
            context.log.warning(f"{source}: {error}")
    stable = [source for source, state in states.items() if seen.get(source) == state]
    known = set(context.instance.get_dynamic_partitions("source"))
    new = [source for source in stable if source not in known]
    now = staleness(context.instance, platform)
    requests = [
        request
        for source in stable
        if now.is_stale("raw_pool", source) and (request := _request(context, source, states[source]))
    ]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[*_settings_requests(context, platform), sources.build_add_request(new)],
        cursor=json.dumps(states),
    )


def _request(context: dg.SensorEvaluationContext, source: str, state: str) -> dg.RunRequest | None:
    """A request for a source whose files changed; None while a run covers it, or after `MOST_FAILURES` of them.

    Its key counts the attempts at this state of the files, so that a failed one is not consumed for good.
    """
    mine = {"dagster/partition": source}
    records = context.instance.get_run_records
    if records(dg.RunsFilter(tags=mine, statuses=_LIVE, job_name=source_job.name), limit=1):
        return None
    same = {**mine, LANDING_STATE: state}
    failed = len(
        records(dg.RunsFilter(tags=same, statuses=[dg.DagsterRunStatus.FAILURE]), limit=MOST_FAILURES)
    )
    if failed >= MOST_FAILURES:
        context.log.error(
            f"{source}: {failed} runs on these files failed, no more are requested. See the last one, correct the "
            f"files in landing/{source}/, or run `deita-assets curate --source {source}`."
        )
        return None
    attempts = len(records(dg.RunsFilter(tags=same), limit=100))
    return dg.RunRequest(
        partition_key=source, run_key=f"{source}:{state}:{attempts}", tags={LANDING_STATE: state}
    )


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def dead_run_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Marks runs as failed whose process is gone, so that they hold no place in the run queue."""
    cleared = clear_dead_runs(context.instance)
    return dg.SkipReason(f"cleared {len(cleared)} dead runs" if cleared else "every run has its process")


def _settings_requests(
    context: dg.SensorEvaluationContext, platform: Platform
) -> list[dg.AddDynamicPartitionsRequest]:
    """Partitions that settings name."""
    settings = platform.settings
    chosen = [*settings.sources.values(), *settings.mixtures.values()]
    wanted = {*settings.budgets, *(budget for scope in chosen for budget in scope.budgets or [])}
    known_budgets = set(context.instance.get_dynamic_partitions("budget"))
    known_mixtures = set(context.instance.get_dynamic_partitions("mixture"))
    return [
        budgets.build_add_request(sorted({str(b) for b in wanted} - known_budgets, key=int)),
        mixtures.build_add_request(sorted(set(settings.mixture_names) - known_mixtures)),
    ]
