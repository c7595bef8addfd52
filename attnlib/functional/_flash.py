"""torch's own CPU kernel, with the second derivatives that torch does not give it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True)
class Flash:
    """What F.scaled_dot_product_attention calls on a CPU; `slow` computes the same.

    For tensors (B, H, length, D) with one width D and a bias that needs no gradient.
    """

    scale: float
    square: bool
    slow: Callable[..., Tensor]

    def reference(self, query, key, value, mask, bias):
        return self.slow(query, key, value, mask, bias)

    def forward(self, query, key, value, mask, bias):
        context, normaliser = _forward(
            query, key, value, 0.0, self.square, attn_mask=bias, scale=self.scale
        )
        return context, (context, normaliser)

    def backward(self, gradient, inputs, kept):
        query, key, value, _, bias = inputs
        gradients = _backward(
            gradient, query, key, value, *kept, 0.0, self.square, attn_mask=bias, scale=self.scale
        )
        return *gradients, None
