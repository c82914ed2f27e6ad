"""What an audit finds, as values: how much was looked at, what is damaged, and what only has to be known.

What belongs here: the shapes. What does not: looking (verify and its parts), or mending (verify_repair).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from deita_assets.core.checks.finding import MOST_EXAMPLES, few

#: Told (what is read, rows so far, rows in all); 0 of 0 where that is not known.
OnPart = Callable[[str, int, int], None]
REPAIR = "`deita-assets verify --repair`"

Kind = Literal[
    "unreadable", "checksum", "value", "doubled", "missing", "text", "account", "astray", "mirror",
    "registry", "folder", "differs",
]  # fmt: skip


@dataclass(frozen=True)
class Damage:
    """One kind of damage in one part.

    Attributes:
        part: file or table, below the home.
        kind: what is wrong.
        n: how many rows, fragments or folders.
        message: in words.
        cure: what to do.
        ids: all of them, in order: ids of rows, keys, versions, or names of tables.
        facts: what a repair needs besides.
        repairable: whether `--repair` mends it.
    """

    part: str
    kind: Kind
    n: int
    message: str
    cure: str
    ids: tuple[str, ...] = ()
    facts: Any = field(default=None, repr=False, compare=False)
    repairable: bool = True

    @property
    def named(self) -> tuple[str, ...]:
        """The first ids."""
        return self.ids[:MOST_EXAMPLES]

    def values(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "part": self.part,
            "kind": self.kind,
            "n": self.n,
            "message": self.message,
            "ids": list(self.named),
            "cure": self.cure,
            "repairable": self.repairable,
        }


@dataclass
class Part:
    """One file or table, or one kind of row, that was looked at.

    Attributes:
        name: below the home.
        unit: what `looked_at` counts.
        looked_at: how many.
        orphans: of these, what nothing refers to: no damage.
    """

    name: str
    unit: str
    looked_at: int = 0
    orphans: int = 0


@dataclass
class Audit:
    """What was looked at and found.

    Attributes:
        parts: what was looked at.
        damage: what is damaged.
        notes: what only has to be known.
        unchecked: table of LanceDB -> rows that have no checksum.
    """

    parts: list[Part] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unchecked: dict[str, int] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged; rows without a checksum are not damage."""
        return not self.damage

    def damaged(self, part: str) -> int:
        """Damaged rows, fragments or folders of a part."""
        return sum(one.n for one in self.damage if one.part == part)

    def of(self, kind: Kind, part: str | None = None) -> list[Damage]:
        """Damage of one kind."""
        return [one for one in self.damage if one.kind == kind and part in (None, one.part)]

    def take(self, other: Audit) -> None:
        """Add what another audit found."""
        self.parts += other.parts
        self.damage += other.damage
        self.notes += other.notes
        self.unchecked |= other.unchecked

    def values(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "sound": self.sound,
            "looked_at": [
                {
                    "part": part.name,
                    "unit": part.unit,
                    "looked_at": part.looked_at,
                    "damaged": self.damaged(part.name),
                    "orphans": part.orphans,
                }
                for part in self.parts
            ],
            "damage": [one.values() for one in self.damage],
            "notes": self.notes,
            "rows_without_checksum": sum(self.unchecked.values()),
        }


def ordered(ids: Iterable[str]) -> tuple[str, ...]:
    """Ids in order, each once."""
    return tuple(sorted(set(ids)))


def some(ids: Iterable[str]) -> str:
    """A few ids in words."""
    return ", ".join(few(ids))
