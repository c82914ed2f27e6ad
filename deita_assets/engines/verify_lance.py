"""Audit of LanceDB: each table by itself, and all of them beside the warehouse.

What the warehouse wants is looked up before the tables are read, and again after: only sources whose coverage is the
same both times are compared, so that what a run adds meanwhile is never called missing.

What belongs here: which tables, what is compared, and saying what is wrong. What does not: reading tables
(stores.lance_audit).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deita_assets.core.checks.finding import rows
from deita_assets.core.checks.vector_rules import norm_tolerance, norms
from deita_assets.engines.verify_parts import REPAIR, Audit, Damage, Kind, OnPart, Part, ordered
from deita_assets.errors import StoreError
from deita_assets.scorers.base import SCORED
from deita_assets.stores.lance_audit import (
    SCORE_COLUMNS,
    TableAudit,
    audit_table,
    judge_scores,
    judge_vectors,
)
from deita_assets.stores.lance_rows import newest_version
from deita_assets.stores.lance_upkeep import table_names
from deita_assets.stores.sql import statement
from deita_assets.stores.vectors import SCORES, score_key
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

    from deita_assets.stores.home import Home

EMBEDDINGS = "embeddings_"
MIRROR = "mirrored scores"
#: A table is read again when a compaction took away what was being read.
_ATTEMPTS = 3
_STEP_ASSET = {"complexity": "complexity_scores", "quality": "quality_scores", "embedding": "embeddings"}

Covered = tuple[str, str, str, str]


def audit_lance(warehouse: Warehouse, on_part: OnPart, *, compare: bool = True) -> Audit:
    """Look at every table, and compare them with the warehouse unless that cannot be read."""
    before = _covered(warehouse) if compare else []
    found, tables, closed = Audit(), [], set()
    for name in table_names(warehouse.home):
        part = Part(part_name(name), "scores" if name == SCORES else "vectors")
        found.parts.append(part)
        try:
            table = _read(warehouse.home, name, on_part)
        except StoreError as error:
            closed.add(name)
            found.damage.append(
                Damage(part.name, "unreadable", 1, error.message, _SALVAGE, (name,), facts=name)
            )
            continue
        tables.append(table)
        part.looked_at = table.n_read
        found.damage += table_damage(table)
        if table.n_unchecked:
            found.unchecked[name] = table.n_unchecked
            found.notes.append(
                f"{part.name}: {table.n_unchecked:,} rows have no checksum, written before there were any; {REPAIR} "
                "takes them as they are and gives them one."
            )
    if compare:
        found.take(_compare(warehouse, before, tables, closed, found.parts))
    return found


_SALVAGE = f"{REPAIR} keeps every row that can be read, sets the table aside, and computes the rest again."


def part_name(table: str) -> str:
    """Where a table lies, below the home."""
    return f"lance/{table}"


def off_length(vectors: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which vectors (n, d) are not of length one; those that are not finite among them."""
    with np.errstate(invalid="ignore", over="ignore"):
        off: NDArray[np.bool_] = ~(np.abs(norms(vectors) - 1.0) <= norm_tolerance(vectors.shape[1]))
    return off


def read_table(home: Home, name: str, on_part: OnPart = lambda part, done, total: None) -> TableAudit:
    """Judge every row of one table.

    Raises:
        StoreError: it cannot be opened.
    """
    judge = partial(judge_scores, scored=SCORED) if name == SCORES else partial(judge_vectors, off=off_length)
    return audit_table(home, name, judge, partial(on_part, part_name(name)))


def _read(home: Home, name: str, on_part: OnPart) -> TableAudit:
    table = read_table(home, name, on_part)
    for _ in range(_ATTEMPTS - 1):
        # A compaction that drops what is read looks like damage; it leaves a newer edition, too.
        if not table.unreadable or newest_version(home.lance / f"{name}.lance") == table.version:
            break
        table = read_table(home, name, on_part)
    return table


def table_damage(table: TableAudit) -> list[Damage]:
    """What is wrong with a table by itself."""
    part, found = part_name(table.name), []
    again = f"{REPAIR} takes them out and computes them again."
    if table.unreadable:
        fragments = ", ".join(str(number) for number, _ in table.unreadable[:10])
        lost = table.n_rows - table.n_read
        found.append(
            Damage(
                part, "unreadable", max(lost, 1),
                f"version {table.version}: {lost:,} of {table.n_rows:,} rows cannot be read, in fragment {fragments}: "
                f"{table.unreadable[0][1]}",
                _SALVAGE, tuple(str(number) for number, _ in table.unreadable), facts=table.name,
            )
        )  # fmt: skip
    wrong: tuple[tuple[Kind, str], ...] = (
        ("checksum", "with another checksum than was written with them"),
        (
            "value",
            "of what no model gives: a vector not of length one, a score outside 1 to 6 or of another status",
        ),
    )
    for kind, message in wrong:
        if bad := [row for row in table.bad if row.fault == kind]:
            ids = ordered(row.key for row in bad)
            found.append(Damage(part, kind, len(bad), f"{rows(len(bad))} {message}", again, ids, facts=bad))
    if table.doubled:
        message = f"{rows(len(table.doubled), 'key')} with several rows"
        found.append(Damage(part, "doubled", len(table.doubled), message, again, tuple(table.doubled)))
    return found


def _covered(warehouse: Warehouse) -> list[Covered]:
    with warehouse.read("verify: coverage") as con:
        covered = con.execute(statement("verify/coverage")).fetchall()
    return [(str(a), str(b), str(c), str(d)) for a, b, c, d in covered]


