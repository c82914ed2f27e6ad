"""`explain`, `diff` and `selections` on a small home whose every row has a story: what they find and what they say."""

import json
import shutil
from contextlib import suppress

import numpy as np
import pytest
from click.testing import CliRunner

from deita_assets.cli import cli
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.takedown import take_down
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores import selections
from deita_assets.stores.home import Home
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped, chat
from deita_assets_tests.readers.packing import jsonl

EAST, NORTH, UP = np.eye(5)[:3]
#: text -> (score, vector); of falling score.
ROWS = {
    "east of here": (9.0, EAST),
    "nearly east": (8.0, [1, 0.1, 0, 0, 0]),
    "north of here": (7.0, NORTH),
    "up above": (6.0, UP),
    "way out": (5.0, np.eye(5)[3]),
    "also east": (4.0, [1, 0.05, 0, 0, 0]),
    "too long": (None, EAST),
    "gone by now": (3.0, np.eye(5)[4]),
    "private matter": (2.0, [0, 0, 0, 1, 1]),
}
BROKEN = b'{"messages": [{"role": "user", "content": "caf\xc3\xa9 at"}], "id": "row-77", "x": \n'


class Told:
    """The home, its versions, and what commands say of it."""

    def __init__(self, scoped):
        self.scoped, self.versions = scoped, {}
        for text, (score, vector) in ROWS.items():
            scoped.scores[text], scoped.vectors[text] = score, np.asarray(vector, float)
        scoped.complexity.statuses["too long"] = "too_long"

    def ingest(self, **files):
        for name in ("a", "b"):
            with suppress(FileNotFoundError):
                self.scoped.land.remove("tea", f"{name}.jsonl")
        for name, content in files.items():
            self.scoped.land("tea", f"{name}.jsonl", content)
        reading = SourceReading(accept_removals=True)
        report = ingest_source(self.scoped.warehouse, "tea", reading, run_id="ingest")
        self.scoped._store_results("tea", report.pool_version)
        score_pool(self.scoped.warehouse, "tea", "sum")
        return report.pool_version

    def select(self, name, budget, trial=False, **chosen):
        chosen = {"threshold": 0.9, **chosen}
        ledger = self.scoped.ledger("tea", kind="mixture", name="all", budget=budget, trial=trial, **chosen)
        with self.scoped.warehouse.write("test") as con:
            selection = selections.cut(con, ledger, budget)
            folder = f"subsets/{name}"
            selections.register(con, selection, folder, run_id="select", head=not trial)
        self.versions[name] = selection.version
        return folder

    def run(self, *arguments):
        done = CliRunner().invoke(cli, ["--home", str(self.scoped.home.root), *arguments])
        if done.exception is not None:
            raise done.exception
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.run(*arguments, "--json"))

    def id(self, text):
        query = "select sample_id from store.turn where instruction = ?"
        return self.scoped.query(query, text)[0][0]


def row(text, **more):
    return {**chat(text), **more}


@pytest.fixture(scope="module")
def told(tmp_path_factory, migrated):
    home = Home(tmp_path_factory.mktemp("told")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Told(Scoped(Warehouse(home), Landing(home)))
    named = {text: row(text, id=f"own-{n}") for n, text in enumerate(ROWS)}
    twins = [row("north of here", id="twin"), row("up above", id="pair"), row("also east", id="pair")]
    stay = [one for text, one in named.items() if text != "gone by now"]
    a = jsonl([*stay, *twins, {"messages": 7, "id": "bad-1"}]) + BROKEN
    made.before = made.ingest(a=a, b=[named["gone by now"]])
    made.select("before", 8)
    with made.scoped.warehouse.read("test") as con:
        secret = con.execute(
            "select c.content_sha256 from store.conversation c join store.turn t using (sample_id) "
            "where t.instruction = 'private matter'"
        ).fetchall()[0][0]
    take_down(made.scoped.warehouse, [secret], "asked for by its author")
    made.after = made.ingest(a=a)
    folder = home.root / made.select("after", 3)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    made.select("trial", 3, trial=True, threshold=0.999)
    publish(home)
    return made


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("own-0", "east of here"), ("twin", "north of here"), ("a.jsonl:4", "up above"),
        ("tea/a.jsonl:9", "north of here"), ("rly eas", "nearly east"), ("own-7", "gone by now"),
        ("b.jsonl:1", "gone by now"), ("private", "private matter"),
    ],
)  # fmt: skip
def test_a_row_is_found_by_whatever_names_it(told, asked, text):
    assert told.json("explain", asked)["sample_id"] == told.id(text)


def test_an_id_and_its_beginning_find_it_too(told):
    for text in ("east of here", "gone by now", "private matter"):
        name = told.id(text)
        for asked in (name, name[:12], name.partition(":")[2][:8]):
            assert told.json("explain", asked)["sample_id"] == name


