"""The convolutional network of aiSFX, rebuilt from its published tensors.

Eight 3 x 3 convolutions in four blocks (64, 128, 256, 512 channels), each followed by batch
normalisation and ReLU; maxima over 2 x 2 after the first three blocks; then the mean over frequency
and the maximum over time. The layout is the cross-task baseline of Kong et al., "DCASE 2018
Challenge Surrey cross-task convolutional neural network baseline" (arXiv:1808.00773); the weights
are those of Ma and Lerch, "Representation learning for the automatic indexing of sound effects
libraries" (ISMIR 2022).

Invariant: inference only. Batch normalisation is folded into the convolutions at load.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

CHANNELS = (64, 128, 256, 512)
LEAST_FRAMES = 8
"""Three maxima over pairs of frames must leave one."""
_EPSILON = 1e-5
_LAYERS = tuple((block, layer) for block in (1, 2, 3, 4) for layer in (1, 2))
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that the network is made of, as published."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = 1
    for block, layer in _LAYERS:
        outputs = CHANNELS[block - 1]
        shapes[f"conv_block{block}.conv{layer}.weight"] = (outputs, inputs, 3, 3)
        for statistic in _STATISTICS:
            shapes[f"conv_block{block}.bn{layer}.{statistic}"] = (outputs,)
        inputs = outputs
    return shapes


def misfit(tensors: Mapping[str, Tensor]) -> str:
    """Says which tensor keeps a set from being this network's, or "" where all fit."""
    for name, shape in tensor_shapes().items():
        if name not in tensors:
            return f"no tensor {name}"
        if tuple(tensors[name].shape) != shape:
            return f"tensor {name} has shape {tuple(tensors[name].shape)}, expected {shape}"
        if not bool(torch.isfinite(tensors[name]).all()):
            return f"tensor {name} is not finite"
    return ""


class Cnn:
    """The network, ready to run.

    Args:
        tensors: names and shapes as :func:`tensor_shapes` gives them, float32.
        dtype: arithmetic of the convolutions.
    """

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._layers = [
            (
                weight.to(dtype).contiguous(memory_format=torch.channels_last),
                bias.to(dtype),
                layer == 2 and block < len(CHANNELS),
            )
            for block, layer in _LAYERS
            for weight, bias in [_folded(tensors, block, layer)]
        ]

    def __call__(self, levels: Tensor) -> Tensor:
        """(n, frames, bands) scaled levels -> (n, 512) float32, none of them negative."""
        maps = levels[:, None].to(self._dtype).contiguous(memory_format=torch.channels_last)
        for weight, bias, pooled in self._layers:
            maps = functional.relu_(functional.conv2d(maps, weight, bias, padding=1))
            if pooled:
                maps = functional.max_pool2d(maps, 2)
        return maps.to(torch.float32).mean(dim=3).amax(dim=2)


def _folded(tensors: Mapping[str, Tensor], block: int, layer: int) -> tuple[Tensor, Tensor]:
    """A convolution that does what convolution and batch normalisation did in turn."""
    gain, offset, mean, variance = (
        tensors[f"conv_block{block}.bn{layer}.{statistic}"] for statistic in _STATISTICS
    )
    factor = gain * torch.rsqrt(variance + _EPSILON)
    kernel = tensors[f"conv_block{block}.conv{layer}.weight"]
    return kernel * factor[:, None, None, None], offset - mean * factor
