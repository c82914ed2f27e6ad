"""`compact`: figures before and after, and no way to drop what somebody reads by accident."""

import dagster as dg
import numpy as np
import pytest

from deita_assets.defs.instance import open_instance
from deita_assets.stores.home import Home
from deita_assets.stores.vectors import ScoreTable
from deita_assets_tests.cli.test_withdraw import Here

FP = "abcdef12" * 2


@pytest.fixture
def here(tmp_path, capsys):
    home = Home(tmp_path / "home").create()
    table = ScoreTable(home)
    for n in range(4):
        table.insert("quality", FP, [f"{n}" * 64], np.array([1.0]), ["ok"])
    return Here(home, capsys)


def test_before_and_after(here):
    (seen,) = here("compact", "--dry-run")["tables"]
    assert (seen["table"], seen["before"]["n_fragments"], seen["after"]) == ("scores", 4, None)
    (done,) = here("compact")["tables"]
    assert done["before"] == seen["before"]
    assert (done["after"]["n_rows"], done["after"]["n_fragments"]) == (4, 1)
    assert done["after"]["n_versions"] > 5
    printed = here("compact", as_json=False)
    assert "scores" in printed
    assert "less than 48 hours ago stay" in printed


def test_less_than_an_hour_needs_force_and_quiet(here):
    assert "--force" in here("compact", "--keep-hours", "0", code=2)["cure"]
    with open_instance(here.home) as instance:
        run = instance.create_run_for_job(
            dg.GraphDefinition("work").to_job(), status=dg.DagsterRunStatus.STARTED
        )
        assert run.run_id[:8] in here("compact", "--keep-hours", "0", "--force", code=2)["message"]
        instance.report_run_canceled(run)
    (done,) = here("compact", "--keep-hours", "0", "--force")["tables"]
    assert (done["after"]["n_versions"], done["after"]["n_rows"]) == (1, 4)
