"""Selection from rows without numbers, with ties, with wrong limits, and from a pool that changes meanwhile."""

from __future__ import annotations

import math
from itertools import product

import lancedb
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets import repr_filter
from deita_assets.core.row_filters import FilterRules
from deita_assets.engines import score_pool as adding_up
from deita_assets.engines import select as engine
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import PassOptions, make_ledger
from deita_assets.errors import InvalidNameError, NotFoundError, SettingsError, StoreError, UsageError
from deita_assets.settings import load_settings
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.vectors import ScoreTable
from deita_assets_tests.core.greedy_oracle import KINDS, make_pool, same
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer
from deita_assets_tests.faults.damaged_home import without_figure
from deita_assets_tests.faults.guarded import command
from deita_assets_tests.faults.input_home import published_home
from deita_assets_tests.faults.invariant import CANARY
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.faults.model_home import Case, ModelHome, ask, copied

GROUP = "selection"
QUESTIONS = ("first", "second", "third", "fourth", "fifth", "sixth")
NUMBERS = {f"{CANARY} {question}": 6.0 - at for at, question in enumerate(QUESTIONS)}
steady = settings(deadline=None, derandomize=True, database=None, max_examples=40)


def falling(**options):
    """Scores that fall from `first` to `sixth`."""
    return FakeScorer("complexity", table=NUMBERS, **options)


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    """Source `t` of six rows with their scores and vectors beside the published subset."""
    home = published_home(tmp_path_factory.mktemp("selection"), tmp_path_factory, migrated).home
    made = ModelHome(home)
    made.rows(*QUESTIONS)
    made.select(falling())
    return home


