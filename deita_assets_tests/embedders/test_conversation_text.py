import pytest

from deita_assets.core.conversation import Conversation, Message
from deita_assets.embedders.text import TEXT_POLICY, conversation_text, text_without_headers


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


class TestWithoutHeaders:
    TASK = "toolformer: enabled\ntoolformer access: {names}\n{tools}What is 2 + 2?\nf(x)"

    def said(self, user, *more):
        return text_without_headers(Conversation((Message("user", user), *more)))

    def test_system_messages_are_left_out(self):
        messages = (Message("system", "Be brief."), Message("user", "a"), Message("assistant", "b"))
        assert text_without_headers(Conversation((*messages, Message("system", "Now longer.")))) == "a\n\nb"

    @pytest.mark.parametrize(
        ("names", "tools"),
        [
            ("python", "A shell.\npython(code)\n"),
            ("python, wiki", "A shell.\npython(code)\nAn encyclopedia.\nwiki(query) \n"),
        ],
    )
    def test_the_tools_of_a_toolformer_row_are_left_out(self, names, tools):
        user = self.TASK.format(names=names, tools=tools)
        assert self.said(user, Message("assistant", "4")) == "What is 2 + 2?\nf(x)\n\n4"

    @pytest.mark.parametrize(
        ("names", "tools"),
        [
            ("python", "A shell.\n"),
            ("python, wiki", "A shell.\npython(code)\n"),
            ("python", "A shell.\nwiki(q)\n"),
        ],
    )
    def test_a_list_that_is_not_whole_stays(self, names, tools):
        user = self.TASK.format(names=names, tools=tools)
        assert self.said(user) == user

    def test_only_the_start_of_a_user_message_is_read_so(self):
        listed = self.TASK.format(names="python", tools="A shell.\npython(code)\n")
        assert self.said("Look: " + listed) == "Look: " + listed
        assert self.said("a", Message("assistant", listed)) == "a\n\n" + listed

    def test_names_are_no_patterns(self):
        user = self.TASK.format(names=".*", tools="A shell.\npython(code)\n")
        assert self.said(user) == user

    @pytest.mark.parametrize(
        "messages",
        [
            (Message("system", "Be brief."),),
            (Message("system", "Be brief."), Message("user", ""), Message("assistant", " ")),
            (Message("user", "toolformer: enabled\ntoolformer access: python\nA shell.\npython(code)\n"),),
            (),
        ],
    )
    def test_where_nothing_would_remain_nothing_is_left_out(self, messages):
        conversation = Conversation(messages)
        assert text_without_headers(conversation) == conversation_text(conversation)

    def test_without_headers_the_text_is_the_whole_one(self):
        conversation = Conversation(
            (
                Message("user", "a"),
                Message("assistant", None, tool_calls=[call("f", "{}")]),
                Message("tool", "b"),
            )
        )
        assert text_without_headers(conversation) == conversation_text(conversation)
