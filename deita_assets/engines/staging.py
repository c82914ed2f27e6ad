"""Staging of an ingest: parsed rows go to Parquet files of bounded size before one short transaction loads them.

What belongs here: turning records into staged rows, with every reject kept. What does not: the transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deita_assets.core.conversation import Conversation, sample_id
from deita_assets.core.fingerprint import canonical_json, sha256_hex
from deita_assets.core.formats import FieldMap, RowParser, detect_format, extra_fields, own_id, row_language
from deita_assets.core.limits import ReadLimits
from deita_assets.errors import ParseError
from deita_assets.readers import Record, Reject, read_records, sniff
from deita_assets.stores.pool import LandingFile, StagedFile

#: Rows and characters of a staged file, so that memory stays flat whatever the size of the source and of its rows:
#: a row takes about ten times its text until it is written.
ROWS_PER_FILE = 10_000
CHARS_PER_FILE = 8_000_000
#: Rows looked at to recognise a source's format.
DETECTION_ROWS = 200

_STRING, _LONG = pa.string(), pa.int64()
_SCHEMAS: dict[str, pa.Schema] = {
    "conversation": pa.schema(
        [
            ("sample_id", _STRING), ("source", _STRING), ("content_sha256", _STRING), ("conversation", _STRING),
            ("n_turns", pa.int32()), ("n_messages", pa.int32()), ("n_chars", _LONG),
            ("has_system", pa.bool_()), ("has_tools", pa.bool_()), ("language", _STRING),
        ]
    ),
    "turn": pa.schema(
        [
            ("sample_id", _STRING), ("turn", pa.int32()), ("system", _STRING), ("instruction", _STRING),
            ("response", _STRING), ("complexity_prompt_sha256", _STRING), ("quality_prompt_sha256", _STRING),
        ]
    ),
    "occurrence": pa.schema(
        [
            ("source", _STRING), ("uri", _STRING), ("file_sha256", _STRING), ("line", _LONG),
            ("sample_id", _STRING), ("own_id", _STRING),
        ]
    ),
    "quarantine": pa.schema(
        [
            ("source", _STRING), ("uri", _STRING), ("file_sha256", _STRING), ("line", _LONG),
            ("reason", _STRING), ("detail", _STRING), ("raw_prefix", _STRING),
        ]
    ),
}  # fmt: skip


def recognise_format(
    paths: list[Path], field_map: Mapping[str, str], limits: ReadLimits, *, answers_required: bool = True
) -> str | None:
    """Format of the first rows of a source's files, or None when no row is of a known one."""
    rows: list[Any] = []
    for path in paths:
        for record in read_records(path, limits):
            if isinstance(record, Record):
                rows.append(record.value)
            if len(rows) >= DETECTION_ROWS:
                break
        if len(rows) >= DETECTION_ROWS:
            break
    return detect_format(rows, field_map, answers_required=answers_required)


@dataclass
class Preview:
    """What an ingest of some files would find."""

    format: str | None
    n_read: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    conversations: list[Conversation] = field(default_factory=list)


def preview(
    paths: list[Path],
    format_: str | None,
    field_map: Mapping[str, str],
    limits: ReadLimits | None = None,
    *,
    answers_required: bool = True,
) -> Preview:
    """Parse files without writing anything; keeps the first three conversations."""
    limits = limits or ReadLimits()
    seen = Preview(format_ or recognise_format(paths, field_map, limits, answers_required=answers_required))
    parser = RowParser(seen.format or "auto", field_map, limits, answers_required=answers_required)
    for path in paths:
        for record in read_records(path, limits):
            seen.n_read += 1
            parsed = _parse(parser, record) if isinstance(record, Record) else record
            if isinstance(parsed, Reject):
                seen.reasons[parsed.reason] += 1
            elif len(seen.conversations) < 3:
                seen.conversations.append(parsed)
    return seen


def questions_cure(source: str, paths: list[Path]) -> str | None:
    """What to do about files none of whose rows could be read: says so when they hold questions without answers."""
    seen = preview(paths, None, {}, answers_required=False)
    if seen.n_read == sum(seen.reasons.values()):
        return None
    return (
        "They hold questions without answers. If they are an evaluation set to keep selections clear of: put "
        f'`exclusion_sets = ["{source}"]` into deita.toml and add them again.'
    )


