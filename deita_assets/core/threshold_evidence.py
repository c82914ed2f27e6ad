"""What speaks for a threshold: the words that pairs of rows share, band by band of similarity.

What belongs here: when two texts count as alike, and which threshold the bands recommend. What does not: which pairs
are read, or what a threshold keeps (calibration).

Similarity is a matter of the embedding model and of the data, so no threshold is right for every scope. The texts
decide: a threshold is too low where the pairs for which only it drops a row share few words.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

#: The fewest pairs of a band that say anything.
FEWEST_PAIRS = 10
#: Share of a scope's rows above which a word is common, and the fewest rows for that.
_COMMON_SHARE, _COMMON_ROWS = 0.1, 10
# Chinese and Japanese write no spaces: each of their characters counts as a word.
_CHARACTERS = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_CHARACTERS}]|[^\W{_CHARACTERS}]+")

_OWN = "the embedder's own threshold stays"


@dataclass(frozen=True)
class Band:
    """The rows that are dropped at `low` for a pair no nearer than `high`, and how alike those pairs read.

    Attributes:
        low: threshold at which the rows are dropped.
        high: the next threshold of the grid, or 1.0; similarities are in (low, high].
        rows: how many there are.
        pairs: how many of them were read.
        alike: share of the pairs read that share at least half of their words; None without any.
    """

    low: float
    high: float
    rows: int
    pairs: int
    alike: float | None

    @property
    def speaks(self) -> bool:
        """True when enough pairs were read to say something."""
        return self.pairs >= FEWEST_PAIRS


@dataclass(frozen=True)
class Recommendation:
    """A threshold, and why, in one sentence."""

    threshold: float
    reason: str


def words_of(text: str) -> frozenset[str]:
    """The distinct words of a text, in lower case."""
    return frozenset(_WORD.findall(text.lower()))


def common_words(texts: Sequence[str]) -> frozenset[str]:
    """Words that more than a tenth of these rows hold, a sample of one source; eleven rows at least.

    They are left out when pairs are compared: `the` and `of` make any two English texts a little alike, and the
    wording of a template makes any two of its rows alike. Of 4,000 Toolformer rows, whose tool descriptions are the
    same words over and over, pairs down to a similarity of 0.5 would pass, and 1 row in 80 be kept. By source, because
    in a mixture the template of one source is nothing that the rows have in common.
    """
    rows = Counter(word for text in texts for word in words_of(text))
    most = max(_COMMON_SHARE * len(texts), _COMMON_ROWS)
    return frozenset(word for word, count in rows.items() if count > most)


def share_half(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two rows share at least half of their distinct words: 2 |A and B| >= (|A| + |B|) / 2.

    The words of both rows count, so it is half of the two taken together. Jaccard's half, of the words in either, means
    two thirds of each, and calls the same request with another number in it a new one; containment in the longer row
    makes a row of three words the copy of any row that has two of them. Two rows without words are alike.

    Args:
        one: distinct words.
        other: distinct words.
    """
    return 4 * len(frozenset(one) & frozenset(other)) >= len(one) + len(other)


def recommend(bands: Sequence[Band], default: float) -> Recommendation:
    """The lowest threshold of the grid above which all bands that speak consist of alike pairs.

    A band speaks with `FEWEST_PAIRS` pairs, and its pairs are alike when at least half of them share half of their
    words. Where every band that speaks passes, the lowest of them is as far down as there is evidence for. Where not
    even the highest passes, nothing speaks for a threshold below the embedder's own: in a small pool only bands of low
    similarity have pairs enough, and that those are unlike says nothing of nearer ones.

    Args:
        bands: ascending.
        default: the embedder's own threshold, for a scope that has too few near pairs to tell.
    """
    speaking = [band for band in bands if band.speaks]
    if not speaking:
        nearest = f"nearer than {bands[0].low:g}" if bands else "near"
        return Recommendation(default, f"too few pairs are {nearest} to say anything; {_OWN}")
    unlike = [band for band in speaking if band.alike is None or 2 * band.alike < 1]
    if not unlike:
        lowest = speaking[0]
        return Recommendation(
            lowest.low,
            f"wherever there are pairs enough to tell, down to {lowest.low:g}, at least half of them share half of "
            "their words",
        )
    last = unlike[-1]
    told = f"of the pairs between {last.low:g} and {last.high:g} only {_per_cent(last.alike)} share half of their words"
    if last.high == 1.0:
        return Recommendation(1.0, f"{told}, so no threshold tells copies from other rows")
    if speaking[-1] is last and last.high >= default:
        return Recommendation(last.high, f"{told}, and there are too few nearer ones to tell")
    if speaking[-1] is last:
        return Recommendation(default, f"{told}, and of nearer ones too few are there to tell; {_OWN}")
    return Recommendation(last.high, f"{told}; of nearer ones at least half do")


def _per_cent(share: float | None) -> str:
    return f"{math.floor(100 * (share or 0)):d} %"
