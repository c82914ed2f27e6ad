"""What `[embedder]` in deita.toml makes of the embedding step."""

import pytest

from deita_assets.engines.child import build_step
from deita_assets.errors import SettingsError, UsageError
from deita_assets.settings import load_settings
from deita_assets_tests.scorers.tiny_models import save_llama, save_tokenizer


@pytest.fixture
def chosen(home, monkeypatch):
    """`chosen(text)`: the fingerprint of the embedding step under these lines of the section."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def build(text):
        home.settings.write_text("[embedder]\n" + text)
        return build_step(home, load_settings(home), "embedding").fingerprint

    return build


def test_without_settings_it_is_the_packaged_one(chosen):
    assert chosen("").digest == "bba8cd753246dd5e"
    assert chosen('name = "minilm"\nmax_length = 128').spec["window_policy"]["tokens"] == 128


def test_a_sentence_encoder_with_all_its_settings(chosen, tiny_folder):
    spec = chosen(
        f'name = "sentence"\nmodel = "{tiny_folder}"\nprompt = "sea: "\nskip_shared_headers = true\n'
        'dtype = "bfloat16"\nmax_length = 32\nbackend = "openvino"\n'
    ).spec
    assert (spec["prompt"], spec["dtype"], spec["backend"]) == ("sea: ", "bfloat16", "openvino")
    assert (spec["text_policy"], spec["window_policy"]["tokens"]) == ("messages-without-headers-v1", 32)


def test_a_causal_language_model_with_all_its_settings(chosen, tmp_path):
    folder = save_tokenizer(save_llama(tmp_path / "llama"))
    fingerprint = chosen(
        f'name = "causal_lm"\nmodel = "{folder}"\ndtype = "bfloat16"\nmax_length = 512\ntruncation = "right"\n'
    )
    assert (fingerprint.name, fingerprint.spec["dtype"]) == ("causal_lm", "bfloat16")
    assert fingerprint.spec["window_policy"] == {"tokens": 512, "truncation": "right"}


@pytest.mark.parametrize(
    "text",
    [
        'model = "/some/folder"',
        'revision = "main"',
        'truncation = "right"',
        'name = "sentence"',
        'name = "causal_lm"',
        'name = "causal_lm"\nmodel = "{folder}"\nbackend = "openvino"',
        'name = "causal_lm"\nmodel = "{folder}"\nprompt = "x"',
        'name = "sentence"\nmodel = "{folder}"\nrevision = "main"',
        'name = "sentence"\nmodel = "{folder}"\nbackend = "openvino"\ndevice = "cuda"',
    ],
)
def test_a_setting_that_the_embedder_cannot_follow_is_refused_and_not_passed_over(chosen, tiny_folder, text):
    with pytest.raises(UsageError):
        chosen(text.replace("{folder}", str(tiny_folder)))


@pytest.mark.parametrize("text", ['name = "bge"', 'dtype = "float16"', "max_length = 8", 'backend = "onnx"'])
def test_values_that_no_embedder_has_are_refused_with_the_settings(chosen, text):
    with pytest.raises(SettingsError, match=rf"embedder\.{text.split()[0]}"):
        chosen(text)
