"""An encoder compiled by OpenVINO, called as its torch original is.

What belongs here: converting, compiling, and the proof that the result gives the same vectors. What does not:
tokenizers, batches, pooling.

Measured with MiniLM on one core with AVX-512 bfloat16 (benchmarks/embedding.py): 1.15 times the speed of torch in
float32 and 2.1 times in bfloat16, where torch itself reaches 1.8. Cosines to torch in float32: at least 0.9999998 and
0.99993.
"""

from __future__ import annotations

import sys
import threading
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.errors import EmbedderError

#: Cosine to torch in float32 that every text of `PROBES` must reach.
LEAST_COSINE = 0.9999
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
_USE_TORCH = 'Set backend = "torch".'

_WORDS = (
    "Why is the sky blue and the sunset red?",
    "def add(a, b):\n    return a + b\n",
    "Напиши короткий рассказ о море.",
    "解释一下量子纠缠，并举一个例子。",
    "Wie spät ist es? 🙂",
    "SELECT name, count(*) FROM rows GROUP BY name;",
    "اكتب قصيدة قصيرة عن البحر",
    "x",
)
#: 32 fixed texts in several languages, from one token to a few hundred.
PROBES = tuple(" ".join([text] * times) for times in (1, 3, 9, 27) for text in _WORDS)


class OpenVinoEncoder:
    """Gives `last_hidden_state` for padded token ids, from any number of threads at once."""

    def __init__(self, model: Any, *, dtype: str, workers: int) -> None:
        """Converts and compiles a torch encoder that was loaded in float32 on the CPU.

        Args:
            model: the encoder; its weights are read, not changed.
            dtype: precision of the products, `float32` or `bfloat16`.
            workers: threads that will call it at once; each batch is computed on one core.

        Raises:
            EmbedderError: OpenVINO is missing, cannot run this architecture, or the CPU lacks the precision.
        """
        openvino, self._torch = _import_openvino(), sys.modules["torch"]
        core = openvino.Core()
        if dtype == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise EmbedderError(
                "backend openvino: this CPU has no bfloat16 instructions, so the vectors would be those of float32.",
                cure='Set dtype = "float32".',
            )
        try:
            self._compiled = core.compile_model(
                _convert(openvino, self._torch, model),
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": _PRECISIONS[dtype],
                    "INFERENCE_NUM_THREADS": workers,
                    "NUM_STREAMS": workers,
                    "ENABLE_CPU_PINNING": False,  # the cores may be shared
                },
            )
        except Exception as error:  # tracing and compiling fail with types of their own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise EmbedderError(
                f"backend openvino: cannot run {type(model).__name__} ({reason}).", cure=_USE_TORCH
            ) from error
        self._requests = threading.local()

    def __call__(self, input_ids: Any, attention_mask: Any = None) -> SimpleNamespace:
        """`last_hidden_state`, a float32 tensor (rows, width, d); a call without a mask has no padding."""
        request = getattr(self._requests, "one", None)
        if request is None:
            request = self._requests.one = self._compiled.create_infer_request()
        mask = self._torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = request.infer([input_ids.numpy(), mask.numpy()])[0]
        return SimpleNamespace(last_hidden_state=self._torch.from_numpy(states))


def check_vectors(found: NDArray[np.float32], wanted: NDArray[np.float32], dtype: str) -> None:
    """Compare the vectors of `PROBES` with those of torch in float32, both (len(PROBES), d), of any length.

    Raises:
        EmbedderError: one of them has a cosine below `LEAST_COSINE`.
    """
    lengths = np.linalg.norm(found.astype(np.float64), axis=1) * np.linalg.norm(wanted, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = (found.astype(np.float64) * wanted).sum(axis=1) / lengths
    if not (cosines >= LEAST_COSINE).all():
        raise EmbedderError(
            f"backend openvino, dtype {dtype}: found a cosine of {np.nan_to_num(cosines).min():.6f} to torch in "
            f"float32 on {len(PROBES)} test texts, expected at least {LEAST_COSINE}.",
            cure='Set dtype = "float32" or backend = "torch".',
        )


def _convert(openvino: Any, torch: Any, model: Any) -> Any:
    class States(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    model.config.use_cache = False  # a decoder's cache has no shape that can be compiled
    example = torch.ones((2, 16), dtype=torch.long)
    with torch.no_grad(), warnings.catch_warnings():
        # Tracing warns of every branch that it fixes; the comparison with torch shows whether it mattered.
        warnings.simplefilter("ignore")
        return openvino.convert_model(
            States(), example_input={"input_ids": example, "attention_mask": example}
        )


def _import_openvino() -> Any:
    # OpenVINO reports its use to its makers when this package can be imported; without it, it has a stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise EmbedderError(
            f"backend openvino: {error}.",
            cure='Install it with `pip install deita-assets[openvino]`, or set backend = "torch".',
        ) from error
    return openvino
