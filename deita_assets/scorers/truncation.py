"""How a prompt beyond the window is shortened without touching its template.

What belongs here: which token positions stay. What does not: tokenizers and models.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Literal, TypeAlias

Truncation: TypeAlias = Literal["middle", "none"]
"""`middle`: head and tail of each row text stay. `none`: nothing is cut, the turn gets no score."""
TRUNCATIONS: tuple[Truncation, ...] = ("middle", "none")


def kept_positions(
    offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]], window: int
) -> list[int]:
    """Token positions, ascending, that stay of a prompt cut to `window` tokens by the policy `middle`.

    A token counts as row text only when its characters lie wholly inside a span, so every template token,
    special token and token across a border stays. The room left by those is shared equally between the row
    texts, and what a short text does not need goes to the longer one. Of each text the first half (rounded
    up) and the last half of its share stay: instructions open with the task, answers close with the result.

    Args:
        offsets: half-open character range of each token; special tokens have an empty one.
        spans: character ranges of the row texts, in order, not overlapping.
        window: tokens that may stay; at least the number of template tokens.
    """
    contents = [_inside(offsets, span) for span in spans]
    removable = set(chain.from_iterable(contents))
    room = window - (len(offsets) - len(removable))
    shares = _share(room, [len(content) for content in contents])
    for content, share in zip(contents, shares, strict=True):
        removable.difference_update(content[: (share + 1) // 2])
        removable.difference_update(content[len(content) - share // 2 :])
    return [position for position in range(len(offsets)) if position not in removable]


def _inside(offsets: Sequence[tuple[int, int]], span: tuple[int, int]) -> list[int]:
    low, high = span
    return [i for i, (start, end) in enumerate(offsets) if low <= start < end <= high]


def _share(room: int, wanted: Sequence[int]) -> list[int]:
    """Splits `room`: nobody gets more than wanted; all who get less get the same (within a token)."""
    shares = [0] * len(wanted)
    by_need = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for done, i in enumerate(by_need):
        shares[i] = min(wanted[i], max(0, room) // (len(wanted) - done))
        room -= shares[i]
    return shares
