"""What the hub gives: the files of a dataset at one commit, and each of them, checked against that listing.

`huggingface_hub` speaks with the hub. Its environment decides where that is, whether it may be reached and with which
token: `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_TOKEN`. None of these is read, kept or shown here.

What belongs here: listing and downloading. What does not: landing, and the words for failures (hub_errors).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deita_assets.core.hub_names import HubId, is_plain_path
from deita_assets.engines.hub_errors import Origin, in_words, other_hub
from deita_assets.engines.hub_record import HubFile
from deita_assets.errors import HubError, NotFoundError

if TYPE_CHECKING:
    from huggingface_hub.utils.tqdm import tqdm as hub_progress

#: Seconds to wait for the listing of a dataset.
LISTING_TIMEOUT_S = 60.0
#: What the readers take: by name, because content is known only after the download.
READABLE = tuple(
    f"{name}{packed}" for name in (".jsonl", ".ndjson", ".json") for packed in ("", ".gz", ".zst")
) + (".parquet",)
#: JSON files about a dataset that hold none of its rows; they are taken when an id names them outright.
ABOUT = frozenset({"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json"})
#: A server that sends more than this many times a file's size, in whatever many attempts, is given up.
_MOST_SENT = 4
_SLACK_BYTES = 1 << 20


def listing(origin: Origin) -> tuple[HubFile, ...]:
    """The files that an id names and that can be read, in path order, as the hub lists them at that commit.

    Raises:
        HubError: the hub cannot be reached, refuses, or lists what no folder can hold.
        NotFoundError: there is no such dataset or revision, or none of its files is named or can be read.
    """
    from huggingface_hub import HfApi

    hub = origin.hub
    with in_words(origin):
        found = HfApi().dataset_info(
            hub.repo, revision=hub.revision, files_metadata=True, timeout=LISTING_TIMEOUT_S
        )
        if found.sha != hub.revision:
            raise HubError(f"{origin}: the hub answered with commit {found.sha!a}.", cure=other_hub())
        names = [one.rfilename for one in found.siblings or ()]
        chosen = [_listed(origin, one) for one in found.siblings or () if _is_meant(hub, one.rfilename)]
    if not chosen:
        raise _nothing(origin, names)
    chosen.sort(key=lambda file: file.path)
    _refuse_twins(origin, chosen)
    return tuple(chosen)


def download(origin: Origin, file: HubFile, folder: Path) -> Path:
    """Fetch one file into `folder`, under its own path; a file that stands there already is taken when it is whole.

    Returns:
        Where it stands, with the size and checksum that the listing told.

    Raises:
        HubError: the hub cannot be reached, or sends something else.
    """
    target = folder / file.path
    if file.is_content_of(target):
        return target
    target.unlink(missing_ok=True)
    from huggingface_hub import hf_hub_download

    with in_words(origin):
        hf_hub_download(
            origin.hub.repo,
            file.path,
            repo_type="dataset",
            revision=origin.hub.revision,
            local_dir=folder,
            tqdm_class=_metered(origin, file),
        )
    if not file.is_content_of(target):
        raise HubError(
            f"{origin}: {file.path} came with other content than the hub lists for this commit "
            f"({target.stat().st_size:,} bytes, expected {file.size:,}).",
            cure=other_hub(),
        )
    return target


def _listed(origin: Origin, sibling: Any) -> HubFile:
    """One line of a listing.

    Raises:
        HubError: a path that leads out of its folder, or no size or checksum.
    """
    path, size = sibling.rfilename, sibling.size
    if not is_plain_path(path):
        raise HubError(f"{origin}: the hub lists a file {path[:200]!a}.", cure=other_hub())
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    if not (isinstance(size, int) and size >= 0 and (sha256 or sibling.blob_id)):
        raise HubError(f"{origin}: the hub lists {path} without size or checksum.", cure=other_hub())
    return HubFile(path, size, sha256, None if sha256 else sibling.blob_id)


def _is_meant(hub: HubId, path: str) -> bool:
    parts = path.split("/")
    if not path.lower().endswith(READABLE) or any(part.startswith(".") and part.strip(".") for part in parts):
        return False  # hidden ones; a part of nothing but dots is looked at, and refused
    return hub.means(path) and (path == hub.path or parts[-1] not in ABOUT)


def _nothing(origin: Origin, paths: list[str]) -> NotFoundError:
    shown = ", ".join(ascii(path)[1:-1] for path in sorted(paths)[:12]) + (
        f" and {len(paths) - 12} more" if len(paths) > 12 else ""
    )
    return NotFoundError(
        f"{origin} names no file that can be read; it holds {shown or 'none at all'}.",
        cure=f"Correct the path behind the revision; read are {', '.join(READABLE)}.",
    )


def _refuse_twins(origin: Origin, files: list[HubFile]) -> None:
    """Two paths that differ in case alone are one file on some file systems, and one would be lost."""
    first: dict[str, str] = {}
    for file in files:
        other = first.setdefault(file.path.casefold(), file.path)
        if other != file.path:
            raise HubError(
                f"{origin}: {other} and {file.path} differ in upper and lower case alone.",
                cure="Name one of them behind the revision.",
            )


def _metered(origin: Origin, file: HubFile) -> type[hub_progress]:
    """The library's progress bar (on a terminal only), which also counts what the server sends for one file.

    The library checks sizes once the last byte has come, and begins anew as long as any byte comes.
    """
    from huggingface_hub.utils.tqdm import tqdm

    class Metered(tqdm):
        received = 0.0

        def update(self, n: float | None = 1) -> bool | None:
            self.received += max(n or 0, 0)
            if self.received > _MOST_SENT * file.size + _SLACK_BYTES:
                raise HubError(
                    f"{origin}: {file.path} should have {file.size:,} bytes, and {self.received:,.0f} came.",
                    cure=other_hub(),
                )
            shown: bool | None = super().update(n)
            return shown

    return Metered
