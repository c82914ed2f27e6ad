"""`alerts.jsonl`: one JSON object a line, appended, capped, and readable whatever a kill left in it."""

from __future__ import annotations

import datetime as dt
import json

from deita_assets.stores import alerts
from deita_assets.stores.alerts import alerts_since, append_alert

DAY = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def alert(hour: int, subject: str = "x") -> dict:
    return {"at": (DAY + dt.timedelta(hours=hour)).isoformat(), "subject": subject}


def test_lines_are_appended_and_read_back_from_a_moment_on(home) -> None:
    for hour in range(5):
        append_alert(home, alert(hour, "Äpfel\nund \ud800"))
    lines = (home.root / "alerts.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["at"][11:13] for line in lines] == ["00", "01", "02", "03", "04"]
    assert [found["at"] for found in alerts_since(home, DAY + dt.timedelta(hours=3))] == [
        alert(3)["at"],
        alert(4)["at"],
    ]


def test_a_full_file_makes_room_once(home, monkeypatch) -> None:
    one = len(json.dumps(alert(0))) + 1
    monkeypatch.setattr(alerts, "MOST_BYTES", 3 * one)
    for hour in range(8):
        append_alert(home, alert(hour))
    kept = [int(found["at"][11:13]) for found in alerts_since(home, DAY)]
    assert kept == [3, 4, 5, 6, 7]
    assert max(file.stat().st_size for file in home.root.glob("alerts*")) <= 3 * one


def test_half_a_line_is_passed_over_and_hurts_no_other(home) -> None:
    append_alert(home, alert(0))
    with (home.root / "alerts.jsonl").open("a") as file:
        file.write('{"at": "2026-03-01T01')
    append_alert(home, alert(2))
    with (home.root / "alerts.jsonl").open("a") as file:
        file.write('[]\n"at"\n{"at": 7}\n{"at": "soon"}\n\xff\n')
    append_alert(home, alert(3))
    assert [found["at"] for found in alerts_since(home, DAY)] == [alert(hour)["at"] for hour in (0, 2, 3)]


def test_nothing_is_read_where_nothing_was_written(home) -> None:
    assert alerts_since(home, DAY) == []
