"""Heads trained by a home on its own graded set: the same bytes each time, judged, and put to use by a setting."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from deita_assets.engines.child import build_step
from deita_assets.scorers.distilled.features import (
    complexity_features,
    complexity_names,
    quality_features,
    quality_names,
)
from deita_assets.scorers.distilled.head import load_head
from deita_assets.settings import load_settings
from deita_assets.training import choose
from deita_assets.training.build import packaged_encoder
from deita_assets.training.card import figures_table, interval
from deita_assets_tests.cli.commands import TEA, write_jsonl
from deita_assets_tests.defs.test_by_hand import Hand

ASSETS = ("graded_set", "graded_features", "distilled_scorer", "scorer_evaluation")
MEASURES = ("complexity", "quality")
TOPICS = (
    "bread", "tides", "bees", "violins", "volcanoes", "taxes", "glaciers", "chess", "sleep", "bridges",
    "vaccines", "kites", "opera", "batteries", "soil", "maps", "juggling", "rivers", "lenses", "cheese",
    "clocks", "deserts", "elections", "ferns", "granite", "hockey", "islands", "jazz", "knots", "lichens",
    "magnets", "novels", "orchids", "paint", "quilts", "rainbows", "sailing", "turbines", "umbrellas", "wool",
)  # fmt: skip
ASKED = {
    1: "Name one thing about {}.",
    2: "What is the use of {}?",
    3: "Explain in a paragraph how {} came about.",
    4: "Compare two views of {} and say which one holds, with reasons.",
    5: "Derive a model of {} under scarce means, state each assumption, and show where it fails.",
    6: "Prove that no theory of {} can be both complete and testable, and weigh the strongest objection to your proof.",
}
FULL = (
    "People keep {0} for good reasons. First, {0} meet a need that returns every year. Second, they teach patience. "
    "So begin small, and ask somebody who has handled {0} before you spend money."
)
THIN, OFF = "There are many kinds of {}, and it depends.", "I like trains and the number nine."
ANSWERS = ({5: FULL, 3: THIN, 1: OFF}, {3: THIN, 2: "Hard to say.", 1: OFF})


def complexity_rows() -> list[dict[str, object]]:
    """Forty seeds, grades in turn; every third one has a harder second text."""
    rows = []
    for at, topic in enumerate(TOPICS):
        grade, seed = 1 + at % 6, f"c-{topic}"
        rows.append(_row(f"{seed}.0", seed, None, grade, ASKED[grade].format(topic)))
        if at % 3 == 0 and grade < 6:
            harder = f"{ASKED[grade].format(topic)} Use no more than {at + 20} words, none of them twice."
            rows.append(_row(f"{seed}.1", seed, f"{seed}.0", grade + 1, harder))
    return rows


def quality_rows() -> list[dict[str, object]]:
    """Forty seeds of three answers each, of which every second one has a good one."""
    return [
        {
            **_row(
                f"q-{topic}.{step}", f"q-{topic}", f"q-{topic}.0" if step else None, grade, f"Why {topic}?"
            ),
            "response": answer.format(topic),
        }
        for at, topic in enumerate(TOPICS)
        for step, (grade, answer) in enumerate(ANSWERS[at % 2].items())
    ]


def _row(name: str, seed: str, parent: str | None, grade: int, instruction: str) -> dict[str, object]:
    return {
        "id": name, "seed": seed, "parent": parent, "mutation": "deepen" if parent else None, "domain": "test",
        "language": "en", "instruction": instruction, "grades": [grade, max(1, grade - 1)], "grade": grade,
    }  # fmt: skip


ROWS = {"complexity": complexity_rows(), "quality": quality_rows()}
#: Three of each were asked in the graded set, written otherwise.
LABELS = {
    "complexity": [
        {"instruction": ASKED[1 + at % 6].format(f"elsewhere {at}"), "rating": at % 6, "group": f"g{at // 3}"}
        for at in range(12)
    ]
    + [{"instruction": f"  {row['instruction']}!".upper(), "rating": 9} for row in ROWS["complexity"][:3]],
    "quality": [
        {
            "instruction": f"Why elsewhere {at}?",
            "better": FULL.format(f"places {at}"),
            "worse": "Just because.",
        }
        for at in range(9)
    ]
    + [{"instruction": f"why, {topic}", "better": "So.", "worse": "No."} for topic in TOPICS[:3]],
}


@dataclass
class Training:
    """A home of which every asset of the group was materialised once, for both measures."""

    hand: Hand
    rows: dict[str, list[dict[str, object]]]
    folder: Path

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def evaluation(self, measure: str) -> dict[tuple[str, str], dict[str, object]]:
        rows = json.loads(self.read(f"{measure}.evaluation.json"))
        return {(row["set"], row["figure"]): row for row in rows}


def home_with(folder: Path, *, labels: bool = True) -> Path:
    """A home whose settings name the graded sets and labels of this module."""
    home, sets = folder / "home", folder / "sets"
    (sets / "labels").mkdir(parents=True)
    home.mkdir()
    settings = ["[training]"]
    for measure in MEASURES:
        settings.append(f"{measure}_set = '{write_jsonl(sets / f'{measure}.jsonl', ROWS[measure])}'")
        (sets / "labels" / measure).mkdir()
        write_jsonl(sets / "labels" / measure / "elsewhere.jsonl", LABELS[measure])
    if labels:
        settings.append(f"labels = '{sets / 'labels'}'")
    (home / "deita.toml").write_text("\n".join(settings) + "\n", encoding="utf-8")
    return home


def materialise_all(hand: Hand, measure: str) -> None:
    """The group in one run, as its job in the UI does it."""
    done = hand.job.execute_in_process(
        instance=hand.instance,
        partition_key=measure,
        asset_selection=[dg.AssetKey(asset) for asset in ASSETS],
    )
    assert done.success


@pytest.fixture(scope="module")
def few_options() -> Iterator[None]:
    """Folds over two options instead of sixty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "PAIR_WEIGHTS", (0.3, 1.0))
        patch.setattr(choose, "COUNTED_PENALTIES", (0.03,))
        patch.setattr(choose, "VECTOR_PENALTIES", (0.3,))
        yield


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, few_options: None) -> Iterator[Training]:
    with dg.instance_for_test() as instance:
        home = home_with(tmp_path_factory.mktemp("training"))
        hand = Hand(instance, home)
        for measure in MEASURES:
            materialise_all(hand, measure)
        yield Training(hand, ROWS, home / "training")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Hand]:
    """A home of which nothing was materialised."""
    with dg.instance_for_test() as instance:
        yield Hand(instance, home_with(tmp_path))


