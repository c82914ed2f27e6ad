"""Texts of rows, names of files and columns that mean something to what shows them: they are shown as texts."""

import contextlib
import csv
import io
import json
import re
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from deita_assets.cli import main
from deita_assets.defs import metadata
from deita_assets.engines import atlas_page
from deita_assets.engines.atlas import make_atlas
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import make_ledger
from deita_assets.exports.escaping import escaped, table
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.serving import publish
from deita_assets_tests.faults.damaged_home import without_figure
from deita_assets_tests.faults.guarded import Case, Guarded, unharmed
from deita_assets_tests.faults.input_home import published_home
from deita_assets_tests.faults.matrix import Fault

GROUP = "security"
#: To terminals: titles, clearing, colour by one byte, direction, carriage return. To rich: markup that closes nothing.
TERMINAL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\r\rfine \x08\x7f[red]x[/red][/bold] [link=http://evil.example]y[/link]"
#: To browsers and Markdown.
MARKUP = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> ![x](http://evil.example/x.png) [l](javascript:alert(1)) "
    "`c` | # h\n\n# head\n***\n<http://evil.example> http://evil.example/a @evil a&lt;b \\| ~~s~~ &#60;script&#62;"
)
#: To spreadsheets.
FORMULA = "=cmd|' /C calc'!A1"
HOSTILE = [f"{TERMINAL}{MARKUP}", f"{FORMULA}{TERMINAL}", f"{MARKUP}{TERMINAL}", f"@SUM(1) {TERMINAL}"]
FILE = f"a{TERMINAL}[/red]<b>|`.jsonl".replace("/", "")
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def hostile_home(at):
    """Source `h` of hostile rows, with near-duplicates and rows in quarantine; published."""
    rows = [
        {"instruction": f"{text} {n}", "output": f"{text} a", "id": f"{n}{text}", text: 1}
        for n, text in enumerate(HOSTILE * 2)
    ]
    lines = [json.dumps(row).encode() for row in [*rows, rows[0]]]
    broken = [
        b"{" + TERMINAL.replace("\r", "").encode(),
        json.dumps({"instruction": TERMINAL, TERMINAL: 1}).encode(),
    ]
    at.study.land("h", FILE, b"\n".join([*lines, *broken]) + b"\n")
    report = at.study.read("h")
    assert (report.n_pool, report.n_quarantined) == (8, 2)
    at.study.cover("h")
    score_pool(at.study.warehouse, "h", "sum")
    ledger = make_ledger(
        at.study.warehouse, Scope("source", "h", ("h",)), SelectionParameters(0.6), budget=None
    )
    with without_figure():
        done = cut_subset(
            at.study.warehouse, ledger, ledger.n_kept, provenance={"run_id": "first"}, show_rows=True
        )
    publish(at.home)
    at.version, at.ledger, at.subset = done.selection.version, ledger, done.directory
    return at


def run(at, *arguments):
    """(exit code, everything that a command prints, stderr too)."""
    at.capfd.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["--home", str(at.home.root), *arguments])
    printed = at.capfd.readouterr()
    assert "Traceback" not in printed.err, printed.err
    return left.value.code, printed.out, printed.err


def commands(at):
    ((sample,), *_) = at.study.query("select sample_id from pool where source = 'h' order by 1")
    ((dropped,), *_) = at.study.query(
        "select sample_id from ledger where verdict = 'near_duplicate' and scope = 'h'"
    )
    other = at.file(
        FILE, (at.home.source_landing("h") / FILE).read_bytes() + b'{"instruction": "new", "output": "x"}\n'
    )
    return [
        (0, "status"), (0, "rows", "h"), (0, "rows", "h", "--sort", "similarity"), (0, "explain", sample),
        (0, "explain", dropped), (0, "explain", TERMINAL), (0, "explain", f"{FILE}:1"), (0, "explain", f"{FILE}:11"),
        (1, "explain", f"nothing {TERMINAL}"), (0, "sql", "select * from pool where source = 'h'"),
        (0, "sql", f"select 1 as \"{TERMINAL.replace(chr(34), '')}\""), (2, "sql", f"select {TERMINAL}"),
        (0, "sql", "select * from quarantine"), (0, "selections"), (0, "quarantine"),
        (0, "quarantine", "--source", "h"),
        (0, "export", at.version, "--out", str(at.folder / "out"), "--columns", "all"),
        (0, "export", at.version, "--out", str(at.folder / TERMINAL.replace("/", ""))),
        (1, "diff", at.version, f"123456{TERMINAL}"), (0, "verify"), (0, "add", "h", str(other), "--dry-run"),
        (2, "add", TERMINAL, str(other)), (1, "add", "h", str(at.folder / f"none{TERMINAL}")),
        (0, "atlas", "h", "--projection", "pca", "--out", str(at.folder / "map")),
        (1, "withdraw", "h", f"none{TERMINAL}"), (1, "takedown", f"none{TERMINAL}", "--reason", TERMINAL),
    ]  # fmt: skip


def terminals(at):
    """No character of a row, a name or an argument reaches a terminal as anything but a character."""
    asked = commands(hostile_home(at))
    for code, *arguments in asked:
        left, out, err = run(at, *arguments)
        assert left == code, (arguments, out, err)
        assert not OBEYED.search(out + err), (arguments, OBEYED.findall(out + err))
    return f"{len(asked)} commands: shown as U+FFFD or as escapes"


