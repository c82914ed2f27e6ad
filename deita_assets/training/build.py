"""Building the heads: `python -m deita_assets.training.build` makes the shipped ones again, bit for bit.

What belongs here: the order of the steps, and the files they leave. What does not: any step.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deita_assets.scorers.base import MEASURES, Measure
from deita_assets.scorers.distilled.head import OrdinalHead
from deita_assets.scorers.distilled.scorer import TurnEncoder, feature_versions
from deita_assets.stores.whole_file import write_whole
from deita_assets.training.card import card
from deita_assets.training.choose import choose, final_head
from deita_assets.training.evaluate import Figure, as_rows, held_out_figures, label_figures
from deita_assets.training.examples import Featured, featured, names_of
from deita_assets.training.graded_set import GradedText, packaged_set, read_graded_set, set_sha256, split
from deita_assets.training.labels import read_label_sets

if TYPE_CHECKING:
    from deita_assets.embedders.sentence import SentenceEmbedder

PACKAGED = Path(__file__).parent.parent / "scorers" / "distilled"


def packaged_encoder() -> SentenceEmbedder:
    """The encoder that heads stand on. One worker: features must not depend on the number of cores."""
    from deita_assets.embedders.sentence import SentenceEmbedder

    return SentenceEmbedder()


def build_head(measure: Measure, learnt: Featured, encoder: TurnEncoder) -> OrdinalHead:
    """Choose the options on folds, then fit to every seed that may be learnt from."""
    names = names_of(measure, encoder.dimension)
    about = {
        "measure": measure,
        "encoder": encoder.fingerprint.digest,
        "features": feature_versions(),
        "graded_set_sha256": set_sha256(learnt.texts),
        "n_texts": len(learnt.texts),
        "n_seeds": len({text.seed for text in learnt.texts}),
        "n_corruptions": len(learnt.ladder),
    }
    return final_head(learnt, choose(learnt, names), names, about)


def evaluate_head(
    head: OrdinalHead,
    held: Featured,
    encoder: TurnEncoder,
    *,
    labels: Path | None = None,
    known: Sequence[GradedText] = (),
) -> list[Figure]:
    """Every figure of a head; other people's labels only where a folder of them is named."""
    figures = held_out_figures(head, held)
    if labels is not None:
        sets = read_label_sets(labels, held.measure, known=[text.instruction for text in known])
        figures += label_figures(head, held.measure, sets, encoder)
    return figures


def write_head(folder: Path, measure: Measure, head: OrdinalHead) -> Path:
    """`<measure>.safetensors` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{measure}.safetensors"
    write_whole(path, head.to_bytes())
    return path


def write_figures(folder: Path, measure: Measure, figures: Sequence[Figure]) -> Path:
    """`<measure>.evaluation.json` in a folder, and the card of what the folder holds."""
    path = folder / f"{measure}.evaluation.json"
    write_whole(path, json.dumps(as_rows(figures), indent=1) + "\n")
    write_whole(folder / "MODEL_CARD.md", card(folder))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Build, or with `--check` compare with what stands there."""
    options = _parse(arguments)
    encoder = packaged_encoder()
    same = True
    for measure in options.measures or MEASURES:
        texts = read_graded_set(getattr(options, f"{measure}_set") or packaged_set(measure), measure)
        learnt, held = split(texts)
        head = build_head(measure, featured(measure, learnt, encoder), encoder)
        path = options.out / f"{measure}.safetensors"
        if options.check:
            equal = path.exists() and path.read_bytes() == head.to_bytes()
            same &= equal
            sys.stdout.write(f"{path}: {'the same' if equal else 'DIFFERS'}\n")
            continue
        write_head(options.out, measure, head)
        figures = evaluate_head(
            head, featured(measure, held, encoder, judged=True), encoder, labels=options.labels, known=texts
        )
        write_figures(options.out, measure, figures)
        sys.stdout.write(f"{path}: {_summary(head)}\n")
    return 0 if same else 1


def _summary(head: OrdinalHead) -> str:
    about: dict[str, Any] = dict(head.about)
    return f"{about['n_texts']} texts of {about['n_seeds']} seeds, options {about['options']}"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deita_assets.training.build", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=PACKAGED, help="folder of the heads; the shipped ones by default"
    )
    parser.add_argument("--check", action="store_true", help="build and compare, write nothing")
    parser.add_argument(
        "--labels", type=Path, help="folder with complexity/*.jsonl and quality/*.jsonl to judge with"
    )
    parser.add_argument("--measure", dest="measures", action="append", choices=MEASURES, help="only this one")
    for measure in MEASURES:
        parser.add_argument(
            f"--{measure}-set", type=Path, help=f"graded set of {measure} instead of the shipped one"
        )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
