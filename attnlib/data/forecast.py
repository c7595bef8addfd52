"""Around a forecast: a scaler that is fitted on the past, a baseline, and how to compare two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attnlib._checks import check_floating, check_positive

__all__ = ["DieboldMariano", "Scaler", "diebold_mariano", "mase", "seasonal_naive"]


@dataclass(frozen=True, eq=False)
class Scaler:
    """Columns brought to mean 0 and standard deviation 1, by numbers of the training part alone.

    transform(x) = (x - mean) / scale,  inverse(z) = z scale + mean
    A column that does not vary has scale 1: it becomes 0, up to rounding, and nothing is divided
    by 0. NaN does not count in the fit and stays NaN.

    Args:
        mean: (F,) of each column, in its own unit.
        scale: (F,) standard deviation of each column, in its own unit, none of them 0.

    Differs from sklearn.preprocessing.StandardScaler:
        the same numbers, in tensors; a scaler is made by `Scaler.fit(train)` and never changes.

    >>> Scaler.fit(torch.tensor([[1.0, 5.0], [3.0, 5.0]])).transform(torch.tensor([[5.0, 5.0]]))
    tensor([[3., 0.]])
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, train: Tensor) -> "Scaler":
        """Measure the training part.

        Args:
            train: (..., F) floating point: a series (T, F) or windows (n, length, F).

        Returns:
            Scaler, in the dtype and on the device of `train`.

        Raises:
            TypeError: numbers that are not floating point.
            ValueError: no rows, infinite numbers, or a column with NaN alone.
        """
        check_floating("Scaler.fit", "train", train)
        if train.ndim < 2 or 0 in train.shape:
            raise ValueError(
                f"Scaler.fit: train has shape {tuple(train.shape)}, expected (..., F), not empty; "
                f"write series[:, None] for a single variable"
            )
        wide = train.detach().flatten(0, -2).double()
        known = ~wide.isnan()
        if bool(wide.isinf().any()) or not bool(known.any(0).all()):
            raise ValueError(
                "Scaler.fit: train has an infinite number or a column of nothing but NaN, "
                "expected a number in each column; drop that column, or mend it first"
            )
        mean = wide.nanmean(0)
        variance = (wide - mean).square().nanmean(0)
        # What is left of a constant column is rounding, which must not be blown up to size 1.
        unit = torch.finfo(train.dtype).eps
        constant = variance.sqrt() <= unit * wide.abs().nan_to_num(0).amax(0)
        scale = variance.sqrt().masked_fill(constant, 1.0)
        return cls(mean.to(train.dtype), scale.to(train.dtype))

    def transform(self, x: Tensor) -> Tensor:
        """Scale (..., F), the columns in the order of the training part."""
        self._check("Scaler.transform", x, len(self.mean))
        return (x - self.mean) / self.scale

    def inverse(self, x: Tensor, *, columns: Sequence[int] | None = None) -> Tensor:
        """Back to the units of the series.

        Args:
            x: (..., F), or (..., F') with one entry for each of `columns`.
            columns: which columns x holds; all of them when omitted.

        Returns:
            The shape of x.
        """
        mean, scale = self.mean, self.scale
        if columns is not None:
            mean, scale = mean[list(columns)], scale[list(columns)]
        self._check("Scaler.inverse", x, len(mean))
        return x * scale + mean

    def _check(self, owner: str, x: Tensor, width: int) -> None:
        check_floating(owner, "x", x)
        if x.ndim == 0 or x.shape[-1] != width:
            raise ValueError(
                f"{owner}: x has shape {tuple(x.shape)}, expected (..., {width}); pass the columns "
                f"that were fitted, or name some with inverse(x, columns=[...])"
            )
        if x.device != self.mean.device:
            raise ValueError(
                f"{owner}: x on {x.device} and the scaler on {self.mean.device}, expected one "
                f"device; scale the series before it is moved"
            )


