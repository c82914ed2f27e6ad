"""Cards as they render: their head, what they tell, and foreign text that stays text."""

import dataclasses

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from deita_assets.core.calibration import CurvePoint, NearPair
from deita_assets.exports.card import CardFacts, dataset_card
from deita_assets.exports.card_evidence import Curve, Evidence, Spread
from deita_assets.exports.escaping import escaped
from deita_assets.exports.export_card import ExportFacts, export_card, subset_body
from deita_assets.exports.survey import Survey

HOSTILE = [
    "a|b", "<script>alert(1)</script>", "![x](http://evil/x.png)", "[click](http://evil)", "line\nbreak\r\n# heading",
    "tick`tick", "back\\slash|", "&lt;img&gt;", "*a* _b_ __c__ ~~d~~", "<http://evil>", "$x$", "\u202eback",
    "--- | ---",
]  # fmt: skip
EVIDENCE = Evidence(
    spreads={"evol_score": Spread((1.0, 2.0, 3.0, 4.0, 5.0), (4.0, 4.5, 5.0, 5.5, 6.0))},
    threshold=0.9,
    nearest=(0.1, 0.2, 0.3, 0.4, 0.95),
    n_compared=6_006,
    pairs=[NearPair(0.91, "s:1", "Steep tea?", "s:2", "How to steep tea?")],
    quarantine=[("s", "empty_response", 3)],
)
SPEC = {
    "scope_kind": "source", "scope": "s", "budget": 6000, "aggregation": "sum",
    "selector": {"name": "repr_filter", "threshold": 0.9}, "filters": {"min_chars": 100},
    "fingerprints": {"complexity": "c1", "quality": "q1", "embedder": "e1"},
}  # fmt: skip


def source(name="s", licence="CC0-1.0", uri="a.jsonl", rows=12_345):
    return {"source": name, "licence": licence, "rows": rows, "files": [{"uri": uri, "sha256": "ab" * 32}]}


def facts(licence="CC0-1.0", uri="a.jsonl", title="s, 5,999 rows", **more):
    return CardFacts(
        version="0123456789abcdef", title=title, spec=SPEC, n_rows=5999, counts={"kept": 5999, "near_duplicate": 7},
        sources=[source(licence=licence, uri=uri)], mix={"s": 5999},
        fingerprints={"c1": {"name": "distilled", "spec": {}},
                      "e1": {"name": "minilm", "spec": {"model": "all-MiniLM"}},
                      "q1": {"name": "heuristic", "spec": {}}},
        evidence=EVIDENCE, **more,
    )  # fmt: skip


def head(card):
    return yaml.safe_load(card.split("---\n")[1])


