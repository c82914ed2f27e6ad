"""Names, SQL, paths and addresses: what is given stays what it is, and leads nowhere else."""

import http.server
import json
import os
import threading
from contextlib import closing
from pathlib import Path, PurePosixPath

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deita_assets.cli.find_row import find_row
from deita_assets.cli.look import find_version, scope_kind
from deita_assets.core.hub_names import parse_hub_id
from deita_assets.core.names import BUDGET_PATTERN, is_source_name, validate_budget, validate_mixture_name
from deita_assets.engines.landing import copy_into_landing, landing_files, source_names
from deita_assets.engines.takedown import find_rows
from deita_assets.engines.webhook import WebhookError, post_json, webhook_address
from deita_assets.errors import (
    DeitaError,
    InvalidNameError,
    NotFoundError,
    SettingsError,
    SourceFileError,
    StoreError,
    UsageError,
)
from deita_assets.models.source import find_model
from deita_assets.settings import load_settings
from deita_assets.stores.home import Home
from deita_assets.stores.lance_keys import drop_keys
from deita_assets.stores.row_condition import rows_where_not
from deita_assets.stores.serving import open_serving
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable
from deita_assets_tests.faults.guarded import Case, Guarded, refused, unharmed
from deita_assets_tests.faults.input_home import OLD, published_home
from deita_assets_tests.faults.matrix import Fault

GROUP = "security"
REVISION = "0" * 40

NAMES = [
    "../../etc", "..", ".", "a/b", "a\\b", "a|b", "a'; drop table store.conversation; --", 'a"b', "''", "", " ", "a b",
    "a\0", "a\n", "a\n../b", "x" * 65, "x" * 300, "-a", "_a", "A", "ａ", "pо", "a\u202eb", "é", "$(touch canary)",
    "`id`", "%2e%2e", "hf://x", "/etc", "con\r",
]  # fmt: skip
INJECTIONS = [
    "x' OR true", "x' or '1'='1", "'; delete from store.conversation; --", "'; drop view pool; --", '" or ""="',
    "x\\' or true --", "x'/*", "*/ or true", "%", "_", "x' union select path from store.file --", "$1", "?", "{0}",
    "{condition}", "$text", "\0", "x'; attach 'y' as z; --", "') or ('a'='a",
]  # fmt: skip
CONDITIONS = [
    "true; drop table store.conversation", "true) or (true", "1=1) union select 1 --", "true; copy pool to 'canary'",
    "", "--", "/*", "true limit 1", "'a", "select 1; select 2", "pragma database_list", "install httpfs",
]  # fmt: skip
POWERLESS = [
    "exists (from read_text('/etc/hostname'))", "exists (from read_csv('/etc/passwd'))", "exists (from '/etc/passwd')",
    "exists (from glob('/*'))", "exists (from 'https://127.0.0.1:1/x.parquet')",
    "exists (from query('select 1'))", "exists (from sqlite_scan('x', 'y'))",
]  # fmt: skip
ADDRESSES = [
    "http://169.254.169.254/latest/meta-data", "https://example.org/rows.jsonl", "file:///etc/passwd",
    "ftp://example.org/a.jsonl", "s3://bucket/a.jsonl", "HTTP://example.org/a", "data:/text,1",
]  # fmt: skip
HUB_IDS = [
    "hf://models/ORG/NAME@" + REVISION, "hf://spaces/ORG/NAME@" + REVISION, "hf://datasets/ORG/NAME@main",
    "hf://datasets/ORG/NAME", "hf://datasets/../NAME@" + REVISION, f"hf://datasets/ORG/NAME@{REVISION}/../x",
    f"hf://datasets/ORG/NAME@{REVISION}//etc", f"hf://datasets/ORG/NAME@{REVISION}/a\\b",
    "HF://datasets/ORG/NAME@" + REVISION, f"hf://datasets/ORG/NAME@{REVISION}/a\nb",
    "hf://127.0.0.1/datasets/ORG/NAME@" + REVISION,
]  # fmt: skip
WEBHOOKS = [
    "http://example.org/hook", "http://169.254.169.254/", "file:///tmp/x", "ftp://127.0.0.1/x", "//example.org/x",
    "https://user:word@example.org/x", "https://", "javascript:alert(1)", "http://127.0.0.1.example.org/",
    "https://a b/", "http://localhost.example.org/", "http://[::2]/",
]  # fmt: skip


