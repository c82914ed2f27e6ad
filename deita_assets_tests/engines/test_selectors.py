"""Ledgers of every selector, with quotas, a frozen base and what another ledger had found."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_assets.core.row_filters import FilterRules
from deita_assets.core.selectors import SELECTORS
from deita_assets.engines import select as engine
from deita_assets.engines.ledger_spec import family
from deita_assets.engines.select import PassOptions, deepen
from deita_assets.errors import NotFoundError, SettingsError, StoreError
from deita_assets.stores.ledgers import Scope, find_ledger, prune_ledgers, verdict_counts
from deita_assets.stores.vectors import EmbeddingTable
from deita_assets_tests.engines.fakes import FakeEmbedder
from deita_assets_tests.engines.scopes import Scoped, chat, expected_rows

RANK, VERDICT, REASON, SCORE, POSITION, BLOCKED_BY, SIMILARITY = 1, 2, 3, 4, 5, 6, 7


@pytest.fixture
def scoped(warehouse, land):
    made = Scoped(warehouse, land)
    made.random_source("a", "clusters", 40, seed=1)
    made.random_source("b", "spread", 30, seed=2)
    return made


def kept(scoped, ledger):
    rows = [row for row in scoped.rows(ledger).values() if row[POSITION] is not None]
    return [row[0] for row in sorted(rows, key=lambda row: row[POSITION])]


def of(ids, source):
    return [sample_id for sample_id in ids if sample_id.startswith(f"{source}:")]


@pytest.mark.parametrize("selector", SELECTORS)
def test_every_selector_writes_a_whole_ledger_that_goes_on_where_it_stopped(scoped, selector):
    sources = ("a", "b")
    whole = scoped.ledger(*sources, name="m", selector=selector, threshold=0.8, budget=None)
    rows = scoped.rows(whole)
    assert len(rows) == whole.n_rows == 70
    assert (whole.exhausted, whole.threshold) == (True, 0.8 if selector == "repr_filter" else None)
    ranks = sorted(row[RANK] for row in rows.values())
    assert ranks == list(range(1, 71))
    with scoped.warehouse.write("again") as con:
        con.execute("delete from store.ledger")
        con.execute("delete from store.ledger_row")
        con.execute("delete from store.ledger_head")
    stepwise = scoped.ledger(*sources, name="m", selector=selector, threshold=0.8, budget=5)
    assert stepwise.ledger_id == whole.ledger_id
    assert kept(scoped, stepwise) == kept_first(rows, 5)
    for budget in (9, None):
        stepwise = deepen(scoped.warehouse, stepwise, budget)
    assert scoped.rows(stepwise) == rows


def kept_first(rows, budget):
    chosen = [row for row in rows.values() if row[POSITION] is not None and row[POSITION] <= budget]
    return [row[0] for row in sorted(chosen, key=lambda row: row[POSITION])]


@pytest.mark.parametrize("selector", SELECTORS)
def test_every_row_has_a_verdict_at_every_budget(scoped, selector):
    ledger = scoped.ledger("a", "b", name="m", selector=selector, threshold=0.8, budget=20)
    for budget in (1, 7, 20):
        with scoped.warehouse.read("test") as con:
            counts = verdict_counts(con, ledger.ledger_id, budget)
        assert counts["kept"] == budget
        assert sum(counts.values()) == 70
        assert counts.get("unvisited", 0) == 0
        assert counts["beyond_budget"] == 70 - budget - counts.get("near_duplicate", 0)
    version = scoped.subset(ledger, 7)
    assert [member.sample_id for member in version.selection.members] == kept(scoped, ledger)[:7]


def test_score_only_keeps_the_best_and_random_anybody(scoped):
    best = scoped.ledger("a", "b", name="m", selector="score_only", budget=12)
    by_score = sorted(scoped.candidates("a", "b"), key=lambda row: (-row[3], row[1], row[2]))
    assert kept(scoped, best) == [row[0] for row in by_score[:12]]
    drawn = {
        seed: kept(scoped, scoped.ledger("a", "b", name="m", selector="random", seed=seed, budget=12))
        for seed in (0, 1, 2)
    }
    assert len({tuple(ids) for ids in drawn.values()}) == 3
    assert all(set(ids) != set(kept(scoped, best)) for ids in drawn.values())


def test_random_draws_stay_when_rows_arrive(scoped):
    before = kept(scoped, scoped.ledger("a", "b", name="m", selector="random", seed=3))
    scoped.random_source("c", "spread", 10, seed=9)
    after = kept(scoped, scoped.ledger("a", "b", "c", name="m", selector="random", seed=3))
    assert [sample_id for sample_id in after if not sample_id.startswith("c:")] == before


@pytest.mark.parametrize("selector", ["repr_filter", "score_only", "random"])
def test_caps_hold_whatever_the_budget(scoped, selector):
    ledger = scoped.ledger("a", "b", name="m", selector=selector, threshold=0.8, caps={"a": 4})
    chosen = kept(scoped, ledger)
    assert len(of(chosen, "a")) == 4
    free = scoped.ledger("b", selector=selector, threshold=0.8)
    assert len(of(chosen, "b")) <= free.n_kept + 4
    over = [row for row in scoped.rows(ledger).values() if row[VERDICT] == "over_quota"]
    assert over
    assert all(row[0].startswith("a:") and row[SIMILARITY] is None for row in over)
    assert not ledger.for_one_budget
    assert "taking over" not in " ".join(scoped.notes)
    fifth = scoped.rows(ledger)[of(chosen, "a")[-1]][RANK]
    assert all(row[RANK] > fifth for row in over)


def test_shares_and_floors_take_a_pass_for_each_budget(scoped):
    chosen = {"shares": {"a": 0.25}, "floors": {"b": 8}}
    ledger = scoped.ledger("a", "b", name="m", threshold=0.8, budget=20, **chosen)
    assert ledger.for_one_budget
    ids = {}
    for budget in (20, 12, 9):
        made = scoped.subset(ledger, budget)
        ids[budget] = [member.sample_id for member in made.selection.members]
        assert len(ids[budget]) == budget
        assert len(of(ids[budget], "a")) <= budget // 4
        assert len(of(ids[budget], "b")) >= 8
        assert made.selection.spec["budget"] == budget
        assert family(made.selection.ledger.spec) == family(ledger.spec)
        assert scoped.subset(ledger, budget).new is False
    assert ids[12] != ids[20][:12]
    assert scoped.query("select count(distinct ledger_id) from store.ledger_row") == [(3,)]
    assert scoped.query("select ledger_id from store.ledger_head") == [(ledger.ledger_id,)]


def test_a_floor_that_cannot_be_met_is_lowered_and_said(scoped):
    scoped.source("tiny", {f"tiny {n}": (1.0, np.eye(5)[n]) for n in range(3)})
    ledger = scoped.ledger("a", "b", "tiny", name="m", threshold=1.0, budget=60, floors={"tiny": 10})
    assert len(of(kept(scoped, ledger), "tiny")) == 3
    assert ledger.n_kept == 60
    assert "the floor of tiny is lowered to 3 rows: the pool holds no more" in scoped.notes


def test_quotas_that_do_not_fit_are_refused(scoped):
    with pytest.raises(SettingsError, match="selector k_center takes no caps"):
        scoped.ledger("a", "b", name="m", selector="k_center", caps={"a": 1})
    with pytest.raises(SettingsError, match="for zebra, which it does not select from"):
        scoped.ledger("a", "b", name="m", caps={"zebra": 1})
    with pytest.raises(SettingsError, match="floors ask for 30 rows, but the budget is 20"):
        scoped.ledger("a", "b", name="m", budget=20, floors={"a": 30})


def test_a_frozen_base_stays_and_only_others_compete(scoped):
    base = scoped.subset(scoped.ledger("a", threshold=0.8), 6)
    shipped = [member.sample_id for member in base.selection.members]
    version = base.selection.version
    ledger = scoped.ledger("a", "b", name="m", threshold=0.8, frozen_base=version)
    rows, chosen = scoped.rows(ledger), kept(scoped, ledger)
    assert chosen[:6] == shipped
    assert [rows[sample_id][REASON] for sample_id in chosen[:7]] == ["frozen_base"] * 6 + [None]
    assert len(rows) == 70
    vectors = {row[0]: np.asarray(row[4], np.float64) for row in scoped.candidates("a", "b")}
    for at, sample_id in enumerate(chosen[6:], 6):
        nearest = max(cosine(vectors[sample_id], vectors[other]) for other in chosen[:at])
        assert nearest <= 0.8
        assert rows[sample_id][SIMILARITY] == pytest.approx(nearest, abs=1e-3)
    made = scoped.subset(ledger, 10)
    assert [member.sample_id for member in made.selection.members] == chosen[:10]
    with pytest.raises(NotFoundError, match="frozen base 'f00f00' is no selection version"):
        scoped.ledger("a", name="m", kind="mixture", frozen_base="f00f00")


def cosine(x, y):
    return float(x @ y / math.sqrt((x @ x) * (y @ y)))


def test_a_shipped_row_leaves_by_take_down_alone(scoped):
    base = scoped.subset(scoped.ledger("a", threshold=0.8), 6).selection
    shipped = [member.sample_id for member in base.members]
    texts = dict(scoped.query("select t.sample_id, t.instruction from store.turn t"))
    left = {
        text: (scoped.scores[text] + 1, scoped.vectors[text])
        for sample_id, text in texts.items()
        if sample_id.startswith("a:") and sample_id not in shipped[:2]
    }
    scoped.source("a", left)  # two shipped rows are withdrawn, and the others are scored anew
    ledger = scoped.ledger("a", threshold=0.8, frozen_base=base.version)
    assert kept(scoped, ledger)[:6] == shipped
    assert ledger.n_rows == 40  # withdrawn ones included
    assert scoped.rows(ledger)[shipped[0]][SCORE] == base.members[0].evol_score
    assert len(scoped.subset(ledger, 8).selection.members) == 8
    with scoped.warehouse.write("take down") as con:
        con.execute("insert into store.takedown values (?, 'asked', now(), 2)", [shipped[1]])
    after = scoped.ledger("a", threshold=0.8, frozen_base=base.version)
    assert after.ledger_id != ledger.ledger_id
    assert kept(scoped, after)[:5] == [shipped[0], *shipped[2:]]
    assert shipped[1] not in scoped.rows(after)


def test_equal_rows_of_other_sources_give_way_to_the_shipped_one(scoped):
    rows = {f"a clusters {n}": (9.0, scoped.vectors[f"a clusters {n}"]) for n in range(40)}
    scoped.source("twin", rows)
    base = scoped.subset(scoped.ledger("a", threshold=1.0), 3).selection
    ledger = scoped.ledger("twin", "a", name="m", threshold=1.0, frozen_base=base.version)
    found = scoped.rows(ledger)
    for member in base.members:
        twin = found["twin:" + member.sample_id.partition(":")[2]]
        assert (twin[VERDICT], twin[REASON], twin[BLOCKED_BY]) == (
            "excluded",
            "exact_duplicate",
            member.sample_id,
        )
    others = [row for row in found.values() if row[REASON] == "exact_duplicate" and row[0].startswith("a:")]
    assert len(others) == 37  # the first source of the list gives its own


def test_old_ledgers_keep_their_spec_and_those_in_use_their_rows(scoped):
    scoped.subset(scoped.ledger("a", threshold=0.5), 3)
    current = scoped.ledger("a", threshold=0.5)
    options = PassOptions(keep_ledgers=2)
    made = [scoped.ledger("a", threshold=t, trial=True) for t in (0.6, 0.7, 0.8, 0.95)]
    head = scoped.ledger("a", threshold=0.9, options=options)
    with_rows = {row[0] for row in scoped.query("select distinct ledger_id from store.ledger_row")}
    assert with_rows == {current.ledger_id, made[-1].ledger_id, head.ledger_id}
    assert scoped.query("select count(*) from store.ledger") == [(6,)]
    with scoped.warehouse.read("test") as con:
        gone = find_ledger(con, made[0].ledger_id)
    assert gone.pruned
    assert gone.spec["selector"]["threshold"] == 0.6
    with pytest.raises(StoreError, match=f"rows of ledger {gone.ledger_id} were let go"):
        deepen(scoped.warehouse, gone.__class__(**{**gone.__dict__, "exhausted": False}), 30)
    again = scoped.ledger("a", threshold=0.6, trial=True)  # asked for once more, it is made once more
    assert again.ledger_id == gone.ledger_id
    assert scoped.rows(again) == expected_rows(scoped.candidates("a"), 0.6)
    with scoped.warehouse.write("prune") as con:
        assert prune_ledgers(con, Scope("source", "b", ("b",)), 0) == []


EDITS = st.lists(
    st.tuples(st.sampled_from(["add", "drop", "rescore", "threshold", "filter"]), st.integers(0, 10**6)),
    min_size=1, max_size=5,
)  # fmt: skip


@given(EDITS, st.sampled_from(["clusters", "close", "lattice"]), st.sampled_from([None, 6, 15]))
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_after_any_edits_the_ledger_is_that_of_a_fresh_home(tmp_path_factory, migrated, edits, kind, budget):
    scoped = fresh_home(tmp_path_factory, migrated)
    scoped.random_source("s", kind, 30, seed=4)
    rows = {text: (scoped.scores[text], scoped.vectors[text]) for text in list(scoped.scores)}
    spare = scoped_rows(kind, 40)
    threshold, shortest = 0.8, 0
    scoped.ledger("s", threshold=threshold, budget=budget)
    for what, number in edits:
        text = sorted(rows)[number % len(rows)]
        if what == "add":
            rows[f"new {number}"] = (1.0 + number % 5, spare[number % len(spare)])
        elif what == "drop" and len(rows) > 2:
            del rows[text]
        elif what == "rescore":
            del rows[text]
            rows[text + "+"] = (1.0 + number % 5, scoped.vectors[text])
        elif what == "threshold":
            threshold = (0.3, 0.8, 0.95)[number % 3]
        shortest = number % 12 if what == "filter" else shortest
        scoped.source("s", rows)
        ledger = scoped.ledger(
            "s", threshold=threshold, budget=budget, filters=FilterRules(min_chars=shortest or None)
        )
        fresh = fresh_home(tmp_path_factory, migrated)
        fresh.source("s", rows)
        same = fresh.ledger(
            "s", threshold=threshold, budget=budget, filters=FilterRules(min_chars=shortest or None)
        )
        assert ledger.ledger_id == same.ledger_id
        assert scoped.rows(ledger) == fresh.rows(same)
        assert "from scratch: the scope has no earlier ledger" in fresh.notes


def fresh_home(tmp_path_factory, migrated):
    import shutil

    from deita_assets.stores.home import Home
    from deita_assets.stores.warehouse import Warehouse
    from deita_assets_tests.conftest import Landing

    home = Home(tmp_path_factory.mktemp("edits")).create()
    shutil.copyfile(migrated, home.warehouse)
    return Scoped(Warehouse(home), Landing(home))


def scoped_rows(kind, n):
    from deita_assets_tests.core.greedy_oracle import make_pool

    return make_pool(kind, n, 5, "float16", 4)[0]


def test_what_is_taken_over_and_why_not_more_is_said(scoped):
    first = scoped.ledger("a", threshold=0.8)
    assert scoped.notes == ["from scratch: the scope has no earlier ledger"]
    scoped.random_source("a", "clusters", 38, seed=1)
    scoped.ledger("a", threshold=0.8)
    (note,) = scoped.notes
    assert note.startswith("taking over ")
    assert note.endswith(f"of the 40 nearest rows that ledger {first.ledger_id} had found")
    scoped.ledger("a", selector="score_only")
    scoped.ledger("a", threshold=0.7)
    assert scoped.notes == ["from scratch: its earlier ledger was made by score_only"]
    scoped.embedder = FakeEmbedder(5, scoped.vectors, version=2)
    scoped.embed("a")
    scoped.ledger("a", threshold=0.7)
    assert scoped.notes == ["from scratch: its earlier ledger compared the vectors of another embedder"]
    shallow = scoped.ledger("a", threshold=0.6, budget=3)
    scoped.notes = []
    deepen(scoped.warehouse, shallow, 9, PassOptions(on_note=scoped.notes.append))
    assert scoped.notes[0].startswith(f"gone on after row {shallow.n_visited:,} of 38")


def test_longer_talks_are_told_apart_from_the_pool(scoped):
    made = scoped.subset(scoped.ledger("a"), 5)
    assert (made.turns.selected, made.turns.pool, made.turns.ratio) == (1.0, 1.0, 1.0)


QUESTION = "what is the capital of the country that won the cup in the year of the flood"


def test_filters_and_exclusion_sets_look_at_the_pool_that_was_scored(scoped):
    """Else a row that left the pool would be kept under the id of a ledger that had called it contaminated."""
    rows = {QUESTION: (5.0, np.eye(5)[0]), "another thing": (4.0, np.eye(5)[1])}
    scoped.source("s", rows)
    scoped.source("quiz", {QUESTION + " please": (1.0, np.eye(5)[2])})
    clean = scoped.ledger("s", exclusion_sets=("quiz",))
    assert [row[VERDICT] for row in scoped.rows(clean).values()].count("contaminated") == 1
    scoped.ingest("s", [chat("another thing")])
    with pytest.raises(NotFoundError, match="the pool of s is newer than its scored pool"):
        scoped.ledger("s", exclusion_sets=("quiz",), threshold=0.8)
    with pytest.raises(NotFoundError, match="the pool of s is newer than its scored pool"):
        scoped.ledger("s", filters=FilterRules(min_chars=3))
    assert scoped.ledger("s", threshold=0.8).n_rows == 2  # without either, the scored rows decide


def test_an_exclusion_set_that_grows_meanwhile_is_noticed(scoped, monkeypatch):
    scoped.source("s", {QUESTION: (5.0, np.eye(5)[0])})
    scoped.source("quiz", {"short": (1.0, np.eye(5)[2])})
    real = engine.contaminated_rows

    def while_it_grows(*arguments, **named):
        scoped.ingest("quiz", [chat("short"), chat(QUESTION)])
        return real(*arguments, **named)

    monkeypatch.setattr(engine, "contaminated_rows", while_it_grows)
    with pytest.raises(
        NotFoundError, match="the pool of quiz is newer than its scored pool, or changed just now"
    ):
        scoped.ledger("s", exclusion_sets=("quiz",))
    assert scoped.query("select count(*) from store.ledger") == [(0,)]


def test_floors_and_shares_of_a_budget_that_the_pool_cannot_fill(scoped):
    floors = scoped.ledger("a", "b", name="m", threshold=1.0, budget=1000, floors={"a": 90, "b": 90})
    assert floors.n_kept == 70
    assert [note for note in scoped.notes if "lowered" in note] == [
        "the floor of a is lowered to 40 rows: the pool holds no more",
        "the floor of b is lowered to 30 rows: the pool holds no more",
    ]
    shares = scoped.ledger("a", "b", name="m", threshold=1.0, budget=1000, shares={"a": 0.03})
    assert len(of(kept(scoped, shares), "a")) == 30
    with pytest.raises(SettingsError, match="the floor of a is above its cap"):
        scoped.ledger("a", "b", name="m", budget=9, floors={"a": 3}, caps={"a": 2})


def test_a_frozen_row_that_nobody_embeds_any_more_is_named(scoped):
    base = scoped.subset(scoped.ledger("a", threshold=0.8), 6).selection
    shipped = base.members[0].sample_id
    texts = dict(scoped.query("select t.sample_id, t.instruction from store.turn t"))
    left = {
        text: (scoped.scores[text], scoped.vectors[text])
        for sample_id, text in texts.items()
        if sample_id.startswith("a:") and sample_id != shipped
    }
    scoped.embedder = FakeEmbedder(5, scoped.vectors, version=2)
    scoped.source("a", left)
    ((content,),) = scoped.query("select content_sha256 from store.conversation where sample_id = ?", shipped)
    fingerprint = scoped.embedder.fingerprint.digest
    EmbeddingTable(scoped.home, fingerprint)._table.delete(f"content_sha256 = '{content}'")
    with pytest.raises(
        NotFoundError, match=f"1 rows of its frozen base have no vector .* {shipped} among them"
    ):
        scoped.ledger("a", threshold=0.8, frozen_base=base.version)
    assert kept(scoped, scoped.ledger("a", selector="score_only", frozen_base=base.version))[0] == shipped


def test_a_ledger_that_was_let_go_meanwhile_publishes_nothing(scoped):
    trial = scoped.ledger("a", threshold=0.5, trial=True)
    scoped.ledger("a", threshold=0.6, options=PassOptions(keep_ledgers=0))
    with pytest.raises(StoreError, match=f"rows of ledger {trial.ledger_id} were let go"):
        scoped.subset(trial, 3)
    assert scoped.query("select count(*) from store.selection") == [(0,)]


def test_trials_do_not_pile_up(scoped):
    scoped.ledger("a", threshold=0.9)
    for threshold in (0.2, 0.3, 0.4, 0.5):
        last = scoped.ledger("a", threshold=threshold, trial=True, options=PassOptions(keep_ledgers=2))
    assert scoped.query("select count(distinct ledger_id) from store.ledger_row") == [(3,)]
    assert len(scoped.subset(last, 1, trial=True).selection.members) == 1


def test_a_difference_to_a_ledger_that_was_let_go_gives_no_reason(scoped):
    first = scoped.subset(scoped.ledger("a", threshold=0.9), 6).selection
    trial = scoped.subset(scoped.ledger("a", threshold=0.3, trial=True), 6, trial=True).selection
    query = "select distinct reason from selection_diff(?, ?) where change = 'removed'"
    told = scoped.query(query, first.version, trial.version)
    assert told
    assert (None,) not in told
    with scoped.warehouse.write("prune") as con:
        prune_ledgers(con, Scope("source", "a", ("a",)), 0)
    assert scoped.query(query, first.version, trial.version) == [(None,)]


def test_the_card_names_the_sources_of_a_frozen_base(scoped):
    with scoped.warehouse.write("licence") as con:
        con.execute("update store.source set licence = 'CC0' where source = 'b'")
    base = scoped.subset(scoped.ledger("a", "b", name="m", threshold=0.9), 12).selection
    assert {member.sample_id[0] for member in base.members} == {"a", "b"}
    made = scoped.subset(scoped.ledger("a", threshold=0.9, frozen_base=base.version), 15)
    card = (made.directory / "README.md").read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in card.splitlines() if line.startswith(("| a |", "| b |"))]
    assert [line[1] for line in lines] == ["**unknown**", "CC0"]
    assert sum(int(line[4]) for line in lines) == 15 == sum(made.mix.values())
    assert f"| frozen base | {base.version}, 12 rows of which come first |" in card
