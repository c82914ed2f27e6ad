"""Exports of a published version: every form, read back by what will read it."""

import fcntl
import json
import os
import weakref
from functools import partial

import pyarrow.parquet as pq
import pytest

from deita_assets.engines import export as engine
from deita_assets.engines.export import FORMS, export_version
from deita_assets.errors import DeitaError, StoreError, UsageError
from deita_assets.exports import published
from deita_assets.exports.jsonl import write_messages_jsonl
from deita_assets.exports.parquet import write_parquet
from deita_assets.exports.published import COLUMNS, PublishedRow
from deita_assets.stores.subsets import publish_folder
from deita_assets_tests import crashes

os.environ["HF_HUB_OFFLINE"] = "1"

CALL = {"type": "function", "function": {"name": "f", "arguments": '{"x": [1, 0.1, null]}'}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "ä": 1.5}}}]


def chat(*texts, system=None, **more):
    said = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"messages": ([{"role": "system", "content": system}] if system else []) + said, **more}


TOOL_TALK = {
    "messages": [
        {"role": "user", "content": "use it"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "c"},
        {"role": "assistant", "content": "It is 42."},
    ],
    "tools": TOOLS,
}
PLAIN = [chat("q\u2028\U0001f600", "a\r\n"), chat("one", "two", "three", "four"), chat("q", "a", system="s")]
MIXED = [*PLAIN, TOOL_TALK, chat("asks", "is told", "asks again")]


def publish(
    folder, conversations, *, licence="CC0-1.0", first_card="# old\n\nbody\n\n`train.jsonl` holds chat x"
):
    """A subset folder as a cut makes it; its rows come from the sources s and t/x in turn."""
    ids = [f"{'st'[at % 2]}:{at}" for at in range(len(conversations))]
    rows = [
        {"position": at + 1, "sample_id": ids[at], "source": ids[at][0], "rank": 2 * at + 1, "evol_score": 9 - at / 3,
         "complexity": None if at == 1 else 2.5, "quality": 3.0, "n_turns": 1, "conversation": one}
        for at, one in enumerate(conversations)
    ]  # fmt: skip

    def write(fresh):
        (fresh / "data").mkdir()
        write_messages_jsonl(fresh / "train.jsonl", rows)
        write_parquet(fresh / "data" / "train-00000-of-00001.parquet", rows)
        (fresh / "README.md").write_text(first_card, encoding="utf-8")

    manifest = {
        "selection_version": "0123456789abcdef", "spec": {"scope": "all", "budget": 9, "scope_kind": "mixture"},
        "mix": {"s": len(conversations[::2]), "t": len(conversations[1::2])},
        "sources": [{"source": "s", "licence": "CC0-1.0", "rows": 5, "files": []},
                    {"source": "t", "licence": licence, "rows": 5, "files": []}],
    }  # fmt: skip
    publish_folder(folder, write, manifest, {})
    return folder


@pytest.fixture
def subset(tmp_path):
    return publish(tmp_path / "0123456789abcdef", MIXED)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def loaded(folder, tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))


def without_nulls(messages):
    return [{k: v for k, v in m.items() if v is not None or k == "content"} for m in messages]


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("columns", [(), COLUMNS])
def test_every_form_loads_offline_with_its_rows_in_order(subset, tmp_path, form, columns):
    out = tmp_path / "out"
    done = export_version(subset, out, form=form, columns=columns)
    rows = loaded(out, tmp_path)
    held = {"alpaca": MIXED[:3], "sharegpt": MIXED[:4], "llamafactory": MIXED[:4]}.get(form, MIXED)
    assert len(rows) == done.n_rows == len(held)
    if FORMS[form] == "messages":
        assert [without_nulls(row["messages"]) for row in rows] == [one["messages"] for one in held]
        assert [row["tools"] for row in rows] == [one.get("tools") for one in held]
    elif FORMS[form] == "sharegpt":
        assert [row["conversations"][-1]["value"] for row in rows] == [
            one["messages"][-1]["content"] for one in held
        ]
        assert [row["system"] for row in rows] == ["", "", "s", ""]
    else:
        assert [row["output"] for row in rows] == ["a\r\n", "four", "a"]
        assert [row["history"] for row in rows] == [[], [["one", "two"]], []]
    if columns:
        assert [row["position"] for row in rows] == list(range(1, len(held) + 1))
        assert [row["sample_id"] for row in rows] == [f"{'st'[at % 2]}:{at}" for at in range(len(held))]
        assert [row["complexity"] for row in rows][:3] == [2.5, None, 2.5]
        # Where messages are JSON, the loader of JSON lines keeps ten places of every number.
        assert rows["evol_score"][1] == pytest.approx(9 - 1 / 3, abs=1e-9 if form == "jsonl" else 0)
    assert set(columns) <= set(rows.column_names)
    assert not set(COLUMNS) - set(columns) & set(rows.column_names) - set(columns)


