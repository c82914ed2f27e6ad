"""The spec of a ledger: everything that decides it, and nothing else; its digest is `ledger_id`.

What belongs here: what goes into a spec, and refusing scopes that have none yet. What does not: running a pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deita_assets.core.fingerprint import short_digest
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.screen import Screen
from deita_assets.errors import MixedFingerprintsError, NotFoundError
from deita_assets.stores import ledgers, scored
from deita_assets.stores.ledgers import Scope

if TYPE_CHECKING:
    import duckdb

#: Version of the selection algorithm; part of every ledger's identity.
ALGORITHM = "selection/2"
TIE_RULE = "evol_score desc, content_sha256, source"


def ledger_spec(
    con: duckdb.DuckDBPyConnection,
    scope: Scope,
    parameters: SelectionParameters,
    screen: Screen,
    budget: int | None,
) -> dict[str, Any]:
    """Spec of the ledger that these parameters make of a scope as it stands now.

    Args:
        con: the warehouse.
        scope: its sources in order of priority.
        parameters: the user's choices.
        screen: what is decided about rows before the pass.
        budget: part of the spec where the selector is not prefix-stable; None is every row.

    Raises:
        NotFoundError: a source was not scored or embedded yet.
        MixedFingerprintsError: its sources were scored or embedded by different models.
    """
    sources = list(dict.fromkeys(scope.sources))
    versions = ledgers.scored_versions(con, sources)
    missing = [source for source in sources if source not in versions]
    if missing or not sources:
        raise NotFoundError(
            f"{scope.kind} {scope.name!r}: no scored pool for {', '.join(missing) or 'any source'}.",
            cure="Materialise scored_pool for them, or run `deita-assets curate`.",
        )
    embedders = {source: scored.coverage(con, source, "embedding").fingerprint for source in sources}
    spec = {
        "scope_kind": scope.kind,
        "scope": scope.name,
        "sources": [[source, versions[source][0]] for source in sources],
        "fingerprints": {
            "complexity": _same(scope, "complexity scorer", {s: versions[s][1] for s in sources}),
            "quality": _same(scope, "quality scorer", {s: versions[s][2] for s in sources}),
            "embedder": _same(scope, "embedder", embedders),
        },
        "aggregation": parameters.aggregation,
        "selector": parameters.selector_spec(),
        **screen.spec(),
        "tie_rule": TIE_RULE,
        "algorithm": ALGORITHM,
    }
    return spec if parameters.prefix_stable else {**spec, "budget": budget}


def family(spec: Mapping[str, Any]) -> str:
    """Digest of a spec without its budget: one for all budgets, also where each budget has a ledger of its own."""
    return short_digest({key: value for key, value in spec.items() if key != "budget"})


def embedded_before(con: duckdb.DuckDBPyConnection, spec: Mapping[str, Any]) -> set[str]:
    """Sources whose embeddings were last completed for another version of their pool than the scored one."""
    return {
        source
        for source, version in spec["sources"]
        if scored.coverage(con, source, "embedding").pool_version != version
    }


def refuse_unembedded(scope: Scope, unembedded: Sequence[str], behind: set[str]) -> None:
    """Refuse rows that are only not embedded yet: the ledger's id would not change once they are."""
    late = Counter(source for source in unembedded if source in behind)
    if late:
        shown = ", ".join(f"{source}: {count:,}" for source, count in sorted(late.items()))
        raise NotFoundError(
            f"{scope.kind} {scope.name!r}: rows without an embedding ({shown}); embeddings and scored pool are of "
            "different versions of the pool.",
            cure="Materialise embeddings and scored_pool for them, or run `deita-assets curate`.",
        )


def _same(scope: Scope, what: str, by_source: Mapping[str, str]) -> str:
    if len(set(by_source.values())) > 1:
        named = ", ".join(f"{source}: {digest}" for source, digest in sorted(by_source.items()))
        raise MixedFingerprintsError(
            f"{scope.kind} {scope.name!r} would mix results of more than one {what} ({named}).",
            cure="Run `deita-assets curate` so that every source is covered by the model in the settings.",
        )
    return next(iter(by_source.values()))
