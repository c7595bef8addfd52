"""What graph attention does to numbers on edges and nodes, each as a few plain lines and fast.

Plain PyTorch writes a message (E, H, C) for every edge before it sums them. Here no such tensor
exists: on sorted edges `embedding_bag` adds up rows of the neighbours as it reads them, weighted.

The pieces are each other's derivatives. The gradient of a gather is a sum and that of a sum a
gather; the gradient of a weighted sum is a weighted sum along the reversed edges, and, for the
weights, a dot product an edge. So each backward pass calls another piece, and second derivatives
come by themselves. Whatever is no float32 or float64 on a CPU, or is traced, takes the plain lines.

Letters: N nodes, E edges, H heads, C channels of a head.
"""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function, forward_ad

from attnlib.functional import edge_softmax
from attnlib.graph._structure import ByHead, Edges, Side

CACHED = 1 << 18  # numbers of a block of edges: few enough to stay in the cache of a core
TOGETHER = 2_000_000  # edges times heads up to which all heads are taken at once
SPREAD = 60.0  # exp(-60) is far from the smallest float32, exp(-87)


def is_fast(x: Tensor) -> bool:
    """Whether the pieces below may be used: they are opaque to autocast and to transformations."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and torch._C._functorch.maybe_current_level() is None
        and forward_ad._current_level < 0
    )


def gather(x: Tensor, side: Side) -> Tensor:
    """The row of x (N, H) that belongs to the node of each edge: (E, H)."""
    return _Gather.apply(x, side) if is_fast(x) else x.index_select(0, side.node)


def edge_weights(scores: Tensor, side: Side) -> Tensor:
    """Softmax of scores (E, H) over the edges of each node."""
    if is_fast(scores):
        return _Softmax.apply(scores, side)
    return edge_softmax(scores, side.node, max(side.num_nodes, 1))


def neighbour_sum(weights: Tensor, values: Tensor, side: Side, other: Side) -> Tensor:
    """out[i] = sum over the edges e of node i: weights[e] values[node at the other end of e].

    Args:
        weights: (E, H).
        values: (number of nodes of the other side, H, C).
        side: the end that collects.
        other: the end where the values are.

    Returns:
        (N, H, C).
    """
    if is_fast(values):
        return _NeighbourSum.apply(weights, values.contiguous(), side, other)
    # Sums of many edges would be rounded to 3 digits in half precision.
    wide = torch.promote_types(values.dtype, torch.float32)
    messages = weights[..., None].to(wide) * values.index_select(0, other.node).to(wide)
    sums = messages.new_zeros(side.num_nodes, *values.shape[1:])
    return sums.index_add(0, side.node, messages).to(values.dtype)


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
        return _AdditiveScores.apply(source, target, att, slope, edges)
    return _additive_scores(source, target, edge, att, slope, edges)


def _additive_scores(source, target, edge, att, slope, edges):
    hidden = source.index_select(0, edges.source.node) + target.index_select(0, edges.target.node)
    hidden = hidden if edge is None else hidden + edge
    return (F.leaky_relu(hidden, slope) * att).sum(-1)


def weighted_rows(
    index: Tensor, rows: Tensor, pointer: Tensor, weights: Tensor | None = None
) -> Tensor:
    """out[i] = sum of weights[j] rows[index[j]] for j from pointer[i] to pointer[i + 1]."""
    if len(index) == 0:
        return rows.new_zeros(len(pointer) - 1, rows.shape[1])
    # detach: for rows that want a gradient embedding_bag prepares a backward pass of its own.
    return F.embedding_bag(
        index,
        rows.detach(),
        pointer,
        mode="sum",
        per_sample_weights=weights,
        include_last_offset=True,
    )


class _Gather(Function):
    @staticmethod
    def forward(ctx, x, side):
        ctx.side = side
        return x.index_select(0, side.node)

    @staticmethod
    def backward(ctx, grad):
        return _Collect.apply(grad, ctx.side), None


class _Collect(Function):
    """The sum over the edges of each node: (E, H) to (N, H)."""

    @staticmethod
    def forward(ctx, x, side):
        ctx.side = side
        return weighted_rows(side.edges, x, side.pointer)

    @staticmethod
    def backward(ctx, grad):
        return _Gather.apply(grad, ctx.side), None


class _Softmax(Function):
    @staticmethod
    def forward(ctx, scores, side):
        ctx.side = side
        if len(scores) == 0:
            weights = scores.clone()
        else:
            # Any number may be subtracted, one for all if no exp gets too small by it. (To look at
            # the spread is no wait: these numbers are on the CPU.) NaN takes the second way.
            low, high = torch.aminmax(scores)
            if high - low < SPREAD:
                weights = (scores - high).exp_()
            else:
                largest = torch.segment_reduce(scores, "max", offsets=side.pointer, unsafe=True)
                largest.masked_fill_(largest == -torch.inf, 0.0)
                weights = (scores - largest.index_select(0, side.node)).exp_()
            sums = weighted_rows(side.edges, weights, side.pointer)
            sums.masked_fill_(sums == 0, 1.0)  # nodes without edges, and those with -inf only
            weights.div_(sums.index_select(0, side.node))
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx, grad):
        (weights,) = ctx.saved_tensors
        product = weights * grad
        sums = _Gather.apply(_Collect.apply(product, ctx.side), ctx.side)
        return product.addcmul_(weights, sums, value=-1), None


class _NeighbourSum(Function):
    @staticmethod
    def forward(ctx, weights, values, side, other):
        ctx.save_for_backward(weights, values)
        ctx.side, ctx.other = side, other
        groups = _head_groups(weights)
        out = values.new_empty(side.num_nodes, *values.shape[1:])
        for heads in groups:
            graph = side.by_head(weights[:, heads].shape[1])
            shares = weights[:, heads].flatten().index_select(0, graph.take)
            rows = values[:, heads].flatten(0, 1)
            sums = weighted_rows(graph.neighbours, rows, graph.pointer, shares)
            sums = sums.view(out[:, heads].shape)
            if len(groups) == 1:
                return sums  # spares a small graph the copy
            out[:, heads] = sums
        return out

    @staticmethod
    def backward(ctx, grad):
        weights, values = ctx.saved_tensors
        side, other = ctx.side, ctx.other
        needs_weights, needs_values, *_ = ctx.needs_input_grad
        return (
            _EdgeProduct.apply(grad, values, side, other) if needs_weights else None,
            _NeighbourSum.apply(weights, grad, other, side) if needs_values else None,
            None,
            None,
        )


class _EdgeProduct(Function):
    """(E, H): the dot product of one (N, H, C) at one end of an edge and another at its other."""

    @staticmethod
    def forward(ctx, x, y, side, other):
        ctx.save_for_backward(x, y)
        ctx.side, ctx.other = side, other
        out = x.new_empty(len(side.edges), x.shape[1])
        for heads in _head_groups(out):
            graph = side.by_head(out[:, heads].shape[1])
            rows, columns = x[:, heads].flatten(0, 1), y[:, heads].flatten(0, 1).t()
            # A product of two matrices, but only where the third has an entry. With beta=0 torch
            # still multiplies what lies in that matrix by it: it must be zeros, not any memory.
            entries = _zeros(graph, rows, columns.shape[1])
            torch.sparse.sampled_addmm(entries, rows, columns, beta=0.0, out=entries)
            products = entries.values().index_select(0, graph.back)
            out[:, heads] = products.view_as(out[:, heads])
        return out

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        side, other = ctx.side, ctx.other
        needs_x, needs_y, *_ = ctx.needs_input_grad
        return (
            _NeighbourSum.apply(grad, y, side, other) if needs_x else None,
            _NeighbourSum.apply(grad, x, other, side) if needs_y else None,
            None,
            None,
        )


def _zeros(graph: ByHead, like: Tensor, num_columns: int) -> Tensor:
    """A sparse matrix with an entry, zero, for each edge."""
    values = like.new_zeros(len(graph.take))
    shape = (len(like), num_columns)
    with warnings.catch_warnings():  # torch says once that sparse matrices are new
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            graph.pointer, graph.neighbours, values, shape, check_invariants=False
        )


def _head_groups(weights: Tensor) -> list[slice]:
    """The heads of weights (E, H) that are taken at once: all of a small graph, each of a large.

    At once there are fewer calls; one by one, fewer rows that must stay near the processor.
    """
    E, H = weights.shape
    step = H if E * H <= TOGETHER else 1
    return [slice(first, first + step) for first in range(0, H, step)]


class _AdditiveScores(Function):
    """The hidden layer (E, H, C) exists for a block of edges at a time, and is computed again."""

    @staticmethod
    def forward(ctx, source, target, att, slope, edges):
        ctx.save_for_backward(source, target, att)
        ctx.slope, ctx.edges = slope, edges
        side, spread = edges.target, _spread(att)
        out = source.new_empty(len(edges.order), len(att))
        for block in _ranges(len(out), att.numel()):
            hidden = source.index_select(0, side.neighbours[block])
            hidden.add_(target.index_select(0, side.node[block]))
            out[block] = F.linear(F.leaky_relu_(hidden.flatten(1), slope), spread)
        return out

    @staticmethod
    def backward(ctx, grad):
        source, target, att = inputs = ctx.saved_tensors
        slope, edges = ctx.slope, ctx.edges
        if torch.is_grad_enabled():  # someone differentiates this pass: let autograd write it
            scores = _additive_scores(source, target, None, att, slope, edges)
            grads = torch.autograd.grad(scores, inputs, grad, create_graph=True, allow_unused=True)
            return (*grads, None, None)
        grad_source, grad_att = _score_gradients(source, target, att, slope, edges.source, grad)
        grad_target, _ = _score_gradients(target, source, att, slope, edges.target, grad)
        return grad_source, grad_target, grad_att, None, None


def _score_gradients(own, others, att, slope, side, grad):
    """Gradients of additive scores for `own`, the values at the end `side`, and for `att`."""
    spread = _spread(att)
    grad_own, grad_spread = torch.empty_like(own).flatten(1), torch.zeros_like(spread)
    for first, last, start, end in side.blocks(_rows(att.numel())):
        numbers = side.edges[start:end]
        hidden = own.index_select(0, side.node.index_select(0, numbers))
        hidden.add_(others.index_select(0, side.neighbours[start:end]))
        hidden = F.leaky_relu_(hidden.flatten(1), slope)
        grads = grad.index_select(0, numbers)
        grad_spread.addmm_(grads.t(), hidden)
        # The sign of leaky_relu(x) is that of x, so its result tells its slope.
        grad_hidden = torch.ops.aten.leaky_relu_backward(grads @ spread, hidden, slope, True)
        count = torch.arange(end - start, dtype=numbers.dtype)
        pointer = side.pointer[first : last + 1] - start
        grad_own[first:last] = weighted_rows(count, grad_hidden, pointer)
    grad_att = grad_spread.view(len(att), *att.shape).diagonal().t()
    return grad_own.view_as(own), grad_att


def _spread(att: Tensor) -> Tensor:
    """(H, C) to (H, H * C), block diagonal: a matrix product with it is a dot product a head."""
    return torch.block_diag(*att)


def _rows(width: int) -> int:
    return max(1, CACHED // max(width, 1))


def _ranges(length: int, width: int) -> list[slice]:
    """Slices of rows of `width` numbers, each of which fits the cache."""
    step = _rows(width)
    return [slice(start, start + step) for start in range(0, length, step)]
