"""Secrets of the environment and of settings, and words of confidential rows: in no output of any kind."""

import contextlib
import io
import json
import logging
import re

import dagster as dg
import pytest

from deita_assets.core.shown import without_credentials
from deita_assets.defs.automation import alerts
from deita_assets.defs.automation.alert_sensors import check_failure_alerts, run_failure_alerts
from deita_assets.defs.automation.alerts import Alert, raise_alert
from deita_assets.defs.platform import Platform
from deita_assets.errors import DeitaError, SettingsError
from deita_assets.settings import load_settings
from deita_assets.stores.home import Home
from deita_assets_tests.cli.commands import chat
from deita_assets_tests.defs.small_home import small_home
from deita_assets_tests.engines.fake_hub import reached
from deita_assets_tests.faults.guarded import Case, command
from deita_assets_tests.faults.invariant import CANARY, Look, holds
from deita_assets_tests.faults.matrix import Fault

GROUP = "security"
SECRET = "s3cret-c4nary"  # noqa: S105 - it opens nothing
_PASSWORD = f"http://user:{SECRET}@127.0.0.1:9"
#: What holds rows because it is made of them, or is the user's own.
_HOLD_ROWS = re.compile(r"(warehouse|serving)\.duckdb|/lance/|/landing/|train\.jsonl$|\.parquet$")


class Curated:
    """A small home, curated through the graph with secrets in its environment, and everything that it told."""

    def __init__(self, home, folder, heard):
        self.home, self.folder, self.heard, self.cursors = home, folder, heard, {}
        self.root = Home(home.platform.home.root)

    def query(self, text):
        with self.home.platform.warehouse.read("look") as con:
            return con.execute(text).fetchall()

    def tick(self):
        """Both alert sensors, as the daemon evaluates them."""
        for sensor in (run_failure_alerts, check_failure_alerts):
            with dg.build_sensor_context(
                instance=self.home.instance, cursor=self.cursors.get(sensor.name),
                resources={"platform": Platform(home_path=str(self.root.root))}, repository_name="__repository__",
            ) as context:  # fmt: skip
                self.cursors[sensor.name] = sensor.evaluate_tick(context).cursor

    def files(self):
        """Every file of the home, of the Dagster instance and of exports: path -> bytes."""
        return {
            str(path): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }

    def events(self):
        """Events, tags and run config of all runs, as Dagster keeps them."""
        instance = self.home.instance
        found = [str(run.tags) + str(run.run_config) for run in instance.get_runs()]
        found += [
            dg.serialize_value(entry)
            for run in instance.get_runs()
            for entry in instance.all_logs(run.run_id)
        ]
        assert len(found) > 100
        return found

    def stored(self):
        """Every value of every table."""
        with self.home.platform.warehouse.read("look") as con:
            tables = con.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            return [repr(con.execute(f'from "{schema}"."{name}"').fetchall()) for schema, name in tables]

    def failing(self):
        """Runs that end badly, each in its own way, and their alerts."""
        home = self.home
        home.drop("bad", [chat(f"{CANARY} {n}", f"{CANARY} {n}") for n in range(3)])
        self.tick()
        (home.platform.home.landing / "bad" / "link.jsonl").symlink_to("/etc/hostname")
        assert "no regular file" in home.failure("raw_pool", "bad")
        settings = self.root.settings
        settings.write_text(
            f'sample_rows_in_ui = false\n[sources.hubbed]\nhub = "hf://datasets/org/name@{"0" * 40}"\n'
        )
        home.instance.add_dynamic_partitions("source", ["hubbed"])
        assert "could not be fetched" in home.failure("raw_pool", "hubbed")
        for text in (f'[scorer]\nheads = "{_PASSWORD}/heads"\n', f'[sources.x]\nhub = "hf://user:{SECRET}@datasets/a/b"\n',
                     f'[embedder]\nmodel = "{_PASSWORD}"\n'):  # fmt: skip
            settings.write_text(text)
            assert not home.materialise("raw_pool", "aa").success
        settings.write_text("sample_rows_in_ui = false\n")
        parameters = {"threshold": 0.5, "trial_budgets": [2], "where": "cast(conversations as int) > 1"}
        assert not home.materialise("pooled_ledger", "all", parameters).success
        self.tick()
        raise_alert(
            logging.getLogger("deita_assets"),
            Alert("gave_up", "x", "five runs failed", "look"),
            home=self.root,
        )
        told = [json.loads(line) for line in (self.root.root / "alerts.jsonl").read_text().splitlines()]
        assert len(told) >= 3, told


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    """Made once: two sources curated, and every kind of failure, under the eyes of what takes down all output."""
    place = tmp_path_factory.mktemp("secrets")
    folder, heard = place / "all", io.StringIO()
    listener = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(heard),
        contextlib.redirect_stderr(heard),
        reached(patch, _PASSWORD, place),
        small_home(folder) as home,
    ):
        root.addHandler(listener)
        root.setLevel(logging.DEBUG)
        secretive(patch)
        home.platform.home.settings.write_text("sample_rows_in_ui = false\n")
        for source in ("aa", "bb"):
            home.drop(
                source, [chat(f"{CANARY} {source} {n}", f"{CANARY} answer {n}", id=f"{n}") for n in range(6)]
            )
        home.curate("mixture", "all", 3, ["aa", "bb"])
        made = Curated(home, folder, heard)
        made.failing()
        ((made.version,),) = made.query("select selection_version from selections limit 1")
        command(made.root, "export", made.version, "--out", str(folder / "out"))
        for name in ("status", "quarantine", "selections"):
            command(made.root, name)
        root.setLevel(level)
        root.removeHandler(listener)
        yield made


