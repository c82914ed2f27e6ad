"""The journey of a user: files in, subsets out, and every question answered, through the command line alone."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from deita_assets_tests.cli.commands import MATHS, TEA, Output, chat, deita, write_jsonl


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journey") / "home"


@pytest.fixture(scope="module")
def curated(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Output:
    files = tmp_path_factory.mktemp("files")
    tea = write_jsonl(files / "tea.jsonl", TEA)
    maths = files / "maths.json"
    maths.write_text(json.dumps(MATHS), encoding="utf-8")
    added = deita(home, "add", "tea", str(tea), "--licence", "CC0-1.0", "--json")
    assert added.code == 0, added.err
    assert added.document == {
        "source": "tea",
        "format": "messages",
        "rows_read": 6,
        "in_pool": 4,
        "exact_duplicates": 1,
        "quarantined": 1,
        "taken_down": 0,
        "quarantine": {"bad_messages": 1},
        "pool_version": added.document["pool_version"],
        "withheld_files": [],
    }
    assert deita(home, "add", "maths", str(maths)).code == 0
    done = deita(home, "curate", "--budget", "3", "--budget", "5", "--json")
    assert done.code == 0, done.err
    return done


def test_curate_publishes_a_version_for_every_budget(home: Path, curated: Output) -> None:
    rows = {row["budget"]: row for row in curated.document["selections"]}
    assert sorted(rows) == [3, 5]
    for budget, row in rows.items():
        lines = (home / row["directory"] / "train.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == row["n_rows"] == budget
        assert all(set(json.loads(line)) == {"messages"} for line in lines)
    small, large = ((home / rows[b]["directory"] / "train.jsonl").read_text(encoding="utf-8") for b in (3, 5))
    assert large.startswith(small), "a smaller budget is a prefix of a larger one"


def test_a_second_curate_runs_nothing_and_keeps_the_versions(home: Path, curated: Output) -> None:
    again = deita(home, "curate", "--budget", "3", "--budget", "5", "--json")
    assert again.document == curated.document
    assert again.err.count("current") == 5, again.err  # two sources, the ledger, two subsets
    assert deita(home, "curate", "--budget", "3", "--dry-run", "--json").document == {"stale": {}}


def test_the_near_duplicate_is_out_and_the_ledger_says_why(home: Path, curated: Output) -> None:
    blocked = deita(home, "rows", "all", "--verdict", "near_duplicate", "--json").document
    assert len(blocked) == 1
    assert "green tea" in blocked[0]["instruction"]
    told = deita(home, "--json", "explain", blocked[0]["sample_id"][:14]).document
    verdict = next(v for v in told["verdicts"] if v["scope"] == "all")
    assert verdict["verdict"] == "near_duplicate"
    assert verdict["similarity"] > verdict["threshold"] == 0.9
    assert "green tea" in verdict["nearest"]["instruction"]
    assert told["selections"] == []
    human = deita(home, "explain", blocked[0]["sample_id"])
    assert "blocked by" in human.out
    assert verdict["blocked_by"] in human.out


def test_explain_finds_a_row_by_phrase_and_by_own_id(home: Path, curated: Output) -> None:
    told = deita(home, "explain", "square root of 2 is irrational", "--json", "--budget", "3").document
    assert told["file"] == "tea.jsonl"
    assert told["line"] == 3
    assert [row["budget"] for row in told["selections"]] == [3, 5]
    assert told["verdicts"][0]["verdict_at_budget"] == "kept"
    assert {turn["complexity_status"] for turn in told["turns"]} == {"ok"}
    assert deita(home, "explain", "tea-1", "--json").document["own_id"] == "tea-1"
    missing = deita(home, "explain", "no such phrase anywhere", "--json")
    assert missing.code == 1
    assert set(missing.document) == {"error", "message", "cure"}


def test_status_selections_and_quarantine(home: Path, curated: Output) -> None:
    status = deita(home, "status", "--json").document
    assert {row["source"]: (row["rows"], row["scored"], row["stale"]) for row in status["sources"]} == {
        "maths": (3, 3, []),
        "tea": (4, 4, []),
    }
    versions = deita(home, "selections", "--json").document
    assert {row["budget"] for row in versions if row["is_head"]} == {3, 5}
    quarantined = deita(home, "quarantine", "--source", "tea", "--json").document
    assert [(row["file"], row["line"], row["reason"]) for row in quarantined] == [
        ("tea.jsonl", 6, "bad_messages")
    ]
    reasons = deita(home, "quarantine", "--reasons", "--json").document
    assert "bad_messages" in {row["reason"] for row in reasons}


def test_sql_reads_the_published_copy_and_can_do_no_harm(home: Path, curated: Output) -> None:
    rows = deita(
        home, "sql", "select source, count(*) as n from pool group by 1 order by 1", "--json"
    ).document
    assert rows == [{"source": "maths", "n": 3}, {"source": "tea", "n": 4}]
    for attack in (
        "select * from read_text('/etc/hostname')",
        "copy pool to 'x.csv'",
        "attach 'other.duckdb'",
        "create table t(i int)",
    ):
        refused = deita(home, "sql", attack, "--json")
        assert refused.code == 2, attack
        assert set(refused.document) == {"error", "message", "cure"}
    with duckdb.connect(str(home / "serving.duckdb"), read_only=True) as con:
        assert con.execute("select count(*) from selected").fetchall() == [(8,)]
        assert con.execute("select distinct licence from pool where source = 'tea'").fetchall() == [
            ("CC0-1.0",)
        ]
        lineage = con.execute(
            "select file, line, file_sha256 from lineage where sample_id like 'tea:%'"
        ).fetchall()
        assert all(file == "tea.jsonl" and line and len(sha) == 64 for file, line, sha in lineage)


def test_named_questions_are_listed_and_run(home: Path, curated: Output) -> None:
    listed = deita(home, "sql", "--list", "--json").document
    assert listed
    for question in listed:
        done = deita(home, "sql", "-f", question["name"], "--json")
        assert done.code == 0, (question, done.err)


def test_export_writes_a_new_folder_and_never_over_an_old_one(
    home: Path, curated: Output, tmp_path: Path
) -> None:
    version = curated.document["selections"][0]
    out = tmp_path / "train"
    done = deita(home, "export", version["selection_version"][:8], "--out", str(out), "--json")
    assert done.code == 0, done.err
    assert (out / "train.jsonl").read_bytes() == (home / version["directory"] / "train.jsonl").read_bytes()
    again = deita(home, "export", version["selection_version"], "--out", str(out), "--json")
    assert again.code == 2
    assert "exists" in again.document["message"]


def test_a_trial_is_registered_and_moves_no_head(home: Path, curated: Output) -> None:
    before = deita(home, "selections", "--json").document
    trial = deita(home, "curate", "--budget", "5", "--threshold", "0.2", "--json")
    assert trial.code == 0, trial.err
    after = deita(home, "selections", "--json").document
    heads = [row["selection_version"] for row in before if row["is_head"]]
    assert [row["selection_version"] for row in after if row["is_head"]] == heads
    version = trial.document["trials"][0]["versions"]["5"]
    assert [row["trial"] for row in after if row["selection_version"] == version] == [True]
    assert deita(home, "curate", "--budget", "5", "--dry-run", "--json").document == {"stale": {}}


def test_new_rows_are_scored_and_old_ones_are_not(home: Path, curated: Output, tmp_path: Path) -> None:
    more = write_jsonl(
        tmp_path / "more.jsonl",
        [
            chat(
                "Design a rate limiter and weigh two approaches.",
                "Token bucket: cheap, allows bursts. Sliding window: exact, but it costs memory for every key.",
            )
        ],
    )
    assert deita(home, "add", "tea", str(more)).code == 0
    stale = deita(home, "curate", "--budget", "3", "--dry-run", "--json").document["stale"]
    assert sorted(stale) == ["3|all", "all", "tea"]
    assert deita(home, "curate", "--budget", "3", "--json").code == 0
    from dagster import AssetKey, AssetRecordsFilter, DagsterInstance

    instance = DagsterInstance.from_config(str(home / "dagster"))
    for asset in ("complexity_scores", "quality_scores", "embeddings"):
        latest = instance.fetch_materializations(
            AssetRecordsFilter(asset_key=AssetKey(asset), asset_partitions=["tea"]), limit=1
        ).records[0]
        metadata = latest.asset_materialization.metadata
        # The one pass of the quality step embedded the new row too.
        computed = 0 if asset == "embeddings" else 1
        assert (metadata["computed"].value, metadata["reused"].value) == (computed, 5 - computed)


def test_the_same_files_again_change_nothing(home: Path, curated: Output, tmp_path: Path) -> None:
    tea = write_jsonl(tmp_path / "tea.jsonl", TEA)
    before = deita(home, "status", "--json").document
    assert deita(home, "add", "tea", str(tea)).code == 0
    assert deita(home, "status", "--json").document == before


def test_estimate_and_doctor(home: Path, curated: Output) -> None:
    estimate = deita(home, "estimate", "--json").document
    assert [step["step"] for step in estimate["steps"]] == ["complexity", "quality", "embedding"]
    assert all(step["n_left"] == 0 for step in estimate["steps"])
    doctor = deita(home, "doctor", "--json")
    assert doctor.code == 0, doctor.out
    assert all(check["ok"] for check in doctor.document)
