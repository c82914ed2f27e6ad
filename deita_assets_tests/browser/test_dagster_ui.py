"""The Dagster UI in a real browser, on a real `deita-assets dev`: it curates by itself, people see and steer it.

A file is dropped and nobody clicks; then a person clicks. One server serves all of it, as one installation would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from deita_assets.partitions import subset_key
from deita_assets_tests.browser.dagster_ui import DagsterUI
from deita_assets_tests.browser.dev_server import DevServer, dev_server
from deita_assets_tests.cli.commands import chat

pytestmark = pytest.mark.slow
SOURCE, MIXTURE = "workbench", "all"
BUDGETS, ADDED = (5, 10), (3, 4, 7)
#: What a row may contain and a page must not act upon: a picture that fails runs its script, a link fetches.
_HOSTILE = '<img src="x" onerror="window.hurt = 1"> <script>window.hurt = 2</script> ![pixel](https://hurt.invalid/p.png)'


def _rows() -> str:
    """Rows of the packaged demo, below two that differ by a word and rank first, having the most turns."""
    turn = (
        "Compare two ways of joining oak boards, say where each of them fails under load and in damp air, and give "
        "the tools, the order of steps and the drying times that a careful beginner needs. "
    )
    told = (
        "Dowels carry shear well and need a straight drill guide; a mortise carries bending and forgives damp air, "
        "because wood swells across the joint. First square the boards, then mark from one face, cut the mortise "
        "before the tenon, test dry, glue thinly, clamp for six hours, and wait a day before planing. "
    )

    def conversation(first: str) -> dict[str, Any]:
        messages = chat(first + turn, told)["messages"]
        for at in range(2, 6):
            messages += chat(
                f"{turn} Now for board {at}, thicker by {at} mm.", f"{told} For board {at} add {at} mm."
            )["messages"]
        return {"messages": messages}

    twins = [conversation(f"{_HOSTILE} "), conversation(f"Please: {_HOSTILE} ")]
    demo = (files("deita_assets") / "demo" / "workbench.jsonl").read_text(encoding="utf-8").splitlines()[:16]
    return "\n".join([*(json.dumps(row) for row in twins), *demo]) + "\n"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, artefacts: Path, request: pytest.FixtureRequest
) -> Iterator[DevServer]:
    """`deita-assets dev` over an empty home whose settings name two budgets."""
    home = tmp_path_factory.mktemp("ui") / "home"
    home.mkdir()
    (home / "deita.toml").write_text(f"budgets = {list(BUDGETS)}\n", encoding="utf-8")
    failed = request.session.testsfailed
    with dev_server(home, artefacts / "dev.log") as running:
        yield running
        if request.session.testsfailed > failed:
            print(f"the end of dev.log:\n{running.log_tail()}")


@pytest.fixture(scope="module")
def ui(server: DevServer, browser: Any, artefacts: Path) -> Iterator[DagsterUI]:
    """One tab on it, which also counts what it asked for and complained of."""
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    yield DagsterUI(page, server.url, artefacts)
    page.close()


@pytest.fixture(scope="module")
def arrived(server: DevServer, ui: DagsterUI) -> str:
    """A file is dropped into landing while the page of the ledger is open; nobody clicks, its partition turns green."""
    ui.open("/assets/selection_ledger?view=partitions")
    ui.shot("01_before_the_file")
    folder = server.home / "landing" / SOURCE
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text(_rows(), encoding="utf-8")
    ui.partition("raw_pool", SOURCE)
    ui.shot("02_raw_pool")
    ui.partition("selection_ledger", SOURCE)
    return SOURCE


def _folder(server: DevServer, kind: str, scope: str, budget: int) -> Path:
    """The one version of a subset that stands in the home."""
    (folder,) = (server.home / "subsets" / kind / scope / str(budget)).iterdir()
    return folder


def _n_rows(folder: Path) -> int:
    return len((folder / "train.jsonl").read_text(encoding="utf-8").splitlines())


def test_a_dropped_file_becomes_selections_without_a_click(
    server: DevServer, ui: DagsterUI, arrived: str
) -> None:
    for budget in BUDGETS:
        ui.partition("selected_subset", str(subset_key("source", arrived, budget)))
        assert ui.cell("dagster/partition_row_count").inner_text().strip() == str(budget)
    ui.shot("03_selected_subset")
    for budget in BUDGETS:
        ui.partition("pooled_subset", str(subset_key("mixture", MIXTURE, budget)))
        assert ui.cell("dagster/partition_row_count").inner_text().strip() == str(budget)
        folder = _folder(server, "mixture", MIXTURE, budget)
        assert str(folder) in ui.text("folder")
        assert _n_rows(folder) == budget
    ui.shot("04_pooled_subset")
    ui.open("/asset-groups")
    ui.until(lambda: ui.page.get_by_text("selection", exact=True).count() > 1, "the graph of all groups")
    ui.page.wait_for_timeout(2000)  # it is laid out and zoomed
    ui.shot("05_lineage_of_all")


def test_the_page_of_a_subset_shows_numbers_and_plots(ui: DagsterUI, arrived: str) -> None:
    ui.partition("pooled_subset", str(subset_key("mixture", MIXTURE, BUDGETS[-1])))

    shown = {key: ui.pictures(key) for key in ui.shown_keys()}

    ui.shot("05_plots")
    assert float(ui.text("lowest_evol_score")) > 0
    assert f"{arrived} {BUDGETS[-1]}" in " ".join(ui.text("source_mix").split())
    pictures = [picture for all_of_key in shown.values() for picture in all_of_key]
    assert pictures, f"no picture beside {sorted(shown)}"
    assert [address for address, _ in pictures if not address.startswith("data:image/")] == []
    assert min(width for _, width in pictures) > 0


def test_the_page_of_a_ledger_shows_near_duplicates_as_words(ui: DagsterUI, arrived: str) -> None:
    ui.partition("selection_ledger", arrived)

    shown = ui.text("near_duplicates")

    ui.shot("06_selection_ledger")
    assert '<img src="x"' in shown  # the words of the row, not its picture
    assert "onerror" in shown
    assert ui.page.evaluate("window.hurt") is None
    assert ui.pictures("near_duplicates") == []


def test_one_partition_is_materialised_with_the_button(ui: DagsterUI, arrived: str) -> None:
    dialog = ui.materialise_dialog("threshold_calibration")
    ui.choose(dialog, [arrived])
    ui.shot("07_materialise_dialog")

    ui.run_ends(ui.launch(dialog, "Launch 1 run"))

    ui.shot("08_run")
    ui.partition("threshold_calibration", arrived)
    (address, width), *_ = ui.pictures("plot")
    assert address.startswith("data:image/")
    assert width > 0
    ui.shot("09_threshold_calibration")


def test_three_budgets_are_added_and_backfilled_in_the_dialog(
    server: DevServer, ui: DagsterUI, arrived: str
) -> None:
    dialog = ui.materialise_dialog("selected_subset")
    for budget in ADDED:
        ui.add_partition(dialog, 0, str(budget))
    ui.choose(dialog, map(str, ADDED))
    ui.choose(dialog, [arrived])
    dialog.get_by_text("3 partitions").wait_for()
    ui.shot("10_backfill_dialog")

    ui.backfill_ends(ui.launch(dialog, "Launch backfill"))

    ui.shot("11_backfill")
    for budget in ADDED:
        ui.partition("selected_subset", str(subset_key("source", arrived, budget)))
        assert _n_rows(_folder(server, "source", arrived, budget)) == budget
    ui.shot("12_backfilled")


_CONFIG = "ops:\n  selection_ledger:\n    config:\n"


def test_the_launchpad_describes_its_fields_and_refuses_what_it_does_not_know(
    ui: DagsterUI, arrived: str
) -> None:
    pad = ui.launchpad("selection_ledger", arrived)

    ui.write_config(pad, f"{_CONFIG}      thresold: 0.6\n      ")

    refusal = pad.get_by_text('unexpected config entry "thresold"')
    refusal.wait_for()
    ui.shot("13_launchpad_refusal")
    assert pad.get_by_role("button", name="Materialize").is_disabled()

    ui.write_config(pad, f"{_CONFIG}      threshold: close\n      ")

    pad.get_by_text("Invalid scalar").or_(pad.get_by_text("Expected type")).or_(
        pad.get_by_text('threshold" of type')
    ).first.wait_for()
    assert pad.get_by_role("button", name="Materialize").is_disabled()
    help_text = pad.locator("code").first.inner_text()
    for named in ("threshold", "aggregation", "selector", "seed", "where", "trial_budgets", "budget"):
        assert named in help_text
    assert help_text.count("Trial:") >= 6  # each of them says what it does


def test_a_trial_from_the_launchpad_runs_and_moves_no_head(
    server: DevServer, ui: DagsterUI, arrived: str
) -> None:
    ui.partition("selection_ledger", arrived)
    lasting, versions = ui.text("ledger_id"), ui.text("deita/inputs")
    pad = ui.launchpad("selection_ledger", arrived)
    ui.write_config(pad, f"{_CONFIG}      threshold: 0.3\n      trial_budgets: [4]\n      ")
    pad.get_by_text("No errors").wait_for()
    ui.shot("14_launchpad")

    pad.get_by_role("button", name="Materialize").click()
    ui.until(lambda: "/runs/" in ui.page.url, "the page of the trial's run")
    ui.run_ends(ui.page.url.rsplit("/", 1)[1][:8])

    ui.shot("15_trial_run")
    ui.partition("selection_ledger", arrived)
    assert (ui.text("ledger_id"), ui.text("deita/inputs")) == (lasting, versions)
    assert '"threshold": 0.3' in ui.text("trial") or "0.3" in ui.text("trial")
    ui.shot("16_ledger_after_trial")


def test_a_newcomer_finds_checks_sensors_and_catalog(ui: DagsterUI, arrived: str) -> None:
    ui.open("/assets")
    ui.until(lambda: ui.page.get_by_text("raw_pool", exact=True).first.is_visible(), "the catalog")
    ui.shot("17_catalog")
    ui.open("/assets/selection_ledger?view=checks")
    ui.until(lambda: ui.page.get_by_text("drop_rate").first.is_visible(), "the checks of the ledger")
    ui.shot("18_checks")
    ui.open("/automation")
    for named in ("landing_sensor", "recuration_sensor", "nightly_recuration", "run_failure_alerts"):
        described = ui.page.get_by_role(
            "link", name=re.compile(rf"\b{named} info\b")
        )  # the mark of a description
        ui.until(lambda shown=described: shown.first.is_visible(), f"{named} with a description")
    switched_on = ui.page.get_by_role("checkbox", checked=True)
    ui.until(lambda: switched_on.count() >= 6, "everything that runs by itself to be switched on")
    ui.shot("19_automation")
    ui.open(f"/assets/pooled_subset?view=lineage&partition={BUDGETS[0]}%7C{MIXTURE}")
    ui.until(lambda: ui.page.get_by_text("pooled_ledger").first.is_visible(), "the lineage of a subset")
    ui.page.wait_for_timeout(2000)
    ui.shot("20_lineage_of_a_subset")


def test_nothing_was_asked_elsewhere_and_nothing_complained(ui: DagsterUI, arrived: str) -> None:
    assert len(ui.asked) > 50
    assert ui.elsewhere() == []
    assert ui.complaints == []
