"""What each asset's page says of it: what it is, what it reads, and what to do next. Markdown, for the UI.

The first sentence stands alone in lists and in the graph. Links begin at the root of the web server.

What belongs here: these words. What does not: what a materialisation shows (metadata).
"""

from __future__ import annotations

from collections.abc import Mapping


def _asset(name: str) -> str:
    """A link to the page of an asset."""
    return f"[{name}](/assets/{name})"


def _page(what: str, shows: str, reads: str, after: str) -> str:
    return f"{what}\n\n{shows}\n\n**Reads** {reads}\n\n**Next** {after}"


def _scores(what: str, measure: str) -> str:
    return _page(
        what,
        "One result for each distinct prompt and scorer, kept for good: a later run computes only what is new.",
        f"{_asset('raw_pool')} of the same source, and the model that `[scorer]` in `deita.toml` names.",
        f"{_asset('scored_pool')} shows how {measure} is spread over the source.",
    )


def _ledger(what: str, rows: str, asset: str, subset: str, calibration: str) -> str:
    return _page(
        what,
        "`budget_curve` shows how far each budget reaches, `threshold_curve` what other thresholds would keep, "
        "`near_duplicates` and `near_misses` the pairs on either side of the threshold.",
        f"{_asset('scored_pool')} and {_asset('embeddings')} of {rows}.",
        f"{_asset(subset)} cuts it at a budget. {_asset(calibration)} helps to choose a threshold. To try other "
        f"settings without changing anything, open the launchpad of {asset} and set one of the fields that begin "
        'with "Trial". `deita-assets explain ID` tells the story of one row.',
    )


def _subset(what: str, ledger: str) -> str:
    return _page(
        what,
        "JSONL, Parquet, dataset card and manifest in an immutable folder under a version of its own. `source_mix` "
        "compares it with its pool, `budget_curve` and `next_budget` show what a larger budget would add, `changes` "
        "what became different since the version before.",
        f"{_asset(ledger)} of its scope.",
        "train on `train_jsonl`, or copy the version elsewhere with `deita-assets export VERSION`. "
        "`deita-assets diff A B` compares two versions row by row; `deita-assets reproduce VERSION` makes one again.",
    )


def _calibration(what: str, ledger: str) -> str:
    return _page(
        what,
        "On demand: nothing depends on it, and no sensor runs it. `plot` shows what each threshold keeps, "
        "the pairs below it what the rows on either side of the present one are like.",
        f"{_asset('scored_pool')} and {_asset('embeddings')}, as {_asset(ledger)} does.",
        "write the `threshold` that you choose into `deita.toml`, for this scope or for all; its ledger and subsets "
        "follow by themselves.",
    )


_TRAINING = "No curation run depends on it."

DESCRIPTIONS: Mapping[str, str] = {
    "raw_pool": _page(
        "The conversations of one source, read from its landing folder, each content once.",
        "Rows read = in the pool + exact duplicates + quarantined + taken down. What could not be read stands in "
        "`quarantine`, by reason, with examples by file and line.",
        "the files in `landing/SOURCE/`; `landing` has the path. New, changed and removed files are noticed by "
        "the landing sensor.",
        f"{_asset('complexity_scores')}, {_asset('quality_scores')} and {_asset('embeddings')} are made from it. "
        "`deita-assets quarantine` lists the rows that need repair.",
    ),
    "complexity_scores": _scores(
        "How demanding the instruction of each turn of a source is, from 1 to 6.", "complexity"
    ),
    "quality_scores": _scores("How good the response of each turn of a source is, from 1 to 6.", "quality"),
    "embeddings": _page(
        "A unit vector for every conversation of a source, by which near-duplicates are found.",
        "Stored once for each content and embedder, in the table that `dagster/table_name` names: a later run "
        "computes only what is new.",
        f"{_asset('raw_pool')} of the same source, and the model that `[embedder]` in `deita.toml` names.",
        f"{_asset('selection_ledger')} and {_asset('pooled_ledger')} compare the rows.",
    ),
    "scored_pool": _page(
        "Every conversation of a source with its evol_score: complexity times quality, added up over its turns.",
        "The pictures show how the scores are spread, with the median marked. Rows that lack a score are counted by "
        "reason under `unscored_reasons`; no ledger selects them.",
        f"{_asset('raw_pool')}, {_asset('complexity_scores')} and {_asset('quality_scores')} of the same source.",
        f"{_asset('selection_ledger')} selects from this source alone, {_asset('pooled_ledger')} from several.",
    ),
    "selection_ledger": _ledger(
        "A verdict for every row of one source: kept, or dropped and why, in one pass that serves all budgets.",
        "the same source", "selection_ledger", "selected_subset", "threshold_calibration",
    ),
    "pooled_ledger": _ledger(
        "A verdict for every row of a mixture of sources, which is DEITA as in the paper: duplicates are found across "
        "sources.",
        "its sources", "pooled_ledger", "pooled_subset", "pooled_calibration",
    ),
    "selected_subset": _subset("The best rows of one source at one budget, as files to train on.", "selection_ledger"),
    "pooled_subset": _subset(
        "The best rows of a mixture at one budget, as files to train on: the DEITA selection proper.", "pooled_ledger"
    ),
    "threshold_calibration": _calibration(
        "What other similarity thresholds would keep of one source, and which one its pairs speak for.",
        "selection_ledger",
    ),
    "pooled_calibration": _calibration(
        "What other similarity thresholds would keep of a mixture, and which one its pairs speak for.",
        "pooled_ledger",
    ),
    "serving_catalog": _page(
        "The published copy that people and tools query: open it with any DuckDB client, also while runs write.",
        "Views for rows, scores, ledgers and selections; `views` counts their rows.",
        f"what the runs before it wrote, {_asset('selected_subset')} and {_asset('pooled_subset')} last.",
        '`deita-assets sql "from selections"`, or `duckdb -readonly` with the file that `path` names.',
    ),
    "store_upkeep": _page(
        "Small fragments of the score and embedding tables merged, old editions dropped, leftovers removed.",
        "By hand, or on a schedule of your own, once a week at most; `deita-assets compact` does the same.",
        "the stores of this home.",
        "nothing: no asset depends on it.",
    ),
    "graded_set": _page(
        "Texts graded 1 to 6 on one absolute scale, from which the default scorers learn.",
        _TRAINING,
        "the set that comes with the project, or one of the same schema that `[training]` in `deita.toml` names.",
        f"{_asset('graded_features')}.",
    ),
    "graded_features": _page(
        "What a scorer's head sees of every graded text and, for quality, of spoilt copies of the good answers.",
        _TRAINING,
        f"{_asset('graded_set')} of the same measure.",
        f"{_asset('distilled_scorer')}.",
    ),
    "distilled_scorer": _page(
        "A head trained on the graded set, its options chosen on folds of the set's seeds.",
        _TRAINING,
        f"{_asset('graded_set')} and {_asset('graded_features')} of the same measure.",
        f"{_asset('scorer_evaluation')} judges it; `[scorer] heads` in `deita.toml` puts it to use.",
    ),
    "scorer_evaluation": _page(
        "The head on texts that it never saw, beside the choices `longest` and `random`.",
        _TRAINING,
        f"{_asset('graded_set')}, {_asset('graded_features')} and {_asset('distilled_scorer')} of the same measure, "
        "and the labels that `[training]` in `deita.toml` names.",
        "read `figures` and the model card; use the head where it is better than the one in use.",
    ),
}  # fmt: skip
