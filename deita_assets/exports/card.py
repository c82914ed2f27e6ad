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
) -> str:
    """Markdown card of one selection version."""
    names = {digest: f"{f['name']} ({digest})" for digest, f in fingerprints.items()}
    used = spec["fingerprints"]
    lines = [
        "---", "configs:", "- config_name: default", "  data_files:", "  - split: train",
        "    path: data/train-*.parquet", "---", "", f"# {_cell(title)}", "",
        f"{n_rows:,} conversations selected with REPR FILTER (DEITA, Liu et al., ICLR 2024): in order of "
        f"evol_score, a row is kept unless its similarity to a kept row is above {spec['selector']['threshold']}.", "",
        "| | |", "|---|---|", f"| selection version | `{version}` |",
        f"| scope | {_cell(spec['scope_kind'])} `{_cell(spec['scope'])}` |", f"| budget | {spec['budget']:,} |",
        f"| aggregation over turns | {spec['aggregation']} |",
        *(f"| {role} | `{_cell(names.get(digest, digest))}` |" for role, digest in used.items()), "",
        "## Sources", "", "| source | licence | pool rows | selected | files |", "|---|---|---|---|---|",
        *(_source_line(source, mix) for source in sources), "",
        "## Verdicts at this budget", "", "| verdict | rows |", "|---|---|",
        *(f"| {verdict} | {count:,} |" for verdict, count in counts.items()), "",
        "`train.jsonl` holds chat `messages`, one conversation a line; `data/` holds the same rows as Parquet "
        "with ids, ranks and scores. `manifest.json` pins everything that decided them.", "",
    ]  # fmt: skip
    return "\n".join(lines)


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
