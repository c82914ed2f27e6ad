"""Why one row is in quarantine: stable codes, what each means, and its cure.

What belongs here: the vocabulary. What does not: the code that finds such rows, and troubles of whole files
(those are `SourceFileError`). Codes are stored for ever: add new ones, never rename.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for quarantine.

    Attributes:
        code: stable name, stored with each row.
        description: what is wrong with the row.
        cure: what to do about it.
        malformed: True when the row, or how it is read, is at fault; False when it is a sound row of a kind that this
            platform does not select from. The limit of `core.quarantine_limit` counts the former.
    """

    code: str
    description: str
    cure: str
    malformed: bool = True


_ALL = (
    # Bytes and JSON: found by the readers.
    Reason("invalid_utf8", "The row holds bytes that are not UTF-8.", "Re-encode the file as UTF-8."),
    Reason(
        "lone_surrogate",
        r"The text holds half of a surrogate pair, such as \ud83d alone.",
        "Repair the text where it was cut inside an emoji; no store can hold it.",
    ),
    Reason("malformed_json", "The row is not JSON.", "Repair the row; the detail names the column."),
    Reason(
        "truncated_json",
        "The file ends inside this row.",
        "Copy the file again; it is read anew as soon as its content changes.",
    ),
    Reason(
        "not_an_object", "The row is JSON, but not an object.", "Give one JSON object for each conversation."
    ),
    Reason("too_deep", "The JSON is nested beyond the limit.", "Flatten the row."),
    Reason(
        "non_finite_number",
        "The row holds NaN, Infinity or a number beyond the range of floats.",
        "Write null, or leave the field out.",
    ),
    Reason(
        "number_out_of_range", "The row holds an integer of too many digits.", "Write such numbers as text."
    ),
    Reason(
        "duplicate_key",
        "One object holds the same key twice; readers disagree on which one counts.",
        "Remove one of the two.",
    ),
    Reason(
        "line_too_long",
        "The row is longer than the limit.",
        "Split the row; the limit is 16 MiB.",
        malformed=False,
    ),
    Reason(
        "unreadable_value",
        "A table cell has no plain value, such as a date beyond the year 9999.",
        "Repair or drop that column.",
    ),
    # What a conversation is made of: found by the formats.
    Reason(
        "unknown_format",
        "The row is of no known format.",
        "Name its fields with --map FIELD=NAME, and the format with --format.",
    ),
    Reason(
        "format_mismatch",
        "The row is of another known format than its source.",
        "Put rows of different formats in different sources.",
    ),
    Reason(
        "missing_field",
        "A field that the format needs is absent or null.",
        "Add the field, or name where it stands with --map FIELD=NAME.",
    ),
    Reason(
        "preference_pair",
        "The row holds two answers, chosen and rejected.",
        "Say which answer to train on: --map answer=chosen.",
        malformed=False,
    ),
    Reason(
        "message_tree",
        "The row is a message tree, or a message of one, with several answers to one prompt.",
        "Flatten each tree to conversations from root to leaf first.",
        malformed=False,
    ),
    Reason(
        "bad_messages",
        "The messages are not a list of at least one object.",
        "Give messages as [{role, content}, ...].",
    ),
    Reason(
        "too_many_messages",
        "The conversation has more messages than the limit.",
        "Split the conversation.",
        malformed=False,
    ),
    Reason(
        "unknown_role",
        "A message has no role, or none of user, assistant, system, tool and their synonyms.",
        "Rename the role.",
    ),
    Reason("bad_content", "A text is not text.", "Write the text as a JSON string."),
    Reason(
        "multimodal_unsupported",
        "The row holds images, sound, video or other parts beside text.",
        "Remove these rows; conversations are text only.",
        malformed=False,
    ),
    Reason(
        "bad_tool_call",
        "A tool call is not readable.",
        'Write calls as JSON: {"name": ..., "arguments": {...}}, or tool_calls as a list of objects.',
    ),
    Reason(
        "bad_tools",
        "The tools are neither a list nor a string that holds a JSON list.",
        "Write tools as a list of function descriptions.",
    ),
    Reason(
        "no_user_message",
        "No user message stands in the conversation.",
        "Add the instruction, or drop the row.",
        malformed=False,
    ),
    Reason(
        "empty_response",
        "No turn has any assistant text; white space counts as none.",
        "Add the answer, or drop the row.",
        malformed=False,
    ),
)

REASONS: dict[str, Reason] = {reason.code: reason for reason in _ALL}
#: Codes of rows that are at fault themselves.
MALFORMED = frozenset(reason.code for reason in _ALL if reason.malformed)