@pytest.mark.parametrize("measure", MEASURES)
def test_the_graded_set_is_counted(training: Training, measure: str) -> None:
    shown = training.hand.metadata("graded_set", measure)
    rows = training.rows[measure]
    assert shown["dagster/partition_row_count"] == len(rows)
    assert shown["seeds"] == len(TOPICS)
    assert shown["learnt_from"] + shown["held_out"] == len(rows)
    assert shown["held_out"] > 0
    assert 0 < shown["weighted_kappa_of_two_gradings"] < 1


@pytest.mark.parametrize(
    ("measure", "names"), [("complexity", complexity_names(384)), ("quality", quality_names())]
)
def test_features_are_those_of_every_text_and_of_corruptions_where_there_are_answers(
    training: Training, measure: str, names: tuple[str, ...]
) -> None:
    shown = training.hand.metadata("graded_features", measure)
    assert shown["features"] == len(names)
    assert shown["dagster/partition_row_count"] == len(training.rows[measure]) + shown["corruptions"]
    n_good = sum(row["grade"] >= 4 for row in training.rows[measure])
    assert shown["corruptions"] == 0 if measure == "complexity" else shown["corruptions"] > 5 * n_good


@pytest.mark.parametrize("measure", MEASURES)
def test_the_head_says_what_it_was_trained_on(training: Training, measure: str) -> None:
    head, digest = load_head(training.folder / f"{measure}.safetensors")
    shown = training.hand.metadata("distilled_scorer", measure)
    counted = training.hand.metadata("graded_set", measure)
    assert shown["n_texts"] == head.about["n_texts"] == counted["learnt_from"]
    assert head.about["n_seeds"] < len(TOPICS)
    assert head.about["options"]["pair_weight"] in (0.3, 1.0)
    assert digest[:16] in training.read("MODEL_CARD.md").decode()


