"""The canonical form and its hash, and how turns are paired."""

import hashlib
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation, Message, Turn, official_turns, sample_id

CALL = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]


def chat(*messages):
    """A conversation out of (role letter, content) pairs; `c` is an assistant that only calls a tool."""
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return Conversation(
        tuple(
            Message("assistant", text, tool_calls=CALL) if letter == "c" else Message(roles[letter], text)
            for letter, text in messages
        )
    )


PAIRING = {
    "one turn": ([("u", "q"), ("a", "r")], [("q", "r")]),
    "two turns": ([("u", "q"), ("a", "r"), ("u", "p"), ("a", "s")], [("q", "r"), ("p", "s")]),
    "system is no part": ([("s", "be"), ("u", "q"), ("a", "r")], [("q", "r")]),
    "users join with a blank line": ([("u", "q"), ("u", "p"), ("a", "r")], [("q\n\np", "r")]),
    "three users": ([("u", "1"), ("u", "2"), ("u", "3"), ("a", "r")], [("1\n\n2\n\n3", "r")]),
    "users join across a system text": ([("u", "q"), ("s", "x"), ("u", "p"), ("a", "r")], [("q\n\np", "r")]),
    "the last text answers": ([("u", "q"), ("a", "r"), ("a", "s")], [("q", "s")]),
    "text after a tool answers": (
        [("u", "q"), ("a", "let me see"), ("c", None), ("t", "42"), ("a", "it is 42")],
        [("q", "it is 42")],
    ),
    "text before a tool answers when none follows": (
        [("u", "q"), ("a", "see"), ("c", None), ("t", "42")],
        [("q", "see")],
    ),
    "text beside a call is text": ([("u", "q"), ("c", "calling"), ("t", "42")], [("q", "calling")]),
    "only calls": ([("u", "q"), ("c", None), ("t", "42")], [("q", "")]),
    "calls end a user group": (
        [("u", "q"), ("c", None), ("t", "42"), ("u", "p"), ("a", "r")],
        [("q", ""), ("p", "r")],
    ),
    "calls with empty content": ([("u", "q"), ("c", ""), ("u", "p"), ("a", "r")], [("q", ""), ("p", "r")]),
    "assistant first is ignored": ([("a", "hello"), ("u", "q"), ("a", "r")], [("q", "r")]),
    "ends with a user": ([("u", "q"), ("a", "r"), ("u", "p")], [("q", "r"), ("p", "")]),
    "blank is no text": ([("u", "q"), ("a", "r"), ("a", " \n\t")], [("q", "r")]),
    "nothing but blank": ([("u", "q"), ("a", "  ")], [("q", "")]),
    "text stays untrimmed": ([("u", " q \n"), ("a", "\r\n r ")], [(" q \n", "\r\n r ")]),
    "empty instruction": ([("u", ""), ("a", "r")], [("", "r")]),
    "no user": ([("s", "x"), ("a", "r")], []),
    "nothing": ([], []),
}


@pytest.mark.parametrize("name", PAIRING)
def test_pairing(name):
    messages, expected = PAIRING[name]
    turns = chat(*messages).turns()
    assert [(turn.instruction, turn.response) for turn in turns] == expected
    assert [turn.index for turn in turns] == list(range(len(expected)))
    assert all(isinstance(turn, Turn) for turn in turns)


def groups_oracle(conversation):
    """The rule again, by grouping: runs of users and runs of assistants alternate once all else is gone."""
    spoken = [m for m in conversation.messages if m.role in ("user", "assistant")]
    spoken = list(itertools.dropwhile(lambda m: m.role == "assistant", spoken))
    runs = [[m.content or "" for m in run] for _, run in itertools.groupby(spoken, key=lambda m: m.role)]
    asked, answered = runs[0::2], runs[1::2]
    answered += [[]] * (len(asked) - len(answered))
    return [
        ("\n\n".join(users), ([text for text in texts if text.strip()] or [""])[-1])
        for users, texts in zip(asked, answered, strict=True)
    ]


TEXTS = st.one_of(st.sampled_from(["", " ", "\n\n", "q", "r", " x ", "\u2028"]), st.text(max_size=5))
MESSAGES = st.one_of(
    st.tuples(st.sampled_from("suuaaat"), TEXTS), st.tuples(st.just("c"), st.one_of(st.none(), TEXTS))
)


@given(st.lists(MESSAGES, max_size=12))
@settings(deadline=None, max_examples=400)
def test_pairing_agrees_with_grouping(messages):
    conversation = chat(*messages)
    assert [(turn.instruction, turn.response) for turn in conversation.turns()] == groups_oracle(conversation)


OFFICIAL_PAIRING = {
    "one turn": ([("u", "q"), ("a", "r")], [("q", "r")]),
    "an odd count leaves an instruction": ([("u", "q"), ("a", "r"), ("u", "p")], [("q", "r"), ("p", "")]),
    "one message": ([("u", "q")], [("q", "")]),
    "a system text shifts every pair": ([("s", "be"), ("u", "q"), ("a", "r")], [("be", "q"), ("r", "")]),
    "an assistant first shifts too": ([("a", "hi"), ("u", "q"), ("a", "r")], [("hi", "q"), ("r", "")]),
    "users do not join": ([("u", "q"), ("u", "p"), ("a", "r")], [("q", "p"), ("r", "")]),
    "blank is text": ([("u", " "), ("a", "\n")], [(" ", "\n")]),
    "calls without text are empty": (
        [("u", "q"), ("c", None), ("t", "42"), ("a", "r")],
        [("q", ""), ("42", "r")],
    ),
    "nothing": ([], []),
}


