"""What is decided about rows before any pass: filtered out, contaminated, or frozen.

What belongs here: putting the three together, and what the spec says of them. What does not: the rules themselves
(row_filters, contamination), or the order of the rows that are left (ranked).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deita_assets.core.fingerprint import sha256_hex
from deita_assets.core.row_filters import excluded_digest
from deita_assets.engines.contamination import exclusion_versions
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.row_filters import excluded_rows
from deita_assets.errors import SettingsError
from deita_assets.stores import selections
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.selections import BaseRow
from deita_assets.stores.versions import whole_version
from deita_assets.stores.warehouse import Warehouse


@dataclass(frozen=True)
class Screen:
    """Rows that a pass does not choose freely.

    Attributes:
        parameters: what was asked for.
        excluded: sample_id -> why a row filter says no.
        exclusion_sets: (source, pool_version) of the sets to keep clear of.
        base: rows that stay, in order.
    """

    parameters: SelectionParameters
    excluded: Mapping[str, str] = field(default_factory=dict)
    exclusion_sets: tuple[tuple[str, str], ...] = ()
    base: tuple[BaseRow, ...] = ()

    def spec(self) -> dict[str, Any]:
        """What the ledger's spec says of it; digests where the outcome may change outside the pool version."""
        return {"filters": self._filters(), "exclusion_sets": self._sets(), "frozen_base": self._base()}

    def _filters(self) -> dict[str, Any] | None:
        rules = self.parameters.filters.as_spec()
        if self.parameters.where is not None:
            rules["where"] = self.parameters.where
        # A licence is no part of a pool version; what it lets through is part of the ledger.
        return {**rules, "excluded_sha256": excluded_digest(self.excluded)} if rules else None

    def _sets(self) -> dict[str, Any] | None:
        if not self.exclusion_sets:
            return None
        clear = self.parameters.contamination
        return {
            "sets": [list(each) for each in self.exclusion_sets],
            "ngram": clear.ngram,
            "similarity": clear.similarity,
        }

    def _base(self) -> dict[str, Any] | None:
        if self.parameters.frozen_base is None:
            return None
        members = sha256_hex("\n".join(row.sample_id for row in self.base))  # a take-down moves it
        return {"selection_version": self.parameters.frozen_base, "members_sha256": members}


def screen_rows(warehouse: Warehouse, scope: Scope, parameters: SelectionParameters) -> Screen:
    """Filter the rows of a scope and look up its exclusion sets and its frozen base.

    Raises:
        SettingsError: parameters that do not fit the scope, or a condition that DuckDB does not understand.
        NotFoundError: an exclusion set or a frozen base that does not exist.
    """
    parameters.check(f"{scope.kind} {scope.name!r}", scope.sources)
    excluded: Mapping[str, str] = {}
    if parameters.filters.as_spec() or parameters.where is not None:
        excluded = excluded_rows(warehouse, scope, parameters.filters, parameters.where)
    versions: tuple[tuple[str, str], ...] = ()
    if parameters.exclusion_sets:
        shared = sorted(set(parameters.exclusion_sets) & set(scope.sources))
        if shared:
            raise SettingsError(
                f"{scope.kind} {scope.name!r}: {', '.join(shared)} is selected from and an exclusion set.",
                cure="Take it out of `sources` or out of `exclusion_sets`.",
            )
        versions = exclusion_versions(warehouse, parameters.exclusion_sets)
    base: tuple[BaseRow, ...] = ()
    if parameters.frozen_base is not None:
        with warehouse.read(f"frozen base {parameters.frozen_base}") as con:
            # However much of it was written, so that the spec is the same.
            version = whole_version(con, parameters.frozen_base, "frozen base")
            base = selections.base_rows(con, version)
        parameters = replace(parameters, frozen_base=version)
    return Screen(parameters, excluded, versions, base)
