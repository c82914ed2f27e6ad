"""Rules about a source's pool: each row once, every row that was read accounted for, a licence.

What belongs here: the rules of `raw_pool`. What does not: ingest, which checks its own account before it commits.
"""

from __future__ import annotations

from dataclasses import dataclass

from deita_assets.core.checks.finding import Finding, few, rows


@dataclass(frozen=True)
class PoolKeys:
    """Rows of a pool and how many keys they have.

    Attributes:
        n_rows: rows in the pool.
        n_ids: distinct sample ids among them.
        n_contents: distinct contents of these rows.
        n_conversations: stored conversations of these ids; one each where all is well.
        doubled: ids that stand for more than one row, or share their content with another id.
    """

    n_rows: int
    n_ids: int
    n_contents: int
    n_conversations: int
    doubled: tuple[str, ...] = ()


@dataclass(frozen=True)
class PoolAccount:
    """Where the rows of a source's files went, each counted in its own table.

    Attributes:
        n_read: rows that the readers saw in the files of the pool.
        n_occurrences: places where a readable row stands.
        n_distinct: different rows among them.
        n_quarantined: rows that could not be read.
        n_taken: different rows among them that were taken down.
        n_pool: rows in the pool.
        n_recorded: rows that the record of the pool version tells.
        lost: readable rows that are neither in the pool nor taken down.
        invented: rows in the pool that stand in no file of it.
    """

    n_read: int
    n_occurrences: int
    n_distinct: int
    n_quarantined: int
    n_taken: int
    n_pool: int
    n_recorded: int
    lost: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()


def _read_again(source: str) -> str:
    """Scores and vectors are kept by content, so that reading files again costs little."""
    return (
        f"Run `deita-assets withdraw {source}` and then the `deita-assets add` that it prints: the files are read "
        "again, and what was scored stays."
    )


def unique_keys(source: str, found: PoolKeys) -> Finding:
    """Every row of a pool has an id and a content of its own, and one stored conversation."""
    passed = found.n_rows == found.n_ids == found.n_contents == found.n_conversations
    told = (
        f"{source}: {rows(found.n_rows)} in the pool with {rows(found.n_ids, 'id')}, "
        f"{rows(found.n_contents, 'content')} and {rows(found.n_conversations, 'stored conversation')}"
    )
    return Finding(
        "unique_keys", passed,
        f"{told}." if passed else f"{told}; each has to stand there once.",
        "" if passed else _read_again(source),
        grave=True,
        numbers={
            "rows": found.n_rows, "ids": found.n_ids, "contents": found.n_contents,
            "conversations": found.n_conversations,
        },
        examples=few(found.doubled),
    )  # fmt: skip


def row_accounting(source: str, found: PoolAccount) -> Finding:
    """Rows read = in the pool + exact duplicates + quarantined + taken down, and as many as were recorded."""
    duplicates = found.n_occurrences - found.n_distinct
    told = (
        f"{source}: {found.n_read:,} rows read; {found.n_pool:,} in the pool + {duplicates:,} exact duplicates + "
        f"{found.n_quarantined:,} quarantined + {found.n_taken:,} taken down"
    )
    off = found.n_read - (found.n_pool + duplicates + found.n_quarantined + found.n_taken)
    wrong = [
        f"{rows(abs(off))} {'lost' if off > 0 else 'too many'}" if off else "",
        f"{rows(len(found.lost))} or more of the files not in the pool" if found.lost else "",
        f"{rows(len(found.invented))} or more in the pool in no file" if found.invented else "",
        f"the pool version was recorded with {rows(found.n_recorded)}"
        if found.n_recorded != found.n_pool
        else "",
    ]
    said = "; ".join(part for part in wrong if part)
    share = found.n_quarantined / found.n_read if found.n_read else 0.0
    return Finding(
        "row_accounting", not said,
        f"{told}: {said}." if said else f"{told}.",
        _read_again(source) if said else "",
        grave=True,
        numbers={
            "rows_read": found.n_read, "in_pool": found.n_pool, "exact_duplicates": duplicates,
            "quarantined": found.n_quarantined, "taken_down": found.n_taken, "unaccounted": off,
            "quarantine_share": round(share, 6),
        },
        examples=few((*found.lost, *found.invented)),
    )  # fmt: skip


def licence_present(scope: str, unknown: list[str], n_sources: int) -> Finding:
    """Every source that rows come from has a licence.

    Args:
        scope: what is checked, in words.
        unknown: sources without one.
        n_sources: sources in all.
    """
    passed = not unknown
    return Finding(
        "licence_present", passed,
        f"{scope}: the licence of {'every source' if n_sources != 1 else 'its source'} is known."
        if passed else f"{scope}: licence unknown: {', '.join(sorted(unknown))}.",
        "" if passed else
        f'Say it once in deita.toml, as in [sources.{min(unknown)}] licence = "CC-BY-4.0", and run '
        "`deita-assets curate` again.",
        numbers={"sources": n_sources, "without_licence": len(unknown)},
    )  # fmt: skip
