"""From planned work to run requests, and from a plan to the lines that people read.

What belongs here: tags, run keys, run config, words. What does not: what to request (plan).
"""

from __future__ import annotations

import logging
from typing import Any

import dagster as dg

from deita_assets.defs.automation.attempts import MOST_ATTEMPTS
from deita_assets.defs.automation.jobs import job_of
from deita_assets.defs.automation.plan import Plan, Request
from deita_assets.defs.automation.present import Work
from deita_assets.defs.automation.run_tags import ATTEMPT, FOR_INPUTS
from deita_assets.defs.processes import BOOT, HOST, process_tags

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
    work, here = request.work, process_tags()
    return dg.RunRequest(
        run_key=":".join(
            [short_name(work), work.inputs, str(request.attempt), (request.after or "first")[:8]],
        ),
        job_name=job_of(work.assets[0]) if by_job else None,
        partition_key=work.partition,
        asset_selection=[dg.AssetKey(asset) for asset in work.assets],
        run_config=_config(work),
        tags={
            FOR_INPUTS: work.inputs,
            ATTEMPT: str(request.attempt),
            "dagster/priority": str(_PRIORITY.get(work.assets[0], 0)),
            **{name: here[name] for name in (HOST, BOOT)},
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


def log_lines(log: logging.Logger, plan: Plan) -> None:
    """A plan into the log of its tick, with the traceback of what failed; one that does nothing keeps no log file."""
    for failed in plan.unplanned:
        log.error(f"{failed.subject} cannot be planned", exc_info=failed.error)
    if plan.requests:
        for line in lines(plan):
            log.info(line)


def short_name(work: Work) -> str:
    """The first asset of some work, with its partition."""
    return f"{work.assets[0]}[{work.partition or ''}]"


def _config(work: Work) -> dict[str, Any]:
    ledgers = [asset for asset in work.assets if asset in _LEDGERS]
    if not ledgers or work.budget is None:
        return {}
    return {"ops": {asset: {"config": {"budget": work.budget}} for asset in ledgers}}
