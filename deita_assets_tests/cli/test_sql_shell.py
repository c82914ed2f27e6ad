"""The SQL shell: keys in, text out; once through a real terminal."""

import os
import pty
import re
import select
import signal
import stat
import subprocess
import threading
import time

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from deita_assets.cli.questions import questions
from deita_assets.cli.session import Session
from deita_assets.cli.sql_completion import ShellCompleter
from deita_assets.cli.sql_shell import COMMANDS, Shell, is_whole
from deita_assets.cli.sql_table import record_lines, table_lines
from deita_assets.stores.catalog import public_tables
from deita_assets.stores.serving import open_serving, publish
from deita_assets_tests.cli.commands import command_line, environment

SLOW = "select count(*) from range(100000) a, range(10000000) b where (a.range * b.range) % 7 = 1;"


@pytest.fixture
def published(home, warehouse):
    with warehouse.write("rows") as con:
        con.execute("insert into store.source select 's' || x, null, '{}', null from range(120) t(x)")
    publish(home)
    return home


@pytest.fixture
def typed(published, capsys):
    """`typed(keys)` runs a shell that is given these keys, and gives what it printed."""

    def run(keys, timeout=30.0, width=80):
        session = Session(str(published.root), False)
        session.out.width = width
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            pipe.send_text(keys)
            Shell(session, timeout).run()
        return capsys.readouterr().out

    return run


def test_a_statement_ends_with_its_semicolon(typed):
    assert "7  x" in typed("select 3 + 4 as a,\r'x' as b\runion all\rselect 1, 'y';\r\x04")


def test_errors_are_told_and_the_shell_goes_on(typed):
    out = typed(
        "selec;\rfrom pol;\r.nonsense\r.schema nonsense\r.run nonsense\r.run 'x\r"
        "set threads = 1;\rselect 41 + 1 as a;\r\x04"
    )
    for said in ("Parser Error", 'Did you mean "pool"', "no command .nonsense", "no view or macro 'nonsense'",
                 "no question 'nonsense'", "Close the quotation mark", "locked", "a  42\n1 row"):  # fmt: skip
        assert said in out


def test_commands_show_views_columns_and_questions(typed):
    out = typed(
        ".tables\r.schema ledger_at\r.list\r.help\r.run near_misses rows=1\r.quit\rselect 'never';\r\x04"
    )
    assert "ledger_at(ledger_id, budget)" in out
    assert re.search(
        r"^  similarity +double +cosine similarity to that row \[-1 to 1\]; NULL", out, re.MULTILINE
    )
    for one in questions():
        assert one.name in out
    for name, what in COMMANDS.items():
        assert re.search(rf"^\{name} +{re.escape(what)}$", out, re.MULTILINE)
    assert "0 rows" in out
    assert "never" not in out


def test_long_results_are_counted_and_wide_ones_cut(typed):
    out = typed("select source from store.source order by source;\r\x04")
    assert "first 40 of 120 rows" in out
    assert out.count("\ns") == 41  # with the header
    wide = typed("select repeat('x', 200) as a, 1 as b, repeat('y', 70) as c from range(2);\r\x04", width=70)
    assert "2 rows; no room for c" in wide
    assert max(map(len, wide.splitlines()[1:])) <= 70
    assert "x" * 59 + "…  1" in wide


def test_one_row_is_shown_whole(typed):
    out = typed("select repeat('word ', 30) as text, 1.5::double as score;\r\x04")
    assert out.count("word") == 30
    assert "score  1.5\n1 row" in out


def test_nothing_that_a_terminal_obeys_is_printed(typed):
    assert "\x1b" not in typed("select '\\x1b[2J' as a, chr(27) || '[2J' as b;\rfrom \"\x1b[2J\";\r\x04")


def test_a_slow_statement_is_stopped(typed):
    assert "stopped after 0.2 s" in typed(f"{SLOW}\r\x04", timeout=0.2)


def test_ctrl_c_stops_a_statement_or_clears_the_line(typed):
    timer = threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    out = typed(f"not this\x03{SLOW}\rselect 41 + 1 as a;\r\x04")
    assert "interrupted" in out
    assert "a  42" in out
    assert "not this" not in out
    assert "stopped after" not in out


def test_a_new_copy_is_read_by_the_next_statement(published, warehouse, capsys):
    session = Session(str(published.root), False)
    shell = Shell(session, 10)
    shell.answer("select count(*) as n from store.source;")
    with warehouse.write("more") as con:
        con.execute("insert into store.source values ('new', null, '{}', null)")
    publish(published)
    shell.answer("select count(*) as n from store.source;")
    out = capsys.readouterr().out
    assert re.findall(r"n  (\d+)|(anew)", out) == [("120", ""), ("", "anew"), ("121", "")]
    shell._opened.close()


