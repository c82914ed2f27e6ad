"""Names of sources, mixtures and budgets: what is accepted, and that a refusal says what to do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.names import (
    is_source_name,
    validate_budget,
    validate_mixture_name,
    validate_source_name,
)
from deita_assets.errors import InvalidNameError, UsageError

GOOD = ["a", "0", "lima", "alpaca_gpt4", "t0-17k", "9_-", "a" * 64]
BAD = [
    "", "-a", "_a", "A", "Lima", "a" * 65, "../../etc", "a/b", "a|b", "a b", "a.b", "...", "a'; drop table p; --",
    "\n", "lima\n", "a\0", "ällo", "\u0430lpaca", "lima\u200b", "²", "a,b", "*",
]  # fmt: skip


@pytest.mark.parametrize("validate", [validate_source_name, validate_mixture_name])
@pytest.mark.parametrize("name", GOOD)
def test_good_names_come_back(validate, name):
    assert validate(name) == name


@pytest.mark.parametrize("validate", [validate_source_name, validate_mixture_name])
@pytest.mark.parametrize("name", [*BAD, None, 7])
def test_bad_names_are_refused_with_a_cure(validate, name):
    with pytest.raises(InvalidNameError) as caught:
        validate(name)
    assert caught.value.cure
    assert isinstance(caught.value, UsageError)
    assert caught.value.message.isprintable()


def test_whether_a_name_can_name_a_source():
    assert [name for name in [*GOOD, *BAD, "all"] if is_source_name(name)] == GOOD


def test_the_cure_of_a_near_miss_is_itself_a_good_name():
    with pytest.raises(InvalidNameError) as caught:
        validate_source_name("My Data/2024")
    assert "'my_data_2024'" in caught.value.cure


@given(st.text(max_size=80))
@settings(deadline=None, max_examples=300)
def test_no_accepted_name_can_leave_its_folder_or_its_quotes(name):
    try:
        validate_source_name(name)
    except InvalidNameError:
        return
    assert 1 <= len(name) <= 64
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert name[0] not in "_-"


def test_default_mixture_is_no_source_but_a_mixture():
    assert validate_mixture_name("all") == "all"
    with pytest.raises(InvalidNameError):
        validate_source_name("all")


def test_mixture_may_not_bear_the_name_of_a_source():
    assert validate_mixture_name("blend", ["lima"]) == "blend"
    with pytest.raises(InvalidNameError, match="source"):
        validate_mixture_name("lima", ["lima"])


@pytest.mark.parametrize(
    ("budget", "number"), [("1", 1), ("6000", 6000), (6000, 6000), ("999999999", 999_999_999)]
)
def test_good_budgets_become_numbers(budget, number):
    assert validate_budget(budget) == number


@pytest.mark.parametrize(
    "budget",
    [
        "",
        "0",
        "01",
        "-5",
        "+5",
        "1e3",
        "6k",
        "6_000",
        "6 000",
        " 6",
        "6\n",
        "1000000000",
        "٣",
        0,
        -1,
        True,
        2.0,
    ],
)
def test_bad_budgets_are_refused_with_a_cure(budget):
    with pytest.raises(InvalidNameError) as caught:
        validate_budget(budget)
    assert caught.value.cure
