from hypothesis import given
from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation, Message
from deita_assets.embedders.vicuna import SYSTEM, render, template_sha256

TEXTS = st.text(alphabet="ab<>/s \n:", min_size=1, max_size=12)
#: No letter of it is in the template.
FOREIGN = st.text(alphabet="жфя", min_size=1, max_size=5)


def fastchat(system, messages):
    """`Conversation.get_prompt` of FastChat for separator style ADD_COLON_TWO with the separators " " and "</s>"."""
    text = system + " "
    for at, (role, message) in enumerate(messages):
        text += f"{role}: {message}" + (" ", "</s>")[at % 2] if message else f"{role}:"
    return text


def joined(*messages):
    return "</s>".join(render(Conversation(tuple(messages))))


def test_the_template_as_published():
    text = joined(Message("user", "Hello!"), Message("assistant", "Hi."), Message("user", "How are you?"))
    assert text == (
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions. USER: Hello! ASSISTANT: Hi.</s>USER: How are you? "
    )


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=3), TEXTS | st.just(""))
def test_alternating_messages_read_as_in_fastchat(pairs, asked):
    messages, expected = [], []
    for ask, answer in pairs:
        messages += [Message("user", ask), Message("assistant", answer)]
        expected += [("USER", ask), ("ASSISTANT", answer)]
    assert joined(*messages, Message("user", asked)) == fastchat(SYSTEM, [*expected, ("USER", asked)])


def test_a_first_system_message_takes_the_place_of_the_templates_own():
    assert (
        joined(Message("system", "Be brief."), Message("user", "a"), Message("assistant", "b"))
        == "Be brief. USER: a ASSISTANT: b</s>"
    )
    assert joined(Message("system", ""), Message("user", "a")) == f"{SYSTEM} SYSTEM:USER: a "


def test_later_system_messages_tools_and_calls_are_read():
    call = {"type": "function", "function": {"name": "find", "arguments": {"b": 1}}}
    text = joined(
        Message("user", "a"),
        Message("system", "Now in French."),
        Message("assistant", "Let me look.", tool_calls=[call]),
        Message("tool", "found", name="find"),
        Message("assistant", None, tool_calls=[call]),
    )
    assert text == (
        f'{SYSTEM} USER: a SYSTEM: Now in French. ASSISTANT: Let me look.\n\nfind {{"b":1}}</s>TOOL: found '
        'ASSISTANT: find {"b":1}</s>'
    )


def test_roles_in_any_order_and_no_message_at_all():
    assert joined(Message("assistant", "b"), Message("user", "a"), Message("user", "c")) == (
        f"{SYSTEM} ASSISTANT: b</s>USER: a USER: c "
    )
    assert joined(Message("user", "a"), Message("assistant", None)) == f"{SYSTEM} USER: a ASSISTANT:"
    assert joined() == f"{SYSTEM} "


@given(
    st.lists(
        st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), FOREIGN | st.none()),
        max_size=6,
    )
)
def test_no_message_is_lost_and_each_answer_ends_a_piece(messages):
    pieces = render(Conversation(tuple(messages)))
    text, at = "\0".join(pieces), 0
    for message in messages:
        if message.content:
            at = text.index(message.content, at) + len(message.content)
            assert message.role != "assistant" or text[at] == "\0"
    assert len(pieces) == 1 + sum(bool(m.content) and m.role == "assistant" for m in messages)


def test_offered_tools_are_left_out_and_the_hash_is_pinned():
    said = (Message("user", "a"),)
    assert render(Conversation(said, tools=[{"name": "find"}])) == render(Conversation(said))
    assert template_sha256() == "b9333c966c5ef84180dedda746ad98d0a297840ba4631a951383dc447205ea98"
