"""Take-downs: rows out of every future pool, for good, in every source that holds the same content.

A request to take something down is about what is written in it. So a row is found by its id, and its content is taken
down wherever it stands or stood; where it arrives later, ingest takes it down too. Texts stay in the store and
published folders stay as they are, so that what was selected can still be shown and made again.

What belongs here: which rows a request means, and its one transaction. What does not: statements (stores.takedowns).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from deita_assets.core.names import SHORTEST_PREFIX
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores import pool, takedowns
from deita_assets.stores.takedowns import HoldingVersion, KnownRow
from deita_assets.stores.warehouse import Warehouse

#: Fewer characters of an id are more likely a typing slip than meant.


@dataclass(frozen=True)
class Request:
    """What a take-down would do.

    Attributes:
        rows: every row of the contents asked for, those that are taken down already among them.
        versions: selections that hold one of them.
    """

    rows: list[KnownRow]
    versions: list[HoldingVersion]

    @property
    def new(self) -> list[KnownRow]:
        """Rows that are not taken down yet."""
        return [row for row in self.rows if row.taken_at is None]

    @property
    def contents(self) -> list[str]:
        """content_sha256 of the rows, once each."""
        return list(dict.fromkeys(row.content_sha256 for row in self.rows))

    @property
    def sources(self) -> list[str]:
        """Sources of the rows, in name order."""
        return sorted({row.source for row in self.rows})


def find_rows(warehouse: Warehouse, ids: Sequence[str]) -> Request:
    """The rows that ids or prefixes of ids mean, and who holds them.

    Args:
        warehouse: read only.
        ids: sample ids, or 6 or more characters of one, with or without its source; a prefix may fit rows of
            several sources as long as their content is the same.

    Raises:
        UsageError: a prefix that is too short, or fits rows of different content.
        NotFoundError: no row starts so.
    """
    with warehouse.read("take down: which rows") as con:
        contents = []
        for given in ids:
            if len(given.rpartition(":")[2]) < SHORTEST_PREFIX:
                raise UsageError(
                    f"row {given!r}: give {SHORTEST_PREFIX} characters of its id or more.",
                    cure="`deita-assets explain` finds the id of a row by its own id, FILE:LINE or a phrase in it.",
                )
            found = takedowns.contents_of_prefix(con, given)
            if not found:
                raise NotFoundError(
                    f"no row {given!r}, in the pool or formerly in it.",
                    cure="`deita-assets explain TEXT` finds a row by a phrase in it and shows its id.",
                )
            if len(found) > 1:
                raise UsageError(
                    f"{given!r} is the start of {len(found)} rows or more.", cure="Give more characters."
                )
            contents += found
        rows = takedowns.rows_of_contents(con, contents)
        return Request(rows, takedowns.versions_holding(con, [row.sample_id for row in rows]))


def take_down(warehouse: Warehouse, contents: Sequence[str], reason: str) -> list[str]:
    """Take contents down in all sources, in one transaction; returns the sources whose pool changed.

    What is taken down already stays as it was recorded. Every row counts as out from the next `seq` of its source;
    a source that has one of them in its pool gets that `seq` and a new pool version at once.

    Raises:
        AccountingError: rows would be lost or invented; nothing was written.
    """
    with warehouse.write("take down") as con:
        # Under the lock, so that take-downs have the order of their times: which rows a frozen base had lost by some
        # moment is told by that order alone.
        taken_at = dt.datetime.now(dt.UTC)
        by_source: dict[str, list[KnownRow]] = defaultdict(list)
        for row in takedowns.rows_of_contents(con, contents):
            if row.taken_at is None:
                by_source[row.source].append(row)
        changed = []
        for source, rows in by_source.items():
            seq = pool.next_seq(con, source)
            takedowns.save_takedown(con, [row.sample_id for row in rows], reason, taken_at, seq)
            if any(row.in_pool for row in rows):
                pool.rebuild_pool(con, source, seq)
                pool.account(con, source)
                changed.append(source)
        if by_source:
            takedowns.mark(warehouse.home, by_source, taken_at)
    return changed
