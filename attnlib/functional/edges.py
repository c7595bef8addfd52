"""Softmax over the edges of a graph: every node weighs the edges that end in it."""

import torch
from torch import Tensor

from attnlib._checks import check_floating, check_indices, check_positive

__all__ = ["edge_softmax"]


def edge_softmax(scores: Tensor, index: Tensor, num_nodes: int) -> Tensor:
    """Softmax of the scores of edges, taken among the edges that end in one node.

    weights_e = exp(scores_e) / sum of exp(scores_f) over the edges f with index_f = index_e
    Edges may come in any order, and a node may have none. A score of minus infinity counts as no
    edge: a node with nothing but such edges gives weights 0 and gradient 0. NaN stays NaN for the
    edges of its node.

    Args:
        scores: (E, ...), one score an edge, or one an edge and head.
        index: (E,) integer, the node in which each edge ends: edge_index[1]. Numbers out of range
            are an error on the CPU; elsewhere they are not looked at, to spare a wait for the
            device, and fail there.
        num_nodes: N, number of nodes.

    Returns:
        The shape of `scores`: over the edges of a node they sum to 1.

    Raises:
        TypeError: scores that are not floating point, or an index that is not integer.
        ValueError: an index of another length, on another device, or out of range.

    Differs from torch_geometric.utils.softmax:
        no 1e-16 is added to the sum, so weights do not fall short of 1; there is no `ptr`.

    Reference: Veličković et al. 2018, equations 2 and 3, arXiv:1710.10903

    >>> edge_softmax(torch.zeros(3), torch.tensor([0, 2, 0]), 3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    check_floating("edge_softmax", "scores", scores)
    check_positive("edge_softmax", num_nodes=num_nodes)
    check_indices("edge_softmax", "index", index, num_nodes, like=scores)
    # Sums of many edges would be rounded to 3 digits in half precision.
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    index = index.long()
    whole = index.reshape(-1, *[1] * (scores.ndim - 1)).expand_as(scores)
    # The softmax is the same whatever is subtracted from all scores of a node, so the largest is,
    # lest exp overflow; and since it is the same, no gradient flows through what is subtracted.
    none = wide.new_full((num_nodes, *scores.shape[1:]), -torch.inf)
    largest = none.scatter_reduce(0, whole, wide.detach(), "amax")
    largest = largest.masked_fill(largest == -torch.inf, 0.0)
    shares = (wide - largest.index_select(0, index)).exp()
    sums = torch.zeros_like(none).index_add(0, index, shares)
    sums = sums.masked_fill(sums == 0, 1.0)  # nodes without edges, and those with -inf only
    return (shares / sums.index_select(0, index)).to(scores.dtype)
