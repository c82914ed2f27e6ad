"""A home whose models cost nothing, materialised through the graph: what Dagster records, without what models cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleCauseCategory, StaleStatus
from dagster._core.loader import LoadingContextForTest

from deita_assets.definitions import build_defs
from deita_assets.defs.automation.curation import Curation
from deita_assets.engines.cover import EmbedStep, ScoreStep, cover_source
from deita_assets.partitions import subset_key
from deita_assets_tests.cli.commands import chat
from deita_assets_tests.defs.test_by_hand import Hand
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer


def rows(source: str, n: int) -> list[object]:
    """Conversations that no other source has."""
    return [chat(f"{source} asks {at}", f"the answer to {at}", id=f"{source}-{at}") for at in range(n)]


class SmallHome(Hand):
    """Commands over one home: `curate` is what the command line does."""

    def curate(self, scope_kind: str, scope: str, budget: int, sources: list[str]) -> None:
        definitions = build_defs(home_path=str(self.platform.home.root))
        curation = Curation(definitions, self.instance, self.platform)
        curation.register("source", sources)
        curation.register("mixture", sorted({"all", scope} if scope_kind == "mixture" else {"all"}))
        curation.register("budget", [str(budget)])
        for source in sources:
            curation.source(source) if scope_kind == "source" else curation.source(source, _BEFORE_LEDGERS)
        if scope_kind == "mixture":
            curation.pooled(scope, budget)
        curation.subset(scope_kind, scope, budget)
        curation.serving()

    def add(self, source: str, given: list[object], name: str) -> None:
        """New rows in landing, ingested."""
        self.drop(source, given, name)
        assert self.materialise("raw_pool", source).success

    def run_ids(self, asset: str, partition: str | None) -> list[str]:
        """Runs that materialised an asset partition, newest first."""
        which = dg.AssetRecordsFilter(
            asset_key=dg.AssetKey(asset), asset_partitions=[partition] if partition else None
        )
        return [record.run_id for record in self.instance.fetch_materializations(which, limit=100).records]

    def latest(self, asset: str, partition: str | None) -> dg.AssetMaterialization:
        which = dg.AssetRecordsFilter(
            asset_key=dg.AssetKey(asset), asset_partitions=[partition] if partition else None
        )
        found = self.instance.fetch_materializations(which, limit=1).records[0].asset_materialization
        assert found is not None
        return found


_BEFORE_LEDGERS = ("raw_pool", "complexity_scores", "quality_scores", "embeddings", "scored_pool")


def model_in_this_process(
    context: dg.AssetExecutionContext, platform: Any, pipes: Any, step: str
) -> dict[str, Any]:
    """Stands for the child process: the same loop, with models out of hashes."""
    home = platform.home
    made = EmbedStep(home, FakeEmbedder()) if step == "embedding" else ScoreStep(home, FakeScorer(step))
    return dataclasses.asdict(cover_source(platform.warehouse, made, context.partition_key))


@contextmanager
def small_home(folder: Path) -> Iterator[SmallHome]:
    """A small home with an instance of its own, both below `folder`; empty, or what a copy of another holds.

    Models are replaced in the whole process as long as it is open: not for fixtures that outlive a module.
    """
    stored = folder / "instance"
    stored.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test(temp_dir=str(stored)) as instance:
        for module in ("scores", "embeddings"):
            patch.setattr(f"deita_assets.defs.{module}.assets.run_model_child", model_in_this_process)
        yield SmallHome(instance, folder / "home")


@contextmanager
def looked_at(folder: Path) -> Iterator[SmallHome]:
    """What `small_home` left below `folder`, to be read: the process around it stays as it is."""
    instance = dg.DagsterInstance.from_config(str(folder / "instance"))
    try:
        yield SmallHome(instance, folder / "home")
    finally:
        instance.dispose()


def key(scope_kind: str, scope: str, budget: int) -> str:
    """Partition of a subset as text."""
    return str(subset_key(scope_kind, scope, budget))


def stale(home: SmallHome) -> dict[tuple[str, str | None], list[str]]:
    """(asset, partition) -> what made it stale, of everything materialised that Dagster calls stale now."""
    graph = build_defs(home_path=str(home.platform.home.root)).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(home.instance, graph, LoadingContextForTest(home.instance))
    found = {}
    for asset in graph.get_all_asset_keys():
        node = graph.get(asset)
        if node.group_name == "scorer_training":
            continue
        parts = (
            node.partitions_def.get_partition_keys(dynamic_partitions_store=home.instance)
            if node.is_partitioned
            else [None]
        )
        for part in parts:
            if resolver.get_status(asset, part) is StaleStatus.STALE:
                found[asset.to_user_string(), part and str(part)] = [
                    _cause(cause) for cause in resolver.get_stale_causes(asset, part)
                ]
    return found


def _cause(cause) -> str:
    if cause.category is StaleCauseCategory.CODE:
        return "code"
    upstream = cause.dependency
    return (
        f"{cause.category.value.lower()} of {upstream.asset_key.to_user_string()}[{upstream.partition_key}]"
    )
