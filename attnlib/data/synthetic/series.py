"""Series that depend on known lags, and answers that depend on one known feature."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib._checks import check_positive
from attnlib.data.synthetic._lengths import random_lengths

__all__ = ["FeatureTask", "LagTask", "context_feature_task", "planted_lag_task"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LagTask:
    """Series to forecast, with the steps that each forecast must come from.

    The inputs are independent noise, so no other step tells anything.

    Args:
        inputs: (B, T, 1), padded with 0 at the end.
        targets: (B, horizon), the mean of the marked inputs, and noise where asked for.
        truth: (B, horizon, T) bool, the steps that a target depends on.
        lengths: (B,) int64, steps of each example.
        description: what has to be done.
    """

    inputs: Tensor
    targets: Tensor
    truth: Tensor
    lengths: Tensor
    description: str

    @property
    def uniform_mass(self) -> float:
        """The share of attention on the truth when every step is attended to evenly."""
        marked = self.truth[:, 0].sum(dim=-1)
        return (marked / self.lengths).mean().item()

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        return f"LagTask({self.description}: {len(self):,} examples, T = {self.inputs.shape[1]})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FeatureTask:
    """Rows of features, one of which is the answer: which one, the context says.

    Args:
        inputs: (B, F + F), the features, and then the context, one-hot.
        targets: (B,), the feature that counts.
        truth: (B, F) bool, which feature that is.
        description: what has to be done.
    """

    inputs: Tensor
    targets: Tensor
    truth: Tensor
    description: str

    @property
    def uniform_mass(self) -> float:
        """The share of attention on the truth when all features are attended to evenly."""
        return 1 / self.truth.shape[1]

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        return f"FeatureTask({self.description}: {len(self):,} examples, F = {self.truth.shape[1]})"


def planted_lag_task(
    num_examples: int,
    length: int,
    lags: Sequence[int],
    *,
    horizon: int = 1,
    noise: float = 0.0,
    min_length: int | None = None,
    generator: torch.Generator | None = None,
) -> LagTask:
    """White noise, and a future that is the mean of the values some known lags ago.

    target_k = mean over lags of x[T - 1 + k - lag],  k = 1 .. horizon
    A lag counts from the target, as in autoregression: lag 1 of the first target is the last
    input. All other steps are independent of the target, so its correlation with the last value,
    or with the mean, is no more than their share in it.

    Args:
        num_examples: B
        length: T, steps of the longest series.
        lags: how many steps before the target its sources lie; different, at least `horizon` (a
            shorter lag would point into the future), at most the shortest length.
        horizon: steps to forecast.
        noise: standard deviation of what is added to the targets.
        min_length: steps of the shortest series; None makes all equally long.
        generator: source of the series; None uses torch's global one.

    Returns:
        LagTask

    Raises:
        TypeError, ValueError: a size that is no int or below 1, a lag out of range or twice.

    >>> task = planted_lag_task(1, 5, [3], horizon=2, generator=torch.Generator().manual_seed(0))
    >>> task.truth[0].int()
    tensor([[0, 0, 1, 0, 0],
            [0, 0, 0, 1, 0]], dtype=torch.int32)
    """
    owner = "planted_lag_task"
    lengths = random_lengths(owner, num_examples, length, min_length, generator)
    check_positive(owner, horizon=horizon)
    shortest = length if min_length is None else min_length
    lags = list(lags)
    check_positive(owner, **{f"lags[{i}]": lag for i, lag in enumerate(lags)})
    if not lags or len(set(lags)) < len(lags) or min(lags) < horizon or max(lags) > shortest:
        raise ValueError(
            f"{owner}: got lags={lags} with horizon={horizon} and at least {shortest} steps, "
            f"expected different ones from {horizon} to {shortest}; write lags=[{shortest}]"
        )
    if noise < 0:
        raise ValueError(
            f"{owner}: got noise={noise}, expected a standard deviation; write noise=0.0 for none"
        )
    steps = torch.arange(length)
    inputs = torch.randn(num_examples, length, generator=generator)
    inputs = inputs.masked_fill(steps >= lengths[:, None], 0.0)
    targets_at = lengths[:, None] + torch.arange(horizon)  # (B, horizon), steps after the inputs
    sources = targets_at[..., None] - torch.tensor(lags)  # (B, horizon, lags)
    truth = (sources[..., None] == steps).any(dim=2)
    targets = (truth * inputs[:, None]).sum(dim=-1) / len(lags)
    if noise:
        targets = targets + noise * torch.randn(targets.shape, generator=generator)
    ago = " and ".join(str(lag) for lag in lags)
    description = f"give the mean of the values {ago} steps before"
    return LagTask(inputs[..., None], targets, truth, lengths, description)


def context_feature_task(
    num_examples: int, num_features: int, *, generator: torch.Generator | None = None
) -> FeatureTask:
    """Rows of noise, of which one number is asked for: context number c asks for feature c.

    No fixed weight for each feature can solve it: on average every feature counts as much as the
    others. The weights must be made anew for each row, out of its context.

    Args:
        num_examples: B
        num_features: F, number of features and of contexts.
        generator: source of the rows; None uses torch's global one.

    Returns:
        FeatureTask

    Raises:
        TypeError, ValueError: a size that is no int or below 1.

    >>> task = context_feature_task(3, 5, generator=torch.Generator().manual_seed(0))
    >>> task.inputs.shape, task.truth.shape
    (torch.Size([3, 10]), torch.Size([3, 5]))
    """
    check_positive("context_feature_task", num_examples=num_examples, num_features=num_features)
    features = torch.randn(num_examples, num_features, generator=generator)
    asked = torch.randint(num_features, (num_examples,), generator=generator)
    context = F.one_hot(asked, num_features)
    inputs = torch.cat([features, context.to(features.dtype)], dim=1)
    targets = features.gather(1, asked[:, None])[:, 0]
    return FeatureTask(inputs, targets, context.bool(), "give the feature that the context names")
