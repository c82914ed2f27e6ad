"""What can be reached from outside, and what reaches outside: SQL of analysts, servers, the network, packages."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

from deita_assets.cli import COMMANDS, dev
from deita_assets.defs.instance import open_instance
from deita_assets.engines import atlas_page
from deita_assets.errors import QueryTimeoutError, UsageError
from deita_assets.stores.serving import open_serving
from deita_assets_tests.browser.dev_server import dev_server
from deita_assets_tests.cli.commands import TEA, command_line, environment, write_jsonl
from deita_assets_tests.faults.guarded import Case, Guarded, refused, unharmed
from deita_assets_tests.faults.input_home import published_home
from deita_assets_tests.faults.matrix import Fault

GROUP = "security"
_ROOT = Path(__file__).parents[2]
HARMFUL = [
    "copy pool to '{path}'", "copy (select 1) to '{path}' (format parquet)", "export database '{path}'",
    "attach '{path}' as d", "attach ':memory:' as m; create table m.x as select 1; copy m.x to '{path}'",
    "from read_text('/etc/passwd')", "from read_blob('/etc/passwd')", "from read_csv('/etc/passwd')",
    "from read_parquet('{home}/subsets/**/*.parquet')", "from '/etc/passwd'", "from glob('/*')",
    "from read_json('https://127.0.0.1:1/x')", "from 'https://127.0.0.1:1/x.parquet'", "from 's3://bucket/x.parquet'",
    "install httpfs", "load httpfs", "load '{path}'", "install httpfs from 'http://127.0.0.1:1'",
    "set enable_external_access = true", "set lock_configuration = false", "reset lock_configuration",
    "set memory_limit = '1TB'", "set threads = 64", "set temp_directory = '/tmp'", "pragma enable_profiling",
    "pragma memory_limit='1TB'", "set custom_extension_repository = 'http://127.0.0.1:1'",
    "create secret (type s3, key_id 'a', secret 'b')", "create table main.x as select 1",
    "delete from store.conversation",
    "drop table store.conversation", "update store.source set licence = 'x'", "insert into store.source values (1)",
    "alter table store.source rename to x", "drop view pool", "create or replace view pool as select 1",
    "checkpoint; copy pool to '{path}'", "select getenv('HF_TOKEN')", "from rows", "from con",
    "import database '{path}'", "call dbgen(sf = 1)", "from sqlite_scan('{path}', 'x')",
    "from query('copy pool to ''{path}''')",
    "prepare p as copy pool to '{path}'", "explain analyze copy pool to '{path}'",
]  # fmt: skip
#: Loaded by every Python that is started below it: nothing but this machine can be connected to, or looked up.
_BLOCKED = """
import os, socket
_LOCAL = {"localhost", "127.0.0.1", "::1", "", None, socket.gethostname()}
_connect, _connect_ex, _sendto, _lookup = (
    socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.getaddrinfo)
def _refuse(what):
    with open(os.environ["REACHED"], "a") as file:
        file.write(f"{what}\\n")
    raise OSError(101, "the network is cut off")
def _local(self, address):
    return self.family == socket.AF_UNIX or (isinstance(address, tuple) and address[0] in _LOCAL)
def connect(self, address):
    return _connect(self, address) if _local(self, address) else _refuse(address)
def connect_ex(self, address):
    return _connect_ex(self, address) if _local(self, address) else _refuse(address)
def getaddrinfo(host, *args, **options):
    name = host.decode() if isinstance(host, bytes) else host
    return _lookup(host, *args, **options) if name in _LOCAL else _refuse(host)
def gethostbyname(host):
    return "127.0.0.1" if host in _LOCAL else _refuse(host)
socket.socket.connect, socket.socket.connect_ex = connect, connect_ex
socket.getaddrinfo, socket.gethostbyname = getaddrinfo, gethostbyname
"""


class CutOff:
    """A home whose commands run in processes without a network; `reached` is what they tried."""

    def __init__(self, folder):
        self.home, self._log = folder / "cut_off", folder / "reached"
        self._site = folder / "site"
        self._site.mkdir()
        (self._site / "sitecustomize.py").write_text(_BLOCKED)
        # Where the kernel allows it, there is no network at all, for libraries in other languages as well.
        alone = ["unshare", "--user", "--map-root-user", "--net"]
        possible = shutil.which("unshare") and subprocess.run(
            [*alone, "true"], capture_output=True, check=False
        )
        self._alone = alone if possible and possible.returncode == 0 else []

    def python(self, *arguments):
        extra = {"PYTHONPATH": str(self._site), "REACHED": str(self._log), "HF_HUB_OFFLINE": "0"}
        kept = {k: v for k, v in environment(**extra).items() if not k.lower().endswith("_proxy")}
        return subprocess.run(
            [*self._alone, sys.executable, *arguments], capture_output=True, text=True, env=kept, timeout=500,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def command(self, *arguments):
        done = self.python(*command_line(self.home, *arguments)[1:])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def reached(self):
        return self._log.read_text().splitlines() if self._log.exists() else []


def analysts(at):
    path = at.folder / "canary"
    for text in HARMFUL:
        query = text.format(path=path, home=at.home.root)
        refused(lambda query=query: at.command("sql", query), "SQL: ", UsageError)
        refused(lambda query=query: at.command("sql", "--csv", query), "SQL: ", UsageError)
    assert json.loads(at.command("--json", "sql", "select count(*) as n from pool")) == [{"n": 10}]
    return f"UsageError, {len(HARMFUL)} statements"


def analysts_limits(at):
    with open_serving(at.home) as con:
        found = con.execute(
            "select current_setting('lock_configuration'), current_setting('enable_external_access'), "
            "current_setting('autoinstall_known_extensions'), current_setting('threads')"
        ).fetchone()
        (memory,) = con.execute("select current_setting('memory_limit')").fetchone()
    assert found[:3] == (True, False, False)
    assert 1 <= found[3] <= 8
    assert re.match(r"[0-9.]+ [MGT]iB", memory)
    return "configuration locked, no external access, at most eight threads, a memory limit"


def runaway(at):
    query = "select count(*) from range(100000) a, range(10000000) b where (a.range * b.range) % 7 = 1"
    return refused(
        lambda: at.command("sql", query, "--timeout", "0.5"), "the query was stopped", QueryTimeoutError
    )


def names_of_columns(at):
    """Names that JSON, a terminal or a dictionary could take for something else, and values that JSON lacks."""
    out = at.command(
        "--json", "sql",
        "select 1 as \"__proto__\", 2 as \" \", 3 as \"\x9b31m\", 'nan'::double as n, 1e400::double as i, 5 as a, "
        "6 as a, '\x1b[2J\u2028' as t, '\\xAA'::blob as b, interval 1 day as d, [1, null] as l, "
        "{'k': date '2020-01-01'} as s",
    )  # fmt: skip
    (row,) = json.loads(out)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)
    assert (row["__proto__"], row[" "], row["\x9b31m"], row["n"], row["i"], row["a"], row["a_2"]) == (
        1,
        2,
        3,
        None,
        None,
        5,
        6,
    )
    assert row["t"] == "\x1b[2J\u2028"
    return "one document, every column, control characters escaped"


def dev_binds(at):
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dev.os, "execve", lambda *arguments: asked.append(arguments))
        patch.setattr(dev.subprocess, "Popen", lambda *_, **__: None)
        patch.setattr(dev.signal, "signal", lambda *_: None)
        at.command("dev", "--port", "3999")
    ((_, arguments, _),) = asked
    assert arguments[arguments.index("-h") + 1] == "127.0.0.1"
    assert not {"0.0.0.0", "::"} & set(arguments)  # noqa: S104 - what must not be there
    return "dagster dev -h 127.0.0.1; there is no option for another address"


def listening(session):
    """Addresses that the processes of a session listen on, as the kernel has them."""
    inodes = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(process.name)) == session:
                inodes |= {str(handle.readlink()) for handle in (process / "fd").iterdir()}
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in inodes:
                words = bytes.fromhex(local.partition(":")[0])
                turned = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                found.add(socket.inet_ntop(family, turned))
    return found


def dev_listens(at):
    """Webserver, daemon, code server and whatever else they start."""
    with dev_server(at.home.root, at.folder / "log") as server:
        port = int(server.url.rpartition(":")[2])
        owner = next(
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if f"{port}".encode() in _command_line(process) and b"dagster" in _command_line(process)
        )
        found = listening(os.getsid(owner))
    assert found
    assert all(ip_address(address).is_loopback for address in found), found
    return "every socket that it listens on is on loopback"


def _command_line(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def read_only(at):
    """What SECURITY.md tells operators to start is there."""
    page = (_ROOT / "SECURITY.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"`(dagster-webserver [^`]*)`", page)
    done = subprocess.run(
        [Path(sys.executable).parent / "dagster-webserver", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", done.stdout))
    assert {word for word in line.split() if word.startswith("-")} <= options
    assert "--read-only" in line
    for name in re.findall(r"deita-assets ([a-z]+)", page):
        assert name in COMMANDS, name
    return "the options of SECURITY.md are those of the webserver"


def atlas_binds(at):
    with atlas_page.bind(0) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
        port = bound.getsockname()[1]
        bound.listen()
        others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        for address in others - {"127.0.0.1", "127.0.1.1"}:
            with socket.socket() as asking, pytest.raises(OSError, match=r"."):
                asking.connect((address, port))
    return "bound to 127.0.0.1"


def telemetry(at):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DAGSTER_HOME", "DEITA_HOME"):
            patch.setenv(name, os.environ.get(name, ""))
        instance = open_instance(at.home)
        try:
            assert instance.telemetry_enabled is False
            assert instance.nux_enabled is False
        finally:
            instance.dispose()
    return "off in a new home, and no newsletter"


def offline_short(at):
    cut = CutOff(at.folder)
    cut.command("add", "tea", str(write_jsonl(at.folder / "tea.jsonl", TEA)))
    assert json.loads(cut.command("--json", "sql", "select count(*) as n from pool")) == [{"n": 4}]
    done = cut.python(
        "-c", "import deita_assets.definitions as d; print(len(list(d.defs.resolve_all_asset_specs())))"
    )
    assert done.returncode == 0, done.stderr
    assert cut.reached == []
    return "added, asked and defined without one connection"


def offline_whole(at):
    cut = CutOff(at.folder)
    cut.command("add", "tea", str(write_jsonl(at.folder / "tea.jsonl", TEA)))
    cut.command("curate", "--budget", "2")
    (made,) = json.loads(cut.command("--json", "selections"))
    cut.command("export", made["selection_version"], "--out", str(at.folder / "out"))
    assert all(check["ok"] for check in json.loads(cut.command("--json", "doctor")))
    assert (made["n_rows"], cut.reached) == (2, [])
    return "scored, embedded, selected, exported and diagnosed without one connection"


def cut_off(at):
    """The block is one: what looks for the hub is noticed."""
    cut = CutOff(at.folder)
    hub = "hf://datasets/org/name@" + "0" * 40
    done = cut.python(*command_line(cut.home, "add", "tea", hub)[1:])
    assert done.returncode == 1
    assert "could not be fetched" in done.stderr
    assert "Traceback" not in done.stderr
    assert cut.reached
    return "HubError: could not be fetched"


def _dependencies():
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {
        re.match(r"[A-Za-z0-9_.-]+", one)[0].lower().replace("_", "-") for group in groups for one in group
    }


def pinned(at):
    lines = (_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {}
    for line in (line.partition("#")[0].strip() for line in lines):
        if line:
            found = re.fullmatch(r"([a-z0-9._-]+)==([0-9][A-Za-z0-9.+!-]*)( ; .+)?", line)
            assert found, f"no exact version: {line}"
            pins[found[1].replace("_", "-")] = found[2]
    assert _dependencies() - pins.keys() == set()
    assert not any(mark in line for line in lines for mark in ("://", "--index", "--extra", "-e ", "git+"))
    return "an exact version for every dependency, no address"


def installed_with_constraints(at):
    texts = {
        name: (_ROOT / name).read_text(encoding="utf-8") for name in (".ci/run", "README.md", "Makefile")
    }
    for name, text in texts.items():
        for line in re.findall(r"^.*\bpip\"? install .*$", text, re.MULTILINE):
            if "deita-assets[" in line or "--upgrade pip" in line:  # what a user adds to an environment
                continue
            assert "-c constraints.txt" in line, f"{name}: {line}"
        assert not re.search(r"curl [^|]*\| *(ba)?sh|--trusted-host|verify=False", text), name
    assert "-c constraints.txt" in texts[".ci/run"]
    return "with `-c constraints.txt` in CI, README and Makefile"


def case(number, what, how, outcome, do):
    return Case(Fault(number, what, how, outcome), do)


CASES = [
    case("71b", "a server that others reach", "`dev`", "impossible", dev_binds),
    case("71b", "a server that others reach", "`atlas`", "impossible", atlas_binds),
    pytest.param(
        case(
            "71b", "a server that others reach", "`dev`, by the kernel's own table", "impossible", dev_listens
        ),
        marks=pytest.mark.slow,
    ),
    case(
        "71b", "a UI that others are to see", "the read-only webserver of SECURITY.md", "as usual", read_only
    ),
    case(
        "71c",
        "SQL of an analyst that does harm",
        "files, network, extensions, settings, writing",
        "refused",
        analysts,
    ),
    case("71c", "SQL of an analyst that does harm", "limits of every query", "impossible", analysts_limits),
    case("71c", "a query without end", "a cross join, half a second", "error", runaway),
    case(
        "71c",
        "names of columns that JSON cannot hold",
        "doubled, blank, control characters",
        "as usual",
        names_of_columns,
    ),
    case("71d", "telemetry", "a new home", "impossible", telemetry),
    case("71d", "no network", "add, query, load the definitions", "as usual", offline_short),
    case("71d", "no network", "a dataset of the hub", "error", cut_off),
    pytest.param(
        case(
            "71d", "no network", "curate, export, doctor, with the default models", "as usual", offline_whole
        ),
        marks=pytest.mark.slow,
    ),
    case(
        "71e", "a package of another version", "constraints.txt against pyproject.toml", "impossible", pinned
    ),
    case(
        "71e",
        "a package of another version",
        "what CI and the pages install",
        "impossible",
        installed_with_constraints,
    ),
]


@pytest.fixture
def at(tmp_path, tmp_path_factory, migrated):
    return Guarded(published_home(tmp_path, tmp_path_factory, migrated), tmp_path)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reach(case, at, witness):
    with unharmed(at, case.fault):
        seen = case.do(at)
    witness(case.fault, seen)