def test_jsonl_has_the_bytes_of_the_version(subset, tmp_path):
    export_version(subset, tmp_path / "out", form="jsonl")
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == (subset / "train.jsonl").read_bytes()
    assert (tmp_path / "out" / "manifest.json").read_bytes() == (subset / "manifest.json").read_bytes()


def test_what_a_form_cannot_hold_is_counted_and_named(subset, tmp_path):
    done = export_version(subset, tmp_path / "alpaca", form="alpaca")
    assert (done.skipped, done.skipped_ids) == (
        {"tools": 1, "no_answer_at_the_end": 1}, {"tools": ["t:3"], "no_answer_at_the_end": ["s:4"]},
    )  # fmt: skip
    assert lines(tmp_path / "alpaca" / "skipped.jsonl") == [
        {"sample_id": "t:3", "reason": "tools"}, {"sample_id": "s:4", "reason": "no_answer_at_the_end"},
    ]  # fmt: skip
    card = (tmp_path / "alpaca" / "README.md").read_text(encoding="utf-8")
    assert "2 of 5 selected rows are not here" in card
    account = json.loads((tmp_path / "alpaca" / "export.json").read_text(encoding="utf-8"))
    assert (account["n_rows"], account["skipped"]) == (3, done.skipped)
    shared = export_version(subset, tmp_path / "sharegpt", form="sharegpt")
    assert (shared.n_rows, shared.left_out) == (4, {"call_ids": 1})
    whole = export_version(subset, tmp_path / "hf", form="hf")
    assert not whole.skipped
    assert "skipped.jsonl" not in whole.files


def test_a_form_that_holds_nothing_is_an_error_and_leaves_nothing(tmp_path):
    subset = publish(tmp_path / "0123456789abcdef", [TOOL_TALK])
    with pytest.raises(DeitaError, match="can hold none of the 1 rows") as caught:
        export_version(subset, tmp_path / "out", form="alpaca")
    assert "jsonl" in caught.value.cure
    empty = publish(tmp_path / "fedcba9876543210", [])
    with pytest.raises(DeitaError, match="no rows"):
        export_version(empty, tmp_path / "out", form="jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0123456789abcdef", "fedcba9876543210"]


@pytest.mark.parametrize("as_link", [False, True])
def test_nothing_is_overwritten(subset, tmp_path, as_link):
    out = tmp_path / "out"
    if as_link:
        out.symlink_to(tmp_path / "nowhere")
    else:
        out.mkdir()
    with pytest.raises(UsageError, match="exists"):
        export_version(subset, out, form="jsonl")
    assert not (tmp_path / ".out.part").exists()
    assert as_link or not list(out.iterdir())


