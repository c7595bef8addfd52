"""What the chapters measure: two functions for `fit` and `evaluate`, and an interval over seeds."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["accuracy", "cross_entropy", "interval"]


def cross_entropy(
    model: nn.Module, batch: Sequence[Tensor], *, ignore_index: int = -100
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the logits `model(*inputs)`, for a batch `(*inputs, targets)`.

    -1/n sum_i log softmax(logits_i)[target_i], over the n targets that are not ignored; 0 if n = 0

    Args:
        model: gives logits (B, C) or (B, L, C).
        batch: the inputs, and last the targets (B,) or (B, L): int64 class numbers.
        ignore_index: the target that stands for padding.

    Returns:
        The mean, in nats, and n.

    Raises:
        ValueError: targets that do not fit the logits.

    >>> import torch
    >>> loss, n = cross_entropy(nn.Identity(), (torch.zeros(3, 2), torch.tensor([0, 1, -100])))
    >>> round(loss.item(), 4), n.item()
    (0.6931, 2)
    """
    *inputs, targets = batch
    logits = model(*inputs).movedim(-1, 1)  # torch wants the classes second
    total = F.cross_entropy(logits, targets, ignore_index=ignore_index, reduction="sum")
    count = (targets != ignore_index).sum()
    return total / count.clamp(min=1), count


def accuracy(
    model: nn.Module, batch: Sequence[Tensor], *, ignore_index: int = -100
) -> tuple[Tensor, Tensor]:
    """Share of the targets whose logit is the largest; all else as in `cross_entropy`.

    >>> import torch
    >>> share, n = accuracy(nn.Identity(), (torch.eye(3), torch.tensor([0, 2, -100])))
    >>> share.item(), n.item()
    (0.5, 2)
    """
    *inputs, targets = batch
    predicted = model(*inputs).argmax(dim=-1)
    if predicted.shape != targets.shape:  # (B,) against (B, 1) would broadcast
        got, wanted = list(targets.shape), list(predicted.shape)
        raise ValueError(f"accuracy: targets have shape {got}, expected {wanted}; reshape them")
    kept = targets != ignore_index
    right = (predicted == targets) & kept
    return right.sum() / kept.sum().clamp(min=1), kept.sum()


def interval(values: Iterable[float]) -> tuple[float, float, float]:
    """Mean over independent runs, such as seeds, with its 95 % confidence interval.

    mean -+ t s / sqrt(n), with P(|T| < t) = 0.95 for Student's T with n - 1 degrees of freedom

    Args:
        values: (n,) the result of each run, n >= 2.

    Returns:
        (mean, low, high), in the unit of the values. A share may reach beyond 0 or 1 by this, as
        the results are taken to be about normal.

    Raises:
        ValueError: fewer than two values, or one that is not finite.

    Reference: Student 1908, The probable error of a mean, Biometrika 6

    >>> [round(x, 3) for x in interval([0.80, 0.82, 0.81, 0.79, 0.83])]
    [0.81, 0.79, 0.83]
    """
    sample = np.asarray([float(value) for value in values])
    if len(sample) < 2 or not np.isfinite(sample).all():
        got = sample.tolist()
        raise ValueError(f"interval: got {got}, expected two or more finite values; run more seeds")
    # With T = sqrt(n - 1) tan(angle) the density is a power of the cosine, on a finite range.
    freedom = len(sample) - 1
    angle = np.linspace(0, np.pi / 2, 100_001)
    density = np.cos(angle) ** (freedom - 1)
    probability = np.cumsum(density) - (density + density[0]) / 2  # trapezoids
    t = math.sqrt(freedom) * math.tan(np.interp(0.95 * probability[-1], probability, angle))
    mean, margin = sample.mean(), t * sample.std(ddof=1) / math.sqrt(len(sample))
    return float(mean), float(mean - margin), float(mean + margin)
