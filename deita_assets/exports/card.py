"""The dataset card of a subset: README.md with the YAML head that `datasets.load_dataset(dir)` reads.

What belongs here: text about a subset, every foreign string escaped. What does not: row text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def dataset_card(
    *,
    title: str,
    spec: Mapping[str, Any],
    n_rows: int,
    counts: Mapping[str, int],
    sources: Sequence[Mapping[str, Any]],
    mix: Mapping[str, int],
    fingerprints: Mapping[str, Mapping[str, Any]],
    version: str,
    turns: tuple[float, float] | None = None,
    n_frozen: int = 0,
) -> str:
    """Markdown card of one selection version.

    Args:
        title: heading.
        spec: of the selection.
        n_rows: selected rows.
        counts: rows of the ledger by verdict at this budget.
        sources: name, licence, rows and files of each source.
        mix: source -> selected rows.
        fingerprints: digest -> name and spec.
        version: of the selection.
        turns: mean turns of a selected row, and of a row of the pool.
        n_frozen: rows that a frozen base gave, before anything was selected.
    """
    names = {digest: f"{f['name']} ({digest})" for digest, f in fingerprints.items()}
    used = spec["fingerprints"]
    lines = [
        "---", "configs:", "- config_name: default", "  data_files:", "  - split: train",
        "    path: data/train-*.parquet", "---", "", f"# {_cell(title)}", "",
        f"{n_rows:,} conversations selected {_rule(spec['selector'])}", "",
        "| | |", "|---|---|", f"| selection version | `{version}` |",
        f"| scope | {_cell(spec['scope_kind'])} `{_cell(spec['scope'])}` |", f"| budget | {spec['budget']:,} |",
        f"| aggregation over turns | {spec['aggregation']} |", *_limits(spec, n_frozen),
        *([f"| turns of a row, on average | {turns[0]:.2f} selected, {turns[1]:.2f} in the pool |"] if turns else []),
        *(f"| {role} | `{_cell(names.get(digest, digest))}` |" for role, digest in used.items()), "",
        "## Sources", "", "| source | licence | pool rows | selected | files |", "|---|---|---|---|---|",
        *(_source_line(source, mix) for source in sources), "",
        "## Verdicts at this budget", "", "| verdict | rows |", "|---|---|",
        *(f"| {verdict} | {count:,} |" for verdict, count in counts.items()), "",
        "`train.jsonl` holds chat `messages`, one conversation a line; `data/` holds the same rows as Parquet "
        "with ids, ranks and scores. `manifest.json` pins everything that decided them.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _rule(selector: Mapping[str, Any]) -> str:
    """How rows were chosen, in a sentence."""
    rules = {
        "repr_filter": "with REPR FILTER (DEITA, Liu et al., ICLR 2024): in order of evol_score, a row is kept unless "
        f"its similarity to a kept row is above {selector.get('threshold')}.",
        "score_only": "by evol_score alone.",
        "random": f"at random (seed {selector.get('seed')}).",
        "k_center": "by greedy k-center: always the row that is farthest from those kept.",
        "facility_location": "by greedy facility location: rows that together are near to the whole pool.",
    }
    return rules[selector["name"]]


def _limits(spec: Mapping[str, Any], n_frozen: int) -> list[str]:
    """What else decided, where anything did."""
    selector, filters, sets, base = (
        spec.get(k) for k in ("selector", "filters", "exclusion_sets", "frozen_base")
    )
    named = {name: selector[name] for name in ("caps", "shares", "floors") if selector and name in selector}
    named |= {f"filter {name}": value for name, value in (filters or {}).items() if name != "excluded_sha256"}
    if sets:
        named["kept clear of"] = ", ".join(source for source, _ in sets["sets"])
    if base:
        named["frozen base"] = f"{base['selection_version']}, {n_frozen:,} rows of which come first"
    return [f"| {_cell(name)} | {_cell(value)} |" for name, value in named.items()]


def _source_line(source: Mapping[str, Any], mix: Mapping[str, int]) -> str:
    name = source["source"]
    licence = _cell(source["licence"]) if source["licence"] else "**unknown**"
    files = ", ".join(f"`{_cell(f['uri'])}` {f['sha256'][:12]}" for f in source["files"])
    return f"| {_cell(name)} | {licence} | {source['rows']:,} | {mix.get(name, 0):,} | {files} |"


def _cell(text: object) -> str:
    """Text that cannot leave its Markdown table cell or become a link, image or tag."""
    safe = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\|`[]*_!":
        safe = safe.replace(mark, "\\" + mark) if mark in "|[]!\\`" else safe
    return " ".join(safe.split())
