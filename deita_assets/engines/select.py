"""Ledgers: one pass per scope, kept with a verdict for every row, taken further in place or made again.

The pass runs over numbers already in the stores; no connection is open while it does. A ledger that is too shallow
for a budget is taken up where it stopped: its rows hold the whole order, so neither newer scores nor a newer pool
can change it.

What belongs here: from scored rows to a stored ledger. What does not: the passes themselves (core), what they are
made of (ledger_spec, screen, ranked, passes), cutting subsets (cut), and Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.fingerprint import short_digest
from deita_assets.core.incremental_earlier import EarlierPass
from deita_assets.core.selection_pass import SelectionPass
from deita_assets.core.selectors import SELECTORS
from deita_assets.core.verdicts import KEPT, NEAR_DUPLICATE, OVER_QUOTA
from deita_assets.engines.contamination import Contaminated, contaminated_rows
from deita_assets.engines.kernels import kernel_on
from deita_assets.engines.ledger_spec import embedded_before, ledger_spec, refuse_unembedded
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.passes import (
    Decided,
    NewKernel,
    run_for_one_budget,
    start_pass,
    told_earlier,
)
from deita_assets.engines.ranked import RankedRows, rank_rows, stored_order
from deita_assets.engines.screen import Screen, screen_rows
from deita_assets.errors import NotFoundError, StoreError
from deita_assets.stores import ledgers
from deita_assets.stores.ledgers import LedgerRows, Scope, StoredLedger
from deita_assets.stores.ordered_vectors import OrderedVectors
from deita_assets.stores.pool import pool_version
from deita_assets.stores.vectors import EmbeddingTable
from deita_assets.stores.warehouse import Warehouse

OnProgress = Callable[[int, int], None]
OnBest = Callable[[NDArray[np.float16]], None]
#: Ledgers of a scope whose rows are kept besides those that something current stands on.
KEEP_LEDGERS = 5
#: Rows that other thresholds are tried on for a picture: 2,000 take 0.06 s of CPU at 24 thresholds.
BEST_ROWS = 2_000


@dataclass(frozen=True)
class PassOptions:
    """How passes run; none of it has an influence on what they decide.

    Attributes:
        device: `cpu`, or a torch device.
        keep_ledgers: older ledgers of the scope that keep their rows.
        on_progress: called with (rows visited, rows kept).
        on_note: called with what a reader should know: how much was taken over, and why not more.
        on_best: called after a pass at a threshold with the vectors (n, dimension) of its `BEST_ROWS` best rows, in
            order; most of them were read by the pass.
    """

    device: str = "cpu"
    keep_ledgers: int = KEEP_LEDGERS
    on_progress: OnProgress | None = None
    on_note: Callable[[str], None] = lambda note: None
    on_best: OnBest | None = None

    @property
    def new_kernel(self) -> NewKernel:
        """What makes kernels."""
        return partial(kernel_on, self.device)


@dataclass(frozen=True)
class LedgerInputs:
    """What one ledger is made of."""

    spec: Mapping[str, Any]
    ranked: RankedRows
    vectors: OrderedVectors


def make_ledger(
    warehouse: Warehouse,
    scope: Scope,
    parameters: SelectionParameters,
    *,
    budget: int | None,
    trial: bool = False,
    options: PassOptions | None = None,
) -> StoredLedger:
    """The ledger of a scope as its scored rows stand now, at least as deep as `budget` (None: to the end).

    Raises:
        NotFoundError: a source of the scope, or of its newest rows, is not scored or embedded yet.
        MixedFingerprintsError: its sources were scored or embedded by different models.
        SettingsError: parameters that do not fit the scope.
    """
    options = options or PassOptions()
    screen = screen_rows(warehouse, scope, parameters)
    with warehouse.read(f"ledger of {scope.name}: what is known") as con:
        spec = ledger_spec(con, scope, parameters, screen, budget)
        ledger_id = short_digest(spec)
        found = ledgers.find_ledger(con, ledger_id)
        head = ledgers.head_id(con, scope.kind, scope.name)
    new = found is None or found.pruned
    if found is None or found.pruned:
        inputs = ledger_inputs(warehouse, scope, spec, screen)
        earlier = _earlier(warehouse, inputs, head, options)
        threshold = spec["selector"].get("threshold")
        n_rows = len(inputs.ranked.sample_ids)
        empty = StoredLedger(ledger_id, scope, spec, threshold, n_rows, 0, 0, False, trial)
        found = _run_pass(warehouse, empty, inputs, budget, options, earlier=earlier)
    else:
        found = deepen(warehouse, found, budget, options)
    if new or (not trial and head != ledger_id):
        with warehouse.write(f"ledger of {scope.name}: head") as con:
            if not trial:
                ledgers.set_ledger_head(con, found)
            ledgers.prune_ledgers(con, scope, options.keep_ledgers, besides=ledger_id)
    return replace(found, trial=trial)


def deepen(
    warehouse: Warehouse, ledger: StoredLedger, budget: int | None, options: PassOptions | None = None
) -> StoredLedger:
    """The same ledger, taken further in place until it serves `budget`; itself when it does already.

    Raises:
        StoreError: its rows were let go, or its vectors are gone.
    """
    options = options or PassOptions()
    with warehouse.read(f"ledger {ledger.ledger_id}: is it there") as con:
        known = ledgers.find_ledger(con, ledger.ledger_id)
    if known is not None and known.pruned:
        raise _let_go(ledger)
    if ledger.exhausted or ledger.for_one_budget or (budget is not None and ledger.serves(budget)):
        return ledger
    inputs, decided = _stored_inputs(warehouse, ledger)
    options.on_note(f"gone on after row {decided.visited:,} of {len(inputs.ranked.order):,}")
    return _run_pass(warehouse, ledger, inputs, budget, options, decided=decided)


def sibling(
    warehouse: Warehouse, ledger: StoredLedger, budget: int, options: PassOptions | None = None
) -> StoredLedger:
    """The ledger of the same rows and rules for another budget, where each budget has a pass of its own."""
    spec = {**ledger.spec, "budget": budget}
    with warehouse.read(f"ledger of {ledger.scope.name} for {budget}") as con:
        found = ledgers.find_ledger(con, short_digest(spec))
    if found is not None and not found.pruned:
        return found
    inputs, _ = _stored_inputs(warehouse, ledger)
    new = replace(ledger, ledger_id=short_digest(spec), spec=spec)
    return _run_pass(warehouse, new, replace(inputs, spec=spec), budget, options or PassOptions())


def ledger_inputs(
    warehouse: Warehouse, scope: Scope, spec: Mapping[str, Any], screen: Screen
) -> LedgerInputs:
    """Every row of a scope, ranked, as its scores stand now."""
    with warehouse.read(f"ledger of {scope.name}: candidates") as con:
        candidates = ledgers.candidates(con, scope.sources)
        behind = embedded_before(con, spec)
    contaminated: Mapping[str, Contaminated] = {}
    if screen.exclusion_sets:
        clear = screen.parameters.contamination
        contaminated = contaminated_rows(
            warehouse, scope.sources, [source for source, _ in screen.exclusion_sets],
            ngram=clear.ngram, similarity=clear.similarity, embedder_fp=spec["fingerprints"]["embedder"],
        )  # fmt: skip
    ranked, vectors = rank_rows(warehouse.home, spec, candidates, screen, contaminated)
    _refuse_moved(warehouse, scope, spec, [source for source, _ in screen.exclusion_sets])
    unembedded = [
        ranked.sources[at] for at in np.flatnonzero(vectors.missing) if ranked.reason[at] == "no_embedding"
    ]
    refuse_unembedded(scope, unembedded, behind)
    inputs = LedgerInputs(spec, ranked, vectors)
    _refuse_frozen_without_vectors(scope, spec, inputs)
    return inputs


def _let_go(ledger: StoredLedger) -> StoreError:
    return StoreError(
        f"the rows of ledger {ledger.ledger_id} were let go; only its spec is left.",
        cure="Materialise the ledger of its scope again; `keep_ledgers` in deita.toml keeps more of them.",
    )


def _refuse_moved(
    warehouse: Warehouse, scope: Scope, spec: Mapping[str, Any], contaminated_by: Sequence[str]
) -> None:
    """Filters and exclusion sets look at the pools as they are; a spec that says otherwise would not be theirs."""
    told = dict(spec["sources"]) if spec["filters"] or contaminated_by else {}
    told |= dict(spec["exclusion_sets"]["sets"]) if contaminated_by else {}
    with warehouse.read(f"ledger of {scope.name}: pools now") as con:
        moved = [source for source, version in told.items() if pool_version(con, source)[0] != version]
    if moved:
        raise NotFoundError(
            f"{scope.kind} {scope.name!r}: the pool of {', '.join(moved)} is newer than its scored pool, or changed "
            "just now; filters and exclusion sets look at rows as they are.",
            cure="Run `deita-assets curate`, or materialise scored_pool for them and then the ledger again.",
        )


def _refuse_frozen_without_vectors(scope: Scope, spec: Mapping[str, Any], inputs: LedgerInputs) -> None:
    """A frozen base may hold rows that left the pool, which nobody embeds any more."""
    ranked = inputs.ranked
    lost = [row for row in ranked.order[: ranked.frozen] if inputs.vectors.missing[row]]
    if lost and SELECTORS[spec["selector"]["name"]].needs_vectors:
        raise NotFoundError(
            f"{scope.kind} {scope.name!r}: {len(lost):,} rows of its frozen base have no vector of the present "
            f"embedder, {ranked.sample_ids[lost[0]]} among them.",
            cure="If their files left landing, put them back and run `curate`; or keep the embedder of that selection.",
        )


def _stored_inputs(warehouse: Warehouse, ledger: StoredLedger) -> tuple[LedgerInputs, Decided]:
    """The rows of a stored ledger as they were ranked then, and what its pass decided."""
    if ledger.pruned:
        raise _let_go(ledger)
    with warehouse.read(f"ledger {ledger.ledger_id}: rows") as con:
        ranked = stored_order(con, ledger.ledger_id)
        rows = ledgers.visited_rows(con, ledger.ledger_id)
    table = EmbeddingTable(warehouse.home, ledger.spec["fingerprints"]["embedder"])
    vectors = OrderedVectors(table, ranked.contents)
    lost = int(vectors.missing[ranked.order].sum())
    if lost:
        raise StoreError(
            f"{lost} vectors of {vectors.name} that this ledger compared are gone.",
            cure="Materialise `embeddings` again.",
        )
    return LedgerInputs(ledger.spec, ranked, vectors), Decided.of_rows(ranked, rows)


def _earlier(
    warehouse: Warehouse, inputs: LedgerInputs, head: str | None, options: PassOptions
) -> EarlierPass | None:
    """What the scope's current ledger still says, or None, with the reason told, when the pass starts from scratch."""
    selector = inputs.spec["selector"]
    if selector["name"] != "repr_filter":
        return None
    with warehouse.read(f"ledger {head}: what it found") as con:
        found = ledgers.find_ledger(con, head) if head else None
        if reason := _nothing_to_take_over(found, inputs.spec):
            options.on_note(f"from scratch: {reason}")
            return None
        rows = ledgers.visited_rows(con, str(head))
    earlier = told_earlier(inputs.ranked, rows)
    known = int((earlier.nearest >= 0).sum())
    options.on_note(f"taking over {known:,} of the {len(rows):,} nearest rows that ledger {head} had found")
    return earlier