@pytest.mark.parametrize("measure", MEASURES)
def test_materialised_again_everything_is_the_same_bytes(training: Training, measure: str) -> None:
    names = [f"{measure}.{ending}" for ending in ("features.safetensors", "safetensors", "evaluation.json")]
    before = {name: training.read(name) for name in (*names, "MODEL_CARD.md")}
    for name in names:
        (training.folder / name).unlink()
    materialise_all(training.hand, measure)
    assert {name: training.read(name) for name in before} == before


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("complexity", {("held-out seeds", "rho with grade"), ("held-out chains", "order of steps"),
                        ("elsewhere", "rho with rating"), ("elsewhere", "order within a group")}),
        ("quality", {("held-out responses", "order within an instruction"), ("elsewhere", "accuracy on pairs"),
                     ("held-out ladder", "original above its word shuffle"),
                     ("held-out ladder", "original above its refusal")}),
    ],
)  # fmt: skip
def test_the_evaluation_has_its_rows_beside_longest_and_random(
    training: Training, measure: str, expected: set[tuple[str, str]]
) -> None:
    rows = training.evaluation(measure)
    assert expected <= set(rows)
    assert training.hand.metadata("scorer_evaluation", measure)["dagster/partition_row_count"] == len(rows)
    shown = shown_table(training.hand.metadata("scorer_evaluation", measure)["figures"])
    card = training.read("MODEL_CARD.md").decode()
    for table in (shown, card):
        assert re.search(r"\| set \| figure \| n \| scorer \| longest \| random \|", table)
    for (name, figure), row in rows.items():
        assert row["random"] == (0.0 if "rho" in figure else 0.5)
        assert figures_table([row]).splitlines()[-1] in card
        assert f"| {name} | {figure} | {row['n']} | {interval(row['scorer']).replace('**', '')} |" in shown
    if measure == "quality":
        assert rows["held-out ladder", "original above its refusal"]["longest"][0] > 0.9


