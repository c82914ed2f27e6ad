import pytest

from deita_assets.errors import ScorerError, UsageError
from deita_assets.scorers import load_scorer
from deita_assets.scorers.deita import PRESETS


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_heuristic_is_loaded_by_name(measure):
    scorer = load_scorer("heuristic", measure)
    assert scorer.measure == measure
    assert scorer.fingerprint.name == "heuristic"


def test_deita_is_loaded_from_a_folder(llama):
    scorer = load_scorer("deita", "quality", model=llama, max_length=512)
    assert scorer.measure == "quality"
    assert scorer.fingerprint.spec["max_length"] == 512


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_without_a_model_the_papers_scorer_of_the_measure_is_asked_for(measure, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ScorerError, match=PRESETS[measure]):
        load_scorer("deita", measure)
    assert PRESETS[measure] == f"hkust-nlp/deita-{measure}-scorer"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="heuristic, deita"):
        load_scorer("gpt", "quality")


@pytest.mark.parametrize("name", ["heuristic", "deita"])
def test_an_unknown_option_or_measure_is_a_usage_error(name):
    with pytest.raises(UsageError, match="colour"):
        load_scorer(name, "quality", colour="red")
    with pytest.raises((UsageError, ScorerError)):
        load_scorer(name, "beauty")
