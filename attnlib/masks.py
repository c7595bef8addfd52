"""Boolean masks: True means "may attend". Combine them with `&`, `|` and `~`.

One meaning everywhere: a mask is the adjacency of the graph along which attention flows.
`to_sdpa` and `to_mha` translate for the torch functions that read masks in other ways.
"""

import torch
from torch import Tensor

from attnlib._checks import (
    check_causal,
    check_edge_index,
    check_mask,
    check_positive,
    check_tensor,
)

__all__ = [
    "adjacency_mask",
    "causal_mask",
    "padding_mask",
    "prefix_mask",
    "sliding_window_mask",
    "to_mha",
    "to_sdpa",
]


def causal_mask(
    length: int, size: int | None = None, *, device: torch.device | str | None = None
) -> Tensor:
    """Let every query see the keys up to its own position, aligned at the end.

    mask[i, j] = j <= i + (size - length)
    With more keys than queries the last query sees every key: the queries are the newest
    positions of a longer sequence, as in decoding with a cache.

    Args:
        length: L, number of queries.
        size: S, number of keys; L when omitted.
        device: where the mask is made.

    Returns:
        (L, S) bool.

    Raises:
        ValueError: a size below 1, or more queries than keys.

    Differs from torch.nn.functional.scaled_dot_product_attention(is_causal=True):
        that one is aligned at the start, so for L < S its last query does not see the last keys.

    >>> causal_mask(2, 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """
    size = length if size is None else size
    check_positive("causal_mask", length=length, size=size)
    check_causal("causal_mask", length, size)
    ones = torch.ones(length, size, dtype=torch.bool, device=device)
    return ones.tril(diagonal=size - length)


def sliding_window_mask(
    length: int,
    window: int,
    size: int | None = None,
    *,
    device: torch.device | str | None = None,
) -> Tensor:
    """Let every query see the last `window` keys up to its own position.

    mask[i, j] = p - window < j <= p with p = i + (size - length)

    Args:
        length: L, number of queries.
        window: number of keys a query sees, itself included.
        size: S, number of keys; L when omitted.
        device: where the mask is made.

    Returns:
        (L, S) bool, causal and aligned at the end like `causal_mask`.

    Raises:
        ValueError: a size below 1, or more queries than keys.

    Reference: Beltagy et al. 2020, section 3.1 (one-sided), arXiv:2004.05150

    >>> sliding_window_mask(3, 2)
    tensor([[ True, False, False],
            [ True,  True, False],
            [False,  True,  True]])
    """
    size = length if size is None else size
    check_positive("sliding_window_mask", length=length, window=window, size=size)
    check_causal("sliding_window_mask", length, size)
    mask = causal_mask(length, size, device=device)
    too_old = mask.tril(diagonal=size - length - window)
    return mask & ~too_old


def prefix_mask(length: int, prefix: int, *, device: torch.device | str | None = None) -> Tensor:
    """Let every query see the first `prefix` keys, and the rest causally.

    mask[i, j] = j < prefix or j <= i

    Args:
        length: L = S, number of positions.
        prefix: number of keys that all queries see, at most `length`.
        device: where the mask is made.

    Returns:
        (L, L) bool.

    Raises:
        ValueError: a size below 1, or a prefix longer than the sequence.

    Reference: Raffel et al. 2020, section 3.2.1 (prefix LM), arXiv:1910.10683

    >>> prefix_mask(3, 2)
    tensor([[ True,  True, False],
            [ True,  True, False],
            [ True,  True,  True]])
    """
    check_positive("prefix_mask", length=length, prefix=prefix)
    if prefix > length:
        raise ValueError(
            f"prefix_mask: got prefix={prefix}, expected at most length={length}; "
            f"write prefix={length} to let all see all"
        )
    mask = causal_mask(length, device=device)
    mask[:, :prefix] = True
    return mask


