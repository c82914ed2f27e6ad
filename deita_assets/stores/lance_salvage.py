"""Mending a LanceDB table: rows out by key or checksum, checksums filled in, and a table that cannot be read made anew.

Salvage copies every sound row that can be read into a new table and puts that in the place of the old one, which is
set aside whole below `damaged/`. A table whose newest manifest is broken is read by the newest one that is not; rows of
later commits are then lost with it. What is lost is computed again by whoever wants it.

A kill leaves the old table, or the new one `ready` below staging, which the next call puts in its place; where the old
one was not set aside yet, the work begins again, because that one may have got rows since.

What belongs here: one table. What does not: what is wrong with it (lance_audit), or computing what is lost.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from deita_assets.errors import StoreError
from deita_assets.stores.checksums import CHECKSUM, score_checksums, vector_checksums
from deita_assets.stores.home import Home
from deita_assets.stores.lance_audit import BadRow, Judged
from deita_assets.stores.lance_keys import drop_keys, drop_where
from deita_assets.stores.lance_rows import TableRows, manifests
from deita_assets.stores.lock import file_lock
from deita_assets.stores.vectors import (
    SCORE_WORDS,
    SCORES,
    add_checksum_column,
    embedding_schema,
    score_schema,
)

#: Bytes written in one commit.
_COMMIT_BYTES = 64 << 20
_READY = "ready"
#: File below staging that says where the old table goes, or went.
_ASIDE = "aside"
Judge = Callable[[pa.RecordBatch], Judged]


def key_column(name: str) -> str:
    """The key of a table."""
    return "score_key" if name == SCORES else "content_sha256"


def drop_rows(home: Home, name: str, bad: Sequence[BadRow], doubled: Sequence[str]) -> bool:
    """Take damaged and doubled rows out of a table that can be read.

    Returns:
        False when some row has neither a key nor a checksum to be named by, so that the table has to be salvaged.
    """
    keys = sorted({*doubled, *(row.key for row in bad if row.by_key)})
    if keys:
        drop_keys(home, name, key_column(name), keys)
    # A key of damaged bytes is no text to put into a filter; the checksum beside it is a number.
    nameless = [row for row in bad if not row.by_key]
    sums = sorted({row.checksum for row in nameless if row.checksum is not None})
    if sums:
        drop_where(home, name, f"{CHECKSUM} IN ({', '.join(map(str, sums))})")
    return all(row.checksum is not None for row in nameless)


def fill_checksums(home: Home, name: str, judge: Judge) -> int:
    """Give sound rows that have no checksum one; returns how many. Rows that damage makes unsound stay without."""
    table = _connect(home.lance).open_table(name)
    add_checksum_column(table)
    rows, filled = TableRows.at(home.lance, name), 0
    wanted = (_without(batch, judge) for batch in rows.batches(_columns(name)))
    for part in _commits(wanted):
        done = table.merge_insert(key_column(name)).when_matched_update_all().execute(part)
        filled += int(done.num_updated_rows)
    return filled


def _without(batch: pa.RecordBatch, judge: Judge) -> pa.RecordBatch:
    """Sound rows without a checksum, with one."""
    found = judge(batch)
    fine = [fault is None and was is None for fault, was in zip(found.faults, found.checksums, strict=True)]
    return _with_checksums(batch.filter(pa.array(fine)))


def salvage(home: Home, name: str, judge: Judge) -> tuple[int, Path]:
    """Make a table anew from the sound rows that can be read of it.

    Returns:
        (rows kept, where the old table was set aside).

    Raises:
        LockTimeoutError: a run is scoring or embedding.
    """
    work = home.staging / f"salvage-{name}"
    with ExitStack() as held:
        for lock in _writers(home):
            held.enter_context(file_lock(lock, f"salvage {name}"))
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        kept = _copy_sound(_readable(home, name, work / "view"), work / "new", name, judge)
        aside = set_aside(home, home.lance / f"{name}.lance", Path("lance"), move=False)
        aside.parent.mkdir(parents=True, exist_ok=True)
        (work / _ASIDE).write_text(str(aside.relative_to(home.root)), encoding="utf-8")
        if (work / "new").exists():
            (work / "new").rename(work / _READY)
        (home.lance / f"{name}.lance").rename(aside)
        _put_in_place(home, work, name)
    return kept, aside


def finish_salvages(home: Home) -> list[str]:
    """Put tables in place that a killed salvage had ready; returns their names."""
    names = []
    for ready in sorted(home.staging.glob(f"salvage-*/{_READY}")):
        name = ready.parent.name.removeprefix("salvage-")
        if _still_stands(home, ready.parent, name):
            shutil.rmtree(ready.parent)
            continue
        _put_in_place(home, ready.parent, name)
        names.append(name)
    return names


def _still_stands(home: Home, work: Path, name: str) -> bool:
    """Whether the table in place is the old one: a kill came before it was set aside."""
    aside = home.root / (work / _ASIDE).read_text(encoding="utf-8")
    return not aside.exists() and (home.lance / f"{name}.lance").exists()


def set_aside(home: Home, path: Path, below: Path, *, move: bool = True) -> Path:
    """Where a damaged file or folder goes below `damaged/`: a name of its own; moved there unless told otherwise."""
    number = 1
    while (aside := home.damaged / below / f"{path.name}-{number}").exists():
        number += 1
    if move:
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.rename(aside)
    return aside


def _writers(home: Home) -> list[Path]:
    """Locks of everything that writes to the tables."""
    steps = [
        path for step in ("complexity", "quality", "embedding") for path in home.locks.glob(f"{step}-*.lock")
    ]
    return [home.locks / "compact.lock", *sorted(steps)]


def _readable(home: Home, name: str, view: Path) -> TableRows | None:
    """The table at the newest edition that can be opened; None when there is none."""
    try:
        return TableRows.at(home.lance, name)
    except StoreError:
        pass
    # Links to the same files, so that manifests can be left out without touching the table.
    shutil.copytree(home.lance / f"{name}.lance", view / f"{name}.lance", copy_function=os.link)
    (view / f"{name}.lance" / "_versions" / "latest_version_hint.json").unlink(missing_ok=True)
    for manifest in manifests(view / f"{name}.lance"):
        manifest.unlink()
        try:
            return TableRows.at(view, name)
        except StoreError:
            continue
    return None


def _copy_sound(rows: TableRows | None, folder: Path, name: str, judge: Judge) -> int:
    """Write the sound rows of a table into a new one of the same name below `folder`; how many."""
    if rows is None:
        return 0
    table, kept = None, 0
    for part in _commits(_sound(batch, judge) for batch in rows.batches(_columns(name))):
        if table is None:
            schema = (
                score_schema()
                if name == SCORES
                else embedding_schema(part.schema.field("vector").type.list_size)
            )
            table = _connect(folder).create_table(name, schema=schema)
        kept += _insert(table, name, part)
    return kept


def _sound(batch: pa.RecordBatch, judge: Judge) -> pa.RecordBatch:
    fine = pa.array([fault is None for fault in judge(batch).faults])
    return _with_checksums(batch.filter(fine))


def _put_in_place(home: Home, work: Path, name: str) -> None:
    """The table that is ready becomes the table, or joins what was written to another one meanwhile."""
    ready, target = work / _READY / f"{name}.lance", home.lance / f"{name}.lance"
    if ready.exists():
        if target.exists():
            table = _connect(home.lance).open_table(name)
            add_checksum_column(table)
            for part in _commits(TableRows.at(work / _READY, name).batches(_columns(name))):
                _insert(table, name, part)
        else:
            ready.rename(target)
    shutil.rmtree(work, ignore_errors=True)


def _insert(table: Any, name: str, part: pa.Table) -> int:
    # Two rows of one key inside one batch would both land.
    first = {key: at for at, key in reversed(list(enumerate(part[key_column(name)].to_pylist())))}
    once = part.take(pa.array(sorted(first.values())))
    done = table.merge_insert(key_column(name)).when_not_matched_insert_all().execute(once)
    return int(done.num_inserted_rows)


def _columns(name: str) -> list[str]:
    return [*SCORE_WORDS, "score", CHECKSUM] if name == SCORES else ["content_sha256", "vector", CHECKSUM]


def _with_checksums(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Sound rows, each with its checksum, columns in the order of the table's schema."""
    names = batch.schema.names
    if "vector" in names:
        vectors = batch.column("vector")
        matrix = (
            vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(vectors), vectors.type.list_size)
        )
        sums = vector_checksums((key.encode() for key in batch.column("content_sha256").to_pylist()), matrix)
        order = ["content_sha256", "vector"]
    else:
        words = [[word.encode() for word in batch.column(name).to_pylist()] for name in SCORE_WORDS]
        sums = score_checksums(words, batch.column("score").to_pylist())
        order = [name for name in score_schema().names if name != CHECKSUM]
    return pa.record_batch(
        [*(batch.column(name) for name in order), pa.array(sums)], names=[*order, CHECKSUM]
    )


def _commits(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together to what is written in one commit."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
        if sum(one.nbytes for one in held) >= _COMMIT_BYTES:
            yield _one_table(held)
            held = []
    if held:
        yield _one_table(held)


def _one_table(held: list[pa.RecordBatch]) -> pa.Table:
    table = pa.Table.from_batches(held)
    name = "vector" if "vector" in table.schema.names else SCORES
    schema = (
        score_schema() if name == SCORES else embedding_schema(table.schema.field("vector").type.list_size)
    )
    return table.select(schema.names).cast(schema)


def _connect(folder: Path) -> Any:
    import lancedb

    return lancedb.connect(str(folder), read_consistency_interval=timedelta(0))
