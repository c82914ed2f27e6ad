"""The LanceDB tables: scores keyed by prompt, embeddings keyed by content; both insert-only.

The keys are declared in the schema at creation: Lance then lets racing writers of one key through only once.
Two rows of one key inside ONE batch would still both land, so every batch is deduplicated here first, and `add()`
is never used. lancedb is imported on first use (1.3 s of CPU).

Each row carries a checksum of itself (`checksums`). A table of before there were any gets the column when it is next
written to; its rows of before have none until `deita-assets verify --repair` fills them in.

What belongs here: reading and writing the two kinds of table. What does not: which rows to score or embed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deita_assets.core.fingerprint import sha256_hex
from deita_assets.errors import DeitaError, StoreError
from deita_assets.stores.checksums import CHECKSUM, FIELD, score_checksums, vector_checksums
from deita_assets.stores.disk import disk_fault
from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock

_KEY = {"lance-schema:unenforced-primary-key": "true"}
#: Seconds to wait for another process that makes a table, which takes it milliseconds.
_MAKING_S = 60.0
#: Rows whose bits are looked at together: 32 MB at 4,096 numbers each.
_CHECKED_ROWS = 4_096
_HEX = re.compile(r"[0-9a-f]{8,64}")
#: Name of the table of scores.
SCORES: Final = "scores"
#: Its columns of words, in the order in which a checksum takes them.
SCORE_WORDS: Final = ("score_key", "prompt_sha256", "measure", "scorer_fp", "status")

_SCORES = pa.schema(
    [
        pa.field("score_key", pa.string(), nullable=False, metadata=_KEY),
        pa.field("prompt_sha256", pa.string(), nullable=False),
        pa.field("measure", pa.string(), nullable=False),
        pa.field("scorer_fp", pa.string(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        FIELD,
    ]
)


def _connect(home: Home) -> Any:
    import lancedb

    # Zero: every read looks for newer versions. Without it an open table never sees what other processes insert,
    # and a run that waited for another one's lock would compute everything again.
    return lancedb.connect(str(home.lance), read_consistency_interval=timedelta(0))


def _insert(table: Any, key: str, batch: pa.Table) -> int:
    """Insert the rows whose key is new; returns how many were."""
    add_checksum_column(table)
    result = table.merge_insert(key).when_not_matched_insert_all().execute(batch)
    return int(result.num_inserted_rows)


class ScoreTable:
    """`scores(score_key pk, prompt_sha256, measure, scorer_fp, score, status)`: equal prompts share one score."""

    def __init__(self, home: Home) -> None:
        self._table = _made(home, SCORES, _SCORES)

    def insert(
        self,
        measure: str,
        scorer_fp: str,
        prompts: Sequence[str],
        scores: NDArray[np.float64],
        statuses: Sequence[str],
    ) -> int:
        """Add scores that are not there yet.

        Args:
            measure: `complexity` or `quality`.
            scorer_fp: digest of the scorer's fingerprint.
            prompts: prompt_sha256 of each score; repeats are stored once.
            scores: shape (len(prompts),); NaN is stored as NULL.
            statuses: one per prompt.

        Returns:
            The number of rows that were new.

        Raises:
            StoreError: an unknown measure, no fingerprint, or scores of another number than prompts.
        """
        _check_names(measure, scorer_fp)
        if not len(prompts) == len(scores) == len(statuses):
            raise StoreError(f"{len(prompts)} prompts, {len(scores)} scores, {len(statuses)} statuses.")
        first = {prompt: at for at, prompt in reversed(list(enumerate(prompts)))}
        at = sorted(first.values())
        columns: dict[str, Any] = {
            "score_key": [score_key(measure, prompts[i], scorer_fp) for i in at],
            "prompt_sha256": [prompts[i] for i in at],
            "measure": [measure] * len(at),
            "scorer_fp": [scorer_fp] * len(at),
            "score": pa.array(scores[at], from_pandas=True),  # NaN becomes NULL
            "status": [statuses[i] for i in at],
        }
        words = [[str(word).encode() for word in columns[name]] for name in SCORE_WORDS]
        columns[CHECKSUM] = score_checksums(words, columns["score"].to_pylist())
        batch = pa.table(columns, schema=_SCORES)
        return _insert(self._table, "score_key", batch)

    def prompts(self, measure: str, scorer_fp: str) -> set[str]:
        """prompt_sha256 of every stored result of one measure and scorer, whatever its status."""
        return set(self._select(measure, scorer_fp, ["prompt_sha256"])["prompt_sha256"].to_pylist())

    def results(self, measure: str, scorer_fp: str) -> pa.Table:
        """(prompt_sha256, score, status) of every stored result of one measure and scorer."""
        return self._select(measure, scorer_fp, ["prompt_sha256", "score", "status"])

    def _select(self, measure: str, scorer_fp: str, columns: list[str]) -> pa.Table:
        _check_names(measure, scorer_fp)
        where = f"measure = '{measure}' AND scorer_fp = '{scorer_fp}'"
        return self._table.search().where(where).select(columns).to_arrow()


class EmbeddingTable:
    """`embeddings_<fp8>(content_sha256 pk, vector)`: fp16 vectors of one embedder."""

    def __init__(self, home: Home, embedder_fp: str, dimension: int | None = None) -> None:
        """Open the table of one embedder; make it when `dimension` is given.

        Raises:
            StoreError: the table is missing, or holds vectors of another dimension.
        """
        if not _HEX.fullmatch(embedder_fp):
            raise StoreError(f"no such embedder: {embedder_fp!r}.")
        self.name = f"embeddings_{embedder_fp[:8]}"
        if dimension is None:
            self._table = _open(_connect(home), self.name)
        else:
            self._table = _made(home, self.name, embedding_schema(dimension))
        self.dimension: int = _dimension(self._table)
        if dimension not in (None, self.dimension):
            raise StoreError(
                f"{self.name} holds vectors of {self.dimension} numbers, the embedder gives {dimension}.",
                cure="Embedders of other dimensions need another fingerprint; name the model by its revision.",
            )
        # What `row_ids` was asked for and gave, and, after a compaction, (given ids in order, the present ones).
        self._asked: Sequence[str] = ()
        self._given: NDArray[np.int64] = np.empty(0, np.int64)
        self._present: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def insert(self, contents: Sequence[str], vectors: NDArray[np.floating[Any]]) -> int:
        """Add vectors that are not there yet, stored as fp16.

        Args:
            contents: content_sha256 of each vector.
            vectors: shape (len(contents), dimension), unit length.

        Returns:
            The number of rows that were new.

        Raises:
            StoreError: the vectors are of another number or dimension.
        """
        if vectors.shape != (len(contents), self.dimension):
            raise StoreError(
                f"{self.name} holds vectors of {self.dimension} numbers; {len(contents)} keys came with vectors of "
                f"shape {vectors.shape}.",
                cure="Embedders of other dimensions need another fingerprint; name the model by its revision.",
            )
        first = {content: at for at, content in reversed(list(enumerate(contents)))}
        at = sorted(first.values())
        halves = np.ascontiguousarray(vectors[at], dtype=np.float16)
        batch = pa.table(
            [
                pa.array([contents[i] for i in at]),
                pa.FixedSizeListArray.from_arrays(pa.array(halves.reshape(-1)), self.dimension),
                pa.array(vector_checksums((contents[i].encode() for i in at), halves)),
            ],
            schema=embedding_schema(self.dimension),
        )
        return _insert(self._table, "content_sha256", batch)

    def contents(self) -> set[str]:
        """content_sha256 of every stored vector."""
        keys = self._table.search().select(["content_sha256"]).to_arrow()
        return set(keys["content_sha256"].to_pylist())

    def row_ids(self, contents: Sequence[str]) -> NDArray[np.int64]:
        """Row id of each content, (n,) int64, -1 where there is none; good for `take` of this object.

        The object stays at the edition of the table that it sees now, since a compaction gives rows other ids. Should
        that edition be dropped, it goes over to the present one by itself.
        """
        self._table.checkout(self._table.version)
        found = self._look_up(contents)
        self._asked, self._given, self._present = contents, found, None
        return found

    def _look_up(self, contents: Sequence[str]) -> NDArray[np.int64]:
        keys = self._table.search().select(["content_sha256"]).with_row_id(True).to_arrow()
        row_id = dict(zip(keys["content_sha256"].to_pylist(), keys["_rowid"].to_pylist(), strict=True))
        return np.fromiter((row_id.get(content, -1) for content in contents), np.int64, len(contents))

    def take(self, row_ids: NDArray[np.int64]) -> NDArray[np.float16]:
        """Vectors of these row ids, in their order, float16 (n, dimension)."""
        if not len(row_ids):
            return np.empty((0, self.dimension), np.float16)
        try:
            return self._take(row_ids)
        except (RuntimeError, ValueError, OSError):
            self._go_over()
            return self._take(row_ids)

    def _go_over(self) -> None:
        """Leave an edition whose files were dropped, and look the rows up again that it had given ids to."""
        self._table.checkout_latest()
        if len(self._asked):
            self._table.checkout(self._table.version)
            order = np.argsort(self._given, kind="stable")
            self._present = (self._given[order], self._look_up(self._asked)[order])

    def _take(self, row_ids: NDArray[np.int64]) -> NDArray[np.float16]:
        if self._present is not None:
            given, present = self._present
            row_ids = present[np.searchsorted(given, row_ids)]
        distinct, back = np.unique(row_ids, return_inverse=True)
        got = self._table.take_row_ids(distinct.tolist()).select(["vector"]).with_row_id().to_arrow()
        vectors = _matrix(got["vector"].combine_chunks(), self.dimension)
        place = np.argsort(got["_rowid"].to_numpy())  # Lance gives rows in its own order
        return vectors[place[back]]

    def load(self, contents: Iterable[str]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        """Vectors of `contents`, in their order.

        Returns:
            (vectors, found): float16 of shape (n, dimension), zero where not found, and a mask of shape (n,).
            Reads the table once, batch by batch: only the wanted rows are held.
        """
        wanted = list(contents)
        try:
            return self._load(wanted)
        except (RuntimeError, OSError):  # its edition was dropped meanwhile; a fault of the data comes again
            self._go_over()
            return self._load(wanted)

    def _load(self, wanted: list[str]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        # A dict, made once: pc.index_in would hash all wanted keys again for each batch, 21 s for 300,000 rows.
        place = {content: at for at, content in enumerate(dict.fromkeys(wanted))}
        held = np.zeros((len(place), self.dimension), np.float16)
        found = np.zeros(len(place), np.bool_)
        for batch in self._table.search().select(["content_sha256", "vector"]).to_batches():
            keys = batch["content_sha256"].to_pylist()
            at = np.fromiter((place.get(key, -1) for key in keys), np.int64, len(keys))
            hit = at >= 0
            held[at[hit]] = _matrix(batch["vector"], self.dimension)[hit]
            found[at[hit]] = True
        if len(place) == len(wanted):
            return held, found
        back = [place[content] for content in wanted]
        return held[back], found[back]


def _matrix(vectors: Any, dimension: int) -> NDArray[np.float16]:
    """Arrow's fixed-size lists as (n, dimension)."""
    matrix: NDArray[np.float16] = vectors.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
    return matrix