@pytest.fixture(scope="module")
def shared(template, tmp_path_factory):
    return copied(template, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def at(request, template, shared, tmp_path, monkeypatch):
    case = request.node.callspec.params["case"]
    at = ModelHome(shared if case.leaves_all else copied(template, tmp_path))
    at.folder, at.patch = tmp_path, monkeypatch
    return at


def order(at, ledger):
    """Questions that were kept, in order."""
    rows = at.query(
        "select t.instruction from store.ledger_row l join store.turn t on t.sample_id = l.sample_id "
        "where l.ledger_id = ? and l.kept_position is not null order by l.kept_position", ledger.ledger_id,
    )  # fmt: skip
    return [text.removeprefix(f"{CANARY} ") for (text,) in rows]


def cut(at, ledger, budget):
    with without_figure():
        return cut_subset(at.warehouse, ledger, budget, provenance={"run_id": "test"}, trial=True)


# 52


def forced_into_pool(value):
    """DuckDB itself would put NaN first."""

    def do(at):
        where = f"(select sample_id from store.turn where instruction = '{CANARY} third')"
        with at.warehouse.write("force") as con:
            con.execute(
                f"update store.scored_pool set evol_score = ?, turn_products = [?] where sample_id in {where}",
                [value, value],
            )
            top = con.execute(
                "select sample_id from store.scored_pool order by evol_score desc limit 1"
            ).fetchone()
            assert math.isnan(value) == (top == con.execute(where).fetchone()) or value > 0
        ledger = at.ledger("t", aggregation="max")
        assert at.verdicts(ledger)["third"] == ("unscored", "non_finite")
        assert order(at, ledger) == [question for question in QUESTIONS if question != "third"]
        return "`unscored` (non_finite), no rank, the five others kept in order"

    return do


def forced_into_scores(value):
    """A score that no scorer may give, stored past the engine."""

    def do(at):
        ((prompt,),) = at.query(
            "select complexity_prompt_sha256 from store.turn where instruction = ?", f"{CANARY} third"
        )
        scorer = falling(version=2)
        ScoreTable(at.home).insert(
            "complexity", scorer.fingerprint.digest, [prompt], np.array([value]), ["ok"]
        )
        ledger = at.select(scorer)
        assert at.verdicts(ledger)["third"] == ("unscored", "turn 0: complexity ok")
        assert order(at, ledger) == [question for question in QUESTIONS if question != "third"]
        found = at.finding("finite_scores")
        assert found.grave and not found.passed
        return "`unscored`, the five others kept in order; `finite_scores` holds back what follows"

    return do


def handed_over(at):
    vectors, tried = np.eye(3), 0
    for value in (np.nan, np.inf, -np.inf):
        at.fails(
            lambda v=value: repr_filter(vectors, [1.0, v, 3.0], threshold=0.9), "row 1: score is", ValueError
        )
        ledger = repr_filter(vectors, [1.0, value, 3.0], threshold=0.9, invalid="mark")
        assert ledger.kept.tolist() == [2, 0] and ledger.verdict[1] == "unscored"
        tried += 1
    return "ValueError: row 1: score is nan; with invalid='mark' the row is `unscored`", tried


# 53


def other_order(at):
    """The same rows in other files and another order, scores that all tie: the same bytes."""
    found = set()
    scorer = FakeScorer(
        "complexity", table=dict.fromkeys((f"{CANARY} {n}" for n in range(20)), 2.0), version=3
    )
    embedder = FakeEmbedder(2, version=3)
    for seed in range(2):
        home = ModelHome(copied(at.home, at.folder / str(seed)))
        rows = [ask(str(n)) for n in np.random.default_rng(seed).permutation(20)]
        for name, part in (("a.jsonl", rows[: 8 * seed]), ("b.jsonl", rows[8 * seed :])):
            home.ingest("u", part, name)
        for measure in (scorer, FakeScorer("quality", version=3, table=dict.fromkeys(scorer.table, 1.0))):
            home.score("u", measure)
        home.embed("u", embedder)
        score_pool(home.warehouse, "u", "sum")
        ledger = home.ledger("u", threshold=0.95)
        subset = cut(home, ledger, 7)
        found.add(
            (ledger.ledger_id, subset.selection.version, (subset.directory / "train.jsonl").read_bytes())
        )
        assert len(subset.selection.members) == 7
    assert len(found) == 1
    return "one ledger, one version, the same bytes of train.jsonl", 2


def other_machine(at):
    """Blocks, kernels and threads."""
    threads, tried = torch.get_num_threads(), 0
    try:
        for kind in KINDS:
            vectors, scores = make_pool(kind, 150, 24, np.float16, 5)
            expected = repr_filter(vectors, scores, threshold=0.7)
            for device, block_size, n in product(("cpu", "cpu:0"), (1, 17, None), (1, 2)):
                torch.set_num_threads(n)
                found = repr_filter(vectors, scores, threshold=0.7, device=device, block_size=block_size)
                assert same(found, expected)
                tried += 1
    finally:
        torch.set_num_threads(threads)
    return "the same ledger in every byte for block sizes, two kernels, one thread and two", tried


# 54

WRONG_BUDGETS = ("0", "-1", "1e3", "1000000000")


def refused_budgets(at):
    for budget in WRONG_BUDGETS:
        at.fails(lambda b=budget: command(at.home, "curate", "--source", "t", "--budget", b), "expected a whole number",
                 InvalidNameError)  # fmt: skip
    return "InvalidNameError: budget 0: expected a whole number from 1 to 999999999", len(WRONG_BUDGETS)


def refused_counts(at):
    wrong = (0, -1, 2.5, True, "3", np.nan)
    for budget in wrong:
        at.fails(lambda b=budget: repr_filter(np.eye(3), [1, 2, 3], threshold=0.9, budget=b), "budget is .*at least 1",
                 ValueError)  # fmt: skip
    return "ValueError: budget is 0, expected the number of rows to keep, at least 1", len(wrong)


def refused_in_settings(text, pattern):
    def do(at):
        before = at.home.settings.read_bytes() if at.home.settings.exists() else None
        at.home.settings.write_text(text, encoding="utf-8")
        try:
            return at.fails(lambda: load_settings(at.home), pattern, SettingsError)
        finally:
            at.home.settings.unlink() if before is None else at.home.settings.write_bytes(before)

    return do


def larger_than_pool(at):
    ledger = at.ledger("t", budget=50)
    subset = cut(at, ledger, 50)
    assert (ledger.n_kept, ledger.exhausted, len(subset.selection.members)) == (6, True, 6)
    card = (subset.directory / "README.md").read_text()
    assert "| budget | 50 |" in card and subset.counts["kept"] == 6
    assert at.ledger("t", budget=500).ledger_id == ledger.ledger_id
    return "6 rows for a budget of 50; ledger `exhausted`, card says both"


def all_alike(at):
    table = dict.fromkeys(NUMBERS, np.ones(3))
    ledger = at.select(falling(), FakeEmbedder(3, table, 4), threshold=0.9)
    verdicts = at.verdicts(ledger)
    assert order(at, ledger) == ["first"] and len(cut(at, ledger, 4).selection.members) == 1
    assert [verdict for verdict, _ in verdicts.values()].count("near_duplicate") == 5
    return "1 `kept`, the best; 5 `near_duplicate`"


def nothing_there(at):
    at.ingest("u", [])
    ledger = at.select(source="u")
    assert (ledger.n_rows, ledger.n_kept, ledger.exhausted) == (0, 0, True)
    assert not cut(at, ledger, 3).selection.members
    return "0 rows, `exhausted`"


def warned(at):
    """The whole command line, with the models of a home that has no other."""
    at.home.settings.write_text('[scorer]\nname = "heuristic"\n', encoding="utf-8")
    at.patch.setenv("OMP_NUM_THREADS", "1")
    at.said.append(said := command(at.home, "curate", "--source", "t", "--budget", "50", "--json"))
    assert (
        '"n_rows": 4' in said and "t: 4 rows, not 50: its pool of 6 holds no more (2 near_duplicate)" in said
    )
    return "exit 0; warning: t: 4 rows, not 50: its pool of 6 holds no more (2 near_duplicate)"


# 55

WRONG_THRESHOLDS = (np.nan, -1.0, -1.5, 1.0000001, np.inf, -np.inf, "0.9", None, True)


def refused_thresholds(at):
    for threshold in WRONG_THRESHOLDS:
        at.fails(
            lambda t=threshold: repr_filter(np.eye(3), [1, 2, 3], threshold=t),
            "above -1 and up to 1",
            ValueError,
        )
    return "ValueError: threshold is nan, expected a cosine similarity above -1 and up to 1", len(
        WRONG_THRESHOLDS
    )


def refused_on_the_command_line(at):
    wrong = ("nan", "-1", "1.0000001", "inf")
    for threshold in wrong:
        at.fails(
            lambda t=threshold: command(at.home, "curate", "--source", "t", "--budget", "3", f"--threshold={t}"),
            "above -1 and up to 1", UsageError,
        )  # fmt: skip
    return "UsageError: --threshold nan: expected a cosine similarity above -1 and up to 1", len(wrong)


def refused_by_engine(at):
    """Run config and the API end here; the pass does not start."""
    wrong = (np.nan, -1.0, 1.0000001, np.inf)
    for threshold in wrong:
        at.fails(lambda t=threshold: at.ledger("t", threshold=t), "above -1 and up to 1", SettingsError)
    return "SettingsError: threshold nan, expected a cosine similarity above -1 and up to 1", len(wrong)


def equality(at):
    """3, 4 and 4, 3 have the similarity 24 / 25 exactly, a little more than the float of 0.96 or a little less."""
    table = {text: np.array([3.0, 4.0] if n % 2 else [4.0, 3.0]) for n, text in enumerate(NUMBERS)}
    embedder = FakeEmbedder(2, table, 6)
    exact = 24.0 / 25.0
    kept = {
        threshold: at.select(falling(), embedder, threshold=threshold).n_kept
        for threshold in (math.nextafter(exact, 0), exact, math.nextafter(exact, 1))
    }
    assert list(kept.values()) == [1, 2, 2]
    return "kept at the threshold and above it; dropped one last digit below"


def never_above_one(at):
    tried = 0
    for dtype, seed in product((np.float16, np.float32, np.float64), range(20)):
        vector = np.random.default_rng(seed).standard_normal(37).astype(dtype)
        ledger = repr_filter(np.stack([vector, vector, vector * dtype(2)]), [3, 2, 1], threshold=1.0)
        assert ledger.similarity[1:].tolist() == [1.0, 1.0] and ledger.kept.tolist() == [0, 1, 2]
        tried += 1
    return "similarity of equal rows is 1.0 exactly; threshold 1.0 keeps them", tried


# 56


def lost_vector(at):
    """The store lost it after the run that made it."""
    embedder = FakeEmbedder()
    ((content,),) = at.query(
        "select c.content_sha256 from store.conversation c join store.turn t on t.sample_id = c.sample_id "
        "where t.instruction = ?", f"{CANARY} second",
    )  # fmt: skip
    name = f"embeddings_{embedder.fingerprint.digest[:8]}"
    lancedb.connect(str(at.home.lance)).open_table(name).delete(f"content_sha256 = '{content}'")
    ledger = at.ledger("t", aggregation="max")
    assert at.verdicts(ledger)["second"] == ("invalid", "no_embedding")
    assert at.embed("t", embedder).n_computed == 1
    assert set(at.verdicts(at.ledger("t", aggregation="first")).values()) == {("kept", None)}
    return "`invalid` (no_embedding), five others kept; `embeddings` makes the one vector again"


def lost_score(at):
    scorer = falling()
    ((prompt,),) = at.query(
        "select complexity_prompt_sha256 from store.turn where instruction = ?", f"{CANARY} second"
    )
    lancedb.connect(str(at.home.lance)).open_table("scores").delete(
        f"prompt_sha256 = '{prompt}' and measure = 'complexity'"
    )
    score_pool(at.warehouse, "t", "sum")
    ledger = at.ledger("t", aggregation="max")
    assert at.verdicts(ledger)["second"] == ("unscored", "turn 0: complexity missing")
    found = at.finding("missing_pairs")
    assert not found.passed
    assert at.score("t", scorer).n_computed == 1
    return "`unscored` (complexity missing), five others kept; `missing_pairs` warns; scored again by the next run"


def behind(step):
    """New rows that one step has not seen: refused, for the ledger's id would be that of the whole one."""

    def do(at):
        at.patch.setitem(NUMBERS, f"{CANARY} new", 3.5)
        at.ingest("t", [*map(ask, QUESTIONS), ask("new")])
        if step == "embedding":
            at.score("t", falling())
            at.score("t", FakeScorer("quality"))
            score_pool(at.warehouse, "t", "sum")
            seen = at.fails(lambda: at.ledger("t"), r"rows without an embedding \(t: 1\)", NotFoundError)
        else:
            at.embed("t")
            seen = at.fails(lambda: score_pool(at.warehouse, "t", "sum"), "1 turns have no complexity score yet",
                            NotFoundError)  # fmt: skip
        assert set(at.verdicts(at.select(falling())).values()) == {("kept", None)}
        return f"{seen}; after the step, 7 of 7 kept"

    return do


# 57


def more_rows(at):
    """Another row comes in, is scored and embedded, as somebody else's run would have it."""
    at.ingest("t", [*map(ask, QUESTIONS), ask("new")])
    at.score("t", falling())
    at.score("t", FakeScorer("quality"))
    at.embed("t")
    score_pool(at.warehouse, "t", "sum")


def during_pass(at):
    at.patch.setitem(NUMBERS, f"{CANARY} new", 99.0)
    (version,) = {row[0] for row in at.query("select pool_version from store.scored_pool where source = 't'")}
    begun, before = [], order(at, at.ledger("t"))

    def meanwhile(visited, kept):
        if not begun:
            begun.append(visited)
            more_rows(at)

    scope, parameters = Scope("source", "t", ("t",)), SelectionParameters(0.999999)
    ledger = make_ledger(
        at.warehouse, scope, parameters, budget=None, options=PassOptions(on_progress=meanwhile)
    )
    assert begun and dict(ledger.spec["sources"]) == {"t": version}
    assert order(at, ledger) == before and set(before) == set(QUESTIONS)
    again = make_ledger(at.warehouse, scope, parameters, budget=None)
    assert order(at, again) == ["new", *before] and again.ledger_id != ledger.ledger_id
    return "the ledger is of the pool version in its spec, without the new row; the next one has it first"


def while_adding_up(at):
    rows = adding_up._rows

    def meanwhile(turns, aggregation):
        at.patch.setattr(adding_up, "_rows", rows)
        at.ingest("t", [*map(ask, QUESTIONS), ask("new")])
        return rows(turns, aggregation)

    at.patch.setattr(adding_up, "_rows", meanwhile)
    with pytest.raises(StoreError, match="its pool went from") as caught:
        score_pool(at.warehouse, "t", "sum")
    assert "curate" in caught.value.cure
    at.said.append(str(caught.value))
    return "StoreError: its pool went from one version to another while its scores were added up"


def under_a_filter(at):
    """Filters look at rows as they are; a spec that names the pool of before would not be theirs."""
    screen_rows = engine.screen_rows

    def screened(*arguments):
        found = screen_rows(*arguments)
        at.ingest("t", [*map(ask, QUESTIONS), ask("new")])
        return found

    at.patch.setattr(engine, "screen_rows", screened)
    with pytest.raises(NotFoundError, match="changed just now") as caught:
        at.ledger("t", filters=FilterRules(min_chars=1))
    assert "curate" in caught.value.cure
    at.said.append(str(caught.value))
    return "NotFoundError: the pool is newer than its scored pool, or changed just now"


# 58


def every_prefix(at):
    seen = [0]

    @steady
    @given(
        st.sampled_from(KINDS),
        st.integers(0, 2**16),
        st.floats(-0.5, 1.0),
        st.integers(1, 45),
        st.integers(1, 45),
    )
    def check(kind, seed, threshold, one, other):
        vectors, scores = make_pool(kind, 40, 4, np.float16, seed)
        small, large = sorted((one, other))
        first, second = (repr_filter(vectors, scores, threshold=threshold, budget=b) for b in (small, large))
        assert first.kept.tolist() == second.kept[:small].tolist() == second.at_budget(small).tolist()
        seen[0] += 1

    check()
    return "the kept rows of the smaller budget begin those of the larger one", seen[0]


def prefix_of_subsets(at):
    """Each budget in a home of its own, so that no pass stands on another one."""
    members = {}
    for budget in (1, 2, 4, 6):
        home = ModelHome(copied(at.home, at.folder / str(budget)))
        subset = cut(home, home.ledger("t", budget=budget, threshold=0.9), budget)
        members[budget] = [member.sample_id for member in subset.selection.members]
    for small, large in product(members, members):
        if small <= large:
            assert members[small] == members[large][: len(members[small])]
    assert len(members[4]) > len(members[1])
    return "four budgets, four homes: each published list begins the next", len(members)


def shares(at):
    """A share of the budget breaks it, so each budget has a ledger of its own, and says so."""
    at.ingest("u", [ask(f"u {n}") for n in range(4)])
    for source in ("t", "u"):
        at.select(FakeScorer("complexity", version=9), source=source)
    ledgers = [at.ledger("t", "u", budget=budget, shares={"t": 0.5}) for budget in (2, 4)]
    assert [ledger.spec["budget"] for ledger in ledgers] == [2, 4]
    assert len({ledger.ledger_id for ledger in ledgers}) == 2
    assert len({at.ledger("t", "u", budget=budget, caps={"t": 2}).ledger_id for budget in (2, 4)}) == 1
    return (
        "a ledger for each budget, which stands in its spec; one ledger where the selector is prefix-stable"
    )


def case(number, what, how, outcome, do, **marks):
    return Case(Fault(number, what, how, outcome), do, **marks)


NO_SCORE, TIES = "a score that is no number among the candidates", "ties, and what must not matter"
BUDGET, THRESHOLD = "a budget that cannot be", "a threshold that cannot be"
HALF, MOVING = "a row with a score and no vector, or the reverse", "the pool changes during a selection"
PREFIX = "a smaller budget that is no beginning of a larger one"
CASES = [
    case("52", NO_SCORE, "NaN written into the scored pool", "marked", forced_into_pool(math.nan)),
    case("52", NO_SCORE, "infinity written into the scored pool", "marked", forced_into_pool(math.inf)),
    case("52", NO_SCORE, "NaN written into LanceDB", "marked", forced_into_scores(math.nan)),
    case("52", NO_SCORE, "infinity written into LanceDB", "marked", forced_into_scores(math.inf)),
    case("52", NO_SCORE, "NaN and infinities handed to `repr_filter`", "error", handed_over),
    case("53", TIES, "20 rows of one score, in other files and another order", "impossible", other_order),
    case("53", TIES, "block sizes, kernels, threads", "impossible", other_machine),
    case("54", BUDGET, "0, negative, not whole, too large; command line", "refused", refused_budgets),
    case("54", BUDGET, "0, negative, not whole; `repr_filter`", "refused", refused_counts),
    case("54", BUDGET, "0 in deita.toml", "refused",
         refused_in_settings("budgets = [3, 0]\n", "budget '0': expected a whole number")),
    case("54", "a budget that the pool cannot fill", "50 of 6 rows", "told", larger_than_pool),
    case("54", "a budget that the pool cannot fill", "50 of 6 rows, command line", "told", warned, slow=True),
    case("54", "a pool of near-duplicates alone", "six equal vectors, budget 4", "as usual", all_alike, fresh=True),
    case("54", "an empty pool", "no row, budget 3", "as usual", nothing_there, fresh=True),
    case("55", THRESHOLD, "NaN, -1, above 1, infinite, no number; `repr_filter`", "refused", refused_thresholds),
    case("55", THRESHOLD, "NaN, -1, above 1, infinite; command line", "refused", refused_on_the_command_line),
    case("55", THRESHOLD, "NaN, -1, above 1, infinite; engine", "refused", refused_by_engine),
    case("55", THRESHOLD, "nan in deita.toml", "refused",
         refused_in_settings("[mixtures.all]\nthreshold = nan\n", "threshold")),
    case("55", THRESHOLD, "1.0000001 in deita.toml", "refused",
         refused_in_settings("[mixtures.all]\nthreshold = 1.0000001\n", "threshold")),
    case("55", "a similarity that equals the threshold", "24/25, and its neighbours among the floats", "as usual",
         equality, fresh=True),
    case("55", "a similarity above 1 by rounding", "equal rows of three dtypes", "impossible", never_above_one),
    case("56", HALF, "a vector lost from LanceDB", "marked", lost_vector),
    case("56", HALF, "a score lost from LanceDB", "marked", lost_score),
    case("56", HALF, "new rows, scored and not embedded", "error", behind("embedding"), fresh=True),
    case("56", HALF, "new rows, embedded and not scored", "error", behind("scores"), fresh=True),
    case("57", MOVING, "a better row comes in, scored and embedded, during the pass", "safe", during_pass),
    case("57", MOVING, "a row comes in while scores are added up", "error", while_adding_up, fresh=True),
    case("57", MOVING, "a row comes in after the row filters", "error", under_a_filter, fresh=True),
    case("58", PREFIX, "any pool, threshold and two budgets", "impossible", every_prefix),
    case("58", PREFIX, "published subsets", "impossible", prefix_of_subsets),
    case("58", PREFIX, "shares of the budget", "as usual", shares, fresh=True),
]  # fmt: skip


@pytest.mark.parametrize("case", [case.param for case in CASES])
def test_selection(case, at, witness, caplog, capsys):
    seen = at.run(case, caplog, capsys)
    witness(case.fault, *((seen,) if isinstance(seen, str) else seen))
