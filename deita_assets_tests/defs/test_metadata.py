"""What pages show: numbers that are true, foreign text that stays text, no words of rows where they may not be."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster._serdes import serialize_value

from deita_assets.definitions import ASSETS
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.metadata import escape, numbers, plain, score_histogram, table, text_table
from deita_assets.partitions import subset_key
from deita_assets_tests.cli.commands import chat
from deita_assets_tests.defs.small_home import SmallHome, key, small_home
from deita_assets_tests.engines.fakes import hash_score

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "![pixel](https://evil.invalid/p.png) [link](javascript:alert(1))",
    "a | b |\n|---|---|\n# heading\n- item",
    "`code` **bold** _it_ ~~gone~~ \\| &amp;",
    "see https://evil.invalid/x and WWW.evil.invalid or me@evil.invalid",
    "\x1b[31mred\x07\x00",
    "\u202eright to left\u2066 and \u200bnothing",
    "שלום عالم",
    "x" * 100_000,
]
#: A word of every row, and of nothing else.
WORD = "zanzibar"
BUDGETS = (2, 4, 30)


def rows(source: str) -> list[object]:
    """Rows with hostile words, each with a twin whose vector is the same."""
    made: list[object] = []
    for at, hostile in enumerate(HOSTILE):
        ask = f"{WORD} {source} {at} {hostile}"
        made += [chat(ask, f"{WORD} says {hostile}"), chat(ask, f"{WORD} says again {hostile}")]
    return [*made, chat(f"{WORD} {source} again", "short"), "not a conversation"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHome]:
    with small_home(tmp_path_factory.mktemp("metadata")) as made:
        made.platform.home.settings.write_text(f"budgets = {list(BUDGETS)}\n", encoding="utf-8")
        for source in ("tea", "oak"):
            made.drop(source, rows(source), "a|b [x](y).jsonl")
        made.instance.add_dynamic_partitions("budget", [str(budget) for budget in BUDGETS])
        made.curate("source", "tea", BUDGETS[0], ["tea"])
        made.curate("mixture", "all", BUDGETS[0], ["tea", "oak"])
        for budget in BUDGETS[1:]:
            assert made.materialise("selected_subset", subset_key("source", "tea", budget)).success
            assert made.materialise("pooled_subset", subset_key("mixture", "all", budget)).success
        for asset, scope in (("threshold_calibration", "tea"), ("pooled_calibration", "all")):
            assert made.materialise(asset, scope).success
        yield made


def shown(home: SmallHome, asset: str, partition: str | None) -> dict[str, dg.MetadataValue[Any]]:
    return dict(home.latest(asset, partition).metadata)


def said(value: dg.MetadataValue[Any]) -> str:
    """Everything that a value holds, as text."""
    if isinstance(value, dg.TableMetadataValue):
        return json.dumps([record.data for record in value.records], ensure_ascii=False)
    return str(value.value)


def pages(home: SmallHome) -> Iterator[tuple[str, str | None]]:
    """Every (asset, partition) that was materialised."""
    for asset in ASSETS:
        name = asset.key.to_user_string()
        if asset.partitions_def is None:
            keys: list[str | None] = [None]
        else:
            keys = list(home.instance.get_materialized_partitions(asset.key))
        for partition in keys:
            if home.run_ids(name, partition):
                yield name, partition


def query(home: SmallHome, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with home.platform.warehouse.read("test") as con:
        return con.execute(sql, list(values)).fetchall()


def test_every_page_begins_with_what_people_want_and_ends_with_what_they_do_not(home: SmallHome) -> None:
    seen = dict(pages(home))
    assert {
        "raw_pool",
        "complexity_scores",
        "embeddings",
        "scored_pool",
        "pooled_ledger",
        "pooled_subset",
    } <= set(seen)
    for asset, partition in pages(home):
        keys = list(shown(home, asset, partition))
        if asset != "serving_catalog":
            assert (keys[0], keys[-1]) == ("dagster/partition_row_count", "deita/inputs"), asset


def test_pictures_and_tables_are_shown_in_place(home: SmallHome) -> None:
    hidden = [
        (asset, name, len(value.value))
        for asset, partition in pages(home)
        for name, value in shown(home, asset, partition).items()
        if isinstance(value, dg.MarkdownMetadataValue) and len(str(value.value)) >= 1000
    ]
    assert hidden == []
    pictures = {
        (asset, name)
        for asset, partition in pages(home)
        for name, value in shown(home, asset, partition).items()
        if "data:image/svg+xml," in said(value)
    }
    ledgers = {(asset, name) for asset in ("selection_ledger", "pooled_ledger") for name in
               ("budget_curve", "threshold_curve")}  # fmt: skip
    subsets = {(asset, name) for asset in ("selected_subset", "pooled_subset") for name in
               ("budget_curve", "score_plot")}  # fmt: skip
    scores = {("scored_pool", name) for name in ("evol_score", "complexity", "quality")}
    calibrations = {("threshold_calibration", "plot"), ("pooled_calibration", "plot")}
    assert pictures == ledgers | subsets | scores | calibrations


def test_scores_are_told_as_they_are(home: SmallHome) -> None:
    told = shown(home, "scored_pool", "tea")
    asked = query(home, "select instruction, response from store.turn where sample_id like 'tea:%'")
    complexity = [hash_score("complexity", ask, answer) for ask, answer in asked]
    quality = [hash_score("quality", ask, answer) for ask, answer in asked]
    evol = [c * q for c, q in zip(complexity, quality, strict=True)]
    assert told["mean_complexity"].value == pytest.approx(statistics.fmean(complexity), abs=1e-4)
    assert told["mean_quality"].value == pytest.approx(statistics.fmean(quality), abs=1e-4)
    assert told["mean_evol_score"].value == pytest.approx(statistics.fmean(evol), abs=1e-4)
    middle = f"median {statistics.median(evol):.2f}, mean {statistics.fmean(evol):.2f}"
    text = f"{min(evol):.2f} to {max(evol):.2f}, {middle}"
    assert text in said(told["evol_score"])


def ledger_rows(home: SmallHome, ledger_id: str) -> list[tuple[Any, ...]]:
    """(rank, evol_score, verdict, kept_position, sample_id, similarity, blocked_by) in order of rank."""
    return query(
        home,
        "select rank, evol_score, verdict, kept_position, sample_id, similarity, blocked_by "
        "from store.ledger_row where ledger_id = ? order by rank", ledger_id,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asset", "kind", "scope"), [("selected_subset", "source", "tea"), ("pooled_subset", "mixture", "all")]
)
def test_the_numbers_of_a_budget_are_those_of_its_ledger(
    home: SmallHome, asset: str, kind: str, scope: str
) -> None:
    told = shown(home, asset, key(kind, scope, 4))
    ranked = ledger_rows(home, str(told["ledger_id"].value))
    chosen = [row for row in ranked if row[3] is not None and row[3] <= 4]
    reached = max(row[0] for row in chosen)
    passed = [row for row in ranked if row[2] == "near_duplicate" and row[0] <= reached]
    assert told["lowest_evol_score"].value == pytest.approx(min(row[1] for row in chosen), abs=1e-4)
    assert told["pool_reached"].value == pytest.approx(reached / len(ranked), abs=1e-4)
    assert told["near_duplicates_passed"].value == len(passed)
    assert told["mean_evol_score"].value == pytest.approx(statistics.fmean(r[1] for r in chosen), abs=1e-4)
    assert told["mean_evol_score_pool"].value == pytest.approx(
        statistics.fmean(r[1] for r in ranked), abs=1e-4
    )
    for source in {row[4].partition(":")[0] for row in ranked}:
        n_chosen = sum(row[4].startswith(f"{source}:") for row in chosen)
        n_pool = sum(row[4].startswith(f"{source}:") for row in ranked)
        line = f"| {source} | {n_chosen} | {n_chosen / 4:.1%} | {n_pool / len(ranked):.1%} |"
        assert line in said(told["source_mix"])
    kept = [row for row in ranked if row[3] is not None]
    more = min(30, len(kept)) - 4
    assert said(told["next_budget"]).startswith(
        f"30: {more} more rows, evol_score {chosen[-1][1]:.2f} down to "
    )
    last = shown(home, asset, key(kind, scope, 30))
    assert said(last["next_budget"]) == "nothing: no other row can be kept"


def test_a_ledger_shows_its_budgets_and_what_lies_about_its_threshold(home: SmallHome) -> None:
    told = shown(home, "selection_ledger", "tea")
    ranked = ledger_rows(home, str(told["ledger_id"].value))
    for budget in BUDGETS[:2]:
        at = next(row for row in ranked if row[3] == budget)
        assert f"| {budget} | {at[1]:.2f} | {at[0] / len(ranked):.1%} |" in said(told["budgets"])
    for name, verdict in (("near_duplicates", "near_duplicate"), ("near_misses", "kept")):
        pairs = sorted(
            (abs(row[5] - 0.9), row[0], f"{row[5]:.4f}")
            for row in ranked
            if row[2] == verdict and row[6] and row[5] is not None
        )
        found = [record.data["similarity"] for record in told[name].records]
        assert found == [similarity for *_, similarity in pairs[:5]]
        assert found


def test_other_thresholds_keep_what_a_pass_at_them_keeps(home: SmallHome) -> None:
    told = shown(home, "pooled_ledger", "all")
    caption = said(told["threshold_curve"]).rpartition("\n\n")[2]
    ranked = ledger_rows(home, str(told["ledger_id"].value))
    done = home.materialise("pooled_ledger", "all", {"threshold": 0.8, "to_end": True})
    assert done.success
    trial = home.instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("pooled_ledger"), asset_partitions=["all"]), limit=1
    ).records[0].event_log_entry.asset_observation.metadata["trial"].value  # fmt: skip
    assert f"of the best {len(ranked):,} rows" in caption
    assert f"0.8 keeps {trial['kept']:,}" in caption
    assert f"0.9 keeps {told['kept'].value:,}" in caption


def test_the_same_ledger_again_keeps_its_picture(home: SmallHome) -> None:
    before = said(shown(home, "selection_ledger", "tea")["threshold_curve"])
    assert home.materialise("selection_ledger", "tea").success
    again = said(shown(home, "selection_ledger", "tea")["threshold_curve"])
    assert again.partition("](<")[0] == before.partition("](<")[0]
    assert "keeps" in again


def test_quarantine_names_files_and_lines_and_no_words(home: SmallHome) -> None:
    (record,) = shown(home, "raw_pool", "tea")["quarantine"].records
    assert record.data["rows"] == "1"
    assert record.data["file and line"] == f"a|b [x](y).jsonl:{2 * len(HOSTILE) + 2}"
    assert record.data["what to do"]
    assert "not a conversation" not in str(record)


def test_words_of_rows_come_into_tables_of_plain_text_alone(home: SmallHome) -> None:
    places = set()
    for asset, partition in pages(home):
        for name, value in shown(home, asset, partition).items():
            if WORD in said(value):
                assert isinstance(value, dg.TableMetadataValue), (asset, name)
                places.add(name)
                for record in value.records:
                    for cell in record.data.values():
                        assert len(str(cell)) < 400
                        assert str(cell).isprintable(), (asset, name, cell)
    assert {"near_duplicates", "near_misses", "pairs_below_threshold", "pairs_above_threshold"} == places


def test_no_words_of_rows_are_anywhere_where_they_are_switched_off(home: SmallHome) -> None:
    settings = home.platform.home.settings
    settings.write_text(
        f"{settings.read_text(encoding='utf-8')}sample_rows_in_ui = false\n", encoding="utf-8"
    )
    before = {run.run_id for run in home.instance.get_runs()}
    for asset, partition in list(pages(home)):
        kind = "mixture" if asset.startswith("pooled") else "source"
        budget, _, scope = (partition or "").rpartition("|")
        assert home.materialise(asset, subset_key(kind, scope, int(budget)) if budget else partition).success
    assert home.materialise("pooled_ledger", "all", {"threshold": 0.7, "trial_budgets": [3]}).success
    runs = {run.run_id for run in home.instance.get_runs()} - before
    events = [serialize_value(entry) for run in runs for entry in home.instance.all_logs(run)]
    assert len(events) > 200
    assert sum("near_misses" in event for event in events) >= 3  # pages of ledgers are among them
    assert [event[:300] for event in events if WORD in event.lower()] == []
    for asset, partition in pages(home):
        assert not any(WORD in said(value).lower() for value in shown(home, asset, partition).values())
    pair = shown(home, "selection_ledger", "tea")["near_misses"].records[0].data
    assert pair["kept"].startswith("tea:")  # rows by their ids


@pytest.mark.parametrize("hostile", HOSTILE)
def test_escaped_text_is_one_line_without_marks_of_its_own(hostile: str) -> None:
    safe = escape(hostile)
    assert "\n" not in safe
    assert "<" not in safe and ">" not in safe
    bare = safe.replace("\\\\", "")
    for mark in "|[]!`*_~":
        assert bare.count(mark) == bare.count(f"\\{mark}"), mark
    assert not any(word in safe.lower() for word in ("://e", "www.", "@e"))
    assert safe.replace("\u2060", "").isprintable()


def test_letters_that_are_read_from_right_to_left_stay_and_what_turns_the_direction_does_not() -> None:
    assert plain("שלום عالم") == "שלום عالم"
    assert plain("a\u202eb\x07") == "a\\u202eb\\x07"


def test_a_table_that_markdown_would_hide_is_one_of_dagsters_own() -> None:
    small, large = table(["a"], [("x",)]), table(["a"], [("x" * 50,)] * 30)
    assert isinstance(small, dg.MarkdownMetadataValue)
    assert isinstance(large, dg.TableMetadataValue)
    assert [record.data for record in large.records] == [{"a": "x" * 50}] * 30
    assert [column.name for column in text_table(["p", "q"], []).schema.columns] == ["p", "q"]


def test_what_is_no_number_is_left_out() -> None:
    assert numbers(a=1.23456, b=None, c=float("nan"), d=float("inf"), e=3) == {"a": 1.2346, "e": 3}
    assert score_histogram([float("nan")], "s").value == "no scores"
    assert "1 rows" in score_histogram(np.array([2.0, np.nan]), "s").value


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.key.to_user_string())
def test_a_description_says_what_is_read_and_what_to_do_next(asset: dg.AssetsDefinition) -> None:
    name = asset.key.to_user_string()
    (told,) = asset.descriptions_by_key.values()
    assert told == DESCRIPTIONS[name]
    assert "**Reads** " in told and "**Next** " in told
    first = told.partition("\n")[0]
    assert first.endswith(".") and len(first) < 130 and "[" not in first  # stands alone in lists
    linked = {part.partition(")")[0] for part in told.split("](/assets/")[1:]}
    assert linked <= set(DESCRIPTIONS)
    assert {key.to_user_string() for key in asset.asset_deps[asset.key]} <= linked
