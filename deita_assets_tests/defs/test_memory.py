"""What a sensor remembers: states that last are alerted once, and cursors of an older form are no stumbling block."""

import json

import pytest

from deita_assets.defs.automation.alerts import Alert
from deita_assets.defs.automation.memory import Memory

ALERT = Alert("gave_up", "scored_pool[aa]", "Five runs failed.", "Look at them.")


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, msg: str) -> None:
        self.lines.append(msg)

    warning = error


def test_a_state_is_alerted_once_until_it_ends(home):
    log = Log()
    memory = Memory().tell(log, home, [("a", ALERT), ("a", ALERT)])
    memory = Memory.of(memory.cursor()).tell(log, home, [("a", ALERT)])
    assert len(log.lines) == 1

    memory = memory.tell(log, home, [])
    memory.tell(log, home, [("a", ALERT)])
    assert len(log.lines) == 2


@pytest.mark.parametrize(
    "cursor", [None, "", "{}", "[]", "no JSON", json.dumps({"tea": "4f1a"}), '{"states": 3}']
)
def test_any_cursor_can_be_read(cursor):
    assert Memory.of(cursor) == Memory()


def test_a_cursor_comes_back_as_it_was():
    memory = Memory({"tea": "4f1a"}, frozenset({"b", "a"}))
    assert Memory.of(memory.cursor()) == memory
