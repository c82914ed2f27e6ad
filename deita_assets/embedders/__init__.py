"""Embedders: conversations in, one unit vector each out.

What belongs here: embedders and the names under which settings choose them. What does not: where vectors are
stored, and how they are compared.

`minilm` is all-MiniLM-L6-v2, packaged and offline; `sentence` is any sentence encoder with mean pooling in a
folder (`model_path=`). Importing this package loads no model library.
"""

from __future__ import annotations

from typing import Any

from deita_assets.embedders.base import Embedder
from deita_assets.errors import UsageError

EMBEDDERS = ("minilm", "sentence")


def load_embedder(name: str, **options: Any) -> Embedder:
    """The embedder called `name`; `options` go to its constructor.

    Raises:
        UsageError: for an unknown name, an unknown option, or `sentence` without a folder.
        EmbedderError: when the embedder cannot be made.
    """
    if name not in EMBEDDERS:
        raise UsageError(f"embedder: found {name!r}, expected one of {', '.join(EMBEDDERS)}.")
    if (name == "sentence") != (options.get("model_path") is not None):
        raise UsageError(
            f"embedder {name}: found model_path={options.get('model_path')!r}.",
            cure="Give model_path with `sentence`, and only there.",
        )
    from deita_assets.embedders.sentence import SentenceEmbedder

    try:
        return SentenceEmbedder(**options)
    except TypeError as error:
        raise UsageError(f"embedder {name}: {error}.") from error


def default_threshold(name: str) -> float:
    """The REPR FILTER threshold that belongs to the embedder called `name`; loads no model."""
    if name not in EMBEDDERS:
        raise UsageError(f"embedder: found {name!r}, expected one of {', '.join(EMBEDDERS)}.")
    from deita_assets.embedders.sentence import SentenceEmbedder

    return SentenceEmbedder.DEFAULT_THRESHOLD
