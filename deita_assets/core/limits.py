"""Limits of reading, each with its reason.

What belongs here: sizes beyond which one row, or one file, is refused. What does not: limits of scoring.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much one row, and one file, may ask of the reader.

    Attributes:
        max_line_bytes: one JSONL line, one array element, one Parquet row. The longest conversation seen in
            public instruction sets has 65,549 characters; 16 MiB is far above any, and keeps the buffer of
            one row small.
        max_depth: brackets open at once in one JSON value. Tool schemas stay below 20; DuckDB stops at 128
            and Python's recursion limit is 1,000 frames, of which the caller has used some.
        max_messages: messages of one conversation. Chats of people reach a few hundred; more is a joined log.
        max_own_id_chars: a row's own id is a label for people; uuids have 36 characters.
        raw_prefix_chars: how much of a rejected row quarantine keeps to recognise it by.
        max_expanded_bytes: one file after decompression. The largest public instruction sets are below 20
            GiB.
        max_expansion: expanded bytes per compressed byte, looked at above `expansion_free_bytes`. Text
            reaches 3 to 20, templated text 100; a bomb is at 1,000 and more.
        expansion_free_bytes: expanded size below which the ratio does not matter.
    """

    max_line_bytes: int = 16 * MIB
    max_depth: int = 200
    max_messages: int = 1_000
    max_own_id_chars: int = 256
    raw_prefix_chars: int = 200
    max_expanded_bytes: int = 64 * 1024 * MIB
    max_expansion: int = 200
    expansion_free_bytes: int = 64 * MIB
