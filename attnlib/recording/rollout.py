"""Attention over several layers at once."""

from collections.abc import Iterable

import torch

from attnlib.recording.maps import AttentionMap

__all__ = ["rollout"]


def rollout(maps: Iterable[AttentionMap], *, residual: float = 0.5) -> list[AttentionMap]:
    """How much of each input position is in each position after every layer, if layers only mix.

    mixed_l = (1 - residual) weights_l + residual identity, rows scaled to 1
    rolled_l = mixed_l rolled_(l-1)
    It follows the weights alone: what the projections and feed-forward layers do is left out. A
    row with nothing to attend passes its position on.

    Args:
        maps: self-attention of one example or of a graph, first layer first, as
            `maps.values()`; heads are averaged.
        residual: the share that passes the layer by, in [0, 1); 0 where there is no residual path.

    Returns:
        One map (L, L) a layer; the last one covers all of them.

    Raises:
        ValueError: no maps, maps that are not square or not of one size, a bad share.

    Reference: Abnar & Zuidema 2020, section 3 (attention rollout), arXiv:2005.00928

    >>> turn = AttentionMap(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> rollout([turn, turn])[-1].weights
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    maps = list(maps)
    if not 0 <= residual < 1:
        raise ValueError(
            f"rollout: got residual={residual}, expected a share in [0, 1); "
            f"write 0.5 where a layer adds its output to its input"
        )
    shapes = [m.shape for m in maps]
    if len(set(shapes)) != 1 or shapes[0][0] != shapes[0][1]:
        raise ValueError(
            f"rollout: got maps of shapes {shapes}, expected one square shape (L, L); "
            f"pass the self-attention of one encoder, first layer first"
        )
    rolled, result = None, []
    for one in maps:
        weights = one.dense()
        identity = torch.eye(len(weights), dtype=weights.dtype, device=weights.device)
        empty = weights.sum(-1, keepdim=True) == 0
        mixed = torch.where(empty, identity, (1 - residual) * weights + residual * identity)
        mixed = mixed / mixed.sum(-1, keepdim=True)
        rolled = mixed if rolled is None else mixed @ rolled
        result.append(AttentionMap(rolled, one.queries, one.keys))
    return result
