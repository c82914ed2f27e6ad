"""What must hold of a home whatever was changed and killed: looked at from outside, in its stores and its event log.

What belongs here: questions about a home. What does not: changing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import dagster as dg
import lancedb
from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from deita_assets.defs.automation.staleness import SOURCE_ASSETS
from deita_assets.defs.platform import Platform
from deita_assets.defs.steps import pooled_sources, staleness
from deita_assets.partitions import subset_key
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse

MODEL_STEPS = ("complexity_scores", "quality_scores", "embeddings")
LIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
#: A source that is in no selection of its own needs no ledger.
_BEFORE_LEDGER = SOURCE_ASSETS[:-1]
Head = tuple[str, str, int]


def open_history(home: Path) -> DagsterInstance:
    """Dagster's records of a home."""
    return DagsterInstance.from_config(str(home / "dagster"))


def live_runs(history: DagsterInstance) -> list[DagsterRun]:
    """Runs that are not finished."""
    return list(history.get_runs(RunsFilter(statuses=LIVE)))


def claimed_slots(history: DagsterInstance) -> list[str]:
    """Runs that hold a slot of a pool, or wait for one."""
    return sorted(history.event_log_storage.get_concurrency_run_ids())


def stale(home: Path, history: DagsterInstance, sources: Sequence[str]) -> list[str]:
    """What is stale of some sources, of everything selected, and of the serving copy."""
    platform = Platform(home_path=str(home))
    now = staleness(history, platform)
    found = [
        f"{asset}[{source}]"
        for source in sources
        for asset in now.stale_source_assets(source, _BEFORE_LEDGER)
    ]
    with_rows = set(pooled_sources(history))
    for kind, scope, budget in sorted(heads(home)):
        if kind == "source" and scope not in with_rows:
            continue  # nothing can be selected from it
        ledger, subset = ("selection_ledger", "selected_subset") if kind == "source" else (
            "pooled_ledger", "pooled_subset",
        )  # fmt: skip
        if now.is_stale(ledger, scope):
            found.append(f"{ledger}[{scope}]")
        key = str(subset_key(kind, scope, budget))
        if now.is_stale(subset, key):
            found.append(f"{subset}[{key}]")
    return sorted(set(found))


def source_is_stale(home: Path, history: DagsterInstance, source: str) -> list[str]:
    """The stale assets of one source up to its ledger."""
    now = staleness(history, Platform(home_path=str(home)))
    return now.stale_source_assets(source, SOURCE_ASSETS)


def heads(home: Path) -> dict[Head, str]:
    """(kind, scope, budget) -> members_sha256 of every current selection."""
    query = (
        "select h.scope_kind, h.scope, h.budget, s.members_sha256 from store.selection_head h "
        "join store.selection s using (selection_version)"
    )
    with Warehouse(Home(home)).read("heads") as con:
        return {
            (kind, scope, budget): digest for kind, scope, budget, digest in con.execute(query).fetchall()
        }


def served_heads(home: Path) -> dict[Head, str]:
    """The same, as the published copy has it."""
    import duckdb

    query = (
        "select scope_kind, scope, budget, s.members_sha256 from selections "
        "join store.selection s using (selection_version, scope_kind, scope, budget) where is_head"
    )
    with duckdb.connect(str(home / "serving.duckdb"), read_only=True) as con:
        return {
            (kind, scope, budget): digest for kind, scope, budget, digest in con.execute(query).fetchall()
        }


def stored_keys(home: Path) -> dict[str, list[str]]:
    """Keys of every LanceDB table, as often as they stand there."""
    connection = lancedb.connect(str(home / "lance"))
    found = {}
    for folder in sorted((home / "lance").glob("*.lance")):
        key = "score_key" if folder.stem == "scores" else "content_sha256"
        table = connection.open_table(folder.stem)
        found[folder.stem] = table.search().select([key]).to_arrow()[key].to_pylist()
    return found


def keys_twice(home: Path) -> dict[str, int]:
    """Table -> keys that stand in it more than once; empty when there are none."""
    counted = {name: len(keys) - len(set(keys)) for name, keys in stored_keys(home).items()}
    return {name: extra for name, extra in counted.items() if extra}


def computed(history: DagsterInstance, step: str) -> int:
    """Results that finished steps computed, over all runs: more than there are keys if any was computed twice."""
    records = history.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=AssetKey(step)), limit=5_000
    ).records
    metadata = [record.asset_materialization.metadata for record in records if record.asset_materialization]
    return sum(int(str(one["computed"].value)) for one in metadata)


def scored_twice(home: Path, history: DagsterInstance) -> dict[str, tuple[int, int]]:
    """Step -> (results computed, results stored) where more were computed than are stored."""
    keys = stored_keys(home)
    n_scores = len(keys.get("scores", []))
    n_vectors = sum(len(found) for name, found in keys.items() if name != "scores")
    n_scored = computed(history, "complexity_scores") + computed(history, "quality_scores")
    counts = {"scores": (n_scored, n_scores), "embeddings": (computed(history, "embeddings"), n_vectors)}
    return {name: both for name, both in counts.items() if both[0] > both[1]}


def overlapping_model_steps(history: DagsterInstance) -> list[str]:
    """Pairs of steps that held a model at the same time; those of killed processes have no end and are left out."""
    spans = [span for run in history.get_runs(limit=1_000) for span in _model_spans(history, run.run_id)]
    return [
        f"{one[2]} and {other[2]}"
        for one, other in combinations(spans, 2)
        if one[0] < other[1] and other[0] < one[1]
    ]


_BEGIN = (DagsterEventType.STEP_START, DagsterEventType.STEP_RESTARTED)
_END = (DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE, DagsterEventType.STEP_UP_FOR_RETRY)


def _model_spans(history: DagsterInstance, run_id: str) -> list[tuple[float, float, str]]:
    begun: dict[str, float] = {}
    spans = []
    for entry in history.all_logs(run_id, of_type={*_BEGIN, *_END}):
        event = entry.dagster_event
        if event is None or event.step_key not in MODEL_STEPS:
            continue
        if event.event_type in _BEGIN:
            begun[event.step_key] = entry.timestamp
        elif event.step_key in begun:
            spans.append((begun.pop(event.step_key), entry.timestamp, f"{run_id[:8]}.{event.step_key}"))
    return spans
