"""Scores and embeddings from one pass: a scorer that embeds what it reads pays for the embeddings too.

For a conversation of one turn the distilled quality scorer reads the text that the embedder reads. Where both stand
on the same encoder its vector is stored at once, and `embeddings`, when it runs, finds it by its anti-join. The other
way round nothing is saved: a vector does not hold the token states that the scorer needs.

What belongs here: that step. What does not: the loop (`cover`), the encoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.conversation import Conversation
from deita_assets.core.fingerprint import Fingerprint
from deita_assets.embedders.text import conversation_text
from deita_assets.engines.cover import ScoreStep, Text, check_scores
from deita_assets.scorers.base import Measure, Scorer, Status
from deita_assets.scorers.distilled.scorer import DistilledScorer
from deita_assets.scorers.distilled.turn_text import joint_text
from deita_assets.settings import ScorerSettings
from deita_assets.stores import scored
from deita_assets.stores.home import Home
from deita_assets.stores.vectors import EmbeddingTable, comparable

if TYPE_CHECKING:
    import duckdb


def distilled_step(
    home: Home,
    chosen: ScorerSettings,
    measure: Measure,
    *,
    workers: int,
    embedder_fingerprint: Fingerprint | None,
) -> ScoreStep:
    """The step of a distilled scorer; it embeds too where the home's embedder is the scorer's own encoder.

    Raises:
        ScorerError: the heads cannot be used.
        EmbedderError: the encoder cannot be found.
    """
    from deita_assets.embedders.sentence import SentenceEmbedder

    encoder = SentenceEmbedder(device=chosen.device, workers=workers)
    scorer = DistilledScorer(measure, encoder, heads=chosen.heads)
    if measure == "quality" and embedder_fingerprint == encoder.fingerprint:
        return JointStep(home, scorer, EmbeddingTable(home, encoder.fingerprint.digest, encoder.dimension))
    return ScoreStep(home, scorer)


class EmbeddingScorer(Scorer, Protocol):
    """A scorer whose pass also gives the vector of the text that it read (`turn_text.joint_text`)."""

    def score_and_embed(
        self, turns: Sequence[Text]
    ) -> tuple[NDArray[np.float64], list[Status], dict[int, NDArray[np.float32]]]:
        """Scores and statuses, and unit vectors by turn number."""
        ...


class JointStep(ScoreStep):
    """Quality scores, and the embeddings that their passes give on the way.

    Attributes:
        n_embedded: conversations whose vector was new.
    """

    def __init__(self, home: Home, scorer: EmbeddingScorer, embeddings: EmbeddingTable) -> None:
        super().__init__(home, scorer)
        self._joint = scorer
        self._embeddings = embeddings
        self._contents: Mapping[str, Sequence[str]] = {}
        self.n_embedded = 0

    def fetch(self, con: duckdb.DuckDBPyConnection, source: str, keys: Sequence[str]) -> dict[str, Text]:
        """Texts of prompts; remembers which conversations they are the whole text of."""
        texts = super().fetch(con, source, keys)
        contents: dict[str, list[str]] = {}
        for key, content_sha256, canonical in scored.joint_contents(con, source, keys):
            read = joint_text(*texts[key]).text
            if conversation_text(Conversation.from_canonical(canonical)) == read:
                contents.setdefault(key, []).append(content_sha256)
        self._contents = contents
        return texts

    def commit(self, keys: Sequence[str], texts: Sequence[Text]) -> Counter[str]:
        """Score prompts, store the scores and the vectors that came with them.

        Vectors first: a kill in between costs the scores of one batch and never a vector.
        """
        scores, statuses, vectors = self._joint.score_and_embed(texts)
        check_scores(self.name, len(texts), scores, statuses)
        pairs = [(content, at) for at in vectors for content in self._contents.get(keys[at], ())]
        if pairs:
            halves = np.stack([vectors[at] for _, at in pairs]).astype(np.float16)
            usable = np.flatnonzero(comparable(halves)).tolist()
            self.n_embedded += self._embeddings.insert([pairs[at][0] for at in usable], halves[usable])
        self._table.insert(self.name, self.fingerprint.digest, keys, scores, statuses)
        return Counter(statuses)