@pytest.mark.parametrize("name", OFFICIAL_PAIRING)
def test_official_pairing(name):
    messages, expected = OFFICIAL_PAIRING[name]
    turns = official_turns(chat(*messages).messages)
    assert [(turn.instruction, turn.response) for turn in turns] == expected
    assert [turn.index for turn in turns] == list(range(len(expected)))


@given(st.lists(st.tuples(st.sampled_from("suat"), TEXTS), max_size=9))
@settings(deadline=None, max_examples=200)
def test_official_pairing_reads_every_message_once_in_order_and_no_role(messages):
    turns = official_turns(chat(*messages).messages)
    texts = [text for _, text in messages]
    read = [text for turn in turns for text in (turn.instruction, turn.response)]
    assert read == texts + [""] * (len(texts) % 2)
    assert turns == official_turns(chat(*[("u", text) for text in texts]).messages)


def test_both_rules_agree_where_user_and_assistant_alternate():
    conversation = chat(("u", "q"), ("a", "r"), ("u", "p"), ("a", "s"), ("u", "o"))
    assert official_turns(conversation.messages) == conversation.turns()


def test_canonical_bytes_of_a_plain_conversation():
    text = Conversation(
        (Message("user", "Hé\n"), Message("assistant", 'A "b" \\ \u2028😀\x00'))
    ).canonical_json()
    assert text.encode("utf-8") == (
        b'{"messages":[{"content":"H\xc3\xa9\\n","role":"user"},'
        b'{"content":"A \\"b\\" \\\\ \xe2\x80\xa8\xf0\x9f\x98\x80\\u0000","role":"assistant"}]}'
    )


def test_canonical_bytes_with_every_field():
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"b": 1.5, "a": None}}}]
    conversation = Conversation(
        (
            Message("system", "s"),
            Message("user", "q", name="ann"),
            Message(
                "assistant", None, tool_calls=[{"id": "1", "function": {"name": "f", "arguments": "{}"}}]
            ),
            Message("tool", "", name="f", tool_call_id="1"),
        ),
        tools,
    )
    assert conversation.canonical_json() == (
        '{"messages":[{"content":"s","role":"system"},{"content":"q","name":"ann","role":"user"},'
        '{"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{}","name":"f"},"id":"1"}]},'
        '{"content":"","name":"f","role":"tool","tool_call_id":"1"}],'
        '"tools":[{"function":{"name":"f","parameters":{"a":null,"b":1.5}},"type":"function"}]}'
    )


def test_hash_is_that_of_the_canonical_bytes():
    conversation = chat(("u", "é"), ("a", "r"))
    expected = hashlib.sha256(
        '{"messages":[{"content":"é","role":"user"},{"content":"r","role":"assistant"}]}'.encode()
    )
    assert conversation.content_sha256() == expected.hexdigest()
    assert sample_id("lima", conversation.content_sha256()) == "lima:" + expected.hexdigest()[:32]


@pytest.mark.parametrize(
    "other",
    [
        chat(("u", "q "), ("a", "r")),
        chat(("u", "q"), ("a", "r"), ("a", "")),
        chat(("s", ""), ("u", "q"), ("a", "r")),
        chat(("u", "e\u0301"), ("a", "r")),
        Conversation((Message("user", "q", name=""), Message("assistant", "r"))),
        Conversation((Message("user", "q"), Message("assistant", "r")), []),
    ],
)
def test_any_change_of_text_changes_the_hash(other):
    hashes = {
        c.content_sha256() for c in (other, chat(("u", "q"), ("a", "r")), chat(("u", "\u00e9"), ("a", "r")))
    }
    assert len(hashes) == 3


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FULL_MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.none() | st.text(max_size=8),
    name=st.none() | st.text(max_size=3),
    tool_calls=st.none() | st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=2), max_size=2),
    tool_call_id=st.none() | st.text(max_size=3),
)


@given(
    st.builds(
        Conversation, st.lists(FULL_MESSAGES, max_size=4).map(tuple), st.none() | st.lists(JSON, max_size=3)
    )
)
@settings(deadline=None, max_examples=200)
def test_canonical_round_trip(conversation):
    text = conversation.canonical_json()
    again = Conversation.from_canonical(text)
    assert again == conversation
    assert again.canonical_json() == text
    optional = ("name", "tool_calls", "tool_call_id")
    assert json.loads(text)["messages"] == [
        {"role": m.role, "content": m.content}
        | {key: getattr(m, key) for key in optional if getattr(m, key) is not None}
        for m in conversation.messages
    ]
    assert hash(again) == hash(conversation)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "7", '{"messages":null}', '{"messages":["x"]}', '{"messages":[{"role":"user"}]}',
     '{"messages":[{"role":"user","content":"x","weight":1}]}', '{"messages":[{"role":"boss","content":"x"}]}'],
)  # fmt: skip
def test_what_is_not_canonical_is_refused(text):
    with pytest.raises(ValueError, match=r"canonical|Expecting"):
        Conversation.from_canonical(text)


def test_text_chars_counts_code_points_of_all_messages():
    assert chat(("s", "ab"), ("u", "é😀"), ("c", None), ("t", "x"), ("a", "")).text_chars == 5


def test_conversations_cannot_be_changed():
    conversation = chat(("u", "q"))
    with pytest.raises(AttributeError):
        conversation.messages = ()
    with pytest.raises(AttributeError):
        conversation.messages[0].content = "other"
