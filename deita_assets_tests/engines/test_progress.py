import pytest

from deita_assets.engines import progress as module
from deita_assets.engines.progress import Progress, duration


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def make(clock, shown, every_s=10.0, **more):
    return Progress(100, 1000, shown.append, every_s, started=clock[0], _shown=clock[0], **more)


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
    assert progress.line() == "10 of 100 rows, 0.2 rows/s, 50 s left"
    clock[0] += 50
    progress.advance(90, 500)
    assert progress.seconds_left == 0


def test_time_left_forgets_the_loading_of_the_model(clock):
    progress = make(clock, [])
    clock[0] += 30
    progress.advance(1, 100)
    assert progress.seconds_left == pytest.approx(270)
    clock[0] += 2
    progress.advance(4, 100)
    assert progress.seconds_left == pytest.approx(16)


def test_time_left_goes_by_the_speed_of_the_last_minute(clock):
    progress = make(clock, [])
    for seconds, weight in ((5, 50), (100, 50), (30, 100), (20, 100), (20, 150)):
        clock[0] += seconds
        progress.advance(1, weight)
    # The last 60 seconds begin inside the batch of 30 s, which is counted whole.
    assert progress.seconds_left == pytest.approx(550 * (30 + 20 + 20) / (100 + 100 + 150))


def test_batches_longer_than_a_minute_are_measured_by_the_last_one(clock):
    progress = make(clock, [])
    for seconds, weight in ((300, 100), (200, 100), (100, 200)):
        clock[0] += seconds
        progress.advance(1, weight)
    assert progress.seconds_left == pytest.approx(600 * 100 / 200)


def test_tokens_are_shown_where_there_are_some_and_else_the_weight(clock):
    with_tokens, without = (
        make(clock, [], weight_unit="characters"),
        make(clock, [], weight_unit="characters"),
    )
    clock[0] += 2
    with_tokens.advance(2, 400, 90)
    clock[0] += 2
    with_tokens.advance(2, 400, 10)
    without.advance(4, 800)
    assert with_tokens.tokens == 100
    assert with_tokens.line() == "4 of 100 rows, 1.0 rows/s, 25 tokens/s, 1 s left"
    assert without.tokens is None
    assert without.line() == "4 of 100 rows, 1.0 rows/s, 200 characters/s, 1 s left"


def test_the_last_line_is_shown_whenever_it_comes_and_its_clock_stands(clock):
    shown = []
    progress = make(clock, shown)
    clock[0] += 8
    progress.advance(100, 1000, 40_000)
    assert shown == []
    progress.finish()
    clock[0] += 1000
    assert [now.line() for now in shown] == ["100 of 100 rows, 12 rows/s, 5,000 tokens/s, 8 s in all"]
    assert progress.seconds == 8


def test_the_last_line_is_shown_once_and_not_where_nothing_was_done(clock):
    for rows, lines in ((0, []), (100, ["100 of 100 rows, 9.1 rows/s, 11 s in all"])):
        shown = []
        progress = Progress(
            100,
            1000,
            lambda now, shown=shown: shown.append(now.line()),
            10.0,
            started=clock[0],
            _shown=clock[0],
        )
        clock[0] += 11
        if rows:
            progress.advance(rows, 1000)
        progress.finish()
        assert shown == lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3599.6, "1 h 0 min"),
        (7_500, "2 h 5 min"), (100_000, "27 h 46 min"),
    ],
)  # fmt: skip
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
