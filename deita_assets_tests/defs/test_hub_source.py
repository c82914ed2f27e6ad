"""A source whose settings name a hub id: one run fetches and ingests it, and it is stale when it should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from deita_assets_tests.cli.commands import chat
from deita_assets_tests.defs.test_by_hand import Hand
from deita_assets_tests.engines.fake_hub import A, B, C, hub_id
from deita_assets_tests.readers.packing import jsonl

ROWS = [chat(f"question {n}", f"answer {n}") for n in range(20)]


@pytest.fixture
def hand(tmp_path: Path, hub) -> Iterator[Hand]:
    hub.commits[A] = {"train.jsonl": jsonl(ROWS[:15]), "data/more.jsonl": jsonl(ROWS[15:])}
    hub.commits[B] = {"train.jsonl": jsonl(ROWS[:2])}
    with dg.instance_for_test() as instance:
        hand = Hand(instance, tmp_path / "home")
        instance.add_dynamic_partitions("source", ["tea"])
        yield hand


def want(hand: Hand, revision: str) -> None:
    hand.platform.home.settings.write_text(f'[sources.tea]\nhub = "{hub_id(revision)}"\n')


def test_a_run_fetches_what_settings_name_and_a_newer_id_takes_the_old_rows_away(hand, hub):
    home = hand.platform.home
    want(hand, A)
    assert "raw_pool" in hand.stale("tea")
    assert hand.materialise("raw_pool", "tea").success
    first = hand.metadata("raw_pool", "tea")
    assert (first["dagster/partition_row_count"], first["hub"]) == (20, hub_id(A))
    assert "raw_pool" not in hand.stale("tea")  # the run itself put the files there

    want(hand, B)
    assert "raw_pool" in hand.stale("tea")
    assert hand.materialise("raw_pool", "tea").success
    second = hand.metadata("raw_pool", "tea")
    assert (second["dagster/partition_row_count"], second["withdrawn"], second["withheld"]) == (2, 18, 0)
    assert "raw_pool" not in hand.stale("tea")

    (home.source_landing("tea") / "train.jsonl").unlink()
    assert "raw_pool" in hand.stale("tea")
    assert hand.materialise("raw_pool", "tea").success
    assert hand.metadata("raw_pool", "tea")["pool_version"] == second["pool_version"]
    assert "raw_pool" not in hand.stale("tea")

    # The hub fails: the run says why, the pool stays, and the source stays stale until it works.
    want(hand, C)
    assert "no such commit" in hand.failure("raw_pool", "tea")
    assert "raw_pool" in hand.stale("tea")
    hub.commits[C] = {"train.jsonl": jsonl(ROWS[:3])}
    assert hand.materialise("raw_pool", "tea").success
    assert hand.metadata("raw_pool", "tea")["dagster/partition_row_count"] == 3

    # Without a hub id the files stay, and the guard is back for those that leave.
    home.settings.write_text("")
    assert hand.materialise("raw_pool", "tea").success
    (home.source_landing("tea") / "train.jsonl").unlink()
    assert hand.materialise("raw_pool", "tea").success
    assert hand.metadata("raw_pool", "tea")["withheld"] == 3


def test_settings_written_during_a_download_are_not_taken_for_read(hand, monkeypatch):
    from deita_assets.engines import hub_fetch

    real = hub_fetch.download

    def download(*arguments):
        want(hand, B)
        return real(*arguments)

    want(hand, A)
    with monkeypatch.context() as patch:
        patch.setattr(hub_fetch, "download", download)
        assert hand.materialise("raw_pool", "tea").success
    assert hand.metadata("raw_pool", "tea")["hub"] == hub_id(A)
    assert "raw_pool" in hand.stale("tea")


@pytest.mark.slow  # test_ingest_changes has the rule about removals
def test_a_run_that_died_between_fetch_and_ingest_is_made_good_by_the_next(hand, hub, monkeypatch):
    want(hand, A)
    assert hand.materialise("raw_pool", "tea").success
    want(hand, B)
    with monkeypatch.context() as dying:
        dying.setattr("deita_assets.defs.pool.assets.ingest_source", _die)
        assert not hand.materialise("raw_pool", "tea").success
    assert hand.materialise("raw_pool", "tea").success
    assert hand.metadata("raw_pool", "tea")["dagster/partition_row_count"] == 2
    assert hand.metadata("raw_pool", "tea")["withheld"] == 0


def _die(*_arguments, **_options):
    raise RuntimeError("killed")