def test_what_fits_nothing_or_too_much_is_refused(told):
    with pytest.raises(NotFoundError, match="no row with id"):
        told.run("explain", "nothing like it")
    with pytest.raises(UsageError, match="own id 'pair' fits 2 rows"):
        told.run("explain", "pair")
    with pytest.raises(UsageError, match="nothing to explain"):
        told.run("explain", " ")
    with pytest.raises(NotFoundError, match="no ledger of 'nowhere'"):
        told.run("explain", "own-0", "--scope", "nowhere")


def test_a_row_says_where_it_stands_and_its_duplicates(told):
    story = told.json("explain", "own-2")
    assert [(one["file"], one["line"], one["own_id"]) for one in story["occurrences"]] == [
        ("a.jsonl", 3, "own-2"), ("a.jsonl", 9, "twin"),
    ]  # fmt: skip
    assert (story["state"], story["left"]) == ("in_pool", None)
    assert story["turns"][0]["complexity"] == 7.0
    said = told.run("explain", "own-2")
    assert "in the pool" in said
    assert "+ 1 exact duplicate at a.jsonl:9 (own id twin)" in said


def test_a_kept_row_says_from_which_budget_on(told):
    story = told.json("explain", "own-2", "--budget", "1")
    verdict = story["verdicts"][0]
    assert (verdict["verdict"], verdict["outlook"]) == ("kept", {"budget": 2})
    assert verdict["verdict_at_budget"] == "beyond_budget"
    assert {row["selection_version"] for row in story["selections"]} == set(told.versions.values())
    assert "in every selection with a budget of 2 or more" in told.run("explain", "own-2")


def test_a_near_duplicate_stands_beside_what_blocks_it(told):
    verdict = told.json("explain", "own-1")["verdicts"][0]
    assert verdict["verdict"] == "near_duplicate"
    assert verdict["nearest"]["instruction"] == "east of here"
    assert (verdict["nearest"]["rank"], verdict["nearest"]["kept_position"]) == (1, 1)
    outlook = verdict["outlook"]
    assert outlook["threshold_in_from"] == outlook["threshold_out_below"] == verdict["similarity"]
    said = told.run("explain", "own-1")
    assert "blocked by " + told.id("east of here") in said
    assert "nearly east" in said.splitlines()[-5]
    assert f"would be kept at a threshold of {np.ceil(verdict['similarity'] * 1e4) / 1e4:.4f} or more" in said


def test_a_row_not_reached_says_what_would_become_of_it(told):
    outlook = told.json("explain", "own-4")["verdicts"][0]["outlook"]
    assert (outlook["verdict"], outlook["budget"], outlook["rows_ahead"]) == ("kept", 4, 0)
    assert "in from a budget of 4 on" in told.run("explain", "own-4")
    blocked = told.json("explain", "own-5")["verdicts"][0]["outlook"]
    assert (blocked["verdict"], blocked["blocked_by"]) == ("near_duplicate", told.id("east of here"))
    assert blocked["nearest"]["instruction"] == "east of here"
    assert "would be blocked by" in told.run("explain", "own-5")


def test_a_row_without_a_score_says_so(told):
    verdict = told.json("explain", "own-6")["verdicts"][0]
    assert verdict["verdict"] == "unscored"
    assert "another scorer" in verdict["outlook"]["text"]


def test_a_withdrawn_row_says_which_file_left_and_when(told):
    story = told.json("explain", "own-7")
    assert story["state"] == "withdrawn"
    assert (story["left"]["file"], story["left"]["left_with"]) == ("b.jsonl", told.after)
    assert story["verdicts"] == []
    assert [row["selection_version"] for row in story["selections"]] == [told.versions["before"]]
    assert [turn["instruction"] for turn in story["turns"]] == ["gone by now"]
    said = told.run("explain", "own-7")
    assert f"withdrawn since pool version {told.after}" in said
    assert told.versions["before"] in said


def test_a_row_that_was_taken_down_says_why(told):
    story = told.json("explain", "own-8")
    assert (story["state"], story["left"]["reason"]) == ("taken_down", "asked for by its author")
    assert "asked for by its author" in told.run("explain", "own-8")


@pytest.mark.parametrize(
    ("asked", "line", "reason"),
    [("a.jsonl:12", 12, "bad_messages"), ("row-77", 13, "truncated_json"), ("café", 13, "truncated_json")],
)
def test_quarantined_rows_are_found_with_reason_and_cure(told, asked, line, reason):
    story = told.json("explain", asked)
    assert (story["state"], story["file"], story["line"]) == ("quarantined", "a.jsonl", line)
    assert story["cure"]
    said = told.run("explain", asked)
    assert f"a.jsonl:{line}" in said
    assert story["cure"] in said


