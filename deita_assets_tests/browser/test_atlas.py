"""The map's page in a real browser: table, filters, legend; and no request but to its own server."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deita_assets.engines.atlas_page import page_folder
from deita_assets.stores.home import Home
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.cli.commands import command_line, environment
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A map of 40 rows, served by the command."""
    if page_folder() is None:
        pytest.skip("embedding-atlas is not installed (extra `atlas`)")
    home = Home(tmp_path_factory.mktemp("browser") / "home").create()
    warehouse = Warehouse(home)
    warehouse.migrate()
    scoped = Scoped(warehouse, Landing(home))
    scoped.random_source("aa", "clusters", 40, seed=1)
    scoped.subset(scoped.ledger("aa", threshold=0.8), 5)
    publish(home)
    process = subprocess.Popen(
        command_line(home.root, "--json", "atlas", "aa", "--port", "0", "--projection", "pca"),
        stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def test_table_filters_and_legend_are_there_and_nothing_is_asked_elsewhere(
    url: str, browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None
    )
    page.goto(url)
    page.get_by_text("40 / 40 points").or_(page.get_by_text("40 points")).first.wait_for(timeout=90_000)
    page.wait_for_function("document.body.innerText.includes('Page')", timeout=90_000)
    page.wait_for_function("document.body.innerText.includes('evol_score')", timeout=90_000)
    page.wait_for_function(
        "document.body.innerText.includes('aa clusters')", timeout=90_000
    )  # rows of the table

    told = page.inner_text("body")
    page.screenshot(path=str(tmp_path / "atlas.png"))

    for filtered in ("source", "verdict", "evol_score"):
        assert filtered in told
    for verdict in ("kept", "near_duplicate"):
        assert told.count(verdict) >= 2  # legend of the map, and its filter
    assert [one for one in asked if not one.startswith((url, f"blob:{url}", "data:"))] == []
    assert refused == []

    page.get_by_text("kept", exact=True).last.click()
    page.wait_for_function(
        "/\\b5 *\\/ *40 points/.test(document.body.innerText.replace(/\\s+/g, ' '))", timeout=30_000
    )
    page.close()
