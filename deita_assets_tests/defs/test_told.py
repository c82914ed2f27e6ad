"""States that were alerted: once while they last, whoever notices them, and whatever else becomes of a tick."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from deita_assets.defs.automation import alerts, told
from deita_assets.defs.automation.alerts import Alert
from deita_assets.defs.automation.standing import Standing
from deita_assets.defs.automation.told import FILE, tell, told_if_it_fails
from deita_assets.defs.platform import Platform
from deita_assets.errors import StoreError


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def error(self, msg: str) -> None:
        self.lines.append(msg)

    def warning(self, msg: str) -> None:
        self.warnings.append(msg)


@pytest.fixture
def log(monkeypatch) -> Log:
    monkeypatch.delenv("DEITA_ALERT_WEBHOOK", raising=False)
    return Log()


def state(name: str) -> Standing:
    return f"key of {name}", Alert("gave_up", name, "Five runs failed.", "Look at them.")


def lines(home) -> list[str]:
    file = home.root / "alerts.jsonl"
    return [json.loads(line)["subject"] for line in file.read_text().splitlines()] if file.exists() else []


def test_a_state_is_told_once_until_it_ends(home, log):
    for _ in range(2):
        tell(log, home, {"arrivals": [state("aa"), state("aa")]})
    assert lines(home) == ["aa"]

    tell(log, home, {"arrivals": []})
    tell(log, home, {"arrivals": [state("aa")]})
    assert lines(home) == ["aa", "aa"]


def test_who_looks_at_one_part_leaves_the_others_as_they_were(home, log):
    tell(log, home, {"arrivals": [state("aa")], "downstream": [state("bb")]})
    tell(log, home, {"settings": [state("cc")]})  # nothing else could be looked at
    tell(log, home, {"settings": [], "arrivals": [state("aa")]})
    tell(log, home, {"downstream": [state("bb"), state("dd")]})
    assert lines(home) == ["aa", "bb", "cc", "dd"]


@pytest.mark.parametrize("kept", ["", "[]", "no JSON", '{"arrivals": 3}', b"\xff"])
def test_a_damaged_file_is_an_empty_one(home, log, kept):
    (home.root / FILE).write_bytes(kept if isinstance(kept, bytes) else kept.encode())
    for _ in range(2):
        tell(log, home, {"arrivals": [state("aa")]})
    assert lines(home) == ["aa"]


def test_a_file_that_cannot_be_written_repeats_nothing_in_this_process(home, log, monkeypatch):
    monkeypatch.setattr(told, "_unwritten", {})
    (home.root / FILE).mkdir()
    for _ in range(2):
        tell(log, home, {"arrivals": [state("aa")]})
    assert lines(home) == ["aa"]
    assert FILE in log.warnings[0]

    (home.root / FILE).rmdir()
    tell(log, home, {"arrivals": [state("aa"), state("bb")]})
    monkeypatch.setattr(told, "_unwritten", {})  # another process
    tell(log, home, {"arrivals": [state("aa"), state("bb")]})
    assert lines(home) == ["aa", "bb"]


def test_a_tick_that_dies_while_it_posts_is_not_told_again(home, log, monkeypatch):
    monkeypatch.setenv("DEITA_ALERT_WEBHOOK", "https://hook.example.org/")
    monkeypatch.setattr(alerts, "_webhook", alerts._Webhook())

    def killed(address, body):
        raise KeyboardInterrupt

    monkeypatch.setattr(alerts, "post_json", killed)
    with suppress(KeyboardInterrupt):
        tell(log, home, {"arrivals": [state("aa"), state("bb")]})
    monkeypatch.setattr(alerts, "post_json", lambda address, body: None)
    tell(log, home, {"arrivals": [state("aa"), state("bb")]})
    assert lines(home) == ["aa", "bb"]


@pytest.mark.parametrize(
    ("error", "words"), [(KeyError("a secret row"), "KeyError"), (StoreError("the store is gone"), "is gone")]
)
def test_a_tick_that_fails_again_and_again_is_told_once(home, log, error, words):
    platform = Platform(home_path=str(home.root))

    def tick(fails: bool) -> None:
        with told_if_it_fails(log, platform, "landing_sensor"):
            if fails:
                raise error

    for _ in range(2):
        with pytest.raises(type(error)):
            tick(fails=True)
    assert lines(home) == ["landing_sensor"]
    assert words in log.lines[0]
    assert "secret" not in (home.root / "alerts.jsonl").read_text()

    tick(fails=False)
    with pytest.raises(type(error)):
        tick(fails=True)
    assert lines(home) == ["landing_sensor"] * 2