def any_text(*examples, n=40):
    """A property over any text, tried with these first."""

    def wrap(test):
        for one in examples:
            test = example(one)(test)
        return settings(max_examples=n, deadline=None, database=None)(given(st.text(max_size=80))(test))

    return wrap


def names_refused(at):
    file = str(at.file("a.jsonl"))
    for name in NAMES:
        assert not is_source_name(name), name
        refused(lambda name=name: validate_mixture_name(name), "mixture name", InvalidNameError)
        # `--` ends the options: a name may begin with a hyphen
        refused(lambda name=name: at.command("add", "--", name, file), "source name", InvalidNameError)
    assert list(at.home.landing.iterdir()) == [at.home.source_landing("s")]
    return f"InvalidNameError, {len(NAMES)} names"


def names_in_settings(at):
    for name in NAMES:
        for table in ("sources", "mixtures"):
            quoted = "".join(f"\\u{ord(char):04x}" for char in name)
            at.settings(f'[{table}."{quoted}"]\nthreshold = 0.9\n')
            refused(lambda: load_settings(at.home), "name", SettingsError)
    return f"SettingsError, {len(NAMES)} names as source and as mixture"


def names_in_landing(at):
    for name in ("a'; drop", "A b", "..x", "a|b", "a\nb"):
        (at.home.landing / name).mkdir()
        (at.home.landing / name / "a.jsonl").write_text("{}\n")
    assert source_names(at.home) == ["s"]
    return "five folders passed over: no sources"


def accepted_names(at):
    """What a name does to a path, to SQL, to a partition key, for any name that is accepted."""
    con = duckdb.connect()
    accepted = []

    @settings(max_examples=200, deadline=None, database=None)
    @given(st.one_of(st.text(max_size=70), st.from_regex(r"[a-zA-Z0-9_./'|-]{1,66}", fullmatch=True)))
    def check(name):
        if not is_source_name(name):
            return
        accepted.append(name)
        home = Home(Path("/srv/home"))
        assert os.path.normpath(home.source_landing(name)) == f"/srv/home/landing/{name}"
        assert PurePosixPath(name).parts == (name,)
        assert len(con.extract_statements(f"select '{name}', \"{name}\"")) == 1
        assert con.execute(f"select '{name}'").fetchone() == (name,)
        assert f"7|{name}".split("|") == ["7", name]
        assert name.encode("ascii").decode().casefold() == name

    with closing(con):
        check()
    assert accepted
    return "a path of one part, a literal of SQL and a partition key, unchanged"


def budgets_refused(at):
    bad = ["0", "-1", "01", "1e3", "1 000", "1_000", "٣", "１", "1|x", "1; drop", "1" * 10, "", "+1", "1.0"]
    for budget in bad:
        refused(lambda budget=budget: validate_budget(budget), "budget", InvalidNameError)
    assert BUDGET_PATTERN
    return f"InvalidNameError, {len(bad)} budgets"


def lookups(at):
    """No text finds a row that it does not name, and none fails but in words."""
    with open_serving(at.home) as con:

        @any_text(*INJECTIONS)
        def check(text):
            for look in (find_row, find_version, scope_kind):
                try:
                    found = look(con, text)
                except (NotFoundError, UsageError):
                    continue
                assert look is find_row, (look, text)
                shown = con.execute(
                    "select count(*) from turns where sample_id = ? "
                    "and (contains(instruction, ?) or contains(response, ?))",
                    [found.sample_id, text, text],
                ).fetchone()
                assert shown[0] or text in (found.sample_id or ""), text

        check()
    return "found nothing, or a row that holds the text"


def parameters(at):
    file = at.file("q.sql", "-- $own text = null  a text\nselect $own as given\n")

    @any_text(*(one for one in INJECTIONS if "\0" not in one))
    def check(text):
        if "\0" in text or "\r" in text:  # no argument of a command holds a NUL
            return
        out = at.command("sql", "-f", str(file), "--set", f"own={text}", "--json")
        assert json.loads(out) == [{"given": text}]

    check()
    return "came back as they were given"


