"""What holds in every case of the matrix, whatever was done to a home.

    rows read = rows in the pool + exact duplicates + quarantined + taken down, of every source;
    what was published stays byte for byte, unless the run succeeded;
    no message or log repeats the text of a row, and nobody is shown a traceback.

What belongs here: looking, and comparing two looks. What does not: bringing anything about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse

#: Stands in the texts of rows that tests make: nothing that is printed or logged may hold it.
CANARY = "words-of-a-row"
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Account:
    """Where the rows of a source's living files are, each counted in its own table."""

    read: int
    pool: int
    duplicates: int
    quarantined: int
    taken: int

    @property
    def balanced(self) -> bool:
        return self.read == self.pool + self.duplicates + self.quarantined + self.taken


@dataclass(frozen=True)
class Look:
    """A home at one moment: what is published, and what its pools are."""

    accounts: dict[str, Account]
    #: Path below the home -> sha256, of subsets and the serving copy.
    published: dict[str, str]
    #: source -> (pool version, sha256 of its rows)
    pools: dict[str, tuple[str, str]]
    heads: list[tuple[Any, ...]]

    @classmethod
    def at(cls, home: Home) -> Look:
        if not home.warehouse.exists():
            return cls({}, _published(home), {}, [])
        with Warehouse(home).read("look") as con:

            def query(text: str, *parameters: Any) -> list[tuple[Any, ...]]:
                return con.execute(text, list(parameters)).fetchall()

            sources = [name for (name,) in query("select source from store.source order by 1")]
            return cls(
                {source: _account(query, source) for source in sources},
                _published(home),
                {source: _pool(query, source) for source in sources},
                query("select * from store.selection_head order by all")
                + query("select * from store.ledger_head order by all"),
            )


def _account(query: Callable[..., list[tuple[Any, ...]]], source: str) -> Account:
    living = dict(
        query(
            "select sample_id, count(*) from store.occurrence where source = ? and to_seq is null group by 1",
            source,
        )
    )
    taken = {row for (row,) in query("select sample_id from store.takedown")} & set(living)
    ((read,),) = query(
        "select coalesce(sum(n_read), 0) from store.file where source = ? and to_seq is null", source
    )
    ((quarantined,),) = query(
        "select count(*) from store.quarantine where source = ? and to_seq is null", source
    )
    ((pool,),) = query("select count(*) from pool where source = ?", source)
    return Account(int(read), pool, sum(living.values()) - len(living), quarantined, len(taken))


def _pool(query: Callable[..., list[tuple[Any, ...]]], source: str) -> tuple[str, str]:
    rows = query(
        "select sample_id, conversations, file, line, pool_version from pool where source = ? order by 1",
        source,
    )
    return (rows[0][-1] if rows else "", hashlib.sha256(repr(rows).encode()).hexdigest())


def _published(home: Home) -> dict[str, str]:
    files = [path for path in home.subsets.rglob("*") if path.is_file()]
    files += [home.serving] if home.serving.exists() else []
    return {str(path.relative_to(home.root)): _sha256(path) for path in sorted(files)}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def holds(before: Look, after: Look, *, succeeded: bool) -> None:
    """Every account balances; what was published stays, and without success no pool and no head moves."""
    for source, account in after.accounts.items():
        assert account.balanced, (source, account)
    if succeeded:
        subsets = {name: sha for name, sha in before.published.items() if name.startswith("subsets/")}
        assert subsets.items() <= after.published.items()
    else:
        assert after.published == before.published
        assert after.pools == before.pools
        assert after.accounts == before.accounts
        assert after.heads == before.heads


def discreet(said: str, texts: Iterable[str] = (CANARY,)) -> None:
    """Nothing that was said repeats a row, or is a traceback."""
    assert _TRACEBACK not in said
    for text in texts:
        assert text not in said, f"{text!r} was repeated"


@dataclass
class Watched:
    """What came of the block under `watched`."""

    error: BaseException | None = None
    look: Look | None = None
    texts: list[str] = field(default_factory=lambda: [CANARY])

    def message(self, home: Home) -> str:
        """Class and message of the error without the place of the home."""
        assert self.error is not None
        text = str(getattr(self.error, "message", self.error)).replace(f"{home.root}/", "")
        return f"{type(self.error).__name__}: {text}"


@contextmanager
def watched(
    home: Home,
    caplog: pytest.LogCaptureFixture | None = None,
    capsys: pytest.CaptureFixture[str] | None = None,
    expect: tuple[type[BaseException], ...] = (),
) -> Iterator[Watched]:
    """Asserts the invariant around a block; errors of the classes `expect` are kept in `error`, others go on."""
    before, seen = Look.at(home), Watched()
    try:
        yield seen
    except expect as error:
        seen.error = error
    seen.look = Look.at(home)
    holds(before, seen.look, succeeded=seen.error is None)
    said = str(seen.error or "") + (caplog.text if caplog else "")
    if capsys:
        printed = capsys.readouterr()
        said += printed.out + printed.err
    discreet(said, seen.texts)
