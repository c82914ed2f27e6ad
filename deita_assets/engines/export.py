"""Exports: a published version, checked, read back row by row and written in the form that a trainer reads.

What belongs here: from a subset folder to a new folder. What does not: the forms and their files (exports), or finding
versions.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from deita_assets.engines.licences import refuse_unknown_licences
from deita_assets.errors import DeitaError, UsageError
from deita_assets.exports.card import FIGURE, unknown_licences
from deita_assets.exports.columnar import messages_schema, write_rows
from deita_assets.exports.export_card import ExportFacts, export_card
from deita_assets.exports.features import jsonl_features
from deita_assets.exports.form_rows import SKIPPED_FILE, Skips, form_rows, write_jsonl
from deita_assets.exports.forms import SKIPS
from deita_assets.exports.published import COLUMNS, TRAIN, published_rows
from deita_assets.exports.survey import Survey, survey
from deita_assets.exports.usage import llama_factory_entry
from deita_assets.stores.new_folder import new_folder
from deita_assets.stores.subsets import MANIFEST, check_folder, file_entry

#: What may be asked for -> the form of its rows.
FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "jsonl": "messages", "parquet": "messages", "hf": "messages",
        "sharegpt": "sharegpt", "alpaca": "alpaca", "llamafactory": "sharegpt",
    }
)  # fmt: skip
#: Those that are Parquet, and may be written in shards.
SHARDED: Final = ("parquet", "hf")
#: What an export says of itself.
EXPORT: Final = "export.json"


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        n_rows: rows written.
        skipped: reason -> rows that the form cannot hold.
        skipped_ids: reason -> the first of their ids; `skipped.jsonl` has all.
        left_out: what the form leaves out -> rows that had it.
        unknown_licences: sources of selected rows whose licence nobody said.
        files: paths below the folder.
    """

    n_rows: int
    skipped: Mapping[str, int]
    skipped_ids: Mapping[str, Sequence[str]]
    left_out: Mapping[str, int]
    unknown_licences: Sequence[str]
    files: Sequence[str]


def export_version(
    folder: Path,
    target: Path,
    *,
    form: str,
    columns: Sequence[str] = (),
    shard_rows: int | None = None,
    licences: Mapping[str, str | None] | None = None,
    require_licence: bool = False,
) -> Exported:
    """Write a published version to a folder that does not exist yet; a few thousand rows are in memory at a time.

    Args:
        folder: of the version; read, never written.
        target: the new folder, there as a whole or not at all.
        form: key of `FORMS`.
        columns: of `exports.published.COLUMNS`, beside each row.
        shard_rows: rows of a Parquet file; None for one file.
        licences: source -> licence as known now; those in the manifest stand where this says nothing.
        require_licence: refuse sources without one.

    Raises:
        StoreError: a file of the version was altered.
        UsageError: the target exists, or columns or shards that the form does not have.
        DeitaError: the form can hold none of its rows, or a licence is required and unknown.
    """
    _check_request(form, columns, shard_rows)
    manifest = check_folder(folder)
    found = survey(published_rows(folder, ()), FORMS[form])
    spec = manifest["spec"]
    facts = ExportFacts(
        form=form, manifest=manifest, licences=licences or {}, found=found, columns=columns,
        dataset=f"deita_{spec['scope']}_{spec['budget']}",
        files="data/train-*.parquet" if form in SHARDED else TRAIN,
        features=None if form in SHARDED else jsonl_features(found, columns),
        has_figure=(folder / FIGURE).is_file(),
    )  # fmt: skip
    unknown = unknown_licences(facts.sources, manifest["mix"])
    if require_licence:
        refuse_unknown_licences(unknown)
    if not found.n_held:
        raise _nothing_to_write(form, found)
    with new_folder(target) as partial:
        skips = _write_rows(folder, partial, facts, shard_rows)
        _write_beside(folder, partial, facts)
        names = sorted(str(path.relative_to(partial)) for path in partial.rglob("*") if path.is_file())
        _write_json(partial / EXPORT, _account(facts, partial, names))
    return Exported(
        found.n_held, dict(found.skipped), skips.shown, dict(found.left_out), unknown, [*names, EXPORT]
    )


def _check_request(form: str, columns: Sequence[str], shard_rows: int | None) -> None:
    if strange := [name for name in columns if name not in COLUMNS]:
        raise UsageError(f"column {strange[0]!r} is unknown.", cure=f"Choose of {', '.join(COLUMNS)}.")
    if len(set(columns)) < len(columns):
        raise UsageError(f"columns {', '.join(columns)}: one is named twice.", cure="Name each once.")
    if shard_rows is not None and form not in SHARDED:
        raise UsageError(
            f"--format {form} is one file.", cure="Leave --shard-rows out, or take parquet or hf."
        )


def _nothing_to_write(form: str, found: Survey) -> DeitaError:
    if not found.skipped:
        return DeitaError(
            "the version has no rows.", cure="Select some first: `deita-assets curate --budget N`."
        )
    told = "; ".join(f"{n:,}: {SKIPS[reason]}" for reason, n in found.skipped.most_common())
    return DeitaError(
        f"--format {form} can hold none of the {sum(found.skipped.values()):,} rows ({told}).",
        cure="Take --format jsonl, parquet or hf, which hold every row.",
    )


def _write_rows(folder: Path, partial: Path, facts: ExportFacts, shard_rows: int | None) -> Skips:
    """The rows, and those that the form cannot hold."""
    skips = Skips(partial / SKIPPED_FILE)
    rows = form_rows(published_rows(folder, facts.columns), facts.found, facts.columns, skips)
    if facts.form in SHARDED:
        (partial / "data").mkdir()
        schema = messages_schema(facts.found, facts.columns, as_json=facts.form == "hf")
        n_shards = -(-facts.found.n_held // shard_rows) if shard_rows else 1
        for at in range(n_shards):
            path = partial / "data" / f"train-{at:05d}-of-{n_shards:05d}.parquet"
            write_rows(path, islice(rows, shard_rows), schema)
    elif facts.form == "jsonl" and not facts.columns:
        shutil.copyfile(folder / TRAIN, partial / TRAIN)
    else:
        write_jsonl(partial / TRAIN, rows, canonical=facts.found.shape == "messages")
    skips.close()
    return skips


def _write_beside(folder: Path, partial: Path, facts: ExportFacts) -> None:
    """Manifest, card, figure, and what LLaMA-Factory needs."""
    shutil.copyfile(folder / MANIFEST, partial / MANIFEST)
    if facts.has_figure:
        shutil.copyfile(folder / FIGURE, partial / FIGURE)
    card = export_card(facts, (folder / "README.md").read_text(encoding="utf-8"))
    (partial / "README.md").write_text(card, encoding="utf-8")
    if facts.form == "llamafactory":
        _write_json(
            partial / "dataset_info.json", {facts.dataset: llama_factory_entry(facts.form, facts.found)}
        )


def _account(facts: ExportFacts, partial: Path, names: Sequence[str]) -> dict[str, Any]:
    return {
        "selection_version": facts.manifest["selection_version"],
        "form": facts.form,
        "columns": list(facts.columns),
        "n_rows": facts.found.n_held,
        "skipped": dict(facts.found.skipped),
        "left_out": dict(facts.found.left_out),
        "files": {name: file_entry(partial / name) for name in names},
    }


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
