"""Which `BlockKernel` compares vectors on which device.

What belongs here: the choice. What does not: the kernels, and torch before it is chosen.
"""

from __future__ import annotations

from deita_assets.core.block_kernel import BlockKernel
from deita_assets.engines.cpu_kernel import CpuKernel


def kernel_on(device: str) -> BlockKernel:
    """An empty kernel: the processor's own for `cpu`, torch's for any other device.

    Raises:
        ValueError: for a device that torch does not know or cannot use here.
    """
    if device == "cpu":
        return CpuKernel()
    from deita_assets.engines.torch_kernel import TorchKernel

    return TorchKernel(device)
