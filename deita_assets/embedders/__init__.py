"""Embedders: conversations in, one unit vector each out.

What belongs here: embedders and the names under which settings choose them. What does not: where vectors are
stored, and how they are compared.

`minilm` is all-MiniLM-L6-v2, packaged and offline; `sentence` is any sentence encoder, by folder or hub id; `causal_lm`
is the paper's embedder, the last token's state in a language model. Importing this package loads no model library.
"""

from __future__ import annotations

from typing import Any

from deita_assets.embedders.base import Embedder
from deita_assets.errors import UsageError

EMBEDDERS = ("minilm", "sentence", "causal_lm")


def load_embedder(name: str, **options: Any) -> Embedder:
    """The embedder called `name`; `options` go to its constructor.

    Raises:
        UsageError: for an unknown name, an unknown option, or a `model` where none is wanted and the reverse.
        EmbedderError: when the embedder cannot be made.
    """
    _check_name(name)
    if (name == "minilm") != (options.get("model") is None):
        raise UsageError(
            f"embedder {name}: found model={options.get('model')!r}.",
            cure="Give a model's folder or hub id with `sentence` and `causal_lm`, and only there.",
        )
    try:
        embedder: Embedder = _embedder_class(name)(**options)
    except TypeError as error:
        raise UsageError(f"embedder {name}: {error}.") from error
    return embedder


def default_threshold(name: str) -> float:
    """The REPR FILTER threshold that belongs to the embedder called `name`; loads no model.

    Raises:
        UsageError: for an unknown name.
    """
    _check_name(name)
    return float(_embedder_class(name).DEFAULT_THRESHOLD)


def _check_name(name: str) -> None:
    if name not in EMBEDDERS:
        raise UsageError(f"embedder: found {name!r}, expected one of {', '.join(EMBEDDERS)}.")


def _embedder_class(name: str) -> Any:
    if name == "causal_lm":
        from deita_assets.embedders.causal_lm import CausalLMEmbedder

        return CausalLMEmbedder
    from deita_assets.embedders.sentence import SentenceEmbedder

    return SentenceEmbedder
