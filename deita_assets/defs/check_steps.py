"""What all asset checks share: one step for all checks of an asset, with the partitions of the asset.

They stand beside their assets, not among what those yield: a trial gives no materialisation, and an asset that has to
yield a check's result fails without one, while a step beside it is skipped. A run that selects the asset runs them too.
With partitions of their own one source's finding does not stand for another's; Dagster calls partitioned checks a
preview, and its notice is kept from every command's output.

What belongs here: the frame of a check. What does not: any check (defs/*/checks.py), or rule (core.checks).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg

from deita_assets.core.checks.finding import Finding
from deita_assets.defs.check_records import BLOCKING
from deita_assets.defs.interrupts import is_interrupt, let_interrupts_through, stop_run
from deita_assets.defs.platform import Platform
from deita_assets.defs.processes import sign_run
from deita_assets.defs.steps import as_failure
from deita_assets.errors import DeitaError, UsageError

#: Looks at one partition of an asset, by its key; "" where it has none.
Look = Callable[[Platform, str], Sequence[Finding]]


def checks_of(
    asset: dg.AssetsDefinition, described: Mapping[str, str], look: Look
) -> dg.AssetChecksDefinition:
    """The checks of an asset as one step, which reads once.

    Args:
        asset: what is checked.
        described: name of each check -> what it looks at, in a sentence; `check_records.BLOCKING` says which block.
        look: gives one finding for each name.
    """
    name = asset.key.to_user_string()
    blocking = BLOCKING.get(name, ())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [
            dg.AssetCheckSpec(
                check, asset=asset, description=description, blocking=check in blocking,
                partitions_def=asset.partitions_def,
            )
            for check, description in described.items()
        ]  # fmt: skip

        @dg.multi_asset_check(
            name=f"{name}_checks",
            specs=specs,
            can_subset=True,
            description=f"Looks at what {name} has written.",
        )
        def step(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
            wanted = {key.name for key in context.selected_asset_check_keys}
            found = _looked(context, platform, look, partitioned=asset.partitions_def is not None)
            yield from _told(asset.key, [finding for finding in found if finding.check in wanted])

    return step


def _looked(
    context: dg.AssetCheckExecutionContext, platform: Platform, look: Look, *, partitioned: bool
) -> Sequence[Finding]:
    """What was found; errors become failures as they do in an asset, and an interrupt ends the run."""
    run = context.op_execution_context
    try:
        let_interrupts_through()
        sign_run(run)  # type: ignore[arg-type]
        if partitioned and not context.has_partition_key:
            raise UsageError(
                "this check looks at one partition, and its run has none.",
                cure="Choose a partition in the launchpad, or materialise the asset: its checks run with it.",
            )
        return look(platform, str(context.partition_key) if context.has_partition_key else "")
    except DeitaError as error:
        raise as_failure(error) from error
    except BaseException as error:
        if is_interrupt(error):
            raise stop_run(run) from None  # type: ignore[arg-type]
        raise


def _told(asset: dg.AssetKey, findings: Sequence[Finding]) -> Iterator[dg.AssetCheckResult]:
    """Every finding as a result; then a failure in words when one of them blocks, which Dagster's own has none of."""
    for finding in findings:
        yield dg.AssetCheckResult(
            passed=finding.passed,
            asset_key=asset,
            check_name=finding.check,
            severity=dg.AssetCheckSeverity.ERROR if finding.grave else dg.AssetCheckSeverity.WARN,
            description=finding.words,
            metadata={
                **finding.numbers,
                **({"examples": dg.MetadataValue.json(list(finding.examples))} if finding.examples else {}),
            },
        )
    stopping = [finding for finding in findings if finding.grave and not finding.passed]
    if stopping:
        cure = " ".join(dict.fromkeys(finding.cure for finding in stopping))
        said = " ".join(f"{finding.check}: {finding.message}" for finding in stopping)
        raise dg.Failure(
            description=f"{said} {cure}",
            metadata={"error": "AssetCheckFailed", "cure": cure},
            allow_retries=False,
        )
