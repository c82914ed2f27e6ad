"""Columns of every table asset: type, meaning, constraints, and the columns upstream that each is made from.

Dagster reads them twice. The schema stands in each asset's definition; its columns bear the columns that they are made
from as tags, because the open-source UI draws no column lineage. `dagster/column_lineage`, for GraphQL and catalogs,
goes with every materialisation (`defs.steps.asset_step`).

What belongs here: what the tables look like and where their columns come from. What does not: making them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from deita_assets.core.verdicts import VERDICTS

SCHEMA, LINEAGE = "dagster/column_schema", "dagster/column_lineage"


@dataclass(frozen=True)
class Column:
    """One column of a table asset.

    Attributes:
        name: as in SQL, Lance or Parquet.
        type: as DuckDB writes it in small letters, or Arrow.
        description: what it holds, with its unit.
        reads: columns that it is made from, as `asset.column`; none when it is made by the asset itself.
        null: whether it may be NULL.
        unique: whether no value comes twice.
    """

    name: str
    type: str
    description: str
    reads: tuple[str, ...] = ()
    null: bool = False
    unique: bool = False


def _column(
    name: str, type_: str, description: str, reads: str = "", *, null: bool = False, unique: bool = False
) -> Column:
    """A column; `reads` names columns upstream with blanks between them."""
    return Column(name, type_, description, tuple(reads.split()), null, unique)


_RAW_POOL = (
    _column("sample_id", "varchar", "source and first 32 digits of the content's sha256; the row's identity",
            unique=True),
    _column("source", "varchar", "folder of landing it came from"),
    _column("own_id", "varchar", "the row's own id, a label", null=True),
    _column("n_turns", "integer", "(user, assistant) pairs"),
    _column("n_messages", "integer", "messages of any role"),
    _column("n_chars", "bigint", "characters over all messages"),
    _column("language", "varchar", "the row's own label, if any", null=True),
    _column("licence", "varchar", "licence of its source, if known", null=True),
    _column("has_system", "boolean", "whether a system message is among them"),
    _column("has_tools", "boolean", "whether it has tool schemas, calls or results"),
    _column("conversations", "varchar", "canonical JSON: messages and tools, keys sorted"),
    _column("file", "varchar", "path of its first occurrence, below the folder of its source in landing"),
    _column("line", "bigint", "1-based line or row in that file"),
    _column("batch_id", "varchar", "ingest that brought it"),
    _column("pool_version", "varchar", "digest of the content hashes of its source's pool"),
)  # fmt: skip


def _scores(upstream_note: str) -> tuple[Column, ...]:
    read = "raw_pool.conversations"
    return (
        _column("score_key", "string", "sha256 of measure, prompt and scorer; the key", read, unique=True),
        _column("prompt_sha256", "string", upstream_note, read),
        _column("measure", "string", "complexity or quality"),
        _column("scorer_fp", "string", "fingerprint of the scorer"),
        _column("score", "double", "expectation over the classes 1..6; NULL unless status is ok, truncated or "
                "fallback", read, null=True),
        _column("status", "string", "ok, truncated, fallback, too_long, empty_response or non_finite", read),
        _column("checksum", "int64", "of all else in the row; NULL in rows from before there were checksums", read,
                null=True),
    )  # fmt: skip


_EMBEDDINGS = (
    _column("content_sha256", "string", "sha256 of the canonical conversation, or of a turn's text; the key",
            "raw_pool.conversations", unique=True),
    _column("vector", "fixed_size_list<halffloat>", "unit length; as many numbers as the embedder gives",
            "raw_pool.conversations"),
    _column("checksum", "int64", "of all else in the row; NULL in rows from before there were checksums",
            "raw_pool.conversations", null=True),
)  # fmt: skip
_SCORED_POOL = (
    _column("sample_id", "varchar", "row of the pool", "raw_pool.sample_id", unique=True),
    _column("source", "varchar", "its source", "raw_pool.source"),
    _column("n_turns", "integer", "turns aggregated", "raw_pool.n_turns"),
    _column("complexity", "double", "mean over turns, in [1, 6]; for reading", "complexity_scores.score", null=True),
    _column("quality", "double", "mean over turns, in [1, 6]; for reading", "quality_scores.score", null=True),
    _column("evol_score", "double", "aggregate over turns of complexity x quality; NULL when a turn has no score",
            "complexity_scores.score quality_scores.score", null=True),
    _column("scorer_complexity", "varchar", "fingerprint of the complexity scorer", "complexity_scores.scorer_fp"),
    _column("scorer_quality", "varchar", "fingerprint of the quality scorer", "quality_scores.scorer_fp"),
    _column("embedder", "varchar", "fingerprint of the embedder that last covered its source; looked up on reading",
            null=True),
)  # fmt: skip


def _ledger() -> tuple[Column, ...]:
    order, compared = (
        "scored_pool.evol_score raw_pool.conversations",
        "scored_pool.evol_score embeddings.vector",
    )
    return (
        _column("scope_kind", "varchar", "source or mixture"),
        _column("scope", "varchar", "name of the source or mixture"),
        _column("ledger_id", "varchar", "digest of what decided this pass: pools, fingerprints, selector, threshold",
                "raw_pool.pool_version scored_pool.scorer_complexity scored_pool.scorer_quality"),
        _column("sample_id", "varchar", "row of the pool; once in each ledger", "scored_pool.sample_id"),
        _column("rank", "bigint", "1-based place in visiting order: by score, then content hash; shuffled for "
                "`random`", order, null=True),
        _column("verdict", "varchar", ", ".join(VERDICTS), compared),
        _column("reason", "varchar", "why a row is excluded, contaminated, unscored or invalid; or frozen_base",
                "raw_pool.conversations raw_pool.licence scored_pool.evol_score embeddings.vector", null=True),
        _column("evol_score", "double", "what the order is by; NULL for unscored rows", "scored_pool.evol_score",
                null=True),
        _column("kept_position", "bigint", "1-based place among the kept rows", compared, null=True),
        _column("blocked_by", "varchar", "nearest row kept before this one, or the row it repeats or resembles",
                "scored_pool.sample_id " + compared, null=True),
        _column("similarity", "double", "cosine similarity to that row, in [-1, 1]", "embeddings.vector", null=True),
        _column("threshold", "double", "cosine similarity above which a row is dropped; NULL for selectors that "
                "compare nothing", null=True),
        _column("source", "varchar", "source of the row", "scored_pool.source", null=True),
    )  # fmt: skip


def _subset(ledger: str) -> tuple[Column, ...]:
    return (
        _column("messages", "list<struct>", "chat messages: role, content, name, tool_calls, tool_call_id",
                "raw_pool.conversations"),
        _column("tools", "string", "tool schemas as JSON text", "raw_pool.conversations", null=True),
        _column("sample_id", "string", "row of the pool", f"{ledger}.sample_id", unique=True),
        _column("source", "string", "its source", "raw_pool.source"),
        _column("position", "int64", "1-based place in the selection", f"{ledger}.kept_position", unique=True),
        _column("rank", "int64", "1-based place in score order", f"{ledger}.rank", unique=True),
        _column("evol_score", "double", "what the order is by", f"{ledger}.evol_score"),
        _column("complexity", "double", "mean over turns, in [1, 6] under the scorers of its spec",
                "scored_pool.complexity", null=True),
        _column("quality", "double", "mean over turns, in [1, 6] under the scorers of its spec",
                "scored_pool.quality", null=True),
        _column("n_turns", "int32", "(user, assistant) pairs", "raw_pool.n_turns"),
    )  # fmt: skip


_CALIBRATION = (
    _column("threshold", "double", "cosine similarity above which a row is dropped", unique=True),
    _column("kept", "bigint", "rows kept of those visited", "scored_pool.evol_score embeddings.vector"),
    _column("dropped_share", "double", "share of the visited rows that is dropped, in [0, 1]",
            "scored_pool.evol_score embeddings.vector"),
)  # fmt: skip

#: Table asset -> its columns. `serving_catalog` is read from the catalog itself (`catalog_columns`).
TABLES: Mapping[str, tuple[Column, ...]] = {
    "raw_pool": _RAW_POOL,
    "complexity_scores": _scores("sha256 of the instruction that the scorer read"),
    "quality_scores": _scores("sha256 of the instruction and response that the scorer read"),
    "embeddings": _EMBEDDINGS,
    "scored_pool": _SCORED_POOL,
    "selection_ledger": _ledger(),
    "pooled_ledger": _ledger(),
    "selected_subset": _subset("selection_ledger"),
    "pooled_subset": _subset("pooled_ledger"),
    "threshold_calibration": _CALIBRATION,
    "pooled_calibration": _CALIBRATION,
}
#: What holds of whole tables.
_CONSTRAINTS = {
    "selection_ledger": "unique (ledger_id, sample_id)",
    "pooled_ledger": "unique (ledger_id, sample_id)",
}
#: View of the catalog -> assets whose columns of the same name it shows.
_BEHIND = {
    "pool": ("raw_pool",),
    "turns": ("raw_pool",),
    "scores": ("scored_pool",),
    "scored_pool": ("scored_pool",),
    "ledger": ("selection_ledger", "pooled_ledger"),
    "selections": ("selection_ledger", "pooled_ledger"),
    "selected": ("selected_subset", "pooled_subset"),
    "lineage": ("selected_subset", "pooled_subset", "raw_pool"),
}
#: Columns of views whose origin has another name.
_CONVERSATION = ("raw_pool.conversations",)
_RENAMED = {
    **{("turns", name): _CONVERSATION for name in
       ("turn", "system", "instruction", "response", "n_chars_instruction", "n_chars_response")},
    ("scores", "turn"): _CONVERSATION,
    **{("scores", name): (f"complexity_scores.{column}", f"quality_scores.{column}") for name, column in
       (("measure", "measure"), ("scorer", "scorer_fp"), ("score", "score"), ("status", "status"))},
    ("selected", "conversations"): ("selected_subset.messages", "selected_subset.tools", "pooled_subset.messages",
                                    "pooled_subset.tools"),
}  # fmt: skip


def definition_metadata(asset: str, table_name: str | None = None) -> dict[str, object]:
    """Metadata of a table asset's definition: its schema, and the name of its table."""
    constraint = _CONSTRAINTS.get(asset)
    named = {} if table_name is None else {"dagster/table_name": table_name}
    return {SCHEMA: schema(TABLES[asset], [constraint] if constraint else []), **named}


