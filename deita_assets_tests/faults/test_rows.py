"""JSON and schema: what a row may be made of."""

import json
import math
import re

import pyarrow as pa
import pytest

from deita_assets_tests.faults.input_home import (
    ANSWERED,
    ASKED,
    CANARY,
    OLD,
    Case,
    beside,
    chat,
    come_in,
    good,
    one,
    published_home,
    rows_beside,
    told,
)
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.readers import packing

GROUP = "rows"
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}


def lines(number, what, how, reasons, *rows):
    """Lines between two good rows of JSON lines."""
    return Case(Fault(number, what, how, "quarantined"), one(beside(*rows)), reasons, also=places_told)


def chats(number, what, how, *rows, reasons=None, gained=None, also=None, outcome=None):
    """Rows of messages in a source of their own, behind a plain one."""
    reasons = reasons or {}
    gained = 1 + len(rows) - sum(reasons.values()) if gained is None else gained
    outcome = outcome or ("quarantined" if reasons else "as usual")
    first = chat(("user", f"{CANARY} first"), ("assistant", f"{CANARY} answer"))
    return Case(
        Fault(number, what, how, outcome),
        one(packing.jsonl([first, *rows])),
        reasons,
        gained,
        source="chats",
        also=also,
    )


def places_told(study, report):
    """Every row in quarantine has its file, its line and words about what was found."""
    found = study.quarantined(report.source)
    assert len(found) == report.n_quarantined
    assert all(file and line > 0 and detail for file, line, _, detail in found)
    assert not any(CANARY in detail for *_, detail in found)
    return f"e.g. {found[0][3]}"


def turns(*expected):
    """(instruction, response) of every turn of the last row."""

    def also(study, report):
        found = study.query(
            "select instruction, response from turns t join pool p using (sample_id) where p.source = 'chats' "
            "and p.line = 2 order by t.turn"
        )
        assert found == list(expected)
        return f"{len(found)} turns"

    return also


def ignored(*names):
    """Columns that were recorded as seen and ignored, ever."""

    def also(study, report):
        found = study.query("select extra_fields from store.ingest_batch where source = 's'")
        seen = sorted({name for (text,) in found for name in json.loads(text)})
        assert seen == sorted(names)
        return f"recorded: {', '.join(seen)}"

    return also


def wrong_types():
    table = {"instruction": pa.array([1, 2, 3]), "output": ["a", "b", "c"]}
    return packing.parquet_table(pa.table(table))


def nan_table(**column):
    table = {"instruction": ["q1", "q2"], "output": ["a1", "a2"], **column}
    return packing.parquet_table(pa.table(table))


def nan_call():
    call = [{"name": "f", "arguments": {"x": math.nan}}]
    messages = [
        dict(chat(ASKED)["messages"][0], tool_calls=None),
        {"role": "assistant", "content": "a", "tool_calls": call},
    ]
    return packing.parquet([{"messages": messages}, chat(ASKED, ANSWERED)])


def damaged(place, length):
    """A Parquet file with zeros in it."""
    raw = bytearray(packing.parquet([good(n) for n in range(100, 3100)]))
    raw[place : place + length] = bytes(length)
    return bytes(raw)


def many_batches():
    """One row group that is read in a dozen batches."""
    columns = {key: [good(n)[key] for n in range(100, 12_100)] for key in ("instruction", "output")}
    return packing.parquet_table(pa.table(columns), row_group_size=1_000_000)


MALFORMED = [b'{"instruction": "words-of-a-row"'] * 60
PARTS = [{"type": "text", "text": f"{CANARY} one"}, {"type": "text", "text": f"{CANARY} two"}]
IMAGE = [*PARTS, {"type": "image_url", "image_url": {"url": "x.png"}}]

