"""Series cut into windows, split in the order of time, and tests that nothing looks ahead.

One rule: what is predicted lies strictly after everything that the prediction may use, in the
windows, in the splits, and in the features that were made beforehand.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from attnlib._checks import check_floating, check_positive, check_tensor
from attnlib.temporal import future_leak

__all__ = [
    "Windows",
    "check_no_overlap",
    "chronological_split",
    "look_ahead",
    "rolling_origin",
    "sliding_windows",
]


class Windows(NamedTuple):
    """What `sliding_windows` cuts out of a series.

    Args:
        inputs: (n, length, F), what a model may see.
        targets: (n, horizon, F'), what it must predict.
        starts: (n,) int64, the first step of each window in the series.
        times: (n, length), the time stamps of the inputs; None when the series came without.
    """

    inputs: Tensor
    targets: Tensor
    starts: Tensor
    times: Tensor | None


def sliding_windows(
    series: Tensor,
    length: int,
    horizon: int = 1,
    *,
    gap: int = 0,
    stride: int = 1,
    columns: Sequence[int] | None = None,
    times: Tensor | None = None,
    skip_missing: bool = False,
) -> Windows:
    """Pairs of a stretch of a series and what follows it.

    inputs_i = series[s : s + length],  targets_i = series[s + length + gap : ... + horizon],
    with s = i stride. Inputs and targets are views of the series (of the chosen columns of it):
    nothing is copied, so write `.clone()` before changing one in place. To let no window cross a
    border, cut each part of the series on its own.

    Args:
        series: (T, F) floating point, in the order of time.
        length: steps of an input.
        horizon: steps to predict, the first of them `gap` steps after the next.
        gap: steps between input and target, for values that arrive late; 0 or more.
        stride: steps from one window to the next.
        columns: numbers of the columns to predict; all of them when omitted.
        times: (T,) time stamps, rising, in any unit.
        skip_missing: leave out every window that holds a NaN; this copies.

    Returns:
        Windows: inputs (n, length, F), targets (n, horizon, F'), starts (n,), times (n, length).

    Raises:
        TypeError: a series that is not floating point, or a size that is no int.
        ValueError: a window longer than the series, sizes below 1, NaN, times that do not rise.

    >>> windows = sliding_windows(torch.arange(6.0)[:, None], length=3, horizon=2)
    >>> windows.inputs.squeeze(-1), windows.targets.squeeze(-1)
    (tensor([[0., 1., 2.],
            [1., 2., 3.]]), tensor([[3., 4.],
            [4., 5.]]))
    """
    owner = "sliding_windows"
    _check_series(owner, series)
    check_positive(owner, length=length, horizon=horizon, stride=stride)
    _check_not_negative(owner, gap=gap)
    span = length + gap + horizon
    if span > len(series):
        raise ValueError(
            f"{owner}: got windows of {span} steps (length + gap + horizon) and a series of "
            f"{len(series)}, expected at most {len(series)}; shorten length={length}, gap={gap} or "
            f"horizon={horizon}"
        )
    if times is not None:
        _check_times(owner, times, len(series))
    later = series[length + gap :]
    if columns is not None:
        later = later[:, _columns(owner, columns, series)]
    count = (len(series) - span) // stride + 1
    inputs = series.unfold(0, length, stride)[:count].mT  # unfold puts the steps last
    targets = later.unfold(0, horizon, stride).mT
    starts = stride * torch.arange(count, device=series.device)
    stamps = None if times is None else times.unfold(0, length, stride)[:count]
    # Looked for step by step, not window by window: the windows are many times the series.
    holes, later_holes = series.isnan().any(1), later.isnan().any(1)
    missing = holes.unfold(0, length, stride)[:count].any(1)
    missing |= later_holes.unfold(0, horizon, stride).any(1)
    if bool(missing.any()):
        if not skip_missing:
            raise ValueError(
                f"{owner}: got a series with NaN in {int(missing.sum())} of {count} windows, "
                f"expected numbers; fill the holes from the past, or write skip_missing=True"
            )
        kept = ~missing
        inputs, targets, starts = inputs[kept], targets[kept], starts[kept]
        stamps = None if stamps is None else stamps[kept]
    return Windows(inputs, targets, starts, stamps)


def chronological_split(
    length: int, shares: Sequence[float] = (0.7, 0.1, 0.2), *, gap: int = 0
) -> list[range]:
    """Parts of a series in the order of time: training, validation, test.

    Random rows would do for independent examples. Neighbours in time are nearly copies of one
    another, so a random split tests on what was trained on.

    Args:
        length: T, steps of the series.
        shares: fraction of the steps of each part, summing to 1.
        gap: steps left out before every part but the first, so that no lagged feature of a part
            reads the part before it; 0 or more.

    Returns:
        A range of steps for each share: `series[part.start : part.stop]`.

    Raises:
        ValueError: shares that do not sum to 1, or a part without a step.

    Reference: Hyndman and Athanasopoulos 2021, "Forecasting: principles and practice" (3rd
        edition), section 5.8

    >>> chronological_split(10, (0.6, 0.2, 0.2))
    [range(0, 6), range(6, 8), range(8, 10)]
    """
    owner = "chronological_split"
    check_positive(owner, length=length)
    _check_not_negative(owner, gap=gap)
    if min(shares, default=0) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(
            f"{owner}: got shares={tuple(shares)}, expected fractions above 0 that sum to 1; "
            f"write (0.7, 0.1, 0.2)"
        )
    ends = [0, *(round(length * sum(shares[: i + 1])) for i in range(len(shares)))]
    firsts = [0, *(end + gap for end in ends[1:-1])]
    parts = [range(first, end) for first, end in zip(firsts, ends[1:], strict=True)]
    if not all(parts):
        raise ValueError(
            f"{owner}: got {[len(part) for part in parts]} steps a part from length={length} and "
            f"gap={gap}, expected at least one in each; write fewer parts or a smaller gap"
        )
    return parts


def rolling_origin(
    length: int,
    train: int,
    test: int,
    *,
    step: int | None = None,
    gap: int = 0,
    expanding: bool = True,
) -> Iterator[tuple[range, range]]:
    """Train on the past and test on what follows, again and again as time goes on.

    Args:
        length: T, steps of the series.
        train: steps of the first training part, and of all when not expanding.
        test: steps of each test part.
        step: steps by which the origin moves; `test` when omitted, so that no two tests overlap.
        gap: steps left out between training and test; 0 or more.
        expanding: keep all of the past; otherwise the training part moves along.

    Yields:
        Ranges of steps (training, test). All windows of a part lie inside it.

    Raises:
        ValueError: sizes below 1, or a series too short for one pair.

    Reference: Tashman 2000, "Out-of-sample tests of forecasting accuracy", International Journal
        of Forecasting 16(4)

    >>> list(rolling_origin(10, train=4, test=2))
    [(range(0, 4), range(4, 6)), (range(0, 6), range(6, 8)), (range(0, 8), range(8, 10))]
    """
    owner = "rolling_origin"
    step = test if step is None else step
    check_positive(owner, length=length, train=train, test=test, step=step)
    _check_not_negative(owner, gap=gap)
    if train + gap + test > length:
        raise ValueError(
            f"{owner}: got train + gap + test = {train + gap + test} steps and length={length}, "
            f"expected at most {length}; shorten train={train} or test={test}"
        )
    ends = range(train, length - gap - test + 1, step)
    # A generator expression, not `yield`: errors come at the call, not at the first use.
    return (
        (range(0 if expanding else end - train, end), range(end + gap, end + gap + test))
        for end in ends
    )


def check_no_overlap(*parts: Sequence[int], span: int = 1) -> None:
    """Raise unless every part ends before the next one begins.

    Args:
        parts: steps, or first steps of windows, of each part in the order of time, as from
            `chronological_split`, `rolling_origin` or `Windows.starts`.
        span: steps that each entry covers: length + gap + horizon when the entries are windows.

    Raises:
        ValueError: a step that two parts share, or parts that are not in the order of time.

    >>> check_no_overlap(range(0, 6), range(6, 8))
    >>> check_no_overlap(range(0, 6), range(6, 8), span=3)
    Traceback (most recent call last):
    ...
    ValueError: check_no_overlap: part 0 reaches step 7 and part 1 begins at step 6, expected \
it to begin at 8 or later; leave out 2 more
    """
    owner = "check_no_overlap"
    check_positive(owner, span=span)
    ends = []
    for i, part in enumerate(parts):
        if len(part) == 0:
            raise ValueError(
                f"{owner}: part {i} is empty, expected at least one step; leave the part out"
            )
        ends.append((int(min(part)), int(max(part)) + span - 1))
    for i, ((_, last), (first, _)) in enumerate(pairwise(ends)):
        if first <= last:
            raise ValueError(
                f"{owner}: part {i} reaches step {last} and part {i + 1} begins at step {first}, "
                f"expected it to begin at {last + 1} or later; leave out {last + 1 - first} more"
            )


def look_ahead(features: Callable[[Tensor], Tensor], series: Tensor) -> tuple[int, int] | None:
    """The first step of a feature that a later step of the series changes, or None.

    Finds what hides in preparation: a scaler fitted on everything, a centred average, holes that
    were filled from behind. The future is replaced, step by step, and the past must stay as it is.

    Args:
        features: a function of a series (T, F) that gives features (T, ...), NaN where there is
            none yet; it need not be differentiable and may use NumPy inside.
        series: (T, F) floating point, with at least two steps.

    Returns:
        (step of the feature, step of the series) with the second after the first, or None.

    Raises:
        TypeError: a series that is not floating point.
        ValueError: a series of one step, or features of another length.

    >>> series = torch.arange(12.0).reshape(6, 2)
    >>> look_ahead(lambda x: x.cumsum(0), series)  # the past alone
    >>> look_ahead(lambda x: x - x.mean(0), series)  # centred with the mean of everything
    (0, 5)
    """
    _check_series("look_ahead", series)
    return future_leak(lambda x: features(x[0])[None], series[None], gradients=False)


def _check_series(owner: str, series: Tensor) -> None:
    check_floating(owner, "series", series)
    if series.ndim != 2 or 0 in series.shape:
        raise ValueError(
            f"{owner}: series has shape {tuple(series.shape)}, expected (T, F), neither empty; "
            f"write series[:, None] for a single variable"
        )


def _check_times(owner: str, times: Tensor, length: int) -> None:
    check_tensor(owner, "times", times)
    if times.shape != (length,):
        raise ValueError(
            f"{owner}: times has shape {tuple(times.shape)}, expected ({length},), one for each "
            f"step; pass the stamps of this series"
        )
    if not bool((times[1:] > times[:-1]).all()):
        raise ValueError(
            f"{owner}: times are not in rising order, expected each after the one before; "
            f"sort series and times by times.argsort(), and drop what occurs twice"
        )


def _columns(owner: str, columns: Sequence[int], series: Tensor) -> list[int]:
    columns, width = list(columns), series.shape[1]
    if not columns or not all(-width <= column < width for column in columns):
        raise ValueError(
            f"{owner}: got columns={columns}, expected numbers from 0 to {width - 1}; "
            f"write columns=[0] to predict the first"
        )
    return columns


def _check_not_negative(owner: str, gap: int) -> None:
    if isinstance(gap, bool) or not isinstance(gap, int) or gap < 0:
        raise ValueError(
            f"{owner}: got gap={gap!r}, expected an int of 0 or more; write gap=0 for none"
        )
