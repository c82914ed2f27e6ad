"""The formats that instruction data comes in, and the one conversation they all become.

What belongs here: rows (Python values of JSON objects) in, canonical conversations or `ParseError` out.
What does not: bytes and files (readers).
"""

from deita_assets.core.formats.detection import detect_format
from deita_assets.core.formats.field_map import FIELDS, FORMATS, FieldMap
from deita_assets.core.formats.row_labels import extra_fields, own_id, row_language
from deita_assets.core.formats.row_parser import RowParser, parse_conversation

__all__ = [
    "FIELDS",
    "FORMATS",
    "FieldMap",
    "RowParser",
    "detect_format",
    "extra_fields",
    "own_id",
    "parse_conversation",
    "row_language",
]
