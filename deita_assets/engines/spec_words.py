"""What differs between the specs of two selections, part by part and in words.

What belongs here: comparing specs. What does not: comparing members (selection_diff).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deita_assets.core.fingerprint import canonical_json

#: Digests of what a rule came to: told in words, not as hexadecimal digits.
_OUTCOMES = {
    "filters.excluded_sha256": "rows that the filters exclude",
    "frozen_base.members_sha256": "rows of the frozen base",
}


@dataclass(frozen=True)
class SpecChange:
    """One part of a spec that two selections do not share.

    Attributes:
        what: its name, such as `selector.threshold` or `pool of tea`.
        a: its value in the first, None where it has none.
        b: its value in the second, None where it has none.
        text: in words.
    """

    what: str
    a: Any
    b: Any
    text: str


def spec_changes(
    a: Mapping[str, Any], b: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> list[SpecChange]:
    """What differs between two specs; sources and pools first, then the rules.

    Args:
        a: spec of a ledger or a selection.
        b: the same.
        names: fingerprint -> name of the model, for the words.
    """
    changes = list(_pools("pool", a["sources"], b["sources"]))
    sets = [(spec.get("exclusion_sets") or {}).get("sets", []) for spec in (a, b)]
    changes += _pools("exclusion set", *sets)
    parts = [_flat({key: value for key, value in spec.items() if key != "sources"}) for spec in (a, b)]
    for what in dict.fromkeys([*parts[0], *parts[1]]):
        values = parts[0].get(what), parts[1].get(what)
        if values[0] != values[1]:
            changes.append(SpecChange(what, *values, _words(what, *values, names or {})))
    return changes


def rule_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[SpecChange]:
    """What differs between the rules of two specs: neither pools and models as they stood, nor the budget."""
    passing = ("fingerprints", "budget", "scope_kind", "scope", "algorithm", "tie_rule")
    rules = [{key: value for key, value in spec.items() if key not in passing} for spec in (a, b)]
    # The order of the sources decides which of two equal rows takes part; their pools are no rule.
    return [
        change for change in spec_changes(*rules) if not change.what.startswith(("pool ", "exclusion set "))
    ]


def _pools(kind: str, a: list[list[str]], b: list[list[str]]) -> Iterator[SpecChange]:
    """Sources that came, went, or whose pool moved."""
    before, after = (_versions(pins) for pins in (a, b))
    for source in dict.fromkeys([*before, *after]):
        versions = before.get(source), after.get(source)
        if versions[0] == versions[1]:
            continue
        what = f"{kind} of {source}" if kind == "pool" else f"{kind} {source}"
        moved = {(True, False): "joined", (False, True): "left"}.get(
            (versions[0] is None, versions[1] is None), f"{versions[0]} -> {versions[1]}"
        )
        yield SpecChange(what, *versions, f"{what}: {moved}")
    if kind == "pool" and list(before) != list(after) and set(before) == set(after):
        orders = ", ".join(before), ", ".join(after)
        yield SpecChange("order of sources", *orders, f"order of sources: {orders[0]} -> {orders[1]}")


def _versions(pins: list[list[str]]) -> dict[str, str]:
    return {pin[0]: pin[1] for pin in pins}


def _flat(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parts under dotted names; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in spec.items():
        name = f"{prefix}{key}"
        if name == "exclusion_sets.sets":
            continue
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{name}.")
        elif value is not None and value != []:
            flat[name] = value
    return flat


def _words(what: str, a: Any, b: Any, names: Mapping[str, str]) -> str:
    if what in _OUTCOMES:
        return f"{_OUTCOMES[what]}: " + (
            "none before" if a is None else "none now" if b is None else "others now"
        )
    label = what.removeprefix("selector.").removeprefix("fingerprints.")
    label = {"name": "selector", "complexity": "complexity scorer", "quality": "quality scorer"}.get(
        label, label
    )
    return f"{label}: {_shown(a, names)} -> {_shown(b, names)}"


def _shown(value: Any, names: Mapping[str, str]) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return f"{names[value]} ({value})" if value in names else value
    return canonical_json(value)
