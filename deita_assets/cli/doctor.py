"""`deita-assets doctor`: is this machine, this home and what is in it fit to run?

What belongs here: checks with a cure each. What does not: repairs.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click
from rich.markup import escape

from deita_assets.cli.session import Session, with_session
from deita_assets.errors import DeitaError
from deita_assets.stores.alerts import FILE as ALERTS

_LIBRARIES = ("dagster", "dagster-webserver", "duckdb", "lancedb", "pyarrow", "torch", "transformers")
_FREE_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    ok: bool
    found: str
    cure: str = ""


@click.command("doctor")
@with_session
def command(session: Session) -> int:
    """Check libraries, disk, settings, stores and models; exit 1 when something needs a cure."""
    checks = [_guard(name, check, session) for name, check in _CHECKS.items()]
    for check in checks:
        mark = "[green]ok[/green]  " if check.ok else "[red]fail[/red]"
        session.out.print(
            f"{mark} {check.name}: {escape(check.found)}"
            + (f"\n     cure: {escape(check.cure)}" if check.cure else "")
        )
    session.emit([vars(check) for check in checks])
    return 0 if all(check.ok for check in checks) else 1


def _guard(name: str, check: Callable[[Session], Check], session: Session) -> Check:
    try:
        return check(session)
    except DeitaError as error:
        return Check(name, False, error.message, error.cure)
    except Exception as error:  # noqa: BLE001 - a broken part must not hide the other findings
        return Check(name, False, f"{type(error).__name__}: {error}", "")


def _libraries(session: Session) -> Check:
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    missing = [name for name, number in found.items() if number == "missing"]
    shown = f"Python {platform.python_version()}, " + ", ".join(f"{n} {v}" for n, v in found.items())
    return Check("libraries", not missing, shown, f"pip install {' '.join(missing)}" if missing else "")


def _home(session: Session) -> Check:
    root = session.home.root
    parent = root if root.exists() else root.parent
    writable = os.access(parent, os.W_OK)
    free = shutil.disk_usage(parent).free
    shown = f"{root}{'' if root.exists() else ' (not made yet)'}, {free / 1024**3:.1f} GiB free"
    cure = "" if writable else f"Make {parent} writable, or choose another --home."
    return Check(
        "home",
        writable and free > _FREE_BYTES,
        shown,
        cure or ("" if free > _FREE_BYTES else "Free disk space."),
    )


def _settings(session: Session) -> Check:
    chosen = session.settings
    return Check(
        "settings",
        True,
        f"scorer {chosen.scorer.name}, embedder {chosen.embedder.name}, budgets {chosen.budgets}",
    )


def _warehouse(session: Session) -> Check:
    from deita_assets.stores.pool import sources
    from deita_assets.stores.warehouse import Warehouse

    if not session.home.warehouse.exists():
        return Check("warehouse", True, "none yet")
    with Warehouse(session.home, deadline_s=5).read("doctor") as con:
        return Check(
            "warehouse", True, f"{len(sources(con))} sources, {session.home.warehouse.stat().st_size:,} bytes"
        )


def _vectors(session: Session) -> Check:
    from deita_assets.stores.vectors import audit_tables

    if not any(session.home.lance.glob("*.lance")):
        return Check("lance tables", True, "none yet")
    audits = audit_tables(session.home)
    doubled = [audit.name for audit in audits if audit.n_rows != audit.n_keys]
    shown = ", ".join(f"{audit.name} {audit.n_rows:,} rows" for audit in audits)
    return Check(
        "lance tables",
        not doubled,
        shown,
        f"Doubled keys in {', '.join(doubled)}: report this." if doubled else "",
    )


def _embedder(session: Session) -> Check:
    from deita_assets.engines.child import build_step

    step = build_step(session.home.create(), session.settings, "embedding")
    return Check("embedder", True, f"{step.fingerprint.name} {step.fingerprint.digest}")


def _scorers(session: Session) -> Check:
    from deita_assets.engines.child import build_step

    home = session.home.create()
    steps = [build_step(home, session.settings, measure) for measure in ("complexity", "quality")]
    return Check(
        "scorers", True, ", ".join(f"{s.name}: {s.fingerprint.name} {s.fingerprint.digest}" for s in steps)
    )


def _runs(session: Session) -> Check:
    from deita_assets.defs.instance import missing_settings

    instance: Any = session.instance
    shown = f"{instance.get_runs_count():,} runs, Python at {sys.executable}"
    if missing := missing_settings(session.home):
        shown += f"; its dagster.yaml does not say {', '.join(missing)}, as that of a new home does"
    return Check("dagster instance", True, shown)


def _alerts(session: Session) -> Check:
    from deita_assets.engines.webhook import webhook_address
    from deita_assets.settings import WEBHOOK_VARIABLE

    posted = "posted to a webhook too" if webhook_address() else f"no webhook ({WEBHOOK_VARIABLE} is not set)"
    return Check("alerts", True, f"in {session.home.root / ALERTS}, {posted}")


_CHECKS: dict[str, Callable[[Session], Check]] = {
    "libraries": _libraries,
    "home": _home,
    "settings": _settings,
    "warehouse": _warehouse,
    "lance tables": _vectors,
    "scorers": _scorers,
    "embedder": _embedder,
    "dagster instance": _runs,
    "alerts": _alerts,
}