def test_history_is_kept_for_the_owner_alone(typed, published):
    typed("select 1;\r\x04")
    file = published.root / ".sql_history"
    assert "+select 1;" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "2 rows" in typed("from range(2);\r\x04")
    assert typed("\x1b[A\r\x04").count("2 rows") == 1  # arrow up, Enter


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", True), (".tables", True), ("select 1;", True), ("select 1; ", True), ("select 1", False),
        ("select ';", False), ("select ';';", True), ("select 1; -- more;", True), ("-- only;", False),
        ("/* ;", False), ("/* ; */ select 1;", True), ('select ";', False), ("select 'it''s;", False),
    ],
)  # fmt: skip
def test_where_input_ends(text, whole):
    assert is_whole(text) is whole


@pytest.mark.parametrize(
    ("text", "offered", "kept_back"),
    [
        ("sel", {"select", "selected", "selections"}, {"pool"}),
        ("select * from ", {"pool", "ledger_at"}, {"sample_id", "where"}),
        ("select * from pool p join le", {"ledger"}, {"left join"}),
        ("select p.n| from pool p", {"n_turns", "n_chars"}, {"near_misses", "sample_id"}),
        ("select l.k| from ledger_at('x', 3) as l", {"kept_position"}, {"source"}),
        ("select x.n| from pool p", set(), {"n_turns"}),
        ("select th| from ledger", {"threshold"}, set()),
        (".", set(COMMANDS), {"pool"}),
        (".schema sco", {"scores", "scored_pool"}, {"pool"}),
        (".run near", {"near_misses"}, {"next_rows"}),
        (".run near_misses r", {"rows="}, {"scope="}),
        (".run nonsense r", set(), {"rows="}),
    ],
)  # fmt: skip
def test_completion_fits_the_place(published, text, offered, kept_back):
    with open_serving(published) as con:
        completer = ShellCompleter(public_tables(con), questions(), COMMANDS)
    before, _, after = text.partition("|")
    document = Document(before + after, len(before))
    found = {one.text for one in completer.get_completions(document, CompleteEvent())}
    assert offered <= found
    assert not found & kept_back


def test_layout_of_tables_and_records():
    lines, left_out = table_lines(["a", "name"], [[1, "x"], [None, "日本語"]], 80)
    assert (lines, left_out) == (["a  name", "1  x", "-  日本語"], [])
    assert table_lines(["a", "b"], [["x" * 50, "y"]], 20) == (["a", "x" * 19 + "…"], ["b"])
    assert table_lines([], [], 80) == ([], [])
    assert record_lines(["a", "long"], [None, "one\ntwo"], 40) == ["a     -", "long  one", "      two"]


def test_what_a_person_sees_on_a_terminal(published):
    """A real terminal, 90 by 30: colours, continuation, Tab, Ctrl-C during a query, Ctrl-D."""
    main, side = pty.openpty()
    os.set_blocking(main, False)
    process = subprocess.Popen(
        command_line(published.root, "sql"), stdin=side, stdout=side, stderr=side, close_fds=True,
        start_new_session=True, env=environment(TERM="xterm-256color", COLUMNS="90", LINES="30"),
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(side)
    seen = ""

    def until(word, seconds=60):
        nonlocal seen
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([main], [], [], 0.1)[0]:
                try:
                    raw = os.read(main, 65536).decode(errors="replace")
                except OSError:
                    raw = ""
                if "\x1b[6n" in raw:  # it asks where the cursor is
                    os.write(main, b"\x1b[1;1R")
                seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]", "", raw)
            if word in seen:
                shown, _, seen = seen.partition(word)
                return shown
        raise AssertionError(f"{word!r} did not come in {seen!r}")

    until("read-only. Statements end with ;")
    until("sql>")
    os.write(main, b"select count(*) as n\r")
    until("...>")
    os.write(main, b"from store.sour\x1b[C" + b"ce;\r")
    until("n  120")
    until("1 row")
    until("sql>")
    os.write(main, SLOW.encode() + b"\r")
    time.sleep(2)
    os.write(main, b"\x03")
    until("interrupted")
    until("sql>")
    os.write(main, b".tables\r")
    until("One row per conversation that is in the pool now.")
    until("sql>")
    os.write(main, b"\x04")
    assert process.wait(30) == 0
    os.close(main)
