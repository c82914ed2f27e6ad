"""`deita-assets sql` from end to end, in this process: queries, questions, parameters, CSV, limits, refusals."""

import csv
import io
import json

import click
import pytest
from click.testing import CliRunner

from deita_assets.cli import cli
from deita_assets.cli.questions import parse_question, questions
from deita_assets.errors import DeitaError, NotFoundError, QueryTimeoutError, UsageError
from deita_assets.stores.serving import publish

SLOW = "select count(*) from range(100000) a, range(10000000) b where (a.range * b.range) % 7 = 1"


@pytest.fixture
def filled(home, warehouse):
    """Two sources; one row whose own id is awkward in CSV."""
    with warehouse.write("rows") as con:
        con.execute("insert into store.source values ('tea', null, '{}', 'CC0'), ('maths', null, '{}', null)")
        con.executemany(
            "insert into store.conversation (sample_id, source, content_sha256, conversation, n_turns, n_messages, "
            "n_chars, has_system, has_tools, batch_id, in_pool, own_id, uri, line) "
            "values (?, ?, 'c', '{}', 1, 2, ?, false, false, 'b', true, ?, 'f', ?)",
            [("tea:1", "tea", 10, '=1+1, "so"\nthere', 1), ("tea:2", "tea", 20, None, 2),
             ("maths:1", "maths", 5, "x", 1)],
        )  # fmt: skip
        con.execute(
            "insert into store.quarantine values ('tea', 'f', 's', 9, 'malformed_json', 'd', 'p', 'b', 1, null)"
        )
    publish(home)
    return home


def ask(home, *arguments, piped=None):
    done = CliRunner().invoke(cli, ["--home", str(home.root), "sql", *arguments], input=piped)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_a_query_gives_a_table_and_a_count(filled):
    assert ask(filled, "select source, count(*) as n from pool group by 1 order by 1").split() == [
        "source", "n", "maths", "1", "tea", "2", "2", "rows",
    ]  # fmt: skip


def test_what_is_piped_in_is_run(filled):
    assert json.loads(ask(filled, "--json", piped="select count(*) as n\nfrom pool;\n")) == [{"n": 3}]
    with pytest.raises(UsageError, match="give one query"):
        ask(filled, piped="  \n")


def test_csv_reads_back_as_it_was(filled):
    text = ask(
        filled, "--csv", "select own_id, n_chars, has_tools, ['a', 'b,'] as l from pool order by sample_id"
    )
    assert list(csv.reader(io.StringIO(text))) == [
        ["own_id", "n_chars", "has_tools", "l"],
        ["x", "5", "false", '["a", "b,"]'],
        ['=1+1, "so"\nthere', "10", "false", '["a", "b,"]'],
        ["", "20", "false", '["a", "b,"]'],
    ]
    assert ask(filled, "--csv", "select 1 as a where false") == "a\n"
    with pytest.raises(UsageError, match="not both"):
        ask(filled, "--csv", "--json", "select 1")


def test_csv_streams(filled):
    assert ask(filled, "--csv", "from range(2500)").splitlines()[1:] == [str(n) for n in range(2500)]


def test_the_list_has_every_question_with_its_parameters(filled):
    listed = {one["name"]: one for one in json.loads(ask(filled, "--list", "--json"))}
    assert set(listed) == {one.name for one in questions()}
    assert listed["near_misses"]["parameters"][1] == {
        "name": "rows", "kind": "count", "default": 20, "meaning": "how many to show",
    }  # fmt: skip
    assert "Which dropped rows came closest" in ask(filled, "--list")


def test_a_named_question_takes_values(filled):
    asked = json.loads(ask(filled, "-f", "quarantine_by_reason", "--set", "source=tea", "--json"))
    assert [row["rows"] for row in asked] == [1]
    assert json.loads(ask(filled, "-f", "quarantine_by_reason", "--set", "source=maths", "--json")) == []


def test_a_file_of_ones_own_declares_parameters_in_the_same_way(filled, tmp_path):
    file = tmp_path / "mine.sql"
    file.write_text(
        "-- Rows of some length?\n-- $at_least number = 6.5  characters\n-- $own text = null  an id\n"
        "select sample_id from pool where n_chars >= $at_least and ($own is null or own_id = $own) order by 1\n"
    )
    assert [row["sample_id"] for row in json.loads(ask(filled, "-f", str(file), "--json"))] == [
        "tea:1",
        "tea:2",
    ]
    given = ("--set", "at_least=1", "--set", "own=x")
    assert [row["sample_id"] for row in json.loads(ask(filled, "-f", str(file), *given, "--json"))] == [
        "maths:1"
    ]