def secretive(patch):
    """Secrets where they stand in practice."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        patch.setenv(name, f"hf_{SECRET}")
    patch.setenv("DEITA_ALERT_WEBHOOK", f"http://127.0.0.1:9/{SECRET}")
    patch.setattr(alerts, "_webhook", alerts._Webhook())


@pytest.fixture
def plain(home, tmp_path, monkeypatch, capfd, caplog):
    """An empty home, for settings and addresses."""
    with reached(monkeypatch, _PASSWORD, tmp_path):
        secretive(monkeypatch)
        yield home
        captured = capfd.readouterr()
        assert SECRET not in captured.out + captured.err + caplog.text


def secrets(at):
    """No file, no stored value, no event and no line holds the secret."""
    files = at.files()
    assert len(files) > 40
    assert [name for name, held in files.items() if SECRET.encode() in held] == []
    assert [text[:200] for text in at.stored() if SECRET in text] == []
    assert [text[:300] for text in at.events() if SECRET in text] == []
    told = at.heard.getvalue()
    assert SECRET not in told, told[max(0, told.find(SECRET) - 300) :][:400]
    assert "webhook did not take" in told
    return "in none of the files, tables, events, tags, settings of runs, alerts, cards, logs and messages"


def confidential(at):
    """With `sample_rows_in_ui = false`, words of rows stand where rows are kept and nowhere else."""
    files = at.files()
    held = {name for name, content in files.items() if CANARY.encode() in content}
    assert any(name.endswith("train.jsonl") for name in held)
    assert [name for name in sorted(held) if not _HOLD_ROWS.search(name)] == []
    assert [text[:300] for text in at.events() if CANARY in text] == []
    told = at.heard.getvalue()
    assert CANARY not in told, told[max(0, told.find(CANARY) - 300) :][:400]
    return "in landing, stores and selected rows alone; in no event, card, alert, log or message"


def endpoints(home):
    """`HF_ENDPOINT` with a password: what the library says of it is not repeated as it is."""
    hub = f"hf://datasets/org/name@{'0' * 40}"
    with pytest.raises(DeitaError) as caught:
        command(home, "add", "tea", hub)
    assert SECRET not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value) or "could not be fetched" in str(caught.value)
    assert without_credentials(f"see {_PASSWORD}/x, or https://token@host/") == (
        "see http://...@127.0.0.1:9/x, or https://...@host/"
    )
    return f"{type(caught.value).__name__}: could not be fetched"


def settings_messages(home):
    texts = [
        f'budgets = ["{SECRET}"]', f'[sources.x]\nhub = "hf://u:{SECRET}@datasets/a/b@{"0" * 40}"',
        f'[scorer]\ncomplexity_model = "https://u:{SECRET}@host/m"', f'[sources.x]\nthreshold = "{SECRET}"',
        f'[scorer]\nname = "{SECRET}"', f'x = "{SECRET}', f'[sources]\nx = "{SECRET}"', f'[training]\nlabels = "a://{SECRET}"',
    ]  # fmt: skip
    for text in texts:
        home.settings.write_text(text)
        with pytest.raises(SettingsError) as caught:
            load_settings(home)
        assert SECRET not in str(caught.value), text
        assert caught.value.cure
    return f"SettingsError, {len(texts)} wrong values, none repeated"


def case(number, what, how, outcome, do):
    return Case(Fault(number, what, how, outcome), do)


CURATED = [
    case(
        "71a",
        "a secret in the environment",
        "HF_TOKEN, webhook, addresses: a curation and failing runs",
        "impossible",
        secrets,
    ),
    case(
        "71a", "words of confidential rows", "sample_rows_in_ui = false: the same", "impossible", confidential
    ),
]
CASES = [
    case("71a", "a secret in the hub's address", "HF_ENDPOINT with a password", "error", endpoints),
    case(
        "71a",
        "a secret in a wrong setting",
        "values and addresses that are refused",
        "refused",
        settings_messages,
    ),
]


@pytest.mark.parametrize("case", CURATED, ids=str)
def test_what_a_curation_tells(case, curated, witness):
    before = Look.at(curated.root)
    assert all(account.balanced for account in before.accounts.values())
    seen = case.do(curated)
    witness(case.fault, seen)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_messages(case, plain, witness):
    before = Look.at(plain)
    seen = case.do(plain)
    holds(before, Look.at(plain), succeeded=False)
    witness(case.fault, seen)