CASES = [
    lines(
        "12", "a line that is not JSON", "cut, or other text", {"malformed_json": 3},
        b'{"instruction": "q"', b"}{", b"q,r",
    ),
    lines(
        "13", "a line that is no object", "a list, a text, a number, null and true", {"not_an_object": 5},
        b'["instruction", "output"]', b'"text"', b"17", b"null", b"true",
    ),
    lines(
        "14", "nesting without end", "5,000 and 100,000 brackets in one another", {"too_deep": 2},
        *(b'{"instruction": "q", "output": ' + b"[" * n + b"]" * n + b"}" for n in (5_000, 100_000)),
    ),
    lines(
        "15", "numbers that are none", "NaN, Infinity, -Infinity and 1e999", {"non_finite_number": 4},
        *(b'{"instruction": "q", "output": "a", "n": ' + n + b"}"
          for n in (b"NaN", b"Infinity", b"-Infinity", b"1e999")),
    ),
    Case(
        Fault("15", "numbers that are none", "NaN in a column that is ignored, Parquet", "as usual"),
        one(lambda: nan_table(score=[1.0, math.nan]), "b.parquet"),
        also=ignored("score"),
    ),
    Case(
        Fault("15", "numbers that are none", "NaN in a tool call, Parquet", "quarantined"),
        one(nan_call, "b.parquet"), {"non_finite_number": 1}, 1, source="chats", also=places_told,
    ),
    lines(
        "16", "an integer of 5,000 digits", "in a column that is ignored", {"number_out_of_range": 1},
        b'{"instruction": "q", "output": "a", "n": ' + b"9" * 5_000 + b"}",
    ),
    lines(
        "17", "a key that stands twice", "in the row, and in an object inside it", {"duplicate_key": 2},
        b'{"instruction": "q", "output": "a", "output": "b"}',
        b'{"instruction": "q", "output": "a", "meta": {"x": 1, "x": 2}}',
    ),
    Case(
        Fault("17", "a key that stands twice", "two columns of one name, Parquet", "error"),
        one(lambda: packing.parquet_table(pa.table([["q"], ["r"]], names=["output", "output"])), "b.parquet"),
        error="two columns are named 'output'",
    ),
    chats(
        "18", "messages that are none", "null, a text, a number, an empty list",
        *({"messages": value} for value in (None, "q", 7, [])),
        reasons={"bad_messages": 4}, also=places_told,
    ),
    chats(
        "18", "10,000 messages", "one conversation", chat(*[ASKED, ANSWERED] * 5_000),
        reasons={"too_many_messages": 1}, also=places_told,
    ),
    chats(
        "19", "an unknown role", "narrator, none, a number",
        chat(ASKED, ("narrator", "x"), ANSWERED), {"messages": [{"content": "x"}]}, chat((7, "x")),
        reasons={"unknown_role": 3}, also=places_told,
    ),
    chats(
        "19", "two users running", "two user messages before the answer",
        chat(("user", "one"), ("user", "two"), ("assistant", "three")), also=turns(("one\n\ntwo", "three")),
    ),
    chats(
        "19", "an assistant, a system or a tool first", "before the first user message",
        chat(("assistant", "hello"), ("system", "be brief"), ("tool", "42"), ("user", "one"), ("assistant", "two")),
        also=turns(("one", "two")),
    ),
    chats(
        "19", "no user", "system and assistant alone", chat(("system", "be brief"), ANSWERED),
        reasons={"no_user_message": 1}, also=places_told,
    ),
    chats(
        "19", "no answer", "user alone, an empty answer, one of blanks", chat(ASKED), chat(ASKED, ("assistant", "")),
        chat(ASKED, ("assistant", " \n\t\u2003")), reasons={"empty_response": 3}, also=places_told,
    ),
    chats(
        "19", "a turn without an answer among others", "the second question of two",
        chat(("user", "one"), ("assistant", "two"), ("user", "three")), also=turns(("one", "two"), ("three", "")),
    ),
    chats(
        "19", "an empty question", "the user says nothing", chat(("user", ""), ANSWERED), also=turns(("", ANSWERED[1])),
    ),
    chats(
        "20", "content that is a list of parts", "two texts", chat(("user", PARTS), ANSWERED),
        also=turns((f"{CANARY} one{CANARY} two", ANSWERED[1])),
    ),
    chats(
        "20", "content that is a list of parts", "texts and an image", chat(("user", IMAGE), ANSWERED),
        reasons={"multimodal_unsupported": 1}, also=places_told,
    ),
    chats(
        "20", "an answer that only calls a tool", "null beside tool_calls, then the answer",
        {"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                      {"role": "tool", "content": "1", "tool_call_id": "1"}, {"role": "assistant", "content": "two"}]},
        also=turns(("one", "two")),
    ),
    *(
        Case(
            Fault("21", "an Alpaca row without an answer", f"no output, null, empty, blanks; {how}", "quarantined"),
            one(lambda pack=pack, rows=rows: pack([good(100), *rows, good(101)]), name),
            {"missing_field": 2, "empty_response": 2}, also=places_told,
        )
        for how, pack, name, rows in (
            ("JSON lines", packing.jsonl, "b.jsonl",
             ({"instruction": "q"}, {"instruction": "q", "output": None}, good(1, output=""), good(1, output=" \n"))),
            ("Parquet", packing.parquet, "b.parquet",
             ({"instruction": "q"}, {"instruction": "q", "output": None}, good(1, output=""), good(1, output=" \n"))),
        )
    ),
    Case(
        Fault("22", "a column that changes its type", "one that is ignored: a number, a text, a list", "as usual"),
        one(packing.jsonl([good(100, t=1), good(101, t="one"), good(102, t=[1])])), gained=3, also=ignored("t"),
    ),
    Case(
        Fault("22", "a column that changes its type", "one that is ignored, in two Parquet files", "as usual"),
        lambda: {"b.parquet": nan_table(t=[1, 2]), "c.parquet": packing.parquet([good(n, t="x") for n in (100, 101)])},
        gained=4, also=ignored("t"),
    ),
    Case(
        Fault("22", "a column that changes its type", "the answer: a number, a list", "quarantined"),
        one(rows_beside(good(102, output=7), good(103, output=["a"]))), {"bad_content": 2}, also=places_told,
    ),
    Case(
        Fault("23", "a column appears or goes", "other columns in a later file", "told"),
        lambda: {"b.jsonl": packing.jsonl([good(100, x=1)]), "c.jsonl": packing.jsonl([good(101, y=1)])},
        also=ignored("x", "y"),
    ),
    Case(
        Fault("23", "a column appears or goes", "the answer's, in a few rows", "quarantined"),
        one(rows_beside({"instruction": "q", "answer": "a"})), {"missing_field": 1}, also=places_told,
    ),
    Case(
        Fault("24", "the format changes midway", "a row of messages among Alpaca rows", "quarantined"),
        one(rows_beside(chat(ASKED, ANSWERED))), {"format_mismatch": 1}, also=places_told,
    ),
    Case(
        Fault("24", "the format changes midway", "a file of another format comes into a source", "error"),
        one(packing.jsonl([chat(("user", f"{CANARY} {n}"), ANSWERED) for n in range(60)])),
        error=r"60 of the 60 rows read are malformed \(format_mismatch 60\), which is 100 %; allowed are 5 %",
    ),
    Case(
        Fault("25", "too many malformed rows", "60 of 62", "error"), one(beside(*MALFORMED)),
        error=r"60 of the 62 rows read are malformed \(malformed_json 60\)",
    ),
    Case(
        Fault("25", "few malformed rows of few", "49 of 51, below the 50 that a limit begins at", "quarantined"),
        one(beside(*MALFORMED[:49])), {"malformed_json": 49}, also=places_told,
    ),
    Case(
        Fault("25", "few malformed rows of many", "50 of 1,000, the 5 % that are allowed", "quarantined"),
        one(lambda: packing.jsonl([good(n) for n in range(100, 1050)]) + b"\n".join(MALFORMED[:50])),
        {"malformed_json": 49, "truncated_json": 1}, gained=950, also=places_told,
    ),
    Case(
        Fault("25", "many sound rows that are not wanted", "60 of 62 without an answer", "quarantined"),
        one(rows_beside(*(good(n, output=" ") for n in range(102, 162)))), {"empty_response": 60}, also=places_told,
    ),
    Case(
        Fault("26", "Parquet with wrong types", "numbers where texts belong", "quarantined"),
        one(wrong_types, "b.parquet"), {"bad_content": 3}, gained=0, also=places_told,
    ),
    Case(
        Fault("26", "a damaged Parquet file", "its end is missing; a sound file beside it", "error"),
        lambda: {"b.jsonl": packing.jsonl([good(100)]), "c.parquet": packing.parquet([good(101)])[:-30]},
        error=r"c\.parquet: the Parquet file is broken",
    ),
    Case(
        Fault("26", "a damaged Parquet file", "zeros in a page", "error"),
        one(lambda: damaged(3_000, 200), "b.parquet"), error=r"b\.parquet: the Parquet file is broken",
    ),
    Case(
        Fault("26", "a row group larger than a batch", "12,000 rows in one", "as usual"),
        one(many_batches, "b.parquet"), gained=12_000,
    ),
]  # fmt: skip


@pytest.fixture
def study(tmp_path, tmp_path_factory, migrated):
    return published_home(tmp_path, tmp_path_factory, migrated)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rows(case, study, witness, caplog, capsys):
    seen, report = come_in(case, study, caplog, capsys)
    if case.error:
        assert re.search(case.error, seen.message(study.home))
        assert seen.error.cure
        witness(case.fault, re.sub(r" \(.*\)", "", seen.message(study.home)))
        return
    more = case.also(study, report) if case.also else ""
    assert len(study.texts("s")) == (OLD + case.gained if case.source == "s" else OLD)
    witness(case.fault, told(report, more))
