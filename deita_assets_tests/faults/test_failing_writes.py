"""Each single write fails in turn, on every step of the way: an error that names the cause, the old state, a re-run.

The writes of a step are failed one by one, n = 1, 2, 3 ..., until the step passes untouched; by default a few of them
are. Besides, no file may grow beyond a size, from nothing upwards, which meets the stores in their own code.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import dataclass

import pytest

from deita_assets.cli import main
from deita_assets.engines.ingest import ingest_source
from deita_assets.errors import StoreError
from deita_assets.stores.disk import disk_errors_told
from deita_assets_tests.faults import journeys
from deita_assets_tests.faults.failing import Disk, no_file_beyond, nth_write_fails
from deita_assets_tests.faults.invariant import Look
from deita_assets_tests.faults.journeys import STEPS, Asking, Journey, unharmed
from deita_assets_tests.faults.matrix import Fault

GROUP = "writes"
#: Writes that fail by default: of DuckDB, LanceDB, a manifest, `cp` and a file of an export.
_BY_DEFAULT = {"ingest": 12, "score": 9, "select": 25, "publish": 3, "export": 10}
#: Of a full disk and of a broken one, in turn.
_NUMBERS = errno.ENOSPC, errno.EIO
_SIZES = [0, *(1024 * 4**k for k in range(9))]


def survives(world, journey: Journey, step: str, before: Look) -> None:
    """After a refused write: what was published stands, and the step again ends where it always does."""
    asking = Asking(journey)
    now = unharmed(journey, before)
    if "serving.duckdb" in now.published and step != "publish":
        assert now.published["serving.duckdb"] == before.published["serving.duckdb"]
    journey.steps[step]()
    asking.since()
    assert journeys.arrived(journey) == world.arrived(journeys.after(step))


def fail_nth_write(world, folder, step: str, n: int) -> Disk:
    """A disk on which that write of a step failed, if the step has so many."""
    with world.copy(step, folder, "failing") as journey:
        before = Look.at(journey.home)
        with nth_write_fails(n, _NUMBERS[n % 2]) as disk:
            said = told(journey, step)
        if disk.refused:
            assert disk.words in said, f"{disk.refused}: {said!r}"
            survives(world, journey, step, before)
        else:
            assert said == ""
        return disk


def told(journey: Journey, step: str) -> str:
    """What a command would print of the step's error; empty when there was none."""
    try:
        with disk_errors_told():
            journey.steps[step]()
    except StoreError as error:
        assert error.cure
        return error.message
    return ""


def _fault(step: str) -> Fault:
    return Fault("63", f"a write fails: {step}", "the n-th write is refused, one after the other", "error")


def _witnessed(witness, fault: Fault, disk: Disk) -> None:
    witness(fault, f"StoreError: {disk.words}; the old state stands, the step again completes")


@pytest.mark.parametrize(("step", "n"), _BY_DEFAULT.items(), ids=_BY_DEFAULT)
def test_a_write_fails(step, n, world, tmp_path, witness):
    disk = fail_nth_write(world, tmp_path, step, n)
    assert disk.refused
    _witnessed(witness, _fault(step), disk)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_each_write_fails_in_turn(step, world, tmp_path, witness):
    n = 1
    while (disk := fail_nth_write(world, tmp_path, step, n)).refused:
        _witnessed(witness, _fault(step), disk)
        n += 1
    assert n > 2


_FULL = "no file may grow beyond a size (RLIMIT_FSIZE), from nothing upwards"
#: Where stores meet it in their own code: LanceDB and DuckDB; Arrow and `cp` in the long run.
_OWN_CODE = [("score", 1024), ("scored pool", 1024)]


def disk_full(world, folder, step: str, n_bytes: int) -> str:
    """What is said of a step within that limit; empty when it is enough."""
    with world.copy(step, folder, "full") as journey:
        before = Look.at(journey.home)
        with no_file_beyond(n_bytes):
            said = told(journey, step)
        if said:
            survives(world, journey, step, before)
        return said


@pytest.mark.parametrize(("step", "n_bytes"), _OWN_CODE)
def test_the_disk_is_full(step, n_bytes, world, tmp_path, witness):
    said = disk_full(world, tmp_path, step, n_bytes)
    assert "File too large" in said
    witness(Fault("63", f"the disk is full: {step}", _FULL, "error"), "StoreError: File too large")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_the_disk_fills_up_at_any_size(step, world, tmp_path, witness):
    refusals = [disk_full(world, tmp_path, step, n_bytes) for n_bytes in _SIZES]
    assert refusals[0]
    assert refusals[-1] == ""
    assert all("File too large" in said for said in refusals if said)
    times = sum(map(bool, refusals))
    witness(
        Fault("63", f"the disk is full: {step}", _FULL, "error"), "StoreError: File too large", times=times
    )


