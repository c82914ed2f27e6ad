"""Reading a graded set: what fits the schema is read, anything else is refused by line."""

import json

import pytest

from deita_assets.errors import UsageError
from deita_assets.training.graded_set import fold_of, read_graded_set, set_sha256, split

ROW = {
    "id": "x-1", "seed": "x-1", "parent": None, "mutation": None, "domain": "d", "language": "en",
    "instruction": "Why?", "grades": [3, 4], "grade": 3, "why": "for readers",
}  # fmt: skip


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(tmp_path, *rows, measure="complexity"):
    return read_graded_set(write(tmp_path / "set.jsonl", *rows), measure)


def test_a_row_is_read_with_both_gradings(tmp_path):
    (text,) = read(tmp_path, {**ROW, "instruction": "Why\u2028here?"})
    assert (text.grades, text.grade, text.response) == ((3, 4), 3, None)
    assert text.instruction == "Why\u2028here?"


def test_a_response_is_read_for_quality_only(tmp_path):
    row = {**ROW, "response": "So."}
    assert read(tmp_path, row, measure="quality")[0].response == "So."
    assert read(tmp_path, row)[0].response is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grade": 7}, "1 to 6"),
        ({"grade": 3.0}, "1 to 6"),
        ({"grades": [0]}, "1 to 6"),
        ({"instruction": None}, "instruction"),
        ({"seed": "x-0"}, "seed"),
        ({"parent": "nowhere"}, "parent"),
        ({"parent": "x-0", "seed": "x-1"}, "parent"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(tmp_path, change, said):
    first = {**ROW, "id": "x-0", "seed": "x-0"}
    with pytest.raises(UsageError, match=said) as caught:
        read(tmp_path, first, {**ROW, **change})
    assert "line 2" in caught.value.message


def test_doubled_ids_broken_json_and_empty_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match="stands twice"):
        read(tmp_path, ROW, ROW)
    for content in ("{", "[1]", ""):
        path = tmp_path / "broken.jsonl"
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match="line 1"):
            read_graded_set(path, "complexity")


def test_a_missing_response_is_refused_for_quality(tmp_path):
    with pytest.raises(UsageError, match="response"):
        read(tmp_path, ROW, measure="quality")


def test_the_split_goes_by_seed_and_stays_when_the_set_grows(tmp_path):
    seeds = [{**ROW, "id": f"s{i}", "seed": f"s{i}"} for i in range(400)]
    steps = [{**ROW, "id": f"s{i}.1", "seed": f"s{i}", "parent": f"s{i}"} for i in range(400)]
    learnt, held = split(read(tmp_path, *seeds, *steps))
    assert {t.seed for t in learnt}.isdisjoint(t.seed for t in held)
    assert 0.15 < len(held) / 800 < 0.25
    _, fewer = split(read(tmp_path, *seeds[:100]))
    assert {t.id for t in fewer} == {t.id for t in held if t.parent is None and int(t.id[1:]) < 100}
    folds = {fold_of(t.seed, 4) for t in learnt}
    assert folds == {0, 1, 2, 3}


def test_the_identity_of_a_set_is_its_texts_and_grades_and_not_its_order(tmp_path):
    one, two = ROW, {**ROW, "id": "x-2", "seed": "x-2"}
    digest = set_sha256(read(tmp_path, one, two))
    assert digest == set_sha256(read(tmp_path, two, one))
    assert digest == set_sha256(read(tmp_path, {**one, "why": "other words"}, two))
    assert digest != set_sha256(read(tmp_path, {**one, "grade": 4}, two))
