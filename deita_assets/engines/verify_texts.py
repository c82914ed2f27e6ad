"""Texts that are not those that were read, read again from where they came from.

A row's id is the hash of its content, so a line of a landing file either gives the very text again or another id.

What belongs here: finding the file, and putting the text back. What does not: finding altered texts.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from deita_assets.core.limits import ReadLimits
from deita_assets.core.model_folder import file_sha256
from deita_assets.engines.staging import Stage
from deita_assets.stores import pool
from deita_assets.stores.home import Home
from deita_assets.stores.pool import LandingFile
from deita_assets.stores.sql import statement
from deita_assets.stores.warehouse import Warehouse

#: (source, file, its sha256, line) where a row was read from; None where no occurrence tells.
Place = tuple[str | None, str | None, str | None, int | None]


def restore_texts(warehouse: Warehouse, places: Mapping[str, Place]) -> list[str]:
    """Put texts and turns back as their files have them; returns the ids of rows whose file is not there any more.

    Args:
        warehouse: whose rows.
        places: id of each damaged row, and where it was read from.
    """
    by_file: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    lost = []
    for sample_id, (source, uri, sha256, _) in places.items():
        if source is None or uri is None or sha256 is None:
            lost.append(sample_id)
        else:
            by_file[source, uri, sha256].append(sample_id)
    for (source, uri, sha256), sample_ids in sorted(by_file.items()):
        path = _standing(warehouse.home, source, uri, sha256)
        if path is None:
            lost += sample_ids
        else:
            _read_again(warehouse, source, LandingFile(uri, sha256, path.stat().st_size), path, sample_ids)
    return sorted(lost)


def _standing(home: Home, source: str, uri: str, sha256: str) -> Path | None:
    """The file as it was read, in landing or among what was withdrawn."""
    for folder in (home.source_landing(source), home.withdrawn / source):
        path = folder / uri
        if path.is_file() and file_sha256(path) == sha256:
            return path
    return None


def _read_again(
    warehouse: Warehouse, source: str, file: LandingFile, path: Path, sample_ids: Sequence[str]
) -> None:
    with warehouse.read(f"verify: how {source} is read") as con:
        format_, field_map, _ = pool.known_source(con, source)
    warehouse.home.staging.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=warehouse.home.staging) as folder:
        # Rows without an answer may have been welcome when it was read; ids tell which ones are meant.
        stage = Stage(Path(folder), source, format_, field_map, ReadLimits(), answers_required=False)
        stage.add_file(path, file)
        stage.flush()
        with warehouse.write(f"restore texts of {source}") as con:
            con.register("damaged_now", pa.table({"sample_id": list(sample_ids)}))
            for name in ("conversation", "turn"):
                if files := sorted(str(one) for one in Path(folder).glob(f"{name}-*.parquet")):
                    con.execute(statement(f"verify/restore_{name}"), {"files": files})
