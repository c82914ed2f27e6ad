"""When a drop rate is remarkable, and what the reader is told to do."""

import pytest

from deita_assets.core.drop_rate import Drops, judge


@pytest.mark.parametrize(
    ("kept", "dropped", "near", "passed"),
    [
        (991, 9, 5, False),  # 0.9 % of 1,000
        (990, 10, 5, True),  # 1 %
        (990, 9, 5, True),  # 0.9 % of 999 says nothing
        (0, 0, 0, True),
        (1000, 0, 0, True),  # nothing near: that is how the pool is
        (100, 900, 5, True),  # 90 %
        (99, 901, 5, False),
        (99, 901, 0, True),
        (1, 10, 1, False),
    ],
)
def test_fewer_than_one_per_cent_or_more_than_ninety(kept, dropped, near, passed):
    found = judge("s", 0.9, Drops(kept, dropped, near))
    assert found.passed is passed
    assert f"{dropped:,} of {kept + dropped:,} visited rows" in found.message
    assert "`deita-assets calibrate s`" in found.message


def test_the_message_tells_which_end_and_how_many_are_near():
    assert "hardly filters" in judge("s", 0.9, Drops(3990, 8, 44)).message
    assert "drops nearly everything" in judge("s", 0.5, Drops(40, 3960, 44)).message
    assert "44 rows are within 0.05" in judge("s", 0.9, Drops(3990, 8, 44)).message
    assert "(0.2%) were dropped at threshold 0.9" in judge("s", 0.9, Drops(3990, 8, 44)).message
    assert "no row is within 0.05" in judge("s", 0.9, Drops(3998, 0, 0)).message


def test_a_selector_without_a_threshold_passes():
    found = judge("s", None, Drops(0, 0, 0))
    assert found.passed
    assert "no threshold" in found.message
