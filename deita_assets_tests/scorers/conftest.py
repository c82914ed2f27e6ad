"""A tiny scorer model, built once for the session."""

from __future__ import annotations

import pytest

from deita_assets_tests.scorers.tiny_models import save_llama, save_tokenizer


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """Folder with config, safetensors weights and tokenizer. Read only: copy it to change it."""
    folder = tmp_path_factory.mktemp("llama")
    return save_tokenizer(save_llama(folder))
