"""What is left to score and embed, and how long that will take: measured on a small trial, not guessed.

A run computes, fetches texts, commits results, and starts a process with the model for every source. All of it is
measured (`trial`), but for the price of a commit, which is a constant. Vectors that the quality scores give on their
way (`joint`) take no time of their own.

What belongs here: counting what is left, and adding up. What does not: the trial, and the loop that does the work
(`cover`).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from time import monotonic
from typing import Any

from deita_assets.engines.cover import COMMIT_S, FETCH_KEYS, Step
from deita_assets.engines.joint import JointStep
from deita_assets.engines.trial import run_trial
from deita_assets.errors import DeitaError
from deita_assets.settings import load_settings
from deita_assets.stores import scored
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse

#: One commit to Lance into a table of a few hundred fragments, on a local disk.
COMMIT_COST_S = 0.05
#: What a commit writes beside its rows (a manifest, a bloom filter of keys, a file's footer), measured over 1,000
#: commits; and by how much that grows with each commit before it, because a manifest names every fragment.
COMMIT_BYTES, COMMIT_BYTES_GROWTH = 72_000, 85


@dataclass(frozen=True)
class Estimate:
    """What one step still has to do over some sources.

    Attributes:
        step: its name.
        fingerprint: digest of its model's fingerprint.
        n_wanted: keys of the pools of all sources, each once.
        n_left: those without a result.
        n_given: those of them that an earlier step computes on its way; the rest is what follows.
        chars_left: their characters.
        tokens_left: tokens that the model will read of them; None when it has none.
        share_over_window: share of them that is longer than the model's window, in [0, 1]; None without tokens.
        seconds: whole time of the step, with `start_seconds` for every source that something is left of.
        start_seconds: from the start of a process to the first result of its model.
        disk_bytes: by how much the tables grow; the rows of what is given count here, their commits where it is given.
    """

    step: str
    fingerprint: str
    n_wanted: int
    n_left: int
    n_given: int
    chars_left: int
    tokens_left: int | None
    share_over_window: float | None
    seconds: float
    start_seconds: float
    disk_bytes: int


def estimate_step(
    warehouse: Warehouse,
    step: Step,
    sources: Sequence[str],
    *,
    given: Set[str] = frozenset(),
    before_s: float = 0.0,
) -> Estimate:
    """Count what is left of a step and time a trial of it; stores nothing.

    Args:
        warehouse: where the pools are.
        step: what is to be done.
        sources: whose pools.
        given: keys that an earlier step will have computed (`given_contents`).
        before_s: seconds that a run, too, takes until it has the step.
    """
    began = monotonic()
    n_wanted, left = _left(warehouse, step, sources)
    read_s = monotonic() - began
    rest = {key: value for key, value in left.items() if key not in given}
    found = Estimate(
        step.name, step.fingerprint.digest, n_wanted, len(left), len(left) - len(rest),
        sum(n for n, _ in rest.values()), None, None, 0.0, 0.0, len(left) * step.result_bytes,
    )  # fmt: skip
    if not rest:  # a process is started all the same, but loads no model
        return dataclasses.replace(found, seconds=before_s * len({source for _, source in left.values()}))
    trial = run_trial(warehouse, step, rest)
    start_s = before_s + trial.load_seconds
    starts = len({source for _, source in rest.values()})
    commits = _commits(len(rest), trial.seconds)
    tables = 2 if isinstance(step, JointStep) else 1
    return dataclasses.replace(
        found,
        tokens_left=trial.tokens,
        share_over_window=trial.share_over_window,
        seconds=starts * start_s
        + read_s
        + trial.fetch_seconds
        + trial.seconds
        + tables * commits * COMMIT_COST_S,
        start_seconds=start_s,
        disk_bytes=found.disk_bytes + tables * commits * (COMMIT_BYTES + commits * COMMIT_BYTES_GROWTH // 2),
    )


def given_contents(warehouse: Warehouse, quality: Step, sources: Sequence[str]) -> set[str]:
    """content_sha256 of the conversations whose vectors the quality step will store on its way, nearly all of them.

    Those that it reads in other words than the embedder (with a tool call, say) are counted too: they are few.
    """
    given: set[str] = set()
    if not isinstance(quality, JointStep):
        return given
    _, left = _left(warehouse, quality, sources)
    with warehouse.read("estimate embedding: given") as con:
        for source in sources:
            keys = [key for key, (_, first) in left.items() if first == source]
            for start in range(0, len(keys), FETCH_KEYS):
                joint = scored.joint_contents(con, source, keys[start : start + FETCH_KEYS])
                given |= {content for _, content, _ in joint}
    return given


def estimate_in_child(home: Home, name: str, sources: Sequence[str]) -> Estimate:
    """`estimate_step` in a process of its own: what a run pays to start one is measured, and its memory is freed.

    Raises:
        DeitaError: what stopped it, as the step's model says it.
    """
    command = [
        sys.executable, "-m", "deita_assets.engines.estimate", name, *sources,
        "--home", str(home.root), "--since", str(time.time()),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        outcome: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise DeitaError(
            f"the trial of {name} ended with code {done.returncode}.",
            cure="What it printed says why; a negative code is the number of a signal, -9 often a lack of memory.",
        ) from None
    if "message" in outcome:
        raise DeitaError(outcome["message"], cure=outcome["cure"])
    return Estimate(**outcome)


def main(arguments: list[str] | None = None) -> int:
    """Estimate one step and print it as JSON: `python -m deita_assets.engines.estimate STEP SOURCE... --home HOME`."""
    from deita_assets.engines.child import build_step

    parser = argparse.ArgumentParser(prog="deita_assets.engines.estimate")
    parser.add_argument("step", choices=scored.STEPS)
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--home", required=True)
    parser.add_argument("--since", type=float)
    options = parser.parse_args(arguments)
    try:
        home = Home.at(options.home)
        warehouse, settings = Warehouse(home), load_settings(home)
        step = build_step(home, settings, options.step)
        before_s = time.time() - (options.since or time.time())
        given = set()
        if options.step == "embedding" and settings.scorer.name == "distilled":
            given = given_contents(warehouse, build_step(home, settings, "quality"), options.sources)
        found = estimate_step(warehouse, step, options.sources, given=given, before_s=before_s)
        outcome = dataclasses.asdict(found)
    except DeitaError as error:
        outcome = {"message": error.message, "cure": error.cure}
    sys.stdout.write(json.dumps(outcome) + "\n")
    return 0


def _left(warehouse: Warehouse, step: Step, sources: Sequence[str]) -> tuple[int, dict[str, tuple[int, str]]]:
    """Number of keys wanted, and (characters, first source) of those without a result."""
    left: dict[str, tuple[int, str]] = {}
    with warehouse.read(f"estimate {step.name}") as con:
        for source in sources:
            keys = scored.wanted_keys(con, source, step.name)
            for key, n_chars in zip(keys["key"].to_pylist(), keys["n_chars"].to_pylist(), strict=True):
                left.setdefault(key, (int(n_chars or 0), source))
    n_wanted = len(left)
    for key in step.present() & set(left):
        del left[key]
    return n_wanted, left


def _commits(n_rows: int, seconds: float) -> int:
    """Commits of a run: 1, 4, 16 rows and so on up to one every `COMMIT_S`, of at most `FETCH_KEYS` rows."""
    steady = max(1.0, min(float(FETCH_KEYS), n_rows * COMMIT_S / max(seconds, 1e-3)))
    growing, size, done = 0, 1, 0
    while size < steady and done < n_rows:
        done += size
        growing, size = growing + 1, 4 * size
    return growing + round(max(0, n_rows - done) / steady)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C: it holds nothing that could be lost
    sys.exit(main())
