"""What a run would refuse at its end is refused before anything is scored; and cures that fit the case."""

import pytest

from deita_assets_tests.cli.commands import write_jsonl
from deita_assets_tests.cli.test_withdraw import here  # noqa: F401 - a fixture


@pytest.mark.parametrize(
    ("option", "setting", "word"),
    [
        (["--where", "nope > 3"], 'where = "nope > 3"', "where 'nope > 3'"),
        ([], 'where = "n_turns > random()"', "random()"),
        ([], 'frozen_base = "abcdef01"', "frozen base 'abcdef01' is no selection version of this home"),
        ([], 'frozen_base = "abc"', "6 characters"),
    ],
)
def test_conditions_and_frozen_bases(here, option, setting, word):  # noqa: F811
    if not option:
        here.home.settings.write_text(f"[mixtures.all]\n{setting}\n", encoding="utf-8")
    assert word in here("curate", "--budget", "2", *option, code=1 if "is no" in word else 2)["message"]
    assert list(here.home.lance.iterdir()) == []


@pytest.mark.slow
def test_questions_without_answers_may_be_an_exclusion_set(here, tmp_path):  # noqa: F811
    questions = write_jsonl(
        tmp_path / "q.jsonl", [{"question_id": n, "turns": [f"question {n}"]} for n in range(3)]
    )
    assert '`exclusion_sets = ["bench"]`' in here("add", "bench", str(questions), code=1)["cure"]
    here.home.settings.write_text('exclusion_sets = ["bench"]\n', encoding="utf-8")
    assert here("add", "bench")["in_pool"] == 3
    noise = write_jsonl(tmp_path / "noise.jsonl", [{"a": 1}, "text"])
    assert "--map" in here("add", "noise", str(noise), code=1)["cure"]
