"""One small home, taken through the whole graph once, for the tests that look at what Dagster recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deita_assets_tests.defs.small_home import SmallHome, looked_at, rows, small_home


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHome]:
    """Sources `aa` and `bb`: mixture `all` at 3 and `aa` at 2 curated, both calibrated. To be left as it is."""
    folder = tmp_path_factory.mktemp("settled")
    with small_home(folder) as home:
        for source in ("aa", "bb"):
            home.drop(source, rows(source, 6))
        home.curate("mixture", "all", 3, ["aa", "bb"])
        home.curate("source", "aa", 2, ["aa"])
        for asset, scope in (("threshold_calibration", "aa"), ("pooled_calibration", "all")):
            assert home.materialise(asset, scope).success
    with looked_at(folder) as home:
        yield home
