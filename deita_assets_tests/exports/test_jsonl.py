import json

from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation, Message
from deita_assets.exports.jsonl import write_messages_jsonl

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["\u2028", "\u2029", "\x85", "\r\n", "\n", "\0", "\ufeff", '"', "\\", "\U0001f600", "e\u0301"]
)
CONVERSATIONS = st.lists(
    st.builds(
        lambda ask, reply: Conversation((Message("user", ask), Message("assistant", reply))), TEXT, TEXT
    ),
    max_size=4,
)


@given(conversations=CONVERSATIONS)
@settings(deadline=None, max_examples=60)
def test_every_line_is_the_canonical_text_of_its_conversation(tmp_path_factory, conversations):
    path = tmp_path_factory.mktemp("jsonl") / "train.jsonl"
    rows = [{"conversation": json.loads(one.canonical_json()), "position": 1} for one in conversations]
    assert write_messages_jsonl(path, iter(rows)) == len(conversations)
    content = path.read_bytes()
    assert content == b"".join(one.canonical_json().encode() + b"\n" for one in conversations)
    assert [Conversation.from_canonical(line.decode()) for line in content.split(b"\n")[:-1]] == conversations
