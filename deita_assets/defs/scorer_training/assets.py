"""`graded_set`, `graded_features`, `distilled_scorer` and `scorer_evaluation`, by measure.

What belongs here: the assets. What does not: the steps themselves (`deita_assets.training`).
"""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg

from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.instance import DEVICE_POOL
from deita_assets.defs.metadata import numbers, table
from deita_assets.defs.platform import Platform
from deita_assets.defs.steps import OWNERS, asset_step
from deita_assets.scorers.base import MEASURES, Measure
from deita_assets.settings import TrainingSettings

measures = dg.StaticPartitionsDefinition(list(MEASURES))
_GROUP = "scorer_training"


def _measure(context: dg.AssetExecutionContext) -> Measure:
    return "complexity" if context.partition_key == "complexity" else "quality"


def _texts(platform: Platform, measure: Measure) -> list[Any]:
    from deita_assets.training.graded_set import packaged_set, read_graded_set

    chosen: TrainingSettings = platform.settings.training
    named = chosen.complexity_set if measure == "complexity" else chosen.quality_set
    return read_graded_set(Path(named) if named else packaged_set(measure), measure)


def _features_file(platform: Platform, measure: Measure) -> Path:
    return platform.home.training / f"{measure}.features.safetensors"


@dg.asset(
    partitions_def=measures,
    group_name=_GROUP,
    kinds={"python"},
    owners=OWNERS,
    description=DESCRIPTIONS["graded_set"],
    code_version=CODE_VERSIONS["graded_set"],
)
def graded_set(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Texts graded 1 to 6 on one absolute scale: the project's own set, or one in the same schema by setting."""
    from deita_assets.training.graded_set import set_sha256, split
    from deita_assets.training.statistics import weighted_kappa

    with asset_step(context, platform, "graded_set") as metadata:
        texts = _texts(platform, _measure(context))
        learnt, held = split(texts)
        grades = Counter(text.grade for text in texts)
        twice = [text.grades[:2] for text in texts if len(text.grades) > 1]
        kappa = weighted_kappa([a for a, _ in twice], [b for _, b in twice]) if twice else float("nan")
        return dg.MaterializeResult(
            data_version=dg.DataVersion(set_sha256(texts)[:16]),
            metadata={
                "dagster/partition_row_count": len(texts),
                "seeds": len({text.seed for text in texts}),
                "learnt_from": len(learnt),
                "held_out": len(held),
                **numbers(weighted_kappa_of_two_gradings=kappa),
                "grades": table(["grade", "texts"], sorted(grades.items())),
                "languages": table(["language", "texts"], Counter(t.language for t in texts).most_common()),
                "domains": table(["domain", "texts"], Counter(t.domain for t in texts).most_common()),
                **metadata,
            },
        )


@dg.asset(
    partitions_def=measures,
    deps=[graded_set],
    group_name=_GROUP,
    kinds={"pytorch"},
    owners=OWNERS,
    description=DESCRIPTIONS["graded_features"],
    code_version=CODE_VERSIONS["graded_features"],
    pool=DEVICE_POOL,
)
def graded_features(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """What a head sees of every graded text and, for quality, of mechanical corruptions of the good answers."""
    from deita_assets.training.build import packaged_encoder
    from deita_assets.training.examples import featured
    from deita_assets.training.feature_files import write_features
    from deita_assets.training.graded_set import split

    measure = _measure(context)
    with asset_step(context, platform, "graded_features") as metadata:
        learnt_texts, held_texts = split(_texts(platform, measure))
        encoder = packaged_encoder()
        learnt = featured(measure, learnt_texts, encoder)
        held = featured(measure, held_texts, encoder, judged=True)
        path = _features_file(platform, measure)
        write_features(path, learnt, held)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(_sha256(path)),
            metadata={
                "dagster/partition_row_count": len(learnt.features) + len(held.features),
                "features": learnt.features.shape[1],
                "corruptions": len(learnt.ladder) + len(held.ladder),
                "encoder": encoder.fingerprint.digest,
                "file": dg.MetadataValue.path(path),
                **metadata,
            },
        )


@dg.asset(
    partitions_def=measures,
    deps=[graded_set, graded_features],
    group_name=_GROUP,
    kinds={"pytorch"},
    owners=OWNERS,
    description=DESCRIPTIONS["distilled_scorer"],
    code_version=CODE_VERSIONS["distilled_scorer"],
)
def distilled_scorer(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """A head trained on the graded set, options chosen on folds of its seeds; `[scorer] heads` puts it to use."""
    from deita_assets.training.build import build_head, packaged_encoder, write_head
    from deita_assets.training.feature_files import read_features

    measure = _measure(context)
    with asset_step(context, platform, "distilled_scorer") as metadata:
        learnt, _ = read_features(_features_file(platform, measure), measure, _texts(platform, measure))
        head = build_head(measure, learnt, packaged_encoder())
        path = write_head(platform.home.training, measure, head)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(_sha256(path)),
            metadata={
                "file": dg.MetadataValue.path(path),
                "bytes": path.stat().st_size,
                **dict(head.about),
                **metadata,
            },
        )


@dg.asset(
    partitions_def=measures,
    deps=[graded_set, graded_features, distilled_scorer],
    group_name=_GROUP,
    kinds={"python"},
    owners=OWNERS,
    description=DESCRIPTIONS["scorer_evaluation"],
    code_version=CODE_VERSIONS["scorer_evaluation"],
)
def scorer_evaluation(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The head on seeds it never saw and on labels that settings name, beside `longest` and `random`."""
    from deita_assets.scorers.distilled.head import load_head
    from deita_assets.training.build import evaluate_head, packaged_encoder, write_figures
    from deita_assets.training.card import interval
    from deita_assets.training.evaluate import as_rows
    from deita_assets.training.feature_files import read_features

    measure = _measure(context)
    with asset_step(context, platform, "scorer_evaluation") as metadata:
        texts = _texts(platform, measure)
        _, held = read_features(_features_file(platform, measure), measure, texts)
        folder, labels = platform.home.training, platform.settings.training.labels
        head, _ = load_head(folder / f"{measure}.safetensors")
        figures = evaluate_head(
            head, held, packaged_encoder(), labels=Path(labels) if labels else None, known=texts
        )
        path = write_figures(folder, measure, figures)
        rows = as_rows(figures)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(_sha256(path)),
            metadata={
                "dagster/partition_row_count": len(rows),
                "figures": table(
                    ["set", "figure", "n", "scorer", "longest", "random"],
                    [
                        (
                            row["set"],
                            row["figure"],
                            row["n"],
                            interval(row["scorer"]).replace("**", ""),
                            interval(row["longest"]).replace("**", ""),
                            row["random"],
                        )
                        for row in rows
                    ],
                ),
                "card": dg.MetadataValue.path(folder / "MODEL_CARD.md"),
                **metadata,
            },
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
