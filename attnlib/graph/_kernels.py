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
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function, forward_ad

from attnlib.functional import edge_softmax
from attnlib.graph._structure import ByHead, Side

TOGETHER = 2_000_000  # edges times heads up to which all heads are taken at once
MANY = 500_000  # numbers from which memory counts for more than the time of a call
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


def heads_at_once(x: Tensor, heads: int, num_edges: int) -> int:
    """How many heads to take at a time: all in a small graph, one in a large.

    Together there are fewer calls. One by one, tensors are small enough for the allocator to use
    the same memory again; what is larger than 32 MB it fetches from the system every time, page by
    page, which takes ten times as long as to fill it.
    """
    return 1 if is_fast(x) and num_edges * heads > TOGETHER else heads


def gather(x: Tensor, side: Side) -> Tensor:
    """The row of x (N, H) that belongs to the node of each edge: (E, H)."""
    return _Gather.apply(x, side) if is_fast(x) else x.index_select(0, side.node)


def bent(x: Tensor, slope: float) -> Tensor:
    """leaky_relu of x (E, H); of many, it keeps one byte a number for its gradient, not four."""
    if is_fast(x) and x.numel() > MANY:
        return _LeakyReLU.apply(x, slope)
    return F.leaky_relu(x, slope)


def edge_weights(scores: Tensor, side: Side) -> Tensor:
    """Softmax of scores (E, H) over the edges of each node."""
    if is_fast(scores):
        return _Softmax.apply(scores, side)
    return edge_softmax(scores, side.node, max(side.num_nodes, 1))


def neighbour_sum(weights: Sequence[Tensor], values: Tensor, side: Side, other: Side) -> Tensor:
    """out[i] = sum over the edges e of node i: weights[e] values[node at the other end of e].

    Args:
        weights: (E, H) for all heads, or a tensor for each `heads_at_once`.
        values: (number of nodes of the other side, H, C).
        side: the end that collects.
        other: the end where the values are.

    Returns:
        (N, H, C).
    """
    if is_fast(values):
        return _NeighbourSum.apply(values, side, other, *weights)
    # Sums of many edges would be rounded to 3 digits in half precision.
    wide = torch.promote_types(values.dtype, torch.float32)
    shares = torch.cat(weights, 1)[..., None].to(wide)
    messages = shares * values.index_select(0, other.node).to(wide)
    sums = messages.new_zeros(side.num_nodes, *values.shape[1:])
    return sums.index_add(0, side.node, messages).to(values.dtype)


def weighted_rows(
    index: Tensor, rows: Tensor, pointer: Tensor, weights: Tensor | None = None
) -> Tensor:
    """out[i] = sum of weights[j] rows[index[j]] for j from pointer[i] to pointer[i + 1]."""
    if len(index) == 0:
        return rows.new_zeros(len(pointer) - 1, rows.shape[1])
    # detach: where a gradient is wanted embedding_bag prepares a backward pass of its own.
    return F.embedding_bag(
        index,
        rows.detach(),
        pointer,
        mode="sum",
        per_sample_weights=None if weights is None else weights.detach(),
        include_last_offset=True,
    )


def _select(x: Tensor, index: Tensor) -> Tensor:
    """x[index] for x (n, H); a single column goes as a list, which torch reads faster."""
    if x.shape[1] == 1:
        return x.flatten().contiguous().index_select(0, index)[:, None]
    return x.contiguous().index_select(0, index)


class _Gather(Function):
    @staticmethod
    def forward(ctx, x, side):
        ctx.side = side
        return _select(x, side.node)

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


class _LeakyReLU(Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x > 0)
        ctx.slope = slope
        return F.leaky_relu(x, slope)

    @staticmethod
    def backward(ctx, grad):
        (positive,) = ctx.saved_tensors
        return torch.where(positive, grad, grad * ctx.slope), None


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
                weights = (scores - _select(largest, side.node)).exp_()
            sums = weighted_rows(side.edges, weights, side.pointer)
            sums.masked_fill_(sums == 0, 1.0)  # nodes without edges, and those with -inf only
            weights.div_(_select(sums, side.node))
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
    def forward(ctx, values, side, other, *weights):
        ctx.save_for_backward(values, *weights)
        ctx.side, ctx.other = side, other
        heads = weights[0].shape[1]
        graph, shape = side.by_head(heads), (side.num_nodes, *values.shape[1:])
        sums = (
            weighted_rows(
                graph.neighbours, rows.flatten(0, 1), graph.pointer, _turned(shares, graph.take)
            )
            for rows, shares in zip(values.split(heads, 1), weights, strict=True)
        )
        if len(weights) == 1:
            # Spares a small graph a copy, and is no view for autograd: it may be added to in place.
            return torch.ops.aten._unsafe_view(next(sums), shape)
        out = values.new_empty(shape)
        for part in out.split(heads, 1):
            part.copy_(next(sums).view_as(part))
        return out

    @staticmethod
    def backward(ctx, grad):
        values, *weights = ctx.saved_tensors
        needs_values, _, _, *needs_weights = ctx.needs_input_grad
        grad_values, grad_weights = None, [None] * len(weights)
        if any(needs_weights):
            heads = weights[0].shape[1]
            grad_weights = _EdgeProduct.apply(grad, values, ctx.side, ctx.other, heads)
        if needs_values:
            grad_values = _NeighbourSum.apply(grad, ctx.other, ctx.side, *weights)
        return grad_values, None, None, *grad_weights


class _EdgeProduct(Function):
    """(E, H): the dot product of one (N, H, C) at one end of an edge and another at its other.

    As a tensor for each so many heads.
    """

    @staticmethod
    def forward(ctx, x, y, side, other, heads):
        ctx.save_for_backward(x, y)
        ctx.side, ctx.other = side, other
        graph, out = side.by_head(heads), []
        for rows, columns in zip(x.split(heads, 1), y.split(heads, 1), strict=True):
            rows, columns = rows.flatten(0, 1).contiguous(), columns.flatten(0, 1).t()
            # A product of two matrices, but only where the third has an entry. With beta=0 torch
            # still multiplies what lies in that matrix by it: it must be zeros, not any memory.
            entries = _zeros(graph, rows, columns.shape[1])
            torch.sparse.sampled_addmm(entries, rows, columns, beta=0.0, out=entries)
            out.append(_turned(entries.values(), graph.back).view(-1, heads))
        return tuple(out)

    @staticmethod
    def backward(ctx, *grads):
        x, y = ctx.saved_tensors
        needs_x, needs_y, *_ = ctx.needs_input_grad
        return (
            _NeighbourSum.apply(y, ctx.side, ctx.other, *grads) if needs_x else None,
            _NeighbourSum.apply(x, ctx.other, ctx.side, *grads) if needs_y else None,
            None,
            None,
            None,
        )


def _zeros(graph: ByHead, like: Tensor, num_columns: int) -> Tensor:
    """A sparse matrix with an entry, zero, for each edge."""
    values = like.new_zeros(len(graph.neighbours))
    shape = (len(like), num_columns)
    with warnings.catch_warnings():  # torch says once that sparse matrices are new
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            graph.pointer, graph.neighbours, values, shape, check_invariants=False
        )


def _turned(x: Tensor, order: Tensor | None) -> Tensor:
    """The numbers of x, flattened, in that order; None if they are in order."""
    return x.flatten().contiguous() if order is None else x.flatten().index_select(0, order)
