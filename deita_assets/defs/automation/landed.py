"""What stands in landing, as the sensors look at it: seldom read, often listed.

What belongs here: one look at all folders, and at what stands beside them. What does not: the rules of what counts as
a file of a source (engines.landing), or ingesting.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deita_assets.core.names import is_source_name, validate_source_name
from deita_assets.engines.hub import hub_sources
from deita_assets.engines.landing import UNFINISHED, landing_paths, landing_state, source_names
from deita_assets.errors import DeitaError, InvalidNameError
from deita_assets.settings import DeitaSettings
from deita_assets.stores.home import Home

#: Names of files that are told; the others are counted.
_NAMED = 3


@dataclass(frozen=True)
class SourceFolder:
    """What stands in the landing folder of a source.

    Attributes:
        state: digest of names, sizes and times; None when the folder cannot be listed.
        waits: there is something to read: files, or a dataset of the hub.
        trouble: why not.
        cure: what to do about it.
    """

    state: str | None
    waits: bool = True
    trouble: str | None = None
    cure: str = ""


@dataclass(frozen=True)
class PassedOver:
    """What stands in landing and belongs to no source.

    Attributes:
        place: where, such as `landing/MyData/`.
        why: what was found and what was expected.
        cure: what to do about it.
    """

    place: str
    why: str
    cure: str


@dataclass(frozen=True)
class Landing:
    """One look at landing.

    Attributes:
        sources: source -> its folder, in name order.
        passed_over: what belongs to none.
    """

    sources: Mapping[str, SourceFolder]
    passed_over: tuple[PassedOver, ...] = ()


def look_at_landing(home: Home, settings: DeitaSettings, known: set[str]) -> Landing:
    """Every source with files, with a dataset of the hub, or among the `known` ones; and what is none.

    A known one whose folder is empty or gone is looked at too: that is a change.
    """
    names = {*source_names(home), *hub_sources(settings), *filter(is_source_name, known)}
    mixtures = set(settings.mixture_names)
    found = {}
    for name in sorted(names - mixtures):
        one = _look(home, name, from_hub=bool(settings.source(name).hub))
        if one.waits or name in known:
            found[name] = one
    return Landing(found, tuple(_passed_over(home, mixtures)))


def quiet_since(home: Home, source: str) -> float:
    """When anything in the landing folder of a source last changed, in seconds since 1970.

    The time of the last change of a file's entry, which no copying preserves.
    """
    times = [0.0]
    for base, _, names in os.walk(home.source_landing(source)):
        for path in (Path(base), *(Path(base) / name for name in names)):
            with suppress(FileNotFoundError):  # it left since it was listed
                times.append(path.lstat().st_ctime)
    return max(times)


def _look(home: Home, source: str, *, from_hub: bool) -> SourceFolder:
    try:
        waits = from_hub or bool(landing_paths(home, source))
        return SourceFolder(landing_state(home, source), waits)
    except DeitaError as error:
        return SourceFolder(None, trouble=error.message.removeprefix(f"source {source!r}: "), cure=error.cure)
    except OSError as error:
        return SourceFolder(
            None,
            trouble=f"its folder in landing cannot be listed: {error.strerror}.",
            cure="Check that it may be read.",
        )


def _passed_over(home: Home, mixtures: Collection[str]) -> Iterator[PassedOver]:
    """Folders with files that no source may be named as, and files that stand in no folder."""
    files = []
    for path in sorted(home.landing.iterdir()) if home.landing.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            why = _no_source(path.name, mixtures)
            if why and _holds_files(path):
                yield PassedOver(f"landing/{_shown(path.name)}/", why.message, why.cure)
        elif not path.name.endswith(UNFINISHED):
            files.append(_shown(path.name))
    if files:
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        yield PassedOver(
            "landing",
            f"{', '.join(files[:_NAMED])}{more} in no folder of a source.",
            "Move what is to be read into landing/SOURCE/; the folder's name is that of the source.",
        )


def _no_source(name: str, mixtures: Collection[str]) -> DeitaError | None:
    """Why a folder is none of a source."""
    try:
        validate_source_name(name)
    except InvalidNameError as error:
        return error
    if name in mixtures:
        return InvalidNameError(
            f"source name {name!r}: a mixture bears this name.", cure="Rename the folder or the mixture."
        )
    return None


def _holds_files(folder: Path) -> bool:
    """Whether any visible file stands below a folder; an empty one means nothing."""
    return any(
        not name.startswith(".") and not name.endswith(UNFINISHED)
        for _, _, names in os.walk(folder)
        for name in names
    )


def _shown(name: str) -> str:
    """A name as one printable word."""
    return name if name.isascii() and name.isprintable() else ascii(name)
