"""The plan, with plain values: what is requested in which state, and what everything else waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from deita_assets.defs.automation.attempts import Outlook
from deita_assets.defs.automation.plan import LONGEST_UNPUBLISHED_S, plan
from deita_assets.defs.automation.present import Mixture, Present, Source
from deita_assets.defs.automation.staleness import SOURCE_ASSETS, UPSTREAM

CHAIN = SOURCE_ASSETS[1:]
NOW = 1_000_000.0


@dataclass
class State:
    """A home in plain values; by default `aa` and `bb` have rows, and nothing is stale."""

    sources: list[Source] = field(
        default_factory=lambda: [Source("aa", 5, settled=True), Source("bb", 5, settled=True)]
    )
    mixtures: list[Mixture] = field(default_factory=list)
    stale: set[tuple[str, str]] = field(default_factory=set)
    live: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    failed: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    outlooks: Mapping[tuple[str, str | None], Outlook] = field(default_factory=dict)
    working: bool = False
    unpublished_since: float | None = None
    breaks: str | None = None

    def plan(self, **only):
        return plan(
            Present(
                at=NOW,
                sources={one.name: one for one in self.sources},
                mixtures=self.mixtures,
                notes=(),
                is_stale=self._is_stale,
                stale_assets=self._stale_assets,
                digest=lambda assets, key: f"digest of {','.join(assets)} {key}",
                covering=lambda asset, key: self.live.get((asset, key)),
                working=self.working,
                failed_checks=lambda asset, key: self.failed.get((asset, key), ()),
                outlook=lambda work: self.outlooks.get((work.assets[0], work.partition), Outlook(1)),
                unpublished_since=self.unpublished_since,
            ),
            **only,
        )

    def _is_stale(self, asset: str, key: str) -> bool:
        if key == self.breaks:
            raise KeyError("a bug")
        return (asset, key) in self.stale

    def _stale_assets(self, source: str, wanted: tuple[str, ...]) -> list[str]:
        found: list[str] = []
        for asset in wanted:
            if (asset, source) in self.stale or set(UPSTREAM[asset]) & set(found):
                found.append(asset)
        return found

    def requests(self, **only) -> list[tuple[tuple[str, ...], str | None]]:
        return [(one.work.assets, one.work.partition) for one in self.plan(**only).requests]

    def waiting(self, **only) -> dict[str, str]:
        return {one.subject: one.why for one in self.plan(**only).waiting}


BOTH = Mixture("all", (3,), sources=("aa", "bb"))


def test_nothing_stale_nothing_to_say():
    assert State(mixtures=[BOTH]).plan().requests == ()
    assert State(mixtures=[BOTH]).plan().waiting == ()


def test_files_that_stand_still_are_read_and_others_waited_for():
    still, growing = Source("aa", settled=True), Source("bb", settled=False)
    state = State([still, growing], stale={("raw_pool", "aa"), ("raw_pool", "bb")})

    assert state.requests(downstream=False) == [(("raw_pool",), "aa")]
    assert "stand still" in state.waiting(downstream=False)["bb"]
    assert state.requests(arrivals=False) == []


def test_a_source_added_in_the_ui_waits_for_its_files():
    state = State([Source("aa", landed=False, settled=True)], stale={("raw_pool", "aa")})

    assert state.requests() == []
    assert state.waiting() == {"aa": "nothing stands in landing/aa/ yet"}


def test_one_run_holds_the_stale_assets_of_a_source_and_no_others():
    state = State([Source("aa", 5, budgets=(3, 9))], stale={("scored_pool", "aa")})
    (request,) = state.plan().requests

    assert request.work.assets == ("scored_pool", "selection_ledger")
    assert request.work.budget == 9
    state.sources = [Source("aa", 5)]
    assert state.requests() == [(("scored_pool",), "aa")], "nobody wants a ranking of it alone"


def test_exclusion_sets_are_embedded_only_where_vectors_are_compared():
    stale = {(asset, "aa") for asset in CHAIN}

    assert State([Source("aa", 5, scored=False)], stale=stale).requests() == []
    compared = State([Source("aa", 5, scored=False, embedded=True)], stale=stale)
    assert compared.requests() == [(("embeddings",), "aa")]


@pytest.mark.parametrize("asset", ["raw_pool", "complexity_scores", "scored_pool"])
def test_a_source_on_which_a_run_works_is_left_to_it(asset):
    state = State(stale={("quality_scores", "aa")}, live={(asset, "aa"): "run 1"}, mixtures=[BOTH])

    assert state.requests() == []
    assert state.waiting()["mixture all"] == "waits for aa"


def test_subsets_follow_their_ranking_and_are_requested_one_by_one():
    state = State([Source("aa", 5, budgets=(2, 3))], stale={("selected_subset", "2|aa")})

    assert state.requests() == [(("selected_subset",), "2|aa")]
    state.live = {("selected_subset", "2|aa"): "run 1"}
    assert state.requests() == []
    state.live, state.stale = {}, state.stale | {("selection_ledger", "aa")}
    assert state.requests() == [(("selection_ledger",), "aa")]


def test_a_mixture_waits_for_all_of_its_sources_then_is_ranked_then_cut():
    state = State(mixtures=[BOTH], stale={("pooled_ledger", "all"), ("pooled_subset", "3|all")})

    state.stale |= {("embeddings", "bb")}
    assert (("pooled_ledger",), "all") not in state.requests()
    state.stale -= {("embeddings", "bb")}
    assert state.requests() == [(("pooled_ledger",), "all")]
    state.live = {("pooled_ledger", "all"): "run 1"}
    assert (state.requests(), state.waiting()) == ([], {"mixture all": "run 1 ranks it"})
    state.live, state.stale = {}, state.stale - {("pooled_ledger", "all")}
    assert state.requests() == [(("pooled_subset",), "3|all")]


def test_a_mixture_of_other_sources_does_not_wait():
    alone = Mixture("part", (3,), sources=("aa",))
    state = State(mixtures=[alone], stale={("pooled_ledger", "part"), ("raw_pool", "bb")})

    assert (("pooled_ledger",), "part") in state.requests()


def test_files_not_yet_read_hold_back_the_mixtures_they_belong_to():
    state = State(mixtures=[BOTH], stale={("raw_pool", "aa"), ("pooled_ledger", "all")})
    assert state.requests(arrivals=False) == []

    state.sources.append(Source("new", settled=False))
    state.mixtures = [Mixture("all", (3,), sources=("aa", "bb"), coming=("new",))]
    state.stale = {("raw_pool", "new"), ("pooled_ledger", "all")}
    assert state.waiting(arrivals=False)["mixture all"] == "waits for new"


def test_a_source_that_was_never_read_and_cannot_be_does_not_hold_back_the_others():
    gave_up = {("raw_pool", "new"): Outlook(5, gave_up=True)}
    state = State(
        [Source("aa", 5), Source("new", settled=True)],
        [Mixture("all", (3,), sources=("aa",), coming=("new",))],
        stale={("raw_pool", "new"), ("pooled_ledger", "all")},
        outlooks=gave_up,
    )

    assert state.requests(arrivals=False) == [(("pooled_ledger",), "all")]


def test_a_failed_attempt_is_repeated_when_due_and_not_before():
    state = State(stale={("scored_pool", "aa")}, mixtures=[BOTH])

    state.outlooks = {("scored_pool", "aa"): Outlook(3, due=NOW + 120)}
    assert state.requests() == []
    assert state.waiting() == {
        "scored_pool[aa]": "failed; attempt 3 follows in 2 min",
        "mixture all": "waits for aa",
    }
    state.outlooks = {("scored_pool", "aa"): Outlook(3, due=NOW)}
    assert [one.attempt for one in state.plan().requests] == [3]


def test_what_was_given_up_is_told_and_blocks_its_mixtures():
    state = State(stale={("scored_pool", "aa"), ("pooled_ledger", "all")}, mixtures=[BOTH])
    state.outlooks = {("scored_pool", "aa"): Outlook(5, gave_up=True)}
    made = state.plan()

    assert made.requests == ()
    assert [work.subject for work in made.stopped] == ["scored_pool[aa]"]
    assert state.waiting()["mixture all"] == "cannot go on without aa, which needs a person"


def test_nothing_below_a_failed_blocking_check_is_requested():
    state = State(
        [Source("aa", 5, budgets=(3,)), Source("bb", 5)],
        [BOTH],
        stale={("scored_pool", "aa"), ("embeddings", "aa"), ("pooled_ledger", "all")},
        failed={("complexity_scores", "aa"): ("finite_scores",)},
    )

    assert state.requests() == [(("embeddings",), "aa")]
    assert "finite_scores" in state.waiting()["aa"]
    assert state.waiting()["mixture all"] == "cannot go on without aa, which needs a person"
    state.stale |= {("complexity_scores", "aa")}
    made_anew = ("complexity_scores", "embeddings", "scored_pool", "selection_ledger")
    assert state.requests() == [(made_anew, "aa")]


def test_a_failed_check_of_a_current_source_or_ledger_holds_back_what_reads_it():
    state = State(mixtures=[BOTH], stale={("pooled_ledger", "all")})
    state.failed = {("raw_pool", "bb"): ("row_accounting",)}
    assert state.requests() == []

    state.stale, state.failed = {("pooled_subset", "3|all")}, {("pooled_ledger", "all"): ("row_accounting",)}
    assert state.requests() == []


def test_a_scope_without_rows_requests_nothing_and_says_so():
    stale = {("pooled_ledger", "all"), ("selection_ledger", "aa")}
    state = State([Source("aa", 0, budgets=(3,))], [Mixture("all", (3,))], stale=stale)

    assert state.requests() == []
    assert "no rows" in state.waiting()["aa"]
    assert "no rows" in state.waiting()["mixture all"]


def test_a_mixture_that_names_a_source_without_rows_says_which():
    state = State(mixtures=[Mixture("part", (3,), sources=("aa",), missing=("zz",))])

    assert "zz" in state.waiting()["mixture part"]


def test_a_ranking_waits_for_its_exclusion_sets():
    kept_clear = Source("aa", 5, budgets=(3,), avoids=("bb",))
    state = State([kept_clear, Source("bb", 5, scored=False)], stale={("selection_ledger", "aa")})

    assert state.requests() == [(("selection_ledger",), "aa")]
    state.live = {("raw_pool", "bb"): "run 1"}
    assert state.requests() == []
    state.live, state.sources = {}, [kept_clear]
    assert state.requests() == []
    assert "bb" in state.waiting()["aa"]


def test_the_catalog_is_published_in_a_quiet_moment_or_after_ten_minutes():
    state = State(unpublished_since=NOW - 5)
    assert state.requests() == [(("serving_catalog",), None)]

    for busy in ({"working": True}, {"stale": {("scored_pool", "aa")}}):
        early = State(unpublished_since=NOW - 5, **busy)
        assert (("serving_catalog",), None) not in early.requests()
        late = State(unpublished_since=NOW - LONGEST_UNPUBLISHED_S, **busy)
        assert (("serving_catalog",), None) in late.requests()
    assert State(unpublished_since=NOW, live={("serving_catalog", None): "run 1"}).requests() == []


def test_what_waits_for_its_next_attempt_does_not_keep_the_catalog_back():
    state = State(stale={("scored_pool", "aa")}, unpublished_since=NOW - 5)
    state.outlooks = {("scored_pool", "aa"): Outlook(2, due=NOW + 60)}

    assert state.requests() == [(("serving_catalog",), None)]


def test_the_whole_plan_reads_files_before_what_stands_on_them():
    state = State(
        stale={("raw_pool", "aa"), ("scored_pool", "aa"), ("pooled_ledger", "all")}, mixtures=[BOTH]
    )

    assert state.requests() == [(("raw_pool",), "aa")]


class TestErrors:
    """A mistake in the planning of one source or mixture."""

    STALE = frozenset({("scored_pool", "bb"), ("pooled_ledger", "part")})
    MIXTURES = (BOTH, Mixture("of_aa", (3,), ("aa",)), Mixture("part", (3,), ("zz",)))

    def test_of_a_source_stops_what_waits_for_it_and_nothing_else(self):
        sources = [Source(name, 5) for name in ("aa", "bb", "zz")]
        state = State(sources, list(self.MIXTURES), set(self.STALE), breaks="aa")
        found = state.plan()

        assert [(one.subject, one.arrivals) for one in found.unplanned] == [("aa", True)]
        assert state.requests() == [(("scored_pool",), "bb"), (("pooled_ledger",), "part")]
        assert "KeyError" in state.waiting()["aa"]
        assert state.waiting()["mixture of_aa"] == "cannot go on without aa, which needs a person"

    def test_of_a_mixture_stops_no_other(self):
        state = State(
            [Source(name, 5) for name in ("aa", "bb", "zz")],
            list(self.MIXTURES),
            set(self.STALE),
            breaks="of_aa",
        )
        assert [(one.subject, one.arrivals) for one in state.plan().unplanned] == [("mixture of_aa", False)]
        assert (("pooled_ledger",), "part") in state.requests()

    def test_of_a_source_that_a_mixture_names_and_nobody_knows(self):
        state = State(mixtures=[Mixture("odd", (3,), ("nowhere",)), BOTH], stale={("pooled_ledger", "all")})
        assert state.requests() == [(("pooled_ledger",), "all")]
        assert [one.subject for one in state.plan().unplanned] == ["mixture odd"]


class TestWaitingForTooLong:
    """A file of `aa` that is appended to every few seconds never stands still."""

    STALE = frozenset({("raw_pool", "aa"), ("pooled_ledger", "all")})

    def growing(self, **more) -> State:
        return State(
            [Source("aa", 5, settled=False), Source("bb", 5, settled=True)], [BOTH], set(self.STALE), **more
        )

    def test_what_waits_is_known(self):
        found = self.growing().plan()
        assert (found.unsettled, found.kept_waiting) == (("aa",), ("all",))
        assert self.growing().plan(arrivals=False).kept_waiting == ("all",)

    @pytest.mark.parametrize("arrivals", [True, False])
    def test_an_overdue_mixture_is_ranked_with_what_is_in_the_pools(self, arrivals):
        state = self.growing()
        assert state.requests(arrivals=arrivals) == []
        assert state.requests(arrivals=arrivals, overdue={"all"}) == [(("pooled_ledger",), "all")]
        assert state.plan(arrivals=arrivals, overdue={"all"}).kept_waiting == ()

    @pytest.mark.parametrize(
        "more",
        [
            {"stale": {("scored_pool", "aa")}},
            {"live": {("embeddings", "aa"): "run 1"}},
            {"live": {("raw_pool", "aa"): "run 1"}},
            {"stale": {("scored_pool", "bb")}},
        ],
        ids=["not scored yet", "being embedded", "being read", "another source"],
    )
    def test_but_not_while_a_pool_is_unfinished(self, more):
        state = self.growing()
        state.stale |= more.get("stale", set())
        state.live = more.get("live", {})
        assert (("pooled_ledger",), "all") not in state.requests(overdue={"all"})
        assert state.plan(overdue={"all"}).kept_waiting == ("all",)

    def test_nor_without_an_exclusion_set(self):
        state = self.growing()
        state.mixtures = [Mixture("all", (3,), ("bb",), avoids=("aa",))]
        assert state.requests(arrivals=False, overdue={"all"}) == []