def shown_table(value: object) -> str:
    """A table of the UI as Markdown: long ones are Dagster's own."""
    if not isinstance(value, dg.TableMetadataValue):
        return str(value).replace("\\", "")
    names = [column.name for column in value.schema.columns]
    rows = [names, *([str(record.data[name]) for name in names] for record in value.records)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_what_is_plain_is_learnt(training: Training) -> None:
    rows = training.evaluation("complexity")
    assert rows["held-out seeds", "rho with grade"]["scorer"][0] > 0.7
    assert rows["elsewhere", "rho with rating"]["scorer"][0] > 0.7
    rows = training.evaluation("quality")
    assert rows["held-out responses", "order within an instruction"]["scorer"][0] > 0.7
    assert rows["elsewhere", "accuracy on pairs"]["scorer"][0] == 1.0


@pytest.mark.parametrize(("measure", "figure", "left"), [
    ("complexity", "rho with rating", 12), ("quality", "accuracy on pairs", 9),
])  # fmt: skip
def test_labels_that_overlap_the_graded_set_are_taken_out(
    training: Training, measure: str, figure: str, left: int
) -> None:
    assert len(LABELS[measure]) == left + 3
    assert training.evaluation(measure)["elsewhere", figure]["n"] == left


def test_without_labels_the_evaluation_is_of_held_out_seeds(training: Training) -> None:
    settings = training.hand.platform.home.settings
    written = settings.read_text()
    try:
        settings.write_text("\n".join(line for line in written.splitlines() if "labels" not in line))
        assert training.hand.materialise("scorer_evaluation", "complexity").success
        assert {name for name, _ in training.evaluation("complexity")} == {
            "held-out seeds",
            "held-out chains",
        }
    finally:
        settings.write_text(written)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_setting_heads_puts_the_heads_of_a_home_to_use(training: Training, measure: str) -> None:
    home = training.hand.platform.home
    shipped = build_step(home, load_settings(home), measure).fingerprint
    settings = home.settings.read_text()
    try:
        home.settings.write_text(f"{settings}[scorer]\nheads = '{home.training}'\n")
        step = build_step(home, load_settings(home), measure)
    finally:
        home.settings.write_text(settings)
    digest = hashlib.sha256(training.read(f"{measure}.safetensors")).hexdigest()
    assert step.fingerprint.spec["head_sha256"] == digest != shipped.spec["head_sha256"]
    turns = [("Name one thing about owls.", "They see."), (ASKED[6].format("owls"), FULL.format("owls"))]
    scores, statuses = step.compute(turns)
    assert statuses == ["ok", "ok"]
    head, _ = load_head(home.training / f"{measure}.safetensors")
    if measure == "complexity":
        features = complexity_features(packaged_encoder(), [instruction for instruction, _ in turns])
    else:
        features, _ = quality_features(packaged_encoder(), turns)
    np.testing.assert_allclose(scores, head.scores(features), atol=2e-5)


def test_a_changed_set_is_not_met_with_old_features(training: Training) -> None:
    home = training.hand.platform.home
    path = Path(load_settings(home).training.complexity_set or "")
    written = path.read_bytes()
    try:
        rows = [*ROWS["complexity"], _row("c-new", "c-new", None, 2, "What is new?")]
        write_jsonl(path, rows)
        said = training.hand.failure("distilled_scorer", "complexity")
    finally:
        path.write_bytes(written)
    assert "complexity.features.safetensors" in said and "graded_features again" in said


BROKEN = {
    "malformed": "{",
    "1 to 6": json.dumps({**ROWS["complexity"][0], "id": "x", "seed": "x", "grade": 7}),
    "one or more": json.dumps({**ROWS["complexity"][0], "id": "x", "seed": "x", "grades": []}),
    "nowhere": json.dumps({**ROWS["complexity"][0], "id": "x", "parent": "nowhere"}),
}


def test_a_broken_set_fails_with_file_line_and_cure(fresh: Hand) -> None:
    path = Path(load_settings(fresh.platform.home).training.complexity_set or "")
    lines = path.read_text().splitlines()
    for said, line in BROKEN.items():
        path.write_text("\n".join([*lines[:4], line, *lines[4:]]) + "\n")
        failed = fresh.failure("graded_set", "complexity")
        assert f"{path}: line 5" in failed and said in failed and "DATASHEET" in failed
    assert f"{path}: line 5" in fresh.failure("graded_features", "complexity")


def test_what_is_missing_fails_with_a_cure(fresh: Hand) -> None:
    for asset in ASSETS[2:]:
        assert "Materialise graded_features" in fresh.failure(asset, "quality")
    path = Path(load_settings(fresh.platform.home).training.quality_set or "")
    write_jsonl(path, ROWS["quality"][:3])
    assert "Give more seeds" in fresh.failure("graded_features", "quality")
    path.unlink()
    failed = fresh.failure("graded_set", "quality")
    assert str(path) in failed and "Name a JSONL file" in failed


def test_broken_labels_fail_with_file_line_and_cure(training: Training) -> None:
    path = (
        Path(load_settings(training.hand.platform.home).training.labels or "")
        / "complexity"
        / "elsewhere.jsonl"
    )
    written = path.read_bytes()
    try:
        path.write_bytes(written + b'{"instruction": "no rating"}\n')
        failed = training.hand.failure("scorer_evaluation", "complexity")
    finally:
        path.write_bytes(written)
    assert f"{path}: line 16" in failed and "rating" in failed and "Give instruction" in failed


@pytest.mark.slow
def test_a_source_is_scored_by_the_heads_of_its_home(training: Training) -> None:
    hand, home = training.hand, training.hand.platform.home
    settings = home.settings.read_text()
    try:
        home.settings.write_text(f"{settings}[scorer]\nheads = '{home.training}'\n")
        hand.drop("tea", TEA)
        for asset in ("raw_pool", "complexity_scores", "quality_scores"):
            assert hand.materialise(asset, "tea").success, asset
        assert hand.stale("tea")[0] == "embeddings"
        (home.training / "complexity.safetensors").touch()
        assert "complexity_scores" in hand.stale("tea"), "another head may stand there now"
        fingerprints = [
            build_step(home, load_settings(home), measure).fingerprint.digest for measure in MEASURES
        ]
        with hand.platform.warehouse.read("test") as con:
            found = con.execute("select step, fingerprint from store.coverage order by step").fetchall()
    finally:
        home.settings.write_text(settings)
    assert found == list(zip(MEASURES, fingerprints, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("measure", MEASURES)
def test_with_every_option_tried_the_bytes_are_the_same(tmp_path: Path, measure: str) -> None:
    found = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        with dg.instance_for_test() as instance:
            hand = Hand(instance, home_with(tmp_path / place, labels=False))
            materialise_all(hand, measure)
            found.append((hand.platform.home.training / f"{measure}.safetensors").read_bytes())
    assert found[0] == found[1]
    assert np.isfinite(
        load_head(tmp_path / "one" / "home" / "training" / f"{measure}.safetensors")[0].weights
    ).all()
