"""Other programs on the published copy, while a process writes and publishes: every query sees one whole state."""

import json
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import duckdb
import pytest

from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.cli.commands import MATHS, TEA, command_line, deita, environment, write_jsonl

CLI = shutil.which("duckdb", path=str(Path(sys.executable).parent))
#: Views and macros, and what has to hold between them in any one state.
QUERY = """
select
    (select count(*) from selections) as versions,
    (select count(*) from pool) as pool,
    (select count(*) from turns) as turns,
    (select count(*) from scores) as scores,
    (select count(*) from scored_pool) as scored,
    (select count(*) from quarantine) as quarantine,
    (select count(*) from ledger where scope = 'all') as ledger,
    (select count(*) from ledger_at((select max(ledger_id) from ledger where scope = 'all'), 3)) as ledger_at,
    (select count(*) from (select selection_version from selected group by all)) as selected,
    (select count(distinct selection_version) from lineage) as lineage,
    (select coalesce(max(abs(m.rows - s.n_rows)), 0) from selections s
     left join (select selection_version, count(*) as rows from selected group by all) m
         on m.selection_version = s.selection_version) as missing,
    (select count(*) from selection_diff((select min(selection_version) from selections),
                                         (select max(selection_version) from selections))
     where change = 'unchanged') as unchanged
"""


def by_cli(text, *arguments):
    done = subprocess.run(
        [CLI, "-json", *arguments, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)[0]


def opened(path):
    return by_cli(QUERY, "-readonly", str(path))


def attached(path):
    return by_cli(f"attach '{path}' as d (read_only); use d; {QUERY}")


def by_python(path):
    program = (
        "import duckdb, json, sys\n"
        "with duckdb.connect(sys.argv[1], read_only=True) as con:\n"
        "    cursor = con.execute(sys.argv[2])\n"
        "    print(json.dumps(dict(zip([c[0] for c in cursor.description], cursor.fetchall()[0]))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), QUERY],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def ask_while_running(home, command):
    """What each of the clients saw, one after the other, until the command has ended; and once more after it."""
    publish(home)
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seen = []
    for turn in count():
        running = process.poll() is None
        seen.append((opened, attached, by_python)[turn % 3](home.serving))
        if not running:
            break
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return [*seen, opened(home.serving), attached(home.serving), by_python(home.serving)]


def check(seen, versions):
    for state in seen:
        assert state["missing"] == 0
        assert state["versions"] == state["selected"] == state["lineage"]
        assert state["turns"] == state["pool"]  # every row here has one
        assert state["ledger"] == state["ledger_at"] <= state["pool"]
        assert state["scored"] in (0, state["scores"] // 2)
        assert state["unchanged"] <= 10
    for earlier, later in zip(seen, seen[1:], strict=False):
        assert all(earlier[one] <= later[one] for one in ("versions", "pool", "quarantine"))
    assert seen[-1] == seen[-2] == seen[-3]
    assert seen[-1]["versions"] == versions
    assert len({state["pool"] for state in seen}) > 1


def test_the_command_line_is_an_older_one():
    """Otherwise this shows nothing about older clients."""
    version = subprocess.run([CLI, "--version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("v1.5.")
    assert duckdb.__version__.startswith("2.")


def test_clients_read_while_a_process_writes_and_publishes(home, warehouse):
    seen = ask_while_running(
        home, [sys.executable, "-m", "deita_assets_tests.stores.busy_home", str(home.root), "3"]
    )
    check(seen, versions=3)
    assert seen[-1]["pool"] == seen[-1]["ledger"] == 120


def test_descriptions_reach_an_older_client(home, warehouse):
    publish(home)
    text = "select comment from duckdb_columns() where table_name = 'ledger' and column_name = 'similarity'"
    assert by_cli(text, "-readonly", str(home.serving))["comment"].startswith("cosine similarity")


def test_a_client_keeps_the_copy_that_it_opened(home, warehouse):
    publish(home)
    with subprocess.Popen(
        [CLI, "-readonly", "-json", str(home.serving)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as client:

        def ask():
            client.stdin.write("select count(*) as n from store.source;\n")
            return json.loads(client.stdout.readline())[0]["n"]

        assert ask() == 0
        with warehouse.write("more") as con:
            con.execute("insert into store.source values ('a', null, '{}', null)")
        assert publish(home).changed
        assert ask() == 0
        client.stdin.close()
        assert client.wait(30) == 0
    assert by_cli("select count(*) as n from store.source", "-readonly", str(home.serving)) == {"n": 1}


@pytest.mark.slow
def test_clients_read_while_curate_runs(tmp_path):
    from deita_assets.stores.home import Home

    home = Home(tmp_path / "home").create()
    assert deita(home.root, "add", "tea", str(write_jsonl(tmp_path / "tea.jsonl", TEA))).code == 0
    Warehouse(home).migrate()
    maths = write_jsonl(tmp_path / "maths.jsonl", MATHS)
    steps = [
        command_line(home.root, "add", "maths", str(maths)),
        command_line(home.root, "curate", "--budget", "2", "--budget", "4"),
    ]
    program = f"import subprocess, sys\nfor step in {steps!r}:\n    subprocess.run(step, check=True)\n"
    check(ask_while_running(home, [sys.executable, "-c", program]), versions=2)
