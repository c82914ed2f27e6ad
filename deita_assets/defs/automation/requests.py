"""From planned work to run requests, and from a plan to the lines that people read.

What belongs here: tags, run keys, run config, words. What does not: what to request (plan).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from deita_assets.core.fingerprint import short_digest
from deita_assets.defs.automation.alert_sensors import ATTEMPT
from deita_assets.defs.automation.alerts import Alert
from deita_assets.defs.automation.attempts import FOR_INPUTS, MOST_ATTEMPTS
from deita_assets.defs.automation.jobs import job_of
from deita_assets.defs.automation.plan import Plan, Request
from deita_assets.defs.automation.present import Work

#: Lines of one tick; a tick's message is no report.
_MOST_LINES = 40
#: Of queued runs the short ones that finish something go first.
_PRIORITY = {
    "raw_pool": 1,
    "pooled_ledger": 1,
    "selected_subset": 2,
    "pooled_subset": 2,
    "serving_catalog": 2,
}
_LEDGERS = {"selection_ledger", "pooled_ledger"}


def run_request(request: Request, *, by_job: bool = True) -> dg.RunRequest:
    """A Dagster run request.

    Its key holds the run that came before, so that no key stands for two attempts, and none is lost when inputs come
    back to what they were.

    Args:
        request: what to start.
        by_job: name the job; a schedule has but one, which holds every asset.
    """
    work = request.work
    return dg.RunRequest(
        run_key=":".join(
            [_short(work), work.inputs, str(request.attempt), (request.after or "first")[:8]],
        ),
        job_name=job_of(work.assets[0]) if by_job else None,
        partition_key=work.partition,
        asset_selection=[dg.AssetKey(asset) for asset in work.assets],
        run_config=_config(work),
        tags={
            FOR_INPUTS: work.inputs,
            ATTEMPT: str(request.attempt),
            "dagster/priority": str(_PRIORITY.get(work.assets[0], 0)),
        },
    )


def lines(plan: Plan) -> list[str]:
    """What a tick has to say: one line for each thing requested, and for each that waits."""
    told = [
        f"{request.work.subject}: requested"
        + (f", attempt {request.attempt} of {MOST_ATTEMPTS}" if request.attempt > 1 else "")
        for request in plan.requests
    ]
    told += [f"{one.subject}: {one.why}" for one in plan.waiting]
    if len(told) > _MOST_LINES:
        told = [*told[: _MOST_LINES - 1], f"and {len(told) - _MOST_LINES + 1} more"]
    return told


def gave_up(work: Work) -> Alert:
    """Work that automation no longer tries."""
    last = f" ({_short(work)})" if len(work.assets) > 1 else ""
    return Alert(
        kind="gave_up",
        subject=work.subject,
        message=f"{MOST_ATTEMPTS} runs for these inputs did not bring it up to date{last}.",
        cure="See its latest run in the UI (`deita-assets dev`), remove the cause, and materialise it by hand; "
        "the schedule nightly_recuration tries again too.",
    )


def told_key(work: Work) -> str:
    """What stands for a state that was alerted."""
    return short_digest(["gave up", work.subject, work.inputs])


def _short(work: Work) -> str:
    return f"{work.assets[0]}[{work.partition or ''}]"


def _config(work: Work) -> dict[str, Any]:
    ledgers = [asset for asset in work.assets if asset in _LEDGERS]
    if not ledgers or work.budget is None:
        return {}
    return {"ops": {asset: {"config": {"budget": work.budget}} for asset in ledgers}}
