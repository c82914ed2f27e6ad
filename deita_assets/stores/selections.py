"""The registry of selection versions: members, heads, and where each version's files stand.

What belongs here: statements about selections. What does not: writing their files (subsets) or choosing rows.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deita_assets.core.fingerprint import canonical_json, sha256_hex, short_digest
from deita_assets.errors import NotFoundError, StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import StoredLedger
from deita_assets.stores.member_scores import StoredScores
from deita_assets.stores.sql import first, statement

if TYPE_CHECKING:
    import duckdb

#: Rows held at a time while a subset streams out of the store.
STREAM_ROWS = 5_000


@dataclass(frozen=True)
class Member:
    """One selected row."""

    position: int
    sample_id: str
    rank: int
    evol_score: float


@dataclass(frozen=True)
class BaseRow:
    """A row of a shipped selection, as it was when it was shipped."""

    sample_id: str
    content_sha256: str
    source: str
    evol_score: float


@dataclass(frozen=True)
class Selection:
    """One selection version: a budget cut out of a ledger."""

    ledger: StoredLedger
    budget: int
    members: tuple[Member, ...]

    @property
    def spec(self) -> dict[str, Any]:
        """The ledger's spec with the budget: what decides the members."""
        return {**self.ledger.spec, "budget": self.budget}

    @property
    def version(self) -> str:
        """Content address of spec and ordered members."""
        return short_digest({"spec": self.spec, "members": [member.sample_id for member in self.members]})

    @property
    def members_sha256(self) -> str:
        """sha256 over the ordered sample ids, one per line: equal for equal subsets whatever their spec."""
        return sha256_hex("\n".join(member.sample_id for member in self.members))


def cut(con: duckdb.DuckDBPyConnection, ledger: StoredLedger, budget: int) -> Selection:
    """The first `budget` kept rows of a ledger, in order.

    Raises:
        StoreError: it does not hold them any more.
    """
    rows = con.execute(
        "select kept_position, sample_id, rank, evol_score from store.ledger_row "
        "where ledger_id = ? and kept_position <= ? order by kept_position",
        [ledger.ledger_id, budget],
    ).fetchall()
    expected = min(budget, ledger.n_kept)
    if len(rows) != expected:
        raise StoreError(
            f"ledger {ledger.ledger_id} holds {len(rows):,} of the {expected:,} rows that it kept for {budget:,}.",
            cure="Its rows were let go or altered meanwhile; materialise the ledger of its scope again.",
        )
    return Selection(ledger, budget, tuple(Member(*row) for row in rows))


@dataclass(frozen=True)
class TurnBias:
    """Mean turns of the selected rows and of all rows of the ledger: the sum over turns favours long talks."""

    selected: float
    pool: float

    @property
    def ratio(self) -> float:
        """How many times more turns a selected row has; NaN for an empty pool."""
        return self.selected / self.pool if self.pool else float("nan")


def turn_bias(con: duckdb.DuckDBPyConnection, selection: Selection) -> TurnBias:
    """How the turns of a selection compare with those of what it was selected from."""
    row = first(
        con.execute(
            "select coalesce(avg(c.n_turns) filter (where r.kept_position <= ?), 0), coalesce(avg(c.n_turns), 0) "
            "from store.ledger_row r join store.conversation c on c.sample_id = r.sample_id where r.ledger_id = ?",
            [selection.budget, selection.ledger.ledger_id],
        )
    )
    return TurnBias(*row) if row else TurnBias(0.0, 0.0)


def base_rows(con: duckdb.DuckDBPyConnection, version: str) -> tuple[BaseRow, ...]:
    """The rows of a selection version in order, without those that were taken down since.

    Raises:
        NotFoundError: there is no such version.
    """
    if not first(con.execute("select 1 from store.selection where selection_version = ?", [version])):
        raise NotFoundError(
            f"frozen base {version!r} is no selection version of this home.",
            cure="`deita-assets selections` lists them; give the whole version.",
        )
    rows = con.execute(statement("selection/base_rows"), {"version": version}).fetchall()
    return tuple(BaseRow(*row) for row in rows)


def register(
    con: duckdb.DuckDBPyConnection, selection: Selection, directory: str, *, run_id: str | None, head: bool
) -> bool:
    """Record a version whose files stand in `directory`; returns False when it was known already.

    `head` makes it the current version of its scope and budget; trials leave heads alone.

    Raises:
        StoreError: the same spec and budget gave other members before.
    """
    version, scope = selection.version, selection.ledger.scope
    known = first(con.execute("select 1 from store.selection where selection_version = ?", [version]))
    if not known:
        _refuse_other_members(con, selection, trials=not head)
        con.execute(
            "insert into store.selection values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                version, scope.kind, scope.name, selection.budget, len(selection.members),
                selection.ledger.ledger_id, selection.members_sha256, canonical_json(selection.spec), directory,
                not head, run_id, dt.datetime.now(dt.UTC),
            ],
        )  # fmt: skip
        _insert_members(con, selection)
    if head:
        con.execute(
            "insert or replace into store.selection_head values (?, ?, ?, ?)",
            [scope.kind, scope.name, selection.budget, version],
        )
        con.execute("update store.selection set trial = false where selection_version = ?", [version])
    return not known


def write_again(con: duckdb.DuckDBPyConnection, selection: Selection) -> bool:
    """Write the rows of a known version again as its ledger gives them; returns False when they were like that.

    What a ledger does not know stays: the folder, the run, the moment, and whether it is a trial.
    """
    before = _registry_rows(con, selection.version)
    con.execute(
        "update store.selection set scope_kind = ?, scope = ?, budget = ?, n_rows = ?, ledger_id = ?, "
        "members_sha256 = ?, spec = ? where selection_version = ?",
        [
            selection.ledger.scope.kind, selection.ledger.scope.name, selection.budget, len(selection.members),
            selection.ledger.ledger_id, selection.members_sha256, canonical_json(selection.spec), selection.version,
        ],
    )  # fmt: skip
    con.execute("delete from store.selection_member where selection_version = ?", [selection.version])
    _insert_members(con, selection)
    return _registry_rows(con, selection.version) != before


