"""The launchpad: what it offers, what it refuses as one types, and how a run refuses the rest, in words."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from deita_assets.core.aggregations import AGGREGATIONS
from deita_assets.core.selectors import SELECTORS
from deita_assets.definitions import build_defs
from deita_assets.defs.automation.sensors import landing_sensor
from deita_assets.defs.platform import Platform
from deita_assets.defs.pool.assets import IngestConfig
from deita_assets.defs.selection.calibration import CalibrationConfig
from deita_assets.defs.selection.ledger_config import Aggregation, LedgerConfig, Selector
from deita_assets.defs.selection.ledgers import parameters_of
from deita_assets.defs.serving.upkeep import UpkeepConfig
from deita_assets.errors import UsageError
from deita_assets.partitions import known_budgets
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.serving import open_serving
from deita_assets_tests.defs.small_home import SmallHome, key, rows, small_home

CONFIGS = (LedgerConfig, IngestConfig, CalibrationConfig, UpkeepConfig)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHome]:
    with small_home(tmp_path_factory.mktemp("launchpad")) as made:
        made.drop("aa", rows("aa", 6))
        made.curate("source", "aa", 2, ["aa"])
        yield made


@pytest.mark.parametrize("config", CONFIGS)
def test_every_field_has_a_default_and_says_what_it_is(config) -> None:
    for name, field in config.model_fields.items():
        assert not field.is_required(), name
        assert "Default: " in field.description, name
    assert config() == config.model_validate({})


def test_choices_are_those_of_the_rules() -> None:
    assert [one.value for one in Selector] == list(SELECTORS)
    assert [one.value for one in Aggregation] == list(AGGREGATIONS)
    assert [one.name for one in (*Selector, *Aggregation)] == [one.value for one in (*Selector, *Aggregation)]


def refused_as_typed(config: dict, asset: str = "selection_ledger") -> str:
    job = (
        build_defs().resolve_implicit_global_asset_job_def().get_subset(asset_selection={dg.AssetKey(asset)})
    )
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        dg.validate_run_config(job, {"ops": {asset: {"config": config}}})
    return str(refused.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"selector": "greedy"}, "not in enum type Selector"),
        ({"aggregation": "median"}, "not in enum type Aggregation"),
        ({"thresh": 0.9}, 'unexpected config entry "thresh"'),
        ({"threshold": "high"}, "config:threshold"),
        ({"trial_budgets": 100}, "trial_budgets must be list"),
    ],
)
def test_names_types_and_choices_are_refused_as_one_types(config, words) -> None:
    assert words in refused_as_typed(config)


def failure(home: SmallHome, asset: str, partition: str | None, config: dict | None = None) -> str:
    done = home.materialise(asset, partition, config)
    assert not done.success
    told = next(event for event in done.all_events if event.is_step_failure).step_failure_data
    assert told.user_failure_data is not None, told.error
    assert told.user_failure_data.metadata["cure"].value
    return str(told.user_failure_data.description)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"threshold": 3}, "threshold: found 3, expected a number above -1 and at most 1"),
        ({"threshold": -1.0}, "threshold: found -1.0, expected"),
        ({"threshold": float("nan")}, "threshold: found nan, expected"),
        ({"seed": -1, "selector": "random"}, "seed: found -1, expected 0 or more"),
        ({"budget": 0}, "budget: budget '0': expected a whole number from 1"),
        ({"budget": 10**12}, "budget: budget '1000000000000': expected"),
        ({"threshold": 0.5, "trial_budgets": [5, -2]}, "trial_budgets: budget '-2': expected"),
        ({"trial_budgets": [5]}, "expected a field that says Trial"),
        ({"seed": 3}, "seed: found 3, expected none beside selector repr_filter"),
        (
            {"selector": "random", "threshold": 0.5},
            "threshold: found 0.5, expected none beside selector random",
        ),
        ({"where": " "}, "where: found ' ', expected some text"),
        ({"budget": 5, "to_end": True}, "budget: found 5, expected none beside to_end: true"),
        ({"threshold": 0.9}, "threshold: found 0.9, expected another one than the settings have"),
        ({"selector": "repr_filter"}, "selector: found 'repr_filter', expected another one"),
        ({"threshold": 0.5, "aggregation": "sum"}, "aggregation: found 'sum', expected another one"),
    ],
)
def test_values_that_no_ledger_can_use_are_refused_in_the_fields_words(tmp_path, config, words) -> None:
    platform = Platform(home_path=str(tmp_path))
    with pytest.raises(UsageError) as refused:
        parameters_of(platform, Scope("source", "aa", ("aa",)), LedgerConfig(**config))
    assert words in refused.value.message.replace("3.0", "3")
    assert refused.value.cure


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"format": "csv"}, "format 'csv' is unknown"),
        ({"field_map": {"ask": "q"}}, "no format has a field 'ask'"),
        ({"licence": ""}, "licence: found '', expected a licence"),
    ],
)
def test_an_ingest_refuses_in_words_too(config, words) -> None:
    with pytest.raises(UsageError, match=words):
        IngestConfig(**config).check("aa")


@pytest.mark.parametrize(
    ("asset", "partition", "config", "words"),
    [
        ("selection_ledger", "aa", {"threshold": 3}, "threshold: found 3.0, expected a number above -1"),
        ("raw_pool", "aa", {"format": "csv"}, "format 'csv' is unknown"),
        ("threshold_calibration", "aa", {"rows": 1}, "rows: found 1, expected 2 or more"),
        ("store_upkeep", None, {"keep_hours": float("inf")}, "keep_hours: found inf, expected 1 or more"),
    ],
)
def test_a_run_fails_with_those_words(home, asset, partition, config, words) -> None:
    assert words in failure(home, asset, partition, config)


def trials(home: SmallHome) -> list[tuple[int, bool]]:
    with open_serving(home.platform.home) as con:
        return con.execute("select budget, is_head from selections where trial order by budget").fetchall()


def test_a_trial_is_in_the_catalog_when_its_run_ends_and_moves_nothing(home) -> None:
    lasting = home.latest("selection_ledger", "aa").metadata["ledger_id"]
    assert home.materialise(
        "selection_ledger", "aa", {"selector": "random", "seed": 7, "trial_budgets": [3]}
    ).success
    assert trials(home) == [(3, False)]
    assert home.latest("selection_ledger", "aa").metadata["ledger_id"] == lasting
    assert home.stale("aa") == []
    assert home.latest("selected_subset", key("source", "aa", 2)) is not None


STRAY = {
    "budget": ["abc", "0", "007", "1000000000000"], "mixture": ["nosuch", "Bad|Mix"], "source": ["ghost", "Bad|Name"],
}  # fmt: skip


@pytest.fixture(scope="module")
def stray(home) -> SmallHome:
    for dimension, names in STRAY.items():
        home.instance.add_dynamic_partitions(dimension, names)
    return home


@pytest.mark.parametrize(
    ("asset", "partition", "words"),
    [
        ("selected_subset", "abc|aa", "budget 'abc': expected"),
        ("selected_subset", "007|aa", "budget '007': expected"),
        ("pooled_ledger", "nosuch", "mixture 'nosuch' is not defined"),
        ("pooled_ledger", "Bad|Mix", "mixture name 'Bad|Mix': expected"),
        ("raw_pool", "ghost", "holds no file"),
        ("raw_pool", "Bad|Name", "source name 'Bad|Name': expected"),
    ],
)
def test_partitions_that_name_nothing_fail_with_the_cure(stray, asset, partition, words) -> None:
    budget, _, scope = partition.partition("|")
    chosen = (
        dg.MultiPartitionKey({"budget": budget, "source": scope}) if asset == "selected_subset" else partition
    )
    assert words in failure(stray, asset, chosen)


def test_partitions_that_name_nothing_hinder_nothing_else(stray) -> None:
    assert known_budgets(stray.instance) == [2]
    assert stray.materialise("selection_ledger", "aa").success, (
        "its depth goes by the budgets that are partitions"
    )
    assert stray.stale("aa") == []
    stray.curate("mixture", "all", 2, ["aa"])
    assert stray.latest("pooled_subset", key("mixture", "all", 2)) is not None
    with dg.build_sensor_context(instance=stray.instance, resources={"platform": stray.platform}) as context:
        assert landing_sensor(context) is not None
