"""Alerts of a running `deita-assets dev`; a webhook address that is refused, before anything starts and in `doctor`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deita_assets.cli import doctor
from deita_assets.cli.session import Session
from deita_assets_tests.browser.dev_server import DevServer, dev_server
from deita_assets_tests.cli.commands import TEA, deita, write_jsonl
from deita_assets_tests.engines.test_webhook import SECRET, Hook

REPOSITORY = {"repositoryLocationName": "deita_assets", "repositoryName": "__repository__"}
_ADD = """
mutation($r: RepositorySelector!, $k: String!) {
  addDynamicPartition(repositorySelector: $r, partitionsDefName: "source", partitionKey: $k) { __typename }
}
"""
_LAUNCH = """
mutation($e: ExecutionParams!) {
  launchPipelineExecution(executionParams: $e) { ... on LaunchRunSuccess { run { runId } } }
}
"""


def test_dev_and_doctor_refuse_an_address_without_telling_it(tmp_path: Path, monkeypatch) -> None:
    address = f"http://hooks.example.org/{SECRET}"
    refused = deita(tmp_path / "home", "dev", DEITA_ALERT_WEBHOOK=address)
    assert refused.code == 2
    assert "DEITA_ALERT_WEBHOOK: found http:// to another machine" in refused.err
    monkeypatch.setattr(doctor, "_CHECKS", {"alerts": doctor._CHECKS["alerts"]})
    session = Session(str(tmp_path / "home"), as_json=False)
    told = [refused.out + refused.err]
    for tried, ok in ((address, False), (f"https://hooks.example.org/{SECRET}", True)):
        monkeypatch.setenv("DEITA_ALERT_WEBHOOK", tried)
        check = doctor._guard("alerts", doctor._CHECKS["alerts"], session)
        assert check.ok is ok
        told.append(repr(check))
    assert "posted to a webhook too" in told[-1]
    for text in told:
        assert SECRET not in text
        assert "example.org" not in text


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


def wait_for(hook: Hook, kind: str, seconds: float = 300) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = [body for body in hook.bodies if body["kind"] == kind]
        if found:
            return found[0]
        time.sleep(1)
    raise AssertionError(f"no {kind} within {seconds} s: {hook.bodies}")


def launch(server: DevServer, asset: str, partition: str) -> str:
    selector = {**REPOSITORY, "pipelineName": "__ASSET_JOB", "assetSelection": [{"path": [asset]}]}
    tags = [{"key": "dagster/partition", "value": partition}]
    execution = {
        "selector": {**selector, "assetCheckSelection": []}, "mode": "default", "runConfigData": {},
        "executionMetadata": {"tags": tags},
    }  # fmt: skip
    return str(server.ask(_LAUNCH, e=execution)["launchPipelineExecution"]["run"]["runId"])


@pytest.mark.slow
def test_the_daemon_tells_of_a_failed_run_and_a_check_that_warns(tmp_path: Path, hook: Hook) -> None:
    home, log = tmp_path / "home", tmp_path / "dev.log"
    with dev_server(home, log, DEITA_ALERT_WEBHOOK=hook.address) as server:
        deadline = time.monotonic() + 120
        while log.read_text().count("Initiating") < 2:
            assert time.monotonic() < deadline, server.log_tail()
            time.sleep(1)
        server.ask(_ADD, r=REPOSITORY, k="ghost")
        run = launch(server, "raw_pool", "ghost")
        told = wait_for(hook, "run_failure")
        assert told["subject"] == "raw_pool[ghost]"
        assert told["run_id"] == run
        assert told["home"] == "home"
        assert "holds no file" in told["text"]
        (home / "landing" / "tea").mkdir()
        write_jsonl(home / "landing" / "tea" / "rows.jsonl", TEA)
        assert wait_for(hook, "check_warning")["subject"].startswith("raw_pool[tea]: ")
    lines = [json.loads(line) for line in (home / "alerts.jsonl").read_text().splitlines()]
    assert [one["kind"] for one in lines] == [one["kind"] for one in hook.bodies]
    for file in (log, home / "alerts.jsonl"):
        assert SECRET not in file.read_text(errors="replace")
    everything = b"".join(file.read_bytes() for file in (home / "dagster").rglob("*") if file.is_file())
    assert SECRET.encode() not in everything
