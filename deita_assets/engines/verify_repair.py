"""Repair: what an audit found damaged is taken out or put back, and it is said which assets have to run.

Each step leaves a home that the next audit understands: a row that was taken out is missing, a folder that was set
aside is gone, a table that was salvaged stands `ready`. So a repair that was killed is completed by the next one.

What belongs here: which damage is mended how, in which order. What does not: running assets, which the caller gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from deita_assets.engines.verify_lance import EMBEDDINGS, audit_lance, off_length, part_name
from deita_assets.engines.verify_parts import Audit, OnPart
from deita_assets.engines.verify_republish import republish
from deita_assets.engines.verify_subsets import SUBSETS
from deita_assets.engines.verify_texts import restore_texts
from deita_assets.engines.verify_warehouse import SERVING, TEXTS, WAREHOUSE
from deita_assets.errors import DeitaError
from deita_assets.scorers.base import MEASURES, SCORED
from deita_assets.stores import let_go, scored
from deita_assets.stores.home import Home
from deita_assets.stores.lance_audit import BadRow, judge_scores, judge_vectors
from deita_assets.stores.lance_salvage import Judge, drop_rows, fill_checksums, finish_salvages, salvage
from deita_assets.stores.lance_upkeep import table_names
from deita_assets.stores.lock import file_lock
from deita_assets.stores.vectors import SCORES
from deita_assets.stores.warehouse import Warehouse

OnStep = Callable[[str], None]
#: Seconds to wait for another repair, which may go on for hours while models compute.
_OTHER_REPAIR_S = 10.0
#: The order in which assets of a source run.
_MIRRORED = "scored_pool"
_ORDER = ("complexity_scores", "quality_scores", "embeddings", _MIRRORED)


@dataclass(frozen=True)
class Means:
    """What a repair works with.

    Attributes:
        run: (source, assets) runs assets of one source, current or not.
        publish: makes `serving.duckdb` again.
        provenance: when, where and by what folders are published again.
        show_rows: dataset cards may show the first words of near-duplicates.
        on_step: told what is being done.
        on_part: told what is being read.
    """

    run: Callable[[str, list[str]], None]
    publish: Callable[[], None]
    provenance: Mapping[str, Any]
    show_rows: bool = False
    on_step: OnStep = lambda step: None
    on_part: OnPart = lambda part, done, total: None


def only_repair(home: Home) -> AbstractContextManager[None]:
    """To be held from the audit to the end of the repair: a second one would take out what the first has made again.

    Raises:
        LockTimeoutError: another repair is under way; names it.
    """
    return file_lock(home.locks / "repair.lock", "verify --repair", deadline_s=_OTHER_REPAIR_S)


def repair(warehouse: Warehouse, audit: Audit, means: Means) -> list[str]:
    """Mend what an audit found, in the order in which one thing is made of another; under `only_repair`.

    Returns:
        What could not be done, in words; the next audit has the rest.
    """
    if not mendable(audit):
        return [damage.message for damage in audit.of("unreadable", WAREHOUSE)]
    touched = put_texts_back(warehouse, audit, means.on_step)
    # Before any ledger is let go: a card tells what the rows of its ledger were.
    failed = republish_folders(warehouse, audit, means)
    touched |= take_out(warehouse, audit, means.on_step)
    lance = audit_lance(warehouse, means.on_part) if touched else audit
    wanted = assets_to_run(lance)
    _let_go_of_mirrors(warehouse, lance, means.on_step)
    failed += _run(wanted, means.run, means.on_step)
    if any(assets != [_MIRRORED] for assets in wanted.values()):
        # Only now can it be seen whether a mirror was made of damaged scores.
        late = audit_lance(warehouse, means.on_part)
        _let_go_of_mirrors(warehouse, late, means.on_step)
        mirrors = {
            source: [_MIRRORED] for source, assets in assets_to_run(late).items() if _MIRRORED in assets
        }
        failed += _run(mirrors, means.run, means.on_step)
    if touched or wanted or audit.damaged(SERVING):
        # A copy whose bytes were flipped would pass for current by its size and time.
        warehouse.home.serving_state.unlink(missing_ok=True)
        means.publish()
    return failed


def mendable(audit: Audit) -> bool:
    """Whether anything may be mended: nothing is written beside a warehouse that cannot be read."""
    return not audit.of("unreadable", WAREHOUSE)


def take_out(warehouse: Warehouse, audit: Audit, on_step: OnStep) -> bool:
    """Take damaged rows out of LanceDB, and give rows without a checksum one.

    Args:
        warehouse: of the home.
        audit: what was found; what is sound by now loses nothing but the time to compute it again.
        on_step: told what is being done.

    Returns:
        Whether any row of LanceDB was touched, so that both stores have to be compared again.
    """
    home, touched = warehouse.home, False
    for name in finish_salvages(home):
        on_step(f"{part_name(name)}: a repair had been cut off; its table is in place")
        touched = True
    for name in table_names(home):
        touched |= _mend_table(warehouse, audit, name, on_step)
    return touched


def put_texts_back(warehouse: Warehouse, audit: Audit, on_step: OnStep) -> bool:
    """Read damaged texts again from their files; returns whether there were any."""
    damaged = list(audit.of("text", TEXTS))
    for damage in damaged:
        lost = restore_texts(warehouse, damage.facts)
        on_step(f"texts read again from landing: {damage.n - len(lost):,}; without their file: {len(lost):,}")
    return bool(damaged)


def _mend_table(warehouse: Warehouse, audit: Audit, name: str, on_step: OnStep) -> bool:
    home, part, judge = warehouse.home, part_name(name), _judge(name)
    bad: list[BadRow] = [
        row for kind in ("checksum", "value") for one in audit.of(kind, part) for row in one.facts
    ]
    doubled = [key for one in audit.of("doubled", part) for key in one.ids]
    broken = bool(audit.of("unreadable", part))
    if name != SCORES:  # before the rows are out, else a kill would leave ledgers that nothing tells of
        _let_go_of_vectors(warehouse, name, [*(row.key for row in bad), *doubled], on_step)
    if not broken and (bad or doubled):
        broken = not drop_rows(home, name, bad, doubled)
        on_step(f"{part}: {len(bad) + len(doubled):,} damaged or doubled keys were taken out")
    if broken:
        kept, aside = salvage(home, name, judge)
        on_step(f"{part}: {kept:,} rows were kept; the old table is {aside.relative_to(home.root)}")
    elif audit.unchecked.get(name):
        on_step(f"{part}: {fill_checksums(home, name, judge):,} rows were given a checksum")
    return broken or bool(bad or doubled)


def _let_go_of_vectors(warehouse: Warehouse, table: str, contents: Sequence[str], on_step: OnStep) -> None:
    """Let ledgers go that may have been made of damaged vectors: nothing tells when a vector was damaged."""
    if contents:
        with warehouse.write(f"ledgers of damaged rows of {table}") as con:
            embedder = table.removeprefix(EMBEDDINGS)
            gone = let_go.ledgers_of(con, warehouse.home, "embedder", embedder, contents)
        _tell_of_ledgers(gone, on_step)


def _let_go_of_mirrors(warehouse: Warehouse, audit: Audit, on_step: OnStep) -> None:
    """Let ledgers go that were ranked by mirrored scores which are not those of LanceDB."""
    sources = {source for damage in audit.of("mirror") for _, source in damage.facts}
    if not sources:
        return
    with warehouse.write("ledgers of damaged scores") as con:
        gone = set[str]()
        for source, measure in product(sorted(sources), MEASURES):
            scorer = scored.coverage(con, source, measure).fingerprint
            gone |= set(let_go.ledgers_over(con, warehouse.home, measure, scorer, {source}))
    _tell_of_ledgers(gone, on_step)


def _tell_of_ledgers(gone: Collection[str], on_step: OnStep) -> None:
    if gone:
        on_step(
            f"ledgers made of them were let go: {len(gone)}; `deita-assets curate` of their scopes selects again"
        )


def _judge(name: str) -> Judge:
    return partial(judge_scores, scored=SCORED) if name == SCORES else partial(judge_vectors, off=off_length)


def assets_to_run(audit: Audit) -> dict[str, list[str]]:
    """Source -> assets that compute what is missing, or mirror what differs, in their order."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for damage in [*audit.of("missing"), *audit.of("mirror")]:
        for asset, source in damage.facts:
            wanted[source].add(asset)
    return {source: sorted(assets, key=_ORDER.index) for source, assets in sorted(wanted.items())}


def republish_folders(warehouse: Warehouse, audit: Audit, means: Means) -> list[str]:
    """Publish damaged and missing folders again; returns what could not be, in words."""
    failed = []
    for damage in audit.of("folder", SUBSETS):
        (version,) = damage.ids
        try:
            republish(warehouse, version, provenance=means.provenance, show_rows=means.show_rows)
        except DeitaError as error:
            failed.append(str(error))
            means.on_step(str(error))
        else:
            means.on_step(f"{version} was published again")
    return failed


def _run(
    wanted: Mapping[str, list[str]], run: Callable[[str, list[str]], None], on_step: OnStep
) -> list[str]:
    """Run assets of each source; one that fails holds back no other."""
    failed = []
    for source, assets in wanted.items():
        try:
            run(source, assets)
        except DeitaError as error:
            failed.append(str(error))
            on_step(str(error))
    return failed
