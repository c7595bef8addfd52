"""Additive scores of edges, whose hidden layer is too large to be stored for every edge.

It exists for a block of edges at a time, in the cache, and is computed again for the gradient.

Letters: E edges, H heads, C channels of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from attnlib.graph._kernels import is_fast, weighted_rows
from attnlib.graph._structure import Edges

CACHED = 1 << 18  # numbers of a block of edges: few enough to stay in the cache of a core


def additive_scores(
    source: Tensor, target: Tensor, edge: Tensor | None, att: Tensor, slope: float, edges: Edges
) -> Tensor:
    """score_e = att . leaky_relu(source[start of e] + target[end of e] + edge[e])

    Args:
        source: (number of sources, H, C).
        target: (number of targets, H, C).
        edge: (E, H, C) or None.
        att: (H, C).
        slope: of leaky_relu below 0.
        edges: the graph.

    Returns:
        (E, H).
    """
    if is_fast(source) and edge is None and slope >= 0:
        rows = torch.cat([source.flatten(1), target.flatten(1)])
        return _AdditiveScores.apply(rows, att, slope, edges)
    return _additive_scores(source, target, edge, att, slope, edges)


def _additive_scores(source, target, edge, att, slope, edges):
    hidden = source.index_select(0, edges.source.node) + target.index_select(0, edges.target.node)
    hidden = hidden if edge is None else hidden + edge
    return (F.leaky_relu(hidden, slope) * att).sum(-1)


class _AdditiveScores(Function):
    """The hidden layer (E, H, C) exists for a block of edges at a time, and is computed again.

    `rows` are the values of all sources, and below them those of all targets: then source + target
    is a sum of two of these rows, which `weighted_rows` forms as it reads them.
    """

    @staticmethod
    def forward(ctx, rows, att, slope, edges):
        ctx.save_for_backward(rows, att)
        ctx.slope, ctx.edges = slope, edges
        side, spread, first = edges.target, _spread(att), edges.source.num_nodes
        out = rows.new_empty(len(edges.order), len(att))
        for block in _ranges(len(out), att.numel()):
            hidden = _sums_of_two(rows, side.neighbours[block], side.node[block] + first)
            out[block] = F.linear(F.leaky_relu_(hidden, slope), spread)
        return out

    @staticmethod
    def backward(ctx, grad):
        (rows, att), slope, edges = ctx.saved_tensors, ctx.slope, ctx.edges
        if torch.is_grad_enabled():  # someone differentiates this pass: let autograd write it
            values = rows.unflatten(1, att.shape)
            source, target = values.tensor_split([edges.source.num_nodes])
            scores = _additive_scores(source, target, None, att, slope, edges)
            grads = torch.autograd.grad(scores, (rows, att), grad, create_graph=True)
            return (*grads, None, None)
        return (*_score_gradients(rows, att, slope, edges, grad), None, None)


def _score_gradients(rows, att, slope, edges, grad):
    """Gradients of additive scores for `rows` and `att`."""
    first_target = edges.source.num_nodes
    grad_rows, grad_spread = torch.empty_like(rows), torch.zeros_like(_spread(att))
    for side, shift, others in (edges.source, 0, first_target), (edges.target, first_target, 0):
        for first, last, start, end in side.blocks(_rows(att.numel())):
            numbers = side.edges[start:end]
            own = side.node.index_select(0, numbers) + shift
            hidden = _sums_of_two(rows, own, side.neighbours[start:end] + others)
            grads = grad.index_select(0, numbers)
            if side is edges.target:  # once is enough
                grad_spread.addmm_(grads.t(), F.leaky_relu_(hidden, slope))
            # The sign of leaky_relu(x) is that of x, so either tells the slope. `att` is the same
            # for all edges and waits until they are summed.
            slopes = torch.ops.aten.leaky_relu_backward(
                grads[..., None], hidden.unflatten(1, att.shape), slope, False
            )
            count = torch.arange(end - start, dtype=numbers.dtype)
            pointer = side.pointer[first : last + 1] - start
            sums = weighted_rows(count, slopes.flatten(1), pointer)
            grad_rows[shift + first : shift + last] = sums
    grad_rows.unflatten(1, att.shape).mul_(att)
    return grad_rows, grad_spread.view(len(att), *att.shape).diagonal().t()


def _sums_of_two(rows: Tensor, index: Tensor, other: Tensor) -> Tensor:
    """rows[index] + rows[other]"""
    pairs = torch.stack([index, other], 1).flatten()
    return weighted_rows(pairs, rows, torch.arange(0, len(pairs) + 1, 2, dtype=index.dtype))


def _spread(att: Tensor) -> Tensor:
    """(H, C) to (H, H * C), block diagonal: a matrix product with it is a dot product a head."""
    return torch.block_diag(*att)


def _rows(width: int) -> int:
    return max(1, CACHED // max(width, 1))


def _ranges(length: int, width: int) -> list[slice]:
    """Slices of rows of `width` numbers, each of which fits the cache."""
    step = _rows(width)
    return [slice(start, start + step) for start in range(0, length, step)]
