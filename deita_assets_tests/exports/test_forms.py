"""Conversations in the forms of trainers: nothing changed, and nothing lost without a name."""

import json

import pytest
from hypothesis import given, settings

from deita_assets.core.formats import parse_conversation
from deita_assets.exports.forms import LEFT_OUT, ROWS, SKIPS, Held, Skipped, alpaca_row, sharegpt_row
from deita_assets_tests.exports.forms_oracle import (
    CONVERSATIONS,
    canonical,
    from_alpaca,
    from_sharegpt,
    plain_chat,
)

FROM = {"sharegpt": from_sharegpt, "alpaca": from_alpaca}
CALL = {"type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def says(role, content, **more):
    return {"role": role, "content": content, **more}


ASK, REPLY = says("user", "q"), says("assistant", "a")
CALLS, RESULT = says("assistant", None, tool_calls=[CALL]), says("tool", "42")


def trainable(conversation):
    """The rule of LLaMA-Factory's documentation: who asks at odd places, who answers at even ones, in pairs."""
    roles = [m["role"] for m in conversation["messages"]]
    roles = roles[1:] if roles[0] == "system" else roles
    sides = ["asks" if role in ("user", "tool") else role for role in roles]
    return sides == ["asks", "assistant"] * (len(sides) // 2)


@pytest.mark.parametrize("shape", ["sharegpt", "alpaca"])
@given(conversation=CONVERSATIONS)
@settings(deadline=None, max_examples=60)
def test_a_held_row_says_what_the_conversation_says(shape, conversation):
    """Read back by an independent reader of the form, the chat is the same; what is skipped has a known reason."""
    given_row = canonical(conversation)
    made = ROWS[shape](given_row)
    if isinstance(made, Skipped):
        assert made.reason in SKIPS
        return
    assert trainable(given_row)
    assert FROM[shape](made.row) == plain_chat(given_row)
    assert made.left_out <= set(LEFT_OUT)


@pytest.mark.parametrize("shape", ["messages", "sharegpt", "alpaca"])
@given(conversation=CONVERSATIONS)
@settings(deadline=None, max_examples=60)
def test_what_a_form_holds_whole_has_the_same_content_hash_when_it_is_added_again(shape, conversation):
    made = ROWS[shape](canonical(conversation))
    if isinstance(made, Skipped) or made.left_out or _spelled_anew(shape, canonical(conversation)):
        return
    again = parse_conversation(made.row, shape)
    assert again.content_sha256() == conversation.content_sha256()


def _spelled_anew(shape, conversation):
    """Calls whose arguments ShareGPT spells in one way only, and an empty text beside calls."""
    for message in conversation["messages"] if shape == "sharegpt" else ():
        for call in message.get("tool_calls", ()):
            arguments = call["function"]["arguments"]
            written = (
                json.dumps(json.loads(arguments), ensure_ascii=False) if isinstance(arguments, str) else None
            )
            if arguments != written or message["content"] is not None or "type" not in call:
                return True
    return False


@pytest.mark.parametrize(
    ("messages", "tools", "sharegpt", "alpaca"),
    [
        ([ASK, REPLY], None, None, None),
        ([says("system", "s"), ASK, REPLY, ASK, REPLY], None, None, None),
        ([ASK, REPLY], [{"name": "f"}], None, "tools"),
        ([ASK, CALLS, RESULT, REPLY], None, None, "tools"),
        ([ASK, CALLS], None, None, "tools"),
        ([ASK, ASK, REPLY], None, "roles_do_not_alternate", "roles_do_not_alternate"),
        ([REPLY, ASK, REPLY], None, "roles_do_not_alternate", "roles_do_not_alternate"),
        ([ASK, CALLS, RESULT, RESULT, REPLY], None, "roles_do_not_alternate", "tools"),
        ([ASK, REPLY, ASK], None, "no_answer_at_the_end", "no_answer_at_the_end"),
        ([ASK, REPLY, says("system", "s"), ASK, REPLY], None, "system_message_inside", "system_message_inside"),
        ([says("system", ""), ASK, REPLY], None, None, "empty_system_message"),
        ([ASK, says("assistant", "thinking", tool_calls=[CALL]), RESULT, REPLY], None, "text_beside_calls", "tools"),
        ([ASK, says("assistant", None, tool_calls=[{"name": "f"}]), RESULT, REPLY], None, "other_call_form", "tools"),
    ],
)  # fmt: skip
def test_why_a_form_cannot_hold_a_row(messages, tools, sharegpt, alpaca):
    conversation = {"messages": messages, **({"tools": tools} if tools else {})}
    for make, expected in ((sharegpt_row, sharegpt), (alpaca_row, alpaca)):
        made = make(conversation)
        assert (made.reason if isinstance(made, Skipped) else None) == expected


@pytest.mark.parametrize("arguments", ["not json", "[1]", [1], None, 7])
def test_calls_without_an_object_of_arguments_are_in_another_form(arguments):
    call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
    made = sharegpt_row({"messages": [ASK, says("assistant", None, tool_calls=[call]), RESULT, REPLY]})
    assert made == Skipped("other_call_form")


def test_sharegpt_as_llama_factory_documents_it():
    two = says("assistant", None, tool_calls=[CALL, {**CALL, "id": "c2"}])
    conversation = {
        "messages": [
            says("system", "s"),
            ASK,
            CALLS,
            RESULT,
            two,
            says("tool", "ü", tool_call_id="c2"),
            REPLY,
        ],
        "tools": [{"name": "ü"}],
    }
    call = '{"name": "f", "arguments": {"x": 1}}'
    assert sharegpt_row(conversation) == Held(
        {
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": call},
                {"from": "observation", "value": "42"},
                {"from": "function_call", "value": f"[{call}, {call}]"},
                {"from": "observation", "value": "ü"},
                {"from": "gpt", "value": "a"},
            ],
            "system": "s",
            "tools": '[{"name": "ü"}]',
        },
        frozenset({"call_ids"}),
    )


def test_alpaca_as_llama_factory_documents_it():
    first = [says("user", "q1", name="Ann"), says("assistant", "a1")]
    assert alpaca_row({"messages": [says("system", "s"), *first, ASK, REPLY]}) == Held(
        {"instruction": "q", "input": "", "output": "a", "system": "s", "history": [["q1", "a1"]]},
        frozenset({"names"}),
    )
    assert alpaca_row({"messages": [ASK, REPLY]}) == Held({"instruction": "q", "input": "", "output": "a"})


def test_every_reason_and_omission_has_a_meaning():
    assert all(meaning and not meaning.endswith(".") for meaning in (*SKIPS.values(), *LEFT_OUT.values()))
