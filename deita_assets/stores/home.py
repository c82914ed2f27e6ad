"""The home folder: every path that the platform reads or writes, in one place.

What belongs here: names of files and folders below `$DEITA_HOME`. What does not: opening any of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "DEITA_HOME"
DEFAULT_HOME = "deita_home"


@dataclass(frozen=True)
class Home:
    """All paths of one installation; nothing outside `root` is ever written."""

    root: Path

    @classmethod
    def at(cls, path: str | Path | None = None) -> Home:
        """The home at `path`, else at `$DEITA_HOME`, else `./deita_home`; absolute."""
        return cls(Path(path or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().resolve())

    def create(self) -> Home:
        """Make the folders that every command may rely on; harmless when they exist."""
        for folder in (self.landing, self.lance, self.subsets, self.staging, self.locks, self.dagster):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    @property
    def settings(self) -> Path:
        """`deita.toml`; optional."""
        return self.root / "deita.toml"

    @property
    def landing(self) -> Path:
        """What stands in `landing/<source>/` IS the source."""
        return self.root / "landing"

    @property
    def warehouse(self) -> Path:
        """Truth: rows, ledgers, registry."""
        return self.root / "warehouse.duckdb"

    @property
    def warehouse_lock(self) -> Path:
        """Serialises access to the warehouse between processes."""
        return self.root / "warehouse.lock"

    @property
    def serving(self) -> Path:
        """Published read-only copy of the warehouse."""
        return self.root / "serving.duckdb"

    @property
    def lance(self) -> Path:
        """Truth: scores and embeddings."""
        return self.root / "lance"

    @property
    def training(self) -> Path:
        """Heads that were trained here, their features and evaluation."""
        return self.root / "training"

    @property
    def subsets(self) -> Path:
        """Immutable selected subsets."""
        return self.root / "subsets"

    @property
    def staging(self) -> Path:
        """Files of an ingest before its transaction; safe to delete when nothing runs."""
        return self.root / "staging"

    @property
    def withdrawn(self) -> Path:
        """Files that were taken out of landing by hand, one folder for each source; the user's."""
        return self.root / "withdrawn"

    @property
    def refused(self) -> Path:
        """Quarantine of the last ingest of a source where the limit refused it, one file for each source."""
        return self.root / "refused"

    @property
    def takedowns(self) -> Path:
        """When rows of each source were last taken down, for the rule of staleness; the store has the rows."""
        return self.root / "takedowns.json"

    @property
    def let_go(self) -> Path:
        """Marks of the scopes whose ledgers were let go as wrong (`stores.let_go`)."""
        return self.root / "let_go.json"

    @property
    def damaged(self) -> Path:
        """What a repair set aside; nothing reads it, and it may be removed."""
        return self.root / "damaged"

    @property
    def atlas(self) -> Path:
        """Maps of ledgers, made on demand."""
        return self.root / "atlas"

    @property
    def sql_history(self) -> Path:
        """What was typed at the SQL prompt."""
        return self.root / ".sql_history"

    @property
    def serving_state(self) -> Path:
        """What warehouse and copy looked like when the copy was made."""
        return self.root / ".serving-state.json"

    @property
    def locks(self) -> Path:
        """One lock file per (measure, fingerprint) that is being computed."""
        return self.root / "locks"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME of this home."""
        return self.root / "dagster"

    def source_landing(self, source: str) -> Path:
        """Folder whose files are the source."""
        return self.landing / source

    def subset(self, scope_kind: str, scope: str, budget: int, version: str) -> Path:
        """Folder of one selection version."""
        return self.subsets / scope_kind / scope / str(budget) / version
