import re

import pytest

from deita_assets.exports.card import dataset_card

HOSTILE = [
    "a|b",
    "<script>alert(1)</script>",
    "![x](http://evil/x.png)",
    "[click](http://evil)",
    "line\nbreak\r\n# heading",
    "tick`tick",
    "back\\slash|",
    "&lt;img&gt;",
]


def card(licence="CC0", uri="a.jsonl"):
    spec = {
        "scope_kind": "source", "scope": "s", "budget": 6000, "aggregation": "sum",
        "selector": {"name": "repr_filter", "threshold": 0.9},
        "fingerprints": {"complexity": "c1", "quality": "q1", "embedder": "e1"},
    }  # fmt: skip
    sources = [
        {"source": "s", "licence": licence, "rows": 12_345, "files": [{"uri": uri, "sha256": "ab" * 32}]}
    ]
    return dataset_card(
        title="s, 5,999 rows", spec=spec, n_rows=5999, counts={"kept": 5999, "near_duplicate": 7}, sources=sources,
        mix={"s": 5999}, fingerprints={"c1": {"name": "heuristic"}, "e1": {"name": "minilm"}},
        version="0123456789abcdef",
    )  # fmt: skip


def source_row(text):
    (line,) = [line for line in text.splitlines() if line.startswith("| s |")]
    return line


def test_the_head_points_load_dataset_at_the_parquet_file():
    head = card().split("---\n")[1]
    assert head == (
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*.parquet\n"
    )


def test_the_card_tells_what_decided():
    text = card()
    for part in (
        "0123456789abcdef",
        "| budget | 6,000 |",
        "above 0.9",
        "heuristic (c1)",
        "minilm (e1)",
        "`q1`",
    ):
        assert part in text
    assert source_row(text) == "| s | CC0 | 12,345 | 5,999 | `a.jsonl` abababababab |"
    assert "| near_duplicate | 7 |" in text


def test_an_unknown_licence_is_said_aloud():
    assert "**unknown**" in source_row(card(licence=None))


@pytest.mark.parametrize("field", ["licence", "uri"])
@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_stays_in_its_cell(text, field):
    plain, made = card(), card(**{field: text})
    assert len(made.splitlines()) == len(plain.splitlines())
    line = source_row(made)
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 6
    assert "<" not in line
    assert not re.search(r"(?<!\\)\[|!(?<!\\!)\[", line)
