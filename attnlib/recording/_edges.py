"""Weights that lie on the edges of a graph instead of in a matrix."""

import torch
from torch import Tensor


def check_edges(weights: Tensor, edge_index: Tensor) -> None:
    """Raise unless every edge has its weights, and both ends are node numbers."""
    if not isinstance(edge_index, Tensor) or edge_index.dtype != torch.int64:
        got = edge_index.dtype if isinstance(edge_index, Tensor) else type(edge_index).__name__
        raise TypeError(
            f"AttentionMap: edge_index is {got}, expected torch.int64 node numbers (2, E); "
            f"write torch.as_tensor(edges).T for a list of pairs (source, target)"
        )
    if weights.ndim > 2 or 0 in weights.shape or edge_index.shape != (2, weights.shape[0]):
        raise ValueError(
            f"AttentionMap: weights has shape {tuple(weights.shape)} and edge_index "
            f"{tuple(edge_index.shape)}, expected (E,) or (E, H) and (2, E), none empty; "
            f"pass both as the layer returns them"
        )
    if edge_index.device != weights.device:
        raise ValueError(
            f"AttentionMap: weights on {weights.device} and edge_index on {edge_index.device}, "
            f"expected one device; move one with .to(device)"
        )


def graph_shape(edge_index: Tensor, num_nodes: int | tuple[int, int] | None) -> tuple[int, int]:
    """How many targets and sources a graph has; raise if an edge ends elsewhere."""
    sources, targets = (1 + edge_index.amax(1)).tolist()
    if num_nodes is None:
        num_nodes = max(sources, targets)
    shape = (num_nodes, num_nodes) if isinstance(num_nodes, int) else tuple(num_nodes)
    if int(edge_index.min()) < 0 or targets > shape[0] or sources > shape[1]:
        raise ValueError(
            f"AttentionMap: edge_index has node numbers {int(edge_index.min())} to "
            f"{int(edge_index.max())} (row 0 source, row 1 target), expected them below "
            f"num_nodes={num_nodes}; give num_nodes as (targets, sources) for a bipartite graph"
        )
    return shape


def head_mean(weights: Tensor) -> Tensor:
    """(E,) or (E, H) -> (E,)."""
    return weights if weights.ndim == 1 else weights.mean(1)


def sum_at_targets(values: Tensor, edge_index: Tensor, targets: int) -> Tensor:
    """(E,) or (E, H) -> (targets,) or (H, targets): the sum over the edges into each target."""
    sums = values.new_zeros(targets, *values.shape[1:])
    return sums.index_add(0, edge_index[1], values).movedim(0, -1)


def to_matrix(weights: Tensor, edge_index: Tensor, shape: tuple[int, int]) -> Tensor:
    """(E,) -> (targets, sources); edges between the same two nodes are summed."""
    source, target = edge_index
    return weights.new_zeros(shape).index_put((target, source), weights, accumulate=True)
