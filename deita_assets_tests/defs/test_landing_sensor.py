"""`landing_sensor`: files that stopped changing become partitions and runs; nothing is requested twice or lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
    (home.platform.home.landing / "empty").mkdir()
    assert [requested(daemon), requested(daemon), requested(daemon)] == [[], [], []]
    assert home.instance.get_dynamic_partitions("source") == []


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
    assert alerts(home).count("deita.toml is not TOML") == 2, "once for each sensor"

    home.platform.home.settings.unlink()
    requested(daemon)
    assert "settings" not in daemon.said["landing"]


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

    assert [done_as(one) for one in daemon.night(minute=10)] == [], "afresh only in the first tick of a night"
    (request,) = [one for one in daemon.night() if one.partition_key == "bad"]
    assert request.tags["deita/attempt"] == "1"
    drop(home, "bad")
    (home.platform.home.landing / "bad" / "rows.parquet").unlink()
    requested(daemon)
    assert requested(daemon) == ["raw_pool[bad]"], "other files, other inputs"