def seasonal_naive(series: Tensor, horizon: int, season: int = 1) -> Tensor:
    """The forecast that every model must beat: what was seen one season before.

    forecast_k = series[T + k - season], k = 0 .. horizon - 1, with the season repeated when the
    horizon is longer. A season of 1 repeats the last value.

    Args:
        series: (..., T, F), the past: a series or a batch of windows.
        horizon: steps to forecast.
        season: steps after which the series repeats itself, at most T.

    Returns:
        (..., horizon, F)

    Raises:
        TypeError: a series that is not floating point.
        ValueError: a season longer than the series, or sizes below 1.

    Reference: Hyndman and Athanasopoulos 2021, "Forecasting: principles and practice" (3rd
        edition), section 5.2

    >>> seasonal_naive(torch.tensor([[1.0], [2.0], [3.0]]), horizon=3, season=2).flatten()
    tensor([2., 3., 2.])
    """
    _check_long("seasonal_naive", "series", series, season)
    check_positive("seasonal_naive", horizon=horizon)
    steps = torch.arange(horizon, device=series.device) % season
    return series[..., -season:, :].index_select(-2, steps)


def mase(forecast: Tensor, target: Tensor, train: Tensor, *, season: int = 1) -> Tensor:
    """Mean absolute scaled error: how a forecast compares with the seasonal-naive one.

    mean |target - forecast| / mean |train_t - train_(t - season)|, for each column
    Below 1 means better than the naive forecast was, one step ahead, on the training part. The
    scale comes from the training part alone, so errors of different series can be averaged.

    Args:
        forecast: (..., F), any number of steps and examples.
        target: (..., F), the same shape.
        train: (T, F), the training part, in the same unit.
        season: steps of the naive forecast, below T.

    Returns:
        (F,), one number a column.

    Raises:
        TypeError: numbers that are not floating point.
        ValueError: other shapes, NaN, or a training part that repeats itself exactly.

    Reference: Hyndman & Koehler 2006, "Another look at measures of forecast accuracy",
        International Journal of Forecasting 22(4), section 3; with a season: Hyndman and
        Athanasopoulos 2021 (3rd edition), section 5.8

    >>> train = torch.tensor([[0.0], [1.0], [2.0]])
    >>> mase(torch.tensor([[2.0]]), torch.tensor([[4.0]]), train)
    tensor([2.])
    """
    owner = "mase"
    for name, x in (("forecast", forecast), ("target", target)):
        check_floating(owner, name, x)
    _check_long(owner, "train", train, season, beyond=1)
    fitting = train.ndim == 2 and target.ndim > 0 and target.shape[-1] == train.shape[1]
    if forecast.shape != target.shape or not fitting or target.numel() == 0:
        raise ValueError(
            f"{owner}: forecast has shape {tuple(forecast.shape)}, target {tuple(target.shape)} "
            f"and train {tuple(train.shape)}, expected (..., F) twice alike and (T, F); add the "
            f"dimension of columns with [..., None] where there is one column"
        )
    naive = (train[season:] - train[:-season]).abs().mean(0)
    result = (target - forecast).abs().reshape(-1, train.shape[1]).mean(0) / naive
    if not bool(result.isfinite().all()):
        raise ValueError(
            f"{owner}: the naive errors of the training part are {naive.tolist()} and the result "
            f"{result.tolist()}, expected numbers and scales above 0; fill NaN, and leave out a "
            f"column that repeats itself exactly after season={season}"
        )
    return result


class DieboldMariano(NamedTuple):
    """What `diebold_mariano` found.

    Args:
        difference: mean of first - second; below 0 means that the first forecast is better.
        statistic: the difference in units of its standard error, with the small-sample factor.
        p_value: chance of so large a statistic, of either sign, if both were equally good.
    """

    difference: float
    statistic: float
    p_value: float


