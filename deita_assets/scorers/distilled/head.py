"""An ordinal head: features in, the probabilities of six grades and their expectation out.

Proportional odds (McCullagh 1980): one latent x = w . z + 0 over standardised features z, five ascending cut points
theta, `P(grade > k) = sigmoid(x - theta_k)`. Few parameters, and grades stay in order, which a softmax over six
independent classes cannot promise with a thousand examples. The score is the expectation over the six grades, as with
the trained scorers.

What belongs here: the head's arithmetic and its file. What does not: what the features are, and how it is trained.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.evol_score import expected_score
from deita_assets.errors import ScorerError

#: Grades 1 to 6 have five borders.
N_BORDERS = 5
#: A feature further out than this many standard deviations says no more: one odd row must not run away.
CLIP = 4.0
_TENSORS = ("weights", "mean", "scale", "borders")
_CURE = "Install the package again, or build the heads with `python -m deita_assets.training.build`."


@dataclass(frozen=True)
class OrdinalHead:
    """Weights of one measure.

    Attributes:
        names: what each feature is, in order; length d.
        weights: float64 (d,), for standardised features.
        mean: float64 (d,), subtracted from a feature.
        scale: float64 (d,), what a feature is divided by.
        borders: float64 (5,), ascending cut points between the grades.
        about: where it comes from (measure, feature version, training set, options), JSON values.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    borders: NDArray[np.float64]
    about: Mapping[str, Any]

    def latent(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The latent of each row, float64 (n,), of features (n, d); no row depends on another, not even in rounding."""
        z = np.clip((features - self.mean) / self.scale, -CLIP, CLIP)
        latent: NDArray[np.float64] = (z * self.weights).sum(axis=1)
        return latent

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected grade of each row in (1, 6), float64 (n,)."""
        return expected_score(self.log_probabilities(features))

    def log_probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Natural logarithm of the six grades' probabilities, float64 (n, 6)."""
        above = 1.0 / (1.0 + np.exp(-(self.latent(features)[:, np.newaxis] - self.borders)))
        ends = np.ones((len(above), 1))
        shares = -np.diff(np.hstack([ends, above, np.zeros_like(ends)]), axis=1)
        logs: NDArray[np.float64] = np.log(np.maximum(shares, 1e-300))
        return logs

    def to_bytes(self) -> bytes:
        """The head as a safetensors file; equal heads give equal bytes."""
        from safetensors.numpy import save

        tensors = {name: np.ascontiguousarray(getattr(self, name), np.float64) for name in _TENSORS}
        about = json.dumps({"names": list(self.names), **self.about}, sort_keys=True, ensure_ascii=False)
        return bytes(save(tensors, metadata={"head": about}))


def load_head(path: Path) -> tuple[OrdinalHead, str]:
    """A head and the sha256 of its file.

    Raises:
        ScorerError: no such file, or not a head; says what was found.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import load

    if path.exists() and not path.is_file():  # reading a FIFO or a device would never end
        raise ScorerError(f"{path}: no regular file, expected a head of a distilled scorer.", cure=_CURE)
    try:
        content = path.read_bytes()
        tensors = load(content)
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get("head", ""))
        names = tuple(str(name) for name in about.pop("names"))
        weights, mean, scale, borders = (tensors[name].astype(np.float64) for name in _TENSORS)
    except (OSError, SafetensorError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ScorerError(f"{path}: no head of a distilled scorer ({error}).", cure=_CURE) from error
    head = OrdinalHead(names, weights, mean, scale, borders, about)
    _check(path, head)
    return head, hashlib.sha256(content).hexdigest()


def _check(path: Path, head: OrdinalHead) -> None:
    n = len(head.names)
    shapes = {name: getattr(head, name).shape for name in _TENSORS}
    expected = {"weights": (n,), "mean": (n,), "scale": (n,), "borders": (N_BORDERS,)}
    finite = all(np.isfinite(getattr(head, name)).all() for name in _TENSORS)
    if shapes != expected or not finite or (head.scale <= 0).any() or (np.diff(head.borders) <= 0).any():
        raise ScorerError(
            f"{path}: found tensors {shapes}, expected {expected}, finite, with positive scales and ascending borders.",
            cure=_CURE,
        )
