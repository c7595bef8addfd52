"""Attention over a sliding window: work and memory grow with the length, not with its square."""

import math

import torch
from torch import Tensor

from attnlib._checks import check_attention_inputs, check_bias, check_mask, check_positive
from attnlib.functional._kernels import cast_as_torch_does, default_scale, run
from attnlib.functional._tiled import Tiled
from attnlib.functional.dense import attention
from attnlib.masks import sliding_window_mask

__all__ = ["windowed_attention"]


def windowed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    window: int,
    mask: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Scaled dot-product attention in which every query sees the last `window` keys.

    context_i = sum of weights_ij value_j over p - window < j <= p, with p = i + (S - L)
    Equal to `attention` with `sliding_window_mask(L, window, S)` up to rounding, but pairs
    outside the window are never computed: work and memory are linear in the length. A window
    longer than the series is causal attention; a query with nothing to attend has context 0 and
    gradient 0.

    Args:
        query: (..., L, D), aligned at the last key: with S > L they are the newest positions.
        key: (..., S, D).
        value: (..., S, Dv).
        window: number of keys a query sees, its own position included.
        mask: bool, (L, S) or all dimensions of the scores. True = may attend, in the window.
        bias: broadcastable to (..., L, S), added to the scores after scaling.
        scale: factor of the scores; 1 / sqrt(D) when omitted.

    Returns:
        (..., L, Dv).

    Raises:
        TypeError: inputs not floating point or of different dtypes, or a mask that is not bool.
        ValueError: shapes that do not fit, an empty sequence, a window below 1, more queries than
            keys.

    Differs from torch.nn.functional.scaled_dot_product_attention:
        that one computes all pairs and then hides those outside the window.

    Reference: Beltagy et al. 2020, section 3.1 (one-sided), arXiv:2004.05150

    >>> x = torch.zeros(2, 5, 7)
    >>> windowed_attention(x, x, x, 3).shape
    torch.Size([2, 5, 7])
    """
    shape = check_attention_inputs("windowed_attention", query, key, value, causal=True)
    check_mask("windowed_attention", mask, shape)
    check_bias("windowed_attention", bias, shape)
    check_positive("windowed_attention", window=window)
    *lead, L, S = shape
    query, key, value = cast_as_torch_does((query, key, value))
    if bias is not None:
        bias = torch.atleast_2d(bias.to(query.dtype))

    def slow(query, key, value, mask, bias):
        near = sliding_window_mask(L, window, S, device=query.device)
        return attention(
            query, key, value, near if mask is None else mask & near, bias=bias, scale=scale
        )

    kernel = Tiled(tuple(lead), default_scale(query, scale), True, min(window, S), slow)
    flat = (
        x.expand(*lead, *x.shape[-2:]).reshape(math.prod(lead), *x.shape[-2:])
        for x in (query, key, value)
    )
    return run(kernel, *flat, mask, bias).reshape(*lead, L, value.shape[-1])