def diebold_mariano(first: Tensor, second: Tensor, *, horizon: int = 1) -> DieboldMariano:
    """Is one forecast better than another by more than luck? A test of their losses.

    d_t = first_t - second_t;  V = (gamma_0 + 2 sum_(k < horizon) gamma_k) / T
    statistic = mean(d) / sqrt(V) sqrt((T + 1 - 2 h + h (h - 1) / T) / T),  Student's t, T - 1
    gamma_k are the autocovariances of d: losses of forecasts whose horizons overlap are alike, so
    that T of them say less than T independent ones. Made for forecasts that stay as they are; a
    comparison of one seed of each model says nothing of another seed.

    Args:
        first: (T,) losses of the first forecast in the order of time, for example squared errors.
        second: (T,) losses of the second for the same steps.
        horizon: h, steps ahead that each forecast looks when every step makes one; below T / 2.

    Returns:
        DieboldMariano

    Raises:
        TypeError: losses that are not floating point.
        ValueError: other shapes, NaN, too few losses, or an estimate of V that is not above 0.

    Reference: Diebold & Mariano 1995, "Comparing predictive accuracy", Journal of Business &
        Economic Statistics 13(3); the factor: Harvey, Leybourne & Newbold 1997, "Testing the
        equality of prediction mean squared errors", International Journal of Forecasting 13(2)

    >>> first, second = torch.tensor([1.0, 2.0, 1.0, 3.0]), torch.tensor([2.0, 2.5, 3.0, 3.5])
    >>> test = diebold_mariano(first, second)
    >>> f"{test.difference:.2f} {test.statistic:.2f} {test.p_value:.3f}"
    '-1.00 -2.83 0.066'
    """
    owner = "diebold_mariano"
    check_positive(owner, horizon=horizon)
    for name, losses in (("first", first), ("second", second)):
        check_floating(owner, name, losses)
        if losses.ndim != 1 or losses.shape != first.shape or len(losses) <= 2 * horizon:
            raise ValueError(
                f"{owner}: {name} has shape {tuple(losses.shape)}, expected (T,) twice alike with "
                f"more than 2 * horizon = {2 * horizon} losses; flatten one column, and pass the "
                f"loss of every step"
            )
        if not bool(losses.isfinite().all()):
            raise ValueError(
                f"{owner}: {name} holds NaN or infinity, expected numbers; leave out the steps "
                f"without a forecast, from both"
            )
    d = first.detach().double().cpu() - second.detach().double().cpu()
    T, h = len(d), horizon
    centred = d - d.mean()
    covariances = [float(centred[k:] @ centred[: T - k]) / T for k in range(h)]
    variance = (2 * sum(covariances) - covariances[0]) / T
    if variance <= 1e-24 * float(d.square().mean()):
        raise ValueError(
            f"{owner}: got {variance:.3g} for the variance of the mean difference, expected more "
            f"than 0; the two are equal up to a constant, or T={T} losses are too few for "
            f"horizon={h}"
        )
    factor = math.sqrt((T + 1 - 2 * h + h * (h - 1) / T) / T)
    statistic = float(d.mean()) / math.sqrt(variance) * factor
    return DieboldMariano(float(d.mean()), statistic, _student_tails(statistic, T - 1))


def _student_tails(statistic: float, degrees: int) -> float:
    """P(|t| > |statistic|) of Student's t: for t = sqrt(n) tan(a) it goes as cos(a)^(n - 1)."""
    edge = math.atan(abs(statistic) / math.sqrt(degrees))
    # Nearly all of the integral from the edge lies within some 40 / sqrt(n) of it.
    end = min(math.pi / 2, edge + 40 / math.sqrt(degrees))
    points, weights = np.polynomial.legendre.leggauss(200)
    angles = (edge + end) / 2 + (end - edge) / 2 * points
    inside = (end - edge) / 2 * weights @ np.cos(angles) ** (degrees - 1)
    log_whole = 0.5 * math.log(math.pi) + math.lgamma(degrees / 2) - math.lgamma((degrees + 1) / 2)
    return min(1.0, 2 * float(inside) / math.exp(log_whole))


def _check_long(owner: str, name: str, series: Tensor, season: int, beyond: int = 0) -> None:
    """Raise unless `series` is (..., T, F) with a season of steps, and `beyond` that."""
    check_floating(owner, name, series)
    check_positive(owner, season=season)
    if series.ndim < 2 or series.shape[-1] == 0 or series.shape[-2] < season + beyond:
        raise ValueError(
            f"{owner}: {name} has shape {tuple(series.shape)}, expected (..., T, F) with at least "
            f"{season + beyond} steps for this season; pass more of the past, or a shorter season"
        )
