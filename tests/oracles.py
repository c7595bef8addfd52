"""Slow answers to trust: plain loops that share no line with attnlib, and numbers to feed them."""

import itertools
import math

import torch
from torch import Tensor


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(g: torch.Generator, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)


def coin(g: torch.Generator, *shape: int, share: float = 0.6) -> Tensor:
    """A mask that is True with probability `share`."""
    return torch.rand(shape, generator=g) < share


def gradients(output: Tensor, leaves: list[Tensor], seed: int = 1) -> tuple[Tensor, ...]:
    """Gradients of a random weighted sum of the output, so that no two errors cancel."""
    weights = normal(generator(seed), *output.shape, dtype=output.dtype)
    return torch.autograd.grad(output, leaves, weights, retain_graph=True)


def loop_attention(query, key, value, mask=None, bias=None, causal=False, scale=None):
    """Context and weights, one query at a time and without any trick; differentiable."""
    (L, D), S = query.shape[-2:], key.shape[-2]
    lead = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    scale = 1 / math.sqrt(D) if scale is None else scale
    mask = torch.ones(L, S, dtype=torch.bool) if mask is None else mask
    bias = torch.zeros(L, S, dtype=query.dtype) if bias is None else bias
    mask, bias = mask.expand(*lead, L, S), bias.expand(*lead, L, S)
    query, key, value = (x.expand(*lead, *x.shape[-2:]) for x in (query, key, value))
    contexts, rows = [], []
    for at in itertools.product(*map(range, lead), range(L)):
        *example, i = at
        example = tuple(example)
        seen = [bool(mask[at][j]) and (not causal or j <= i + S - L) for j in range(S)]
        scores = scale * (key[example] * query[at]).sum(1) + bias[at]
        shares = torch.tensor(seen) * scores.exp()
        row = shares / shares.sum() if shares.sum() > 0 else shares
        rows.append(row)
        contexts.append((row[:, None] * value[example]).sum(0))
    context = torch.stack(contexts).reshape(*lead, L, value.shape[-1])
    return context, torch.stack(rows).reshape(*lead, L, S)