def comparable(vectors: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which rows (n,) of fp16 vectors (n, d) are finite and not zero, so that their direction is known.

    By their bits: without the sign, 0 is zero and 0x7C00 upwards is infinite or NaN.
    """
    usable = np.empty(len(vectors), np.bool_)
    for start in range(0, len(vectors), _CHECKED_ROWS):
        part = vectors[start : start + _CHECKED_ROWS]
        largest = (part.view(np.uint16) & 0x7FFF).max(axis=1)
        usable[start : start + len(part)] = (largest > 0) & (largest < 0x7C00)
    return usable


def _check_names(measure: str, scorer_fp: str) -> None:
    """Names become part of a filter text, so nothing but known words and hex digits passes."""
    if measure not in ("complexity", "quality") or not _HEX.fullmatch(scorer_fp):
        raise StoreError(f"no such scores: measure {measure!r}, scorer {scorer_fp!r}.")


def score_key(measure: str, prompt_sha256: str, scorer_fp: str) -> str:
    """Key of a score: 64 hex digits."""
    return sha256_hex(f"{measure}:{prompt_sha256}:{scorer_fp}")


def add_checksum_column(table: Any) -> None:
    """Give an open table of before there were checksums the column for them, without any; a no-op on others."""
    if CHECKSUM in table.schema.names:
        return
    try:
        table.add_columns(FIELD)
    except (RuntimeError, ValueError, OSError):
        if CHECKSUM not in table.schema.names:  # else another writer was first
            raise


def _made(home: Home, name: str, schema: pa.Schema) -> Any:
    """The table, made if there is none.

    One process at a time makes it: of two that do at once, LanceDB lets the second overwrite what the first one made,
    with the rows that are in it by then.
    """
    connection = _connect(home)
    try:
        if (table := _standing(connection, name)) is not None:
            return table
        with file_lock(home.locks / f"make-{name}.lock", f"make the table {name}", deadline_s=_MAKING_S):
            return connection.create_table(name, schema=schema, exist_ok=True)
    except DeitaError:
        raise
    except Exception as error:  # what Lance makes of a damaged file is of any class, a panic among them
        raise unreadable(name, error) from error


def _standing(connection: Any, name: str) -> Any:
    try:
        return connection.open_table(name)
    except (ValueError, FileNotFoundError):
        return None


def _dimension(table: Any) -> int:
    return int(table.schema.field("vector").type.list_size)


def _open(connection: Any, name: str) -> Any:
    try:
        return connection.open_table(name)
    except (ValueError, FileNotFoundError) as error:
        raise StoreError(f"LanceDB has no table {name}.", cure="Materialise `embeddings` first.") from error
    except Exception as error:
        raise unreadable(name, error) from error


def unreadable(name: str, error: Exception) -> StoreError:
    """The error for a table that stands there and cannot be opened, or for a disk that refused to make it."""
    if fault := disk_fault(error):
        return fault
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return StoreError(
        f"LanceDB table {name} cannot be opened: {said[:200]}",
        cure="`deita-assets verify` names what is damaged; `verify --repair` keeps what can be read and computes the "
        "rest again.",
    )


def embedding_schema(dimension: int) -> pa.Schema:
    """Columns of an embedding table."""
    return pa.schema(
        [
            pa.field("content_sha256", pa.string(), nullable=False, metadata=_KEY),
            pa.field("vector", pa.list_(pa.float16(), dimension), nullable=False),
            FIELD,
        ]
    )


def score_schema() -> pa.Schema:
    """Columns of the score table."""
    return _SCORES


@dataclass(frozen=True)
class TableAudit:
    """Rows and distinct keys of one table; they differ only when a key was doubled."""

    name: str
    n_rows: int
    n_keys: int


def audit_tables(home: Home) -> list[TableAudit]:
    """Count rows and distinct keys of every table."""
    connection = _connect(home)
    audits = []
    for path in sorted(home.lance.glob("*.lance")):
        table = _open(connection, path.stem)
        key = "score_key" if path.stem == SCORES else "content_sha256"
        keys = table.search().select([key]).to_arrow()[key]
        audits.append(TableAudit(path.stem, len(keys), pc.count_distinct(keys).as_py()))
    return audits
