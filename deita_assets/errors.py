"""Every error that deita_assets raises on purpose.

What belongs here: exception classes, and nothing that can fail on its own.

    DeitaError                      message = where, what was found, what was expected; `cure` = what to do
    ├── UsageError                  the caller asked for something impossible (exit code 2)
    │   ├── InvalidNameError        a source, mixture or budget name that the stores cannot hold
    │   ├── SettingsError           deita.toml or a DEITA_* variable is wrong
    │   └── NotFoundError           an id, version or source that does not exist
    ├── ParseError                  one row is not a conversation; goes to quarantine, never past ingest
    ├── SourceFileError             a whole file cannot be read (wrong encoding, broken Parquet footer)
    ├── QuarantineLimitError        too many rows of an ingest are malformed; the pool is as it was
    ├── HubError                    a dataset on the hub cannot be had, or is not what the hub lists
    ├── AccountingError             rows read != rows in pool + exact duplicates + quarantined
    ├── LockTimeoutError            another process holds a store; names its pid and run
    ├── QueryTimeoutError           a query took longer than it may; it was stopped, nothing else was
    ├── ScorerError                 a scorer cannot be loaded, or broke its contract
    ├── EmbedderError               an embedder cannot be loaded, or broke its contract
    ├── StoreError                  a store is damaged or of another version
    └── MixedFingerprintsError      one selection would mix scores of different scorers or embedders
"""

from __future__ import annotations


class DeitaError(Exception):
    """Base of all errors; `cure` says what the reader can do about it."""

    exit_code = 1

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        stop = "." if self.cure and not self.message.endswith((".", "!", "?")) else ""
        return f"{self.message}{stop} {self.cure}".strip()


class UsageError(DeitaError):
    """The request itself is wrong; nothing was touched."""

    exit_code = 2


class InvalidNameError(UsageError):
    """A name that the stores, the file system or Dagster cannot hold."""


class SettingsError(UsageError):
    """`deita.toml` or a `DEITA_*` variable is unknown or has a wrong value."""


class NotFoundError(UsageError):
    """Nothing in the stores answers to this id, version, source or file."""

    exit_code = 1


class ParseError(DeitaError):
    """One row is not a conversation.

    Attributes:
        reason: stable code out of `deita_assets.core.reasons`.
        path: where inside the row, such as `messages[3].content`.
        found: what stood there, shortened.
        expected: what should have stood there.
    """

    def __init__(self, reason: str, path: str = "", found: str = "", expected: str = "") -> None:
        where = f" at {path}" if path else ""
        tail = f": found {found}" if found else ""
        wanted = f", expected {expected}" if expected else ""
        super().__init__(f"{reason}{where}{tail}{wanted}")
        self.reason = reason
        self.path = path
        self.found = found
        self.expected = expected


class SourceFileError(DeitaError):
    """A whole file cannot be read; the other files of its source are untouched."""


class QuarantineLimitError(DeitaError):
    """Too many rows of an ingest are malformed: the pool is as it was, and what was wrong with them can be read."""


class HubError(DeitaError):
    """A dataset on the hub cannot be had, or what came is not what the hub lists; landing is as it was."""


class AccountingError(DeitaError):
    """An ingest lost or invented rows; it was rolled back."""


class LockTimeoutError(DeitaError):
    """A store stayed locked by another process until the deadline."""


class QueryTimeoutError(DeitaError):
    """A query over the published catalog was stopped because its time was up."""


class ScorerError(DeitaError):
    """A scorer cannot be loaded, or it broke its contract."""


class EmbedderError(DeitaError):
    """An embedder cannot be loaded, or it broke its contract."""


class StoreError(DeitaError):
    """A store is damaged, missing, or written by another version."""


class MixedFingerprintsError(DeitaError):
    """One selection would mix scores or embeddings of different models."""
