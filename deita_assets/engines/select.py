"""Selection: one REPR FILTER pass per scope, its ledger kept, and subsets cut out of it.

The pass runs over numbers already in the stores; no connection is open while it does. A ledger that is too shallow
for a budget is taken up where it stopped: its rows hold the whole order, so neither newer scores nor a newer pool
can change it.

What belongs here: from scored rows to a stored ledger, and from a ledger to a published version.
What does not: the greedy rule itself (core), and Dagster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.fingerprint import short_digest
from deita_assets.core.repr_filter import GreedyPass
from deita_assets.engines.ranked import RankedRows, RowVectors, rank_rows, stored_order
from deita_assets.errors import MixedFingerprintsError, NotFoundError
from deita_assets.exports.card import dataset_card
from deita_assets.exports.jsonl import write_messages_jsonl
from deita_assets.exports.parquet import write_parquet
from deita_assets.stores import ledgers, scored, selections
from deita_assets.stores.ledgers import LedgerRows, Scope, StoredLedger
from deita_assets.stores.lock import file_lock
from deita_assets.stores.selections import Selection
from deita_assets.stores.subsets import publish_folder
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

#: Version of the selection algorithm; part of every ledger's identity.
ALGORITHM = "repr_filter/1"
TIE_RULE = "evol_score desc, content_sha256, source"

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class SelectionParameters:
    """What the user may choose about a selection."""

    threshold: float
    aggregation: str = "sum"


@dataclass(frozen=True)
class Cut:
    """A published selection version."""

    selection: Selection
    directory: Path
    new: bool
    previous: str | None
    counts: Mapping[str, int]
    mix: Mapping[str, int]


def make_ledger(
    warehouse: Warehouse,
    scope: Scope,
    parameters: SelectionParameters,
    *,
    budget: int | None,
    trial: bool = False,
    on_progress: OnProgress | None = None,
) -> StoredLedger:
    """The ledger of a scope as its scored rows stand now, at least as deep as `budget` (None: to the end).

    Raises:
        NotFoundError: a source of the scope, or of its newest rows, is not scored or embedded yet.
        MixedFingerprintsError: its sources were scored or embedded by different models.
    """
    with warehouse.read(f"ledger of {scope.name}: candidates") as con:
        spec = _spec(con, scope, parameters)
        ledger_id = short_digest(spec)
        found = ledgers.find_ledger(con, ledger_id)
        candidates = None if found else ledgers.candidates(con, scope.sources)
        behind = _embedded_before(con, spec)
        is_head = ledgers.head_id(con, scope.kind, scope.name) == ledger_id
    if candidates is not None:
        ranked, vectors = rank_rows(warehouse.home, spec, candidates)
        _refuse_unembedded(scope, [candidates.sources[at] for at in vectors.missing], behind)
        found = _first_pass(warehouse, scope, spec, ranked, vectors, budget, trial, on_progress)
    assert found is not None  # noqa: S101 - found, or just made
    found = deepen(warehouse, found, budget, on_progress=on_progress)
    if not trial and not is_head:
        with warehouse.write(f"ledger of {scope.name}: head") as con:
            ledgers.set_ledger_head(con, found)
    return replace(found, trial=trial)


def deepen(
    warehouse: Warehouse, ledger: StoredLedger, budget: int | None, *, on_progress: OnProgress | None = None
) -> StoredLedger:
    """The same ledger, taken further in place until it serves `budget`; itself when it does already."""
    if ledger.exhausted or (budget is not None and ledger.serves(budget)):
        return ledger
    with warehouse.read(f"ledger {ledger.ledger_id}: rows") as con:
        ranked = stored_order(con, ledger.ledger_id)
        decided = ledgers.visited_rows(con, ledger.ledger_id)
    vectors = RowVectors(
        warehouse.home, ledger.spec["fingerprints"]["embedder"], ranked.contents, ranked.order
    )
    vectors.require_all()
    return _run_pass(warehouse, ledger, ranked, vectors, decided, budget, on_progress)


def cut_subset(
    warehouse: Warehouse,
    ledger: StoredLedger,
    budget: int,
    *,
    provenance: Mapping[str, Any],
    trial: bool = False,
) -> Cut:
    """Publish the first `budget` kept rows of a ledger as an immutable, registered version."""
    ledger = deepen(warehouse, ledger, budget)
    home = warehouse.home
    with warehouse.read(f"subset of {ledger.scope.name}") as con:
        selection = selections.cut(con, ledger, budget)
        target = home.subset(ledger.scope.kind, ledger.scope.name, budget, selection.version)
        previous = selections.head_members(con, ledger.scope.kind, ledger.scope.name, budget)
        counts = ledgers.verdict_counts(con, ledger.ledger_id, budget)
        mix = Counter(member.sample_id.partition(":")[0] for member in selection.members)
        contents = _Contents(con, selection, counts, mix)
        lock = home.locks / f"subset-{ledger.scope.kind}-{ledger.scope.name}-{budget}.lock"
        with file_lock(lock, f"publish {selection.version}"):
            new = publish_folder(target, contents.write, contents.manifest(), provenance)
    with warehouse.write(f"register {selection.version}") as con:
        selections.register(
            con,
            selection,
            str(target.relative_to(home.root)),
            run_id=str(provenance.get("run_id", "")),
            head=not trial,
        )
    return Cut(selection, target, new, previous, counts, dict(mix))


class _Contents:
    """The files of one subset, written from an open read connection."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        selection: Selection,
        counts: Mapping[str, int],
        mix: Mapping[str, int],
    ) -> None:
        self.con, self.selection, self.counts, self.mix = con, selection, counts, mix
        self.fingerprints = selections.fingerprint_specs(con, list(selection.spec["fingerprints"].values()))
        self.sources = selections.source_rows(con, selection.spec)

    def write(self, folder: Path) -> None:
        """Fill an empty folder."""
        (folder / "data").mkdir()
        write_messages_jsonl(folder / "train.jsonl", selections.member_rows(self.con, self.selection))
        write_parquet(
            folder / "data" / "train-00000-of-00001.parquet", selections.member_rows(self.con, self.selection)
        )
        scope = self.selection.ledger.scope
        card = dataset_card(
            title=f"{scope.name}, {len(self.selection.members):,} rows",
            spec=self.selection.spec, n_rows=len(self.selection.members), counts=self.counts, sources=self.sources,
            mix=self.mix, fingerprints=self.fingerprints, version=self.selection.version,
        )  # fmt: skip
        (folder / "README.md").write_text(card, encoding="utf-8")

    def manifest(self) -> dict[str, Any]:
        """Everything that decided this version; files are added with their checksums."""
        return {
            "selection_version": self.selection.version,
            "spec": self.selection.spec,
            "ledger_id": self.selection.ledger.ledger_id,
            "members_sha256": self.selection.members_sha256,
            "n_rows": len(self.selection.members),
            "verdicts": dict(self.counts),
            "mix": dict(self.mix),
            "fingerprints": {digest: dict(value) for digest, value in self.fingerprints.items()},
            "sources": self.sources,
        }


