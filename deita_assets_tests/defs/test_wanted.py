"""What is wanted: what settings name, what was ever published, and what partitions added in the UI come to."""

from __future__ import annotations

from deita_assets.defs.automation.wanted import Known, settings_partitions, wanted
from deita_assets.settings import DeitaSettings


def known(**more) -> Known:
    given = {
        "sources": ("aa", "bb"),
        "pools": {"aa": 4, "bb": 4},
        "mixtures": frozenset({"all"}),
        "budgets": (2, 3, 9),
    }
    return Known(**{**given, **more})


def of(settings: dict, there: Known | None = None, published: dict | None = None):
    return wanted(DeitaSettings(**settings), there or known(), published or {})


def test_common_budgets_are_wanted_of_every_scope_and_own_ones_replace_them():
    found = of({"budgets": [3], "sources": {"bb": {"budgets": []}}, "mixtures": {"all": {"budgets": [9]}}})

    assert found.source_budgets == {"aa": (3,)}
    assert [(one.name, one.budgets, one.sources) for one in found.mixtures] == [("all", (9,), ("aa", "bb"))]


def test_what_was_ever_published_stays_wanted_until_its_partition_is_deleted():
    published = {"selected_subset": ["2|aa", "7|aa", "x|aa"], "pooled_subset": ["3|all", "3|gone"]}
    found = of({}, published=published)

    assert found.source_budgets == {"aa": (2,)}
    assert [(one.name, one.budgets) for one in found.mixtures] == [("all", (3,))]


def test_a_budget_is_wanted_once_it_is_a_partition():
    assert of({"budgets": [5]}).source_budgets == {}


def test_nothing_is_wanted_when_nobody_named_a_budget_but_scores_are():
    found = of({})

    assert (found.source_budgets, found.mixtures) == ({}, ())
    assert found.scored == {"aa", "bb"}


def test_exclusion_sets_are_not_selected_from_and_embedded_when_vectors_are_compared():
    settings = {"budgets": [3], "exclusion_sets": ["bb"]}
    plain = of(settings)
    assert plain.source_budgets == {"aa": (3,)}
    assert (plain.scored, plain.embedded) == ({"aa"}, frozenset())
    assert plain.avoids == {"aa": ("bb",)}
    assert plain.mixtures[0].sources == ("aa",)

    compared = of({**settings, "sources": {"aa": {"contamination": {"similarity": 0.9}}}})
    assert compared.embedded == {"bb"}
    named = of({**settings, "mixtures": {"all": {"sources": ["aa", "bb"]}}})
    assert named.scored == {"aa", "bb"}


def test_sources_without_rows_are_coming_or_missing():
    there = known(
        sources=("aa", "new", "out"), pools={"aa": 4, "out": 0}, mixtures=frozenset({"all", "part"})
    )
    found = of({"budgets": [3], "mixtures": {"part": {"sources": ["aa", "new", "nowhere"]}}}, there)
    mixtures = {one.name: one for one in found.mixtures}

    assert (mixtures["all"].sources, mixtures["all"].coming) == (("aa",), ("new",))
    assert mixtures["all"].missing == ()
    assert mixtures["part"].coming == ("new",)
    assert set(mixtures["part"].missing) == {"nowhere", "new"}


def test_a_source_whose_partition_was_deleted_is_missing_though_it_was_read_once():
    there = known(sources=("aa",), pools={"aa": 4, "bb": 4}, mixtures=frozenset({"all", "part"}))
    found = of({"budgets": [3], "mixtures": {"part": {"sources": ["bb", "aa"]}}}, there)
    mixtures = {one.name: one for one in found.mixtures}

    assert (mixtures["part"].sources, mixtures["part"].missing) == (("aa",), ("bb",))
    assert (mixtures["all"].sources, mixtures["all"].missing) == (("aa",), ())


def test_a_mixture_that_left_the_settings_says_so():
    there = known(mixtures=frozenset({"all", "old"}))
    found = of({}, there, {"pooled_subset": ["3|old"]})

    assert [(one.name, bool(one.trouble)) for one in found.mixtures] == [("old", True)]
    assert found.notes[0][0] == "mixture old"


def test_partitions_that_nothing_can_come_of_are_told():
    found = of({}, known(odd=(("budget", "many"), ("source", "My Pool"))))

    assert [subject for subject, _ in found.notes] == ["budget 'many'", "source 'My Pool'"]


def test_settings_name_partitions():
    settings = DeitaSettings(
        budgets=[9], mixtures={"part": {"budgets": [2]}}, sources={"aa": {"budgets": [9, 4]}}
    )

    assert settings_partitions(settings) == {
        "source": [],
        "mixture": ["all", "part"],
        "budget": ["2", "4", "9"],
    }
