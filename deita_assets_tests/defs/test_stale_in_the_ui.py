"""What Dagster itself calls stale, which is what its UI shows: nothing after a curate, and the right things after it.

Dagster compares data versions upstream and code versions, one step at a time; `staleness.py` also settings and files,
and everything below. Where the two differ stands in the tests, so that a change of Dagster's rule is noticed.
"""

from __future__ import annotations

import pytest

from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets_tests.defs.small_home import SmallHome, key, stale


@pytest.fixture(scope="module")
def home(settled: SmallHome) -> SmallHome:
    return settled


@pytest.mark.parametrize(
    ("asset", "partition", "upstream"),
    [
        ("complexity_scores", "aa", {"raw_pool"}),
        ("quality_scores", "bb", {"raw_pool"}),
        ("embeddings", "aa", {"raw_pool"}),
        ("scored_pool", "aa", {"raw_pool", "complexity_scores", "quality_scores"}),
        ("selection_ledger", "aa", {"scored_pool", "embeddings"}),
        ("pooled_ledger", "all", {"scored_pool", "embeddings"}),
        ("selected_subset", key("source", "aa", 2), {"selection_ledger"}),
        ("pooled_subset", key("mixture", "all", 3), {"pooled_ledger"}),
        ("serving_catalog", None, {"selected_subset", "pooled_subset"}),
    ],
)
def test_every_materialisation_records_the_versions_that_it_read(home, asset, partition, upstream):
    tags = home.latest(asset, partition).tags
    prefix = "dagster/input_data_version/"

    assert {tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)} == upstream
    assert all(tags[f"dagster/input_event_pointer/{name}"].isdigit() for name in upstream)
    assert tags["dagster/data_version"]
    assert tags["dagster/code_version"] == CODE_VERSIONS[asset]  # both rules go by the same


def test_nothing_is_stale_after_a_curate(home):
    assert stale(home) == {}
