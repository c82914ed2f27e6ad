"""Rules about the stored vectors of one source: keys, length one, gaps.

What belongs here: the rules of `embeddings`. What does not: embedders, or reading vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.checks.finding import Finding, curate, few, rows
from deita_assets.core.checks.score_rules import DROPPED

#: Unit roundoff of float16 (11 bits) and half the spacing of its subnormal numbers.
_HALF_ROUNDOFF, _HALF_SPACING = 2.0**-11, 2.0**-25
#: What embedders hold to themselves: a float32 vector may be this far from length one before it is stored.
_BEFORE_ROUNDING = 1e-4


def norm_tolerance(dimension: int) -> float:
    """How far from 1 the length of a unit vector may be after it was rounded to float16.

    Rounding moves a component x by at most |x| 2^-11, or by 2^-25 where it is subnormal. So the vector moves by at
    most its length times 2^-11, plus sqrt(d) 2^-25, and its length by no more than the vector (triangle inequality).
    Before that it was within 1e-4 of one. For 384 numbers that is 0.00059.
    """
    return _BEFORE_ROUNDING + _HALF_ROUNDOFF * (1 + _BEFORE_ROUNDING) + sqrt(dimension) * _HALF_SPACING


def norms(vectors: NDArray[np.float16]) -> NDArray[np.float64]:
    """Lengths (n,) of float16 vectors (n, d), in float64, where their squares are exact."""
    wide = vectors.astype(np.float64)  # a square of a float16 has 22 bits
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return lengths


@dataclass(frozen=True)
class StoredVectors:
    """The vectors of one embedder, seen from the pool of one source.

    Attributes:
        source: whose pool.
        table: name of the LanceDB table.
        dimension: numbers of a vector.
        n_stored: rows of the table, of this pool's contents.
        n_keys: different contents among these.
        n_wanted: contents in the pool.
        n_found: of these with a vector.
        lowest: smallest length seen; 1.0 where there is none.
        highest: greatest.
        n_off: vectors whose length is not one.
        doubled: contents with more than one row.
        off: contents of vectors whose length is not one.
        lacking: contents in the pool without a vector.
        attempts: failed attempts at these vectors.
    """

    source: str
    table: str
    dimension: int
    n_stored: int
    n_keys: int
    n_wanted: int
    n_found: int
    lowest: float = 1.0
    highest: float = 1.0
    n_off: int = 0
    doubled: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    attempts: int = 0


def unique_keys(found: StoredVectors) -> Finding:
    """One vector for each content."""
    passed = found.n_stored == found.n_keys
    told = f"{found.table}: {rows(found.n_stored, 'vector')} of {rows(found.n_keys, 'content')}"
    return Finding(
        "unique_keys", passed,
        f"{told}." if passed else f"{told}, one each was expected.",
        "" if passed else f"{curate('source', found.source)} {DROPPED}.",
        grave=True,
        numbers={"stored": found.n_stored, "keys": found.n_keys, "doubled": found.n_stored - found.n_keys},
        examples=few(found.doubled),
    )  # fmt: skip


def unit_norms(found: StoredVectors) -> Finding:
    """Every vector has length one, as float16 can hold it; a zero or non-finite one has no direction at all."""
    passed = not found.n_off
    told = (
        f"{found.source}: {rows(found.n_found, 'vector')} of length {found.lowest:.6f} to {found.highest:.6f}, "
        f"1 +- {norm_tolerance(found.dimension):.6f} expected"
    )
    return Finding(
        "unit_norms", passed,
        f"{told}." if passed else
        f"{told}: {rows(found.n_off)} off; their similarities would be wrong.",
        "" if passed else
        f"{curate('source', found.source)} {DROPPED}; should it fail again, the embedder's model is damaged.",
        grave=True,
        numbers={
            "vectors": found.n_found, "off": found.n_off, "lowest_norm": _plain(found.lowest),
            "highest_norm": _plain(found.highest),
        },
        examples=few(found.off),
    )  # fmt: skip


def missing_vectors(found: StoredVectors) -> Finding:
    """Every content of the pool has a vector."""
    n_lacking = found.n_wanted - found.n_found
    passed = n_lacking == 0
    return Finding(
        "missing_vectors", passed,
        f"{found.source}: a vector for each of {rows(found.n_wanted, 'content')}." if passed else
        f"{found.source}: no vector for {n_lacking:,} of {rows(found.n_wanted, 'content')}, which ledgers call "
        f"`invalid` ({rows(found.attempts, 'failed attempt')}; a zero or non-finite vector is not stored).",
        "" if passed else
        f"Run {curate('source', found.source)}, or materialise embeddings for it; a row whose vector the model cannot "
        "give stays `invalid`.",
        numbers={"contents": found.n_wanted, "without_vector": n_lacking, "failed_attempts": found.attempts},
        examples=few(found.lacking),
    )  # fmt: skip


def _plain(value: float) -> float:
    """A number that JSON has: a length that is not finite is told as -1."""
    return float(value) if np.isfinite(value) else -1.0
