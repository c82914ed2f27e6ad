"""Which model a scoring step gets: name, revision and options out of the settings."""

import shutil

import pytest

from deita_assets.engines.child import build_step
from deita_assets.errors import ScorerError, UsageError
from deita_assets.settings import load_settings
from deita_assets_tests.scorers.tiny_models import save_llama, save_tokenizer

OLD, NEW = "0" * 40, "1" * 40


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub cache with two commits of `someone/complexity` and `someone/quality`; `main` is the newer one."""
    folder = tmp_path_factory.mktemp("hub")
    model = save_tokenizer(save_llama(tmp_path_factory.mktemp("llama")))
    for name in ("complexity", "quality"):
        repository = folder / f"models--someone--{name}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(NEW)
        (repository / "refs" / "v1").write_text(OLD)
        for commit in (OLD, NEW):
            shutil.copytree(model, repository / "snapshots" / commit)
    return folder


@pytest.fixture
def spec(hub, home, monkeypatch):
    """`spec(lines, step)` is what the fingerprint of that step's scorer says, under these lines of settings."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    models = 'complexity_model = "someone/complexity"\nquality_model = "someone/quality"\n'

    def build(lines, step, models=models):
        home.settings.write_text(f'[scorer]\nname = "deita"\n{models}{lines}')
        return build_step(home, load_settings(home), step).fingerprint.spec

    return build


@pytest.mark.parametrize(
    ("lines", "complexity", "quality"),
    [
        ("", NEW, NEW),
        ('revision = "v1"', OLD, OLD),
        ('complexity_revision = "v1"', OLD, NEW),
        ('quality_revision = "v1"', NEW, OLD),
        ('revision = "v1"\nquality_revision = "main"', OLD, NEW),
        (f'revision = "main"\ncomplexity_revision = "{OLD}"', OLD, NEW),
        (f'complexity_revision = "{OLD}"\nquality_revision = "{NEW}"', OLD, NEW),
    ],
)
def test_each_measure_has_its_own_revision_or_the_common_one(spec, lines, complexity, quality):
    for step, commit in (("complexity", complexity), ("quality", quality)):
        found = spec(lines, step)
        assert (found["measure"], found["model"], found["revision"]) == (step, f"someone/{step}", commit)


def test_a_folder_beside_a_pinned_hub_id(spec, hub):
    folder = hub / "models--someone--quality" / "snapshots" / NEW
    models = f'complexity_model = "someone/complexity"\nquality_model = "{folder}"\n'
    assert spec('complexity_revision = "v1"', "complexity", models)["revision"] == OLD
    assert spec('complexity_revision = "v1"', "quality", models)["model"] == "local"
    with pytest.raises(UsageError, match="expected none for a folder"):
        spec('revision = "v1"', "quality", models)


def test_a_revision_that_the_cache_lacks_is_a_scorer_error(spec):
    with pytest.raises(ScorerError, match="someone/quality"):
        spec('quality_revision = "v9"', "quality")


def test_other_options_reach_the_scorer(spec):
    found = spec('dtype = "bfloat16"\nmax_length = 512\ntruncation = "none"', "quality")
    assert (found["dtype"], found["max_length"], found["truncation"]) == ("bfloat16", 512, "none")
    assert "compat" not in found, "the pool is never scored in the published way"