def _spec(con: duckdb.DuckDBPyConnection, scope: Scope, parameters: SelectionParameters) -> dict[str, Any]:
    """What decides a ledger: its digest is `ledger_id`."""
    sources = sorted(set(scope.sources))  # their order in the settings decides nothing
    versions = ledgers.scored_versions(con, sources)
    missing = [source for source in sources if source not in versions]
    if missing or not sources:
        raise NotFoundError(
            f"{scope.kind} {scope.name!r}: no scored pool for {', '.join(missing) or 'any source'}.",
            cure="Materialise scored_pool for them, or run `deita-assets curate`.",
        )
    embedders = {source: scored.coverage(con, source, "embedding").fingerprint for source in sources}
    return {
        "scope_kind": scope.kind,
        "scope": scope.name,
        "sources": [[source, versions[source][0]] for source in sources],
        "fingerprints": {
            "complexity": _same(scope, "complexity scorer", {s: versions[s][1] for s in sources}),
            "quality": _same(scope, "quality scorer", {s: versions[s][2] for s in sources}),
            "embedder": _same(scope, "embedder", embedders),
        },
        "aggregation": parameters.aggregation,
        "selector": {"name": "repr_filter", "threshold": parameters.threshold},
        "exclusion_sets": [],
        "frozen_base": None,
        "tie_rule": TIE_RULE,
        "algorithm": ALGORITHM,
    }


def _same(scope: Scope, what: str, by_source: Mapping[str, str]) -> str:
    if len(set(by_source.values())) > 1:
        named = ", ".join(f"{source}: {digest}" for source, digest in sorted(by_source.items()))
        raise MixedFingerprintsError(
            f"{scope.kind} {scope.name!r} would mix results of more than one {what} ({named}).",
            cure="Run `deita-assets curate` so that every source is covered by the model in the settings.",
        )
    return next(iter(by_source.values()))


