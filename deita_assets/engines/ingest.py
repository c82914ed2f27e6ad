"""Ingest: what stands in `landing/<source>/` becomes the pool of that source, or its quarantine.

Files are parsed outside any transaction; one short transaction then loads the staged rows, withdraws what left
landing, recomputes the pool version and checks the accounting. A kill at any moment leaves the old pool.

What belongs here: the order of those steps and the rule about removals. What does not: parsing and statements.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deita_assets.core.fingerprint import short_digest
from deita_assets.core.limits import ReadLimits
from deita_assets.core.names import validate_source_name
from deita_assets.core.quarantine_limit import QuarantineLimit, malformed_only
from deita_assets.engines.landing import file_marks, landing_files
from deita_assets.engines.staging import Stage, questions_cure, recognise_format
from deita_assets.errors import NotFoundError, QuarantineLimitError, SourceFileError
from deita_assets.stores import pool
from deita_assets.stores.lock import file_lock
from deita_assets.stores.pool import IngestReport, LandingFile
from deita_assets.stores.refused import forget_refused, keep_refused
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

#: Version of the parsing rules, recorded with each batch.
READER = "reader/1"
#: Marks the reading of rows that may hold questions alone, so that a change of mind reads the files anew.
WITHOUT_ANSWERS = "+questions"
#: A source that would lose more than this share of its rows at once is more likely unmounted than meant.
REMOVAL_GUARD = 0.20


#: Bytes that DuckDB may hold while staged rows are loaded, and more for each row: keys cannot be put on the disk.
_LOADING, _LOADING_A_ROW = 320 << 20, 128

OnBytes = Callable[[int, int], None]


@dataclass(frozen=True)
class SourceReading:
    """How a source is to be read; None and empty mean: as recorded, or recognised from its rows."""

    format: str | None = None
    field_map: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None
    accept_removals: bool = False
    #: Files (uri) that were replaced or withdrawn by hand: their old rows go without further asking.
    by_hand: frozenset[str] = frozenset()
    #: Files (uri, sha256) that the hub's id of a source does not name any more: their rows go likewise.
    let_go: frozenset[tuple[str, str]] = frozenset()
    limits: ReadLimits = field(default_factory=ReadLimits)
    #: False for exclusion sets: rows that hold questions alone come into the pool instead of quarantine.
    answers_required: bool = True
    malformed_allowed: QuarantineLimit = QuarantineLimit()


def ingest_source(
    warehouse: Warehouse,
    source: str,
    reading: SourceReading | None = None,
    *,
    run_id: str | None = None,
    on_bytes: OnBytes = lambda read, total: None,
) -> IngestReport:
    """Bring the pool of one source in line with its landing folder.

    Ingesting the same files again changes nothing and keeps the pool version. `on_bytes` is told (bytes read, bytes to
    read) while files are parsed.

    Raises:
        NotFoundError: nothing stands in landing and the source was never ingested.
        SourceFileError: a file as a whole cannot be read; nothing was written.
        QuarantineLimitError: too many rows of the files that are new are malformed; the pool is as it was, and the
            quarantine of this ingest stands in `stores.refused` until another one goes well.
        AccountingError: rows would be lost or invented; nothing was written.
    """
    validate_source_name(source)
    home = warehouse.home
    with file_lock(home.locks / f"ingest-{source}.lock", f"ingest {source}"):
        report = _Ingest(warehouse, source, reading or SourceReading(), run_id, on_bytes).run()
        forget_refused(home, source)
        return report


class _RemovalsWithheldError(Exception):
    """The only change was a removal that the guard holds back."""

    def __init__(self, n_rows: int) -> None:
        super().__init__(n_rows)
        self.n_rows = n_rows


def _memory(stage: Stage) -> int:
    return _LOADING + _LOADING_A_ROW * sum(file.n_read for file in stage.files)


class _Ingest:
    """The state of one ingest while it runs."""

    def __init__(
        self,
        warehouse: Warehouse,
        source: str,
        reading: SourceReading,
        run_id: str | None,
        on_bytes: OnBytes,
    ) -> None:
        self.warehouse, self.source, self.reading, self.run_id = warehouse, source, reading, run_id
        self.on_bytes = on_bytes
        self.folder = warehouse.home.source_landing(source)
        self.marks = file_marks(warehouse.home, source)
        self.standing = landing_files(warehouse.home, source)
        with warehouse.read(f"ingest {source}: what is known") as con:
            self.known_format, self.known_map, self.known_licence = pool.known_source(con, source)
            self.live = pool.live_files(con, source)
            self.readers = pool.readers(con, source)
            self.known = source in pool.sources(con)

    def run(self) -> IngestReport:
        if not self.standing and not self.known:
            raise NotFoundError(
                f"source {self.source!r}: {self.folder} holds no file.",
                cure=f"Run `deita-assets add {self.source} PATH`, or put files there.",
            )
        self._clear_staging()
        new, gone = self._changes()
        if not new and not gone:
            return self._unchanged()
        staging = self.warehouse.home.staging / f"{self.source}-{uuid.uuid4().hex[:12]}"
        staging.mkdir(parents=True)
        try:
            stage = self._stage(staging, new)
            self._refuse_malformed(stage)
            try:
                return self._commit(stage, gone, _memory(stage))
            except MemoryError:  # long rows: whatever it takes, rather than not at all
                return self._commit(stage, gone, None)
        except _RemovalsWithheldError as withheld:
            return replace(self._unchanged(), n_withheld=withheld.n_rows)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _commit(self, stage: Stage, gone: set[tuple[str, str]], memory: int | None) -> IngestReport:
        with self.warehouse.write(f"ingest {self.source}", memory=memory) as con:
            report = self._load(con, stage, gone)
            if report.n_withheld and not stage.files and gone == self._unasked(gone):
                raise _RemovalsWithheldError(report.n_withheld)  # rolls back: nothing else happened
            return report

    def _clear_staging(self) -> None:
        """Remove what a killed ingest of this source left; the source's lock is held, so none is running."""
        name = re.compile(rf"{re.escape(self.source)}-[0-9a-f]{{12}}")
        for left in self.warehouse.home.staging.glob(f"{self.source}-*"):
            if name.fullmatch(left.name):
                shutil.rmtree(left, ignore_errors=True)

    @property
    def reader(self) -> str:
        return READER if self.reading.answers_required else READER + WITHOUT_ANSWERS

    @property
    def field_map(self) -> dict[str, str]:
        return dict(self.reading.field_map) or self.known_map

    @property
    def _reread(self) -> bool:
        """True when files that were read before must be read anew: other fields, another format or newer rules."""
        other_format = self.reading.format not in (None, self.known_format)
        return other_format or self.field_map != self.known_map or bool(self.readers - {self.reader})

    @property
    def _questions_end(self) -> bool:
        """True when rows that may lack answers came in before, and are not welcome now."""
        return self.reading.answers_required and READER + WITHOUT_ANSWERS in self.readers

    def _changes(self) -> tuple[list[LandingFile], set[tuple[str, str]]]:
        standing = {(file.uri, file.file_sha256) for file in self.standing}
        if self._reread:
            return self.standing, self.live
        new = [file for file in self.standing if (file.uri, file.file_sha256) not in self.live]
        return new, self.live - standing

    def _stage(self, folder: Path, new: list[LandingFile]) -> Stage:
        paths = [self.folder / file.uri for file in new]
        known = self.reading.format or (None if self._reread else self.known_format)
        limits, required = self.reading.limits, self.reading.answers_required
        recognised = known or recognise_format(paths, self.field_map, limits, answers_required=required)
        total = sum(file.n_bytes for file in new)
        stage = Stage(
            folder, self.source, recognised, self.field_map, limits, answers_required=required,
            on_bytes=lambda read: self.on_bytes(read, total),
        )  # fmt: skip
        self.format = recognised or self.known_format
        for path, file in zip(paths, new, strict=True):
            stage.add_file(path, file)
        stage.flush()
        self._refuse_changed(new)
        return stage

    def _refuse_changed(self, new: list[LandingFile]) -> None:
        """A file that grew or was replaced since it was hashed has rows that its checksum does not stand for."""
        now = file_marks(self.warehouse.home, self.source)
        for file in new:
            if now.get(file.uri) != self.marks.get(file.uri):
                raise SourceFileError(
                    f"source {self.source!r}: {file.uri} changed while it was read. Its pool is as it was.",
                    cure="Run it again when the file is written; copy under a name that ends in .part until then.",
                )

    def _refuse_malformed(self, stage: Stage) -> None:
        """Of the files read now alone: a bad file is not let in because the source is large."""
        allowed, malformed = self.reading.malformed_allowed, malformed_only(stage.reasons)
        n_read, n_malformed = sum(file.n_read for file in stage.files), sum(malformed.values())
        if not allowed.exceeded(n_malformed, n_read):
            return
        keep_refused(self.warehouse.home, self.source, sorted(stage.folder.glob("quarantine-*.parquet")))
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in malformed.items())
        raise QuarantineLimitError(
            f"source {self.source!r}: {n_malformed:,} of the {n_read:,} rows read are malformed ({reasons}), which is "
            f"{100 * n_malformed / n_read:.3g} %; allowed are {100 * allowed.share:.3g} %, or fewer than "
            f"{allowed.rows} rows. Its pool is as it was.",
            cure=self._cure_of_malformed(stage, nothing_read=n_malformed == n_read),
        )

    def _cure_of_malformed(self, stage: Stage, *, nothing_read: bool) -> str:
        if nothing_read and self.reading.answers_required:
            paths = [self.folder / file.file.uri for file in stage.files]
            if cure := questions_cure(self.source, paths):
                return cure
        return (
            f"See `deita-assets quarantine --source {self.source}`. Mend the rows, name fields with --map "
            "FIELD=NAME or the format with --format, or raise quarantine_limit in deita.toml."
        )

    def _load(self, con: duckdb.DuckDBPyConnection, stage: Stage, gone: set[tuple[str, str]]) -> IngestReport:
        seq = pool.next_seq(con, self.source)
        batch_id = short_digest(
            [self.source, seq, sorted([f.file.uri, f.file.file_sha256] for f in stage.files)]
        )
        licence = self.reading.licence or self.known_licence
        pool.save_source(con, self.source, format=self.format, field_map=self.field_map, licence=licence)
        con.execute(
            "create temp table was_in_pool as select sample_id from store.pool_row where source = ?",
            [self.source],
        )
        pool.close_files(con, self.source, gone, seq)
        pool.load_staged(con, stage.folder, self.source, seq, batch_id)
        pool.save_files(con, self.source, stage.files, seq, batch_id)
        n_withdrawn, n_withheld = self._withdraw(con, gone, seq)
        n_new = pool.rows_gained(con, self.source)
        report = replace(
            pool.account(con, self.source),
            n_new=n_new, n_withdrawn=n_withdrawn, n_withheld=n_withheld, changed=True,
        )  # fmt: skip
        pool.save_batch(
            con,
            report,
            batch_id,
            reader=self.reader,
            extra_fields=sorted(stage.extra_fields),
            run_id=self.run_id,
        )
        return report

    def _unasked(self, gone: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Files that left without anybody having said so."""
        if self.reading.accept_removals:
            return set()
        return {one for one in gone - self.reading.let_go if one[0] not in self.reading.by_hand}

    def _withdraw(
        self, con: duckdb.DuckDBPyConnection, gone: set[tuple[str, str]], seq: int
    ) -> tuple[int, int]:
        """Rebuild the pool; hold removals back when they look like an accident. Returns (withdrawn, withheld)."""
        pool.rebuild_pool(con, self.source, seq)
        before, lost = pool.rows_lost(con, self.source)
        emptied, unasked = bool(gone) and not self.standing, self._unasked(gone)
        if lost == 0 or not unasked or not (emptied or lost > REMOVAL_GUARD * before):
            return lost, 0
        if self._reread and not emptied:
            raise self._lost_by_rereading(before, lost)
        pool.reopen_files(con, self.source, unasked, seq)
        pool.rebuild_pool(con, self.source, seq)
        _, by_hand = pool.rows_lost(con, self.source)
        if emptied or lost - by_hand > REMOVAL_GUARD * (before - by_hand):
            return by_hand, lost - by_hand
        pool.close_files(con, self.source, unasked, seq)  # most of it was asked for, and the rest is little
        pool.rebuild_pool(con, self.source, seq)
        return lost, 0

    def _lost_by_rereading(self, before: int, lost: int) -> SourceFileError:
        if self._questions_end:
            return SourceFileError(
                f"source {self.source!r} is no exclusion set any more, and {lost:,} of its {before:,} rows have no "
                "answer.",
                cure=f"Name it in `exclusion_sets` again, or run `deita-assets add {self.source} "
                "--accept-removals`. Nothing was written.",
            )
        return SourceFileError(
            f"source {self.source!r}: read with format {self.format} and fields {self.field_map or 'as named'}, "
            f"{lost:,} of its {before:,} rows would be lost.",
            cure="Correct the format or field names, or give --accept-removals. Nothing was written.",
        )

    def _unchanged(self) -> IngestReport:
        licence = self.reading.licence
        if licence and licence != self.known_licence:
            with self.warehouse.write(f"ingest {self.source}: licence") as con:
                pool.save_source(
                    con, self.source, format=self.known_format, field_map=self.known_map, licence=licence
                )
        with self.warehouse.read(f"ingest {self.source}: counts") as con:
            return pool.account(con, self.source)