def takedowns(at):
    for text in INJECTIONS:
        refused(lambda text=text: find_rows(at.study.warehouse, [text]), ".", DeitaError)
    return f"{len(INJECTIONS)} ids refused, nothing taken down"


def row_texts(at):
    """Texts of rows, ids, columns and files go through every statement of an ingest, a selection and a catalog."""
    rows = [{"instruction": f"{text} q", "output": f"{text} a", "id": text, text: 1} for text in INJECTIONS]
    for n, name in enumerate(("x' or true.jsonl", "a'; drop table store.file; --.jsonl", 'b".jsonl')):
        at.study.land("t", name, rows[n::3])
    report = at.study.read("t")
    at.study.cover("t")
    assert report.n_pool == len(INJECTIONS)
    told = at.study.query(
        "select instruction from turns t join pool p using (sample_id) where p.source = 't'"
    )
    assert sorted(text for (text,) in told) == sorted(f"{text} q" for text in INJECTIONS)
    own = at.study.query("select own_id from pool where source = 't'")
    assert sorted(text for (text,) in own) == sorted(INJECTIONS)
    assert len(at.study.texts("s")) == OLD
    return f"{len(INJECTIONS)} rows came back as they were"


def conditions(at):
    for text in CONDITIONS:
        refused(lambda text=text: rows_where_not(at.study.warehouse, ["s"], text), "where", UsageError)

    @any_text("n_chars > 0", "source = 's'", *INJECTIONS, n=15)
    def check(text):
        try:
            left = rows_where_not(at.study.warehouse, ["s"], text)
        except UsageError:
            return
        assert len(left) <= OLD

    check()
    return f"UsageError, {len(CONDITIONS)} texts; any other text is one condition, or refused"


def conditions_without_power(at):
    for text in POWERLESS:
        refused(lambda text=text: rows_where_not(at.study.warehouse, ["s"], text), "where", UsageError)
    return f"UsageError, {len(POWERLESS)} ways to a file, an extension or the network"


def conditions_that_quote(at):
    """An error of a condition may stand in a log: it may not bring a row there."""
    for text in ("cast(conversations as int) > 1", "conversations::date > date '2020-01-01'"):
        with pytest.raises(UsageError) as caught:
            rows_where_not(at.study.warehouse, ["s"], text)
        assert "words-of-a-row" not in str(caught.value)
        assert "Error on the value of a row" in caught.value.message
        assert caught.value.__suppress_context__  # nor does what is logged of its cause
    return "UsageError: Conversion Error on the value of a row, which is not quoted"


def lance_filters(at):
    """Texts that would be pasted into a filter of LanceDB are names and digests, or are refused."""
    table = ScoreTable(at.home)

    def counts():
        return table._table.count_rows()

    before = counts()

    @any_text(*INJECTIONS)
    def check(text):
        for call in (
            lambda: table.prompts(text, "0" * 64),
            lambda: table.prompts("complexity", text),
            lambda: table.results(text, text),
            lambda: EmbeddingTable(at.home, text),
            lambda: drop_keys(at.home, "scores", "score_key", [text]),
        ):
            with pytest.raises(StoreError):
                call()

    check()
    assert counts() == before
    return "StoreError, no row gone"


def odd_files_in_landing(at):
    folder = at.home.source_landing("s")
    outside = at.file("secret.jsonl")

    def link():
        (folder / "odd.jsonl").symlink_to(outside)

    def up():
        (folder / "odd.jsonl").symlink_to("../../../secret.jsonl")

    def linked_folder():
        (folder / "odd.jsonl").symlink_to(at.folder, target_is_directory=True)

    def proc():
        (folder / "odd.jsonl").symlink_to("/proc/self/environ")

    def fifo():
        os.mkfifo(folder / "odd.jsonl")

    seen = set()
    for make in (link, up, linked_folder, proc, fifo):
        make()
        seen.add(refused(lambda: at.study.read("s"), "is (a symbolic link|no regular file)", SourceFileError))
        (folder / "odd.jsonl").unlink()
    return "; ".join(sorted(seen))


