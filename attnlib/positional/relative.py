"""Terms of the score that depend on how far a key is from its query.

Queries are aligned at the last key everywhere: query i stands at position i + S - L.
"""

import math

import torch
from torch import Tensor, nn

from attnlib._checks import check_attention_inputs, check_positive

__all__ = ["ALiBi", "RelativeAttentionBias", "RelativeBias"]


class RelativeBias(nn.Module):
    """One learned number a head for each bucket of distances (T5).

    bias[h, i, j] = weight[bucket(j - position of i), h]
    Half of the buckets hold one small distance each; the others widen in equal ratios up to
    `max_distance`, and the last holds everything beyond.

    Args:
        num_heads: H.
        num_buckets: number of buckets; T5 has 32. At least 4, or 2 if not bidirectional.
        max_distance: distance from which all share a bucket, above the distances with a bucket
            of their own.
        bidirectional: whether half of the buckets are for later keys; otherwise these all count
            as distance 0, and are to be hidden by causal=True.

    Raises:
        ValueError: sizes below 1, or too few buckets for the distances.

    Reference: Raffel et al. 2020, section 2.1, arXiv:1910.10683

    >>> RelativeBias(3)(5, 7).shape
    torch.Size([3, 5, 7])
    """

    def __init__(
        self,
        num_heads: int,
        num_buckets: int = 32,
        max_distance: int = 128,
        *,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        owner = "RelativeBias"
        check_positive(
            owner, num_heads=num_heads, num_buckets=num_buckets, max_distance=max_distance
        )
        exact = num_buckets // (4 if bidirectional else 2)
        if exact == 0 or max_distance <= exact:
            raise ValueError(
                f"{owner}: got num_buckets={num_buckets} and max_distance={max_distance}, expected "
                f"at least {4 if bidirectional else 2} buckets and a distance above {exact}; "
                f"write num_buckets=32, max_distance=128"
            )
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.weight = nn.Parameter(torch.empty(num_buckets, num_heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new numbers, small beside scores of variance 1."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, length: int, size: int | None = None) -> Tensor:
        """The bias for all pairs of positions.

        Args:
            length: L, number of queries.
            size: S, number of keys; L when omitted.

        Returns:
            (H, L, S), for the `bias` of MultiHeadAttention.

        Raises:
            ValueError: a size below 1.
        """
        distance = -_distances("RelativeBias", length, size, self.weight.device)
        return self.weight[self._bucket(distance)].permute(2, 0, 1)

    def _bucket(self, offset: Tensor) -> Tensor:
        """The bucket of each offset, position of the key minus position of the query."""
        buckets = self.num_buckets
        first = torch.zeros_like(offset)
        if self.bidirectional:
            buckets //= 2
            first = (offset > 0) * buckets
            distance = offset.abs()
        else:
            distance = (-offset).clamp(min=0)
        exact = buckets // 2
        # log(0) never matters: distances below `exact` are their own bucket.
        ratio = (distance.clamp(min=1).float() / exact).log() / math.log(self.max_distance / exact)
        wide = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
        return first + torch.where(distance < exact, distance, wide)


class ALiBi(nn.Module):
    """A penalty that grows with the distance, steep in some heads and flat in others.

    bias[h, i, j] = -slope_h |position of i - j|, with slopes 2^(-8/H), 2^(-16/H), ..., 2^-8
    If H is no power of two, the slopes are those of the next lower power, then every second one
    of the next higher. Later keys are penalised alike; causal=True hides them. Nothing is
    learned, and the state dict stays empty.

    Args:
        num_heads: H.

    Raises:
        ValueError: a size below 1.

    Reference: Press et al. 2022, section 3, arXiv:2108.12409

    >>> ALiBi(2)(2)
    tensor([[[ 0.0000, -0.0625],
             [-0.0625,  0.0000]],
    <BLANKLINE>
            [[ 0.0000, -0.0039],
             [-0.0039,  0.0000]]])
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        check_positive("ALiBi", num_heads=num_heads)
        power = 2 ** int(math.log2(num_heads))
        slopes = _slopes(power) + _slopes(2 * power)[0::2][: num_heads - power]
        self.register_buffer("slopes", torch.tensor(slopes), persistent=False)

    def forward(self, length: int, size: int | None = None) -> Tensor:
        """The bias for all pairs of positions.

        Args:
            length: L, number of queries.
            size: S, number of keys; L when omitted.

        Returns:
            (H, L, S), for the `bias` of MultiHeadAttention.

        Raises:
            ValueError: a size below 1.
        """
        distance = _distances("ALiBi", length, size, self.slopes.device).abs()
        return self.slopes[:, None, None] * -distance


class RelativeAttentionBias(nn.Module):
    """What Transformer-XL adds to the product of query and key.

    bias_ij = ((query_i + v) W_r r_(p - j) + u key_j) / sqrt(D), at p = i + S - L
    r is the sinusoidal encoding of the distance; u and v stand for a query that has no position.
    The distance counts from the query, so cached keys of an earlier segment keep their place.
    Give it to `MultiHeadAttention(..., relative=...)`, which calls it on its heads.

    Args:
        num_heads: H.
        head_dim: D, width of a head.

    Raises:
        ValueError: sizes below 1, or a width H D that is odd.

    Reference: Dai et al. 2019, section 3.3 and appendix B, arXiv:1901.02860

    >>> RelativeAttentionBias(2, 3)(torch.zeros(1, 2, 5, 3), torch.zeros(1, 2, 7, 3)).shape
    torch.Size([1, 2, 5, 7])
    """

    def __init__(self, num_heads: int, head_dim: int) -> None:
        super().__init__()
        check_positive("RelativeAttentionBias", num_heads=num_heads, head_dim=head_dim)
        width = num_heads * head_dim
        if width % 2:
            raise ValueError(
                f"RelativeAttentionBias: got num_heads={num_heads} and head_dim={head_dim}, "
                f"expected an even product; write head_dim={head_dim + 1}"
            )
        self.r_proj = nn.Linear(width, width, bias=False)
        self.content_bias = nn.Parameter(torch.empty(num_heads, 1, head_dim))  # u
        self.position_bias = nn.Parameter(torch.empty(num_heads, 1, head_dim))  # v
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw a new projection (Xavier uniform) and set u and v to zero."""
        nn.init.xavier_uniform_(self.r_proj.weight)
        nn.init.zeros_(self.content_bias)
        nn.init.zeros_(self.position_bias)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """The bias for heads that are projected and split already.

        Args:
            query: (B, H, L, D).
            key: (B, H, S, D), those of earlier segments included.

        Returns:
            (B, H, L, S), already divided by sqrt(D).

        Raises:
            TypeError: inputs that are not floating point, or of different dtypes.
            ValueError: shapes that do not fit each other or the layer.
        """
        owner = "RelativeAttentionBias"
        *_, L, S = check_attention_inputs(owner, query, key, None, causal=False)
        H, _, D = self.position_bias.shape
        for name, tensor in (("query", query), ("key", key)):
            if tensor.ndim != 4 or tensor.shape[1] != H or tensor.shape[3] != D:
                raise ValueError(
                    f"{owner}: {name} has shape {tuple(tensor.shape)}, expected (B, {H}, length, "
                    f"{D}); build it with the num_heads and head_dim of the attention"
                )
        # Every distance there is, S - 1 down to 1 - L, and one more, which makes the shift a view.
        distances = torch.arange(S - 1, -L - 1, -1, device=query.device)
        wide = torch.promote_types(query.dtype, torch.float32)
        turned = self.r_proj(_waves(distances.to(wide), H * D).to(self.r_proj.weight.dtype))
        turned = turned.unflatten(-1, (H, D)).permute(1, 2, 0)  # (H, D, S + L)
        by_distance = (query + self.position_bias) @ turned
        content = self.content_bias @ key.transpose(-2, -1)  # (B, H, 1, S)
        return (_shift(by_distance, S) + content) * D**-0.5


def _shift(scores: Tensor, S: int) -> Tensor:
    """From scores by distance (B, H, L, S + L) to scores by key (B, H, L, S).

    Column c of row i is distance S - 1 - c, and key j is at distance i + S - L - j, in column
    j + L - 1 - i: each row starts one column earlier than the row above. Reading the same numbers
    in rows that are one shorter does just that.
    """
    L, W = scores.shape[-2:]
    return scores.flatten(-2)[..., L - 1 : L - 1 + L * (W - 1)].unflatten(-1, (L, W - 1))[..., :S]


def _waves(positions: Tensor, width: int) -> Tensor:
    """Sinusoidal encoding (n, width) of positions (n,), which may be negative."""
    steps = torch.arange(0, width, 2, device=positions.device, dtype=positions.dtype)
    angles = positions[:, None] * 10000.0 ** (-steps / width)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


def _distances(owner: str, length: int, size: int | None, device: torch.device) -> Tensor:
    """Position of each query minus position of each key, (L, S)."""
    size = length if size is None else size
    check_positive(owner, length=length, size=size)
    queries = torch.arange(size - length, size, device=device)
    return queries[:, None] - torch.arange(size, device=device)


def _slopes(count: int) -> list[float]:
    return [2.0 ** (-8.0 * h / count) for h in range(1, count + 1)]
