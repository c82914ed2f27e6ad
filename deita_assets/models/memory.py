"""One exception for memory that ran out, on every device.

What belongs here: recognising it. What does not: smaller batches (`core.token_batches`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: CUDA and MPS; the CPU allocator; the math library of CUDA.
_MESSAGES = re.compile("out of memory|can't allocate memory|STATUS_ALLOC_FAILED", re.IGNORECASE)


@contextmanager
def one_out_of_memory(torch: Any) -> Iterator[None]:
    """Raises torch.OutOfMemoryError for whatever torch raises when memory runs out; only CUDA has this type itself."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _MESSAGES.search(str(error)):
            raise torch.OutOfMemoryError(str(error)) from error
        raise
