import pytest

from deita_assets.engines import progress as module
from deita_assets.engines.progress import Progress, duration


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def make(clock, shown, every_s=10.0):
    return Progress(100, 1000, shown.append, every_s, started=clock[0], _shown=clock[0])


def test_lines_are_throttled(clock):
    shown = []
    progress = make(clock, shown)
    for _ in range(25):
        clock[0] += 1
        progress.advance(1, 10)
    assert len(shown) == 2
    assert progress.rows == 25


def test_time_left_goes_by_weight(clock):
    progress = make(clock, [])
    assert progress.seconds_left == 0
    clock[0] += 50
    progress.advance(10, 500)  # a tenth of the rows, half of the characters
    assert progress.seconds_left == pytest.approx(50)
    assert progress.rows_per_s == pytest.approx(0.2)
    assert progress.line() == "10 of 100 rows, 0 rows/s, 50 s left"
    clock[0] += 50
    progress.advance(90, 500)
    assert progress.seconds_left == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3599.6, "1 h 0 min"),
        (7_500, "2 h 5 min"), (100_000, "27 h 46 min"),
    ],
)  # fmt: skip
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
