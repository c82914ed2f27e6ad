"""Finding the row that somebody means, among all that ever came in: in the pool, gone from it, or in quarantine.

What belongs here: from typed text to one row. What does not: telling its story.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deita_assets.cli.session import dictionaries
from deita_assets.core.names import SHORTEST_PREFIX
from deita_assets.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    import duckdb

#: Fewer characters of an id are more likely a typing slip than meant.
#: Other rows that are named beside the one found.
_MOST = 10
_FILE_AND_LINE = re.compile(r"(.+):([1-9][0-9]{0,17})")

_QUARANTINE = """
select q.source, q.uri as file, q.line, q.reason, q.detail, q.raw_prefix, q.file_sha256, q.batch_id,
       i.ingested_at, q.to_seq is null as in_landing
from store.quarantine q left join store.ingest_batch i on i.batch_id = q.batch_id
where {condition} order by q.to_seq desc nulls first, q.source, q.uri, q.line limit 11
"""
#: Distinct rows by a condition; `place` 0 in the pool, 1 gone from it.
_ROWS = """
select distinct o.sample_id, if(r.sample_id is null, 1, 0) as place from store.occurrence o
left join main.pool r on r.sample_id = o.sample_id where {condition} order by place, o.sample_id limit 11
"""
_BY_ID = "o.sample_id = $text"
_BY_OWN_ID = "o.own_id = $text"
_BY_PREFIX = "(starts_with(o.sample_id, $text) or starts_with(split_part(o.sample_id, ':', 2), $text))"
#: Rows of an exclusion set, which stand in no ledger, come behind others; rows that left the pool come last.
_BY_PHRASE = """
select t.sample_id, if(r.sample_id is null, 1, 0) as place,
       t.sample_id in (select l.sample_id from main.ledger l) as has_verdict
from (
    select distinct sample_id from store.turn where contains(instruction, $text) or contains(response, $text)
) t
left join main.pool r on r.sample_id = t.sample_id order by place, has_verdict desc, t.sample_id limit 11
"""


@dataclass(frozen=True)
class Found:
    """What a text names.

    Attributes:
        sample_id: a row that was read; None for one in quarantine.
        quarantined: a row in quarantine, with the columns of `quarantine`; None for one that was read.
        others: other rows that the text fits, as ids or `SOURCE/FILE:LINE`.
    """

    sample_id: str | None
    quarantined: dict[str, Any] | None
    others: list[str]


def find_row(con: duckdb.DuckDBPyConnection, text: str) -> Found:
    """The row that `text` names, of all that ever came in.

    Tried in this order: a sample id, a row's own id, `FILE:LINE`, 6 or more characters of a sample id (with or without
    its source), an own id in quarantine, a phrase in an instruction or response, a phrase in quarantine. Rows in the
    pool go before rows that left it.

    Raises:
        NotFoundError: nothing matches.
        UsageError: an id, a place or a prefix that more than one row bears.
    """
    if not text.strip():
        raise UsageError(
            "nothing to explain.", cure="Give an id, 6 or more of its characters, FILE:LINE or a phrase."
        )
    for found in _attempts(con, text):
        if found is not None:
            return found
    raise NotFoundError(
        f"no row with id, place or text {text[:60]!r}.",
        cure="Give an id, 6 or more of its characters, FILE:LINE or a phrase. `deita-assets quarantine` lists rows "
        "that could not be read.",
    )


def _attempts(con: duckdb.DuckDBPyConnection, text: str) -> Iterator[Found | None]:
    yield _one_row(con, "id", _BY_ID, text)
    yield _one_row(con, "own id", _BY_OWN_ID, text)
    if place := _FILE_AND_LINE.fullmatch(text):
        yield _at_line(con, place[1], int(place[2]))
    if len(text) >= SHORTEST_PREFIX and " " not in text:
        yield _one_row(con, "prefix", _BY_PREFIX, text)
    yield _own_id_in_quarantine(con, text)
    yield _phrase(con, text)


def _one_row(con: duckdb.DuckDBPyConnection, what: str, condition: str, text: str) -> Found | None:
    rows = con.execute(_ROWS.format(condition=condition), {"text": text}).fetchall()
    in_pool = [name for name, place in rows if place == 0]
    gone = [name for name, place in rows if place == 1]
    meant = in_pool or gone
    if len(meant) > 1:
        raise _ambiguous(what, text, meant)
    return Found(meant[0], None, gone if in_pool else []) if meant else None


def _at_line(con: duckdb.DuckDBPyConnection, file: str, line: int) -> Found | None:
    rows = con.execute(
        "select o.sample_id, o.source || '/' || o.uri || ':' || o.line, o.to_seq from store.occurrence o "
        "where (o.uri = $file or o.source || '/' || o.uri = $file) and o.line = $line "
        "order by o.to_seq desc nulls first",
        {"file": file, "line": line},
    ).fetchall()
    refused = dictionaries(
        con,
        _QUARANTINE.format(
            condition="(q.uri = $file or q.source || '/' || q.uri = $file) and q.line = $line"
        ),
        {"file": file, "line": line},
    )
    living = [row for row in rows if row[2] is None]
    standing = [row for row in refused if row["in_landing"]]
    if living or standing:
        rows, refused = living, standing
    places = {row[1] for row in rows} | {_place(row) for row in refused}
    if len(places) > 1:
        raise _ambiguous("place", f"{file}:{line}", sorted(places))
    if rows:
        return Found(rows[0][0], None, sorted({row[0] for row in rows[1:]} - {rows[0][0]}))
    return Found(None, refused[0], []) if refused else None


def _own_id_in_quarantine(con: duckdb.DuckDBPyConnection, text: str) -> Found | None:
    """A row whose raw text, as far as it is kept, shows this own id."""
    quoted = re.escape(json.dumps(text, ensure_ascii=False))
    bare = f"|{re.escape(text)}" if text.lstrip("-").isdigit() else ""
    rows = dictionaries(
        con,
        _QUARANTINE.format(condition="regexp_matches(q.raw_prefix, $pattern)"),
        {"pattern": rf'"[A-Za-z_]*[iI][dD]"\s*:\s*({quoted}{bare})\s*[,}}\]]'},
    )
    rows = [row for row in rows if row["in_landing"]] or rows
    if len(rows) > 1:
        raise _ambiguous("own id", text, [_place(row) for row in rows])
    return Found(None, rows[0], []) if rows else None


def _phrase(con: duckdb.DuckDBPyConnection, text: str) -> Found | None:
    found = [str(row[0]) for row in con.execute(_BY_PHRASE, {"text": text}).fetchall()]
    # Raw text of JSON rows is escaped, with characters beyond ASCII or without.
    written = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    condition = "len(list_filter($written, lambda x: contains(q.raw_prefix, x))) > 0"
    refused = dictionaries(con, _QUARANTINE.format(condition=condition), {"written": sorted(written)})
    places = [_place(row) for row in refused]
    if found:
        return Found(found[0], None, (found[1:] + places)[:_MOST])
    return Found(None, refused[0], places[1:]) if refused else None


def _place(row: dict[str, Any]) -> str:
    return f"{row['source']}/{row['file']}:{row['line']}"


def _ambiguous(what: str, text: str, names: list[str]) -> UsageError:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return UsageError(
        f"{what} {text!r} fits {len(names)} rows{' or more' if len(names) >= _MOST else ''}: {shown}.",
        cure="Give more of it, or the sample id of one of them.",
    )
