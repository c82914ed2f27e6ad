"""One version as the registry has it, with everything that says whether it still is what it was.

What belongs here: reading a version and the bases below it, and what their hashes say. What does not: rebuilding.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deita_assets.core.fingerprint import sha256_hex, short_digest
from deita_assets.errors import NotFoundError
from deita_assets.stores.selections import Member
from deita_assets.stores.sql import first

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Registered:
    """A selection version out of the registry.

    Attributes:
        spec: of the selection, with its budget.
        directory: of its files, below the home.
        made_at: when its pools were looked at, at the latest.
        members: in order.
        n_rows: how many the registry says there are.
    """

    version: str
    spec: Mapping[str, Any]
    budget: int
    ledger_id: str
    directory: str
    made_at: dt.datetime
    members_sha256: str
    n_rows: int
    members: tuple[Member, ...]

    def is_of(self, spec: Mapping[str, Any]) -> bool:
        """True when this spec and the members have the version for their hash."""
        return (
            short_digest({"spec": spec, "members": [one.sample_id for one in self.members]}) == self.version
        )

    def alterations(self) -> list[str]:
        """What in the registry is not as it was written, in words."""
        ids = [member.sample_id for member in self.members]
        found = []
        if not self.is_of(self.spec):
            digest = short_digest({"spec": self.spec, "members": ids})
            found.append(f"spec and members of {self.version} have the hash {digest}")
        if sha256_hex("\n".join(ids)) != self.members_sha256:
            digest = sha256_hex("\n".join(ids))[:12]
            found.append(f"its members have the hash {digest}, members_sha256 is {self.members_sha256[:12]}")
        if len(ids) != self.n_rows or [one.position for one in self.members] != list(range(1, len(ids) + 1)):
            found.append(f"it holds {len(ids):,} members, n_rows is {self.n_rows:,}")
        if self.spec.get("budget") != self.budget:
            found.append(f"its budget is {self.budget:,}, that of its spec {self.spec.get('budget')}")
        return found


_ROW = """
select s.spec, s.budget, s.ledger_id, s.directory,
    least(s.created_at, coalesce(l.created_at, s.created_at)), s.members_sha256, s.n_rows
from {schema}.selection s left join {schema}.ledger l on l.ledger_id = s.ledger_id
where s.selection_version = ?
"""
_MEMBERS = """
select position, sample_id, rank, evol_score from {schema}.selection_member
where selection_version = ? order by position
"""


def registered(con: duckdb.DuckDBPyConnection, version: str, *, schema: str = "store") -> Registered:
    """A version by its whole name.

    Args:
        con: the warehouse, or one that has it attached.
        version: whole.
        schema: where the tables are.

    Raises:
        NotFoundError: there is no such version.
    """
    row = first(con.execute(_ROW.format(schema=schema), [version]))
    if row is None:
        raise NotFoundError(
            f"selection version {version!r} is not in the registry.", cure="See `deita-assets selections`."
        )
    members = con.execute(_MEMBERS.format(schema=schema), [version]).fetchall()
    spec, budget, ledger_id, directory, made_at, digest, n_rows = row
    ordered = tuple(Member(*one) for one in members)
    return Registered(
        version, json.loads(spec), budget, ledger_id, directory, made_at, digest, n_rows, ordered
    )


@dataclass(frozen=True)
class FrozenBase:
    """The rows that a frozen base gave, told by the digest that a spec has of them.

    Attributes:
        chain: the base, the base of that base, and so on.
        members: ids of its rows, those that had been taken down among them.
        taken_down: ids of its rows that had been taken down by then.
        faults: what is gone or altered, in words.
    """

    chain: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    taken_down: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def frozen_base(
    con: duckdb.DuckDBPyConnection, pinned: Mapping[str, Any] | None, *, schema: str = "store"
) -> FrozenBase:
    """What a spec's `frozen_base` (selection_version, members_sha256) stands for.

    Which rows had been taken down when it was made no number says; their digest does.
    """
    if not pinned:
        return FrozenBase()
    chain, faults = [], []
    version: str | None = pinned["selection_version"]
    first_members: tuple[str, ...] = ()
    while version is not None and version not in chain:
        try:
            base = registered(con, version, schema=schema)
        except NotFoundError:
            faults.append(f"frozen base {version} is not in the registry any more")
            break
        if not base.is_of(base.spec):
            faults.append(f"spec or members of frozen base {version} were altered in the registry")
        chain.append(version)
        first_members = first_members or tuple(member.sample_id for member in base.members)
        version = (base.spec.get("frozen_base") or {}).get("selection_version")
    taken = _taken_by_then(con, first_members, pinned["members_sha256"], schema)
    if taken is None:
        faults.append(
            f"frozen base {pinned['selection_version']} gave rows of the hash {pinned['members_sha256'][:12]}, which "
            "none of its take-downs explains"
        )
    return FrozenBase(
        tuple(chain), first_members, tuple(taken or ()), tuple(faults) if chain else tuple(faults[:1])
    )


def _taken_by_then(
    con: duckdb.DuckDBPyConnection, members: Sequence[str], members_sha256: str, schema: str
) -> list[str] | None:
    """Members that had been taken down when the others had this hash; None when they never had."""
    query = (
        f"select sample_id, taken_at from {schema}.takedown "  # noqa: S608 - name of a schema of ours
        "where sample_id in (select unnest($ids)) order by taken_at, sample_id"
    )
    rows = con.execute(query, {"ids": list(members)}).fetchall()
    moments = sorted({taken_at for _, taken_at in rows})
    for moment in (None, *moments):
        taken = {row for row, taken_at in rows if moment is not None and taken_at <= moment}
        if sha256_hex("\n".join(one for one in members if one not in taken)) == members_sha256:
            return sorted(taken)
    return None
