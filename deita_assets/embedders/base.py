"""What an embedder is: conversations in, one unit vector each out.

What belongs here: the protocol. What does not: any model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.conversation import Conversation
from deita_assets.core.fingerprint import Fingerprint


class Embedder(Protocol):
    """Embeds whole conversations.

    Attributes:
        fingerprint: identity of its vectors.
        dimension: length of a vector.
        window: tokens that the model reads at once; longer texts are handled by its window policy.
        default_threshold: the REPR FILTER threshold calibrated for this embedder; similarity scales differ
            between embedders, so 0.9 (the paper's, for LLaMA-13B states) is not universal.
    """

    fingerprint: Fingerprint
    dimension: int
    window: int
    default_threshold: float

    def embed(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(conversations), dimension), float32, in the order of the input.

        Raises:
            EmbedderError: when the model cannot be used at all.
        """
        ...

    def count_tokens(self, conversations: Sequence[Conversation]) -> list[int]:
        """Tokens of each conversation's text, before any window policy."""
        ...
