"""The Dagster instance of a home: `$DEITA_HOME/dagster`, made once, used by the CLI, the UI and every run.

What belongs here: creating and opening it, and the `dagster.yaml` that a new home gets. What does not: runs.
"""

from __future__ import annotations

import os

import yaml
from dagster import DagsterInstance

from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock
from deita_assets.stores.whole_file import write_whole

#: Written once into a new home; people may edit it.
DAGSTER_YAML = """\
# The Dagster instance of this home. Written once by deita-assets and never again: yours to edit. What is
# changed here holds from the next command on; restart `deita-assets dev`. docs/runs.md says more.
telemetry:
  enabled: false
nux:
  enabled: false             # no "join the community" before the first look
concurrency:
  runs:
    max_concurrent_runs: 2   # runs that the UI and the automation start; more of them wait in the queue
  pools:
    default_limit: 1         # runs at once that need pool `device`, a model in memory each: as many as you have GPUs
    granularity: run         # others wait in the queue; with `op` a run that waits for its slot keeps a core busy
run_queue:
  max_user_code_failure_retries: 5     # a run that finds the code server restarting goes back to the queue
  user_code_failure_retry_delay: 20
run_monitoring:              # Dagster's part; runs of killed processes are cleared by `dead_run_sensor`
  enabled: true
  poll_interval_seconds: 60
  start_timeout_seconds: 300           # a run that nothing starts becomes a failed one
  cancel_timeout_seconds: 180          # a run that does not end when told becomes a cancelled one
  max_runtime_seconds: 0               # no limit: a large source takes as long as it takes
  free_slots_after_run_end_seconds: 120
retention:                   # days that ticks of sensors and schedules are kept; runs and assets stay
  schedule: {purge_after_days: {skipped: 7, success: 30, failure: 30, started: 7}}
  sensor: {purge_after_days: {skipped: 1, success: 30, failure: 30, started: 7}}
  auto_materialize: {purge_after_days: {skipped: 1, success: 30, failure: 30, started: 7}}
"""


#: Pool of the assets that hold a model; `dagster.yaml` says how many runs may need it at once.
DEVICE_POOL = "device"


def open_instance(home: Home) -> DagsterInstance:
    """The instance of a home, created with its `dagster.yaml` on first use.

    Two processes that open a fresh instance together break its database for good, hence the lock.
    """
    home.create()
    with file_lock(home.root / "dagster.lock", "open the Dagster instance"):
        config = home.dagster / "dagster.yaml"
        if is_new := not config.exists():
            write_whole(config, DAGSTER_YAML)  # half a file would switch telemetry on
        os.environ["DAGSTER_HOME"] = str(home.dagster)
        os.environ["DEITA_HOME"] = str(home.root)
        instance = DagsterInstance.get()
        instance.get_run_records(limit=1)
        if is_new:  # Dagster would look for the limit after it let the first runs in
            instance.event_log_storage.initialize_concurrency_limit_to_default(DEVICE_POOL)
    return instance


def missing_settings(home: Home) -> list[str]:
    """Settings of a new home's `dagster.yaml` that the file of this home says nothing of, as `section.key`."""
    own = yaml.safe_load((home.dagster / "dagster.yaml").read_text(encoding="utf-8")) or {}
    shipped: dict[str, dict[str, object]] = yaml.safe_load(DAGSTER_YAML)
    return [
        f"{section}.{key}"
        for section, keys in shipped.items()
        for key in keys
        if key not in (own.get(section) or {})
    ]
