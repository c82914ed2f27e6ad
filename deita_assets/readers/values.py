"""Chunks of bytes to JSON values: the elements of an array, or objects that follow one another.

The scanner knows strings and brackets and nothing else, so that a malformed element costs that element alone.
What it cannot see (a string that never ends, a bracket that never closes) shows when an element does not
decode: `split_again` then looks inside it for the start of the next row, recognised by the first key of the
file's first row.

What belongs here: where values start and end. What does not: decoding them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from deita_assets.core.limits import ReadLimits
from deita_assets.readers.held_bytes import HeldBytes
from deita_assets.readers.records import RawRow

# Possessive throughout, so that no input makes the scanner go over a byte twice. Bytes of characters beyond
# ASCII are all above 0x7f and cannot look like structure.
_STRING_REST = rb'(?:[^"\\]++|\\.)*+'
_STRING = rb'"' + _STRING_REST + rb'"'
_LEAVE_STRING = re.compile(_STRING_REST, re.DOTALL)
#: Up to the next bracket; outside all brackets, up to the next comma as well.
_INSIDE = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+", re.DOTALL)
_BETWEEN = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+", re.DOTALL)
_SEPARATORS = re.compile(rb"[\s,]*+")
_STRAY = re.compile(rb"[^\n\[{]*+")
_FIRST_KEY = re.compile(rb'\{\s*"((?:[^"\\]|\\.){1,100})"\s*:', re.DOTALL)

_QUOTE, _COMMA, _ARRAY_START, _ARRAY_END = b'",[]'
_CLOSER_OF = {b"{"[0]: b"}"[0], _ARRAY_START: _ARRAY_END}
#: Brackets told apart; deeper ones are only counted, so that a file of nothing but brackets takes no memory.
_MAX_STACK = 4096


class ValueSplitter:
    """Iterates over the values in `chunks`; each is a `RawRow` with the line where it starts.

    With `array` the values are the elements of one array (or of several, one after another), else whatever
    objects stand in the file. Values beyond the limit of bytes are passed over without being held.
    """

    def __init__(self, chunks: Iterable[bytes], limits: ReadLimits, *, array: bool) -> None:
        self._chunks = iter(chunks)
        self._limits = limits
        self._array = array
        self._chunk, self._pos = b"", 0
        self._line, self._counted = 1, 0
        self._stack, self._deeper = bytearray(), 0
        self._in_string = self._escaped = False
        self._row_start: re.Pattern[bytes] | None = None
        self.unclosed = False
        """True while an array is open; after the last value, that the file ended inside the array."""

    @property
    def line(self) -> int:
        """The line up to which the file was read."""
        self._line += self._chunk.count(b"\n", self._counted, self._pos)
        self._counted = self._pos
        return self._line

    def __iter__(self) -> Iterator[RawRow]:
        while self._find_start():
            row = self._value()
            if self._row_start is None and (key := _FIRST_KEY.match(row.raw)):
                self._row_start = re.compile(rb'\{\s*"' + re.escape(key[1]) + rb'"\s*:')
            yield row

    def split_again(self, row: RawRow) -> bytes | None:
        """Cut a value that does not decode before the row that it swallowed, which is then read anew.

        Returns:
            What stands before that row; None when no start of a row is to be seen in the value.
        """
        cut = self._next_row(row.raw)
        if cut is None:
            return None
        self._chunk = row.raw[cut:] + self._chunk[self._pos :]
        self._pos = self._counted = 0
        self._line = row.line + row.raw.count(b"\n", 0, cut)
        self._in_string = self._escaped = False
        return row.raw[:cut].rstrip(b" \t\r\n,")

    def _next_row(self, raw: bytes) -> int | None:
        if self._row_start is None:
            return None
        for start in self._row_start.finditer(raw, 1):
            before = raw[max(0, start.start() - 64) : start.start()].rstrip()[-1:]
            if before not in (b"[", b":"):  # an object there belongs to the value around it
                return start.start()
        return None

    def _find_start(self) -> bool:
        """Go to the first byte of the next value; False at the end of the file."""
        while True:
            self._pos = _end(_SEPARATORS, self._chunk, self._pos)
            if self._pos == len(self._chunk):
                if not self._next_chunk():
                    return False
                continue
            byte = self._chunk[self._pos]
            if self._array and byte == _ARRAY_END:
                self.unclosed = False
            elif self._array and byte == _ARRAY_START and not self.unclosed:
                self.unclosed = True
            else:
                return True
            self._pos += 1

    def _value(self) -> RawRow:
        line, held = self.line, HeldBytes(self._limits)
        self._stack.clear()
        self._deeper = 0
        self._in_string = self._escaped = False
        stray = not self._array and self._chunk[self._pos] not in _CLOSER_OF
        while True:
            start = self._pos
            end = self._stray_end(start) if stray else self._value_end(self._chunk, start)
            self._pos = len(self._chunk) if end is None else end
            held.add(self._chunk[start : self._pos])
            if held.overflows:
                whole = RawRow(line, held.joined(), held.size)
                before = self.split_again(whole)
                if before is not None:
                    return RawRow(line, before, len(before))
                held.drop()
            if end is not None or not self._next_chunk():
                return RawRow(line, held.joined(), held.size, ended=end is not None)

    def _value_end(self, chunk: bytes, pos: int) -> int | None:
        """Where the value ends that is open at `pos`; None when it goes on beyond the chunk."""
        stack = self._stack
        if self._in_string:
            pos = self._string_end(chunk, pos)
        while True:
            pos = _end(_INSIDE if stack else _BETWEEN, chunk, pos)
            if pos == len(chunk):
                return None
            byte = chunk[pos]
            if byte == _QUOTE:
                pos = self._string_end(chunk, pos + 1)
                continue
            if byte in _CLOSER_OF:
                self._open(byte)
            elif stack:
                self._close(byte)
                if not stack and not self._array:
                    return pos + 1
            elif byte in (_COMMA, _ARRAY_END):
                return pos
            pos += 1

    def _string_end(self, chunk: bytes, pos: int) -> int:
        """Where the string ends that is open at `pos`, or the end of the chunk with the state noted."""
        end = _end(_LEAVE_STRING, chunk, pos + self._escaped)
        self._in_string = end == len(chunk) or chunk[end] != _QUOTE
        self._escaped = self._in_string and end < len(chunk)  # a backslash whose character is to come
        return len(chunk) if self._in_string else end + 1

    def _open(self, byte: int) -> None:
        if len(self._stack) < _MAX_STACK:
            self._stack.append(_CLOSER_OF[byte])
        else:
            self._deeper += 1

    def _close(self, byte: int) -> None:
        """Close the innermost bracket of that kind, and those forgotten inside it; ignore one too many."""
        if self._deeper:
            self._deeper -= 1
        elif (opened := self._stack.rfind(byte)) >= 0:
            del self._stack[opened:]

    def _stray_end(self, pos: int) -> int | None:
        """Where text ends that is no object: at a line end or bracket."""
        end = _end(_STRAY, self._chunk, pos)
        return None if end == len(self._chunk) else end

    def _next_chunk(self) -> bool:
        self._line += self._chunk.count(b"\n", self._counted)
        self._chunk = next(self._chunks, b"")
        self._pos = self._counted = 0
        return bool(self._chunk)


def _end(pattern: re.Pattern[bytes], chunk: bytes, pos: int) -> int:
    """Where a match at `pos` ends; all patterns here match the empty text too."""
    match = pattern.match(chunk, pos)
    return match.end() if match else pos
