"""An export that is added again gives the rows it was made of, whatever of JSON stands inside its Parquet."""

import json
import shutil

import pytest

from deita_assets.core.formats import parse_conversation
from deita_assets.engines.export import export_version
from deita_assets.engines.ingest import ingest_source
from deita_assets_tests.engines.test_export import MIXED, publish

_ARGUMENTS = {"x": None, "y": [1, 2.5, {"z": None}], "ä\u2028": 2**60, "": ""}
TOOLS = [{"type": "function", "function": {"name": "g", "parameters": {"default": None, "enum": [None, 1]}}}]
#: Nulls, numbers and empty values where a table would lose them.
CALLS = {
    "messages": [
        {"role": "user", "content": "use both", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "g", "arguments": _ARGUMENTS}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": '{"x": null}'}},
            ],
        },
        {"role": "tool", "content": "null", "tool_call_id": "1", "name": "g"},
        {"role": "tool", "content": "{}", "tool_call_id": "2"},
        {"role": "assistant", "content": "Both are done."},
    ],
    "tools": TOOLS,
}


@pytest.mark.parametrize("form", ["hf", "parquet", "jsonl"])
@pytest.mark.parametrize("columns", [(), ("sample_id", "evol_score")])
def test_the_same_conversations_come_back(warehouse, home, tmp_path, form, columns):
    given = [parse_conversation(one) for one in (*MIXED, CALLS)]
    held = [json.loads(one.canonical_json()) for one in given]
    out = tmp_path / "out"
    export_version(publish(tmp_path / "0123456789abcdef", held), out, form=form, columns=columns)
    landing = home.source_landing("again")
    landing.mkdir()
    for file in [*out.rglob("*.parquet"), *out.rglob("train.jsonl")]:
        shutil.copy(file, landing / file.name)
    report = ingest_source(warehouse, "again")
    assert report.quarantine_reasons == {}
    with warehouse.read("test") as con:
        found = {
            sha256 for (sha256,) in con.execute("select content_sha256 from store.conversation").fetchall()
        }
    assert found == {one.content_sha256() for one in given}
