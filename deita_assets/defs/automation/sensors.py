"""`landing_sensor`: files that land become sources, and sources that change get a run.

What belongs here: noticing. What does not: ingesting (raw_pool) and the rule of staleness.
"""

import json

import dagster as dg

from deita_assets.defs.automation.staleness import SOURCE_ASSETS
from deita_assets.defs.platform import Platform
from deita_assets.defs.steps import staleness
from deita_assets.engines.landing import landing_paths, landing_state, source_names
from deita_assets.errors import DeitaError
from deita_assets.partitions import budgets, mixtures, sources

INTERVAL_S = 15

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
    requests = [
        _request(context, source, states[source])
        for source in stable
        if _needs_run(context, platform, source)
    ]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[*_settings_requests(context, platform), sources.build_add_request(new)],
        cursor=json.dumps(states),
    )


def _needs_run(context: dg.SensorEvaluationContext, platform: Platform, source: str) -> bool:
    if not staleness(context.instance, platform).is_stale("raw_pool", source):
        return False
    live = context.instance.get_run_records(
        dg.RunsFilter(tags={"dagster/partition": source}, statuses=_LIVE, job_name=source_job.name), limit=1
    )
    return not live


def _request(context: dg.SensorEvaluationContext, source: str, state: str) -> dg.RunRequest:
    """A request whose key also counts the attempts, so that a failed one is not consumed for good."""
    attempts = len(
        context.instance.get_run_records(
            dg.RunsFilter(tags={"dagster/partition": source, "deita/landing_state": state}), limit=100
        )
    )
    return dg.RunRequest(
        partition_key=source, run_key=f"{source}:{state}:{attempts}", tags={"deita/landing_state": state}
    )


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
