"""Checks of `embeddings`: the stored vectors of one embedder, seen from one pool.

Only vectors of this pool are read, a stretch at a time; of the others, keys alone, to know this pool's copies.

What belongs here: reading. What does not: the rules (core.checks.vector_rules).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deita_assets.core.checks import vector_rules
from deita_assets.core.checks.finding import MOST_EXAMPLES, Finding
from deita_assets.core.checks.vector_rules import StoredVectors, norm_tolerance, norms
from deita_assets.stores import scored
from deita_assets.stores.lance_keys import count_keys, doubled_keys, table_keys
from deita_assets.stores.sql import statement
from deita_assets.stores.vectors import EmbeddingTable
from deita_assets.stores.warehouse import Warehouse

#: Vectors held at once.
_STRETCH = 8_192
STEP = "embedding"


@dataclass(frozen=True)
class Lengths:
    """Lengths of the vectors of one pool.

    Attributes:
        table: name of the LanceDB table.
        dimension: numbers of a vector.
        contents: (n,) content_sha256 of the pool, in order.
        missing: (n,) bool, those without a vector.
        norm: (n,) float64, 1.0 where there is none.
    """

    table: str
    dimension: int
    contents: list[str]
    missing: NDArray[np.bool_]
    norm: NDArray[np.float64]

    @property
    def off(self) -> NDArray[np.bool_]:
        """(n,) which lengths are not one; NaN and infinity among them."""
        off: NDArray[np.bool_] = ~(np.abs(self.norm - 1.0) <= norm_tolerance(self.dimension))
        return off


def check_embeddings(warehouse: Warehouse, source: str) -> list[Finding]:
    """Findings about the vectors of the pool of one source.

    Raises:
        NotFoundError: the source was never embedded. StoreError: the table of its embedder is gone.
    """
    lengths = read_lengths(warehouse, source)
    keys = count_keys(_keys_of(warehouse, lengths))
    there = lengths.norm[~lengths.missing]
    found = StoredVectors(
        source, lengths.table, lengths.dimension, keys.n_rows, keys.n_keys,
        n_wanted=len(lengths.contents), n_found=len(there),
        lowest=float(there.min()) if there.size else 1.0, highest=float(there.max()) if there.size else 1.0,
        n_off=int(lengths.off.sum()),
        doubled=keys.doubled,
        off=_named(lengths.contents, lengths.off), lacking=_named(lengths.contents, lengths.missing),
        attempts=_attempts(warehouse, source),
    )  # fmt: skip
    return [
        vector_rules.unique_keys(found),
        vector_rules.unit_norms(found),
        vector_rules.missing_vectors(found),
    ]


def read_lengths(warehouse: Warehouse, source: str) -> Lengths:
    """How long the vectors of a pool are."""
    with warehouse.read(f"checks of the embeddings of {source}") as con:
        covered = scored.coverage(con, source, STEP)
        rows = con.execute(statement("checks/pool_contents"), {"source": source}).fetchall()
    contents = [str(content) for (content,) in rows]
    table = EmbeddingTable(warehouse.home, covered.fingerprint)
    row_ids = table.row_ids(contents)
    norm = np.ones(len(contents), np.float64)
    for part in _stretches(row_ids):
        norm[part] = norms(table.take(row_ids[part]))
    return Lengths(table.name, table.dimension, contents, row_ids < 0, norm)


def doubled_contents(warehouse: Warehouse, lengths: Lengths) -> list[str]:
    """Contents of a pool that have more than one vector, in order."""
    return doubled_keys(_keys_of(warehouse, lengths))


def _keys_of(warehouse: Warehouse, lengths: Lengths) -> pa.ChunkedArray:
    """Keys of the stored vectors of a pool, one for each row of the table."""
    keys = table_keys(warehouse.home, lengths.table, "content_sha256")
    return keys.filter(pc.is_in(keys, value_set=pa.array(lengths.contents, pa.string())))


def _stretches(row_ids: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Places of the rows that are there, in the order in which they lie: reading them so takes a third of the time."""
    there = np.flatnonzero(row_ids >= 0)
    lying = there[np.argsort(row_ids[there], kind="stable")]
    for start in range(0, len(lying), _STRETCH):
        yield lying[start : start + _STRETCH]


def _named(contents: list[str], which: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(contents[at] for at in np.flatnonzero(which)[:MOST_EXAMPLES])


def _attempts(warehouse: Warehouse, source: str) -> int:
    with warehouse.read(f"checks of the embeddings of {source}: attempts") as con:
        covered = scored.coverage(con, source, STEP)
        wanted = {"source": source, "step": STEP, "fingerprint": covered.fingerprint}
        rows = con.execute(statement("checks/attempts"), wanted).fetchall()
    return sum(count for _, count in rows)
