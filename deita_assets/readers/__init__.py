"""Files in, rows out: each row a record with its line, or a reject with its reason.

What belongs here: bytes, compression, JSON and Parquet containers. What does not: what a row means
(core.formats).
"""

from deita_assets.readers.file_kind import FileKind, sniff
from deita_assets.readers.records import Record, Reject, decode_record
from deita_assets.readers.rows import read_records

__all__ = ["FileKind", "Record", "Reject", "decode_record", "read_records", "sniff"]