def json_documents(at):
    """The same as JSON: a document that holds every character, written without one that a terminal obeys."""
    asked = commands(hostile_home(at))
    seen = 0
    for _, name, *arguments in asked:
        _, out, _ = run(at, "--json", name, *arguments)
        assert not OBEYED.search(out), (name, arguments)
        seen += TERMINAL in json.dumps(json.loads(out), ensure_ascii=False) or "\\u202e" in out
    assert seen > 10
    (row, *_) = json.loads(
        run(at, "--json", "sql", "select instruction from turns where instruction like '%SUM(1)%'")[1]
    )
    assert row["instruction"].startswith(f"@SUM(1) {TERMINAL}")
    return f"{len(asked)} documents, escaped in JSON, equal to the row when read"


class Screen(io.StringIO):
    def isatty(self):
        return True


def csv_files(at):
    hostile_home(at)
    asked = ("sql", "--csv", "select instruction from turns where sample_id like 'h:%' order by 1")
    _, out, _ = run(at, *asked)
    rows = [row[0] for row in list(csv.reader(io.StringIO(out, newline="")))[1:]]
    known = [
        row[0]
        for row in at.study.query("select instruction from turns where sample_id like 'h:%' order by 1")
    ]
    assert rows == known
    assert any(row.startswith("=") for row in rows)
    with contextlib.redirect_stdout(Screen()) as screen, pytest.raises(SystemExit):
        main(["--home", str(at.home.root), *asked])
    assert not OBEYED.search(screen.getvalue())
    _, told, _ = run(at, "sql", "--help")
    assert "formula to a spreadsheet" in " ".join(told.split())
    return (
        "files hold what rows hold, and the help says what a spreadsheet makes of it; escaped on a terminal"
    )


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def tags(markdown):
    """What a browser would see of Markdown, by a renderer that lets HTML through and makes links of addresses."""
    return Tags(
        MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    ).found


def cards(at):
    hostile_home(at)
    run(at, "export", at.version, "--out", str(at.folder / "out"))
    for path in (at.subset / "README.md", at.folder / "out" / "README.md"):
        text = path.read_text(encoding="utf-8")
        assert "## Near-duplicates" in text  # rows are shown
        assert not OBEYED.search(text)
        _, _, body = text.removeprefix("---\n").partition("\n---\n")
        for tag, attributes in tags(body):
            assert tag not in ("script", "iframe", "b", "del")
            assert tag != "img" or attributes["src"] == "card.png"
            assert tag != "a" or "evil" not in attributes["href"]
            assert not any(name.startswith("on") for name in attributes)
        assert not re.search(r"(?<!&#58;)https?://evil", body)
    return "no tag, image, link or heading of a row in two cards"


_TABLE = {"table", "thead", "tbody", "tr", "th", "td"}


def any_cell(render):
    @settings(max_examples=150, deadline=None, database=None)
    @given(st.text(max_size=60))
    def check(text):
        found = [tag for tag, _ in tags(render(text))]
        assert set(found) <= _TABLE, (text, found)
        assert found.count("td") == 2, (text, found)
        assert not OBEYED.search(render(text))

    for text in (*HOSTILE, MARKUP, FORMULA, TERMINAL):
        check = example(text)(check)
    check()


def card_cells(at):
    any_cell(lambda text: "\n".join(table(["a", "b"], [[escaped(text), "x"]])))
    return "one cell of plain text"


def ui_cells(at):
    def render(text):
        value = metadata.table(["a", "b"], [(text, "x")])
        return value.md_str

    any_cell(render)
    record = metadata.text_table(["a"], [(HOSTILE[0],)]).records[0].data["a"]
    assert str(record).isprintable()
    return "one cell of plain text, in Markdown and in tables of Dagster"


def atlas_maps(at):
    hostile_home(at)
    with at.study.warehouse.read("map") as con:
        atlas = make_atlas(at.home, con, at.ledger.ledger_id, 2, method="pca")
    told = json.dumps(atlas_page.metadata(atlas))
    picture = atlas.picture.read_bytes()
    for word in ("script", "evil", "SUM(1)", "cmd|"):
        assert word not in told
        assert word.encode() not in picture
    assert any("SUM(1)" in text for text in pq.read_table(atlas.parquet)["instruction"].to_pylist())
    policy = atlas_page._HEADERS["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert "http" not in policy
    return "texts stand in Parquet alone; the page may load from its own server alone"


def case(number, what, how, outcome, do):
    return Case(Fault(number, what, how, outcome), do)


CASES = [
    case(
        "70c",
        "text that a terminal would obey",
        "escapes, C1, directions, rich's markup: 26 commands",
        "as usual",
        terminals,
    ),
    pytest.param(
        case("70c", "text that a terminal would obey", "the same as --json", "as usual", json_documents),
        marks=pytest.mark.slow,
    ),
    case("70c", "text that is a formula to a spreadsheet", "`sql --csv`", "told", csv_files),
    case("70c", "HTML and Markdown in rows", "cards of a version and of an export", "as usual", cards),
    case("70c", "HTML and Markdown in rows", "cells of cards (generated)", "as usual", card_cells),
    case("70c", "HTML and Markdown in rows", "cells of the UI (generated)", "as usual", ui_cells),
    case("70c", "HTML and Markdown in rows", "the map of a pool", "as usual", atlas_maps),
]


@pytest.fixture
def at(tmp_path, tmp_path_factory, migrated, capfd, monkeypatch):
    # An export of the map copies the page of the package, which has nothing to show here.
    monkeypatch.setattr(atlas_page, "page_folder", lambda: None)
    made = Guarded(published_home(tmp_path, tmp_path_factory, migrated), tmp_path)
    made.capfd = capfd
    return made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shown_text(case, at, witness):
    with unharmed(at, case.fault):
        seen = case.do(at)
    witness(case.fault, seen)