def _nothing_to_take_over(found: StoredLedger | None, spec: Mapping[str, Any]) -> str | None:
    """Why a ledger says nothing about another one's rows, or None when it does."""
    quotas = {"caps", "shares", "floors"} & set(spec["selector"])
    if quotas:
        return f"the selector has {', '.join(sorted(quotas))}"
    if found is None or found.pruned or not found.n_visited:
        return "the scope has no earlier ledger"
    if found.spec["selector"]["name"] != "repr_filter":
        return f"its earlier ledger was made by {found.spec['selector']['name']}"
    if found.spec["fingerprints"]["embedder"] != spec["fingerprints"]["embedder"]:
        return "its earlier ledger compared the vectors of another embedder"
    return None


def _run_pass(
    warehouse: Warehouse,
    ledger: StoredLedger,
    inputs: LedgerInputs,
    budget: int | None,
    options: PassOptions,
    *,
    decided: Decided | None = None,
    earlier: EarlierPass | None = None,
) -> StoredLedger:
    done = _decided_pass(inputs, decided, earlier, budget, options)
    if options.on_best is not None and ledger.threshold is not None:
        options.on_best(inputs.vectors.take(inputs.ranked.order[:BEST_ROWS]))
    rows = _ledger_rows(inputs.ranked, done)
    ledger = replace(
        ledger, n_kept=len(done.kept), n_visited=done.visited, exhausted=done.exhausted, pruned=False
    )
    with warehouse.write(f"ledger {ledger.ledger_id}") as con:
        # Another process may have gone on with the same pass meanwhile; the deeper one holds all of this one.
        stored = ledgers.find_ledger(con, ledger.ledger_id)
        if stored is not None and not stored.pruned and stored.n_visited >= ledger.n_visited:
            return stored
        ledgers.save_ledger(con, ledger, rows, head=False)
    return ledger


