"""Attention over all pairs. `attention_weights` is the specification: a few lines to read.

The same eight letters name sizes in all of attnlib: B batch, H heads, L queries, S keys,
D head width, F features, N nodes, E edges, T time. Leading dimensions (...) are free here.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib._checks import (
    check_attention_inputs,
    check_bias,
    check_floating,
    check_mask,
    check_probability,
)
from attnlib._dropout import dropout
from attnlib.functional._flash import Flash
from attnlib.functional._kernels import (
    cast_as_torch_does,
    default_scale,
    kernels_run,
    plain_dtypes,
    run,
)
from attnlib.functional._short import Short
from attnlib.functional._tiled import Tiled
from attnlib.masks import causal_mask

__all__ = ["attention", "attention_weights", "masked_softmax"]

SHORT = 64  # length up to which the weights are kept in training: no larger than the inputs
LONG = 1024  # causal sequences of bfloat16 from which torch's kernel gains more by skipping


def masked_softmax(scores: Tensor, mask: Tensor | None = None, dim: int = -1) -> Tensor:
    """Softmax over the allowed entries of `scores`; an empty row gives zeros.

    weights_j = mask_j exp(scores_j) / sum_k mask_k exp(scores_k)
    A row with no allowed entry has weights 0 and gradient 0. A score of minus infinity counts as
    not allowed. NaN among the allowed scores stays NaN: it is an error of the caller, not hidden.

    Args:
        scores: (..., L, S) floating point.
        mask: bool, (L, S) or all dimensions of the scores. True = may attend.
        dim: the dimension that sums to 1.

    Returns:
        The shape of `scores`: rows sum to 1, or to 0 where nothing may be attended.

    Raises:
        TypeError: scores that are not floating point, or a mask that is not bool.
        ValueError: a mask that does not fit, or an empty dimension.

    >>> masked_softmax(torch.zeros(1, 3), torch.tensor([[True, True, False]]))
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    check_floating("masked_softmax", "scores", scores)
    if not -scores.ndim <= dim < scores.ndim or scores.shape[dim] == 0:
        raise ValueError(
            f"masked_softmax: scores has shape {tuple(scores.shape)}, expected at least one entry "
            f"along dim={dim}; choose another dimension, or drop empty sequences"
        )
    check_mask("masked_softmax", mask, tuple(scores.shape))
    return _masked_softmax(scores, mask, dim)


def _masked_softmax(scores: Tensor, mask: Tensor | None, dim: int = -1) -> Tensor:
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    # softmax of a row of -inf is NaN, and so is its gradient even if the NaN is replaced later:
    # such a row is made harmless before the softmax and zeroed after it.
    empty = scores.detach().amax(dim, keepdim=True) == -torch.inf
    return torch.softmax(scores.masked_fill(empty, 0.0), dim).masked_fill(empty, 0.0)


