"""A home with an old pool and a published subset, and one more file that comes in.

What belongs here: that home, cases of input, and running one. What does not: the cases.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deita_assets.core.limits import ReadLimits
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.errors import DeitaError
from deita_assets.stores.home import Home
from deita_assets.stores.pool import IngestReport
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.fakes import Study
from deita_assets_tests.faults.damaged_home import without_figure
from deita_assets_tests.faults.invariant import CANARY, Watched, watched
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.readers import packing

#: Rows of the old pool of source `s`, Alpaca; those that come in beside a bad row have other numbers.
OLD = 10


def good(n: int, **more: Any) -> dict[str, Any]:
    """An Alpaca row whose conversation depends on `n` alone."""
    return {"instruction": f"{CANARY} question {n} ä\U0001f600", "output": f"{CANARY} answer {n}", **more}


def chat(*messages: tuple[str, Any], **more: Any) -> dict[str, Any]:
    """A row of messages: (role, content) each."""
    return {"messages": [{"role": role, "content": content} for role, content in messages], **more}


ASKED, ANSWERED = ("user", f"{CANARY} question"), ("assistant", f"{CANARY} answer")


def beside(*lines: bytes) -> bytes:
    """JSON lines: a good row, these lines, and another good row."""
    return packing.jsonl([good(100)]) + b"".join(line + b"\n" for line in lines) + packing.jsonl([good(101)])


def rows_beside(*rows: Any) -> bytes:
    """The same of values."""
    return packing.jsonl([good(100), *rows, good(101)])


@dataclass(frozen=True)
class Case:
    """One file, or several, and what must come of them.

    Attributes:
        fault: what it stands for.
        files: name in landing -> bytes, of one source.
        reasons: reason code -> rows in quarantine.
        gained: rows that come into the pool.
        duplicates: exact duplicates among what comes in.
        error: what the message of a refused ingest matches; empty when the ingest succeeds.
        source: `s`, which has an old pool of Alpaca rows, or a new one.
        limits: of the reading.
        also: further questions: (case, home, report) -> what they showed.
    """

    fault: Fault
    files: Callable[[], dict[str, bytes]]
    reasons: dict[str, int] = field(default_factory=dict)
    gained: int = 2
    duplicates: int = 0
    error: str = ""
    source: str = "s"
    limits: ReadLimits = ReadLimits()  # noqa: RUF009 - frozen
    also: Callable[[InputHome, IngestReport], str] | None = None

    def __str__(self) -> str:
        return str(self.fault)


def one(content: Callable[[], bytes] | bytes, name: str = "b.jsonl") -> Callable[[], dict[str, bytes]]:
    """One file of this content, made when it is asked for."""
    return lambda: {name: content if isinstance(content, bytes) else content()}


class InputHome(Study):
    """The home that files come into."""

    def __init__(self, home: Home) -> None:
        super().__init__(Warehouse(home), Landing(home))

    def read(self, source: str = "s", **reading: Any) -> IngestReport:
        return ingest_source(self.warehouse, source, SourceReading(**reading))

    def texts(self, source: str) -> list[str]:
        """Canonical conversations in the pool of a source, in the order of their lines."""
        query = "select conversations from pool where source = ? order by file, line"
        return [text for (text,) in self.query(query, source)]

    def quarantined(self, source: str) -> list[tuple[str, int, str, str]]:
        return self.query(
            "select file, line, reason, detail from quarantine where source = ? order by 1, 2", source
        )


_MADE: list[Path] = []


def published_home(folder: Path, tmp_path_factory: Any, migrated: Path) -> InputHome:
    """A copy of: source `s` of `OLD` rows, scored, a published subset of 5; made once, copied for each case."""
    if not _MADE:
        home = Home(tmp_path_factory.mktemp("published") / "home").create()
        shutil.copyfile(migrated, home.warehouse)
        _fill(InputHome(home))
        _MADE.append(home.root)
    copy = Home(folder / "home")
    shutil.copytree(_MADE[0], copy.root)
    return InputHome(copy)


def _fill(study: InputHome) -> None:
    from deita_assets.engines.cut import cut_subset
    from deita_assets.engines.parameters import SelectionParameters
    from deita_assets.engines.select import make_ledger
    from deita_assets.stores.ledgers import Scope

    study.prepare("s", [good(n) for n in range(OLD)])
    ledger = make_ledger(study.warehouse, Scope("source", "s", ("s",)), SelectionParameters(0.9), budget=5)
    with without_figure():
        cut_subset(study.warehouse, ledger, 5, provenance={"run_id": "first"})
    publish(study.home)


def come_in(case: Case, study: InputHome, caplog: Any, capsys: Any) -> tuple[Watched, IngestReport | None]:
    """Land the files of a case and ingest them; asserts the invariant and what the case expects."""
    report = None
    for name, content in case.files().items():
        study.land(case.source, name, content)
    with watched(study.home, caplog, capsys, expect=(DeitaError,) if case.error else ()) as seen:
        report = study.read(case.source, limits=case.limits)
        _as_expected(case, report)
    assert (seen.error is None) == (not case.error), "no error"
    return seen, report


def _as_expected(case: Case, report: IngestReport) -> None:
    old = OLD if case.source == "s" else 0
    assert dict(report.quarantine_reasons) == case.reasons
    assert (report.n_pool - old, report.n_new, report.n_exact_duplicates) == (
        case.gained,
        case.gained,
        case.duplicates,
    )
    assert (report.n_withdrawn, report.n_withheld) == (0, 0)


def told(report: IngestReport, more: str = "") -> str:
    """What is seen of an ingest that went well, for the page."""
    reasons = [f"`{reason}` {count:,}" for reason, count in sorted(report.quarantine_reasons.items())]
    parts = [f"{report.n_new} rows new", f"{report.n_exact_duplicates} exact duplicates"]
    return ", ".join(
        [*reasons, *(part for part in parts if not part.startswith("0 ")), *([more] if more else [])]
    )
