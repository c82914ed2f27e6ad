"""Word n-grams shared with an exclusion set: how much of a test question stands in an instruction.

The words of a text are its lower-case runs of letters and digits after NFKC; Han and kana, which are written without
spaces, count one word a character. An n-gram is n words in a row within one instruction. The exclusion set's n-grams
are held as 64-bit hashes in order, about 30 bytes each; a hash that is met is confirmed on the words themselves, so
that a collision decides nothing.

What belongs here: words, n-grams, and which exclusion row shares most of them. What does not: where texts come from.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Scripts without spaces: iteration marks, kana and its supplements, Han with its extensions.
_CHARACTER: Final = (
    r"\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_WORD: Final = re.compile(rf"[{_CHARACTER}]|[^\W_{_CHARACTER}]+")
#: Odd, so that multiplying loses no bit; 2**64 divided by the golden ratio.
_MULTIPLIER: Final = 0x9E3779B97F4A7C15
#: Numbers compared at once when hits are confirmed: 2**22 of 4 bytes on either side.
_CONFIRMED_WORDS: Final = 1 << 22
#: Stands between instructions, and for words that the exclusion set does not have.
_NO_WORD: Final = 0


class Shared(NamedTuple):
    """What a row has in common with the exclusion row that it shares most with.

    Attributes:
        row: number of the exclusion row, in the order in which they were given.
        shared: distinct n-grams in both.
        of: distinct n-grams of the exclusion row.
        equal_words: words of the shorter instruction that both have as a whole; 0 where there is none.
    """

    row: int
    shared: int
    of: int
    equal_words: int


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


class NgramIndex:
    """The n-grams of an exclusion set, to look rows up in.

    An exclusion instruction of fewer than n words counts as one gram of its own, which only an instruction of the
    very same words has.
    """

    def __init__(self, n: int, rows: Iterable[Sequence[str]], *, multiplier: int = _MULTIPLIER) -> None:
        """Index the instructions of the exclusion rows; of rows that share as much the first given is named.

        Args:
            n: words in a gram.
            rows: the instructions of each exclusion row.
            multiplier: of the hash; tests give a bad one.
        """
        self.n = n
        self._multiplier = np.uint64(multiplier)
        self._ids: dict[str, int] = {}
        self._wholes: dict[tuple[int, ...], set[int]] = {}
        flat, owners, lengths = array("i", [_NO_WORD]), array("q", [-1]), []
        for number, instructions in enumerate(rows):
            for instruction in instructions:
                ids = [self._ids.setdefault(word, len(self._ids) + 1) for word in words(instruction)]
                if 0 < len(ids) < n:
                    self._wholes.setdefault(tuple(ids), set()).add(number)
                elif ids:
                    flat.extend([*ids, _NO_WORD])
                    owners.append(number)
                    lengths.append(len(ids) + 1)
        self._flat = np.frombuffer(flat, np.int32)
        owner_of = np.repeat(np.frombuffer(owners, np.int64), [1, *lengths]).astype(np.int32)
        self._index(owner_of)

    def look_up(self, rows: Sequence[Sequence[str]]) -> dict[int, Shared]:
        """What each of some rows, given by its instructions, shares with the set; rows that share nothing lack."""
        flat, owner_of, wholes = self._known_words(rows)
        row, gram = self._grams_of(flat, owner_of)
        with_grams, starts = np.unique(row, return_index=True)
        parts = np.split(gram, starts[1:]) if len(starts) else []
        grams_of = dict(zip(with_grams.tolist(), parts, strict=True))
        return {
            number: self._best(grams_of.get(number, gram[:0]), wholes.get(number, set()))
            for number in sorted(grams_of.keys() | wholes.keys())
        }

    def _index(self, owner_of: NDArray[np.int32]) -> None:
        """Sort the positions of grams by their words, and note which exclusion rows have each."""
        hashes, at = self._hashes(self._flat)
        order = np.argsort(hashes, kind="stable")
        hashes, at = hashes[order], at[order]
        _part_collisions(self._flat, self.n, hashes, at)
        new = np.ones(len(at), np.bool_)
        new[1:] = ~_same_words(self._flat, at[1:], self._flat, at[:-1], self.n)
        gram = np.cumsum(new) - 1
        self._hash, self._at = hashes[new], at[new]
        # Each (gram, owner) once, by gram and then owner.
        n_owners = int(owner_of.max(initial=0)) + 1
        pairs = np.unique(gram * n_owners + owner_of[at])
        self._owners = (pairs % n_owners).astype(np.int32)
        self._first = np.searchsorted(pairs // n_owners, np.arange(len(self._at) + 1))
        self._size = np.bincount(self._owners, minlength=n_owners)

    def _hashes(self, flat: NDArray[np.int32]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """(hash, position) of every n words in a row without a gap."""
        count = len(flat) - self.n + 1
        if count <= 0:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        hashes = np.zeros(count, np.uint64)
        gaps = np.r_[0, np.cumsum(flat == _NO_WORD)]
        for offset in range(self.n):
            hashes *= self._multiplier
            hashes += flat[offset : offset + count].astype(np.uint64)
        at = np.flatnonzero(gaps[self.n :] == gaps[:count])
        return hashes[at], at

    def _known_words(
        self, rows: Sequence[Sequence[str]]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], Mapping[int, set[tuple[int, ...]]]]:
        """(words as numbers with gaps, row of each, short instructions that are one of the set's by row)."""
        flat, owner_of = array("i", [_NO_WORD]), array("q", [-1])
        wholes: dict[int, set[tuple[int, ...]]] = {}
        known = self._ids.get
        for number, instructions in enumerate(rows):
            before = len(flat)
            for instruction in instructions:
                ids = [known(word, _NO_WORD) for word in words(instruction)]
                if len(ids) < self.n:
                    if tuple(ids) in self._wholes:
                        wholes.setdefault(number, set()).add(tuple(ids))
                    continue
                flat.extend([*ids, _NO_WORD])
            owner_of.extend([number] * (len(flat) - before))
        return np.frombuffer(flat, np.int32), np.frombuffer(owner_of, np.int64), wholes

    def _grams_of(
        self, flat: NDArray[np.int32], owner_of: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(row, gram) of every distinct gram of the set that stands in a row, by row."""
        hashes, at = self._hashes(flat)
        gram = np.searchsorted(self._hash, hashes)
        found = np.full(len(at), -1, np.int64)
        open_ = np.flatnonzero(_equal_at(self._hash, gram, hashes))
        while len(open_):
            same = _same_words(flat, at[open_], self._flat, self._at[gram[open_]], self.n)
            found[open_[same]] = gram[open_[same]]
            open_ = open_[~same]  # another gram with this hash may follow
            gram[open_] += 1
            open_ = open_[_equal_at(self._hash, gram[open_], hashes[open_])]
        hit = found >= 0
        pairs = np.unique(np.stack([owner_of[at[hit]], found[hit]], axis=1), axis=0)
        return pairs[:, 0], pairs[:, 1]

    def _best(self, grams: NDArray[np.int64], wholes: set[tuple[int, ...]]) -> Shared:
        """The exclusion row that shares most with these grams and whole instructions; ties to the first."""
        owners = [self._owners[self._first[gram] : self._first[gram + 1]] for gram in grams]
        owners += [np.fromiter(self._wholes[whole], np.int32) for whole in wholes]
        numbers, counts = np.unique(np.concatenate(owners), return_counts=True)
        row = int(numbers[counts.argmax()])
        equal = [len(whole) for whole in wholes if row in self._wholes[whole]]
        of = int(self._size[row]) if row < len(self._size) else 0
        return Shared(row, int(counts.max()) - len(equal), of, max(equal, default=0))


def _same_words(
    left: NDArray[np.int32],
    left_at: NDArray[np.int64],
    right: NDArray[np.int32],
    right_at: NDArray[np.int64],
    n: int,
) -> NDArray[np.bool_]:
    """Which pairs of positions begin the same n words."""
    same = np.empty(len(left_at), np.bool_)
    step = max(1, _CONFIRMED_WORDS // n)
    span = np.arange(n)
    for start in range(0, len(same), step):
        part = slice(start, start + step)
        same[part] = (left[left_at[part, None] + span] == right[right_at[part, None] + span]).all(axis=1)
    return same


def _equal_at(
    ordered: NDArray[np.uint64], at: NDArray[np.int64], wanted: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Whether ordered[at] is what is wanted; beyond the end it is not."""
    inside = at < len(ordered)
    equal = np.zeros(len(at), np.bool_)
    equal[inside] = ordered[at[inside]] == wanted[inside]
    return equal


def _part_collisions(
    flat: NDArray[np.int32], n: int, hashes: NDArray[np.uint64], at: NDArray[np.int64]
) -> None:
    """Bring equal words together where different ones have the same hash; sorts `at` in place."""
    clash = (hashes[1:] == hashes[:-1]) & ~_same_words(flat, at[1:], flat, at[:-1], n)
    for hash_ in np.unique(hashes[1:][clash]):
        first, last = np.searchsorted(hashes, hash_, "left"), np.searchsorted(hashes, hash_, "right")
        run = at[first:last].tolist()
        at[first:last] = sorted(run, key=lambda place: flat[place : place + n].tolist())