class Stage:
    """Collects the rows of one ingest; exact duplicates within it are staged once and counted as occurrences."""

    def __init__(
        self,
        folder: Path,
        source: str,
        format_: str | None,
        field_map: Mapping[str, str],
        limits: ReadLimits,
        *,
        answers_required: bool = True,
        on_bytes: Callable[[int], None] = lambda read: None,
    ) -> None:
        self.folder = folder
        self.source = source
        self.limits = limits
        self._on_bytes, self._bytes_before = on_bytes, 0
        self.files: list[StagedFile] = []
        self.extra_fields: set[str] = set()
        self.reasons: Counter[str] = Counter()
        self._format = format_
        self._field_map = FieldMap.of(field_map)
        self._parser = RowParser(
            format_ or "auto", self._field_map, limits, answers_required=answers_required
        )
        self._seen: set[bytes] = set()
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _SCHEMAS}
        self._chars = 0
        self._written = 0

    def add_file(self, path: Path, file: LandingFile) -> StagedFile:
        """Parse one file to its end; every row becomes an occurrence or a quarantined row.

        Raises:
            SourceFileError: the file as a whole cannot be read.
        """
        kind = sniff(path)
        n_read = n_quarantined = 0
        before = self._bytes_before
        for record in read_records(path, self.limits, lambda read: self._on_bytes(before + read)):
            n_read += 1
            n_quarantined += not self._add(record, file)
            if self._is_full():
                self.flush()
        self._bytes_before += file.n_bytes
        self._on_bytes(self._bytes_before)
        staged = StagedFile(file, kind.container, kind.compression, n_read, n_quarantined)
        self.files.append(staged)
        return staged

    def flush(self) -> None:
        """Write what was collected to Parquet."""
        for name, rows in self._rows.items():
            if rows:
                table = pa.Table.from_pylist(rows, schema=_SCHEMAS[name])
                pq.write_table(table, self.folder / f"{name}-{self._written:05d}.parquet", compression="zstd")
                rows.clear()
        self._chars = 0
        self._written += 1

    def _is_full(self) -> bool:
        n_rows = len(self._rows["occurrence"]) + len(self._rows["quarantine"])
        return n_rows >= ROWS_PER_FILE or self._chars >= CHARS_PER_FILE

    def _add(self, record: Record | Reject, file: LandingFile) -> bool:
        if isinstance(record, Record):
            parsed = _parse(self._parser, record)
            if isinstance(parsed, Conversation):
                self._keep(record, parsed, file)
                return True
            record = parsed
        self._quarantine(record, file)
        return False

    def _keep(self, record: Record, conversation: Conversation, file: LandingFile) -> None:
        canonical = conversation.canonical_json()
        content = sha256_hex(canonical)
        key = sample_id(self.source, content)
        self._rows["occurrence"].append(
            {
                "source": self.source, "uri": file.uri, "file_sha256": file.file_sha256, "line": record.line,
                "sample_id": key, "own_id": own_id(record.value, self._field_map),
            }
        )  # fmt: skip
        if self._format:
            self.extra_fields.update(extra_fields(record.value, self._format, self._field_map))
        identity = bytes.fromhex(content)[:16]  # what a sample id holds of it; a million of them take 100 MB
        if identity in self._seen:
            return
        self._seen.add(identity)
        self._chars += len(canonical)
        turns = list(_turn_rows(key, conversation))
        self._rows["turn"].extend(turns)
        self._rows["conversation"].append(
            {
                "sample_id": key, "source": self.source, "content_sha256": content, "conversation": canonical,
                "n_turns": len(turns), "n_messages": len(conversation.messages),
                "n_chars": conversation.text_chars, "has_system": _has(conversation, "system"),
                "has_tools": conversation.tools is not None or _has(conversation, "tool"),
                "language": row_language(record.value, self._field_map),
            }
        )  # fmt: skip

    def _quarantine(self, reject: Reject, file: LandingFile) -> None:
        self.reasons[reject.reason] += 1
        self._rows["quarantine"].append(
            {
                "source": self.source, "uri": file.uri, "file_sha256": file.file_sha256, "line": reject.line,
                "reason": reject.reason, "detail": reject.detail, "raw_prefix": reject.raw_prefix,
            }
        )  # fmt: skip


def prompt_sha256(measure: str, instruction: str, response: str) -> str:
    """Identity of what a scorer reads of a turn: the instruction, and for quality the response too."""
    return sha256_hex(canonical_json([instruction] if measure == "complexity" else [instruction, response]))


def _parse(parser: RowParser, record: Record) -> Conversation | Reject:
    try:
        return parser.parse(record.value)
    except ParseError as error:
        prefix = canonical_json(_keys(record.value))[: ReadLimits().raw_prefix_chars]
        return Reject(record.line, error.reason, error.message, prefix)


def _turn_rows(key: str, conversation: Conversation) -> Iterator[dict[str, Any]]:
    system = "\n\n".join(m.content or "" for m in conversation.messages if m.role == "system") or None
    for turn in conversation.turns():
        yield {
            "sample_id": key, "turn": turn.index, "system": system,
            "instruction": turn.instruction, "response": turn.response,
            "complexity_prompt_sha256": prompt_sha256("complexity", turn.instruction, turn.response),
            "quality_prompt_sha256": prompt_sha256("quality", turn.instruction, turn.response),
        }  # fmt: skip


def _has(conversation: Conversation, role: str) -> bool:
    return any(message.role == role for message in conversation.messages)


def _keys(value: Any) -> Any:
    """What a quarantined row looks like without its text: its keys, or its type."""
    return sorted(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
