"""The bytes of one row while it is still being read.

What belongs here: joining pieces under a limit. What does not: where a row ends.
"""

from __future__ import annotations

from deita_assets.core.limits import ReadLimits


class HeldBytes:
    """Pieces of one row; after `drop` only the first bytes, which quarantine shows, and the count go on.

    Attributes:
        size: bytes added so far, dropped ones included.
    """

    def __init__(self, limits: ReadLimits) -> None:
        self._limit = limits.max_line_bytes
        self._head_bytes = 4 * limits.raw_prefix_chars + 4
        self._pieces: list[bytes] = []
        self._dropped = False
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Append a piece; only its size counts once the row was dropped."""
        self.size += len(piece)
        if not self._dropped:
            self._pieces.append(piece)

    @property
    def overflows(self) -> bool:
        """True while more is held than the limit allows."""
        return self.size > self._limit and not self._dropped

    def drop(self) -> None:
        """Forget all but the first bytes, from now on too."""
        self._pieces = [self.joined()[: self._head_bytes]]
        self._dropped = True

    def joined(self) -> bytes:
        """What is held, as one piece."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