def test_values_are_never_part_of_the_text(filled):
    given = ("--set", "own=x' or 'a' = 'a")
    text = "-- $own text = null  an id\nselect * from pool where own_id = $own"
    assert json.loads(ask(filled, *given, "--json", piped=text)) == []


@pytest.mark.parametrize(
    ("given", "kind", "said", "cure"),
    [
        (
            "colour=red",
            UsageError,
            "near_misses has no parameter 'colour'",
            "It takes scope (scope), rows=20 (count)",
        ),
        ("rows", UsageError, "'rows' sets nothing, expected NAME=VALUE", "rows=20"),
        ("rows=many", UsageError, "rows=many: not a count", "how many to show"),
        ("rows=-1", UsageError, "rows=-1: not a count", "how many to show"),
        ("rows=", UsageError, "rows=: not a count", "how many to show"),
        ("scope=nowhere", NotFoundError, "no ledger of 'nowhere'", "curate"),
    ],
)
def test_wrong_values_are_refused_with_the_cure(filled, given, kind, said, cure):
    with pytest.raises(kind) as error:
        ask(filled, "-f", "near_misses", "--set", given)
    assert said in error.value.message
    assert cure in error.value.cure


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-f", "changes_by_reason", "--set", "a=123456"), "no selection version '123456'"),
        (("-f", "quarantine_by_reason", "--set", "source=nowhere"), "no source 'nowhere'"),
        (("-f", "measures_agree", "--set", "high=nan"), "high=nan: not a number"),
        (("-f", "nonsense"), "no question 'nonsense'"),
        (("-f", "no/such.sql"), "no such file"),
        (("select 1", "--set", "a=1"), "the query has no parameter 'a'"),
        (("select $a",), "the query: $a used and not declared"),
        (("selec 1",), "syntax error"),
        (("select * from store.nothing",), "nothing does not exist"),
        (("from pol",), 'Did you mean "pool"?'),
    ],
)  # fmt: skip
def test_refusals_say_what_is_wrong(filled, arguments, said):
    with pytest.raises(DeitaError) as error:
        ask(filled, *arguments)
    assert said in error.value.message
    assert error.value.cure


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to '{path}'",
        "attach '{path}' as d",
        "select * from read_csv('/etc/hostname')",
        "install httpfs",
        "set memory_limit = '1TB'",
        "set enable_external_access = true",
        "pragma threads = 64",
        "create table main.mine(a int)",
        "update store.source set licence = 'mine'",
    ],
)
def test_a_query_changes_and_reaches_nothing_else(filled, tmp_path, query):
    before = filled.serving.read_bytes()
    with pytest.raises(UsageError, match="disabled|locked|read-only"):
        ask(filled, query.format(path=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert filled.serving.read_bytes() == before


def test_a_path_is_no_table(filled):
    with pytest.raises(UsageError, match="/etc/hostname does not exist"):
        ask(filled, "select * from '/etc/hostname'")


def test_a_slow_query_is_stopped(filled):
    with pytest.raises(QueryTimeoutError, match=r"stopped after 0.3 s") as error:
        ask(filled, SLOW, "--timeout", "0.3")
    assert "--timeout" in error.value.cure
    assert error.value.exit_code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- Q?\n-- $a count 3  text\nselect $a", "declares no parameter"),
        ("-- Q?\n-- $a date = null  text\nselect $a", "declares no parameter"),
        ("-- Q?\n-- $a count = 3\nselect $a", "declares no parameter"),
        ("-- Q?\n-- $a count = 3.5  text\nselect $a", "not a count"),
        ("-- Q?\n-- $a count = 3  text\nselect 1", r"\$a declared and not used"),
        ("-- Q?\n-- $a count = 3  text\n-- $a count = 3  text\nselect $a", r"\$a declared twice"),
        ("-- Q?\nselect $b", r"\$b used and not declared"),
    ],
)
def test_headers_that_do_not_declare(text, said):
    with pytest.raises(UsageError, match=said):
        parse_question("mine", text)


def test_a_header_is_only_what_stands_first():
    asked = parse_question("mine", "-- Q?\n-- more of it\nselect '$a', \"$b\" /* $c */, $$ $d $$ -- $e\n")
    assert (asked.question, asked.parameters) == ("Q?", ())
    assert parse_question("mine", "").question == ""


def test_the_command_has_a_page_of_help():
    command = cli.get_command(click.Context(cli), "sql")
    assert "formula" in CliRunner().invoke(command, ["--help"]).output
