"""What all assets share: names, owners, retry policy, input digests, and running the model child.

What belongs here: the thin common frame of an asset. What does not: any one asset.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from deita_assets.defs.automation.staleness import INPUTS, Staleness
from deita_assets.defs.column_lineage import materialisation_metadata
from deita_assets.defs.interrupts import is_interrupt, let_interrupts_through, stop_run
from deita_assets.defs.platform import Platform
from deita_assets.defs.processes import sign_run
from deita_assets.defs.progress import observed, progress_shown
from deita_assets.errors import DeitaError
from deita_assets.partitions import check_partition
from deita_assets.settings import DeitaSettings
from deita_assets.stores import pool
from deita_assets.stores.disk import disk_fault

OWNERS = ["team:data-curation"]
#: A crash of the model's process is worth another attempt, which resumes; a wrong setting is not.
MODEL_RETRY = dg.RetryPolicy(
    max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
#: Where a run holds scores and embeddings, scores go first: the default quality scorer embeds what it reads, and
#: `embeddings` then has less to do. No edge says so, because neither needs the other.
BEFORE_EMBEDDINGS = {"dagster/priority": "1"}


@contextmanager
def asset_step(context: dg.AssetExecutionContext, platform: Platform, asset: str) -> Iterator[dict[str, Any]]:
    """Frame of every asset: signs the run, records its inputs before reading, and turns errors into failures.

    Yields:
        Metadata to start from: the digest of the inputs, and the lineage of the columns.

    Raises:
        dg.Failure: what stopped the asset, in words.
        StoppedByHandError: Ctrl-C or a termination; the run becomes a cancelled one.
    """
    metadata: dict[str, Any] = materialisation_metadata(asset)
    try:
        let_interrupts_through()
        sign_run(context)
        now = staleness(context.instance, platform)
        if context.has_partition_key:
            check_partition(context.assets_def.partitions_def, context.partition_key)
            metadata[INPUTS] = now.inputs(asset, str(context.partition_key))
        yield metadata
    except DeitaError as error:
        raise as_failure(error) from error
    except BaseException as error:
        if is_interrupt(error):
            raise stop_run(context) from None
        if fault := disk_fault(error):
            raise as_failure(fault) from error
        raise


def staleness(
    instance: dg.DagsterInstance, platform: Platform, settings: DeitaSettings | None = None
) -> Staleness:
    """The staleness rule over the present state of a home, and its present settings unless they are given."""
    return Staleness(instance, platform.home, settings or platform.settings, lambda: pooled_sources(instance))


def pooled_sources(instance: dg.DagsterInstance) -> list[str]:
    """Sources that take part in mixture `all`: those with rows in their pool, in name order."""
    return sorted(
        source for source in instance.get_dynamic_partitions("source") if _rows_in_pool(instance, source) > 0
    )


def _rows_in_pool(instance: dg.DagsterInstance, source: str) -> int:
    """Rows of the latest `raw_pool[source]`; 0 when it was never materialised."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("raw_pool"), asset_partitions=[source]), limit=1
    ).records
    latest = records[0].asset_materialization if records else None
    count = latest.metadata.get("dagster/partition_row_count") if latest else None
    return int(count.value) if count and isinstance(count.value, int) else 0


def as_failure(error: DeitaError) -> dg.Failure:
    """A run failure that says what to do; not retried, because the same inputs would fail again."""
    return dg.Failure(
        description=str(error),
        metadata={"error": type(error).__name__, "cure": error.cure},
        allow_retries=False,
    )


def run_model_child(
    context: dg.AssetExecutionContext, platform: Platform, pipes: dg.PipesSubprocessClient, step: str
) -> dict[str, Any]:
    """Run one step of one source in a child process and return what it reports.

    Raises:
        dg.Failure: the child met an error that another attempt would meet again.
    """
    home = platform.home
    with tempfile.TemporaryDirectory(prefix="deita-") as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable, "-m", "deita_assets.engines.child", step, context.partition_key,
            "--home", str(home.root), "--report", str(report), "--parent", str(os.getpid()),
        ]  # fmt: skip
        try:
            with progress_shown(context, f"{context.partition_key} {step}") as show:
                observed(pipes, show).run(context=context, command=command)
        except Exception:
            outcome = _outcome(report)
            if "error" in outcome:
                raise dg.Failure(
                    description=f"{outcome['message']} {outcome['cure']}".strip(),
                    metadata={"error": outcome["error"], "cure": outcome["cure"]},
                    allow_retries=False,
                ) from None
            raise
        return _outcome(report)


def require_pool(platform: Platform, source: str) -> None:
    """Fail early, with the cure, when a source was never ingested."""
    with platform.warehouse.read(f"{source}: pool version") as con:
        pool.pool_version(con, source)


def _outcome(report: Path) -> dict[str, Any]:
    outcome: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    return outcome