def test_an_altered_version_is_not_exported(subset, tmp_path):
    path = subset / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"two", b"TWO"))
    with pytest.raises(StoreError, match=r"train\.jsonl"):
        export_version(subset, tmp_path / "out", form="sharegpt")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "place",
    [
        "deita_assets.engines.export:_write_beside",
        "deita_assets.stores.new_folder:sync",
        "pathlib:Path.rename",
    ],
)
def test_a_kill_leaves_no_half_and_the_next_export_cleans_up(subset, tmp_path, place):
    out = tmp_path / "out"
    assert crashes.run(partial(export_version, form="hf"), subset, out, kill_at=place) == crashes.KILLED
    assert not out.exists()
    (tmp_path / ".out.part" / "old").mkdir()
    export_version(subset, out, form="hf")
    assert not (out / "old").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("out", ["file/out", "n" * 253, "/proc/out"])
def test_a_place_where_no_folder_can_be_made_is_named(subset, tmp_path, out):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made") as caught:
        export_version(subset, tmp_path / out, form="jsonl")
    assert "written to" in caught.value.cure
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0123456789abcdef", "file"]


def test_an_export_that_ends_while_another_waits_for_its_folder_is_left_alone(subset, tmp_path, monkeypatch):
    out, lock = tmp_path / "out", fcntl.flock

    def late(handle, how):
        monkeypatch.setattr(fcntl, "flock", lock)
        (tmp_path / ".out.part").rename(out)  # the owner ends between opening and locking
        (tmp_path / ".out.part").mkdir()  # and a third begins
        (tmp_path / ".out.part" / "theirs").touch()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(UsageError, match="another process"):
        export_version(subset, out, form="jsonl")
    assert (tmp_path / ".out.part" / "theirs").exists()


