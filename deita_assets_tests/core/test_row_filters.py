"""Row filters by their definition: each rule alone, the order of rules, and rows that are equal."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation, Message
from deita_assets.core.language_names import language_code
from deita_assets.core.row_filters import (
    EXACT_DUPLICATE,
    FilterRules,
    RowFacts,
    exact_duplicates,
    excluded_digest,
    uses_tools,
)
from deita_assets.errors import SettingsError

CALL = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]


def facts(n_chars=100, n_turns=2, licence="CC BY-NC 4.0"):
    return RowFacts("s:1", "1", n_chars, n_turns, None, licence)


def talk(*answers, tools=None, last=None):
    messages = []
    for answer in answers:
        messages += [Message("user", "please"), Message("assistant", answer)]
    return Conversation((*messages, *([last] if last else [])), tools)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"min_chars": 100, "max_chars": 100, "min_turns": 2, "max_turns": 2}, None),
        ({"min_chars": 101}, "min_chars: 100 < 101"),
        ({"max_chars": 99}, "max_chars: 100 > 99"),
        ({"min_turns": 3}, "min_turns: 2 < 3"),
        ({"max_turns": 1}, "max_turns: 2 > 1"),
        ({"min_chars": 0}, None),
        ({"licences": ("cc-by_nc  4.0",)}, None),
        ({"licences": ("CC BY 4.0", "MIT")}, "licence: CC BY-NC 4.0 not allowed"),
        ({"licences": ()}, "licence: CC BY-NC 4.0 not allowed"),
        ({"max_turns": 1, "min_chars": 101, "licences": ("MIT",)}, "min_chars: 100 < 101"),
        ({"max_turns": 1, "licences": ("MIT",)}, "max_turns: 2 > 1"),
    ],
)
def test_counts_and_licence(rules, reason):
    assert FilterRules(**rules).refuses_counts(facts()) == reason


def test_a_row_without_a_licence_has_none_that_is_allowed():
    assert FilterRules(licences=("MIT",)).refuses_counts(facts(licence=None)) == "licence: none is known"
    assert FilterRules().refuses_counts(facts(licence=None)) is None


@pytest.mark.parametrize(
    ("conversation", "used"),
    [
        (talk("a"), False),
        (talk("a", tools=[{"name": "f"}]), True),
        (talk("a", last=Message("tool", "7")), True),
        (talk("a", last=Message("assistant", None, tool_calls=CALL)), True),
        (talk('{"tool_calls": []}'), False),
    ],
)
def test_tools(conversation, used):
    assert uses_tools(conversation) is used
    reasons = [FilterRules(tools=side).refuses_texts(conversation) for side in ("with", "without")]
    assert reasons == ([None, "tools: with tools"] if used else ["tools: without tools", None])


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (None, None),
        (Message("user", "and?"), "ends with a user message"),
        (Message("tool", "7"), "ends with a tool message"),
        (Message("assistant", None, tool_calls=CALL), "ends with an assistant message without text"),
        (Message("assistant", " \n"), "ends with an assistant message without text"),
    ],
)
def test_the_last_message(last, reason):
    found = FilterRules(last_message_assistant=True).refuses_texts(talk("a", last=last))
    assert found == (reason and f"last_message_assistant: {reason}")


def test_answers_that_refuse_or_speak_of_themselves():
    def reason(*answers, **rules):
        return FilterRules(**rules).refuses_texts(talk(*answers))

    refusing, modest = "Sorry, but I can\u2019t help with that.", "Well, as an AI language model, I like tea."
    assert reason(refusing, refusals=True) == 'refusal: "sorry, but i can\'t"'
    assert reason("fine", refusing, refusals=True) == 'refusal: "sorry, but i can\'t"'
    assert reason("He said: " + refusing, refusals=True) is None
    assert reason(modest, boilerplate=True) == 'boilerplate: "as an ai language model"'
    assert reason(modest, refusals=True) is reason(refusing, boilerplate=True) is None
    assert reason("Let us DELVE into it", phrases=("xyz", "Delve Into")) == 'phrase: "delve into"'
    assert reason("a", phrases=("please",)) is None  # what the user says does not count
    both = {"refusals": True, "boilerplate": True, "phrases": ("tea",)}
    assert reason(modest, refusing, **both) == 'refusal: "sorry, but i can\'t"'
    assert reason(modest, **both).startswith("boilerplate")


def test_languages():
    rules = FilterRules(languages=("English", "zh-CN", "en"))
    assert rules.codes == ("en", "zh")
    assert rules.refuses_language("en") is rules.refuses_language("zh") is None
    assert rules.refuses_language("de") == "language: de not in en, zh"
    assert rules.refuses_language(None) == "language: none recognised, not in en, zh"
    assert FilterRules().refuses_language(None) is None
    with pytest.raises(SettingsError, match="'klingonish' is no language"):
        FilterRules(languages=("en", "klingonish"))


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("en", "en"), ("en-US", "en"), ("EN_gb", "en"), ("eng", "en"), ("English", "en"), ("ger", "de"),
        ("zh-Hans", "zh"), ("cmn", "zh"), ("Chinese (Simplified)", "zh"), ("no", "nb"), ("nn", "nn"), ("km", "km"),
        ("", None), (None, None), ("und", None), ("python", None), ("js", None), ("c", None), ("unknown", None),
    ],
)  # fmt: skip
def test_labels_of_languages(label, code):
    assert language_code(label) == code


def test_the_spec_holds_what_is_set_and_nothing_else():
    assert FilterRules().as_spec() == {}
    rules = FilterRules(
        min_chars=0, tools="with", phrases=("b", "a", "b"), languages=("English", "de"), licences=()
    )
    spec = rules.as_spec()
    assert spec == {
        "min_chars": 0, "tools": "with", "phrases": ["a", "b"], "languages": ["de", "en"], "licences": [],
    }  # fmt: skip
    spec["where"] = "x"  # the caller may add to it
    assert "where" not in rules.as_spec()


@pytest.mark.parametrize(
    ("rules", "reads"),
    [
        ({}, False), ({"min_chars": 1, "languages": ("en",), "licences": ("MIT",)}, False),
        ({"tools": "with"}, True), ({"refusals": True}, True), ({"boilerplate": True}, True),
        ({"phrases": ("x",)}, True), ({"last_message_assistant": True}, True),
    ],
)  # fmt: skip
def test_texts_are_read_only_where_a_rule_asks(rules, reads):
    assert FilterRules(**rules).reads_texts is reads


@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), unique=True),
    priority=st.permutations("abc").map(lambda order: [*order, *reversed(order)]),
)
def test_one_row_stands_for_all_that_are_equal(rows, priority):
    listed = [(f"{source}:{content}", str(content), source) for source, content in rows]
    standing = exact_duplicates(iter(listed), priority)
    for sample_id, content, _ in listed:
        equal = [(priority.index(row[2]), row[0]) for row in listed if row[1] == content]
        best = min(equal)[1]
        assert standing.get(sample_id, sample_id) == best
    assert not set(standing) & set(standing.values())


def test_sources_without_a_place_come_last_and_ids_settle_ties():
    rows = [("z:1", "x", "z"), ("y:1", "x", "y"), ("b:1", "x", "b")]
    assert exact_duplicates(rows, ["b"]) == {"y:1": "b:1", "z:1": "b:1"}
    assert exact_duplicates(rows[:2], ["b"]) == {"z:1": "y:1"}
    assert EXACT_DUPLICATE == "exact_duplicate"


@given(st.dictionaries(st.text("ab:1", min_size=1), st.text("x y<1", min_size=1), max_size=5))
def test_the_digest_is_of_the_sorted_lines(excluded):
    lines = "".join(sorted(f"{key} {reason}\n" for key, reason in excluded.items()))
    backwards = dict(reversed(excluded.items()))
    assert excluded_digest(backwards) == excluded_digest(excluded)
    if not any(other != key and other.startswith(key) for key in excluded for other in excluded):
        assert excluded_digest(excluded) == hashlib.sha256(lines.encode()).hexdigest()
