"""`landing_sensor`: files that stopped changing become partitions and runs; nothing is requested twice or lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from deita_assets.core.fingerprint import short_digest
from deita_assets.defs.automation import staleness
from deita_assets_tests.cli.commands import chat, write_jsonl
from deita_assets_tests.defs.daemon import Daemon, done_as
from deita_assets_tests.defs.small_home import SmallHome, small_home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[SmallHome]:
    with small_home(tmp_path) as made:
        made.platform.home  # noqa: B018 - makes the folders
        yield made


@pytest.fixture
def daemon(home: SmallHome, monkeypatch) -> Daemon:
    return Daemon(home, monkeypatch)


def drop(
    home: SmallHome, source: str, name: str = "rows.jsonl", answers: int = 1, word: str = "answer"
) -> Path:
    folder = home.platform.home.landing / source
    folder.mkdir(exist_ok=True)
    return write_jsonl(folder / name, [chat(f"question {at}", f"{word} {at}") for at in range(answers)])


def requested(daemon: Daemon) -> list[str]:
    return [done_as(request) for request in daemon.tick("landing")]


def ingested(daemon: Daemon, rounds: int = 2) -> list[str]:
    """Ticks with their runs; the runs that succeeded."""
    ran = []
    for _ in range(rounds):
        ran += [done_as(one) for one in daemon.tick("landing") if daemon.execute(one).success]
    return ran


def alerts(home: SmallHome) -> str:
    file = home.platform.home.root / "alerts.jsonl"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def test_a_new_folder_becomes_a_partition_and_a_run_once_its_files_stand_still(home, daemon) -> None:
    assert requested(daemon) == []
    drop(home, "tea")
    assert requested(daemon) == [], "seen for the first time: it may still be growing"
    drop(home, "tea", word="longer answer")
    assert requested(daemon) == [], "it grew"
    assert "stand still" in daemon.said["landing"]
    assert requested(daemon) == ["raw_pool[tea]"]
    assert home.instance.get_dynamic_partitions("source") == ["tea"]
    assert home.instance.get_dynamic_partitions("mixture") == ["all"]
    assert requested(daemon) == [], "the request stands"


def test_an_ingested_source_is_left_alone_until_its_files_change(home, daemon) -> None:
    drop(home, "tea", answers=5)
    assert ingested(daemon) == ["raw_pool[tea]"]
    assert ingested(daemon, 3) == []
    drop(home, "tea", "more.jsonl", word="another")
    assert ingested(daemon, 3) == ["raw_pool[tea]"]
    assert home.metadata("raw_pool", "tea")["new_rows"] == 1
    drop(home, "tea", answers=6)
    assert ingested(daemon, 3) == ["raw_pool[tea]"]
    assert home.metadata("raw_pool", "tea")["new_rows"] == 1, "an appended row; the others are known"


def test_a_removed_file_withdraws_its_rows(home, daemon) -> None:
    drop(home, "tea", answers=9)
    more = drop(home, "tea", "more.jsonl", word="another")
    ingested(daemon)
    more.unlink()

    assert ingested(daemon, 3) == ["raw_pool[tea]"]
    assert home.metadata("raw_pool", "tea")["dagster/partition_row_count"] == 9


@pytest.mark.parametrize(
    "how", ["folder", *(pytest.param(how, marks=pytest.mark.slow) for how in ("most", "all"))]
)
def test_rows_that_leave_all_at_once_are_kept_and_alerted_once(home, daemon, how) -> None:
    first, second = drop(home, "tea", answers=5), drop(home, "tea", "more.jsonl", answers=5, word="another")
    ingested(daemon)
    texts = {path: path.read_bytes() for path in (first, second)}
    for path in [first] if how == "most" else [first, second]:
        path.unlink()
    if how == "folder":
        first.parent.rmdir()

    assert ingested(daemon, 5) == ["raw_pool[tea]"], "looked at once, then left alone"
    assert home.metadata("raw_pool", "tea")["dagster/partition_row_count"] == 10
    assert alerts(home).count("removals_withheld") == 1

    first.parent.mkdir(exist_ok=True)
    for path, text in texts.items():
        path.write_bytes(text)
    assert ingested(daemon, 3) == ["raw_pool[tea]"]
    assert home.metadata("raw_pool", "tea")["withheld"] == 0
    for path in texts:
        path.unlink()
    ingested(daemon, 4)
    assert alerts(home).count("removals_withheld") == 2, "a new state, a new alert"


def test_unfinished_hidden_and_wrongly_named_things_are_ignored(home, daemon) -> None:
    drop(home, "tea", "rows.jsonl.part")
    drop(home, "tea", ".rows.jsonl")
    (home.platform.home.landing / "Not A Name").mkdir()
    (home.platform.home.landing / ".hidden.jsonl").write_text("{}", encoding="utf-8")
    (home.platform.home.landing / "rows.jsonl.part").write_text("{}", encoding="utf-8")
    (home.platform.home.landing / "empty").mkdir()
    assert [requested(daemon), requested(daemon), requested(daemon)] == [[], [], []]
    assert home.instance.get_dynamic_partitions("source") == []
    assert daemon.said["landing"] == "everything is current"
    assert alerts(home) == ""


def test_what_belongs_to_no_source_is_said_and_alerted_once(home, daemon) -> None:
    home.platform.home.settings.write_text("[mixtures.both]\nsources = ['tea']\n", encoding="utf-8")
    for folder in ("MyData", "all", "both"):
        drop(home, folder)
    for name in "abcd":
        (home.platform.home.landing / f"{name}.jsonl").write_text("{}", encoding="utf-8")

    assert [requested(daemon), requested(daemon), requested(daemon)] == [[], [], []]
    said = daemon.said["landing"].split("\n")
    assert len(said) == 4
    for place, word in (
        ("landing/MyData/", "Try 'mydata'"),
        ("landing/all/", "the mixture of all sources"),
        ("landing/both/", "a mixture bears this name"),
        ("landing", "a.jsonl, b.jsonl, c.jsonl and 1 more in no folder"),
    ):
        assert any(line.startswith(f"{place}: ") and word in line for line in said), place
    assert alerts(home).count('"kind": "landing"') == 4

    (home.platform.home.landing / "MyData").rename(home.platform.home.landing / "mydata")
    requested(daemon)
    assert requested(daemon) == ["raw_pool[mydata]"]


def test_files_that_never_stand_still_are_alerted_after_an_hour(home, daemon) -> None:
    for minutes in (0, 30, 61, 90):
        daemon.later_s = 60 * minutes
        drop(home, "tea", answers=1 + minutes)
        assert requested(daemon) == []
        assert alerts(home).count("changed all the time") == (minutes > 60)
    requested(daemon)
    drop(home, "tea", answers=200)
    requested(daemon)
    assert alerts(home).count("changed all the time") == 1, "it stood still once, and begins anew"


def test_a_folder_that_cannot_be_read_is_alerted_once_and_holds_no_other_back(home, daemon) -> None:
    drop(home, "tea")
    (home.platform.home.landing / "linked").mkdir()
    (home.platform.home.landing / "linked" / "rows.jsonl").symlink_to("/etc/hostname")

    assert ingested(daemon, 3) == ["raw_pool[tea]"]
    assert "no regular file" in daemon.said["landing"]
    assert alerts(home).count("no regular file") == 1


def test_budgets_and_mixtures_of_the_settings_become_partitions(home, daemon) -> None:
    home.platform.home.settings.write_text(
        "budgets = [100, 9]\n[mixtures.both]\nsources = ['tea', 'maths']\nbudgets = [50]\n", encoding="utf-8"
    )
    requested(daemon)
    assert list(home.instance.get_dynamic_partitions("budget")) == ["9", "50", "100"]
    assert sorted(home.instance.get_dynamic_partitions("mixture")) == ["all", "both"]


def test_settings_that_cannot_be_read_stop_the_tick_and_are_alerted_once(home, daemon) -> None:
    home.platform.home.settings.write_text("budgets = many\n", encoding="utf-8")
    for _ in range(3):
        assert daemon.tick("landing") == []
        assert daemon.tick("recuration") == []
    assert "deita.toml" in daemon.said["landing"]
    assert daemon.night() == []
    assert alerts(home).count("deita.toml is not TOML") == 1, "by whichever looks first"

    home.platform.home.settings.unlink()
    requested(daemon)
    assert "settings" not in daemon.said["landing"]


def test_a_typo_in_the_settings_repeats_no_other_alert(home, daemon) -> None:
    (home.platform.home.landing / "linked").symlink_to("/etc")
    requested(daemon)
    for text in ("budgets = many\n", "", "budgets = many\n"):
        home.platform.home.settings.write_text(text, encoding="utf-8")
        for sensor in ("landing", "recuration"):
            daemon.tick(sensor)
    assert alerts(home).count('"kind": "landing"') == 1
    assert alerts(home).count('"kind": "settings"') == 2, "a new state, a new alert"


def test_with_the_sensors_off_the_night_tells_and_doubles_nothing(home, daemon) -> None:
    (home.platform.home.landing / "linked").symlink_to("/etc")
    drop(home, "MyData")
    put(home, "raw_pool", "tea", rows=9, withheld=9)
    home.instance.add_dynamic_partitions("source", ["tea"])
    for minute in (0, 10):
        daemon.night(minute)
    told = ["landing", "landing", "removals_withheld"]
    assert kinds(home) == told

    daemon.tick("landing")
    daemon.tick("recuration")
    daemon.night()
    assert kinds(home) == told


def put(
    home: SmallHome, asset: str, partition: str | None, *, rows: int, withheld: int = 0, inputs: str = ""
) -> None:
    """A materialisation with nothing behind it."""
    values = {"dagster/partition_row_count": rows, "withheld": withheld, "deita/inputs": inputs}
    home.instance.report_runless_asset_event(
        dg.AssetMaterialization(asset, partition=partition, metadata=values)
    )


def kinds(home: SmallHome) -> list[str]:
    return [json.loads(line)["kind"] for line in alerts(home).splitlines()]


def test_a_mixture_of_which_a_source_was_deleted_says_so_and_stops_nothing(home, daemon) -> None:
    home.platform.home.settings.write_text(
        "budgets = [3]\n[mixtures.part]\nsources = ['bb']\n", encoding="utf-8"
    )
    for source in ("aa", "bb"):
        drop(home, source)
        put(home, "raw_pool", source, rows=1)
    put(home, "serving_catalog", None, rows=1)
    home.instance.add_dynamic_partitions("source", ["aa"])
    shutil.rmtree(home.platform.home.landing / "bb")  # and its partition is none any more

    requested(daemon)
    assert [one.partition_key for one in daemon.tick("recuration")] == ["aa"]
    home.instance.add_dynamic_partitions("source", ["bb"])
    home.instance.delete_dynamic_partition("source", "aa")
    shutil.rmtree(home.platform.home.landing / "aa")
    assert [one.partition_key for one in daemon.tick("recuration")] == ["bb"]
    home.instance.delete_dynamic_partition("source", "bb")
    assert daemon.tick("recuration") == []
    assert "mixture part: names bb, of which no rows are in the pool" in daemon.said["recuration"]
    assert alerts(home) == ""


def test_a_mistake_in_one_scope_is_told_once_and_hinders_no_other(home, daemon, monkeypatch) -> None:
    for asset in staleness.SOURCE_ASSETS:  # nothing of `aa` is stale, but for its subset
        monkeypatch.setitem(staleness._INPUTS, asset, lambda now, source: [])
    monkeypatch.delitem(staleness._INPUTS, "pooled_ledger")
    home.platform.home.settings.write_text("budgets = [3]\n", encoding="utf-8")
    drop(home, "aa")
    requested(daemon)
    for asset in staleness.SOURCE_ASSETS:
        put(home, asset, "aa", rows=1, inputs=short_digest([staleness.CODE_VERSIONS[asset]]))

    assert [done_as(one) for one in daemon.tick("recuration")] == ["selected_subset[3|aa]"]
    assert daemon.tick("recuration") == []
    assert kinds(home) == ["automation"]
    assert "mixture all" in alerts(home)


def test_a_mistake_in_reading_one_source_is_told_by_one_of_the_sensors(home, daemon, monkeypatch) -> None:
    def broken(now, source):
        return {"tea": []}[source]

    monkeypatch.setitem(staleness._INPUTS, "raw_pool", broken)
    for source in ("aa", "tea"):
        drop(home, source)
    requested(daemon)
    assert requested(daemon) == ["raw_pool[tea]"]
    daemon.tick("recuration")
    assert kinds(home) == ["automation"]


def test_a_mixture_goes_on_after_an_hour_without_files_that_never_stand_still(
    home, daemon, monkeypatch
) -> None:
    for asset in staleness.SOURCE_ASSETS[1:]:
        monkeypatch.setitem(staleness._INPUTS, asset, lambda now, source: [])
    home.platform.home.settings.write_text("[mixtures.all]\nbudgets = [3]\n", encoding="utf-8")
    drop(home, "aa")
    requested(daemon)
    for asset in staleness.SOURCE_ASSETS:  # of `raw_pool` other files were read
        put(home, asset, "aa", rows=1, inputs=short_digest([staleness.CODE_VERSIONS[asset]]))

    ranked = []
    for minutes in (0, 30, 61):
        daemon.later_s = 60 * minutes
        ranked.append("pooled_ledger[all]" in [done_as(one) for one in daemon.tick("recuration")])
    assert ranked == [False, False, True]
    assert daemon.tick("recuration") == [], "it has waited for no time yet"


def test_a_tick_that_fails_is_told_once(home, daemon, monkeypatch) -> None:
    def broken(*_, **__):
        raise RuntimeError("a secret row")

    monkeypatch.setattr("deita_assets.defs.automation.sensors.read_present", broken)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            daemon.tick("recuration")
    assert kinds(home) == ["automation"]
    assert "secret" not in alerts(home)


def test_files_that_fail_are_tried_again_then_given_up_with_one_alert(home, daemon, monkeypatch) -> None:
    monkeypatch.setattr(
        "deita_assets.defs.automation.nightly.INTERVAL_S", -60
    )  # a night looks at older files
    (home.platform.home.landing / "bad").mkdir()
    (home.platform.home.landing / "bad" / "rows.parquet").write_bytes(b"PAR1 no parquet PAR1")
    pauses = [0.0, 60, 120, 240, 480]
    attempts = []
    requested(daemon)
    for pause in pauses:
        daemon.later_s = pause - 30  # runs end by the clock on the wall
        assert pause == 0 or requested(daemon) == [], "not yet due"
        daemon.later_s = pause + 10
        (request,) = daemon.tick("landing")
        assert not daemon.execute(request).success
        attempts.append(request.tags["deita/attempt"])
    daemon.later_s = 7200

    assert attempts == ["1", "2", "3", "4", "5"]
    assert [requested(daemon), requested(daemon)] == [[], []]
    assert alerts(home).count("gave_up") == 1
    assert "gave up" in daemon.said["landing"]

    assert [done_as(one) for one in daemon.night(minute=10)] == [], "afresh only when a night has begun since"
    (request,) = [one for one in daemon.night() if one.partition_key == "bad"]
    assert request.tags["deita/attempt"] == "1"
    drop(home, "bad")
    (home.platform.home.landing / "bad" / "rows.parquet").unlink()
    requested(daemon)
    assert requested(daemon) == ["raw_pool[bad]"], "other files, other inputs"
