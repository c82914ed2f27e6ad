"""Failures of the hub in words: what was asked for, what happened, what to do.

What belongs here: every way in which listing and downloading fail. What does not: doing either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deita_assets.core.hub_names import HubId
from deita_assets.core.shown import without_credentials
from deita_assets.errors import DeitaError, HubError, NotFoundError


@dataclass(frozen=True)
class Origin:
    """What is fetched for whom; for errors."""

    source: str
    hub: HubId

    def __str__(self) -> str:
        return f"source {self.source!r}: {self.hub}"


@contextmanager
def in_words(origin: Origin) -> Iterator[None]:
    """Turn whatever the library raises into an error that says what to do.

    The original is left out on purpose: it may hold signed addresses.
    """
    try:
        yield
    except (DeitaError, KeyboardInterrupt):  # Dagster's interruptions are both
        raise
    except Exception as error:
        raise _explained(origin, error) from None


def _explained(origin: Origin, error: Exception) -> DeitaError:
    from huggingface_hub import errors

    hub = origin.hub
    if isinstance(error, errors.GatedRepoError | errors.DisabledRepoError):
        return HubError(
            f"{origin}: the dataset is gated or disabled, and the hub gives it to nobody without leave.",
            cure=f"Ask for access at https://huggingface.co/datasets/{hub.repo} and set HF_TOKEN, or "
            f"{_by_hand(origin)}",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return NotFoundError(
            f"{origin}: the hub knows no such dataset, or it is private.",
            cure="Check ORG/NAME; for a private one set HF_TOKEN, or log in with `hf auth login`.",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return NotFoundError(
            f"{origin}: the dataset has no such commit.",
            cure=f"Take a commit id from https://huggingface.co/datasets/{hub.repo}/commits/main.",
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return HubError(
            f"{origin}: the hub refuses ({status}).",
            cure="Check HF_TOKEN, or log in with `hf auth login`; the token must be allowed to read the dataset.",
        )
    if isinstance(error, errors.OfflineModeIsEnabled) or _is_offline():
        return HubError(
            f"{origin}: HF_HUB_OFFLINE is set, so nothing is fetched.",
            cure=f"Unset it, or {_by_hand(origin)}",
        )
    return HubError(
        f"{origin} could not be fetched ({_short(error)}).",
        cure=f"Try again where the hub can be reached, or {_by_hand(origin)}",
    )


def _is_offline() -> bool:
    from huggingface_hub import is_offline_mode

    return is_offline_mode()


def _by_hand(origin: Origin) -> str:
    return (
        f"download the files elsewhere and put them into landing/{origin.source}/ by hand, without `hub` of "
        f"[sources.{origin.source}] in deita.toml."
    )


def other_hub() -> str:
    """Cure of an answer that no hub should give."""
    return "Try again; if it stays so, do not trust that hub: see HF_ENDPOINT."


def _short(error: Exception) -> str:
    """Kind and first line of an error, without what is secret in addresses: signatures behind a `?`, passwords."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    told = re.sub(r"[?]\S*", "", lines[0])[:300].rstrip(". ") if lines else "no message"
    return f"{type(error).__name__}: {without_credentials(told)}"
