import builtins
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from deita_assets.embedders import openvino_encoder
from deita_assets.embedders.sentence import SentenceEmbedder
from deita_assets.errors import EmbedderError

TEXTS = [
    "Why is the sky blue?",
    "解释一下量子纠缠",
    "x",
    "",
    "many words " * 80,
    " ".join(f"sentence {n} about topic {n % 7}." for n in range(90)),
]


def test_a_missing_library_is_named_with_the_cure(tiny_folder, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "openvino":
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EmbedderError, match="openvino") as caught:
        SentenceEmbedder(tiny_folder, backend="openvino").load()
    assert "pip install deita-assets[openvino]" in caught.value.cure


def test_the_probes_are_32_texts_of_mixed_length():
    assert len(openvino_encoder.PROBES) == 32
    lengths = [len(text) for text in openvino_encoder.PROBES]
    assert min(lengths) == 1
    assert max(lengths) > 600


@pytest.mark.parametrize("row", [0, 31])
def test_vectors_that_are_off_are_refused(row):
    wanted = np.random.default_rng(0).standard_normal((32, 8)).astype(np.float32)
    found = 3 * wanted  # lengths do not matter
    openvino_encoder.check_vectors(found, wanted, "bfloat16")
    turned = found.copy()
    turned[row] += 0.03 * np.linalg.norm(found[row]) * np.roll(np.eye(8, dtype=np.float32)[0], row % 8)
    with pytest.raises(EmbedderError, match="expected at least 0.9999") as caught:
        openvino_encoder.check_vectors(turned, wanted, "bfloat16")
    assert "torch" in caught.value.cure
    for broken in (np.nan, 0.0):
        found[row] = broken
        with pytest.raises(EmbedderError, match="0.000000"):
            openvino_encoder.check_vectors(found, wanted, "float32")


def test_the_backend_is_part_of_the_fingerprint_of_its_vectors_only(tiny_folder):
    compiled = SentenceEmbedder(tiny_folder, backend="openvino").fingerprint
    assert compiled.spec["backend"] == "openvino"
    assert "backend" not in SentenceEmbedder(tiny_folder).fingerprint.spec


class TestCompiled:
    @pytest.fixture(autouse=True)
    def library(self):
        if find_spec("openvino") is None:
            pytest.skip("openvino is not installed")

    @pytest.mark.parametrize(("dtype", "least"), [("float32", 0.999999), ("bfloat16", 0.9999)])
    def test_vectors_are_those_of_torch(self, minilm, dtype, least):
        try:
            found = SentenceEmbedder(backend="openvino", dtype=dtype, workers=2).embed_texts(TEXTS)
        except EmbedderError as error:
            assert dtype == "bfloat16" and "no bfloat16" in error.message  # noqa: PT018
            pytest.skip(error.message)
        assert (found * minilm.embed_texts(TEXTS)).sum(axis=1).min() >= least

    def test_a_vector_depends_on_no_other_row(self, tiny_folder):
        options = {"backend": "openvino", "max_length": 64}
        alone = SentenceEmbedder(tiny_folder, batch_tokens=1, **options).embed_texts(TEXTS)
        mixed = SentenceEmbedder(tiny_folder, batch_tokens=9_999, workers=3, **options).embed_texts(TEXTS)
        assert np.abs(alone - mixed).max() <= 2e-6

    def test_nothing_is_reported_to_its_makers(self, tiny_folder):
        SentenceEmbedder(tiny_folder, backend="openvino").load()
        assert sys.modules["openvino_telemetry"] is None

    def test_an_encoder_that_comes_out_wrong_is_refused_when_it_is_loaded(self, monkeypatch):
        real = openvino_encoder.OpenVinoEncoder.__call__

        def without_mask(self, input_ids, attention_mask=None):
            return real(self, input_ids)

        monkeypatch.setattr(openvino_encoder.OpenVinoEncoder, "__call__", without_mask)
        with pytest.raises(EmbedderError, match="cosine"):
            SentenceEmbedder(backend="openvino").load()
