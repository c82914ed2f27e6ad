"""What a version stands on: brought back into a past home, and looked at for anything gone or altered.

What belongs here: which parts there are, and saying of each what is wrong with it. What does not: the steps that use
them (rebuild), or the verdict (reproduce).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deita_assets.core.fingerprint import short_digest
from deita_assets.engines.findings import Finding
from deita_assets.engines.ledger_spec import ALGORITHM
from deita_assets.engines.published_folder import Published
from deita_assets.engines.rebuild import Rebuilding
from deita_assets.engines.staging import prompt_sha256
from deita_assets.stores import past as past_store
from deita_assets.stores import registered as registry
from deita_assets.stores.past import Pin, Wanted
from deita_assets.stores.registered import Registered
from deita_assets.stores.selections import Selection

if TYPE_CHECKING:
    import duckdb

_PRESENT = "present.store"


def notes(con: duckdb.DuckDBPyConnection, then: Registered) -> list[Finding]:
    """What a reader should know of a version before it is rebuilt; `con` is the real warehouse."""
    rows = con.execute(
        "select sample_id from store.takedown where sample_id in (select unnest(?)) order by 1",
        [[member.sample_id for member in then.members]],
    ).fetchall()
    if not rows:
        return []
    message = (
        f"{len(rows):,} of its rows were taken down since, {rows[0][0]} among them; its files hold them still"
    )
    return [Finding("note", "takedown", message)]


def fill_past(work: Rebuilding, then: Registered, published: Published) -> list[Finding]:
    """Fill the past home with what the spec pins, and say what of it is not there as it was."""
    spec = work.spec
    versions = _versions(spec)
    with past_store.beside_present(work.past, work.present, f"reproduce {then.version}: pools") as con:
        pins = past_store.find_pins(con, versions, then.made_at)
        base = registry.frozen_base(con, spec.get("frozen_base"), schema=_PRESENT)
        fingerprints = sorted(set(spec["fingerprints"].values()))
        past_store.fill(
            con,
            Wanted(pins, published.licences, fingerprints, base.chain, base.members, base.taken_down),
        )
        licences = dict(con.execute("select source, licence from present.store.source").fetchall())
    findings = [*_algorithm(spec, published.manifest)]
    findings += [Finding("altered", "frozen_base", text) for text in base.faults]
    findings += _licences(spec, published, licences)
    with work.past.read("pools as they were") as con:
        findings += [*_pools(con, versions, pins), *_fingerprints(con, spec["fingerprints"])]
    return findings


def _versions(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    sets = (spec.get("exclusion_sets") or {}).get("sets", []) if spec.get("exclusion_sets") else []
    return [(source, version) for source, version in [*spec["sources"], *sets]]


def _algorithm(spec: Mapping[str, Any], manifest: Mapping[str, Any] | None) -> Iterator[Finding]:
    if spec["algorithm"] == ALGORITHM:
        return
    code = ((manifest or {}).get("code") or {}).get("deita_assets")
    by = f" (deita_assets {code})" if code else ""
    yield Finding(
        "gone",
        "algorithm",
        f"it was made by {spec['algorithm']}{by}; this version of deita_assets has {ALGORITHM}",
    )


def _licences(
    spec: Mapping[str, Any], published: Published, now: Mapping[str, str | None]
) -> Iterator[Finding]:
    filters = spec.get("filters") or {}
    if "licences" not in filters and "licence" not in (filters.get("where") or "").lower():
        return
    known = published.licences
    for source, _ in spec["sources"]:
        if source not in known:
            yield Finding(
                "gone", "licence",
                f"the licence that {source} had is not known; it counts under its present one, {now.get(source)}",
            )  # fmt: skip
        elif known[source] != now.get(source):
            yield Finding(
                "note", "licence",
                f"{source} had the licence {known[source]} and has {now.get(source)} now; it counts under the first",
            )  # fmt: skip


def _pools(
    con: duckdb.DuckDBPyConnection, versions: list[tuple[str, str]], pins: list[Pin]
) -> Iterator[Finding]:
    for source, version in sorted(set(versions) - {(pin.source, pin.pool_version) for pin in pins}):
        yield Finding("gone", "pool", f"{source} has no pool version {version} in its history")
    for source, count, one in past_store.lost_rows(con):
        yield Finding("gone", "text", f"{count:,} rows of {source} have no text any more, {one} among them")
    for pin in pins:
        digest, n_rows = past_store.pool_digest(con, pin.source)
        if digest != pin.pool_version:
            yield Finding(
                "altered", "pool",
                f"{pin.source} at pool version {pin.pool_version} (ingest {pin.seq}) had {pin.n_rows:,} rows; now "
                f"there are {n_rows:,} of the digest {digest}",
            )  # fmt: skip


def _fingerprints(con: duckdb.DuckDBPyConnection, pinned: Mapping[str, str]) -> Iterator[Finding]:
    rows = con.execute("select fingerprint, kind, name, spec from store.fingerprint").fetchall()
    known = {row[0]: row[1:] for row in rows}
    for role, digest in pinned.items():
        if digest not in known:
            yield Finding("gone", "fingerprint", f"nothing tells what {role} {digest} was")
            continue
        kind, name, spec = known[digest]
        found = short_digest({"kind": kind, "name": name, "spec": json.loads(spec)})
        if found != digest:
            yield Finding("altered", "fingerprint", f"what is told of {role} {digest} has the hash {found}")


def altered_rows(work: Rebuilding) -> list[Finding]:
    """Texts and turns that are not as they were read."""
    with work.past.read("texts as they were") as con:
        texts = past_store.altered_texts(con)
        turns = [turn for turn in past_store.odd_turns(con) if turn_altered(*turn[2:])]
        lost = past_store.lost_turns(con)
    findings = []
    if texts:
        sample_id, found, expected = texts[0]
        findings.append(
            Finding(
                "altered", "text",
                f"the text of {len(texts):,} rows is not the one that was read: {_some([row for row, *_ in texts])}; "
                f"that of {sample_id} has the sha256 {found[:12]}, not {expected[:12]}",
            )
        )  # fmt: skip
    if turns:
        rows = list(dict.fromkeys(turn[0] for turn in turns))
        findings.append(
            Finding(
                "altered", "turns", f"turns of {len(rows):,} rows are not those that were read: {_some(rows)}"
            )
        )
    findings += [
        Finding(
            "gone", "turns", f"{count:,} rows of {source} have not the turns that were read, {one} among them"
        )
        for source, count, one in lost
    ]
    return findings


def turn_altered(instruction: str, response: str, complexity: str, quality: str) -> bool:
    """Whether a turn's texts are not those that its prompts' hashes are of."""
    texts = (("complexity", complexity), ("quality", quality))
    return any(prompt_sha256(measure, instruction, response) != prompt for measure, prompt in texts)


def lost_tables(work: Rebuilding) -> list[Finding]:
    """LanceDB tables that are gone altogether; opening one would make it, or say less."""
    embedder = work.spec["fingerprints"]["embedder"]
    wanted = (("scores", "scores", "every score"), (f"embeddings_{embedder[:8]}", "vectors", "every vector"))
    return [
        Finding("gone", what, f"LanceDB has no table {table}: {shown} is gone")
        for table, what, shown in wanted
        if not (work.past.home.lance / f"{table}.lance").is_dir()
    ]


def lost_scores(work: Rebuilding) -> list[Finding]:
    """Prompts of the pinned pools that have no result of the pinned scorers any more."""
    with work.past.read("scores as they were") as con:
        rows = past_store.lost_scores(con, work.scope.sources)
        names = dict(con.execute("select fingerprint, name from store.fingerprint").fetchall())
    pinned = work.spec["fingerprints"]
    return [
        Finding(
            "gone", "scores",
            f"{lost:,} of {wanted:,} {measure} scores of {source} by {pinned[measure]} "
            f"({names.get(pinned[measure], 'unknown')}) are gone",
        )
        for source, measure, lost, wanted in rows
    ]  # fmt: skip


def lost_vectors(
    work: Rebuilding, then: Registered, published: Published, rebuilt: Selection
) -> list[Finding]:
    """Vectors that were there when the version was made.

    Rows that never had one are `invalid` in its ledger; when the rows of that were let go, its manifest has
    their number.
    """
    with work.past.read("vectors as they were") as con:
        now = past_store.without_vector(con, rebuilt.ledger.ledger_id)
    if not now:
        return []
    with work.present.read(f"reproduce {then.version}: vectors") as con:
        known = con.execute(
            "select count(*) from store.ledger_row where ledger_id = ?", [then.ledger_id]
        ).fetchall()[0][0]
        never = set(past_store.without_vector(con, then.ledger_id))
    embedder = work.spec["fingerprints"]["embedder"]
    lost = [row for row in now if row not in never] if known else now
    n_never = 0 if known else int(((published.manifest or {}).get("verdicts") or {}).get("invalid", 0))
    if len(lost) <= n_never:
        return []
    among = "" if not n_never else f" {n_never:,} rows of them never had one."
    message = f"{len(lost) - n_never:,} vectors of embedder {embedder} are gone; rows without: {_some(lost)}.{among}"
    return [Finding("gone", "vectors", message)]


def moved_scores(work: Rebuilding, then: Registered, rebuilt: Selection) -> list[Finding]:
    """Rows that had another evol_score when the version was made: their stored scores were altered.

    By the rows of its ledger, or by its members when those were let go.
    """
    with work.present.read(f"reproduce {then.version}: scores") as con:
        scores = past_store.scores_of(con, then.ledger_id)
    if not scores.num_rows:
        scores = pa.table(
            {
                "sample_id": pa.array([one.sample_id for one in then.members], pa.string()),
                "rank": pa.array([one.rank for one in then.members], pa.int64()),
                "evol_score": pa.array([one.evol_score for one in then.members], pa.float64()),
            }
        )
    with work.past.read("scores as they were") as con:
        moved = past_store.moved_scores(con, rebuilt.ledger.ledger_id, scores)
    if not moved:
        return []
    sample_id, was, now = moved[0]
    scorers = ", ".join(f"{role} {work.spec['fingerprints'][role]}" for role in ("complexity", "quality"))
    return [
        Finding(
            "altered", "scores",
            f"stored scores of {len(moved):,} rows are not those of the version ({scorers}): {sample_id} had "
            f"evol_score {was!r} and has {now!r}",
        )
    ]  # fmt: skip


def _some(rows: list[str]) -> str:
    return ", ".join(rows[:3]) + (f" and {len(rows) - 3:,} more" if len(rows) > 3 else "")