def test_a_failed_write_leaves_nothing(subset, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(engine, "_write_beside", full)
    with pytest.raises(OSError, match="no space"):
        export_version(subset, tmp_path / "out", form="parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["0123456789abcdef"]


def test_two_exports_to_one_folder_do_not_mix(subset, tmp_path, monkeypatch):
    refused = []
    write = engine._write_beside

    def meanwhile(folder, partial, facts):
        with pytest.raises(UsageError, match="another process") as caught:
            export_version(subset, tmp_path / "out", form="jsonl")
        refused.append(caught.value)
        write(folder, partial, facts)

    monkeypatch.setattr(engine, "_write_beside", meanwhile)
    export_version(subset, tmp_path / "out", form="alpaca")
    assert len(refused) == 1
    assert json.loads((tmp_path / "out" / "export.json").read_text())["form"] == "alpaca"


@pytest.mark.parametrize("form", list(FORMS))
def test_a_million_rows_are_never_in_memory(tmp_path, monkeypatch, form):
    """However many rows there are, no more than a group of each kind is alive at any time."""
    subset = publish(tmp_path / "0123456789abcdef", [chat(f"q{at}", "a" * 40) for at in range(300)])
    monkeypatch.setattr(published, "_BATCH_ROWS", 16)
    monkeypatch.setattr("deita_assets.exports.columnar.ROWS_PER_GROUP", 16)
    alive, most = weakref.WeakSet(), []

    class Followed(dict):
        """A conversation whose life is seen; its copies in rows keep its messages alive."""

        __hash__ = object.__hash__

    class Message(dict):
        __hash__ = object.__hash__

    def rows(folder, columns=COLUMNS):
        for row in published.published_rows(folder, columns):
            messages = [Message(one) for one in row.conversation["messages"]]
            for one in messages:
                alive.add(one)
            most.append(len(alive))
            yield PublishedRow(Followed(row.conversation, messages=messages), row.columns)

    monkeypatch.setattr(engine, "published_rows", rows)
    assert export_version(subset, tmp_path / "out", form=form, columns=COLUMNS).n_rows == 300
    assert len(most) == 600
    assert max(most) <= 2 * 2 * (16 + 1)  # messages of a group that is written, and of the next one


def test_shards_have_the_rows_asked_for(subset, tmp_path):
    done = export_version(subset, tmp_path / "out", form="hf", shard_rows=2, columns=["position"])
    names = [f"data/train-{at:05d}-of-00003.parquet" for at in range(3)]
    assert [name for name in done.files if name.startswith("data/")] == names
    tables = [pq.read_table(tmp_path / "out" / name) for name in names]
    assert [table["position"].to_pylist() for table in tables] == [[1, 2], [3, 4], [5]]
    assert loaded(tmp_path / "out", tmp_path)["position"][:] == [1, 2, 3, 4, 5]


def test_a_schema_has_no_key_that_no_row_uses(tmp_path):
    subset = publish(tmp_path / "0123456789abcdef", PLAIN)
    for form in ("hf", "parquet"):
        export_version(subset, tmp_path / form, form=form)
        schema = pq.read_schema(tmp_path / form / "data" / "train-00000-of-00001.parquet")
        assert schema.names == ["messages"]
        assert [field.name for field in schema.field("messages").type.value_type] == ["role", "content"]
    export_version(subset, tmp_path / "alpaca", form="alpaca")
    assert lines(tmp_path / "alpaca" / "train.jsonl")[0] == {
        "instruction": "q\u2028\U0001f600", "input": "", "output": "a\r\n", "system": "", "history": [],
    }  # fmt: skip


def test_late_tools_do_not_break_a_loader(tmp_path):
    """A key that first comes after the loader's first chunk of ten megabytes."""
    subset = publish(tmp_path / "0123456789abcdef", [*[chat("q" * 4_000, "a" * 4_000)] * 1_500, TOOL_TALK])
    for form in ("jsonl", "sharegpt"):
        export_version(subset, tmp_path / form, form=form)
        last = loaded(tmp_path / form, tmp_path)[-1]
        tools = last["tools"] if form == "jsonl" else json.loads(last["tools"])
        assert tools == TOOLS


def test_two_exports_in_folders_of_one_name_are_not_taken_for_each_other(tmp_path):
    """`datasets` keeps what it loaded under a folder's name alone."""
    for at, rows in enumerate((PLAIN[:1], PLAIN[1:2])):
        folder = tmp_path / str(at) / "0123456789abcdef"
        publish(folder, rows)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["selection_version"] = f"{at}" * 16
        (folder / "manifest.json").write_text(json.dumps(manifest))
        export_version(folder, tmp_path / str(at) / "train", form="hf")
    first, second = (loaded(tmp_path / at / "train", tmp_path)[0]["messages"] for at in "01")
    assert (len(first), len(second)) == (2, 4)


def test_llama_factory_finds_its_columns(subset, tmp_path):
    export_version(subset, tmp_path / "out", form="llamafactory")
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    assert info == {
        "deita_all_9": {
            "file_name": "train.jsonl", "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
        }
    }  # fmt: skip
    # In every row: this reader takes its columns from the beginning of the file.
    keys = {tuple(sorted(row)) for row in lines(tmp_path / "out" / "train.jsonl")}
    assert keys == {("conversations", "system", "tools")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["scores"]}, "scores"),
        ({"columns": ["rank", "rank"]}, "twice"),
        ({"shard_rows": 5}, "one file"),
    ],
)
def test_what_cannot_be_asked_for(subset, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        export_version(subset, tmp_path / "out", form="sharegpt", **options)


def test_unknown_licences_are_told_and_can_be_refused(tmp_path):
    card = "# old\n\n> **Licence unknown: t.** Find out.\n\nbody"
    subset = publish(tmp_path / "0123456789abcdef", PLAIN, licence=None, first_card=card)
    assert export_version(subset, tmp_path / "a", form="jsonl").unknown_licences == ["t"]
    assert (tmp_path / "a" / "README.md").read_text(encoding="utf-8").count("Licence unknown: t.") == 1
    with pytest.raises(DeitaError, match="licence unknown: t") as caught:
        export_version(subset, tmp_path / "b", form="jsonl", require_licence=True)
    assert "[sources.t]" in caught.value.cure
    assert not (tmp_path / "b").exists()
    done = export_version(subset, tmp_path / "c", form="jsonl", require_licence=True, licences={"t": "MIT"})
    assert done.unknown_licences == []
    card = (tmp_path / "c" / "README.md").read_text(encoding="utf-8")
    assert "Licence unknown" not in card
    assert "since the selection was published: t: MIT." in card
