"""Attention in blocks: the scores of all pairs are never stored, so memory grows with length."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attnlib._checks import (
    check_attention_inputs,
    check_bias,
    check_mask,
    check_positive,
)
from attnlib.functional._kernels import cast_as_torch_does, default_scale, part, run

__all__ = ["chunked_attention"]


def chunked_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    chunk_size: int = 512,
) -> Tensor:
    """Scaled dot-product attention with memory linear in length, backward pass included.

    context = softmax(scale * query key^T + bias) value, one block of queries and keys at a time
    The softmax is *online*: it keeps the largest score so far, the sum and the weighted values,
    and rescales them when a block holds a larger score. The backward pass computes the weights of
    each block anew. Equal to `attention` up to rounding; a query with nothing to attend has
    context 0 and gradient 0.

    Args:
        query: (..., L, D).
        key: (..., S, D).
        value: (..., S, Dv).
        mask: bool, (L, S) or all dimensions of the scores. True = may attend.
        bias: broadcastable to (..., L, S), added to the scores after scaling.
        causal: also apply `causal_mask(L, S)`; blocks in the future are not computed.
        scale: factor of the scores; 1 / sqrt(D) when omitted.
        chunk_size: number of queries and of keys in a block. Need not divide L or S.

    Returns:
        (..., L, Dv).

    Raises:
        TypeError: inputs not floating point or of different dtypes, or a mask that is not bool.
        ValueError: shapes that do not fit, an empty sequence, a chunk_size below 1, causal with
            more queries than keys.

    Differs from torch.nn.functional.scaled_dot_product_attention:
        linear memory on every device and for every mask and bias, gradients of the bias included;
        slower than torch's kernels where those apply.

    Reference: Milakov & Gimelshein 2018, algorithm 3, arXiv:1805.02867; Rabe & Staats 2021,
        arXiv:2112.05682; Dao et al. 2022, algorithms 1 and 4, arXiv:2205.14135

    >>> chunked_attention(torch.zeros(2, 3, 7), torch.zeros(2, 5, 7), torch.ones(2, 5, 11)).shape
    torch.Size([2, 3, 11])
    """
    shape = check_attention_inputs("chunked_attention", query, key, value, causal)
    check_mask("chunked_attention", mask, shape)
    check_bias("chunked_attention", bias, shape)
    check_positive("chunked_attention", chunk_size=chunk_size)
    query, key, value = cast_as_torch_does((query, key, value))
    if bias is not None:
        bias = torch.atleast_2d(bias.to(query.dtype))
    kernel = _Chunked(default_scale(query, scale), causal, chunk_size)
    return run(kernel, query, key, value, mask, bias)


@dataclass(frozen=True)
class _Chunked:
    """Online softmax in the forward pass, weights computed anew in the backward pass."""

    scale: float
    causal: bool
    chunk_size: int

    def forward(self, query, key, value, mask, bias):
        context, normaliser = self.online(query, key, value, mask, bias)
        return context, (context, normaliser)

    def reference(self, query, key, value, mask, bias):
        return self.online(query, key, value, mask, bias)[0]

    def online(self, query, key, value, mask, bias) -> tuple[Tensor, Tensor]:
        """The context, and for each query the logarithm of the sum of its exponentials."""
        L, S = query.shape[-2], key.shape[-2]
        contexts, normalisers = [], []
        for rows in self.blocks(L):
            largest, total, context = -torch.inf, 0.0, 0.0
            for keys in self.blocks(self.end(rows, L, S)):
                scores = self.scores(query, key, mask, bias, rows, keys)
                # Any shift gives the same weights, so the largest score needs no gradient.
                higher = scores.detach().amax(-1, keepdim=True).clamp(min=largest)
                shift = higher.masked_fill(higher == -torch.inf, 0.0)  # nothing allowed as yet
                rescale = (largest - shift).exp()  # what was summed with the shift before
                shares = (scores - shift).exp()
                total = total * rescale + shares.sum(-1, keepdim=True)
                context = context * rescale + shares @ _wide(value[..., keys, :])
                largest = higher
            total = total.masked_fill(total == 0, 1.0)  # an empty row: 0 / 1
            contexts.append((context / total).to(query.dtype))
            normalisers.append(shift + total.log())
        return torch.cat(contexts, -2), torch.cat(normalisers, -2)

    def backward(self, gradient, inputs, kept):
        query, key, value, mask, bias = inputs
        context, normaliser = kept
        L, S = query.shape[-2], key.shape[-2]
        # The softmax sends back weights * (gradient of weights - their weighted mean), and that
        # mean over all keys is gradient . context: known before any block is computed.
        mean = (_wide(gradient) * _wide(context)).sum(-1, keepdim=True)
        grads = [
            None if x is None else torch.zeros_like(_wide(x)) for x in (query, key, value, bias)
        ]
        for rows in self.blocks(L):
            sent = _wide(gradient[..., rows, :])
            for keys in self.blocks(self.end(rows, L, S)):
                scores = self.scores(query, key, mask, bias, rows, keys)
                weights = (scores - normaliser[..., rows, :]).exp()
                of_weights = sent @ _wide(value[..., keys, :]).mT
                of_scores = weights * (of_weights - mean[..., rows, :])
                _add(grads[0][..., rows, :], of_scores @ _wide(key[..., keys, :]) * self.scale)
                _add(grads[1][..., keys, :], of_scores.mT @ _wide(query[..., rows, :]) * self.scale)
                _add(grads[2][..., keys, :], weights.mT @ sent)
                if bias is not None:
                    _add(grads[3][part(bias, rows, keys)], of_scores)
        return tuple(g if g is None else g.to(query.dtype) for g in grads)

    def scores(self, query, key, mask, bias, rows: slice, keys: slice) -> Tensor:
        """The scores of one block; -inf where the query may not attend."""
        L, S = query.shape[-2], key.shape[-2]
        scores = (_wide(query[..., rows, :]) * self.scale) @ _wide(key[..., keys, :]).mT
        if bias is not None:
            scores = scores + bias[part(bias, rows, keys)]
        if mask is not None:
            scores = scores.masked_fill(~mask[part(mask, rows, keys)], -torch.inf)
        if self.causal and keys.stop > rows.start + S - L + 1:  # part of the block is the future
            positions = torch.arange(rows.start, rows.stop, device=query.device) + (S - L)
            future = torch.arange(keys.start, keys.stop, device=query.device) > positions[:, None]
            scores = scores.masked_fill(future, -torch.inf)
        return scores

    def end(self, rows: slice, L: int, S: int) -> int:
        """The number of keys that the last of these queries may see."""
        return rows.stop + S - L if self.causal else S

    def blocks(self, length: int) -> Iterator[slice]:
        for start in range(0, length, self.chunk_size):
            yield slice(start, min(start + self.chunk_size, length))


def _wide(x: Tensor) -> Tensor:
    """At least float32: half precision would round scores and sums to 3 digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _add(total: Tensor, block: Tensor) -> None:
    """Add a block to a part of a gradient, summed over the dimensions that were broadcast."""
    total += block.sum_to_size(total.shape)
