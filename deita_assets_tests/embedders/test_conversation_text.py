from deita_assets.core.conversation import Conversation, Message
from deita_assets.embedders.text import TEXT_POLICY, conversation_text


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def test_all_messages_in_order_joined_by_blank_lines_without_role_words():
    messages = (
        Message("system", "Be brief."),
        Message("user", " Weather in Rome? "),
        Message("assistant", None, tool_calls=[call("weather", '{"city": "Rome"}')]),
        Message("tool", "21 C", name="weather", tool_call_id="1"),
        Message("assistant", "It is 21 C.\n"),
    )
    text = conversation_text(Conversation(messages, tools=[{"name": "weather"}]))
    assert text == 'Be brief.\n\n Weather in Rome? \n\nweather {"city": "Rome"}\n\n21 C\n\nIt is 21 C.\n'
    assert TEXT_POLICY == "messages-v1"


def test_a_message_with_text_and_calls_gives_both():
    message = Message(
        "assistant", "Let me look.", tool_calls=[call("find", {"b": 1, "a": "x"}), call("stop", "")]
    )
    assert conversation_text(Conversation((message,))) == 'Let me look.\n\nfind {"a":"x","b":1}\n\nstop'


def test_calls_in_other_forms_are_read_too():
    calls = [{"name": "find", "arguments": "q"}, {"id": 7}, "raw call", ["x"]]
    message = Message("assistant", None, tool_calls=calls)
    assert conversation_text(Conversation((message,))) == 'find q\n\n{"id":7}\n\nraw call\n\n["x"]'


def test_absent_and_empty_contents_leave_no_blank_line():
    messages = (
        Message("user", "a"),
        Message("assistant", None, tool_calls=[]),
        Message("user", ""),
        Message("user", "b"),
    )
    assert conversation_text(Conversation(messages)) == "a\n\nb"


def test_roles_do_not_change_the_text():
    one = Conversation((Message("user", "a"), Message("assistant", "b")))
    other = Conversation((Message("system", "a"), Message("user", "b")))
    assert conversation_text(one) == conversation_text(other)


def test_an_empty_conversation_has_an_empty_text():
    assert conversation_text(Conversation(())) == ""
