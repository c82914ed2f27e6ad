"""The packaged embedder, loaded once for the session."""

from __future__ import annotations

import pytest

from deita_assets.embedders.sentence import SentenceEmbedder


@pytest.fixture(scope="session")
def minilm():
    return SentenceEmbedder()
