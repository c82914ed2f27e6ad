"""What the forms mean, from their documentation and the other way round: a row of the form back to its chat."""

import json

from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation, Message

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["\u2028", "\x85", "\r\n", "\0", "\ufeff", '"', "\\", "\U0001f600", "e\u0301", "<|im_end|>", " "]
)
#: Arguments as every format keeps them: an object, or its text; and what no trainer reads.
ARGUMENTS = st.sampled_from(
    [{"x": 1}, {}, '{"x": 1}', '{"b": [1, null], "a": "ü"}', '{"x":1}', "not json", '["x"]', [1]]
)
CALLS = st.lists(
    st.builds(
        lambda name, arguments, more: {"type": "function", "function": {"name": name, "arguments": arguments}, **more},
        st.sampled_from(["f", "look up"]), ARGUMENTS, st.sampled_from([{}, {}, {"id": "c1"}, {"index": 0}]),
    ),
    min_size=1, max_size=2,
)  # fmt: skip
TOOLS = st.none() | st.just(
    [{"type": "function", "function": {"name": "f", "parameters": {"a": 1.5, "ä": None}}}]
)


def _assistant(text, calls):
    return Message("assistant", None if calls and not text else text or "", tool_calls=calls or None)


MESSAGES = st.one_of(
    st.builds(Message, st.just("user"), TEXT, st.sampled_from([None, None, None, "Ann"])),
    st.builds(Message, st.just("system"), st.just("") | TEXT),
    st.builds(_assistant, TEXT, st.none()),
    st.builds(_assistant, st.just("") | TEXT, CALLS),
    st.builds(
        Message, st.just("tool"), TEXT, st.sampled_from([None, "f"]), st.none(), st.sampled_from([None, "c1"])
    ),
)
#: Mostly well-formed: system, then pairs; with strays that break the order.
_PAIR = st.one_of(
    st.tuples(st.builds(Message, st.just("user"), TEXT), st.builds(_assistant, TEXT, st.none())),
    st.tuples(st.builds(Message, st.just("user"), TEXT), st.builds(_assistant, TEXT, st.none())),
    st.tuples(st.builds(Message, st.just("user"), TEXT), st.builds(_assistant, st.just(""), CALLS)),
    st.tuples(st.builds(Message, st.just("tool"), TEXT), st.builds(_assistant, TEXT, st.none())),
)
_REGULAR = st.builds(
    lambda system, first, pairs: (*system, *first, *(m for pair in pairs for m in pair)),
    st.sampled_from([(), (), (Message("system", "be brief"),), (Message("system", ""),)]),
    _PAIR, st.lists(_PAIR, max_size=3),
)  # fmt: skip
CONVERSATIONS = st.builds(
    Conversation, _REGULAR | st.lists(MESSAGES, min_size=1, max_size=6).map(tuple), TOOLS
).filter(lambda one: any(m.role == "user" for m in one.messages) and _answered(one.messages))


def _answered(messages):
    """Only what ingest lets into a pool: an assistant text after the first user message."""
    first = next(at for at, m in enumerate(messages) if m.role == "user")
    return any(m.role == "assistant" and m.content and not m.content.isspace() for m in messages[first:])


def canonical(conversation):
    return json.loads(conversation.canonical_json())


def from_sharegpt(row):
    """The chat that a reader of ShareGPT rows, such as LLaMA-Factory, has before it."""
    roles = {"human": "user", "gpt": "assistant", "observation": "tool", "system": "system"}
    messages = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    for turn in row["conversations"]:
        assert set(turn) == {"from", "value"}
        if turn["from"] == "function_call":
            calls = json.loads(turn["value"])
            messages.append({"role": "assistant", "calls": calls if isinstance(calls, list) else [calls]})
        else:
            messages.append({"role": roles[turn["from"]], "content": turn["value"]})
    return messages, json.loads(row["tools"]) if row.get("tools") else None


def from_alpaca(row):
    messages = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    assert row["input"] == ""
    for question, answer in [*row.get("history", []), (row["instruction"], row["output"])]:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return messages, None


def plain_chat(conversation):
    """The same chat without names and ids, calls as name and arguments."""
    messages = []
    for message in conversation["messages"]:
        calls = message.get("tool_calls")
        if calls is None:
            messages.append({"role": message["role"], "content": message["content"]})
        else:
            plain = [
                {**call["function"], "arguments": _object(call["function"]["arguments"])} for call in calls
            ]
            messages.append({"role": "assistant", "calls": plain})
    return messages, conversation.get("tools")


def _object(arguments):
    return json.loads(arguments) if isinstance(arguments, str) else arguments
