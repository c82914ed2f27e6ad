"""`verify`: what it prints, its exit codes, and a repair by the ordinary assets."""

from __future__ import annotations

import os

import pytest

from deita_assets.engines.cover import EmbedStep, ScoreStep, cover_source
from deita_assets.engines.verify_repair import only_repair
from deita_assets.stores.home import Home
from deita_assets_tests.cli.commands import chat, write_jsonl
from deita_assets_tests.cli.test_withdraw import Here
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer
from deita_assets_tests.faults.damaged_home import (
    VECTORS,
    DamagedHome,
    copied,
    files_of,
    flip,
    flip_score,
    flip_vector,
    made,
    used_blocks,
    without_figure,
)


@pytest.fixture
def asked(monkeypatch):
    """(step, texts) that models of this process were asked about."""
    calls = []

    def child(context, platform, pipes, step):
        import dataclasses

        model = FakeEmbedder(16) if step == "embedding" else FakeScorer(step)
        made_step = (
            EmbedStep(platform.home, model) if step == "embedding" else ScoreStep(platform.home, model)
        )
        done = dataclasses.asdict(cover_source(platform.warehouse, made_step, context.partition_key))
        calls.append((step, sum(map(len, model.calls))))
        return done

    for module in ("scores", "embeddings"):
        monkeypatch.setattr(f"deita_assets.defs.{module}.assets.run_model_child", child)
    return calls


def test_damage_of_four_kinds_is_repaired_by_the_ordinary_assets(tmp_path, migrated, capsys, asked):
    home = copied(made(tmp_path, migrated), tmp_path)
    here = Here(home.home, capsys)
    published, whole = files_of(home.subset), home.rows(VECTORS)
    flip_vector(home, home.contents[7])
    flip_score(home, sorted(home.rows("scores"))[5])
    flip(home.subset / "train.jsonl", 30)
    flip(home.home.serving, used_blocks(home.home.serving)[0] + 100)
    found = here("verify", code=1)
    kinds = {(one["part"], one["kind"]) for one in found["damage"]}
    assert kinds == {
        (f"lance/{VECTORS}", "checksum"), ("lance/scores", "checksum"), ("subsets", "folder"),
        ("serving.duckdb", "unreadable"),
    }  # fmt: skip
    assert not found["sound"]
    said = here("verify", code=1, as_json=False)
    assert "cure: `deita-assets verify --repair`" in said
    assert "Something is damaged." in said
    assert asked == []
    with without_figure():
        done = here("verify", "--repair")
    assert (done["sound"], done["failed"]) == (True, [])
    assert {(one["part"], one["kind"]) for one in done["found"]} == kinds
    assert asked == [("complexity", 1), ("embedding", 1)]
    assert home.rows(VECTORS) == whole
    assert {**files_of(home.subset), "provenance.json": b""} == {**published, "provenance.json": b""}
    assert "Everything is sound." in here("verify", as_json=False)


def test_no_home_and_a_damaged_warehouse(tmp_path, migrated, capsys):
    nowhere = Here(Home(tmp_path / "none"), capsys)
    assert "holds no warehouse" in nowhere("verify", code=1)["message"]
    home = copied(made(tmp_path, migrated), tmp_path)
    here = Here(home.home, capsys)
    flip(home.home.warehouse, used_blocks(home.home.warehouse)[0] + 100)
    (damage,) = here("verify", "--repair", code=1)["damage"]
    assert (damage["part"], damage["ids"]) == ("warehouse.duckdb", ["store.conversation"])
    assert "Nothing was repaired" in here.err


def test_a_second_repair_waits_for_the_first_and_then_names_it(tmp_path, migrated, capsys, monkeypatch):
    home = copied(made(tmp_path, migrated), tmp_path)
    here = Here(home.home, capsys)
    flip_vector(home, home.contents[7])
    before = files_of(home.home.lance)
    monkeypatch.setattr("deita_assets.engines.verify_repair._OTHER_REPAIR_S", 0.2)
    with only_repair(home.home):
        refused = here("verify", "--repair", code=1)
        assert "verify --repair" in refused["message"]
        assert str(os.getpid()) in refused["message"]
        assert not here("verify", code=1)["sound"]
    assert files_of(home.home.lance) == before


@pytest.mark.slow
def test_a_curated_home_is_sound_and_stays_current_after_a_repair(tmp_path, capsys, asked):
    here = Here(Home(tmp_path / "home"), capsys)
    rows = write_jsonl(tmp_path / "rows.jsonl", [chat(f"question {n}", f"answer {n}") for n in range(12)])
    here("add", "tea", str(rows))
    here("curate", "--budget", "3")
    assert here("verify")["sound"]
    home = DamagedHome(here.home)
    flip_vector(home, home.contents[5])
    asked.clear()
    assert here("verify", "--repair")["sound"]
    assert asked == [("embedding", 1)]
    asked.clear()
    here("curate", "--budget", "3")
    assert asked == []
    assert len(here("selections")) == 1
