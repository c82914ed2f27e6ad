"""Rows of an ingest that the quarantine limit refused: nothing of it is in the warehouse, so they stand in a file.

One Parquet file for each source, `refused/<source>.parquet`, of its last ingest if that was refused.

What belongs here: writing, reading and forgetting these files. What does not: the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deita_assets.core.names import is_source_name
from deita_assets.stores.home import Home
from deita_assets.stores.new_folder import sync


def keep_refused(home: Home, source: str, staged: list[Path]) -> None:
    """Put staged Parquet files of quarantined rows together, in the place of what was kept before; atomic."""
    import pyarrow.parquet as pq

    home.refused.mkdir(parents=True, exist_ok=True)
    unfinished = home.refused / f".{source}.part"
    with pq.ParquetWriter(unfinished, pq.read_schema(staged[0])) as writer:
        for path in staged:
            writer.write_table(pq.read_table(path))
    sync(unfinished)
    unfinished.replace(_file(home, source))


def forget_refused(home: Home, source: str) -> None:
    """A later ingest of the source went well."""
    _file(home, source).unlink(missing_ok=True)


def refused_sources(home: Home) -> list[str]:
    """Sources whose last ingest was refused, in name order."""
    names = (path.name.removesuffix(".parquet") for path in home.refused.glob("*.parquet"))
    return sorted(name for name in names if is_source_name(name))


def refused_rows(home: Home, source: str) -> Iterator[dict[str, Any]]:
    """source, file, line, reason, detail and raw_prefix of each row, in the order of reading."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(_file(home, source)) as table:
        for batch in table.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                yield {
                    "source": row["source"], "file": row["uri"], "line": row["line"], "reason": row["reason"],
                    "detail": row["detail"], "raw_prefix": row["raw_prefix"],
                }  # fmt: skip


def _file(home: Home, source: str) -> Path:
    return home.refused / f"{source}.parquet"