def _registry_rows(con: duckdb.DuckDBPyConnection, version: str) -> list[tuple[Any, ...]]:
    rows = con.execute("select * from store.selection where selection_version = ?", [version]).fetchall()
    return (
        rows
        + con.execute(
            "select * from store.selection_member where selection_version = ? order by position, sample_id",
            [version],
        ).fetchall()
    )


def head_members(con: duckdb.DuckDBPyConnection, scope_kind: str, scope: str, budget: int) -> str | None:
    """Current version of a scope and budget, or None."""
    row = first(
        con.execute(
            "select selection_version from store.selection_head where scope_kind = ? and scope = ? and budget = ?",
            [scope_kind, scope, budget],
        )
    )
    return str(row[0]) if row else None


def member_rows(con: duckdb.DuckDBPyConnection, home: Home, selection: Selection) -> Iterator[dict[str, Any]]:
    """Every selected row with its conversation and scores, in selection order, `STREAM_ROWS` at a time.

    Complexity and quality are means over turns under the scorers of the selection's spec, also when its source was
    scored by others since; NULL where no turn has such a score.
    """
    fingerprints = selection.spec["fingerprints"]
    scorers = {measure: fingerprints[measure] for measure in ("complexity", "quality")}
    stored = StoredScores(con, home, scorers)
    for start in range(0, len(selection.members), STREAM_ROWS):
        part = selection.members[start : start + STREAM_ROWS]
        con.register("members_now", _member_table(part))
        cursor = con.execute(statement("selection/member_rows"), scorers)
        names = [column[0] for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        con.unregister("members_now")
        lacking = [row["sample_id"] for row in rows if row["complexity"] is None or row["quality"] is None]
        means = stored.means(lacking)
        for row in rows:
            complexity, quality = means.get(row["sample_id"], (row["complexity"], row["quality"]))
            conversation = json.loads(row["conversation"])
            yield {**row, "complexity": complexity, "quality": quality, "conversation": conversation}


def frozen_rows(con: duckdb.DuckDBPyConnection, ledger_id: str) -> int:
    """Rows of a frozen base that a ledger begins with."""
    row = first(
        con.execute(
            "select count(*) from store.ledger_row where ledger_id = ? and reason = 'frozen_base'",
            [ledger_id],
        )
    )
    return int(row[0]) if row else 0


def source_rows(con: duckdb.DuckDBPyConnection, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Licence, files and counts of each source of a spec at its pool version, for cards and manifests.

    Sources that only its frozen base has rows of are among them, at the versions that the base was selected from.
    """
    sources, versions = zip(*pinned_sources(con, spec).items(), strict=True)
    rows = con.execute(
        statement("selection/source_rows"), {"sources": list(sources), "versions": list(versions)}
    ).fetchall()
    return [
        {
            "source": s,
            "licence": licence,
            "rows": n,
            "files": [{"uri": f["uri"], "sha256": f["sha256"]} for f in files],
        }
        for s, licence, n, files in rows
    ]


def pinned_sources(con: duckdb.DuckDBPyConnection, spec: Mapping[str, Any]) -> dict[str, str]:
    """Source -> pool version of a spec and of the frozen bases below it."""
    base = spec.get("frozen_base")
    below: dict[str, str] = {}
    if base:
        version = base["selection_version"]
        row = first(con.execute("select spec from store.selection where selection_version = ?", [version]))
        below = pinned_sources(con, json.loads(row[0])) if row else {}
    return {**below, **dict(spec["sources"])}


def fingerprint_specs(con: duckdb.DuckDBPyConnection, digests: list[str]) -> dict[str, Mapping[str, Any]]:
    """Name and spec of each fingerprint."""
    rows = con.execute(
        "select fingerprint, kind, name, spec from store.fingerprint where fingerprint in (select unnest($d))",
        {"d": digests},
    ).fetchall()
    return {str(d): {"kind": kind, "name": name, "spec": json.loads(spec)} for d, kind, name, spec in rows}


def _refuse_other_members(con: duckdb.DuckDBPyConnection, selection: Selection, *, trials: bool) -> None:
    """Trials are compared with trials too; a lasting version is not, and so follows one that was let go as wrong."""
    other = first(
        con.execute(
            "select selection_version from store.selection where ledger_id = ? and budget = ? and (? or not trial)",
            [selection.ledger.ledger_id, selection.budget, trials],
        )
    )
    if other:
        raise StoreError(
            f"ledger {selection.ledger.ledger_id} at budget {selection.budget} gave {other[0]} before and gives "
            f"{selection.version} now.",
            cure="One of the two was altered after it was written. Compare their folders; `deita-assets doctor` "
            "checks the stores.",
        )


def _insert_members(con: duckdb.DuckDBPyConnection, selection: Selection) -> None:
    con.register("members_now", _member_table(selection.members))
    con.execute(
        statement("selection/insert_member"),
        {"version": selection.version, "ledger_id": selection.ledger.ledger_id},
    )
    con.unregister("members_now")


def _member_table(members: tuple[Member, ...]) -> pa.Table:
    return pa.table(
        {
            "position": pa.array([m.position for m in members], pa.int64()),
            "sample_id": pa.array([m.sample_id for m in members], pa.string()),
            "rank": pa.array([m.rank for m in members], pa.int64()),
            "evol_score": pa.array([m.evol_score for m in members], pa.float64()),
        }
    )
