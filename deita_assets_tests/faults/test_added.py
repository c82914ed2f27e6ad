"""Bad files on the command line: what a user is told, and what stands afterwards."""

import json
from dataclasses import dataclass

import pytest

from deita_assets.cli import main
from deita_assets.stores.home import Home
from deita_assets_tests.faults.input_home import Case, beside, good, one
from deita_assets_tests.faults.invariant import CANARY, watched
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.readers import packing

GROUP = "rows"
MALFORMED = [b'{"instruction": "' + CANARY.encode() + b'", "output": ' for _ in range(60)]
QUESTIONS = packing.jsonl([{"question_id": n, "turns": [f"{CANARY} {n}"]} for n in range(60)])


@dataclass
class Commands:
    """The command line in this process, and the one home that all cases share."""

    home: Home
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments, code=0):
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(self.home.root), *arguments, "--json"])
        self.said = self.capsys.readouterr()
        assert ended.value.code == code, self.said
        return json.loads(self.said.out)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("added") / "home")


@pytest.fixture
def commands(shared, tmp_path, capsys):
    run = Commands(shared, capsys)
    if not shared.warehouse.exists():
        (tmp_path / "a.jsonl").write_bytes(packing.jsonl([good(n) for n in range(5)]))
        run("add", "s", str(tmp_path / "a.jsonl"))
    return run


def kept_to_read(commands, file):
    """Every row of the refused ingest, until another ingest goes well."""
    rows = commands("quarantine", "--source", "s", "--limit", "100")
    assert [(row["file"], row["line"], row["reason"]) for row in rows] == [
        (file.name, line, "malformed_json") for line in range(2, 62)
    ]
    assert "its last ingest was refused" in commands.said.err
    assert commands("sql", "select count(*) as n from quarantine")[0]["n"] == 0
    commands.home.settings.write_text("[sources.s]\nquarantine_limit = 0.97\n", encoding="utf-8")
    report = commands("add", "s", str(file))
    assert (report["in_pool"], report["quarantined"]) == (7, 60)
    assert len(commands("quarantine", "--source", "s", "--limit", "100")) == 60
    assert "refused" not in commands.said.err
    commands.home.settings.unlink()
    return f"{len(rows)} rows to read, and in quarantine once `quarantine_limit` allowed them"


def unknown_still(commands, file):
    """A source that never came to be can be asked for what was wrong with it, and has no partition."""
    rows = commands("quarantine", "--source", "new", "--limit", "100")
    assert [row["line"] for row in rows] == list(range(2, 62))
    assert "new" not in {row["source"] for row in commands("status")["sources"]}
    return f"{len(rows)} rows to read, of a source that does not exist"


CASES = [
    Case(
        Fault("3", "a file in UTF-16", "`add` to a source", "error"),
        one(packing.jsonl([good(50)]).decode().encode("utf-16")),
        error="is in UTF-16LE, expected UTF-8.",
    ),
    Case(
        Fault("8", "a file without rows", "`add` to a source that does not exist", "error"),
        one(b"\n"),
        error="holds no rows.",
        source="none",
    ),
    Case(
        Fault("25", "too many malformed rows", "`add` of 60 of 62 to a source that does not exist", "error"),
        one(beside(*MALFORMED)),
        error="60 of the 62 rows read are malformed",
        source="new",
        also=unknown_still,
    ),
    Case(
        Fault("25", "too many malformed rows", "`add` of 60 questions without answers", "error"),
        one(QUESTIONS),
        error="60 of the 60 rows read are malformed",
        source="bench",
    ),
    Case(
        Fault("25", "too many malformed rows", "`add` of 60 of 62 to a source", "error"),
        one(beside(*MALFORMED)),
        error="60 of the 62 rows read are malformed",
        also=kept_to_read,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_added(case, commands, tmp_path, witness, caplog):
    ((name, content),) = case.files().items()
    file = tmp_path / name
    file.write_bytes(content)
    with watched(commands.home, caplog) as seen:
        found = commands("add", case.source, str(file), code=1)
        seen.error = RuntimeError(found["message"] + found["cure"] + commands.said.err)
    assert case.error in found["message"]
    assert found["cure"]
    assert "exclusion_sets" in found["cure"] or case.source != "bench"
    assert not (commands.home.source_landing(case.source) / name).exists()
    more = case.also(commands, file) if case.also else "nothing was left in landing"
    witness(case.fault, f"{found['error']}: ... {case.error}; {more}")
