"""Hub ids: one spelling each, a pinned commit, and no path that leads out of a dataset."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_assets.core.hub_names import HubId, is_hub_id, is_plain_path, parse_hub_id
from deita_assets.errors import InvalidNameError

SHA = "0123456789abcdef" * 2 + "01234567"
WORD = st.text(alphabet=string.ascii_letters + string.digits + "_", min_size=1, max_size=20)
PART = st.text(alphabet=string.ascii_letters + string.digits + "_-.* ?[]äÜ", min_size=1, max_size=12).filter(
    lambda part: part not in (".", "..")
)


@given(WORD, WORD, st.lists(PART, max_size=4))
def test_parsing_and_spelling_are_inverse(organisation, name, parts):
    path = "/".join(parts)
    spelled = f"hf://datasets/{organisation}/{name}@{SHA}" + (f"/{path}" if path else "")
    found = parse_hub_id(spelled)
    assert found == HubId(f"{organisation}/{name}", SHA, path or None)
    assert str(found) == spelled
    assert parse_hub_id(str(found)) == found


def test_one_id_has_one_spelling():
    assert str(parse_hub_id(f"hf://datasets/Org/na.me-1@{SHA.upper()}/Data/")) == (
        f"hf://datasets/Org/na.me-1@{SHA}/Data"
    )


@pytest.mark.parametrize(
    "revision",
    ["", "@", "@main", "@refs/pr/1", "@v1.0", f"@{SHA[:39]}", f"@{SHA}0", f"@{SHA[:-1]}g", "@" + "٣" * 40],
)
def test_what_moves_is_refused_with_the_way_to_the_commit(revision):
    with pytest.raises(InvalidNameError) as refused:
        parse_hub_id(f"hf://datasets/org/name{revision}")
    assert "40 hex digits" in str(refused.value)
    assert "https://huggingface.co/datasets/org/name/commits/main" in refused.value.cure
    assert "git ls-remote https://huggingface.co/datasets/org/name" in refused.value.cure


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lima.jsonl",
        "hf://",
        f"hf://org/name@{SHA}",
        f"hf://models/org/name@{SHA}",
        f"hf://spaces/org/name@{SHA}",
        f"HF://datasets/org/name@{SHA}",
        f"https://huggingface.co/datasets/org/name@{SHA}",
        f"hf://datasets/name@{SHA}",
        f"hf://datasets//name@{SHA}",
        f"hf://datasets/org/@{SHA}",
        f"hf://datasets/../name@{SHA}",
        f"hf://datasets/org/..@{SHA}",
        f"hf://datasets/org/-name@{SHA}",
        f"hf://datasets/org/name.@{SHA}",
        f"hf://datasets/org/a--b@{SHA}",
        f"hf://datasets/org/name.git@{SHA}",
        f"hf://datasets/org/näme@{SHA}",
        f"hf://datasets/org/{'n' * 97}@{SHA}",
        f"hf://datasets/org/name@{SHA}//x",
        f"hf://datasets/org/name@{SHA}/../x",
        f"hf://datasets/org/name@{SHA}/a/./b",
        f"hf://datasets/org/name@{SHA}/a\\b",
        f"hf://datasets/org/name@{SHA}/a\nb",
        f"hf://datasets/org/name@{SHA}/{'x' * 513}",
        f"hf://datasets/org/name@{SHA}/\udcff",
    ],
)
def test_other_shapes_are_refused_in_printable_words(text):
    with pytest.raises(InvalidNameError) as refused:
        parse_hub_id(text)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize(
    ("pattern", "meant", "other"),
    [
        (None, ["a.jsonl", "x/y.json"], []),
        ("a.jsonl", ["a.jsonl", "a.jsonl/b"], ["A.jsonl", "xa.jsonl", "b/a.jsonl"]),
        ("data", ["data/a", "data/b/c"], ["data2/a", "database", "x/data/a"]),
        ("*.parquet", ["a.parquet", "b/c.parquet"], ["a.parquet.gz"]),
        ("data/train-*-of-?.parquet", ["data/train-0-of-2.parquet"], ["data/train-0-of-12.parquet"]),
        ("a[1].json", ["a[1].json", "a1.json"], ["a2.json"]),
    ],
)
def test_which_files_are_meant(pattern, meant, other):
    hub = HubId("org/name", SHA, pattern)
    assert [path for path in meant if not hub.means(path)] == []
    assert [path for path in other if hub.means(path)] == []


@given(st.text(max_size=30))
def test_a_plain_path_stays_below_its_folder(path):
    from pathlib import PurePosixPath

    if is_plain_path(path):
        parts = PurePosixPath(path).parts
        assert path
        assert not path.startswith("/")
        assert ".." not in parts
        assert str(PurePosixPath(path)) == path  # nothing in it is left out when the file is made


def test_no_file_is_taken_for_an_id():
    assert is_hub_id("hf://x")
    assert is_hub_id("HF://datasets/org/name")
    assert not is_hub_id("hf")
    assert not is_hub_id("./hf://x")
