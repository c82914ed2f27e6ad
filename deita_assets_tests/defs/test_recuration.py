"""`recuration_sensor` and `nightly_recuration`: what follows from the pools is made again, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from deita_assets.defs.automation.plan import CATALOG
from deita_assets_tests.cli.commands import write_jsonl
from deita_assets_tests.defs import small_home as fakes
from deita_assets_tests.defs.daemon import Daemon, done_as
from deita_assets_tests.defs.small_home import SmallHome, key, rows, small_home

pytestmark = pytest.mark.slow
CHAIN = "complexity_scores, quality_scores, embeddings, scored_pool, selection_ledger"


class Home:
    """A home with its automation, and what a person does to it."""

    def __init__(self, home: SmallHome, monkeypatch) -> None:
        self.home, self.instance = home, home.instance
        self.daemon = Daemon(home, monkeypatch)
        self.folder = home.platform.home.landing
        self.monkeypatch = monkeypatch

    def drop(self, source: str, given: list[object], name: str = "rows.jsonl") -> Path:
        (self.folder / source).mkdir(parents=True, exist_ok=True)
        return write_jsonl(self.folder / source / name, given)

    def settings(self, text: str) -> None:
        self.home.platform.home.settings.write_text(text, encoding="utf-8")

    def members(self, scope_kind: str, scope: str, budget: int) -> str:
        """What tells two lists of members apart: the data version of a subset."""
        asset = "selected_subset" if scope_kind == "source" else "pooled_subset"
        return str(self.home.latest(asset, key(scope_kind, scope, budget)).tags["dagster/data_version"])

    def breaks(self, asset: str) -> None:
        """Every run of a model step of this asset fails from now on."""

        def broken(context, platform, pipes, step):
            if context.asset_key.to_user_string() == asset:
                raise dg.Failure("broken", allow_retries=False)
            return fakes.model_in_this_process(context, platform, pipes, step)

        for module in ("scores", "embeddings"):
            self.monkeypatch.setattr(f"deita_assets.defs.{module}.assets.run_model_child", broken)

    def mends(self) -> None:
        for module in ("scores", "embeddings"):
            self.monkeypatch.setattr(
                f"deita_assets.defs.{module}.assets.run_model_child", fakes.model_in_this_process
            )


@contextmanager
def automated(folder: Path) -> Iterator[Home]:
    """A small home with automation; what a test patches is undone before what `small_home` patched beneath it."""
    with small_home(folder) as made, pytest.MonkeyPatch.context() as patch:
        yield Home(made, patch)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with automated(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """Folder of a home with sources `aa`, `bb` and budget 3 of both and of `all`, everything current."""
    folder = tmp_path_factory.mktemp("template")
    with automated(folder) as home:
        home.settings("budgets = [3]\n")
        home.drop("aa", rows("aa", 6))
        home.drop("bb", rows("bb", 5))
        home.daemon.settle()
    return folder


@pytest.fixture
def settled(template: Path, tmp_path: Path) -> Iterator[Home]:
    """A copy of the template."""
    shutil.copytree(template, tmp_path / "copy")
    with automated(tmp_path / "copy") as made:
        yield made


def test_files_end_in_published_subsets_and_then_all_is_quiet(home: Home) -> None:
    home.settings("budgets = [3]\n[sources.bb]\nbudgets = []\n")
    home.drop("aa", rows("aa", 6))
    home.drop("bb", rows("bb", 5))

    ran = home.daemon.settle()

    assert ran == [
        "raw_pool[aa]",
        "raw_pool[bb]",
        f"{CHAIN}[aa]",
        f"{CHAIN.removesuffix(', selection_ledger')}[bb]",
        "selected_subset[3|aa]",
        "pooled_ledger[all]",
        "pooled_subset[3|all]",
        CATALOG,
    ]
    assert home.home.platform.home.serving.exists()
    assert home.daemon.said["recuration"] == "everything is current"


def test_new_rows_go_all_the_way_and_equal_data_go_nowhere(settled: Home) -> None:
    settled.drop("aa", rows("more", 3), "more.jsonl")
    ran = settled.daemon.settle()
    assert ran[0] == "raw_pool[aa]"
    assert {"selected_subset[3|aa]", "pooled_subset[3|all]"} <= set(ran)
    assert not any("[bb]" in one or "|bb]" in one for one in ran)

    settled.drop("aa", rows("more", 3), "copy.jsonl")  # the same rows in another file
    assert settled.daemon.settle() == ["raw_pool[aa]", CATALOG]


def test_there_and_back_again(settled: Home) -> None:
    before = settled.members("mixture", "all", 3)
    more = settled.drop("aa", rows("more", 1), "more.jsonl")
    settled.daemon.settle()
    more.unlink()
    settled.daemon.settle()
    assert settled.members("mixture", "all", 3) == before

    settled.drop("aa", rows("more", 1), "more.jsonl")
    ran = settled.daemon.settle()
    assert {"raw_pool[aa]", "pooled_ledger[all]", "pooled_subset[3|all]"} <= set(ran), (
        "inputs as the first time"
    )


def test_a_changed_setting_reaches_what_it_decides(settled: Home) -> None:
    settled.settings("budgets = [3]\n[sources.aa]\naggregation = 'mean'\n")
    assert settled.daemon.settle()[0] == "scored_pool, selection_ledger[aa]"

    settled.settings("budgets = [3]\n[sources.aa]\naggregation = 'mean'\n[mixtures.all]\nthreshold = 0.5\n")
    assert settled.daemon.settle()[0] == "pooled_ledger[all]"


def test_budgets_and_mixtures_that_are_added(settled: Home) -> None:
    settled.settings("budgets = [3, 4]\n[mixtures.part]\nsources = ['bb']\nbudgets = [2]\n")

    ran = settled.daemon.settle()

    assert set(ran) == {
        "selected_subset[4|aa]",
        "selected_subset[4|bb]",
        "pooled_subset[4|all]",
        "pooled_ledger[part]",
        "pooled_subset[2|part]",
        CATALOG,
    }


def test_a_subset_made_by_hand_is_kept_current_and_a_deleted_partition_is_not(settled: Home) -> None:
    settled.instance.add_dynamic_partitions("budget", ["2"])
    assert settled.daemon.settle() == [], "a partition alone is no wish"
    assert settled.home.materialise("selected_subset", "2|bb").success
    settled.drop("bb", rows("more", 2), "more.jsonl")
    assert "selected_subset[2|bb]" in settled.daemon.settle()

    settled.instance.delete_dynamic_partition("budget", "2")
    settled.drop("bb", rows("yet more", 2), "yet.jsonl")
    assert "selected_subset[2|bb]" not in settled.daemon.settle()


def test_partitions_added_in_the_ui_without_anything_behind_them(settled: Home) -> None:
    settled.instance.add_dynamic_partitions("source", ["later", "My Pool"])
    settled.instance.add_dynamic_partitions("mixture", ["undefined"])
    settled.instance.add_dynamic_partitions("budget", ["many"])

    assert settled.daemon.settle() == []
    said = settled.daemon.said["recuration"]
    for subject in ("later", "'My Pool'", "mixture undefined", "'many'"):
        assert subject in said
    settled.drop("later", rows("later", 4))
    assert "selected_subset[3|later]" in settled.daemon.settle()


def test_a_withdrawn_source_leaves_its_mixtures(settled: Home) -> None:
    (settled.folder / "bb" / "rows.jsonl").unlink()
    assert settled.home.materialise("raw_pool", "bb", {"by_hand": ["rows.jsonl"]}).success

    ran = settled.daemon.settle()

    assert {"pooled_ledger[all]", "pooled_subset[3|all]"} <= set(ran)
    assert not any("ledger[bb]" in one or "|bb]" in one for one in ran)
    assert "bb: its pool holds no rows" in settled.daemon.said["recuration"]
    assert {"bb"} & set(settled.home.metadata("pooled_subset", "3|all")["source_mix"]) == set()


def test_data_that_land_while_a_run_is_in_flight_are_not_lost(settled: Home) -> None:
    daemon = settled.daemon
    settled.drop("aa", rows("more", 1), "more.jsonl")
    daemon.tick("landing")
    (request,) = daemon.tick("landing")
    queued = daemon.enqueue(request)
    settled.drop("aa", rows("most", 1), "most.jsonl")
    assert [daemon.tick("landing"), daemon.tick("landing"), daemon.tick("landing")] == [[], [], []]
    assert f"run {queued.run_id[:8]} reads its files" in daemon.said["landing"]

    settled.instance.report_run_canceled(queued)
    assert "raw_pool[aa]" in daemon.settle()
    assert settled.home.metadata("raw_pool", "aa")["dagster/partition_row_count"] == 8


def test_a_run_of_any_origin_suppresses_the_request_for_what_it_covers(settled: Home) -> None:
    daemon = settled.daemon
    settled.settings("budgets = [3]\n[sources.aa]\nthreshold = 0.5\n")
    (request,) = daemon.tick("recuration")
    by_hand = settled.instance.create_run_for_job(
        daemon.repository.get_job("__ASSET_JOB").get_subset(asset_selection=set(request.asset_selection)),
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": "aa"},
        asset_selection=frozenset(request.asset_selection),
    )
    assert daemon.tick("recuration") == []
    assert f"run {by_hand.run_id[:8]}" in daemon.said["recuration"]
    assert daemon.night() == []

    settled.instance.report_run_failed(by_hand)
    assert [done_as(one) for one in daemon.tick("recuration")] == ["selection_ledger[aa]"]


def test_a_failing_step_is_retried_with_pauses_then_alerted_and_blocks_its_mixture(settled: Home) -> None:
    daemon = settled.daemon
    settled.breaks("quality_scores")
    settled.drop("aa", rows("more", 1), "more.jsonl")
    daemon.settle()  # up to the first pause
    for _ in range(5):
        daemon.later_s += 3600
        daemon.settle()
    said = daemon.said["recuration"]

    assert "gave up after 5 attempts" in said
    assert "mixture all: cannot go on without aa" in said
    told = (settled.home.platform.home.root / "alerts.jsonl").read_text(encoding="utf-8")
    assert told.count("gave_up") == 1

    settled.mends()
    assert daemon.settle() == [], "nothing changed that it could know of"
    for request in daemon.night():
        daemon.execute(request)
    ran = daemon.settle()
    assert "pooled_subset[3|all]" in ran
    assert daemon.said["recuration"] == "everything is current"


def test_a_run_by_hand_starts_afresh(settled: Home) -> None:
    daemon = settled.daemon
    settled.breaks("quality_scores")
    settled.drop("aa", rows("more", 1), "more.jsonl")
    for _ in range(6):
        daemon.settle()
        daemon.later_s += 3600
    assert daemon.tick("recuration") == []

    assert not settled.home.materialise("quality_scores", "aa").success
    (request,) = daemon.tick("recuration")
    assert request.tags["deita/attempt"] == "1"


def test_the_night_takes_new_files_to_subsets_with_the_sensors_switched_off(home: Home, monkeypatch) -> None:
    home.settings("budgets = [3]\n")
    home.drop("aa", rows("aa", 6))
    monkeypatch.setattr("deita_assets.defs.automation.nightly.INTERVAL_S", -60)
    for minute in (0, 10, 20, 30, 40, 50):
        for request in home.daemon.night(minute):
            assert home.daemon.execute(request).success

    assert home.members("source", "aa", 3)
    assert home.members("mixture", "all", 3)
    assert home.daemon.night() == []
    assert home.daemon.said["night"] == "everything is current"


def test_a_failed_blocking_check_holds_what_is_below(settled: Home) -> None:
    settled.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("raw_pool"),
            check_name="row_accounting",
            passed=False,
            metadata={},
            severity=dg.AssetCheckSeverity.ERROR,
            partition="aa",
        )
    )
    settled.settings("budgets = [3]\n[sources.aa]\naggregation = 'mean'\n")

    ran = settled.daemon.settle()

    assert ran == []
    assert "check row_accounting of raw_pool failed" in settled.daemon.said["recuration"]


def test_a_lost_folder_is_published_again(settled: Home) -> None:
    assert settled.home.materialise("selected_subset", "3|aa").success  # in this copy of the home
    folder = Path(str(settled.home.metadata("selected_subset", "3|aa")["folder"]))
    shutil.rmtree(folder)

    assert settled.daemon.settle()[0] == "selected_subset[3|aa]"
    assert (folder / "manifest.json").exists()
