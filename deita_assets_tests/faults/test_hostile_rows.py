"""Rows that nobody meant well: any value at all is a conversation, or an error with a reason that is documented."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_assets import parse_conversation
from deita_assets.cli import main
from deita_assets.core.conversation import Conversation
from deita_assets.core.reasons import MALFORMED, REASONS
from deita_assets.errors import ParseError
from deita_assets_tests.faults.matrix import Fault

GROUP = "rows"
#: Codes stand in stores for ever: more may come, none may go or be named anew.
CODES = {
    "invalid_utf8", "lone_surrogate", "malformed_json", "truncated_json", "not_an_object", "too_deep",
    "non_finite_number", "number_out_of_range", "duplicate_key", "line_too_long", "unreadable_value",
    "unknown_format", "format_mismatch", "missing_field", "preference_pair", "message_tree", "bad_messages",
    "too_many_messages", "unknown_role", "bad_content", "multimodal_unsupported", "bad_tool_call", "bad_tools",
    "no_user_message", "empty_response",
}  # fmt: skip
#: Reasons of sound rows that are not wanted; all others count against the limit of malformed rows.
NOT_WANTED = {
    "line_too_long", "preference_pair", "message_tree", "too_many_messages", "multimodal_unsupported",
    "no_user_message", "empty_response",
}  # fmt: skip

#: Any character, halves of surrogate pairs and NUL more often than chance would have them.
TEXTS = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("\0\ud800\udfff\u2028\u202e"), max_size=6
)
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
ANY = st.recursive(
    TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
#: Mostly what belongs there: one field that does not is enough to stop a row.
MAYBE = st.integers(0, 7).flatmap(lambda n: ANY if n == 7 else st.just("what belongs there\0"))
ROLES = st.sampled_from(
    ["user", "human", "assistant", "gpt", "system", "tool", "observation", "function_call"]
)
SAID = st.integers(0, 15).flatmap(lambda n: ANY if n == 15 else ROLES)
#: The fields of the four formats, each with what belongs there or with anything at all.
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": SAID, "content": MAYBE},
        optional={"name": ANY, "tool_calls": ANY, "tool_call_id": ANY, "function_call": ANY},
    )
    | st.fixed_dictionaries({"role": SAID, "content": MAYBE}),
    max_size=4,
)
PAIRS = st.lists(st.fixed_dictionaries({"from": SAID, "value": MAYBE}), max_size=4)
ROWS = st.one_of(
    st.fixed_dictionaries({"messages": MESSAGES | ANY}, optional={"tools": ANY, "system": ANY}),
    st.fixed_dictionaries({"conversations": PAIRS | ANY}, optional={"tools": ANY, "system": ANY}),
    st.fixed_dictionaries(
        {"instruction": MAYBE, "output": MAYBE},
        optional={"input": ANY, "history": ANY, "system": ANY},
    ),
    st.fixed_dictionaries({"prompt": MAYBE | MESSAGES, "completion": MAYBE | MESSAGES}),
    ANY,
)
FORMATS = st.sampled_from([*["auto"] * 6, "messages", "sharegpt", "alpaca", "completion"])
#: How the four formats hold a question and its answer.
PACKED = {
    "messages": lambda q, a: {
        "messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
    },
    "sharegpt": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "alpaca": lambda q, a: {"instruction": q, "output": a},
    "completion": lambda q, a: {"prompt": q, "completion": a},
}
TRIED = settings(
    deadline=None,
    max_examples=400,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
VALUES = Fault("12-24", "any row", "random values in the fields of the four formats", "quarantined")
SIGNS = Fault(
    "4-5", "any text", "random characters, NUL and halves of surrogate pairs, in the four formats", "as usual"
)
STABLE = Fault(
    "12-26",
    "a reason code that is named anew",
    "the codes of today, each with meaning and cure",
    "impossible",
)


def test_any_value(witness):
    seen = Counter()

    @TRIED
    @given(ROWS, FORMATS)
    def tried(row, name):
        try:
            conversation = parse_conversation(row, name)
        except ParseError as error:
            assert error.reason in CODES
            assert error.cure == REASONS[error.reason].cure
            assert len(error.message) < 400
            error.message.encode()
            seen["ParseError"] += 1
            return
        canonical = conversation.canonical_json()
        canonical.encode()
        assert Conversation.from_canonical(canonical) == conversation
        assert json.loads(canonical, parse_constant=pytest.fail)
        seen["Conversation"] += 1

    tried()
    assert min(seen["ParseError"], seen["Conversation"]) > 0, seen
    witness(VALUES, " or ".join(sorted(seen)), times=seen.total())


def test_any_text(witness):
    seen = Counter()

    @TRIED
    @given(TEXTS, TEXTS, st.sampled_from(sorted(PACKED)))
    def tried(question, answer, name):
        torn = any("\ud800" <= char <= "\udfff" for char in question + answer)
        try:
            messages = parse_conversation(PACKED[name](question, answer)).messages
        except ParseError as error:
            assert error.reason == ("lone_surrogate" if torn else "empty_response")
            assert torn or not answer.strip()
            seen[f"`{error.reason}`"] += 1
            return
        assert not torn
        assert [message.content for message in messages] == [question, answer]
        seen["every character kept"] += 1
        seen["every NUL kept"] += "\0" in question + answer

    tried()
    assert min(seen.values()) > 0, seen
    witness(SIGNS, ", ".join(sorted(seen)), times=seen.total())


def test_reason_codes(witness, capsys):
    assert set(REASONS) >= CODES
    assert frozenset(CODES - NOT_WANTED) <= MALFORMED
    assert not MALFORMED & NOT_WANTED
    with pytest.raises(SystemExit) as ended:
        main(["quarantine", "--reasons", "--json"])
    assert ended.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["reason"] for row in shown] == list(REASONS)
    assert all(row["meaning"].endswith(".") and row["cure"].endswith(".") for row in shown)
    kept = sum(row["reason"] in CODES for row in shown)
    witness(STABLE, f"{kept} codes as they were, listed by `quarantine --reasons`")
