"""From a spec to the same selection again, in a past home.

The ordinary code does it: scored pools, ledger and cut are those of a curate. No earlier ledger is there to take
anything over from, so the pass runs from its first row.

What belongs here: a spec as parameters, and the steps in their order. What does not: what they stand on (stores.past),
or comparing the outcome (compare_subsets).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from deita_assets.core.aggregations import AGGREGATIONS
from deita_assets.core.row_filters import FilterRules
from deita_assets.engines.languages import Lingua
from deita_assets.engines.parameters import Contamination, SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.screen import screen_rows
from deita_assets.engines.select import PassOptions, make_ledger
from deita_assets.errors import SettingsError
from deita_assets.exports.jsonl import write_messages_jsonl
from deita_assets.exports.parquet import write_parquet
from deita_assets.exports.published import TRAIN, TRAIN_PARQUET
from deita_assets.stores import past as past_store
from deita_assets.stores import scored, selections
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.scored import Coverage
from deita_assets.stores.selections import Selection
from deita_assets.stores.warehouse import Warehouse

#: Nobody reads the threshold of a selector that has none.
_NO_THRESHOLD = 1.0

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Rebuilding:
    """What a rebuild works with.

    Attributes:
        present: the real warehouse; read only.
        past: the warehouse of a past home, filled.
        spec: of the version.
        on_step: told what is being done.
    """

    present: Warehouse
    past: Warehouse
    spec: Mapping[str, Any]
    on_step: OnStep

    @property
    def scope(self) -> Scope:
        """Its sources in order of priority."""
        spec = self.spec
        return Scope(spec["scope_kind"], spec["scope"], tuple(source for source, _ in spec["sources"]))


def parameters_of(spec: Mapping[str, Any]) -> SelectionParameters:
    """What a user had chosen, out of the spec of a ledger or selection."""
    selector, filters, sets = spec["selector"], dict(spec.get("filters") or {}), spec.get("exclusion_sets")
    filters.pop("excluded_sha256", None)
    where = filters.pop("where", None)
    rules: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in filters.items()
    }
    base = spec.get("frozen_base")
    return SelectionParameters(
        threshold=selector.get("threshold", _NO_THRESHOLD),
        aggregation=spec["aggregation"],
        selector=selector["name"],
        seed=selector.get("seed", 0),
        caps=selector.get("caps", {}),
        shares=selector.get("shares", {}),
        floors=selector.get("floors", {}),
        filters=FilterRules(**rules),
        where=where,
        frozen_base=base["selection_version"] if base else None,
        exclusion_sets=tuple(source for source, _ in sets["sets"]) if sets else (),
        contamination=Contamination(sets["ngram"], sets["similarity"]) if sets else Contamination(),
    )


def score_pools(work: Rebuilding, aggregation: str) -> None:
    """The scored pools of the scope under the fingerprints of the spec."""
    fingerprints = work.spec["fingerprints"]
    steps = {
        "complexity": fingerprints["complexity"],
        "quality": fingerprints["quality"],
        "embedding": fingerprints["embedder"],
    }
    with work.past.write("coverage as it was") as con:
        for source, version in work.spec["sources"]:
            for step, fingerprint in steps.items():
                scored.save_coverage(con, source, step, Coverage(fingerprint, version))
    for source, _ in work.spec["sources"]:
        work.on_step(f"scored pool of {source}")
        score_pool(work.past, source, aggregation)


def settle_filters(work: Rebuilding) -> None:
    """Bring back what filters see and no spec pins: which detector named languages, how scored pools were added up.

    Both are tried until what is excluded has the digest of the spec; when nothing does, they are as first tried.
    """
    filters = work.spec.get("filters")
    if not filters:
        return
    tries = list(_circumstances(work, filters))
    settled = tries[0]
    _apply(work, *settled, before=None)
    for each in tries[1:]:
        work.on_step("filters")
        if _excluded(work) == filters.get("excluded_sha256"):
            return
        _apply(work, *each, before=settled)
        settled = each
    if len(tries) > 1 and _excluded(work) != filters.get("excluded_sha256"):
        _apply(work, *tries[0], before=settled)


def _circumstances(work: Rebuilding, filters: Mapping[str, Any]) -> Iterator[tuple[str | None, str]]:
    """(language detector, aggregation of the scored pools) that may have been, the likeliest first."""
    detectors: list[str | None] = [None]
    if "languages" in filters:
        with past_store.beside_present(work.past, work.present, "languages as they were") as con:
            detectors = [*past_store.detectors(con)] or [None]
    likeliest = work.spec["aggregation"]
    others = [name for name in AGGREGATIONS if name != likeliest]
    looks = "evol_score" in (filters.get("where") or "").lower()
    yield from product(detectors, [likeliest, *others] if looks else [likeliest])


def _apply(
    work: Rebuilding, detector: str | None, aggregation: str, *, before: tuple[str | None, str] | None
) -> None:
    if detector is not None and (before is None or detector != before[0]):
        with suppress(
            SettingsError
        ):  # no lingua: whoever needs it says so; rows may all have labels of their own
            known_as = Lingua().name
            with past_store.beside_present(work.past, work.present, "languages as they were") as con:
                past_store.copy_languages(con, detector, known_as)
    if before is not None and aggregation != before[1]:
        for source in work.scope.sources:
            score_pool(work.past, source, aggregation)


def _excluded(work: Rebuilding) -> str | None:
    filters = screen_rows(work.past, work.scope, parameters_of(work.spec)).spec()["filters"]
    return filters["excluded_sha256"] if filters else None


def select(work: Rebuilding, options: PassOptions) -> Selection:
    """Ledger and cut, at the budget of the spec."""
    budget = work.spec["budget"]
    work.on_step("ledger")
    ledger = make_ledger(
        work.past, work.scope, parameters_of(work.spec), budget=budget, trial=True, options=options
    )
    with work.past.read("cut") as con:
        return selections.cut(con, ledger, budget)


def write_files(past: Warehouse, selection: Selection, folder: Path) -> Sequence[str]:
    """Write the files that a version is compared by into a new folder; returns their names."""
    (folder / TRAIN_PARQUET).parent.mkdir(parents=True)
    with past.read("files") as con:
        write_messages_jsonl(folder / TRAIN, selections.member_rows(con, past.home, selection))
        write_parquet(folder / TRAIN_PARQUET, selections.member_rows(con, past.home, selection))
    return TRAIN, TRAIN_PARQUET