def linked_source(at):
    (at.folder / "elsewhere").mkdir()
    (at.home.landing / "t").symlink_to(at.folder / "elsewhere", target_is_directory=True)
    seen = refused(lambda: landing_files(at.home, "t"), "is a symbolic link", SourceFileError)
    copying = lambda: copy_into_landing(at.home, "t", [at.file("a.jsonl")])  # noqa: E731
    refused(copying, "is a symbolic link", SourceFileError)
    assert list((at.folder / "elsewhere").iterdir()) == []
    return f"{seen}; nothing was written through it"


def odd_files_added(at):
    (at.folder / "d").mkdir()
    os.mkfifo(at.folder / "fifo.jsonl")
    (at.folder / "d" / "link.jsonl").symlink_to(at.file("secret.jsonl"))
    (at.folder / "e").mkdir()
    os.mkfifo(at.folder / "e" / "fifo.jsonl")
    (at.folder / "environ.jsonl").symlink_to("/proc/self/environ")
    (at.folder / "zero.jsonl").symlink_to("/dev/zero")
    seen = set()
    for path in ("/proc/self/environ", "/dev/zero", "environ.jsonl", "zero.jsonl", "fifo.jsonl", "d", "e"):
        given_path = str(at.folder / path)
        for more in ((), ("--dry-run",)):
            pattern = "is (no regular file on a disk|a symbolic link)"
            seen.add(refused(lambda: at.command("add", "t", given_path, *more), pattern, SourceFileError))  # noqa: B023
    assert not at.home.source_landing("t").exists()
    return "; ".join(sorted(seen))


def status_beside(at):
    """One odd file hides nothing of what else there is to say."""
    for source in ("s", "t"):
        at.home.source_landing(source).mkdir(exist_ok=True)
        (at.home.source_landing(source) / "odd.jsonl").symlink_to("/etc/hostname")
    told = json.loads(at.command("--json", "status"))
    assert [(one["source"], one["rows"], bool(one["stale"])) for one in told["sources"]] == [("s", OLD, True)]
    assert "is no regular file" in told["not_ingested"][0]
    return "`status` tells of it, and of the others"


def withdrawals(at):
    at.file("secret.jsonl")
    for name in ("../../../secret.jsonl", "..", "/etc/hostname", "../s/a.jsonl", "../../deita.toml"):
        refused(lambda name=name: at.command("withdraw", "s", name), ".")
    return "DeitaError: no such file of the source"


def exports_through_links(at):
    (version,) = at.study.query("select selection_version from selections")[0]
    (at.folder / "target").mkdir()
    (at.folder / "out").symlink_to(at.folder / "target", target_is_directory=True)
    (at.folder / "nowhere").symlink_to(at.folder / "new")
    seen = {
        refused(lambda out=out: at.command("export", version, "--out", str(at.folder / out)), "exists")
        for out in ("out", "target", "nowhere")
    }
    assert list((at.folder / "target").iterdir()) == []
    assert not (at.folder / "new").exists()
    return "; ".join(sorted(seen))


def addresses_added(at):
    for text in ADDRESSES:
        refused(
            lambda text=text: at.command("add", "t", text), "addresses are not fetched from", NotFoundError
        )
    return "NotFoundError: addresses are not fetched from"


def addresses_in_settings(at):
    places = ["scorer.complexity_model", "scorer.quality_model", "scorer.heads", "embedder.model", "training.labels",
              "training.complexity_set", "training.quality_set"]  # fmt: skip
    for place in places:
        section, key = place.split(".")
        at.settings(f'[{section}]\n{key} = "https://u:word@example.org/m"\n')
        with pytest.raises(SettingsError, match="found an address") as caught:
            load_settings(at.home)
        assert "word@" not in str(caught.value)
    refused(lambda: find_model("https://u:word@example.org/m"), "found an address")
    return f"SettingsError: found an address, in {len(places)} places"


def hub_ids(at):
    for text in HUB_IDS:
        refused(lambda text=text: parse_hub_id(text), ".", InvalidNameError)
        at.settings(f"[sources.t]\nhub = {json.dumps(text)}\n")
        refused(lambda: load_settings(at.home), ".", SettingsError)
    return f"InvalidNameError, {len(HUB_IDS)} ids"


