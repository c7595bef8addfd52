"""Is a position needed? Leave it out, and ask the model again.

The measures take any function from a batch to one number an example, so they work for words,
word vectors, time steps and pixels, and for weights as for any other ranking: a control is a
random one.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from attnlib._checks import check_tensor

__all__ = ["comprehensiveness", "erasure_curve", "leave_one_out", "sufficiency"]

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)


def leave_one_out(
    answer: Callable[[Tensor], Tensor],
    x: Tensor,
    replacement: Tensor | float | None = None,
) -> Tensor:
    """How much the answer falls when each position is left out.

    effect_i = answer(x) - answer(x without position i)

    Args:
        answer: a batch (B, ...) of such inputs -> (B,), one number an example, such as the
            probability of the class that was predicted.
        x: (L, ...): one example, its positions first; at least two.
        replacement: what stands in the place of a position (a token number, a vector of zeros);
            when omitted, the position is cut out and the input is one shorter.

    Returns:
        (L,), in the unit of the answer. Negative where the answer is better without.

    Raises:
        TypeError: x is not a tensor.
        ValueError: fewer than two positions, or an answer that is not one number an example.

    >>> leave_one_out(lambda x: x.sum(-1), torch.tensor([1.0, 5.0, 2.0]))
    tensor([1., 5., 2.])
    """
    _check_positions("leave_one_out", x)
    L = len(x)
    left_out = torch.eye(L, dtype=torch.bool, device=x.device)
    if replacement is None:
        others = torch.arange(L, device=x.device).expand(L, L)[~left_out].view(L, L - 1)
        shorter = x[others]
    else:
        shorter = _replace(x, left_out, replacement)
    full = _ask("leave_one_out", answer, x[None])
    return full - _ask("leave_one_out", answer, shorter)


def erasure_curve(
    answer: Callable[[Tensor], Tensor],
    x: Tensor,
    importance: Tensor,
    replacement: Tensor | float,
    *,
    keep: bool = False,
) -> Tensor:
    """The answer while more and more positions are erased, the most important ones first.

    If the importance is right, the curve falls at once. It means nothing without a control: the
    same for random orders, `erasure_curve(answer, x, torch.rand(20, L), replacement)`. The mean
    of a curve is the area under it.

    Args:
        answer: a batch (B, ...) of such inputs -> (B,), one number an example.
        x: (L, ...): one example, its positions first; at least two.
        importance: (L,), or (R, L) for R rankings; larger is more important, the first of equals.
        replacement: what stands in the place of a position (a token number, a vector of zeros).
        keep: erase all the others instead: only the most important positions are left.

    Returns:
        (L + 1,) or (R, L + 1): the answer after 0, 1, .. L positions are erased (or kept).

    Raises:
        TypeError: x or importance is not a tensor.
        ValueError: fewer than two positions, an importance of another length or with NaN, or an
            answer that is not one number an example.

    Reference: Samek et al. 2017, section III-B (region perturbation), arXiv:1509.06321

    >>> x = torch.tensor([1.0, 5.0, 2.0])
    >>> erasure_curve(lambda x: x.sum(-1), x, importance=x, replacement=0.0)
    tensor([8., 3., 1., 0.])
    """
    _check_positions("erasure_curve", x)
    check_tensor("erasure_curve", "importance", importance)
    L = len(x)
    if importance.ndim not in (1, 2) or importance.shape[-1] != L or importance.isnan().any():
        raise ValueError(
            f"erasure_curve: importance has shape {tuple(importance.shape)}, expected ({L},) or "
            f"(R, {L}) without NaN; give every position of x a number"
        )
    order = importance.argsort(dim=-1, descending=True, stable=True)
    rank = order.argsort(-1)  # 0 is the most important
    steps = torch.arange(L + 1, device=x.device)
    chosen = rank[..., None, :] < steps[:, None]  # (L + 1, L) or (R, L + 1, L)
    erased = (~chosen if keep else chosen).flatten(0, -2)
    answers = _ask("erasure_curve", answer, _replace(x, erased, replacement))
    return answers.view(chosen.shape[:-1])


def comprehensiveness(curve: Tensor, shares: Sequence[float] = SHARES) -> Tensor:
    """How much the answer falls without its most important positions: high is faithful.

    mean over shares of (answer(x) - answer(x without the most important share))

    Args:
        curve: (..., L + 1), from `erasure_curve`.
        shares: which shares of the positions to erase, each rounded up to whole positions.

    Returns:
        (...), in the unit of the answer.

    Raises:
        ValueError: no curve, or shares outside (0, 1].

    Reference: DeYoung et al. 2020, section 4.2 (equation 1 and its mean over bins),
    arXiv:1911.03429

    >>> comprehensiveness(torch.tensor([8.0, 3.0, 1.0, 0.0]), shares=[0.3])
    tensor(5.)
    """
    without = _at_shares("comprehensiveness", curve, shares)
    return (curve[..., :1] - without).mean(-1)


def sufficiency(curve: Tensor, shares: Sequence[float] = SHARES) -> Tensor:
    """How much the answer falls when only the most important positions stay: low is faithful.

    mean over shares of (answer(x) - answer(the most important share of x alone))

    Args:
        curve: (..., L + 1), from `erasure_curve` with keep=True.
        shares: which shares of the positions to keep, each rounded up to whole positions.

    Returns:
        (...), in the unit of the answer.

    Raises:
        ValueError: no curve, or shares outside (0, 1].

    Reference: DeYoung et al. 2020, section 4.2 (equation 2 and its mean over bins),
    arXiv:1911.03429

    >>> sufficiency(torch.tensor([0.0, 5.0, 7.0, 8.0]), shares=[0.3])
    tensor(3.)
    """
    alone = _at_shares("sufficiency", curve, shares)
    return (curve[..., -1:] - alone).mean(-1)


def _at_shares(owner: str, curve: Tensor, shares: Sequence[float]) -> Tensor:
    if curve.ndim == 0 or curve.shape[-1] < 2 or not shares or not all(0 < s <= 1 for s in shares):
        raise ValueError(
            f"{owner}: got a curve {tuple(curve.shape)} and shares {tuple(shares)}, expected "
            f"(..., L + 1) and shares in (0, 1]; pass what erasure_curve returns"
        )
    return curve[..., [math.ceil(share * (curve.shape[-1] - 1)) for share in shares]]


def _replace(x: Tensor, where: Tensor, replacement: Tensor | float) -> Tensor:
    """(L, ...) -> (B, L, ...) with the replacement where (B, L) says so."""
    replacement = torch.as_tensor(replacement, dtype=x.dtype, device=x.device)
    return torch.where(where.view(*where.shape, *[1] * (x.ndim - 1)), replacement, x)


def _check_positions(owner: str, x: Tensor) -> None:
    check_tensor(owner, "x", x)
    if x.ndim == 0 or len(x) < 2:
        raise ValueError(
            f"{owner}: x has shape {tuple(x.shape)}, expected (L, ...) with at least two "
            f"positions; pass one example without the dimension of the batch"
        )


def _ask(owner: str, answer: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    with torch.no_grad():
        answers = answer(batch)
    if not isinstance(answers, Tensor) or answers.shape != (len(batch),):
        got = tuple(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
        raise ValueError(
            f"{owner}: answer returned {got}, expected ({len(batch)},), one number an example; "
            f"index the class, as model(x)[:, 1]"
        )
    return answers
