"""The graph that Dagster loads: what it holds, what it says of itself, and that loading it is cheap."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import AssetKey, DagsterInstance

from deita_assets.definitions import ASSETS, build_defs, defs
from deita_assets.partitions import subset_key

ROOT = Path(__file__).resolve().parent.parent

#: Asset -> (group, partition dimensions, assets it reads), as the README draws them.
GRAPH = {
    "raw_pool": ("pool", {"source"}, set()),
    "complexity_scores": ("scores", {"source"}, {"raw_pool"}),
    "quality_scores": ("scores", {"source"}, {"raw_pool"}),
    "scored_pool": ("scores", {"source"}, {"raw_pool", "complexity_scores", "quality_scores"}),
    "embeddings": ("embeddings", {"source"}, {"raw_pool"}),
    "selection_ledger": ("selection", {"source"}, {"scored_pool", "embeddings"}),
    "selected_subset": ("selection", {"source", "budget"}, {"selection_ledger"}),
    "pooled_ledger": ("selection", {"mixture"}, {"scored_pool", "embeddings"}),
    "pooled_subset": ("selection", {"mixture", "budget"}, {"pooled_ledger"}),
    "threshold_calibration": ("selection", {"source"}, {"scored_pool", "embeddings"}),
    "pooled_calibration": ("selection", {"mixture"}, {"scored_pool", "embeddings"}),
    "serving_catalog": ("serving", set(), {"selected_subset", "pooled_subset"}),
    "store_upkeep": ("serving", set(), set()),
    "graded_set": ("scorer_training", {"complexity", "quality"}, set()),
    "graded_features": ("scorer_training", {"complexity", "quality"}, {"graded_set"}),
    "distilled_scorer": ("scorer_training", {"complexity", "quality"}, {"graded_set", "graded_features"}),
    "scorer_evaluation": (
        "scorer_training",
        {"complexity", "quality"},
        {"graded_set", "graded_features", "distilled_scorer"},
    ),
}
#: Assets that no sensor or command brings up to date.
ON_DEMAND = {"threshold_calibration", "pooled_calibration"}
#: Assets that store rows in a table; the others leave files.
TABLES = [name for name, (group, _, _) in GRAPH.items() if group not in ("serving", "scorer_training")]
#: Seconds and gigabytes that a code server and a sensor tick have no use for.
HEAVY = ("torch", "transformers", "lancedb", "sentence_transformers", "pandas", "matplotlib", "lingua")


@pytest.fixture(scope="module")
def graph():
    return defs.resolve_asset_graph()


def node(graph, name):
    return graph.get(AssetKey(name))


def dimensions(partitions_def):
    """Names of the dynamic dimensions of a partitions definition; the keys of a static one."""
    if partitions_def is None:
        return set()
    if isinstance(partitions_def, dg.StaticPartitionsDefinition):
        return set(partitions_def.get_partition_keys())
    if isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return {dimension.partitions_def.name for dimension in partitions_def.partitions_defs}
    return {partitions_def.name}


def test_the_definitions_are_valid():
    dg.Definitions.validate_loadable(build_defs())


def test_workspace_names_the_definitions_module():
    (entry,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]

    assert entry["python_module"]["module_name"] == "deita_assets.definitions"
    assert entry["python_module"]["location_name"] == "deita_assets"


def test_the_graph_is_the_one_of_the_readme(graph):
    found = {
        key.to_user_string(): (
            graph.get(key).group_name,
            dimensions(graph.get(key).partitions_def),
            {parent.to_user_string() for parent in graph.get(key).parent_keys},
        )
        for key in graph.get_all_asset_keys()
    }

    assert found == GRAPH


@pytest.mark.parametrize("name", GRAPH)
def test_every_asset_says_what_it_is(graph, name):
    asset = node(graph, name)

    assert len(asset.description) > 40
    assert asset.owners
    assert asset.kinds
    assert asset.code_version
    assert asset.is_executable


@pytest.mark.parametrize("name", TABLES)
def test_every_table_shows_its_columns_with_descriptions(graph, name):
    columns = node(graph, name).metadata["dagster/column_schema"].columns

    assert len(columns) >= 2
    assert all(column.description and column.type for column in columns)


def upstream(graph, instance, child, key, parent):
    """Upstream partition keys of one partition, as Dagster resolves them."""
    below, above = node(graph, child), node(graph, parent)
    mapping = graph.get_partition_mapping(below.key, above.key)
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        return set(
            mapping.get_upstream_mapped_partitions_result_for_partitions(
                below.partitions_def.subset_with_partition_keys([key]),
                below.partitions_def,
                above.partitions_def,
            ).partitions_subset.get_partition_keys()
        )


@pytest.fixture
def instance():
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("source", ["a", "b"])
        instance.add_dynamic_partitions("mixture", ["all", "code"])
        instance.add_dynamic_partitions("budget", ["30", "60"])
        yield instance


@pytest.mark.parametrize("parent", ["scored_pool", "embeddings"])
@pytest.mark.parametrize("asset", ["pooled_ledger", "pooled_calibration"])
def test_what_is_pooled_reads_every_source(graph, instance, asset, parent):
    mapping = graph.get_partition_mapping(AssetKey(asset), AssetKey(parent))

    assert isinstance(mapping, dg.AllPartitionMapping)
    assert upstream(graph, instance, asset, "code", parent) == {"a", "b"}


def test_a_source_ledger_reads_its_source_alone(graph, instance):
    assert upstream(graph, instance, "selection_ledger", "b", "embeddings") == {"b"}


@pytest.mark.parametrize(
    ("subset", "kind", "scope", "ledger"),
    [
        ("selected_subset", "source", "b", "selection_ledger"),
        ("pooled_subset", "mixture", "code", "pooled_ledger"),
    ],
)
def test_a_subset_reads_the_ledger_of_its_scope(graph, instance, subset, kind, scope, ledger):
    assert upstream(graph, instance, subset, subset_key(kind, scope, 60), ledger) == {scope}


@pytest.mark.parametrize(
    ("asset", "dimension"), [("selection_ledger", "source"), ("pooled_ledger", "mixture")]
)
def test_a_ledger_has_a_check_of_its_partitions(graph, asset, dimension):
    check = graph.get_check_spec(dg.AssetCheckKey(AssetKey(asset), "drop_rate"))

    assert check.partitions_def.name == dimension
    assert not check.blocking
    assert len(check.description) > 40


def test_partition_keys_read_budget_then_scope():
    assert str(subset_key("source", "b", 60)) == "60|b"
    assert str(subset_key("mixture", "code", 30)) == "30|code"


def test_the_landing_sensor_runs_by_default_and_covers_one_source(graph):
    repository = defs.get_repository_def()
    sensor = repository.get_sensor_def("landing_sensor")
    job = repository.get_job("curate_source")
    source_assets = {name for name, (_, dimension, _) in GRAPH.items() if dimension == {"source"}} - ON_DEMAND

    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert {key.to_user_string() for key in job.asset_layer.selected_asset_keys} == source_assets


def test_all_runs_use_the_in_process_executor():
    job = defs.get_repository_def().get_job("curate_source")

    assert job.executor_def.name == dg.in_process_executor.name


def test_assets_are_listed_in_journey_order():
    assert [asset.key.to_user_string() for asset in ASSETS] == [
        "raw_pool",
        "complexity_scores",
        "quality_scores",
        "scored_pool",
        "embeddings",
        "selection_ledger",
        "selected_subset",
        "pooled_ledger",
        "pooled_subset",
        "threshold_calibration",
        "pooled_calibration",
        "serving_catalog",
        "store_upkeep",
        "graded_set",
        "graded_features",
        "distilled_scorer",
        "scorer_evaluation",
    ]


def test_loading_the_definitions_loads_no_model_and_no_vector_library(tmp_path):
    code = (
        "import sys, json; import deita_assets.definitions;"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == []
