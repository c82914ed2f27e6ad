"""`deita-assets atlas`: what it maps, what it refuses, and that its server is for this machine alone."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import uvicorn
from click.testing import CliRunner

from deita_assets.cli import cli
from deita_assets.engines import atlas_page
from deita_assets.engines.atlas import make_atlas
from deita_assets.errors import DeitaError, NotFoundError, UsageError
from deita_assets.stores.home import Home
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.cli.commands import command_line, environment
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped


@pytest.fixture(scope="module")
def scoped(tmp_path_factory: pytest.TempPathFactory) -> Scoped:
    """Source `aa` with subsets of 2 and 4 rows, published."""
    home = Home(tmp_path_factory.mktemp("atlas") / "home").create()
    warehouse = Warehouse(home)
    warehouse.migrate()
    scoped = Scoped(warehouse, Landing(home))
    scoped.random_source("aa", "spread", 15, seed=1)
    ledger = scoped.ledger("aa", threshold=0.9)
    scoped.versions = {n: scoped.subset(ledger, n).selection.version for n in (2, 4)}
    publish(home)
    return scoped


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page that stands for the package's."""
    folder = tmp_path / "embedding_atlas" / "static"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<p>the page</p>")
    monkeypatch.setattr(atlas_page, "page_folder", lambda: folder)
    return folder


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas_page, "page_folder", lambda: None)


def run(scoped: Scoped, *arguments: str):
    given = ["--home", str(scoped.home.root), "--json", "atlas", *arguments]
    return CliRunner().invoke(cli, given, catch_exceptions=True)


def document(scoped: Scoped, *arguments: str):
    done = run(scoped, *arguments)
    assert done.exception is None, done.output
    return json.loads(done.stdout)


def test_a_scope_is_mapped_at_its_largest_current_budget(scoped: Scoped, no_page: None) -> None:
    told = document(scoped, "aa")

    assert (told["scope_kind"], told["scope"], told["budget"]) == ("source", "aa", 4)
    assert (told["n_rows"], told["n_shown"], told["verdicts"]["kept"]) == (15, 15, 4)
    assert Path(told["picture"]).read_bytes().startswith(b"\x89PNG")
    assert pq.read_metadata(told["parquet"]).num_rows == 15
    assert told["url"] is None  # without the page there is a picture all the same


def test_a_version_is_mapped_at_its_budget(scoped: Scoped, no_page: None) -> None:
    told = document(scoped, scoped.versions[2][:8])

    assert (told["budget"], told["verdicts"]["kept"]) == (2, 2)


def test_without_the_page_it_says_how_to_get_it(scoped: Scoped, no_page: None) -> None:
    done = CliRunner().invoke(cli, ["--home", str(scoped.home.root), "atlas", "aa"])

    assert done.exit_code == 0
    assert "pip install 'deita-assets[atlas]'" in done.stderr.replace("\n", " ")
    assert "map.png" in done.stdout


@pytest.mark.parametrize("name", ["coffee", "tea", "ffffffffffff"])
def test_what_is_neither_scope_nor_version_is_refused(scoped: Scoped, name: str) -> None:
    error = run(scoped, name).exception

    assert isinstance(error, NotFoundError)
    assert name in error.message
    assert "aa (source)" in error.message
    assert "selections" in error.cure


def test_an_export_holds_picture_rows_and_page_for_its_owner_alone(
    scoped: Scoped, page: Path, tmp_path: Path
) -> None:
    told = document(scoped, "aa", "--out", str(tmp_path / "out"))

    out = tmp_path / "out"
    assert told["page"] is True
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {path.name for path in out.iterdir()} == {"index.html", "data", "map.png", "map.parquet"}
    assert (out / "data" / "dataset.parquet").read_bytes() == (out / "map.parquet").read_bytes()
    about = json.loads((out / "data" / "metadata.json").read_text())
    columns = set(pq.read_schema(told["parquet"]).names)
    data = about["props"]["data"]
    used = {data["id"], data["text"], data["neighbors"], *data["projection"].values()}
    assert used | set(about["props"]["defaultChartsConfig"]["include"]) <= columns
    assert about["props"]["defaultChartsConfig"]["embedding"]["data"]["category"] == "verdict"
    assert isinstance(run(scoped, "aa", "--out", str(out)).exception, UsageError)  # never over what is there


