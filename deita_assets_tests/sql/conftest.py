import shutil

import pytest

from deita_assets.cli.questions import find_question
from deita_assets.stores.home import Home
from deita_assets.stores.serving import open_serving, publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.sql.small_pool import make_pool, store


@pytest.fixture(scope="package")
def pool():
    return make_pool()


@pytest.fixture(scope="package")
def published(tmp_path_factory, migrated, pool):
    home = Home(tmp_path_factory.mktemp("questions")).create()
    shutil.copyfile(migrated, home.warehouse)
    with Warehouse(home).write("rows") as con:
        store(con, pool)
    publish(home)
    return home


@pytest.fixture(scope="package")
def ask(published):
    """`ask(name, "key=value", ...)` gives the rows of a named question."""
    with open_serving(published) as con:

        def answer(name, *given):
            question = find_question(name)
            values = question.values(con, given)
            cursor = con.execute(question.query, values) if values else con.execute(question.query)
            return cursor.fetchall()

        answer.con = con
        yield answer
