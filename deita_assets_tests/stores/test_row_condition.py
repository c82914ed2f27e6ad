"""Conditions in SQL: which rows they leave out, and what is no condition."""

import shutil

import pytest

from deita_assets.errors import UsageError
from deita_assets.stores.home import Home
from deita_assets.stores.row_condition import rows_where_not
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.fakes import Study
from deita_assets_tests.engines.rows import good


@pytest.fixture(scope="module")
def study(tmp_path_factory, migrated):
    """Six rows that are scored and three that are not; no test changes them."""
    home = Home(tmp_path_factory.mktemp("conditions")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Study(Warehouse(home), Landing(home))
    made.prepare("a", [good(n) for n in range(6)])
    made.ingest("b", [good(n) for n in range(3)])
    return made


def ids(study, query="select sample_id from pool"):
    return {row[0] for row in study.query(query)}


JOINED = "select p.sample_id from pool p left join scored_pool s on s.sample_id = p.sample_id where "


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("evol_score > 12", "s.evol_score > 12"),
        ("source = 'a'", "p.source = 'a'"),
        ("sample_id like 'a:%' and n_turns = 1", "p.source = 'a'"),
        ("pool.n_chars < scored_pool.quality * 9", "p.n_chars < s.quality * 9"),
        ("evol_score is null", "p.source = 'b'"),
        ("null", "false"),
        ("null or line % 2 = 0", "p.line % 2 = 0"),
        ("true -- all of them", "true"),
        ("n_chars between 1 and 34 or false", "p.n_chars <= 34"),
        ("sample_id in (select sample_id from scored_pool order by evol_score desc, sample_id limit 2)",
         "s.sample_id is not null and 2 > (select count(*) from scored_pool o where o.evol_score > s.evol_score)"),
        ("exists (select 1 from turns t where t.sample_id = pool.sample_id and t.response like '%2%')",
         "p.conversations like '%answer 2%'"),
        ("1", "true"),
    ],
)  # fmt: skip
def test_false_and_null_leave_a_row_out(study, condition, holds):
    kept = ids(study, JOINED + holds)
    assert rows_where_not(study.warehouse, ["a", "b"], condition) == ids(study) - kept


def test_only_rows_of_the_sources_are_named(study):
    assert rows_where_not(study.warehouse, ["b"], "false") == ids(
        study, "select sample_id from pool where source = 'b'"
    )
    assert rows_where_not(study.warehouse, ["b", "none"], "n_chars > 0") == set()


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "is empty"),
        ("nope > 3", 'column "nope" not found'),
        ("n_chars >", "syntax error"),
        ("n_chars > 1; drop table store.turn", "syntax error"),
        ("true) or (true", "syntax error"),
        ("true) union select ('x'", "syntax error"),
        ("true union select 'x'", "syntax error"),
        ("true order by 1", "syntax error"),
        ("sample_id", "Conversion Error on the value of a row"),
        ("count(*) > 1", "aggregates"),
        ("n_chars > $x", "Values were not provided"),
        ("exists (select 1 from rows_of_python)", "does not exist"),
        ("exists (select 1 from read_text('{file}'))", "disabled by configuration"),
        ("exists (select 1 from '{file}')", "disabled by configuration"),
        ("exists (select 1 from glob('/*'))", "disabled by configuration"),
        ("random() > 0.5", "random()"),
        ("now() > timestamp '2020-01-01'", "now()"),
        ("ago(interval 1 day) > timestamp '2020-01-01'", "ago()"),
        ("current_date > date '2020-01-01'", "current_date"),
        ("CURRENT_TIMESTAMP is not null", "CURRENT_TIMESTAMP"),
        ("sample_id in (select sample_id from pool using sample 1)", "a sample"),
        ("sample_id in (select sample_id from pool where random() > 0.5)", "random()"),
        ("current_setting('threads') = '1'", "current_setting()"),
    ],
)
def test_what_is_no_condition_is_refused(study, tmp_path, condition, said):
    rows_of_python = __import__("pyarrow").table({"x": [1]})
    file = tmp_path / "secret.csv"
    file.write_text("x\n1\n")
    condition = condition.replace("{file}", str(file))
    with pytest.raises(UsageError) as caught:
        rows_where_not(study.warehouse, ["a", "b"], condition)
    assert said in caught.value.message
    assert repr(condition) in caught.value.message
    assert "pool(sample_id, source" in caught.value.cure
    assert "scored_pool(sample_id" in caught.value.cure
    assert rows_of_python is not None
    assert len(ids(study)) == 9


@pytest.mark.parametrize(
    "condition",
    [
        "cast((select any_value(response) from turns t where t.sample_id = pool.sample_id) as date) is null",
        "cast(conversations::varchar as int) > 3",
        "strptime(conversations::varchar, '%Y') is null",
        "cast((select any_value(response) from turns t where t.sample_id = pool.sample_id) as boolean)",
    ],
)
def test_no_word_of_a_row_is_in_what_is_said_of_a_condition(study, condition):
    with pytest.raises(UsageError) as caught:
        rows_where_not(study.warehouse, ["a"], condition)
    told, chain = [], caught.value
    while chain is not None:
        told.append(str(chain))
        chain = chain.__cause__
    assert "on the value of a row" in told[0]
    assert "try_cast" in told[0]
    assert not any("answer" in one or "question" in one for one in told), told


def test_a_column_may_bear_the_name_of_a_function(study):
    assert rows_where_not(study.warehouse, ["a"], "length(file) > 3 and language is null") == set()