def padding_mask(lengths: Tensor, size: int | None = None) -> Tensor:
    """Hide the padded keys of sequences that are filled up at the end.

    mask[b, 0, 0, j] = j < lengths[b]
    A sequence of length 0 has an empty row: it attends to nothing and its output is zero.

    Args:
        lengths: (B,) integer, number of real positions of each sequence.
        size: S, number of positions after padding; the longest length when omitted.

    Returns:
        (B, 1, 1, S) bool on the device of `lengths`. Four dimensions on purpose: a (B, S) mask
        would be taken for (L, S) whenever B happens to equal L.

    Raises:
        TypeError: lengths that are not an integer tensor (a padding mask given by mistake).
        ValueError: not one-dimensional, negative, or longer than `size`.

    Differs from the key_padding_mask of torch.nn.MultiheadAttention:
        there True means "is padding"; this mask is its opposite.

    >>> padding_mask(torch.tensor([1, 3])).squeeze()
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    check_tensor("padding_mask", "lengths", lengths)
    if lengths.dtype == torch.bool or lengths.is_floating_point():
        raise TypeError(
            f"padding_mask: lengths is {lengths.dtype}, expected integers; "
            f"for a mask that is True at padding write ~mask[:, None, None, :]"
        )
    if lengths.ndim != 1 or lengths.numel() == 0:
        raise ValueError(
            f"padding_mask: lengths has shape {tuple(lengths.shape)}, expected (B,) with B >= 1; "
            f"write lengths.reshape(-1)"
        )
    low, high = int(lengths.min()), int(lengths.max())
    size = max(high, 1) if size is None else size
    check_positive("padding_mask", size=size)
    if low < 0 or high > size:
        raise ValueError(
            f"padding_mask: got lengths from {low} to {high}, expected 0 to size={size}; "
            f"clamp the lengths or pass a larger size"
        )
    positions = torch.arange(size, device=lengths.device)
    return (positions < lengths[:, None])[:, None, None, :]


def adjacency_mask(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Let every node of a graph see the nodes from which an edge leads to it.

    mask[i, j] = there is an edge from j to i
    A node sees itself only if it has an edge to itself; a node without incoming edges sees
    nothing, and what attends with this mask gives it zeros.

    Args:
        edge_index: (2, E) integer, sources above targets as in PyTorch Geometric. An edge given
            twice counts once.
        num_nodes: N, number of nodes.

    Returns:
        (N, N) bool on the device of `edge_index`, row = target, column = source.

    Raises:
        TypeError: edges that are not integer.
        ValueError: another shape, a node out of range, or no node at all.

    >>> adjacency_mask(torch.tensor([[0, 1], [1, 2]]), 3)
    tensor([[False, False, False],
            [ True, False, False],
            [False,  True, False]])
    """
    check_positive("adjacency_mask", num_nodes=num_nodes)
    check_edge_index("adjacency_mask", edge_index, num_nodes)
    source, target = edge_index.long()
    mask = torch.zeros(num_nodes, num_nodes, dtype=torch.bool, device=edge_index.device)
    mask[target, source] = True
    return mask


def to_sdpa(mask: Tensor) -> Tensor:
    """Translate a mask for `F.scaled_dot_product_attention(attn_mask=...)`.

    The meaning is the same, True = may attend, so the mask comes back unchanged. The function
    exists because torch also accepts a float tensor there and then *adds* it: this one refuses.

    Args:
        mask: bool, (L, S) or (B, H, L, S) with ones where it broadcasts.

    Returns:
        The same tensor.

    Raises:
        TypeError: a mask that is not bool.
        ValueError: a mask that has neither two nor four dimensions.

    >>> to_sdpa(causal_mask(2)).shape
    torch.Size([2, 2])
    """
    check_tensor("to_sdpa", "mask", mask)
    check_mask("to_sdpa", mask, tuple(mask.shape))
    if mask.ndim not in (2, 4):
        raise ValueError(
            f"to_sdpa: mask has shape {tuple(mask.shape)}, expected (L, S) or (B, H, L, S); "
            f"write mask[:, None] to add the dimension of heads"
        )
    return mask


def to_mha(mask: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Translate a mask for `nn.MultiheadAttention(attn_mask=...)`, where True means "blocked".

    Args:
        mask: bool, (L, S) or (B, H, L, S) with ones where it broadcasts.
        shape: (B, H, L, S) of the scores inside the torch module.

    Returns:
        (B * H, L, S), inverted: torch counts heads within examples in one dimension.

    Raises:
        TypeError: a mask that is not bool.
        ValueError: a mask that does not fit the shape.

    Differs from the masks of this library:
        torch gives NaN for a row with nothing to attend when need_weights=True; we give zeros.

    >>> to_mha(causal_mask(2), (1, 1, 2, 2))
    tensor([[[False,  True],
             [False, False]]])
    """
    check_tensor("to_mha", "mask", mask)
    if len(shape) != 4:
        raise ValueError(f"to_mha: shape is {tuple(shape)}, expected (B, H, L, S); pass four sizes")
    B, H, L, S = shape
    check_positive("to_mha", B=B, H=H, L=L, S=S)
    check_mask("to_mha", mask, (B, H, L, S))
    return ~mask.expand(B, H, L, S).reshape(B * H, L, S)
