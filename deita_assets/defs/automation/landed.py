"""What stands in landing, as the sensors look at it: seldom read, often listed.

What belongs here: one look at all folders. What does not: the rules of what counts as a file of a source
(engines.landing), or ingesting.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deita_assets.core.names import validate_source_name
from deita_assets.engines.hub import hub_sources
from deita_assets.engines.landing import landing_paths, landing_state, source_names
from deita_assets.errors import DeitaError, InvalidNameError
from deita_assets.settings import DeitaSettings
from deita_assets.stores.home import Home


@dataclass(frozen=True)
class Landed:
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


def look_at_landing(home: Home, settings: DeitaSettings, known: set[str]) -> dict[str, Landed]:
    """Every source with files, with a dataset of the hub, or among the `known` ones; in name order.

    A known one whose folder is empty or gone is looked at too: that is a change.
    """
    names = {*source_names(home), *hub_sources(settings), *filter(_is_name, known)}
    mixtures = set(settings.mixture_names)
    found = {}
    for name in sorted(names - mixtures):
        one = _look(home, name, from_hub=bool(settings.source(name).hub))
        if one.waits or name in known:
            found[name] = one
    return found


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


def _look(home: Home, source: str, *, from_hub: bool) -> Landed:
    try:
        waits = from_hub or bool(landing_paths(home, source))
        return Landed(landing_state(home, source), waits)
    except DeitaError as error:
        return Landed(None, trouble=error.message.removeprefix(f"source {source!r}: "), cure=error.cure)
    except OSError as error:
        return Landed(
            None,
            trouble=f"its folder in landing cannot be listed: {error.strerror}.",
            cure="Check that it may be read.",
        )


def _is_name(name: str) -> bool:
    try:
        validate_source_name(name)
    except InvalidNameError:
        return False
    return True
