"""Columns of every table asset: complete, as the tables are, and each with what it comes from."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import lancedb
import pyarrow.parquet as pq
import pytest

from deita_assets.definitions import defs
from deita_assets.defs.column_lineage import LINEAGE, SCHEMA, TABLES
from deita_assets_tests.defs.small_home import SmallHome, key

#: Columns that an asset makes itself, out of nothing that has a column upstream.
MADE_HERE = {
    "complexity_scores": {"measure", "scorer_fp"},
    "quality_scores": {"measure", "scorer_fp"},
    "scored_pool": {"embedder"},
    "selection_ledger": {"scope_kind", "scope", "threshold"},
    "pooled_ledger": {"scope_kind", "scope", "threshold"},
    "threshold_calibration": {"threshold"},
    "pooled_calibration": {"threshold"},
}
VIEW = {
    "raw_pool": "pool",
    "scored_pool": "scored_pool",
    "selection_ledger": "ledger",
    "pooled_ledger": "ledger",
}
#: Table asset -> the partition that the small home has of it.
MADE = {
    "raw_pool": "aa",
    "complexity_scores": "aa",
    "quality_scores": "aa",
    "embeddings": "aa",
    "scored_pool": "aa",
    "selection_ledger": "aa",
    "pooled_ledger": "all",
    "selected_subset": key("source", "aa", 2),
    "pooled_subset": key("mixture", "all", 3),
    "threshold_calibration": "aa",
    "pooled_calibration": "all",
    "serving_catalog": None,
}


@pytest.fixture(scope="module")
def graph():
    return defs.resolve_asset_graph()


@pytest.fixture(scope="module")
def home(settled: SmallHome) -> SmallHome:
    return settled


def columns(schema: dg.TableSchema) -> dict[str, dg.TableColumn]:
    return {column.name: column for column in schema.columns}


def schema_of(graph, home: SmallHome, asset: str) -> dg.TableSchema:
    """The schema that the UI shows: the materialisation's, else the definition's."""
    shown = home.latest(asset, MADE[asset]).metadata.get(SCHEMA)
    return shown.value if shown else graph.get(dg.AssetKey(asset)).metadata[SCHEMA]


def lineage_of(home: SmallHome, asset: str) -> dict[str, set[str]]:
    told = home.latest(asset, MADE[asset]).metadata[LINEAGE].value.deps_by_column
    return {
        column: {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}
        for column, deps in told.items()
    }


def ancestors(graph, asset: str) -> set[str]:
    above = {parent.to_user_string() for parent in graph.get(dg.AssetKey(asset)).parent_keys}
    return above.union(*(ancestors(graph, one) for one in above)) if above else above


def test_every_table_asset_is_among_them(graph):
    tables = {
        name.to_user_string()
        for name in graph.get_all_asset_keys()
        if graph.get(name).group_name not in ("serving", "scorer_training")
    }
    assert tables == set(TABLES) == set(MADE) - {"serving_catalog"}


@pytest.mark.parametrize("asset", MADE)
def test_every_column_is_described_and_comes_from_a_column_above_or_is_made_here(graph, home, asset):
    schema, told = columns(schema_of(graph, home, asset)), lineage_of(home, asset)

    assert set(told) == set(schema)
    made_here = {name for name, reads in told.items() if not reads}
    if asset == "raw_pool":
        assert made_here == set(schema)  # out of files, which are no asset
    elif asset != "serving_catalog":
        assert made_here == MADE_HERE.get(asset, set())
        assert all(column.description for column in schema.values())
    above = ancestors(graph, asset)
    known = {f"{name}.{column.name}" for name in above if name in TABLES for column in TABLES[name]}
    for name, reads in told.items():
        assert reads <= known, name
        assert set(schema[name].tags) == reads  # what the open-source UI shows


def test_the_catalog_says_where_its_columns_come_from(home):
    told = lineage_of(home, "serving_catalog")

    assert told["pool.sample_id"] == {"raw_pool.sample_id"}
    assert told["turns.instruction"] == {"raw_pool.conversations"}
    assert told["scores.score"] == {"complexity_scores.score", "quality_scores.score"}
    assert told["scored_pool.evol_score"] == {"scored_pool.evol_score"}
    assert told["ledger.verdict"] == {"selection_ledger.verdict", "pooled_ledger.verdict"}
    assert told["selected.position"] == {"selected_subset.position", "pooled_subset.position"}
    assert all(told[name] for name in told if name.startswith(("pool.", "turns.", "scored_pool.sa")))


@pytest.mark.parametrize("asset", VIEW)
def test_schemas_are_those_of_the_public_views(graph, home, asset):
    with home.platform.warehouse.read("describe") as con:
        described = con.execute(f"describe {VIEW[asset]}").fetchall()
    found = [(name, type_.lower()) for name, type_, *_ in described]

    assert [(column.name, column.type) for column in schema_of(graph, home, asset).columns] == found


def test_the_schema_of_the_catalog_is_that_of_all_public_views(graph, home):
    shown = columns(schema_of(graph, home, "serving_catalog"))
    views = list(dict.fromkeys(name.split(".")[0] for name in shown))
    with home.platform.warehouse.read("describe") as con:
        expected = {
            f"{view}.{name}": type_.lower()
            for view in views
            for name, type_, *_ in con.execute(f"describe {view}").fetchall()
        }

    assert {name: column.type for name, column in shown.items()} == expected
    assert {"pool", "turns", "scores", "scored_pool", "ledger", "selections", "selected", "lineage"} <= set(
        views
    )


@pytest.mark.parametrize("asset", VIEW)
def test_constraints_hold_in_the_tables(graph, home, asset):
    columns_ = schema_of(graph, home, asset).columns
    with home.platform.warehouse.read("constraints") as con:
        for column in columns_:
            n, nulls, distinct = con.execute(
                f'select count(*), count(*) filter ("{column.name}" is null), count(distinct "{column.name}") '
                f"from {VIEW[asset]}"
            ).fetchall()[0]
            assert n
            assert column.constraints.nullable or not nulls, column.name
            assert not column.constraints.unique or distinct == n, column.name
        if asset.endswith("ledger"):
            assert con.execute(
                "select count(*) = count(distinct (ledger_id, sample_id)) from ledger"
            ).fetchall()[0][0]


@pytest.mark.parametrize("asset", ["complexity_scores", "quality_scores", "embeddings"])
def test_schemas_are_those_of_the_lance_tables(graph, home, asset):
    name = home.latest(asset, "aa").metadata.get("dagster/table_name")
    table = lancedb.connect(str(home.platform.home.lance)).open_table(name.value if name else "scores")
    shown = schema_of(graph, home, asset).columns

    found = {field.name: (_plain(field.type), field.nullable) for field in table.schema}
    assert {column.name: (column.type, column.constraints.nullable) for column in shown} == found
    (key_column,) = (
        field.name
        for field in table.schema
        if b"lance-schema:unenforced-primary-key" in (field.metadata or {})
    )
    assert [column.name for column in shown if column.constraints.unique] == [key_column]


def _plain(type_) -> str:
    """Without the length of a list and the name of what it lists."""
    return str(type_).split("[")[0].replace("item: ", "")


@pytest.mark.parametrize("asset", ["selected_subset", "pooled_subset"])
def test_schemas_are_those_of_the_parquet_files(graph, home, asset):
    folder = Path(home.latest(asset, MADE[asset]).metadata["folder"].value)
    (file,) = folder.rglob("*.parquet")
    table = pq.read_table(file)
    shown = schema_of(graph, home, asset).columns

    assert [column.name for column in shown] == table.schema.names
    for column in shown:
        type_, values = str(table.schema.field(column.name).type), table[column.name]
        assert type_.startswith("list<") if column.name == "messages" else type_ == column.type
        assert column.constraints.nullable or not values.null_count
        assert not column.constraints.unique or len(set(values.to_pylist())) == len(values)
