"""Do two rankings agree? Rank correlation, and the area under the ROC curve."""

import torch
from torch import Tensor

from attnlib._checks import check_tensor

__all__ = ["auc", "kendall_tau"]


def kendall_tau(first: Tensor, second: Tensor) -> float:
    """Kendall's tau-b: how far two measures put the same positions in the same order.

    tau = (pairs in the same order - pairs in opposite order) / sqrt(pairs untied in the first *
    pairs untied in the second)
    1 for equal rankings, -1 for opposite ones, about 0 for unrelated ones; NaN where one of them
    is constant and so ranks nothing, as in scipy.

    Args:
        first: (L,), such as the attention weights of one example; at least two, without NaN.
        second: (L,), such as the effect of leaving each word out.

    Returns:
        A number in [-1, 1].

    Raises:
        TypeError: something that is not a tensor.
        ValueError: other shapes, fewer than two entries, NaN.

    Differs from scipy.stats.kendalltau: the statistic only, of tensors; all pairs, O(L^2).

    Reference: Kendall 1938, Biometrika 30, 81-93; ties as in Kendall 1945, Biometrika 33, 239-251

    >>> kendall_tau(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 3.0, 2.0]))
    0.3333333333333333
    """
    for name, values in (("first", first), ("second", second)):
        check_tensor("kendall_tau", name, values)
    if first.ndim != 1 or first.shape != second.shape or len(first) < 2:
        raise ValueError(
            f"kendall_tau: got shapes {tuple(first.shape)} and {tuple(second.shape)}, expected "
            f"two vectors (L,) of at least two numbers; index one example first"
        )
    _check_numbers("kendall_tau", first, second)
    one, other = (  # compared, not subtracted: integers do not overflow, infinities are equal
        (x[:, None] > x).double() - (x[:, None] < x).double() for x in (first, second.to(first))
    )
    untied = one.abs().sum() * other.abs().sum()
    return ((one * other).sum() / untied.sqrt()).item()


def auc(weights: Tensor, truth: Tensor) -> float:
    """Area under the ROC curve: how often a right entry weighs more than a wrong one.

    auc = P(weight of a right entry > weight of a wrong one), a tie counts half
    1 is perfect, 0.5 is chance. It asks for the order alone; `AttentionMap.mass_on` asks for the
    amount.

    Args:
        weights: any shape, such as `map.weights` or `map.dense()`. Leave out what may not be
            attended (index with the mask): hidden entries are easy to get right.
        truth: broadcastable to the weights; True (or positive) where attention is right.

    Returns:
        A share in [0, 1].

    Raises:
        TypeError: something that is not a tensor.
        ValueError: a truth that does not broadcast, or that marks nothing or everything; NaN.

    Differs from sklearn.metrics.roc_auc_score: takes tensors, weights first.

    Reference: Mann & Whitney 1947, Annals of Mathematical Statistics 18, 50-60 (as U statistic)

    >>> auc(torch.tensor([0.1, 0.5, 0.4]), torch.tensor([False, True, False]))
    1.0
    """
    check_tensor("auc", "weights", weights)
    check_tensor("auc", "truth", truth)
    try:
        right = (truth > 0).expand_as(weights)
    except RuntimeError:
        raise ValueError(
            f"auc: truth has shape {tuple(truth.shape)}, expected one that broadcasts to "
            f"{tuple(weights.shape)}; write truth[:, None] to add heads"
        ) from None
    _check_numbers("auc", weights)
    good, bad = weights[right], weights[~right].sort().values
    if not len(good) or not len(bad):
        raise ValueError(
            f"auc: got {len(good)} right and {len(bad)} wrong entries, expected at least one of "
            f"each; pass True where attention is right and False elsewhere"
        )
    smaller = torch.searchsorted(bad, good).double()
    not_larger = torch.searchsorted(bad, good, right=True).double()
    return ((smaller + not_larger).mean() / (2 * len(bad))).item()


def _check_numbers(owner: str, *values: Tensor) -> None:
    if any(bool(value.isnan().any()) for value in values):
        raise ValueError(
            f"{owner}: got NaN, expected numbers that have an order; "
            f"look for NaN in the input of the layer"
        )
