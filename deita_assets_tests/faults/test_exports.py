"""Exports and lineage: what leaves the home is what was selected, whole, traceable and licensed."""

import json
import re
from functools import partial

import pyarrow.parquet as pq
import pytest

from deita_assets.engines.cut import cut_subset
from deita_assets.engines.export import FORMS, export_version
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import make_ledger
from deita_assets.errors import DeitaError, StoreError, UsageError
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.serving import publish
from deita_assets_tests import crashes
from deita_assets_tests.engines.test_export import publish as published_folder
from deita_assets_tests.faults.damaged_home import without_figure
from deita_assets_tests.faults.guarded import Case, Guarded, refused, unharmed
from deita_assets_tests.faults.input_home import chat, published_home
from deita_assets_tests.faults.matrix import Fault

GROUP = "exports"
ODD = [
    "a/b", "../../etc", "line\nbreak", "\u2028\u2029\x85", "\U0001f600\U00020000", "nul\0", "tab\t\r\n",
    '"quotes" \\ \'',
    " ", "\ufeffmark", "\u202egnp.exe", "=cmd()", "é e\u0301", "\ud7ff\ue000\ufffe",
]  # fmt: skip


def versioned(at, rows, n=None, **cut):
    """A source `odd` of rows, scored and cut; (version, folder)."""
    at.study.land("odd", "odd file.jsonl", rows)
    report = at.study.read("odd")
    assert report.n_pool == len(rows), report
    at.study.cover("odd")
    score_pool(at.study.warehouse, "odd", "sum")
    parameters = SelectionParameters(1.0)
    ledger = make_ledger(
        at.study.warehouse, Scope("source", "odd", ("odd",)), parameters, budget=n or len(rows)
    )
    with without_figure():
        done = cut_subset(at.study.warehouse, ledger, n or len(rows), provenance={"run_id": "r"}, **cut)
    publish(at.home)
    return done.selection.version, done.directory


def odd_rows():
    return [chat(("user", f"{text} q"), ("assistant", f"{text} a"), id=text) for text in ODD]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def loaded(folder, at):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets.load_dataset(
        str(folder), split="train", cache_dir=str(at.folder / f"cache-{folder.name}")
    )


def texts(rows):
    return [[message["content"] for message in row["messages"]] for row in rows]


def odd_ids(at):
    """Own ids and texts of every kind: JSON lines, Parquet and `datasets` hold one thing."""
    version, folder = versioned(at, odd_rows())
    held = texts(lines(folder / "train.jsonl"))
    assert sorted(held) == sorted([f"{text} q", f"{text} a"] for text in ODD)
    ids = [
        row[0]
        for row in at.study.query(
            "select sample_id from selected where selection_version = ? order by position", version
        )
    ]
    for form in ("jsonl", "parquet", "hf"):
        out = at.folder / form
        at.command("export", version, "--format", form, "--out", str(out), "--columns", "sample_id,position")
        rows = loaded(out, at)
        assert texts(rows) == held, form
        assert list(rows["sample_id"]) == ids
        if form != "jsonl":
            (file,) = (out / "data").glob("*.parquet")
            assert pq.read_table(file)["sample_id"].to_pylist() == ids
    assert all(re.fullmatch(r"odd:[0-9a-f]{32}", name) for name in ids)
    own = dict(at.study.query("select sample_id, own_id from lineage where selection_version = ?", version))
    assert sorted(own[name] for name in ids) == sorted(ODD)
    return f"{len(ODD)} own ids and texts equal in JSON lines, Parquet and `datasets`; sample ids are digests"


def odd_sample_ids(at):
    """Even ids that no source gives: whoever writes such a folder gets them back."""
    rows = odd_rows()
    folder = published_folder(at.folder / "0123456789abcdef", [{"messages": row["messages"]} for row in rows])
    for form in FORMS:
        export_version(folder, at.folder / form, form=form, columns=("sample_id",))
        assert len(loaded(at.folder / form, at)) == len(rows)
    return f"{len(FORMS)} forms load with all rows"


def over_an_old_one(at):
    version, _ = at.study.query("select selection_version, scope from selections")[0]
    out = at.folder / "out"
    at.command("export", version, "--out", str(out))
    (out / "mine.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    seen = refused(
        lambda: at.command("export", version, "--format", "hf", "--out", str(out)), "exists", UsageError
    )
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    return f"{seen}; the old one is as it was"


def killed(at):
    _, folder = at.study.query("select selection_version, directory from selections")[0]
    places = (
        "deita_assets.engines.export:_write_beside",
        "deita_assets.stores.new_folder:sync",
        "pathlib:Path.rename",
    )
    export, out = partial(export_version, form="jsonl"), at.folder / "out"
    for place in places:
        assert crashes.run(export, at.home.root / folder, out, kill_at=place) == crashes.KILLED
        assert not out.exists()
    export(at.home.root / folder, out)
    assert [path.name for path in at.folder.iterdir() if path.name.startswith(".")] == []
    assert (out / "train.jsonl").read_bytes() == (at.home.root / folder / "train.jsonl").read_bytes()
    return f"{len(places)} kills: no folder; then whole"


