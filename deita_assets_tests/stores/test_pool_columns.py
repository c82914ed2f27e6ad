"""What `pool` shows stands beside each conversation: it has to follow `pool_row` through every change of a source."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.stores.sql import statements
from deita_assets_tests.engines.scopes import chat

#: The view by the join that the columns beside each conversation stand for.
JOINED = """
select r.sample_id, r.source, r.own_id, c.n_turns, c.n_messages, c.n_chars, c.language, s.licence, c.has_system,
       c.has_tools, c.conversation, r.uri, r.line, r.batch_id, r.pool_version
from store.pool_row r join store.conversation c on c.sample_id = r.sample_id join store.source s on s.source = r.source
"""


def differences(warehouse):
    with warehouse.read("compare") as con:
        count = con.execute("select count(*) from pool").fetchall()[0][0]
        return count, con.execute(
            f"(from pool except all {JOINED}) union all ({JOINED} except all from pool)"
        ).fetchall()


def landed(land, warehouse, source, files):
    """Make these files of texts all that a source has."""
    folder = land.path(source, "x").parent
    for old in folder.glob("*.jsonl") if folder.exists() else ():
        old.unlink()
    for name, texts in files.items():
        land(
            source, f"{name}.jsonl", [chat(text) | {"id": f"{name}-{text}"} for text in texts] or b"no row\n"
        )
    ingest_source(warehouse, source, SourceReading(accept_removals=True))


STATES = st.lists(
    st.dictionaries(st.sampled_from("ab"), st.lists(st.sampled_from("stuvw"), max_size=4), min_size=1),
    min_size=2, max_size=3,
)  # fmt: skip


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STATES)
def test_pool_follows_what_stands_in_landing(land, warehouse, states):
    for state in states:
        landed(land, warehouse, "one", state)
        landed(land, warehouse, "two", {"a": "sv"})
        count, different = differences(warehouse)
        assert different == []
        assert count == len({text for texts in state.values() for text in texts}) + 2


def test_a_home_from_before_gets_the_columns(land, warehouse, monkeypatch):
    landed(land, warehouse, "one", {"a": "stu", "b": "su"})
    landed(land, warehouse, "one", {"b": "su"})
    (text,) = [text for name, text in statements("schema") if name == "0004_pool_columns"]
    with warehouse.write("undo") as con:
        for column in ("in_pool", "own_id", "uri", "line"):
            con.execute(f"alter table store.conversation drop column {column}")
        con.execute(text)
    assert differences(warehouse) == (2, [])
