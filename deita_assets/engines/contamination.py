"""Contamination: rows that say what an exclusion set says, by shared words or by nearness of their vectors.

What belongs here: taking rows to the two rules. What does not: the rules themselves (core.word_ngrams and
core.similarity), and what becomes of such rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import BlockKernel
from deita_assets.core.conversation import Conversation
from deita_assets.core.kept_rows import KEEP_ALL, KeptRows
from deita_assets.core.similarity import exact_rows
from deita_assets.core.word_ngrams import NgramIndex, Shared
from deita_assets.engines.cpu_kernel import CpuKernel
from deita_assets.errors import StoreError
from deita_assets.stores import exclusion_sets as sets_store
from deita_assets.stores.row_facts import conversation_batches, row_facts
from deita_assets.stores.vectors import EmbeddingTable, comparable
from deita_assets.stores.warehouse import Warehouse

#: Rows whose vectors are in memory at once; each such part reads the table of vectors from end to end.
_VECTOR_ROWS = 131_072
#: Rows compared at once with all exclusion rows.
_BLOCK_ROWS = 1_024


@dataclass(frozen=True)
class Contaminated:
    """Why a row counts as contaminated.

    Attributes:
        by: sample_id of the exclusion row.
        similarity: exact cosine similarity to it, where that decided; else None.
        reason: in words, with the number.
    """

    by: str
    similarity: float | None
    reason: str


def exclusion_versions(warehouse: Warehouse, exclusion_sets: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(source, pool_version) of each exclusion set as it stands now, each once, in name order: its identity.

    Raises:
        NotFoundError: one was never ingested.
    """
    with warehouse.read("exclusion sets: versions") as con:
        return sets_store.versions(con, exclusion_sets)


def contaminated_rows(
    warehouse: Warehouse,
    sources: Sequence[str],
    exclusion_sets: Sequence[str],
    *,
    ngram: int | None = 13,
    similarity: float | None = None,
    embedder_fp: str | None = None,
    kernel: BlockKernel | None = None,
) -> dict[str, Contaminated]:
    """sample_id -> why, of every pool row of `sources` that comes too near to a row of an exclusion set.

    Args:
        warehouse: no connection is open while rows are compared.
        sources: whose rows are looked at.
        exclusion_sets: sources that they must keep clear of; ties go to the first of them, then to the smaller id.
        ngram: words in a row that no instruction may share with an instruction there; None for no such rule.
        similarity: cosine similarity of stored vectors above which a row is contaminated; None for no such rule.
            Where both rules hold against a row, the words are named.
        embedder_fp: whose vectors; needed for `similarity`.
        kernel: compares vectors, on the CPU by default.

    Raises:
        NotFoundError: an exclusion set was never ingested.
        StoreError: vectors of exclusion rows are missing.
    """
    sets = list(dict.fromkeys(exclusion_sets))
    if not sets:
        return {}
    exclusion_versions(warehouse, sets)
    found: dict[str, Contaminated] = {}
    if ngram is not None:
        found = _by_words(warehouse, sources, sets, ngram)
    if similarity is not None:
        if embedder_fp is None:
            raise ValueError(
                "similarity is given, but no embedder_fp, expected the fingerprint of its vectors"
            )
        near = _by_vectors(warehouse, sources, sets, similarity, embedder_fp, kernel or CpuKernel())
        found = near | found
    return found


def _by_words(
    warehouse: Warehouse, sources: Sequence[str], sets: Sequence[str], ngram: int
) -> dict[str, Contaminated]:
    with warehouse.read("exclusion sets: instructions") as con:
        questions = sets_store.instructions(con, sets)
        rows = row_facts(con, sources)
    ids = [sample_id for sample_id, _ in questions]
    index = NgramIndex(ngram, (texts for _, texts in questions))
    del questions
    found: dict[str, Contaminated] = {}
    for batch in conversation_batches(warehouse, rows):
        texts = [_instructions(text) for _, text in batch]
        for at, shared in index.look_up(texts).items():
            by = ids[shared.row]
            found[batch[at][0]] = Contaminated(by, None, _in_words(shared, ngram, by.partition(":")[0]))
    return found


def _instructions(canonical: str) -> list[str]:
    return [turn.instruction for turn in Conversation.from_canonical(canonical).turns()]


def _in_words(shared: Shared, ngram: int, source: str) -> str:
    if shared.shared:
        return f"{ngram}-gram: {shared.shared} of {shared.of} shared with {source}"
    return f"{ngram}-gram: all {shared.equal_words} words of an instruction of {source}"


def _by_vectors(
    warehouse: Warehouse,
    sources: Sequence[str],
    sets: Sequence[str],
    cut: float,
    embedder_fp: str,
    kernel: BlockKernel,
) -> dict[str, Contaminated]:
    with warehouse.read("exclusion sets: contents") as con:
        questions = sets_store.contents(con, sets)
        rows = sets_store.contents(con, sources)
    if not questions or not rows:
        return {}
    table = EmbeddingTable(warehouse.home, embedder_fp)
    ids = [sample_id for sample_id, _ in questions]
    nearest = _Nearest(_exclusion_vectors(table, questions), kernel)
    found: dict[str, Contaminated] = {}
    for start in range(0, len(rows), _VECTOR_ROWS):
        part = rows[start : start + _VECTOR_ROWS]
        vectors, stored = table.load(content for _, content in part)
        for at, row, value in nearest.above(vectors, stored & comparable(vectors), cut):
            found[part[at][0]] = Contaminated(ids[row], value, f"cosine {value:.4f} > {cut:g}")
    return found


def _exclusion_vectors(table: EmbeddingTable, rows: Sequence[tuple[str, str]]) -> NDArray[np.float16]:
    """Vectors of the exclusion rows, (n, d).

    Raises:
        StoreError: some are not stored, or cannot be compared: what is near them would go unseen.
    """
    vectors, stored = table.load(content for _, content in rows)
    lacking = ~(stored & comparable(vectors))
    if lacking.any():
        names = sorted({rows[at][0].partition(":")[0] for at in np.flatnonzero(lacking).tolist()})
        raise StoreError(
            f"{int(lacking.sum()):,} rows of exclusion set {', '.join(names)} have no vector in {table.name}.",
            cure=f"Materialise `embeddings` for {', '.join(names)}, or set no `similarity` for exclusion sets.",
        )
    return vectors


class _Nearest:
    """The exclusion row nearest to each of some vectors, exactly; ties to the first."""

    def __init__(self, vectors: NDArray[np.float16], kernel: BlockKernel) -> None:
        # Equal rows are stored once: at this threshold the first of them stands for all.
        self._kept = KeptRows(kernel, vectors.shape[1], KEEP_ALL)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.arange(start, min(start + _BLOCK_ROWS, len(vectors)))
            block = self._kept.prepare(rows, exact_rows(vectors[rows], rows))
            self._kept.append(block, np.ones(len(rows), np.bool_))

    def above(
        self, vectors: NDArray[np.float16], usable: NDArray[np.bool_], cut: float
    ) -> Iterator[tuple[int, int, float]]:
        """(row, exclusion row, similarity) of the usable rows whose greatest similarity is above a cut."""
        rows = np.flatnonzero(usable)
        for start in range(0, len(rows), _BLOCK_ROWS):
            part = rows[start : start + _BLOCK_ROWS]
            near = self._kept.nearest(self._kept.prepare(part, exact_rows(vectors[part], part)))
            for at in np.flatnonzero(near.similarity > cut):
                yield int(part[at]), int(near.rank_index[at]), float(near.similarity[at])