def after_new_rows(at):
    version, _ = versioned(at, odd_rows(), n=5)
    at.command("export", version, "--format", "hf", "--out", str(at.folder / "before"), "--columns", "all")
    at.study.land(
        "odd",
        "odd file.jsonl",
        [*odd_rows()[5:], *(chat(("user", f"n{n}"), ("assistant", "x")) for n in range(9))],
    )
    at.study.read("odd", accept_removals=True)
    at.study.cover("odd")
    score_pool(at.study.warehouse, "odd", "mean")
    publish(at.home)
    at.command("export", version, "--format", "hf", "--out", str(at.folder / "after"), "--columns", "all")
    files = {
        name: {
            str(path.relative_to(at.folder / name)): path.read_bytes()
            for path in (at.folder / name).rglob("*")
            if path.is_file()
        }
        for name in ("before", "after")
    }
    assert files["before"] == files["after"]
    assert len(files["after"]) >= 5
    return f"{len(files['after'])} files, byte for byte"


def altered(at):
    version, folder = versioned(at, odd_rows(), n=5)
    path = folder / "train.jsonl"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b" q", b" Q", 1))
    out = at.folder / "out"
    seen = refused(lambda: at.command("export", version, "--out", str(out)), r"train\.jsonl", StoreError)
    assert not out.exists()
    path.write_bytes(path.read_bytes().replace(b" Q", b" q", 1))
    return seen


def traced(at):
    version, folder = versioned(at, odd_rows())
    found = at.study.query(
        "select sample_id, source, file, file_sha256, line, scorer_complexity, scorer_quality, embedder, rank, verdict "
        "from lineage where selection_version = ?", version,
    )  # fmt: skip
    assert len(found) == len(ODD) == len(lines(folder / "train.jsonl"))
    assert all(value not in (None, "") for row in found for value in row)
    assert sorted(row[4] for row in found) == list(range(1, len(ODD) + 1))
    assert {row[2] for row in found} == {"odd file.jsonl"}
    return "source, file, its sha256, line, fingerprints, rank and verdict of each row"


def untraced(at):
    version, _ = versioned(at, odd_rows())
    with at.study.warehouse.write("damage") as con:
        con.execute(
            "delete from store.occurrence where sample_id = "
            "(select min(sample_id) from store.selection_member where selection_version = ?)", [version],
        )  # fmt: skip
    publish(at.home)
    out = at.folder / "out"
    seen = refused(
        lambda: at.command("export", version, "--out", str(out)),
        "1 of its rows stand in no file on record",
        StoreError,
    )
    assert not out.exists()
    return seen


def unlicensed(at):
    version, _ = versioned(at, odd_rows(), n=5)
    at.settings("require_licence = true\n")
    out = str(at.folder / "out")
    seen = refused(lambda: at.command("export", version, "--out", out), "licence unknown: odd", DeitaError)
    assert not (at.folder / "out").exists()
    with pytest.raises(DeitaError, match="licence unknown: odd"):
        versioned(at, [*odd_rows(), chat(("user", "more"), ("assistant", "x"))], require_licence=True)
    at.settings('require_licence = true\n[sources.odd]\nlicence = "CC0-1.0"\n')
    at.command("export", version, "--out", out)
    assert "CC0-1.0" in (at.folder / "out" / "README.md").read_text(encoding="utf-8")
    return f"{seen}; refused to export and to publish"


def unlicensed_told(at):
    version, folder = versioned(at, odd_rows(), n=5)
    out = at.folder / "out"
    document = json.loads(at.command("--json", "export", version, "--out", str(out)))
    assert document["warnings"] == ["licence unknown: odd; the card says so."]
    for card in (folder / "README.md", out / "README.md"):
        assert "**Licence unknown: odd.**" in card.read_text(encoding="utf-8")
    return "a warning, and a line in both cards"


def case(number, what, how, outcome, do):
    return Case(Fault(number, what, how, outcome), do)


CASES = [
    case(
        "72a",
        "odd ids and texts",
        "slashes, line breaks, four bytes, NUL; three forms, loaded again",
        "as usual",
        odd_ids,
    ),
    case(
        "72a", "odd ids and texts", "as sample ids, which none can be; six forms", "as usual", odd_sample_ids
    ),
    case("72b", "an export over an old one", "into a folder that exists", "refused", over_an_old_one),
    case("72b", "an export that is killed", "SIGKILL at three places", "safe", killed),
    case(
        "72c",
        "an export after the pool has changed",
        "rows left, rows came, other scores",
        "as usual",
        after_new_rows,
    ),
    case("72c", "an export of a version that was altered", "one byte of train.jsonl", "error", altered),
    case("72d", "where does a row come from?", "every row of a version", "as usual", traced),
    case("72d", "a row that stands in no file", "its place taken out of the store", "error", untraced),
    case("72e", "no licence", "require_licence = true", "refused", unlicensed),
    case("72e", "no licence", "the default", "told", unlicensed_told),
]
#: Their cases make a version before the attempt; what is published then stays.
_PREPARED = ("error", "refused")


@pytest.fixture
def at(tmp_path, tmp_path_factory, migrated, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Guarded(published_home(tmp_path, tmp_path_factory, migrated), tmp_path)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_exports(case, at, witness):
    prepared = Fault("72", "", "", "as usual") if case.fault.outcome in _PREPARED else case.fault
    with unharmed(at, prepared):
        seen = case.do(at)
    witness(case.fault, seen)