def _compare(
    warehouse: Warehouse,
    before: list[Covered],
    tables: Sequence[TableAudit],
    closed: set[str],
    parts: list[Part],
) -> Audit:
    """Tables beside the warehouse; what cannot be opened at all is left out, because all of it would be missing."""
    found = Audit([Part(MIRROR, "scores")])
    with warehouse.read("verify: both stores") as con:
        now = con.execute(statement("verify/coverage")).fetchall()
        both = [one for one in now if tuple(one) in set(before)]
        if moved := sorted({row[0] for row in [*before, *now]} - {row[0] for row in both}):
            found.notes.append(f"{', '.join(moved)}: changed meanwhile, or not scored yet; not compared.")
        _register(con, [one for one in both if _table_of(one) not in closed], tables)
        scores = con.execute(statement("verify/lacking_scores")).fetchall()
        vectors = con.execute(statement("verify/lacking_vectors")).fetchall()
        orphans = dict(con.execute(statement("verify/orphans")).fetchall())
        different = con.execute(statement("verify/mirror_different")).fetchall()
        found.parts[0].looked_at = con.execute("select count(*) from store.scored_turn").fetchall()[0][0]
    for part in parts:
        part.orphans = int(orphans.get(part.name.removeprefix(part_name("")), 0))
    fingerprints = {(source, step): fingerprint for source, step, fingerprint, _ in both}
    # A damaged row is named already; what it lacks is gone when it is taken out.
    standing = {row.key for table in tables for row in table.bad}
    found.damage += _missing_scores(scores, fingerprints, standing)
    found.damage += _missing_vectors(vectors, fingerprints, standing)
    if never := [content for _, content, known in vectors if known]:
        found.notes.append(
            f"{len(set(never)):,} conversations have no vector because their embedder gives none."
        )
    if different:
        found.damage.append(_mirror(different))
    return found


def _table_of(covered: Sequence[str]) -> str:
    return f"{EMBEDDINGS}{covered[2][:8]}" if covered[1] == "embedding" else SCORES


def _register(con: duckdb.DuckDBPyConnection, both: list[Covered], tables: Sequence[TableAudit]) -> None:
    names = ("source", "step", "fingerprint", "pool_version")
    columns = {name: pa.array([row[at] for row in both], pa.string()) for at, name in enumerate(names)}
    con.register("covered_now", pa.table(columns))
    empty = pa.table(
        {name: pa.array([], pa.float64() if name == "score" else pa.string()) for name in SCORE_COLUMNS}
    )
    scores = next((table.sound for table in tables if table.name == SCORES and len(table.sound)), empty)
    con.register("scores_now", scores)
    con.register("vectors_now", _vectors(tables))


def _vectors(tables: Sequence[TableAudit]) -> pa.Table:
    parts = [
        pa.table({"embedder": pa.repeat(pa.scalar(table.name.removeprefix(EMBEDDINGS)), len(table.sound)),
                  "content_sha256": table.sound["content_sha256"]})
        for table in tables
        if table.name.startswith(EMBEDDINGS)
    ]  # fmt: skip
    empty = pa.table({"embedder": pa.array([], pa.string()), "content_sha256": pa.array([], pa.string())})
    return pa.concat_tables([empty, *parts])


_Fingerprints = dict[tuple[str, str], str]


def _missing_scores(
    wanted: list[tuple[str, str, str]], fingerprints: _Fingerprints, standing: set[str]
) -> list[Damage]:
    lost = [
        (source, measure, prompt)
        for source, measure, prompt in wanted
        if score_key(measure, prompt, fingerprints[source, measure]) not in standing
    ]
    return [_missing(SCORES, measure, keys, sources) for measure, (keys, sources) in _by_step(lost).items()]


def _missing_vectors(
    wanted: list[tuple[str, str, bool]], fingerprints: _Fingerprints, standing: set[str]
) -> list[Damage]:
    lost = [
        (source, f"{EMBEDDINGS}{fingerprints[source, 'embedding'][:8]}", content)
        for source, content, known in wanted
        if not known and content not in standing
    ]
    return [_missing(table, "embedding", keys, sources) for table, (keys, sources) in _by_step(lost).items()]


def _by_step(lost: list[tuple[str, str, str]]) -> dict[str, tuple[list[str], list[str]]]:
    grouped: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for source, what, key in lost:
        grouped[what][0].append(key)
        grouped[what][1].append(source)
    return grouped


def _missing(table: str, step: str, keys: list[str], sources: list[str]) -> Damage:
    what = "vectors" if step == "embedding" else f"{step} scores"
    ids = ordered(keys)
    return Damage(
        part_name(table), "missing", len(ids),
        f"{len(ids):,} {what} are gone that {', '.join(ordered(sources))} had",
        f"{REPAIR} computes them.", ids, facts=[(_STEP_ASSET[step], source) for source in ordered(sources)],
    )  # fmt: skip


def _mirror(different: list[tuple[str, str, int, str]]) -> Damage:
    sources = ordered(row[0] for row in different)
    return Damage(
        MIRROR, "mirror", len(different),
        f"{len(different):,} scores of {', '.join(sources)} stand in warehouse.duckdb otherwise than in LanceDB",
        f"{REPAIR} mirrors them again; `deita-assets curate` then selects anew.",
        ordered(row[1] for row in different), facts=[("scored_pool", source) for source in sources],
    )  # fmt: skip