def _embedded_before(con: duckdb.DuckDBPyConnection, spec: Mapping[str, Any]) -> set[str]:
    """Sources whose embeddings were last completed for another version of their pool than the scored one."""
    return {
        source
        for source, version in spec["sources"]
        if scored.coverage(con, source, "embedding").pool_version != version
    }


def _refuse_unembedded(scope: Scope, unembedded: list[str], behind: set[str]) -> None:
    """Refuse rows that are only not embedded yet: the ledger's id would not change once they are."""
    late = Counter(source for source in unembedded if source in behind)
    if late:
        shown = ", ".join(f"{source}: {count:,}" for source, count in sorted(late.items()))
        raise NotFoundError(
            f"{scope.kind} {scope.name!r}: rows without an embedding ({shown}); embeddings and scored pool are of "
            "different versions of the pool.",
            cure="Materialise embeddings and scored_pool for them, or run `deita-assets curate`.",
        )


def _first_pass(
    warehouse: Warehouse,
    scope: Scope,
    spec: Mapping[str, Any],
    ranked: RankedRows,
    vectors: RowVectors,
    budget: int | None,
    trial: bool,
    on_progress: OnProgress | None,
) -> StoredLedger:
    ledger = StoredLedger(
        short_digest(spec),
        scope,
        spec,
        spec["selector"]["threshold"],
        len(ranked.sample_ids),
        0,
        0,
        False,
        trial,
    )
    return _run_pass(warehouse, ledger, ranked, vectors, [], budget, on_progress)


def _run_pass(
    warehouse: Warehouse,
    ledger: StoredLedger,
    ranked: RankedRows,
    vectors: RowVectors,
    decided: list[tuple[Any, ...]],
    budget: int | None,
    on_progress: OnProgress | None,
) -> StoredLedger:
    greedy = _resumed(vectors, ranked, ledger.threshold, decided)
    if len(ranked.order):
        greedy.run(budget, on_progress)
    rows = _ledger_rows(ranked, greedy)
    done = replace(ledger, n_kept=len(greedy.kept), n_visited=greedy.visited, exhausted=greedy.exhausted)
    with warehouse.write(f"ledger {ledger.ledger_id}") as con:
        # Another process may have gone on with the same pass meanwhile; the deeper one holds all of this one.
        stored = ledgers.find_ledger(con, ledger.ledger_id)
        if stored is not None and stored.n_visited >= done.n_visited:
            return stored
        ledgers.save_ledger(con, done, rows, head=False)
    return done


def _resumed(
    vectors: RowVectors, ranked: RankedRows, threshold: float, decided: list[tuple[Any, ...]]
) -> GreedyPass:
    kernel = NumpyKernel()
    if not decided:
        return GreedyPass(vectors, ranked.order, threshold, kernel)
    rank_of = {ranked.sample_ids[row]: rank for rank, row in enumerate(ranked.order)}
    return GreedyPass.resume(
        vectors,
        ranked.order,
        threshold,
        kernel,
        visited=len(decided),
        kept=np.array([rank for rank, row in enumerate(decided) if row[1] is not None], np.int64),
        blocked_by=np.array([-1 if row[2] is None else rank_of[row[2]] for row in decided], np.int64),
        similarity=np.array([np.nan if row[3] is None else row[3] for row in decided], np.float64),
    )


def _ledger_rows(ranked: RankedRows, greedy: GreedyPass) -> LedgerRows:
    n_rows = len(ranked.sample_ids)
    rank = np.full(n_rows, -1, np.int64)
    position = np.full(n_rows, -1, np.int64)
    similarity = np.full(n_rows, np.nan)
    blocked_by: list[str | None] = [None] * n_rows
    verdict = list(ranked.verdict)
    rank[ranked.order] = np.arange(1, len(ranked.order) + 1)
    position[ranked.order[greedy.kept]] = np.arange(1, len(greedy.kept) + 1)
    similarity[ranked.order] = greedy.similarity
    for at in range(greedy.visited):
        row = int(ranked.order[at])
        verdict[row] = "kept" if greedy.is_kept[at] else "near_duplicate"
        if greedy.blocked_by[at] >= 0:
            blocked_by[row] = ranked.sample_ids[ranked.order[greedy.blocked_by[at]]]
    return LedgerRows(
        ranked.sample_ids, rank, verdict, ranked.reason, ranked.evol_score, position, blocked_by, similarity
    )