def test_only_one_scope_when_asked(told):
    assert [row["scope"] for row in told.json("explain", "own-0", "--scope", "all")["verdicts"]] == ["all"]


@pytest.fixture
def alone(told, tmp_path):
    """A home of which only the published copy is left."""
    home = Home(tmp_path / "alone")
    home.root.mkdir()
    shutil.copyfile(told.scoped.home.serving, home.serving)
    return home


def test_without_vectors_less_is_said_and_nothing_is_made(alone):
    def run(*arguments):
        done = CliRunner().invoke(cli, ["--home", str(alone.root), *arguments, "--json"])
        assert done.exit_code == 0, done.exception
        return json.loads(done.stdout)["verdicts"][0]

    blocked = run("explain", "own-1")
    assert blocked["similarity"] > 0.9
    assert "not here" in blocked["outlook"]["note"]
    assert "not here" in run("explain", "own-4")["outlook"]["note"]
    assert sorted(path.name for path in alone.root.iterdir()) == ["serving.duckdb"]


def test_diff_says_what_changed_and_why(told):
    before, after = told.versions["before"], told.versions["after"]
    found = told.json("diff", before[:8], after[:8])
    assert {(row["change"], row["reason"]): row["rows"] for row in found["reasons"]} == {
        ("removed", "beyond_budget"): 1, ("removed", "withdrawn"): 1, ("removed", "taken_down"): 1,
        ("unchanged", None): 3,
    }  # fmt: skip
    assert found["sources"] == [{"source": "tea", "a": 6, "b": 3, "added": 0, "removed": 3}]
    assert [change["text"] for change in found["spec"]] == [
        f"pool of tea: {told.before} -> {told.after} (+0 -2 rows)", "budget: 8 -> 3",
    ]  # fmt: skip
    said = told.run("diff", before, after)
    for word in ("gone by now", "withdrawn", "taken_down", told.id("gone by now"), "(+0 -2 rows)"):
        assert word in said
    assert len(told.json("diff", before, after, "--limit", "0")["rows"]) == 0


def test_diff_reaches_trials_and_names_the_new_blocker(told):
    trial, after = told.versions["trial"], told.versions["after"]
    found = told.json("diff", trial, after)
    dropped = [row for row in found["rows"] if row["reason"] == "near_duplicate"]
    assert [(row["instruction"], row["blocked_by_instruction"]) for row in dropped] == [
        ("nearly east", "east of here")
    ]
    assert "threshold: 0.999 -> 0.9" in told.run("diff", trial, after)
    same = told.json("diff", after, after)
    assert same["same_members"]
    assert same["rows"] == []


def test_selections_say_what_a_trial_departs_from_and_whether_its_folder_stands(told):
    rows = {row["selection_version"]: row for row in told.json("selections", "--scope", "all")}
    by_name = {name: rows[version] for name, version in told.versions.items()}
    assert by_name["trial"]["departs"] == ["threshold: 0.9 -> 0.999"]
    assert by_name["after"]["departs"] is None
    assert {name: row["folder_stands"] for name, row in by_name.items()} == {
        "before": False, "after": True, "trial": False,
    }  # fmt: skip
    assert "threshold: 0.9 -> 0.999" in told.run("selections")
    with pytest.raises(NotFoundError, match="no scope"):
        told.run("selections", "--scope", "nowhere")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, migrated):
    """Rows whose file, own id and take-down reason would be obeyed by a terminal, or read as markup."""
    home = Home(tmp_path_factory.mktemp("hostile")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Told(Scoped(Warehouse(home), Landing(home)))
    named = [row(text, id=f"{at}\x1b[2J") for at, text in enumerate(["stays", "is taken", "stays"])]
    made.scoped.land("tea", "[x]\x1b[2J.jsonl", jsonl([*named, {"messages": 7}]))
    ingest_source(made.scoped.warehouse, "tea", SourceReading(), run_id="ingest")
    query = "select content_sha256 from store.conversation where sample_id = ?"
    taken = made.scoped.query(query, made.id("is taken"))
    take_down(made.scoped.warehouse, [taken[0][0]], "asked [/bold] for \x1b[2J[red]")
    publish(home)
    return made


@pytest.mark.parametrize(
    ("phrase", "said"),
    [("stays", "from tea/[x]\ufffd[2J.jsonl:1"), ("is taken", "asked [/bold] for \ufffd[2J[red]"),
     ("[x]\x1b[2J.jsonl:4", "tea/[x]\ufffd[2J.jsonl:4  in quarantine")],
)  # fmt: skip
def test_names_are_shown_as_they_are_and_obeyed_by_nothing(hostile, phrase, said):
    shown = hostile.run("explain", phrase)
    assert said in shown
    assert "\x1b" not in shown
