"""Ids of datasets on the Hugging Face hub: how they are spelled, and which files of a repository they mean.

What belongs here: the rule for `hf://` ids and its cures. What does not: reaching the hub (engines.hub).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from deita_assets.core.shown import without_credentials
from deita_assets.errors import InvalidNameError

SCHEME = "hf://"
HUB_ID_SHAPE = "hf://datasets/ORG/NAME@REVISION[/PATH]"
#: A commit on the hub, as git names it; branches and tags move, so that the same id would mean other rows.
REVISION_PATTERN = r"[0-9a-f]{40}"
#: Longest path or pattern of an id, in characters; git itself allows 4,096 bytes.
MOST_PATH_CHARS = 512

_REVISION = re.compile(REVISION_PATTERN)
#: What the hub allows: word characters at both ends, dots and hyphens between them, neither of them doubled.
_REPO_PART = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")


@dataclass(frozen=True)
class HubId:
    """One pinned revision of one dataset, or some of its files; `str()` gives its one spelling.

    `repo` is `ORG/NAME`, `revision` a commit id of 40 lower-case hex digits, `path` a file, a folder or a pattern
    with `*`, `?` or `[...]`; None means every file that can be read.
    """

    repo: str
    revision: str
    path: str | None = None

    def __str__(self) -> str:
        return f"{SCHEME}datasets/{self.repo}@{self.revision}{f'/{self.path}' if self.path else ''}"

    def means(self, path: str) -> bool:
        """True when the file `path` of the repository is among those that this id names.

        In a pattern `*` goes across folders, as in the patterns of `huggingface_hub`; case counts.
        """
        if self.path is None or path == self.path:
            return True
        return path.startswith(f"{self.path}/") or fnmatchcase(path, self.path)


def is_hub_id(text: str) -> bool:
    """True for what is meant as a hub id, well spelled or not: no file is called so."""
    return text.lower().startswith(SCHEME)


def parse_hub_id(text: str) -> HubId:
    """The id that `text` spells: `hf://datasets/ORG/NAME@REVISION`, with `/PATH` to mean some files only.

    Raises:
        InvalidNameError: another shape, a name that the hub does not allow, a revision that is no full commit id,
            or a path that leads out of its folder.
    """
    kind, repo, revision, path = _parts(text)
    if kind != "datasets":
        raise _wrong(text, "names no dataset")
    for name in repo.split("/"):
        if not _REPO_PART.fullmatch(name) or name.endswith(".git"):
            raise _wrong(text, f"{name[:100]!a} is no name on the hub")
    if not _REVISION.fullmatch(revision.lower()):
        raise _not_pinned(text, repo, revision)
    return HubId(repo, revision.lower(), _path(text, path))


def _parts(text: str) -> tuple[str, str, str, str]:
    """(kind, `ORG/NAME`, revision, path); empty texts for what is not there."""
    if not text.startswith(SCHEME):
        raise _wrong(text, "does not begin with hf://")
    kind, organisation, name, *path = [*text.removeprefix(SCHEME).split("/", 3), "", ""][:4]
    name, _, revision = name.partition("@")
    return kind, f"{organisation}/{name}", revision, "".join(path)


def _path(text: str, path: str) -> str | None:
    """The path of an id, a folder without the slash at its end; None for an empty one."""
    path = path.removesuffix("/")
    if not path:
        return None
    if len(path) > MOST_PATH_CHARS or not is_plain_path(path):
        raise _wrong(text, f"the path {path[:100]!a} is no path within a dataset")
    return path


def is_plain_path(path: str) -> bool:
    """True for a relative path of printable UTF-8 without `.`, `..`, empty parts and backslashes."""
    if not path.isprintable() or "\\" in path:  # lone surrogates are not printable either
        return False
    return all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in path.split("/"))


def _wrong(text: str, what: str) -> InvalidNameError:
    text = without_credentials(text)
    shown = text if len(text) <= 200 else f"{text[:197]}..."
    return InvalidNameError(
        f"{shown!a} {what}: expected {HUB_ID_SHAPE}.",
        cure="For example hf://datasets/ORG/NAME@REVISION/data/*.parquet, REVISION being the full commit id.",
    )


def _not_pinned(text: str, repo: str, revision: str) -> InvalidNameError:
    found = (
        f"{revision[:100]!a} is no full commit id" if revision else "no revision, expected a full commit id"
    )
    return InvalidNameError(
        f"{text[:200]!a}: {found} (40 hex digits).",
        cure=f"Branches and tags move. Take the id from https://huggingface.co/datasets/{repo}/commits/main, or from "
        f"`git ls-remote https://huggingface.co/datasets/{repo} HEAD`.",
    )