def rendered(card):
    """Tokens of the text below the head, as GitHub's Markdown reads it."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return reader.parse(card.split("---\n", 2)[2])


def flat(tokens):
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def cells(card):
    """Text of every cell of every table, row by row."""
    rows, tokens = [], rendered(card)
    for at, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("td_open", "th_open"):
            rows[-1].append("".join(one.content for one in tokens[at + 1].children))
    return rows


def headings(card):
    tokens = rendered(card)
    return [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]


def test_the_head_is_what_the_hub_and_load_dataset_read():
    assert head(dataset_card(facts())) == {
        "pretty_name": "s, 5,999 rows",
        "license": "cc0-1.0",
        "task_categories": ["text-generation"],
        "tags": ["instruction-tuning", "sft", "deita_assets"],
        "size_categories": ["1K<n<10K"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}
        ],
    }
    hub = pytest.importorskip("huggingface_hub")
    assert hub.DatasetCard(dataset_card(facts())).data.license == "cc0-1.0"


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (["MIT"], "mit"), (["Apache-2.0", "apache 2.0"], "apache-2.0"), ([None], "unknown"), (["our own"], "other"),
        (["MIT", None, "CC-BY-4.0"], ["cc-by-4.0", "mit", "unknown"]),
    ],
)  # fmt: skip
def test_licences_have_the_names_of_the_hub(licences, expected):
    sources = [source(f"s{at}", licence) for at, licence in enumerate(licences)]
    made = dataclasses.replace(
        facts(),
        sources=[*sources, source("idle", "GPL-3.0")],
        mix={f"s{at}": 9 for at in range(len(licences))},
    )
    assert head(dataset_card(made))["license"] == expected


def test_the_card_tells_what_decided_and_what_came_of_it():
    card = dataset_card(facts(has_figure=True))
    assert headings(card) == [
        "s, 5,999 rows", "What decided", "Models", "Sources", "Verdicts at this budget", "Scores",
        "Similarity to the nearest better row", "Near-duplicates", "Quarantine", "Reproduce", "Files",
    ]  # fmt: skip
    rows = cells(card)
    for expected in (
        ["selection version", "0123456789abcdef"],
        ["budget", "6,000"],
        ["threshold", "0.9"],
        ["filter min_chars", "100"],
        ["embedder", "minilm", "all-MiniLM", "e1"],
        ["s", "CC0-1.0", "12,345", "100.0%", "5,999", "100.0%", "a.jsonl abababababab"],
        ["near_duplicate", "7"],
        ["evol_score, selected", "4.00", "4.50", "5.00", "5.50", "6.00"],
        ["0.100", "0.200", "0.300", "0.400", "0.950"],
        ["0.9100", "Steep tea? (s:1)", "How to steep tea? (s:2)"],
        ["s", "empty_response", "3"],
    ):
        assert expected in rows, expected
    assert sum("not DEITA scores" in "".join(row) for row in rows) == 2
    images = [token.attrs["src"] for token in flat(rendered(card)) if token.type == "image"]
    assert images == ["card.png"]
    assert "deita-assets reproduce 0123456789abcdef" in card


def test_a_calibration_stands_in_the_place_of_the_similarities():
    curve = Curve("abc", 20_000, tuple(CurvePoint(t, 100 * at, 0.5) for at, t in enumerate((0.5, 0.55, 0.9))))
    card = dataset_card(dataclasses.replace(facts(), evidence=dataclasses.replace(EVIDENCE, curve=curve)))
    assert "Threshold" in headings(card)
    assert "Similarity to the nearest better row" not in headings(card)
    assert [row for row in cells(card) if row[1:] in (["0", "50.0%"], ["100", "50.0%"], ["200", "50.0%"])] == [
        ["0.5", "0", "50.0%"], ["0.9", "200", "50.0%"],
    ]  # fmt: skip


def test_an_unknown_licence_is_said_aloud():
    card = dataset_card(facts(licence=None))
    assert ["s", "unknown", "12,345", "100.0%", "5,999", "100.0%", "a.jsonl abababababab"] in cells(card)
    assert "Licence unknown: s." in card
    assert "Licence unknown" not in dataset_card(facts())
    idle = dataclasses.replace(facts(), sources=[source(), source("idle", None)])
    assert "Licence unknown" not in dataset_card(idle)


def test_a_card_without_evidence_has_no_empty_sections():
    bare = dataset_card(dataclasses.replace(facts(), evidence=Evidence(), counts={}))
    assert not {"Scores", "Near-duplicates", "Quarantine"} & set(headings(bare))


def hostile_card(text):
    evidence = dataclasses.replace(
        EVIDENCE, pairs=[NearPair(0.9, "s:1", text, "s:2", text)], quarantine=[("s", "r", 1)]
    )
    return dataset_card(dataclasses.replace(facts(licence=text, uri=text, title=text), evidence=evidence))


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_stays_text_where_it_stands(text):
    plain, made = dataset_card(facts(title="x")), hostile_card(text)
    assert [token.type for token in flat(rendered(made)) if token.type != "text"] == [
        token.type for token in flat(rendered(plain)) if token.type != "text"
    ]
    pair = next(row for row in cells(made) if row[0] == "0.9000")
    shown = " ".join(text.split()).replace("\u202e", "\\u202e")
    assert pair[1:] == [f"{shown} (s:1)", f"{shown} (s:2)"]


@given(st.text(max_size=40) | st.text("<>[]()!*_`|\\&#~$:/@\n \t-=+.1w", max_size=40))
@settings(deadline=None, max_examples=100)
def test_any_text_is_one_cell_of_plain_text(text):
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(f"| {escaped(text)} | end |\n| --- | --- |\n| {escaped(text)} | end |\n")
    assert tokens[0].type == "table_open"
    inline = [token for token in tokens if token.type == "inline"]
    assert len(inline) == 4
    assert {child.type for token in inline for child in token.children} <= {"text", "text_special"}
    heading = reader.parse(f"# {escaped(text)}")
    assert [token.type for token in heading] == ["heading_open", "inline", "heading_close"]


def manifest():
    return {"selection_version": "0123456789abcdef", "spec": SPEC, "mix": {"s": 5999}, "sources": [source()]}


def export(form="jsonl", shape="messages", keys=("messages",), message_keys=("role", "content"), **more):
    found = Survey(shape, n_held=10, keys=set(keys), message_keys=set(message_keys), **more)
    made = ExportFacts(form, manifest(), {}, found, (), "deita_s_6000", "train.jsonl", None, has_figure=False)
    return export_card(made, dataset_card(facts(has_figure=True)))


def test_the_card_of_an_export_has_snippets_and_the_selection_but_not_the_files_of_the_subset():
    card = export()
    assert headings(card)[:3] == ["s, 10 rows, as jsonl", "Train on it", "TRL"]
    assert {"The selection", "What decided", "Quarantine"} <= set(headings(card))
    assert "Files" not in headings(card)
    assert "card.png" not in card
    assert head(card)["configs"][0]["config_name"] == "0123456789abcdef-jsonl"


@pytest.mark.parametrize(
    ("form", "shape", "keys", "message_keys", "calls", "trl", "axolotl", "llama_factory"),
    [
        ("jsonl", "messages", ("messages",), ("role", "content"), False, True, True, True),
        ("hf", "messages", ("messages", "tools"), ("role", "content", "tool_calls"), True, True, True, False),
        ("sharegpt", "sharegpt", ("conversations",), ("from", "value"), False, True, True, True),
        ("sharegpt", "sharegpt", ("conversations", "tools"), ("from", "value"), True, False, False, True),
        ("alpaca", "alpaca", ("instruction",), (), False, True, True, True),
        ("alpaca", "alpaca", ("instruction", "history"), (), False, True, False, True),
        ("llamafactory", "sharegpt", ("conversations",), ("from", "value"), False, True, True, True),
    ],
)
def test_a_trainer_that_would_read_the_rows_wrong_gets_no_snippet(
    form, shape, keys, message_keys, calls, trl, axolotl, llama_factory
):
    card = export(form, shape, keys, message_keys, has_calls=calls)
    sections = {
        name: card.split(f"### {name}\n")[1].split("\n## ")[0].split("\n### ")[0]
        for name in ("TRL", "axolotl", "LLaMA-Factory")
    }
    assert ["```" in text for text in sections.values()] == [trl, axolotl, llama_factory]
    assert all("--format" in text for text in sections.values() if "```" not in text)
    assert ("FastChat" in headings(card)) == (shape == "sharegpt" and not calls)
    if trl:
        compile(sections["TRL"].split("```python\n")[1].split("```")[0], "snippet", "exec")
    if axolotl:
        yaml.safe_load(sections["axolotl"].split("```yaml\n")[1].split("```")[0])


def test_the_card_of_an_old_version_ends_before_its_files():
    assert (
        subset_body(
            "---\na: b\n---\n\n# t\n\nbody\n\n`train.jsonl` holds chat `messages`.\n", keep_figure=True
        )
        == "body"
    )
