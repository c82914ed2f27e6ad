"""What reproducing a version brings to light, as values.

What belongs here: the shape of a difference and of a finding. What does not: looking for either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Difference:
    """The first place where a rebuilt version is not the published one.

    Attributes:
        where: `registry`, `rebuild`, `spec`, `members`, or the name of a file.
        message: in words, with both values.
        facts: the same as values: key, position, line, column, published, rebuilt.
    """

    where: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing about a version or what it stands on.

    Attributes:
        state: `gone`, `altered`, or `note` for what only has to be known.
        what: `algorithm`, `registry`, `files`, `pool`, `text`, `turns`, `fingerprint`, `scores`, `vectors`,
            `frozen_base`, `licence` or `takedown`.
        message: in words, with numbers and names.
    """

    state: Literal["gone", "altered", "note"]
    what: str
    message: str