def test_an_export_without_the_page_has_picture_and_rows(
    scoped: Scoped, no_page: None, tmp_path: Path
) -> None:
    told = document(scoped, "aa", "--out", str(tmp_path / "out"))

    assert told["page"] is False
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"map.png", "map.parquet"}


class Served:
    """One map, served from a thread of this process."""

    def __init__(self, scoped: Scoped, page: Path) -> None:
        with scoped.warehouse.read("map") as con:
            head = con.execute("select ledger_id from store.ledger_head").fetchall()[0][0]
            self.atlas = make_atlas(scoped.home, con, head, 4, method="pca")
        self.socket = atlas_page.bind(0)
        self.port = self.socket.getsockname()[1]
        app = atlas_page.application(self.atlas, page)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    def __enter__(self) -> Served:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()

    def ask(self, path: str, host: str = "", method: str = "GET", **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, headers={"Host": host or f"127.0.0.1:{self.port}", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}


def test_the_page_its_rows_and_nothing_else(scoped: Scoped, page: Path) -> None:
    with Served(scoped, page) as served:
        rows = served.atlas.parquet.read_bytes()
        assert served.ask("/")[:2] == (200, b"<p>the page</p>")
        assert served.ask("/data/dataset.parquet")[:2] == (200, rows)
        assert served.ask("/data/dataset.parquet", Range="bytes=0-3")[:2] == (206, b"PAR1")
        assert json.loads(served.ask("/data/metadata.json")[1])["database"] == {"type": "wasm", "load": True}
        assert served.ask("/map.png")[0] == 404
        assert served.ask("/../../home/warehouse.duckdb")[0] == 404
        assert served.ask("/%2e%2e/%2e%2e/etc/passwd")[0] == 404
        assert served.ask("/data/query", method="POST")[0] in (404, 405)


def test_the_page_may_reach_nothing_but_its_server(scoped: Scoped, page: Path) -> None:
    with Served(scoped, page) as served:
        for path in ("/", "/index.html", "/data/metadata.json", "/data/dataset.parquet"):
            headers = served.ask(path)[2]
            rules = dict(
                rule.strip().partition(" ")[::2] for rule in headers["content-security-policy"].split(";")
            )
            assert rules["default-src"] == "'self'"
            assert not any("*" in rule or "http" in rule for rule in rules.values())
            assert "access-control-allow-origin" not in headers


def test_a_site_under_another_name_is_refused(scoped: Scoped, page: Path) -> None:
    with Served(scoped, page) as served:
        assert served.ask("/data/dataset.parquet", host="evil.example")[0] == 400
        assert served.ask("/data/dataset.parquet", host=f"localhost:{served.port}")[0] == 200


def test_it_listens_on_loopback_alone() -> None:
    with atlas_page.bind(0) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
        with pytest.raises(DeitaError, match="cannot be used"):
            bound.listen()
            atlas_page.bind(bound.getsockname()[1])


@pytest.mark.slow
def test_ctrl_c_ends_the_server_and_leaves_nothing(scoped: Scoped, tmp_path: Path) -> None:
    package = tmp_path / "embedding_atlas"
    (package / "static").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "static" / "index.html").write_text("<p>the page</p>")
    process = subprocess.Popen(
        command_line(scoped.home.root, "--json", "atlas", "aa", "--port", "0", "--projection", "pca"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=environment(PYTHONPATH=str(tmp_path)),  # a page that stands for the package's
    )  # fmt: skip
    url = json.loads(process.stdout.readline())["url"]
    port = int(url.rsplit(":", 1)[1].strip("/"))
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert {address for address in listening if address.endswith(f":{port:04X}")} == {f"0100007F:{port:04X}"}
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # its process group is empty
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