def _decided_pass(
    inputs: LedgerInputs,
    decided: Decided | None,
    earlier: EarlierPass | None,
    budget: int | None,
    options: PassOptions,
) -> SelectionPass:
    if "budget" in inputs.spec:
        done, lowered = run_for_one_budget(
            inputs.spec, inputs.ranked, inputs.vectors, options.new_kernel, options.on_progress
        )
        for source, floor in lowered.items():
            options.on_note(f"the floor of {source} is lowered to {floor:,} rows: the pool holds no more")
        return done
    started = start_pass(inputs.spec, inputs.ranked, inputs.vectors, options.new_kernel, decided, earlier)
    if len(inputs.ranked.order):
        started.run(budget, options.on_progress)
    return started


def _ledger_rows(ranked: RankedRows, done: SelectionPass) -> LedgerRows:
    """Verdicts in the order of the rows: what a pass thinks in ranks, and what was known before it."""
    n_rows, order = len(ranked.sample_ids), ranked.order
    rank = np.full(n_rows, -1, np.int64)
    position = np.full(n_rows, -1, np.int64)
    similarity, verdict, blocked_by = ranked.similarity.copy(), list(ranked.verdict), list(ranked.blocked_by)
    rank[order] = np.arange(1, len(order) + 1)
    position[order[done.kept]] = np.arange(1, len(done.kept) + 1)
    similarity[order] = done.similarity
    for at in np.flatnonzero(done.blocked_by >= 0):
        blocked_by[order[at]] = ranked.sample_ids[order[done.blocked_by[at]]]
    for of, name in (
        (done.blocked_by >= 0, NEAR_DUPLICATE),
        (done.is_over_quota, OVER_QUOTA),
        (done.is_kept, KEPT),
    ):
        for row in order[of]:
            verdict[row] = name
    return LedgerRows(
        ranked.sample_ids, rank, verdict, ranked.reason, ranked.evol_score, position, blocked_by, similarity
    )
