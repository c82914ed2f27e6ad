"""Models that cost nothing: scores and vectors out of the hash of the text, or out of a table."""

import hashlib

import numpy as np

from deita_assets.core.fingerprint import Fingerprint
from deita_assets.engines.cover import EmbedStep, ScoreStep, cover_source
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.score_pool import score_pool


def hashed(*parts):
    """A number in [0, 1) that depends on the texts alone."""
    return int(hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8], 16) / 16**8


def hash_score(measure, instruction, response):
    """What `FakeScorer` gives: complexity reads the instruction, quality the response too."""
    return 1 + 5 * hashed(measure, instruction, "" if measure == "complexity" else response)


class FakeScorer:
    """Scores by hash, or by `table[instruction]`; `statuses[instruction]` names the turns without a score."""

    def __init__(self, measure, table=None, statuses=None, version=1, fail_at=None):
        self.measure = measure
        self.fingerprint = Fingerprint("scorer", "fake", {"measure": measure, "version": version})
        self.table, self.statuses, self.fail_at = table, statuses or {}, fail_at
        self.calls = []

    def score_turns(self, turns):
        if self.fail_at is not None and len(self.calls) >= self.fail_at:
            raise MemoryError("no room for another batch")
        self.calls.append(list(turns))
        scores = [self._score(*turn) for turn in turns]
        statuses = [self.statuses.get(instruction, "ok") for instruction, _ in turns]
        return np.array(scores, np.float64), statuses

    def _score(self, instruction, response):
        if self.statuses.get(instruction, "ok") not in ("ok", "truncated"):
            return np.nan
        return (
            hash_score(self.measure, instruction, response) if self.table is None else self.table[instruction]
        )


class FakeEmbedder:
    """Vectors by hash, or `table[text of the first message]`."""

    def __init__(self, dimension=4, table=None, version=1):
        self.fingerprint = Fingerprint("embedder", "fake", {"version": version})
        self.dimension, self.table, self.default_threshold = dimension, table, 0.9
        self.calls = []

    def embed(self, conversations):
        self.calls.append([conversation.messages[0].content for conversation in conversations])
        return np.array([self._vector(text) for text in self.calls[-1]], np.float32).reshape(
            -1, self.dimension
        )

    window = 12

    def count_tokens(self, conversations):
        """One token a character."""
        return [len(conversation.messages[0].content) for conversation in conversations]

    def _vector(self, text):
        if self.table is not None:
            return self.table[text]
        vector = np.array([hashed(text, str(at)) - 0.5 for at in range(self.dimension)])
        return vector / np.linalg.norm(vector)


class Study:
    """A source taken through its steps with models of one's own choice."""

    def __init__(self, warehouse, land, complexity=None, quality=None, embedder=None):
        self.warehouse, self.land, self.home = warehouse, land, warehouse.home
        self.complexity = complexity or FakeScorer("complexity")
        self.quality = quality or FakeScorer("quality")
        self.embedder = embedder or FakeEmbedder()

    def ingest(self, source, rows, name="a.jsonl"):
        """Put rows into landing and read them; none makes a source whose pool is empty."""
        self.land(source, name, rows or b"no row\n")
        return ingest_source(self.warehouse, source, SourceReading(accept_removals=True))

    def score(self, source, scorer, **options):
        return cover_source(self.warehouse, ScoreStep(self.home, scorer), source, **options)

    def embed(self, source, embedder=None, **options):
        return cover_source(
            self.warehouse, EmbedStep(self.home, embedder or self.embedder), source, **options
        )

    def cover(self, source):
        """All three steps."""
        return [self.score(source, self.complexity), self.score(source, self.quality), self.embed(source)]

    def prepare(self, source, rows, aggregation="sum"):
        """From rows to a scored pool."""
        self.ingest(source, rows)
        self.cover(source)
        return score_pool(self.warehouse, source, aggregation)

    def query(self, text, *parameters):
        with self.warehouse.read("test") as con:
            return con.execute(text, list(parameters)).fetchall()
