"""Row filters over a scope: which of its pool rows may not be selected, and why.

The cheapest rule that a row breaks gives the reason: counts and licence, then what its texts say, then the condition
in SQL, then its language. Texts are read, and languages recognised, only of rows that nothing cheaper excludes.

What belongs here: the order of the rules, and which rows each has to read. What does not: the rules (core.row_filters).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import pyarrow as pa

from deita_assets.core.conversation import Conversation
from deita_assets.core.language_names import language_code
from deita_assets.core.row_filters import FilterRules, RowFacts, excluded_digest
from deita_assets.engines.languages import LanguageDetector, recognise_languages
from deita_assets.engines.progress import Progress
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.row_condition import rows_where_not
from deita_assets.stores.row_facts import conversation_batches, row_facts
from deita_assets.stores.warehouse import Warehouse

__all__ = ["excluded_digest", "excluded_rows"]

_FACTS = ("sample_id", "content_sha256", "n_chars", "n_turns", "language", "licence")


def excluded_rows(
    warehouse: Warehouse,
    scope: Scope,
    filters: FilterRules,
    where: str | None,
    *,
    detector: LanguageDetector | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, str]:
    """sample_id -> reason of every pool row of a scope that a filter excludes.

    Args:
        warehouse: no connection is open while rows are looked at.
        scope: whose sources are filtered.
        filters: rules about single rows.
        where: condition in SQL that must hold, over the columns of `pool` and `scored_pool`.
        detector: recognises languages; lingua by default.
        on_progress: told how far the recognition of languages is.

    Raises:
        UsageError: DuckDB cannot evaluate the condition, or its outcome is not of the rows alone.
        SettingsError: languages have to be recognised and the extra `language` is not installed.
    """
    if not filters.as_spec() and where is None:
        return {}
    with warehouse.read(f"filters of {scope.name}: facts") as con:
        rows = row_facts(con, scope.sources)
    excluded = dict(_by_counts(filters, rows))
    if filters.reads_texts:
        excluded |= _by_texts(warehouse, filters, _without(rows, excluded))
    if where is not None:
        failing = rows_where_not(warehouse, scope.sources, where)
        left = _without(rows, excluded)["sample_id"].to_pylist()
        excluded |= {sample_id: f"where: {where}" for sample_id in left if sample_id in failing}
    if filters.languages is not None:
        excluded |= _by_language(warehouse, filters, _without(rows, excluded), detector, on_progress)
    return excluded


def _by_counts(filters: FilterRules, rows: pa.Table) -> Iterator[tuple[str, str]]:
    for facts in _facts(rows):
        if reason := filters.refuses_counts(facts):
            yield facts.sample_id, reason


def _by_texts(warehouse: Warehouse, filters: FilterRules, rows: pa.Table) -> dict[str, str]:
    excluded = {}
    for batch in conversation_batches(warehouse, rows):
        for sample_id, text in batch:
            if reason := filters.refuses_texts(Conversation.from_canonical(text)):
                excluded[sample_id] = reason
    return excluded


def _by_language(
    warehouse: Warehouse,
    filters: FilterRules,
    rows: pa.Table,
    detector: LanguageDetector | None,
    on_progress: Callable[[Progress], None] | None,
) -> dict[str, str]:
    labels = [language_code(label) for label in rows["language"].to_pylist()]
    unlabelled = rows.filter(pa.array([label is None for label in labels], pa.bool_()))
    recognised = recognise_languages(warehouse, unlabelled, detector, on_progress)
    excluded = {}
    contents, sample_ids = rows["content_sha256"].to_pylist(), rows["sample_id"].to_pylist()
    for sample_id, content, label in zip(sample_ids, contents, labels, strict=True):
        if reason := filters.refuses_language(label or recognised[content]):
            excluded[sample_id] = reason
    return excluded


def _facts(rows: pa.Table) -> Iterator[RowFacts]:
    for batch in rows.select(_FACTS).to_batches(max_chunksize=10_000):
        columns = [column.to_pylist() for column in batch.columns]
        yield from (RowFacts(*values) for values in zip(*columns, strict=True))


def _without(rows: pa.Table, excluded: Collection[str]) -> pa.Table:
    """The rows that nothing excludes yet, in their order."""
    if not excluded:
        return rows
    return rows.filter(pa.array([one not in excluded for one in rows["sample_id"].to_pylist()], pa.bool_()))
