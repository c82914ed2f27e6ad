"""Other people's labels: both forms, plain and gzipped; overlaps are taken out, and what does not fit is refused."""

import gzip
import json

import pytest

from deita_assets.errors import UsageError
from deita_assets.training.labels import JudgedPair, RatedText, normalised, read_label_sets

PAIR = {"instruction": "Why?", "better": "Because.", "worse": "No."}
RATED = {"instruction": "Why?", "response": "Because.", "rating": 4}


@pytest.fixture
def write(tmp_path):
    """`write(name, *rows)` makes `labels/<name>`; rows are values or lines, gzipped where the name says so."""

    def make(name, *rows):
        path = tmp_path / "labels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        content = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    make.folder = tmp_path / "labels"
    return make


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_rated_texts_are_read_with_their_groups(write, ending):
    write(f"quality/essays{ending}", RATED, {**RATED, "response": "Well.", "rating": 2.5, "group": "why"})
    (found,) = read_label_sets(write.folder, "quality")
    assert found.name == "essays"
    assert found.rated[1] == RatedText("Why?", "Well.", 2.5, "why")
    assert (found.rated[0].response, found.rated[0].rating) == ("Because.", 4.0)
    assert found.rated[0].group not in ("", "why")
    assert (found.pairs, found.n_overlapping) == ((), 0)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_judged_pairs_are_read(write, ending):
    write(f"quality/arena{ending}", PAIR, {**PAIR, "worse": "Dunno."})
    (found,) = read_label_sets(write.folder, "quality")
    assert found.pairs == (JudgedPair("Why?", "Because.", "No."), JudgedPair("Why?", "Because.", "Dunno."))
    assert found.rated == ()


def test_complexity_needs_no_response_and_reads_none(write):
    write(
        "complexity/steps.jsonl",
        {"instruction": "Add.", "rating": 1},
        {**RATED, "rating": 5, "note": [1, [2]]},
    )
    (found,) = read_label_sets(write.folder, "complexity")
    assert [(row.instruction, row.response, row.rating) for row in found.rated] == [
        ("Add.", "", 1),
        ("Why?", "", 5),
    ]


def test_rows_without_a_group_are_groups_of_their_own(write):
    write("quality/a.jsonl", RATED, RATED)
    write("quality/b.jsonl.gz", {**RATED, "instruction": "How?"})
    rows = [row for one in read_label_sets(write.folder, "quality") for row in one.rated]
    assert len({row.group for row in rows}) == 3


def test_a_number_names_a_group_as_its_digits_do(write):
    write("quality/a.jsonl", {**RATED, "group": 7}, {**RATED, "group": "7"})
    assert {row.group for row in read_label_sets(write.folder, "quality")[0].rated} == {"7"}


def test_sets_come_in_order_of_name_and_a_measure_has_its_own(write):
    for name in ("quality/b.jsonl", "quality/a.v2.jsonl.gz", "quality/a.v1.jsonl", "complexity/c.jsonl"):
        write(name, {**RATED, "instruction": name})
    assert [one.name for one in read_label_sets(write.folder, "quality")] == ["a.v1", "a.v2", "b"]
    assert [one.name for one in read_label_sets(write.folder, "complexity")] == ["c"]


def test_other_files_are_left_alone(write):
    for name in ("README.md", "old.jsonl.bak", "part.jsonl.part", "rows.json"):
        write(f"quality/{name}", "no labels")
    assert read_label_sets(write.folder, "quality") == []
    assert read_label_sets(write.folder, "complexity") == []


def test_known_instructions_are_taken_out_however_they_are_written(write):
    write("quality/a.jsonl", PAIR, {**PAIR, "instruction": "  WHY  "}, {**PAIR, "instruction": "Why not?"})
    (found,) = read_label_sets(write.folder, "quality", known=["why!", "unasked"])
    assert [pair.instruction for pair in found.pairs] == ["Why not?"]
    assert found.n_overlapping == 2


def test_an_instruction_of_an_earlier_set_is_taken_out_and_one_of_the_same_set_stays(write):
    write("quality/a.jsonl", PAIR, {**PAIR, "worse": "Dunno."})
    write("quality/b.jsonl", RATED, {**RATED, "instruction": "How?"})
    write("quality/c.jsonl", {**RATED, "instruction": "how"})
    first, second, third = read_label_sets(write.folder, "quality")
    assert (len(first.pairs), first.n_overlapping) == (2, 0)
    assert ([row.instruction for row in second.rated], second.n_overlapping) == (["How?"], 1)
    assert (third.rated, third.pairs, third.n_overlapping) == ((), (), 1)


def test_copies_are_known_without_case_marks_and_white_space_and_by_them_where_there_is_nothing_else():
    assert normalised(" Why,\n IS it so? ") == normalised("why is it so")
    assert normalised("why is it") != normalised("why it is")
    assert normalised("\U0001f600?") != normalised("\U0001f600!")


def test_line_ends_of_other_systems_and_separators_inside_texts(write):
    separators = {**RATED, "instruction": "one\u2028two\u0085three"}
    write("quality/a.jsonl", f"{json.dumps(RATED)}\r", f"{json.dumps(separators, ensure_ascii=False)}\r")
    (found,) = read_label_sets(write.folder, "quality")
    assert [row.instruction for row in found.rated] == ["Why?", "one\u2028two\u0085three"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "malformed"),
        ("", "malformed"),
        ("[1]", "list"),
        ('"text"', "str"),
        ({**RATED, "rating": None}, "rating"),
        ({**RATED, "rating": "4"}, "rating"),
        ({**RATED, "rating": True}, "rating"),
        ('{"instruction": "Why?", "response": "So.", "rating": NaN}', "NaN"),
        ('{"instruction": "Why?", "response": "So.", "rating": 1e999}', "1e999"),
        ('{"instruction": "\\ud800", "response": "So.", "rating": 1}', "surrogate"),
        ({"response": "So.", "rating": 1}, "instruction"),
        ({"instruction": "Why?", "rating": 1}, "response"),
        ({**RATED, "instruction": ["Why?"]}, "instruction"),
        ({**PAIR, "worse": None}, "worse"),
        ({"instruction": "Why?", "better": "So."}, "worse"),
        (PAIR, "one of the two"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_line_and_cure(write, row, said):
    path = write("quality/a.jsonl", RATED, row, RATED)
    with pytest.raises(UsageError, match=said) as caught:
        read_label_sets(write.folder, "quality")
    assert f"{path}: line 2" in caught.value.message
    assert caught.value.cure


def test_pairs_of_answers_do_not_judge_complexity(write):
    write("complexity/a.jsonl", PAIR)
    with pytest.raises(UsageError, match="line 1: rating"):
        read_label_sets(write.folder, "complexity")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", b"not gzip"),
        ("a.jsonl.gz", gzip.compress(b'{"instruction": 1}' * 100)[:-9]),
        ("a.jsonl.gz", gzip.compress(b"x" * 1_000)[:10] + b"\xff" * 20),
        ("a.jsonl", b'{"instruction": "caf\xe9"}'),
        ("a.jsonl", b""),
    ],
    ids=["no gzip", "cut", "damaged", "Latin-1", "empty"],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(write, name, content):
    path = write(f"quality/{name}")
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_label_sets(write.folder, "quality")
    assert str(path) in caught.value.message
    assert caught.value.cure


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="nowhere") as caught:
        read_label_sets(tmp_path / "nowhere", "quality")
    assert "[training] labels" in caught.value.cure