def webhook_addresses(at):
    with pytest.MonkeyPatch.context() as patch:
        for text in WEBHOOKS:
            patch.setenv("DEITA_ALERT_WEBHOOK", text)
            with pytest.raises(SettingsError) as caught:
                webhook_address()
            assert text == "https://" or text not in str(caught.value)
            assert "user:word" not in str(caught.value)
    return f"SettingsError, {len(WEBHOOKS)} addresses, none repeated"


def redirects(at):
    asked = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        seen = refused(
            lambda: post_json(f"http://127.0.0.1:{server.server_port}/hook", {}),
            "HTTP status 307",
            WebhookError,
        )
        server.shutdown()
    assert asked == ["/hook"]
    return seen


def case(number, what, how, outcome, do):
    return Case(Fault(number, what, how, outcome), do)


CASES = [
    case(
        "69a",
        "a name that leads elsewhere",
        "paths, SQL, look-alikes, 300 characters, NUL: `add`",
        "refused",
        names_refused,
    ),
    case("69a", "a name that leads elsewhere", "the same in deita.toml", "refused", names_in_settings),
    case("69a", "a name that leads elsewhere", "as folders in landing", "as usual", names_in_landing),
    case(
        "69a",
        "a name that leads elsewhere",
        "any name that is accepted (generated)",
        "impossible",
        accepted_names,
    ),
    case("69a", "a budget that is none", "signs, zeros, other digits, SQL", "refused", budgets_refused),
    case(
        "69b",
        "SQL in a text that is looked for",
        "rows, versions and scopes (generated)",
        "impossible",
        lookups,
    ),
    case("69b", "SQL in a parameter", "`sql --set` (generated)", "impossible", parameters),
    case("69b", "SQL in an id", "`takedown`", "refused", takedowns),
    case("69b", "SQL in rows", "texts, own ids, columns and names of files", "as usual", row_texts),
    case(
        "69b",
        "a condition that is more than one",
        "`where`, statements and brackets (generated)",
        "refused",
        conditions,
    ),
    case(
        "69b",
        "a condition that reaches out",
        "`where`, files, extensions and addresses",
        "refused",
        conditions_without_power,
    ),
    case(
        "69b", "a condition that fails on a row", "`where`, casts of the text", "error", conditions_that_quote
    ),
    case(
        "69b",
        "a filter of LanceDB that says more",
        "`x' OR true` as measure, fingerprint, key (generated)",
        "refused",
        lance_filters,
    ),
    case(
        "69c", "a file in landing that is none", "links, `..`, /proc, a FIFO", "refused", odd_files_in_landing
    ),
    case("69c", "a source's folder that is a link", "read, and copied into", "refused", linked_source),
    case(
        "69c",
        "a file to add that is none",
        "/proc, devices, FIFOs, links in a folder",
        "refused",
        odd_files_added,
    ),
    case("69c", "a file in landing that is none", "a link in two sources: `status`", "told", status_beside),
    case("69c", "a file to withdraw that is outside", "`..` and absolute paths", "refused", withdrawals),
    case("69c", "an export through a link", "to a folder, and to nothing", "refused", exports_through_links),
    case("69d", "an address to add", "http, https, file, ftp, s3", "refused", addresses_added),
    case(
        "69d",
        "an address in the place of a model",
        "in deita.toml and in Python",
        "refused",
        addresses_in_settings,
    ),
    case("69d", "a hub id that is none", "kinds, branches, `..`, other hosts", "refused", hub_ids),
    case(
        "69d",
        "a webhook that everyone could read",
        "http, file, passwords, look-alikes of loopback",
        "refused",
        webhook_addresses,
    ),
    case("69d", "a webhook that sends elsewhere", "a redirect", "error", redirects),
]


@pytest.fixture
def at(tmp_path, tmp_path_factory, migrated):
    return Guarded(published_home(tmp_path, tmp_path_factory, migrated), tmp_path)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_security(case, at, witness):
    with unharmed(at, case.fault):
        seen = case.do(at)
    witness(case.fault, seen)
