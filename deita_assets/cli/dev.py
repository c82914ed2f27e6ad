"""`deita-assets dev`: the Dagster UI and daemon of this home, on loopback.

What belongs here: starting them. What does not: the graph.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import click

from deita_assets.cli.session import Session, with_session

_WORKSPACE = """\
load_from:
  - python_module:
      module_name: deita_assets.definitions
      location_name: deita_assets
"""


@click.command("dev")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@with_session
def command(session: Session, port: int) -> None:
    """Serve the UI at http://127.0.0.1:PORT until interrupted. It has no login: loopback only."""
    from deita_assets.defs.automation.wanted import settings_partitions
    from deita_assets.engines.webhook import webhook_address
    from deita_assets.stores.warehouse import Warehouse

    webhook_address()  # refused here and now, not at the first alert
    curation = session.curation
    Warehouse(session.home).migrate()
    for dimension, names in settings_partitions(session.settings).items():
        curation.register(dimension, names)
    workspace = session.home.dagster / "workspace.yaml"
    workspace.write_text(_WORKSPACE, encoding="utf-8")
    session.out.print(
        f"Dagster UI of {session.home.root} at http://127.0.0.1:{port} (Ctrl-C ends it)", markup=False
    )
    environment = {
        **os.environ,
        "DEITA_HOME": str(session.home.root),
        "DAGSTER_HOME": str(session.home.dagster),
    }
    arguments = ["-m", "dagster", "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    sys.stdout.flush()
    # A script that starts this in the background leaves SIGINT ignored, and Dagster would then ignore SIGTERM too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    subprocess.Popen([sys.executable, "-m", "deita_assets.cli.dev_watch", str(os.getpid())])
    # Dagster takes this process over, so that a signal ends its servers too and leaves no orphan.
    os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606 - fixed arguments, no shell
