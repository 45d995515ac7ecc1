"""Random weights in which every term of the network matters.

A fresh model has gamma = 1, beta = 0, zero biases, zero class tokens and tiny LayerScale factors:
an optimizer that loses one of them would still agree with it. Every trainable parameter is
therefore drawn again, at the scale that trained models have.
"""

from __future__ import annotations

__all__ = ["perturb"]

import math

import torch
from torch import Tensor, nn


def perturb(model: nn.Module, seed: int) -> None:
    """Draw every trainable parameter of `model` in place, the same for the same seed.

    | parameter | drawn as |
    | --- | --- |
    | norm weight (gamma) | 1 + 0.2 n |
    | bias, beta | 0.05 + 0.1 n: not zero-mean, so a lost mean shows |
    | LayerScale (1-D, constant when fresh) | 0.6 + 0.2 n |
    | linear or convolution weight | n / sqrt(fan in): keeps activations near 1 |
    | embedding table, class token, any other | 0.15 n + 0.1 m, m constant over the features |

    with n a standard normal for each element. Frozen parameters (sinusoidal tables) stay.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn: set[int] = set()
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if id(parameter) in drawn or not parameter.requires_grad:
                    continue
                drawn.add(id(parameter))
                parameter.copy_(_draw(module, name, parameter, generator))


def _draw(module: nn.Module, name: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(parameter.shape, generator=generator)
    if parameter.ndim == 1 and name == "weight" and "Norm" in type(module).__name__:
        return 1 + 0.2 * noise
    if parameter.ndim == 1 and name.endswith("bias"):
        return 0.05 + 0.1 * noise
    if parameter.ndim == 1 and parameter.numel() > 1 and bool((parameter == parameter[0]).all()):
        return 0.6 + 0.2 * noise
    fan_in = _fan_in(module, name, parameter)
    if fan_in:
        return noise / math.sqrt(fan_in)
    means = torch.randn((*parameter.shape[:-1], 1), generator=generator)
    return 0.15 * noise + 0.1 * means


def _fan_in(module: nn.Module, name: str, parameter: Tensor) -> int:
    if name != "weight" or isinstance(module, nn.Embedding) or parameter.ndim < 2:
        return 0
    if type(module).__name__ == "Conv1D":  # GPT-2's linear layer stores [in, out]
        return parameter.shape[0]
    return parameter[0].numel()
