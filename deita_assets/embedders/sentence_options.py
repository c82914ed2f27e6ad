"""Options of the sentence embedder, against each other and against what the encoder's folder says.

What belongs here: refusing what cannot be, and the values that follow. What does not: files and vectors.
"""

from __future__ import annotations

from deita_assets.embedders.encoder import DTYPES
from deita_assets.embedders.encoder_folder import EncoderSettings
from deita_assets.errors import UsageError

BACKENDS = ("torch", "openvino")


def check_options(dtype: str, backend: str, device: str, **numbers: int | None) -> None:
    """Refuses impossible options; `numbers` are None or at least 1.

    Raises:
        UsageError: the first impossible one.
    """
    for name, value, allowed in (("dtype", dtype, DTYPES), ("backend", backend, BACKENDS)):
        if value not in allowed:
            raise UsageError(f"{name}: found {value!r}, expected one of {', '.join(allowed)}.")
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise UsageError(f"{name}={number}: expected a whole number of at least 1.")
    if backend == "openvino" and device != "cpu":
        raise UsageError(
            f"backend openvino: found device {device!r}, expected cpu.", cure='Set backend = "torch" for it.'
        )


def window_within(settings: EncoderSettings, max_length: int | None) -> int:
    """Tokens of one window: `max_length`, or else what the folder says.

    Raises:
        UsageError: the encoder has no positions for that many.
    """
    if max_length is None:
        return settings.window
    if max_length > settings.longest:
        raise UsageError(
            f"max_length={max_length}: this encoder reads at most {settings.longest} tokens at once.",
            cure=f"Set it to at most {settings.longest}; longer texts are read in windows, whole.",
        )
    return max_length


def prompt_for(settings: EncoderSettings, prompt: str | None) -> str:
    """What stands before every text: `prompt`, or else the folder's default.

    Raises:
        UsageError: the folder's pooling leaves the tokens of a prompt out, which is not computed here.
    """
    chosen = settings.prompt if prompt is None else prompt
    if chosen and not settings.pools_prompt:
        raise UsageError(
            f"prompt {chosen!r}: this encoder leaves a prompt's tokens out of its pooling (include_prompt is false), "
            "which is not supported.",
            cure='Set prompt = "", or choose another encoder.',
        )
    return chosen
