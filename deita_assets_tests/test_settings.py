import os
from pathlib import Path

import pytest

from deita_assets.errors import SettingsError
from deita_assets.settings import load_settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in list(os.environ):
        if name.startswith("DEITA_"):
            monkeypatch.delenv(name)


@pytest.fixture
def load(home, monkeypatch):
    """`load(text, VARIABLE=value)` reads settings with that file and those variables."""

    def read(text="", **variables):
        home.settings.write_bytes(text if isinstance(text, bytes) else text.encode())
        with monkeypatch.context() as patched:
            for name, value in variables.items():
                patched.setenv(name, value)
            return load_settings(home)

    return read


def refused(load, *arguments, **variables):
    with pytest.raises(SettingsError) as error:
        load(*arguments, **variables)
    assert error.value.exit_code == 2
    assert error.value.cure
    return str(error.value)


FILE = """
budgets = [300, 100, 300]
[scorer]
name = "deita"
device = "cuda"
[sources.lima]
threshold = 0.8
licence = "CC0"
budgets = [50]
[sources.lima.field_map]
instruction = "ask"
[mixtures.chat]
sources = ["lima", "alpaca"]
aggregation = "max"
[mixtures.all]
threshold = 0.7
"""


def test_without_a_file_everything_has_a_default(home):
    settings = load_settings(home)
    assert (settings.budgets, settings.scorer.name, settings.embedder.name) == ([], "distilled", "minilm")
    assert settings.mixture_names == ["all"]
    assert settings.source("any").threshold is None
    assert settings.selection("mixture", "all").aggregation == "sum"


def test_what_the_file_says(load):
    settings = load(FILE)
    assert settings.budgets == [100, 300]
    assert (settings.scorer.name, settings.scorer.device, settings.scorer.dtype) == (
        "deita",
        "cuda",
        "float32",
    )
    assert settings.source("lima").field_map == {"instruction": "ask"}
    assert settings.selection("source", "lima").threshold == 0.8
    assert settings.selection("mixture", "chat").aggregation == "max"
    assert settings.selection("mixture", "all").threshold == 0.7
    assert settings.mixture_names == ["all", "chat"]


def test_budgets_of_a_scope_replace_the_common_ones(load):
    settings = load(FILE)
    assert settings.wanted_budgets("source", "lima") == [50]
    assert settings.wanted_budgets("source", "alpaca") == [100, 300]
    assert load("budgets = [5]\n[sources.s]\nbudgets = []").wanted_budgets("source", "s") == []


def test_sources_of_a_mixture(load):
    settings = load(FILE)
    assert settings.mixture_sources("all", ["b", "a"]) == ["b", "a"]
    assert settings.mixture_sources("chat", ["alpaca", "lima", "more"]) == ["lima", "alpaca"]
    with pytest.raises(SettingsError, match=r"names unknown sources: alpaca; known: lima\."):
        settings.mixture_sources("chat", ["lima"])
    with pytest.raises(
        SettingsError, match=r"'none' is not defined; known: all, chat\. .*\[mixtures\.none\]"
    ):
        settings.mixture_sources("none", [])


def test_variables_win_over_the_file_key_by_key(load):
    settings = load(
        FILE,
        DEITA_BUDGETS="[7]",
        DEITA_SCORER__DEVICE="cpu",
        DEITA_SOURCES__LIMA__THRESHOLD="0.5",
        DEITA_SOURCES__OTHER__LICENCE="MIT",
    )
    assert settings.budgets == [7]
    assert (settings.scorer.name, settings.scorer.device) == ("deita", "cpu")
    lima = settings.source("lima")
    assert (lima.threshold, lima.licence, lima.budgets) == (0.5, "CC0", [50])
    assert settings.source("other").licence == "MIT"


def test_the_home_is_no_setting_but_no_mistake(load):
    assert load(DEITA_HOME="/somewhere").budgets == []


@pytest.mark.parametrize("key", ["budget", "Budgets", "_env_file", "_cli_parse_args", "_secrets_dir"])
def test_unknown_keys_of_the_file(load, key):
    message = refused(load, f"{key} = 1")
    assert f"'{key}' is not a setting" in message
    assert "Known: budgets, scorer, embedder, training, sources, mixtures" in message


@pytest.mark.parametrize(
    ("section", "known"),
    [
        ("scorer", "name, heads, complexity_model"),
        ("embedder", "name, model, device"),
        ("training", "complexity_set, quality_set, labels"),
        ("sources.lima", "licence"),
        ("mixtures.chat", "sources"),
    ],
)
def test_unknown_keys_below(load, section, known):
    message = refused(load, f"[{section}]\nthreshhold = 0.5")
    assert f"{section}.threshhold is not a setting. Known: " in message
    assert known in message


@pytest.mark.parametrize("name", ["DEITA_BUDGET", "DEITA_", "DEITA_SCORERS__NAME", "DEITA_SCORER_NAME"])
def test_unknown_variables(load, name):
    message = refused(load, **{name: "1"})
    assert f"{name} is not a setting" in message
    assert "DEITA_HOME, DEITA_BUDGETS" in message


def test_an_unknown_key_in_a_variable(load):
    assert "scorer.colour is not a setting. Known: name" in refused(load, DEITA_SCORER__COLOUR="red")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("budgets = [0]", "budget '0'"),
        ("budgets = [-5]", "budget '-5'"),
        ("budgets = [1.5]", "budgets.0"),
        ("budgets = 100", "budgets"),
        ("[sources.s]\nthreshold = nan", "sources.s.threshold"),
        ("[sources.s]\nthreshold = -1", "sources.s.threshold"),
        ("[sources.s]\nthreshold = 1.01", "sources.s.threshold"),
        ("[sources.s]\naggregation = 'median'", "sources.s.aggregation"),
        ("[mixtures.m]\nbudgets = [1000000000]", "budget '1000000000'"),
        ("[scorer]\nname = 'gpt'", "scorer.name"),
        ("[scorer]\nmax_length = 8", "scorer.max_length"),
        ("scorer = 'deita'", "scorer"),
        ("[sources.'../x']", "source name '../x'"),
        ("[sources.Lima]", "Try 'lima'"),
        ("[sources.all]", "source name 'all'"),
        ("[mixtures.'a b']", "mixture name 'a b'"),
        ("budgets = [", "not TOML"),
        (b"# \xff", "UTF-8"),
    ],
)
def test_wrong_values_are_refused_with_their_place(load, text, place):
    assert place in refused(load, text)


def test_nesting_without_end_is_refused(load):
    assert "nested" in refused(load, "budgets = " + "[" * 5000)


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")],
    ids=lambda e: e.strerror,
)
def test_a_file_that_cannot_be_read_is_refused_and_is_not_an_empty_one(load, monkeypatch, error):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(Path, "read_text", failing)
    assert error.strerror in refused(load)


def test_a_folder_in_its_place_is_refused(home):
    home.settings.mkdir()
    with pytest.raises(SettingsError, match="Is a directory"):
        load_settings(home)


def test_a_file_that_leaves_as_it_is_read_is_an_empty_one(home, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: True)
    assert load_settings(home).budgets == []


@pytest.mark.parametrize("value", ["1,2", "5", "[0]", "{}", "[1", ""])
def test_a_list_in_a_variable_is_json(load, value):
    assert "budgets" in refused(load, DEITA_BUDGETS=value).lower().replace("budget ", "budgets ")


def test_a_table_in_a_variable_is_json(load):
    assert load(DEITA_SCORER='{"name": "deita"}').scorer.name == "deita"
    assert "JSON" in refused(load, DEITA_SCORER="deita")


def test_a_source_and_a_mixture_of_one_name(load):
    message = refused(load, "[sources.a]\nlicence = 'MIT'\n[mixtures.a]\nsources = ['b']")
    assert message == "a: both a source and a mixture. Rename the mixture."


def test_settings_are_read_anew_each_time(load):
    assert load("budgets = [1]").budgets == [1]
    assert load("budgets = [2]").budgets == [2]


def test_a_source_may_come_from_the_hub_at_a_pinned_commit(load):
    named = f"hf://datasets/some/rows@{'0' * 40}/data/*.parquet"
    assert load(f'[sources.lima]\nhub = "{named}"').source("lima").hub == named
    assert load().source("lima").hub is None
    assert "main" in refused(load, '[sources.lima]\nhub = "hf://datasets/some/rows@main"')


def test_the_address_of_the_webhook_is_no_unknown_setting(load):
    assert load(DEITA_ALERT_WEBHOOK="https://hooks.example.org/x").budgets == []
    assert "DEITA_ALERT_WEBHOOKS is not a setting" in refused(
        load, DEITA_ALERT_WEBHOOKS="https://x.example.org"
    )
