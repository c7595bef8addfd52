"""What the measures of an `AttentionMap` compare its weights with: distances, and the truth."""

import torch
from torch import Tensor

from attnlib._checks import check_tensor


def distances(
    shape: tuple[int, int],
    edges: Tensor | None,
    kind: str,
    times: Tensor | None,
    query_times: Tensor | None,
) -> Tensor:
    """(L, S), or (E,) on edges, on the CPU: how far each key is from each query."""
    L, S = shape
    if edges is not None and times is None:
        return edges[0] != edges[1]  # hops
    times = torch.arange(S) if times is None else times.cpu()
    aligned = L == S or (kind == "self" and L < S)
    query_times = times[S - L :] if query_times is None and aligned else query_times
    if query_times is None or times.shape != (S,) or query_times.shape != (L,):
        got = None if query_times is None else tuple(query_times.shape)
        raise ValueError(
            f"AttentionMap.reach: got times {tuple(times.shape)} and query_times {got}, "
            f"expected ({S},) and ({L},); write query_times=torch.arange({L}) or real times"
        )
    query_times = query_times.cpu()
    if edges is None:
        return (query_times[:, None] - times).abs()
    source, target = edges.cpu()
    return (query_times[target] - times[source]).abs()


def right_entries(owner: str, weights: Tensor, edges: Tensor | None, truth: Tensor) -> Tensor:
    """A bool of the shape of the weights; raise unless the truth fits and marks something."""
    check_tensor(owner, "truth", truth)
    truth, on_edges = truth.to(weights.device), edges is not None
    try:
        if on_edges and truth.ndim == 2 and len(truth) != len(weights):
            truth = truth[edges[1], edges[0]]  # (N, N), a row a target
        if on_edges and truth.ndim == 1:
            truth = for_each_head(truth, weights)
        right = (truth > 0).expand_as(weights)
    except (IndexError, RuntimeError):
        raise ValueError(
            f"{owner}: truth has shape {tuple(truth.shape)}, expected one that "
            f"broadcasts to {tuple(weights.shape)}; write truth[:, None] to add heads"
        ) from None
    if not bool(right.any()):
        raise ValueError(
            f"{owner}: truth marks no entry, expected at least one; "
            f"pass True where attention is right"
        )
    return right


def for_each_head(values: Tensor, weights: Tensor) -> Tensor:
    """One value an edge (E,), for weights of one head (E,) or of several (E, H)."""
    return values if weights.ndim == 1 else values[:, None]