def attention_weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """How much each query attends to each key.

    weights = softmax(scale * query key^T + bias), over the keys that mask and causal allow
    A query with nothing to attend has weights 0 and gradient 0.

    Args:
        query: (..., L, D).
        key: (..., S, D).
        mask: bool, (L, S) or all dimensions of the scores. True = may attend. Combine with &.
        bias: broadcastable to (..., L, S), added to the scores after scaling.
        causal: also apply `causal_mask(L, S)`, aligned at the last query and key.
        scale: factor of the scores; 1 / sqrt(D) when omitted.

    Returns:
        (..., L, S): rows sum to 1, or to 0 where nothing may be attended.

    Raises:
        TypeError: inputs not floating point or of different dtypes, or a mask that is not bool.
        ValueError: shapes that do not fit, an empty sequence, causal with more queries than keys.

    Reference: Vaswani et al. 2017, equation 1, arXiv:1706.03762

    >>> attention_weights(torch.zeros(2, 3, 7), torch.zeros(2, 5, 7)).shape
    torch.Size([2, 3, 5])
    """
    shape = check_attention_inputs("attention_weights", query, key, None, causal)
    check_mask("attention_weights", mask, shape)
    check_bias("attention_weights", bias, shape)
    return _weights(query, key, mask, bias, causal, scale)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
    need_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Scaled dot-product attention: an average of the values, weighted by similarity.

    context = softmax(scale * query key^T + bias) value
    A query with nothing to attend has context 0, weights 0 and gradient 0. NaN in an input is not
    hidden: it reaches every query that may see it. It may reach the others too, because weight 0
    times NaN is NaN: fill padded positions with numbers.

    Args:
        query: (..., L, D).
        key: (..., S, D).
        value: (..., S, Dv).
        mask: bool, (L, S) or all dimensions of the scores. True = may attend. Combine with &.
        bias: broadcastable to (..., L, S), added to the scores after scaling.
        causal: also apply `causal_mask(L, S)`, aligned at the last query and key.
        scale: factor of the scores; 1 / sqrt(D) when omitted.
        dropout_p: probability of dropping a weight, in [0, 1), applied whenever it is above 0 (on
            a CPU rounded to 1 / 65536); modules pass 0 in evaluation mode.
        need_weights: also return the weights, as they are before dropout.

    Returns:
        (..., L, Dv), or that and the weights (..., L, S).

    Raises:
        TypeError: inputs not floating point or of different dtypes, or a mask that is not bool.
        ValueError: shapes that do not fit, an empty sequence, causal with more queries than keys.

    Differs from torch.nn.functional.scaled_dot_product_attention:
        the mask must be bool and additive scores go in `bias`; `causal` is aligned at the last
        query and key and may be combined with a mask; an empty sequence is an error.

    Reference: Vaswani et al. 2017, equation 1, arXiv:1706.03762

    >>> attention(torch.zeros(2, 3, 7), torch.zeros(2, 5, 7), torch.ones(2, 5, 11)).shape
    torch.Size([2, 3, 11])
    """
    shape = check_attention_inputs("attention", query, key, value, causal)
    check_mask("attention", mask, shape)
    check_bias("attention", bias, shape)
    check_probability("attention", "dropout_p", dropout_p)
    if need_weights:
        weights = _weights(query, key, mask, bias, causal, scale)
        return dropout(weights, dropout_p, True) @ value, weights
    query, key, value = cast_as_torch_does((query, key, value))
    scale = default_scale(query, scale)
    if bias is not None:
        bias = torch.atleast_2d(bias.to(query.dtype))  # as many dimensions as the kernel asks for
    if query.device.type == "cpu" and dropout_p == 0.0:
        return _on_a_cpu(query, key, value, mask, bias, causal, scale)
    if query.device.type == "cpu":
        # With dropout torch too keeps the weights, and it draws random numbers slowly.
        with plain_dtypes("cpu"):
            weights = _weights(query, key, mask, bias, causal, scale)
            return dropout(weights, dropout_p, True) @ value
    return _by_torch(query, key, value, mask, bias, causal, scale, dropout_p)


def _on_a_cpu(query, key, value, mask, bias, causal, scale) -> Tensor:
    """The fastest way that is exact; each rule says why it is faster than torch's kernel."""
    L, S = query.shape[-2], key.shape[-2]

    def open_sum(query, key, value, mask, bias):
        return _weights(query, key, mask, bias, causal, scale) @ value

    if not kernels_run():
        # torch's kernel has no rule for some transforms; the compiler knows best what to do.
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return _by_torch(query, key, value, mask, bias, causal, scale)
        return open_sum(query, key, value, mask, bias)
    lead = query.shape[:-2]
    alike = lead == key.shape[:-2] == value.shape[:-2]
    if not alike or not query.dtype == key.dtype == value.dtype:
        return _by_torch(query, key, value, mask, bias, causal, scale)
    grad = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    bare = mask is None and bias is None
    kernel = None
    skips = causal and bare and L == S > LONG
    if query.dtype == torch.bfloat16 and not skips:
        # torch's kernel gains nothing from bfloat16; products of tiles are several times faster.
        # Only where it leaves out half of a large square is it as fast.
        kernel = Tiled(tuple(lead), scale, causal, None, open_sum)
    elif grad and bare and query.dtype == torch.float32 and max(L, S) <= SHORT:
        kernel = Short(tuple(lead), scale, causal, open_sum)
    if kernel is not None:
        flat = (x.reshape(math.prod(lead), *x.shape[-2:]) for x in (query, key, value))
        return run(kernel, *flat, mask, bias).reshape(*lead, L, value.shape[-1])
    if grad and _torch_would_take_flash(query, value, mask, bias):
        term, square = _merged(mask, bias, causal, (L, S), query.device)
        if term is not None and term.dtype == torch.bool:
            term = query.new_zeros(()).where(term, -torch.inf)  # as torch does for its kernel
        return run(Flash(scale, square, open_sum), query, key, value, None, term)
    return _by_torch(query, key, value, mask, bias, causal, scale)


def _torch_would_take_flash(query, value, mask, bias) -> bool:
    """Torch's rule. Its other ways can be differentiated twice as they are; this one cannot."""
    terms = [x for x in (mask, bias) if x is not None]
    return (
        query.ndim == 4
        and query.shape[0] > 0
        and query.shape[-1] == value.shape[-1]
        and all(x.ndim in (2, 4) and not x.requires_grad for x in terms)
        and torch.backends.cuda.flash_sdp_enabled()  # what sdpa_kernel switches, on a CPU too
    )


def _by_torch(query, key, value, mask, bias, causal, scale, dropout_p=0.0) -> Tensor:
    shape = query.shape[-2], key.shape[-2]
    term, square = _merged(mask, bias, causal, shape, query.device)
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=term, dropout_p=dropout_p, is_causal=square, scale=scale
    )


def _merged(mask, bias, causal, shape, device) -> tuple[Tensor | None, bool]:
    """One term for torch's kernel, which never stores the weights, and whether to set its flag."""
    # Its causal flag is right only for L = S, and excludes a mask.
    square = causal and mask is None and bias is None and shape[0] == shape[1]
    if not square:
        mask = _with_causal(mask, causal, shape, device)
    if bias is None:
        return mask, square
    return bias if mask is None else bias.masked_fill(~mask, -torch.inf), square


def _weights(query, key, mask, bias, causal, scale) -> Tensor:
    L, S = query.shape[-2], key.shape[-2]
    scale = default_scale(query, scale)
    # Scores of half precision would be rounded to 3 digits before exp enlarges the error: like
    # torch's kernel we keep them in float32. The query is scaled before the product because
    # query key^T may overflow where the scaled product does not.
    wide = torch.promote_types(query.dtype, torch.float32)
    scores = (query.to(wide) * scale) @ key.to(wide).transpose(-2, -1)
    if mask is None and bias is None:  # no row is empty, which is dear to look after
        if causal:
            scores = scores + scores.new_full((L, S), -torch.inf).triu(S - L + 1)
        return torch.softmax(scores, -1).to(query.dtype)
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    mask = _with_causal(mask, causal, (L, S), query.device)
    return _masked_softmax(scores, mask).to(query.dtype)


def _with_causal(
    mask: Tensor | None, causal: bool, shape: tuple[int, ...], device: torch.device
) -> Tensor | None:
    if not causal:
        return mask
    triangle = causal_mask(*shape[-2:], device=device)
    return triangle if mask is None else mask & triangle
