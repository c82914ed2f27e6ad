"""Identity by content: canonical JSON, its hash, and the fingerprint of a scorer or an embedder.

What belongs here: how things get their names. What does not: where those names are stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: Hex characters kept of a sha256 for names that people read: 64 bits, no clash below millions of versions.
SHORT_DIGEST = 16

#: One encoder for all calls: `json.dumps` with options builds a new one each time.
_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one JSON text of `value`: sorted keys, no spaces, no escapes beyond what JSON demands.

    Raises:
        ValueError: for NaN and infinities, which JSON cannot hold.
    """
    return _CANONICAL.encode(value)


def sha256_hex(text: str) -> str:
    """sha256 of the UTF-8 bytes of `text`, as 64 hex characters."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def short_digest(value: Any) -> str:
    """First `SHORT_DIGEST` hex characters of the sha256 of the canonical JSON of `value`."""
    return sha256_hex(canonical_json(value))[:SHORT_DIGEST]


@dataclass(frozen=True)
class Fingerprint:
    """What must be equal for two scores, or two vectors, to be comparable.

    Attributes:
        kind: `scorer` or `embedder`.
        name: what people call it, such as `heuristic` or `minilm`; part of the spec's hash.
        spec: everything that can change a result: model, weights hash, template hash, dtype,
            truncation or window policy, algorithm version. JSON values only.
    """

    kind: Literal["scorer", "embedder"]
    name: str
    spec: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """16 hex characters that stand for the whole fingerprint in every store."""
        return short_digest({"kind": self.kind, "name": self.name, "spec": dict(self.spec)})
