"""Around a forecast: a scaler that is fitted on the past, a baseline, and an error without unit."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnlib._checks import check_floating, check_positive

__all__ = ["Scaler", "mase", "seasonal_naive"]


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


def _check_long(owner: str, name: str, series: Tensor, season: int, beyond: int = 0) -> None:
    """Raise unless `series` is (..., T, F) with a season of steps, and `beyond` that."""
    check_floating(owner, name, series)
    check_positive(owner, season=season)
    if series.ndim < 2 or series.shape[-1] == 0 or series.shape[-2] < season + beyond:
        raise ValueError(
            f"{owner}: {name} has shape {tuple(series.shape)}, expected (..., T, F) with at least "
            f"{season + beyond} steps for this season; pass more of the past, or a shorter season"
        )
