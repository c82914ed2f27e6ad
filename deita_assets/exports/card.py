"""The dataset card of a subset: what it is made of, how it was chosen, and what to know before training on it.

What belongs here: the order of a card and its plain facts. What does not: its head (card_head), what it says about
scores and near-duplicates (card_evidence), databases, and drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deita_assets.exports.card_evidence import Evidence, evidence_sections
from deita_assets.exports.card_head import card_head
from deita_assets.exports.escaping import escaped, table

#: The figure beside a card.
FIGURE: Final = "card.png"
#: Where an export of a subset stops reading its card: what comes after is about the subset's own files.
FILES_HEADING: Final = "## Files"

_SCORERS: Final[Mapping[str, str]] = {
    "distilled": "two small heads over a sentence encoder, trained by this project; **these are not DEITA scores**",
    "heuristic": "counts words and marks; **these are not DEITA scores**",
    "deita": "expectation over the digits 1 to 6 of a causal language model that reads DEITA's prompts",
}

_LET_GO = (
    "The rows of its ledger had been let go when this folder was published again: what the verdicts, scores and "
    "similarities of the pool were is not known any more. The selected rows are those of the version."
)


@dataclass(frozen=True)
class CardFacts:
    """What is known about one selection version.

    Attributes:
        version: of the selection.
        title: heading.
        spec: of the selection.
        n_rows: selected rows.
        counts: rows of the ledger by verdict at this budget; none when its rows were let go.
        sources: name, licence, rows and files of each source.
        mix: source -> selected rows.
        fingerprints: digest -> name and spec.
        turns: mean turns of a selected row, and of a row of the pool, if known.
        n_frozen: rows that a frozen base gave, before anything was selected.
        evidence: scores, similarities, examples, quarantine.
        has_figure: `FIGURE` stands beside the card.
    """

    version: str
    title: str
    spec: Mapping[str, Any]
    n_rows: int
    counts: Mapping[str, int]
    sources: Sequence[Mapping[str, Any]]
    mix: Mapping[str, int]
    fingerprints: Mapping[str, Mapping[str, Any]]
    turns: tuple[float, float] | None = None
    n_frozen: int = 0
    evidence: Evidence = field(default_factory=Evidence)
    has_figure: bool = False


def dataset_card(facts: CardFacts) -> str:
    """README.md of one selection version."""
    head = card_head(
        title=facts.title,
        licences=used_licences(facts.sources, facts.mix),
        n_rows=facts.n_rows,
        files="data/train-*.parquet",
    )
    parts = [
        [f"# {escaped(facts.title)}"],
        [f"{facts.n_rows:,} conversations selected {_rule(facts.spec['selector'])}"],
        licence_warning(unknown_licences(facts.sources, facts.mix)),
        [f"![Scores, similarities and sources of the selected rows against those of the pool]({FIGURE})"]
        if facts.has_figure
        else [],
        ["## What decided", "", *_decided(facts)],
        ["## Models", "", *_models(facts)],
        ["## Sources", "", *_sources(facts)],
        ["## Verdicts at this budget", "", *_verdicts(facts)],
        *evidence_sections(facts.evidence),
        ["## Reproduce", "", "```bash", f"deita-assets reproduce {facts.version}", "```", "",
         "rebuilds these rows from the stores of the home they were selected in, and compares byte for byte."],
        [FILES_HEADING, "", "`train.jsonl` holds chat `messages`, one conversation a line; `data/` holds the same rows "
         "as Parquet with ids, ranks and scores. `manifest.json` pins everything that decided them. `deita-assets "
         f"export {facts.version} --format FORM --out DIR` writes them for a trainer."],
    ]  # fmt: skip
    return head + "\n" + "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def used_licences(sources: Sequence[Mapping[str, Any]], mix: Mapping[str, int]) -> list[str | None]:
    """Licences of the sources that gave rows; of all of them when none did."""
    giving = [source for source in sources if mix.get(source["source"])] or sources
    return [source["licence"] for source in giving]


def unknown_licences(sources: Sequence[Mapping[str, Any]], mix: Mapping[str, int]) -> list[str]:
    """Sources that gave rows and whose licence nobody said, in name order."""
    return sorted(s["source"] for s in sources if not s["licence"] and mix.get(s["source"]))


def licence_warning(sources: Sequence[str]) -> list[str]:
    """What a card says about sources whose licence is unknown; nothing where there are none."""
    if not sources:
        return []
    return [
        f"> **Licence unknown: {', '.join(map(escaped, sources))}.** Whether these rows may be used or passed on is "
        "for you to find out."
    ]


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


def _decided(facts: CardFacts) -> list[str]:
    spec = facts.spec
    rows = [
        ["selection version", f"`{facts.version}`"],
        ["scope", f"{escaped(spec['scope_kind'])} {escaped(spec['scope'])}"],
        ["budget", f"{spec['budget']:,}"],
        ["aggregation over turns", escaped(spec["aggregation"])],
        *([name, escaped(value)] for name, value in _limits(spec, facts.n_frozen).items()),
    ]
    if facts.turns:
        selected, pool = facts.turns
        rows.append(["turns of a row, on average", f"{selected:.2f} selected, {pool:.2f} in the pool"])
    return table(["setting", "value"], rows)


def _limits(spec: Mapping[str, Any], n_frozen: int) -> dict[str, Any]:
    """What else decided, where anything did."""
    selector = spec["selector"]
    named = {escaped(name): value for name, value in selector.items() if name != "name"}
    named = {"selector": selector["name"], **named}
    named |= {
        f"filter {name}": v for name, v in (spec.get("filters") or {}).items() if name != "excluded_sha256"
    }
    if sets := spec.get("exclusion_sets"):
        named["kept clear of"] = ", ".join(source for source, _ in sets["sets"])
    if base := spec.get("frozen_base"):
        count = f", {n_frozen:,} rows of which come first" if n_frozen else ""
        named["frozen base"] = f"{base['selection_version']}{count}"
    return named


def _models(facts: CardFacts) -> list[str]:
    rows = []
    for role, digest in sorted(facts.spec["fingerprints"].items()):
        known = facts.fingerprints.get(digest, {})
        name, spec = known.get("name", "unknown"), known.get("spec", {})
        model = ", ".join(str(spec[key]) for key in ("model", "revision") if spec.get(key))
        says = _SCORERS.get(name, "") if role != "embedder" else ""
        what = "; ".join(part for part in (escaped(model), says) if part)
        rows.append([escaped(role), escaped(name), what or "-", f"`{escaped(digest)}`"])
    return table(["role", "name", "what it is", "fingerprint"], rows)


def _sources(facts: CardFacts) -> list[str]:
    pool = sum(source["rows"] for source in facts.sources)
    rows = []
    for source in facts.sources:
        name, selected = source["source"], facts.mix.get(source["source"], 0)
        licence = escaped(source["licence"]) if source["licence"] else "**unknown**"
        files = ", ".join(f"{escaped(file['uri'])} `{file['sha256'][:12]}`" for file in source["files"])
        shares = [
            f"{source['rows']:,}",
            _share(source["rows"], pool),
            f"{selected:,}",
            _share(selected, facts.n_rows),
        ]
        rows.append([escaped(name), licence, *shares, files])
    header = [
        "source",
        "licence",
        "pool rows",
        "of the pool",
        "selected",
        "of the selection",
        "files and their sha256",
    ]
    return table(header, rows, numbers=(2, 3, 4, 5))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _verdicts(facts: CardFacts) -> list[str]:
    if facts.n_rows and not facts.counts:
        return [_LET_GO]
    rows = [[verdict, f"{n:,}"] for verdict, n in facts.counts.items()]
    return table(["verdict", "rows"], rows, numbers=(1,))