def materialisation_metadata(asset: str) -> dict[str, object]:
    """Metadata of a materialisation: the lineage of its columns; none for assets that are no table."""
    return {LINEAGE: lineage(TABLES[asset])} if asset in TABLES else {}


def schema(columns: Iterable[Column], constraints: Sequence[str] = ()) -> dg.TableSchema:
    """Columns as Dagster shows them; those upstream that a column is made from are its tags."""
    shown = [
        dg.TableColumn(
            column.name,
            column.type,
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=column.null, unique=column.unique),
            tags=dict.fromkeys(column.reads, ""),
        )
        for column in columns
    ]
    return dg.TableSchema(shown, dg.TableConstraints(list(constraints)))


def lineage(columns: Iterable[Column]) -> dg.TableColumnLineage:
    """Column -> columns upstream; columns that the asset makes itself have none."""
    return dg.TableColumnLineage({column.name: [_dep(read) for read in column.reads] for column in columns})


def catalog_columns(described: Iterable[tuple[str, str, str, str | None]]) -> tuple[Column, ...]:
    """Columns of the published catalog, named `view.column`, with what they come from.

    A column that an asset has too is described as there, unless the catalog has its own words for it.

    Args:
        described: (view, column, type, comment) of each.
    """
    return tuple(_catalog_column(*one) for one in described)


def _catalog_column(view: str, name: str, type_: str, comment: str | None) -> Column:
    behind = [
        (asset, column) for asset in _BEHIND.get(view, ()) for column in TABLES[asset] if column.name == name
    ]
    reads = _RENAMED.get((view, name)) or tuple(f"{asset}.{name}" for asset, _ in behind)
    told = next((column.description for _, column in behind), "")
    null = not behind or any(column.null for _, column in behind)
    return Column(f"{view}.{name}", type_.lower(), comment or told, reads, null)


def _dep(read: str) -> dg.TableColumnDep:
    asset, _, column = read.partition(".")
    return dg.TableColumnDep(dg.AssetKey(asset), column)
