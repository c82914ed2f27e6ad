"""Scopes whose scores and vectors are given, and what REPR FILTER must make of them."""

import math
import random
import shutil

import numpy as np

from deita_assets.engines.cut import cut_subset
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import PassOptions, make_ledger
from deita_assets.stores import scored
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable, comparable
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.core.greedy_oracle import greedy, make_pool
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer, Study

COLUMNS = "sample_id, rank, verdict, reason, evol_score, kept_position, blocked_by, similarity"


def chat(text, answer="answer"):
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]}


class Scoped(Study):
    """Sources of one-turn conversations: text -> (evol_score, vector)."""

    def __init__(self, warehouse, land, dimension=5):
        self.scores, self.vectors = {}, {}
        super().__init__(
            warehouse, land,
            FakeScorer("complexity", table=self.scores, statuses={}),
            FakeScorer("quality", table=_Ones()),
            FakeEmbedder(dimension, table=self.vectors),
        )  # fmt: skip

    def copied(self, folder):
        """The same in a home of its own, to be changed freely."""
        home = Home(folder / "copy")
        shutil.copytree(self.home.root, home.root)
        made = Scoped(Warehouse(home), Landing(home), self.embedder.dimension)
        made.scores.update(self.scores)
        made.vectors.update(self.vectors)
        return made

    def source(self, name, rows):
        """`rows`: {text: (score, vector)}; a score of None is `too_long`."""
        for text, (score, vector) in rows.items():
            self.scores[text], self.vectors[text] = score, vector
            if score is None:
                self.complexity.statuses[text] = "too_long"
        version = self.ingest(name, [chat(text) for text in rows]).pool_version
        self._store_results(name, version)
        return score_pool(self.warehouse, name, "sum")

    def _store_results(self, name, version):
        """What `cover_source` would leave behind, in one transaction instead of six."""
        turns = self.query(
            "select t.instruction, t.complexity_prompt_sha256, t.quality_prompt_sha256, c.content_sha256 "
            "from store.turn t join store.conversation c on c.sample_id = t.sample_id where c.source = ?", name,
        )  # fmt: skip
        table = ScoreTable(self.home)
        for at, scorer in ((1, self.complexity), (2, self.quality)):
            scores, statuses = scorer.score_turns([(turn[0], "") for turn in turns])
            table.insert(
                scorer.measure, scorer.fingerprint.digest, [turn[at] for turn in turns], scores, statuses
            )
        fingerprint = self.embedder.fingerprint.digest
        vectors = np.array([self.vectors[turn[0]] for turn in turns]).reshape(-1, self.embedder.dimension)
        usable = np.flatnonzero(comparable(vectors.astype(np.float16)))
        embeddings = EmbeddingTable(self.home, fingerprint, self.embedder.dimension)
        embeddings.insert([turns[at][3] for at in usable], vectors[usable])
        digests = {"complexity": self.complexity.fingerprint, "quality": self.quality.fingerprint}
        with self.warehouse.write("coverage") as con:
            for step, model in (digests | {"embedding": self.embedder.fingerprint}).items():
                scored.save_fingerprint(con, model)
                scored.save_coverage(con, name, step, scored.Coverage(model.digest, version))

    def random_source(self, name, kind, n_rows, seed):
        """Vectors of one kind (spread, lattice, equal, close, clusters) and scores that mostly tie."""
        vectors, scores = make_pool(kind, n_rows, self.embedder.dimension, "float16", seed)
        texts = [f"{name} {kind} {n}" for n in range(n_rows)]
        random.Random(seed).shuffle(texts)  # noqa: S311 - reproducible, not secret
        return self.source(
            name, {text: (1.0 + s, v) for text, s, v in zip(texts, scores, vectors, strict=True)}
        )

    def ledger(
        self, *sources, threshold=0.9, budget=None, kind=None, name=None, trial=False, options=None, **chosen
    ):
        """The ledger of a scope; `chosen` are further selection parameters."""
        scope = Scope(kind or ("source" if len(sources) == 1 else "mixture"), name or sources[0], sources)
        parameters = SelectionParameters(threshold, **chosen)
        self.notes = []
        options = options or PassOptions(on_note=self.notes.append)
        return make_ledger(self.warehouse, scope, parameters, budget=budget, trial=trial, options=options)

    def subset(self, ledger, budget, trial=False):
        return cut_subset(self.warehouse, ledger, budget, provenance={"run_id": "run"}, trial=trial)

    def rows(self, ledger):
        """{sample_id: stored row} of a ledger."""
        found = self.query(f"select {COLUMNS} from store.ledger_row where ledger_id = ?", ledger.ledger_id)
        assert len({row[0] for row in found}) == len(found)
        return {row[0]: row for row in found}

    def candidates(self, *sources):
        """(sample_id, content, source, score, vector) of every row in the pool, by its text."""
        found = self.query(
            "select c.sample_id, c.content_sha256, c.source, t.instruction from store.conversation c "
            "join store.turn t on t.sample_id = c.sample_id join store.pool_row p on p.sample_id = c.sample_id "
            "where c.source in (select unnest(?))",
            list(sources),
        )
        return [(*row[:3], self.scores[row[3]], self.vectors[row[3]]) for row in found]


class _Ones(dict):
    def __missing__(self, key):
        return 1.0


def expected_rows(candidates, threshold, budget=None, priority=()):
    """What a naive pass decides about rows that all have a score and a vector.

    Of equal rows only the one of the source that `priority` names first takes part.
    """
    first = {}
    for row in sorted(candidates, key=lambda row: priority.index(row[2]) if priority else 0):
        first.setdefault(row[1], row[0])
    repeated = [row for row in candidates if first[row[1]] != row[0]]
    candidates = [row for row in candidates if first[row[1]] == row[0]]
    expected = {
        row[0]: (row[0], None, "excluded", "exact_duplicate", row[3], None, first[row[1]], None)
        for row in repeated
    }
    order = sorted(range(len(candidates)), key=lambda at: (-candidates[at][3], *candidates[at][1:3]))
    kept, decided = greedy([row[4] for row in candidates], order, threshold, budget)
    for rank, at in enumerate(order, 1):
        keep, neighbour, similarity = decided.get(at, (None, -1, math.nan))
        expected[candidates[at][0]] = (
            candidates[at][0],
            rank,
            {None: "unvisited", True: "kept", False: "near_duplicate"}[keep],
            None,
            candidates[at][3],
            kept.index(at) + 1 if keep else None,
            candidates[neighbour][0] if neighbour >= 0 else None,
            None if math.isnan(similarity) else similarity,
        )
    return expected