@dataclass(frozen=True)
class Command:
    """A command of which each write is refused in turn."""

    name: str
    arguments: tuple[str, ...]
    slow: bool = True
    stride: int = 1

    @property
    def fault(self) -> Fault:
        how = f"`{self.name}`, the n-th write is refused, one after the other"
        return Fault("63", "a write fails: what the command line says", how, "error")


_EXPORT = "export", "{version}", "--format", "sharegpt", "--out", "{outside}/train"
COMMANDS = [
    Command("export", _EXPORT, slow=False, stride=6),
    Command("export", _EXPORT),
    Command("compact", ("compact",)),
    Command("reproduce", ("reproduce", "{version}", "--out", "{outside}/train"), stride=7),
]


def called(capsys, arguments) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(one, marks=[pytest.mark.slow] * one.slow, id=f"{one.name}-{one.stride}")
        for one in COMMANDS
    ],
)
def test_the_command_line_names_the_cause(command, world, tmp_path, capsys, witness):
    with world.copy(journeys.END, tmp_path, "failing") as journey, journeys.without_figure():
        before = Look.at(journey.home)
        words = {"version": journey.version, "outside": journey.outside}
        given = ["--home", str(journey.home.root), *(one.format(**words) for one in command.arguments)]
        n = times = 0
        while True:
            n, times = n + command.stride, times + 1
            with nth_write_fails(n) as disk:
                code, out, err = called(capsys, [*given, *["--json"] * (times % 2)])
            if not disk.refused:
                break
            assert code == 1, disk.refused
            assert "Traceback" not in out + err
            document = json.loads(out) if times % 2 else {"message": err, "cure": err}
            assert disk.words in document["message"]
            assert "Free disk space" in document["cure"]
            assert [path.name for path in journey.outside.glob("train*")] == []
            unharmed(journey, before)
        assert code == 0, err
        witness(
            command.fault, f"error: {disk.words}; no traceback; nothing left; then it completes", times=n - 1
        )


PLACES = [
    ("a home below a file", "{outside}/file/home", errno.ENOTDIR),
    ("a home whose name is too long", "{outside}/" + "x" * 300, errno.ENAMETOOLONG),
]


@pytest.mark.parametrize(("what", "place", "number"), PLACES, ids=lambda one: str(one).replace(" ", "-")[:40])
def test_a_home_cannot_be_made(what, place, number, tmp_path, capsys, witness):
    (tmp_path / "file").write_text("")
    home = place.format(outside=tmp_path)
    code, out, err = called(capsys, ["--home", home, "compact"])
    assert code == 1
    assert "Traceback" not in out + err
    assert os.strerror(number) in err
    witness(Fault("64", what, "`--home`", "error"), f"error: {os.strerror(number)}")


READ_ONLY = Fault("64", "a home that may not be written to", "each place where it writes is refused", "error")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES], ids=["read-only", "another-owner"])
def test_a_home_may_not_be_written_to(number, world, tmp_path, witness):
    """By a hook: whoever runs these tests as root may write everywhere."""
    with world.copy("ingest", tmp_path, "read-only") as journey:
        before = Look.at(journey.home)
        with nth_write_fails(1, number):
            said = told(journey, "ingest")
        assert os.strerror(number) in said
        survives(world, journey, "ingest", before)
        witness(READ_ONLY, f"StoreError: {os.strerror(number)}")


def test_landing_is_not_there(world, tmp_path, witness):
    """A disk that is not mounted looks like a folder that was emptied."""
    with world.copy("ingest", tmp_path, "unmounted") as journey:
        landing = journey.home.landing
        before = journeys.pool_of(journey, "t")
        shutil.move(landing, tmp_path / "elsewhere")
        landing.mkdir()
        report = ingest_source(journey.warehouse, "t")
        assert journeys.pool_of(journey, "t") == before
        assert report.n_withheld == len(before)
        landing.rmdir()
        shutil.move(tmp_path / "elsewhere", landing)
        journey.steps["ingest"]()
        assert journeys.arrived(journey) == world.arrived("score")
        fault = Fault("64", "the disk of landing is not mounted", "its folders moved away", "safe")
        witness(fault, f"{report.n_withheld} removals held back, none made")
