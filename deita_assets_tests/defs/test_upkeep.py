"""`store_upkeep` is `deita-assets compact` as an asset."""

import dagster as dg
import numpy as np
import pytest

from deita_assets.defs.platform import Platform
from deita_assets.defs.serving.upkeep import store_upkeep
from deita_assets.stores.lance_upkeep import look
from deita_assets.stores.vectors import ScoreTable

FP = "abcdef12" * 2


def run(home, **config):
    return dg.materialize(
        [store_upkeep],
        resources={"platform": Platform(home_path=str(home.root))},
        run_config={"ops": {"store_upkeep": {"config": config}}},
        raise_on_error=False,
    )


def test_it_merges_fragments_and_says_so(home):
    table = ScoreTable(home)
    for n in range(4):
        table.insert("quality", FP, [f"{n}" * 64], np.array([1.0]), ["ok"])
    done = run(home)
    assert done.success
    assert look(home, "scores").before.n_fragments == 1
    (event,) = done.asset_materializations_for_node("store_upkeep")
    assert "4 -> 1" in event.metadata["tables"].value.replace("\\", "").replace("&gt;", ">")
    assert store_upkeep.partitions_def is None


def test_less_than_an_hour_is_refused(home):
    with pytest.raises(dg.DagsterInvalidConfigError):
        run(home, keep_hours="x")
    assert not run(home, keep_hours=0.5).success
