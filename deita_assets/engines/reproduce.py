"""Reproduce: a published version made again from the stores alone, and compared with what was published.

    identical                          the same members with the same scores, the same bytes
    same rows, other writer version    all but the bytes of the Parquet file, which carry its writer's version
    different                          anything else, or it could not be made again

What the version stands on is looked at too: whatever of it is gone or altered is named, whether it made a difference or
not. Nothing in the home changes but a folder below `staging`, which goes again.

What belongs here: the steps, what they find, and the verdict. What does not: a past home (past_home), making a
selection again (rebuild), or finding differences (compare_subsets).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import duckdb

from deita_assets.engines.compare_subsets import member_difference, spec_difference
from deita_assets.engines.findings import Difference, Finding
from deita_assets.engines.past_home import past_home
from deita_assets.engines.published_folder import Published, compare_files
from deita_assets.engines.rebuild import (
    OnStep,
    Rebuilding,
    score_pools,
    select,
    settle_filters,
    write_files,
)
from deita_assets.engines.select import PassOptions
from deita_assets.engines.version_parts import (
    altered_rows,
    fill_past,
    lost_scores,
    lost_tables,
    lost_vectors,
    moved_scores,
    notes,
)
from deita_assets.errors import DeitaError, UsageError
from deita_assets.stores import registered as registry
from deita_assets.stores.disk import disk_fault
from deita_assets.stores.new_folder import new_folder
from deita_assets.stores.registered import Registered
from deita_assets.stores.selections import Selection
from deita_assets.stores.warehouse import Warehouse

Verdict = Literal["identical", "same rows, other writer version", "different"]
#: Seconds between two lines about one pass.
_EVERY_S = 5.0


@dataclass
class Reproduction:
    """What came of reproducing a version.

    Attributes:
        version: whole.
        spec: of the version.
        verdict: one of three.
        compared: what was compared, and how much of it.
        difference: the first one, or None.
        findings: what is gone or altered, and what else a reader should know.
        out: where the rebuilt files are, if anywhere.
    """

    version: str
    spec: Mapping[str, Any]
    verdict: Verdict = "different"
    compared: dict[str, Any] = field(default_factory=dict)
    difference: Difference | None = None
    findings: list[Finding] = field(default_factory=list)
    out: Path | None = None

    @property
    def missing(self) -> list[Finding]:
        """What is gone or altered."""
        return [one for one in self.findings if one.state != "note"]

    def values(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "verdict": self.verdict,
            "selection_version": self.version,
            "scope_kind": self.spec["scope_kind"],
            "scope": self.spec["scope"],
            "budget": self.spec["budget"],
            "compared": self.compared,
            "first_difference": asdict(self.difference) if self.difference else None,
            "missing": [asdict(one) for one in self.missing],
            "notes": [one.message for one in self.findings if one.state == "note"],
            "out": str(self.out) if self.out else None,
        }


def reproduce(
    warehouse: Warehouse,
    version: str,
    *,
    out: Path | None = None,
    device: str = "cpu",
    on_step: OnStep = lambda step: None,
) -> Reproduction:
    """Make a version again and compare.

    Args:
        warehouse: read only.
        version: whole.
        out: a folder that does not exist yet, for the rebuilt files.
        device: where vectors are compared; no influence on the outcome.
        on_step: told what is being done.

    Raises:
        NotFoundError: there is no such version.
        UsageError: `out` exists.
        StoreError: the disk is full or broken.
    """
    if out is not None and out.exists():
        raise UsageError(f"{out} exists.", cure="Name a folder that does not: nothing is ever overwritten.")
    with warehouse.read(f"reproduce {version}: registry") as con:
        then = registry.registered(con, version)
        findings = notes(con, then)
    on_step("published files")
    published = Published.at(warehouse.home.root / then.directory, then)
    findings += [Finding("altered", "registry", text) for text in then.alterations()] + published.findings
    done = Reproduction(version, _spec(then, published), findings=findings)
    with past_home(warehouse.home) as past:
        work = Rebuilding(warehouse, past, done.spec, on_step)
        rebuilt = _rebuild(work, then, published, done, device)
        if rebuilt is not None:
            files = past.home.root / "rebuilt"
            on_step("files")
            write_files(past, rebuilt, files)
            on_step("comparison")
            _compare(done, then, published, rebuilt, files)
            if out is not None:
                done.out = _keep(files, out)
    return done


def _spec(then: Registered, published: Published) -> Mapping[str, Any]:
    """The registry's spec; that of the manifest when it is the one that the version is the hash of."""
    pinned = published.spec
    return pinned if pinned is not None and not then.is_of(then.spec) and then.is_of(pinned) else then.spec


def _rebuild(
    work: Rebuilding, then: Registered, published: Published, done: Reproduction, device: str
) -> Selection | None:
    """The selection again; None, with the difference noted, when what is left in the stores does not give one."""
    try:
        work.on_step("pools as they were")
        done.findings += fill_past(work, then, published)
        work.on_step("texts")
        done.findings += altered_rows(work)
        if tables := lost_tables(work):
            done.findings += tables
            done.difference = Difference("rebuild", tables[0].message)
            return None
        score_pools(work, work.spec["aggregation"])
        done.findings += lost_scores(work)
        settle_filters(work)
        rebuilt = select(work, PassOptions(device, on_progress=_every(work.on_step)))
    except (DeitaError, duckdb.Error) as error:
        if fault := disk_fault(error):  # of this machine now, not of the version
            raise fault from error
        message = error.message if isinstance(error, DeitaError) else str(error).strip().splitlines()[0]
        done.difference = Difference("rebuild", f"it cannot be made again: {message}")
        return None
    done.findings += lost_vectors(work, then, published, rebuilt)
    done.findings += moved_scores(work, then, rebuilt)
    return rebuilt


def _compare(
    done: Reproduction, then: Registered, published: Published, rebuilt: Selection, files: Path
) -> None:
    """Fill in the verdict: the registry first, then the files."""
    altered = then.alterations()
    members = member_difference(then.members, rebuilt.members)
    spec = spec_difference(then.spec, rebuilt.spec)
    if altered and rebuilt.version == then.version:
        altered.append("what is rebuilt has the right one")
    registered = (
        Difference("registry", f"the registry was altered: {'; '.join(altered)}") if altered else None
    )
    compared = compare_files(published, files)
    done.compared = {
        "against": ["registry", "files"] if published.manifest is not None else ["registry"],
        "rows": len(rebuilt.members),
        "rows_published": then.n_rows,
        "evol_scores": sum(
            one.evol_score == other.evol_score
            for one, other in zip(then.members, rebuilt.members, strict=False)
        ),
        "version_rebuilt": rebuilt.version,
        **compared.facts,
    }
    done.findings += compared.findings
    first = members if altered and members else None
    done.difference = registered or spec or members or compared.difference
    if registered and (detail := first or spec):
        done.difference = Difference("registry", f"{registered.message}; {detail.message}", detail.facts)
    if done.difference is None:
        done.verdict = "identical" if compared.same_bytes else "same rows, other writer version"


def _keep(files: Path, out: Path) -> Path:
    """Copy the rebuilt files out, all of them or none."""
    with new_folder(out) as partial:
        shutil.copytree(files, partial, dirs_exist_ok=True)
    return out


def _every(on_step: OnStep) -> Callable[[int, int], None]:
    last = monotonic()

    def on_progress(visited: int, kept: int) -> None:
        nonlocal last
        if monotonic() - last >= _EVERY_S:
            last = monotonic()
            on_step(f"ledger: {visited:,} rows visited, {kept:,} kept")

    return on_progress
