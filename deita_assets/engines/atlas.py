"""The map of a ledger: every row with its verdict, its scores, its place among the others and its neighbours.

What belongs here: which rows a map shows, and the files that hold it. What does not: geometry (atlas_layout), the
picture (atlas_picture), the page (atlas_page).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deita_assets.core.fingerprint import short_digest
from deita_assets.core.verdicts import KEPT
from deita_assets.engines.atlas_layout import METHODS, NEIGHBOURS, SEED, Layout, best_method, lay_out
from deita_assets.engines.atlas_picture import draw
from deita_assets.errors import NotFoundError, SettingsError
from deita_assets.stores import ledgers
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import StoredLedger
from deita_assets.stores.sql import statement
from deita_assets.stores.vectors import EmbeddingTable, comparable

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

#: Rows that a map shows unless told otherwise: their neighbours take some 30 s on two cores, and grow by the square.
MOST_ROWS = 50_000
#: Characters shown of an instruction or answer.
TEXT = 600
PARQUET, PICTURE = "map.parquet", "map.png"
#: Raised when a layout of the same vectors would come out differently.
_LAYOUT = 1


@dataclass(frozen=True)
class Atlas:
    """One map, on disk.

    Attributes:
        folder: holds `map.parquet` and `map.png`; none but its owner may enter.
        ledger: what was mapped.
        budget: at which the verdicts stand; None for the whole ledger.
        n_rows: rows of the ledger.
        n_shown: rows on the map.
        n_unplaced: rows without a vector, which have no place.
        verdicts: rows shown by verdict.
        method: `pca` or `umap`.
        explained: share of the variance that the picture holds, for `pca`.
    """

    folder: Path
    ledger: StoredLedger
    budget: int | None
    n_rows: int
    n_shown: int
    n_unplaced: int
    verdicts: dict[str, int]
    method: str
    explained: float | None

    @property
    def parquet(self) -> Path:
        """The map's rows."""
        return self.folder / PARQUET

    @property
    def picture(self) -> Path:
        """The map as a picture."""
        return self.folder / PICTURE

    @property
    def caption(self) -> str:
        """What is shown, in a line."""
        scope = f"{self.ledger.scope.kind} {self.ledger.scope.name}"
        at = "" if self.budget is None else f" at budget {self.budget:,}"
        rows = f"{self.n_shown:,} rows"
        if self.n_shown + self.n_unplaced < self.n_rows:
            rows += f" of {self.n_rows:,} (all kept ones, the others evenly by rank)"
        how = (
            "UMAP of exact neighbours"
            if self.explained is None
            else f"PCA, {self.explained:.0%} of the variance"
        )
        return f"{scope}{at} · ledger {self.ledger.ledger_id} · {rows} · {how}"


