"""The published folder of a version: whether it is as it was written, and how rebuilt files compare with it.

What belongs here: its manifest and files against each other and against rebuilt ones. What does not: rebuilding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from deita_assets.core.model_folder import file_sha256
from deita_assets.engines.compare_subsets import compare_parquet, line_difference, spec_difference
from deita_assets.engines.findings import Difference, Finding
from deita_assets.exports.published import TRAIN, TRAIN_PARQUET
from deita_assets.stores.registered import Registered
from deita_assets.stores.subsets import MANIFEST, strangers


@dataclass(frozen=True)
class Published:
    """The folder of a version as it stands.

    Attributes:
        folder: where it should be.
        manifest: None when it is gone or no manifest.
        findings: what of the folder is gone or altered; files that are compared with rebuilt ones are left out.
        difference: an alteration that no comparison of files would show.
    """

    folder: Path
    manifest: Mapping[str, Any] | None
    findings: list[Finding] = field(default_factory=list)
    difference: Difference | None = None

    @classmethod
    def at(cls, folder: Path, then: Registered) -> Published:
        """Look at a folder; nothing in it is trusted."""
        if not folder.is_dir():
            gone = f"its folder {then.directory} is gone; compared with the registry alone"
            return cls(folder, None, [Finding("gone", "files", gone)])
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            files = {str(name): str(entry["sha256"]) for name, entry in manifest["files"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            message = f"{MANIFEST} is gone or no manifest ({error}); compared with the registry alone"
            return cls(folder, None, [Finding("altered", "files", message)], Difference(MANIFEST, message))
        wrong = _manifest_fault(manifest, then)
        unknown = strangers(folder, files)
        faults = [*([wrong] if wrong else []), *(f"{name} is not in the manifest" for name in unknown)]
        findings = [Finding("altered", "files", text) for text in faults]
        for name in sorted(set(files) - {TRAIN, TRAIN_PARQUET}):
            state = _state(folder / name, files[name])
            if state:
                findings.append(Finding(state, "files", f"{name} is {state} since it was published"))
        first = Difference(MANIFEST if wrong else unknown[0], faults[0]) if faults else None
        return cls(folder, manifest, findings, first)

    @property
    def spec(self) -> Mapping[str, Any] | None:
        """The spec that its manifest pins."""
        spec = (self.manifest or {}).get("spec")
        return spec if isinstance(spec, dict) else None

    @property
    def licences(self) -> dict[str, str | None]:
        """Source -> licence as it was when the version was published; empty without a manifest."""
        rows = (self.manifest or {}).get("sources") or []
        return {row["source"]: row.get("licence") for row in rows}

    def sha256(self, name: str) -> str | None:
        """What the manifest says of a file."""
        entry = (self.manifest or {}).get("files", {}).get(name)
        return str(entry["sha256"]) if entry else None


@dataclass
class FilesCompared:
    """How rebuilt files compare with published ones."""

    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    difference: Difference | None = None
    same_bytes: bool = True


def compare_files(published: Published, rebuilt: Path) -> FilesCompared:
    """Compare the bytes of `train.jsonl`, and of the Parquet file the bytes, else schema and rows."""
    compared = FilesCompared(difference=published.difference)
    if published.manifest is None:
        return compared
    jsonl, parquet = _compare_jsonl(published, rebuilt), _compare_parquet(published, rebuilt)
    for each in (jsonl, parquet):
        compared.facts |= each.facts
        compared.findings += each.findings
        compared.difference = compared.difference or each.difference
        compared.same_bytes &= each.same_bytes
    return compared


def _compare_jsonl(published: Published, rebuilt: Path) -> FilesCompared:
    path, ours = published.folder / TRAIN, file_sha256(rebuilt / TRAIN)
    pinned, state = published.sha256(TRAIN), _state(published.folder / TRAIN, published.sha256(TRAIN))
    facts = {"train_jsonl": {"bytes": (rebuilt / TRAIN).stat().st_size, "sha256": ours, "pinned": pinned}}
    findings = [Finding(state, "files", f"{TRAIN} is {state} since it was published")] if state else []
    if not state and ours == pinned:
        return FilesCompared(facts, findings)
    if state == "gone":
        difference: Difference | None = Difference(TRAIN, f"{TRAIN} is gone from its folder")
    else:
        difference = line_difference(TRAIN, path, rebuilt / TRAIN)
        difference = difference or Difference(MANIFEST, f"{MANIFEST} gives {TRAIN} another sha256")
    if difference and ours == pinned:
        said = f"{difference.message}; what is rebuilt is what the manifest pins"
        difference = Difference(difference.where, said, difference.facts)
    return FilesCompared(facts, findings, difference, same_bytes=False)


def _compare_parquet(published: Published, rebuilt: Path) -> FilesCompared:
    path, pinned = published.folder / TRAIN_PARQUET, published.sha256(TRAIN_PARQUET)
    state = _state(path, pinned)
    ours = file_sha256(rebuilt / TRAIN_PARQUET)
    facts: dict[str, Any] = {
        "parquet": {"bytes": (rebuilt / TRAIN_PARQUET).stat().st_size, "same_bytes": ours == pinned}
    }
    if not state and ours == pinned:
        return FilesCompared(facts)
    if state == "gone":
        gone = f"{TRAIN_PARQUET} is gone from its folder"
        found = [Finding("gone", "files", gone)]
        return FilesCompared(facts, found, Difference(TRAIN_PARQUET, gone), same_bytes=False)
    facts["parquet"]["same_bytes"] = False
    findings = (
        [Finding("altered", "files", f"{TRAIN_PARQUET} was written anew since it was published")]
        if state
        else []
    )
    try:
        compared = compare_parquet(TRAIN_PARQUET, path, rebuilt / TRAIN_PARQUET)
    except (OSError, pa.ArrowException) as error:
        unread = Difference(TRAIN_PARQUET, f"{TRAIN_PARQUET} cannot be read ({str(error).splitlines()[0]})")
        return FilesCompared(facts, findings, unread, same_bytes=False)
    if compared.n_later:
        later = f"complexity and quality of {compared.n_later:,} rows were not known when it was published"
        findings.append(Finding("note", "files", later))
    return FilesCompared(facts, findings, compared.difference, same_bytes=False)


def _manifest_fault(manifest: Mapping[str, Any], then: Registered) -> str | None:
    """What a manifest says otherwise than the registry."""
    for key, value in (("selection_version", then.version), ("members_sha256", then.members_sha256)):
        if manifest.get(key) != value:
            return f"{MANIFEST}: {key} is {manifest.get(key)}, the registry has {value}"
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        return f"{MANIFEST} has no spec"
    differs = spec_difference(spec, then.spec)
    return f"{MANIFEST} and registry have another {differs.message}" if differs else None


def _state(path: Path, sha256: str | None) -> Any:
    if not path.is_file():
        return "gone"
    return "altered" if file_sha256(path) != sha256 else None
