"""What a sensor remembers: how long something has waited, and cursors of an older form are no stumbling block."""

import json

import pytest

from deita_assets.defs.automation.memory import LONGEST_WAIT_S, Memory

AT = 1_000_000.0


def test_what_waits_at_every_tick_has_waited_since_the_first():
    memory = Memory()
    for tick in range(3):
        memory = Memory.of(Memory(since=memory.waiting(["tea", f"other {tick}"], AT + tick)).cursor())
    assert memory.since == {"tea": AT, "other 2": AT + 2}
    assert memory.overdue(AT + LONGEST_WAIT_S - 1) == set()
    assert memory.overdue(AT + LONGEST_WAIT_S) == {"tea"}

    assert memory.waiting(["other 2"], AT + 3) == {"other 2": AT + 2}, "what stood still once begins anew"


@pytest.mark.parametrize(
    "cursor",
    [
        None, "", "{}", "[]", "no JSON", json.dumps({"tea": "4f1a"}), '{"states": 3, "told": ["a"]}',
        '{"states": {"tea": 1}, "since": {"tea": "x"}}',
    ],
)  # fmt: skip
def test_any_cursor_can_be_read(cursor):
    assert Memory.of(cursor) == Memory()


def test_a_cursor_comes_back_as_it_was():
    memory = Memory({"tea": "4f1a"}, {"tea": 3.5})
    assert Memory.of(memory.cursor()) == memory