def make_atlas(
    home: Home,
    con: duckdb.DuckDBPyConnection,
    ledger_id: str,
    budget: int | None,
    *,
    limit: int = MOST_ROWS,
    method: str | None = None,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Atlas:
    """Write the map of a ledger into the home's cache; what was computed for the same rows before is not again.

    Args:
        home: where its vectors are, and its cache.
        con: the published catalog.
        ledger_id: what to map.
        budget: verdicts are those at this budget; None for those of the ledger as it is.
        limit: rows shown at most: all kept ones first, then the others evenly by rank.
        method: `pca` or `umap`; None for the best that is installed.
        on_rows: told how many rows have their neighbours so far.

    Raises:
        NotFoundError: no such ledger, or its rows were let go.
        SettingsError: an unknown method, or one that is not installed.
    """
    chosen = _method(method)
    ledger = _ledger(con, ledger_id)
    table = _rows(con, ledger, budget)
    n_rows = len(table)
    table, vectors, n_unplaced = _placed(home, ledger, table)
    shown = shown_rows(table["verdict"].to_pylist(), limit)
    table, vectors = table.take(pa.array(shown)), vectors[shown]
    folder = _folder(home, ledger.ledger_id)
    layout = _layout(folder, table["content_sha256"].to_pylist(), ledger, vectors, chosen, on_rows)
    counts = _counts(table["verdict"].to_pylist())
    atlas = Atlas(
        folder, ledger, budget, n_rows, len(shown), n_unplaced, counts, layout.method, layout.explained
    )
    _replace(
        atlas.parquet, lambda path: pq.write_table(_with_places(table, layout), path, compression="zstd")
    )
    picture = draw(layout.xy, table["verdict"].to_pylist(), atlas.caption)
    _replace(atlas.picture, lambda path: path.write_bytes(picture))
    return atlas


def shown_rows(verdicts: list[str], limit: int) -> NDArray[np.int64]:
    """Numbers of the rows that a map shows, ascending: all kept ones first, then the others evenly by rank.

    Args:
        verdicts: of all rows, in rank order.
        limit: rows at most.
    """
    kept = np.array([verdict == KEPT for verdict in verdicts], np.bool_)
    selected, others = np.flatnonzero(kept), np.flatnonzero(~kept)
    selected = selected[:limit]
    room = min(limit - len(selected), len(others))
    evenly = (np.arange(room) * len(others)) // max(room, 1)
    return np.sort(np.concatenate([selected, others[evenly]]))


def _method(wanted: str | None) -> str:
    best = best_method()
    if wanted not in (None, *METHODS):
        raise SettingsError(f"projection {wanted!r} is unknown.", cure=f"Use one of {', '.join(METHODS)}.")
    if wanted == "umap" and best != "umap":
        raise SettingsError(
            "projection umap needs umap-learn, which is not installed.",
            cure="Run `pip install umap-learn`, or `pip install 'deita-assets[atlas]'`.",
        )
    return wanted or best


def _ledger(con: duckdb.DuckDBPyConnection, ledger_id: str) -> StoredLedger:
    ledger = ledgers.find_ledger(con, ledger_id)
    if ledger is None:
        raise NotFoundError(f"there is no ledger {ledger_id!r}.", cure="See `deita-assets selections`.")
    if ledger.pruned:
        raise NotFoundError(
            f"the rows of ledger {ledger_id} were let go to save room.",
            cure="Map its scope as it is now, or raise `keep_ledgers` in deita.toml before the next one.",
        )
    return ledger


def _rows(con: duckdb.DuckDBPyConnection, ledger: StoredLedger, budget: int | None) -> pa.Table:
    prints = ledger.spec["fingerprints"]
    found = con.sql(
        statement("atlas/rows"),
        params={
            "ledger_id": ledger.ledger_id, "budget": 2**62 if budget is None else budget, "most": TEXT,
            "complexity": prints["complexity"], "quality": prints["quality"],
        },
    )  # fmt: skip
    return found.to_arrow_table()


def _placed(home: Home, ledger: StoredLedger, table: pa.Table) -> tuple[pa.Table, NDArray[np.float16], int]:
    """The rows that have a vector, their vectors, and how many have none."""
    store = EmbeddingTable(home, ledger.spec["fingerprints"]["embedder"])
    vectors, found = store.load(table["content_sha256"].to_pylist())
    usable = np.flatnonzero(found & comparable(vectors))
    if len(usable) < len(table):
        vectors = vectors[usable]
    return table.take(pa.array(usable)), vectors, len(table) - len(usable)


def _layout(
    folder: Path,
    contents: list[str],
    ledger: StoredLedger,
    vectors: NDArray[np.float16],
    method: str,
    on_rows: Callable[[int], None],
) -> Layout:
    """Places and neighbours, out of the cache when these rows were laid out before."""
    embedder = ledger.spec["fingerprints"]["embedder"]
    key = short_digest([_LAYOUT, contents, embedder, method, NEIGHBOURS, SEED])
    path = folder / f"layout-{key}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as held:
            told = json.loads(str(held["told"]))
            return Layout(held["xy"], held["neighbours"], held["similarity"], **told)
    layout = lay_out(vectors, method, on_rows)
    told = {"method": layout.method, "explained": layout.explained}
    for old in folder.glob("layout-*.npz"):
        old.unlink()

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(
                file, xy=layout.xy, neighbours=layout.neighbours, similarity=layout.similarity,
                told=np.array(json.dumps(told)),
            )  # fmt: skip

    _replace(path, write)
    return layout


def _with_places(table: pa.Table, layout: Layout) -> pa.Table:
    """The rows with `x`, `y`, and what the page reads: row numbers and neighbours, whose names begin with `__`."""
    n, k = layout.neighbours.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * k)
    near = pa.StructArray.from_arrays(
        [
            pa.ListArray.from_arrays(offsets, pa.array(layout.neighbours.reshape(-1))),
            pa.ListArray.from_arrays(
                offsets, pa.array((1 - layout.similarity).reshape(-1).astype(np.float32))
            ),
        ],
        names=["ids", "distances"],
    )
    return (
        table.drop_columns(["content_sha256"])
        .append_column("x", pa.array(layout.xy[:, 0]))
        .append_column("y", pa.array(layout.xy[:, 1]))
        .append_column("__row_index__", pa.array(np.arange(n, dtype=np.int32)))
        .append_column("__neighbors", near)
    )


def _counts(verdicts: list[str]) -> dict[str, int]:
    return {
        verdict: verdicts.count(verdict)
        for verdict in sorted(set(verdicts), key=verdicts.count, reverse=True)
    }


def _folder(home: Home, ledger_id: str) -> Path:
    """The cache of a ledger's map. It holds texts, so that none but the owner of the home may enter."""
    folder = home.atlas / ledger_id
    for made in (folder.parent, folder):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        made.chmod(0o700)
    return folder


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file beside its place and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write(temporary)
    temporary.chmod(0o600)
    temporary.replace(path)
