"""Exercises of "Temporal attention on real series"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- as yesterday, for longer


def _yesterday(series: Tensor, m: int, H: int) -> Tensor:
    return series[-m:][torch.arange(H) % m]


as_yesterday = Exercise(
    "real-series/as-yesterday",
    _yesterday,
    [
        (torch.tensor([9.0, 1.0, 2.0, 3.0]), 3, 2),
        (torch.tensor([9.0, 1.0, 2.0, 3.0, 4.0, 5.0]), 2, 5),
        (normal(11), 4, 4),
        (normal(13, seed=1), 5, 12),
        (normal(9, seed=2), 3, 1),
    ],
    {
        "You repeat the last value. That is the naive forecast without a season, m = 1.": (
            lambda series, m, H: series[-1:].expand(H)
        ),
        "You take the first season of the series. The newest one is wanted.": (
            lambda series, m, H: series[:m][torch.arange(H) % m]
        ),
        "Your season runs backwards: the oldest value of it comes first in the forecast.": (
            lambda series, m, H: series[-m:].flip(0)[torch.arange(H) % m]
        ),
        "You return the last H values. That is right only when H is the season; for H < m it "
        "starts too late.": lambda series, m, H: series[-H:],
        "You are one step late: the first forecast is the value m steps before it, and that is "
        "series[-m].": lambda series, m, H: series[-m:][(torch.arange(H) + 1) % m],
        "You are one step early: the first forecast is series[-m], not the value before it.": (
            lambda series, m, H: series[-m - 1 : -1][torch.arange(H) % m]
        ),
        "After one season you go on with the last value. Start the season again.": (
            lambda series, m, H: series[-m:][torch.arange(H).clamp(max=m - 1)]
        ),
        "You return the mean of the season at every step. Each step has its own value.": (
            lambda series, m, H: series[-m:].mean().expand(H)
        ),
        "You take the first H values of the last season and stop there. If the horizon is longer "
        "than m, the season starts again.": lambda series, m, H: series[-m:][:H],
        "You repeat the whole series, beginning with its oldest value. Repeat the last season.": (
            lambda series, m, H: series.repeat(H // len(series) + 1)[:H]
        ),
        "Each value comes several times in a row. The season comes whole, then whole again.": (
            lambda series, m, H: series[-m:].repeat_interleave((H + m - 1) // m)[:H]
        ),
        "You return the whole last season. The forecast has H steps, fewer or more.": (
            lambda series, m, H: series[-m:]
        ),
    },
    hints=(
        "Which step of the series does the first forecast copy? And the one after the last of the "
        "season?",
        "series[-m:] is the last season, (m,). Which of its places, 0 to m - 1, does forecast "
        "number i copy when i is m, or m + 1? A remainder says it",
        "season = <the last m values>\nreturn season[<H places that start again after m>]",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- scaled error


def _mase(forecast: Tensor, target: Tensor, train: Tensor, m: int) -> Tensor:
    return (target - forecast).abs().mean() / (train[m:] - train[:-m]).abs().mean()


def _mase_with(
    size=lambda error: error.abs().mean(),
    scale=lambda target, train, m: (train[m:] - train[:-m]).abs().mean(),
):
    def scaled(forecast: Tensor, target: Tensor, train: Tensor, m: int) -> Tensor:
        return size(target - forecast) / scale(target, train, m)

    return scaled


scaled_error = Exercise(
    "real-series/scaled-error",
    _mase,
    [
        (
            torch.tensor([4.0, 1.0]),
            torch.tensor([6.0, 0.0]),
            torch.tensor([1.0, 2.0, 3.0, 5.0]),
            2,
        ),
        (normal(5), normal(5, seed=1), normal(11, seed=2), 3),
        (normal(7, seed=3), normal(7, seed=4), normal(17, seed=5).cumsum(0), 5),
    ],
    {
        "The scale comes from the targets, which are the test part. It belongs to the training "
        "part.": _mase_with(scale=lambda target, train, m: (target[1:] - target[:-1]).abs().mean()),
        "Your scale compares neighbours. The naive forecast of this series goes m steps "
        "back.": _mase_with(scale=lambda target, train, m: train.diff().abs().mean()),
        "Your scale goes m + 1 steps back.": _mase_with(
            scale=lambda target, train, m: (train[m + 1 :] - train[: -m - 1]).abs().mean()
        ),
        "Your scale divides by all T steps. The first m steps have nothing to be compared with: "
        "T - m differences remain.": _mase_with(
            scale=lambda target, train, m: (train[m:] - train[:-m]).abs().sum() / len(train)
        ),
        "In the scale plus and minus cancel: take absolute values before the mean.": _mase_with(
            scale=lambda target, train, m: (train[m:] - train[:-m]).mean().abs()
        ),
        "In the error plus and minus cancel: take absolute values before the mean.": _mase_with(
            size=lambda error: error.mean().abs()
        ),
        "The scale compares targets m steps apart, so it comes from the test part. It belongs to "
        "the training part.": _mase_with(
            scale=lambda target, train, m: (target[m:] - target[:-m]).abs().mean()
        ),
        "You square the errors of the forecast. Absolute values are wanted, above and below.": (
            _mase_with(size=lambda error: error.square().mean())
        ),
        "You square the errors, above and below. Absolute values are wanted.": _mase_with(
            size=lambda error: error.square().mean(),
            scale=lambda target, train, m: (train[m:] - train[:-m]).square().mean(),
        ),
        "You take roots of mean squares, above and below. Means of absolute values are "
        "wanted.": _mase_with(
            size=lambda error: error.square().mean().sqrt(),
            scale=lambda target, train, m: (train[m:] - train[:-m]).square().mean().sqrt(),
        ),
        "Your forecast's error is the root of a mean square. The mean of absolute values is "
        "wanted.": _mase_with(size=lambda error: error.square().mean().sqrt()),
        "You divide by the spread of the training part, not by the errors of the naive "
        "forecast.": _mase_with(scale=lambda target, train, m: train.std(correction=0)),
        "This is the mean absolute error in the unit of the series. The scale is "
        "missing.": _mase_with(scale=lambda target, train, m: 1),
        "The fraction is upside down: a larger error must give a larger number.": (
            lambda forecast, target, train, m: 1 / _mase(forecast, target, train, m)
        ),
        "You add up the errors. The mean over the forecasts is wanted.": _mase_with(
            size=lambda error: error.abs().sum()
        ),
    },
    hints=(
        "Two mean absolute errors: one of your forecast, one of the naive forecast. On which part "
        "is the second one measured?",
        "train[m:] and train[:-m] have T - m values each, and belong together pair by pair",
        "error = <mean absolute difference of target and forecast>\n"
        "scale = <mean absolute difference of training values m steps apart>\n"
        "return <one over the other>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- trend and remainder


def _split_with(left=lambda k: k // 2, mode="replicate", average=None):
    """(trend, remainder), with another padding or another average of the padded rows."""
    average = average or (lambda rows, k: F.avg_pool1d(rows, k, stride=1))

    def split(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        padded = F.pad(x[:, None], (left(k), k - 1 - left(k)), mode=mode)
        u = average(padded, k)[:, 0]
        return u, x - u

    return split


_split = _split_with()


def _split_few(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    u = F.avg_pool1d(x[:, None], k, stride=1, padding=k // 2, count_include_pad=False)[:, 0]
    return u, x - u


def _split_batch(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    u = x.mean(0, keepdim=True).expand_as(x)
    return u, x - u


def _split_mean(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    u = x.mean(1, keepdim=True).expand_as(x)
    return u, x - u


def _split_cases():
    yield torch.tensor([[2.0, 4.0, 9.0, 5.0, 5.0]]), 3
    yield normal(2, 7), 5
    yield normal(3, 11, seed=1).cumsum(1), 7


trend_and_remainder = Exercise(
    "real-series/trend-and-remainder",
    _split,
    _split_cases,
    {
        "The ends are padded with zeros, which pulls the trend to zero there. Repeat the value at "
        "the end.": _split_with(mode="constant"),
        "The ends are padded by a mirror. Repeat the value at the end.": _split_with(
            mode="reflect"
        ),
        "At the ends you average fewer values. Repeat the value at the end, so that each mean is "
        "over k.": _split_few,
        "Your average looks back only: step t and the k - 1 before it. Half of the window lies on "
        "either side.": _split_with(left=lambda k: k - 1),
        "Your average looks forward only. Half of the window lies on either side.": _split_with(
            left=lambda k: 0
        ),
        "Your mean is over the batch. The series of a batch know nothing of each "
        "other.": _split_batch,
        "Your trend is one number a series: the mean over all steps. The mean moves along with "
        "t.": _split_mean,
        "You take the maximum of each window. The trend is its mean.": _split_with(
            average=lambda rows, k: F.max_pool1d(rows, k, stride=1)
        ),
        "Your windows are summed. Divide by k.": _split_with(
            average=lambda rows, k: k * F.avg_pool1d(rows, k, stride=1)
        ),
        "The two are in the wrong order: the trend comes first.": (lambda x, k: _split(x, k)[::-1]),
        "The sign of the remainder is wrong: trend and remainder must add up to x.": (
            lambda x, k: (_split(x, k)[0], _split(x, k)[0] - x)
        ),
        "You return x itself in place of the remainder. Take the trend away from it.": (
            lambda x, k: (_split(x, k)[0], x)
        ),
    },
    hints=(
        "What is averaged at the first step, where nothing stands to its left?",
        'F.pad(x[:, None], (r, r), mode="replicate") has the shape (B, 1, T + 2r); '
        "F.avg_pool1d wants three dimensions",
        "padded = <x with r = k // 2 repeated values on either side>\n"
        "u = <mean of each k neighbours>, (B, T)\nreturn u, <what is left>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- rolling origin


def _origins_with(
    first=lambda end, train: end - train,
    test_start=lambda end: end,
    stride=lambda step, test: step,
    last=lambda length, test: length - test,
):
    """Rows (n, 4) with another start of training or of the test, stride, or last origin."""

    def origins(length: int, train: int, test: int, step: int) -> Tensor:
        ends = range(train, last(length, test) + 1, stride(step, test))
        rows = [(first(end, train), end, test_start(end), test_start(end) + test) for end in ends]
        return torch.tensor(rows, dtype=torch.int64).reshape(-1, 4)

    return origins


def _origins_clipped(length: int, train: int, test: int, step: int) -> Tensor:
    ends = range(train, length, step)
    return torch.tensor([(end - train, end, end, min(end + test, length)) for end in ends])


_origins = _origins_with()


rolling_pairs = Exercise(
    "real-series/rolling-pairs",
    _origins,
    [(10, 4, 2, 3), (10, 4, 2, 2), (24, 7, 5, 3), (13, 5, 3, 4), (15, 5, 3, 4)],
    {
        "Your training part always begins at 0, so it grows. Here it moves along and keeps its "
        "length.": _origins_with(first=lambda end, train: 0),
        "One step is lost between training and test: the stop of a range is not in it, so the "
        "test starts right there.": _origins_with(
            test_start=lambda end: end + 1, last=lambda length, test: length - test - 1
        ),
        "The last step of the training part is also the first of the test.": _origins_with(
            test_start=lambda end: end - 1
        ),
        "Your test lies inside the training part, at its end. It must come after "
        "it.": lambda length, train, test, step: (
            _origins(length, train, test, step) - torch.tensor([0, 0, test, test])
        ),
        "The origin moves by the length of the test. It moves by `step`.": _origins_with(
            stride=lambda step, test: test
        ),
        "The origin moves by one step at a time. It moves by `step`.": _origins_with(
            stride=lambda step, test: 1
        ),
        "Your last test ends beyond the series. Every test must be whole.": _origins_with(
            last=lambda length, test: length - 1
        ),
        "Your last test is cut off by the end of the series and shorter than the others. Leave out "
        "a pair whose test is not whole.": _origins_clipped,
        "The last pair is missing where the test ends exactly with the series.": _origins_with(
            last=lambda length, test: length - test - 1
        ),
        "This is the first pair only. Go on as long as a whole test fits.": (
            lambda *sizes: _origins(*sizes)[:1]
        ),
        "The columns are swapped: training first, then the test.": (
            lambda *sizes: _origins(*sizes)[:, [2, 3, 0, 1]]
        ),
        "Your stops are the last steps themselves. As in Python, a stop is the first step that "
        "does not belong.": lambda *sizes: _origins(*sizes) - torch.tensor([0, 1, 0, 1]),
    },
    hints=(
        "Write down the pairs of a series of ten steps, with four to train, two to test, step "
        "three.",
        "The origin is the stop of the training part: range(train, length - test + 1, step)",
        "rows = []\nfor end in range(<first origin>, <last origin + 1>, step):\n"
        "    rows.append((<start of training>, end, end, <stop of test>))\n"
        "return torch.tensor(rows)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- is the difference luck?


def _statistic_with(
    centre=lambda d: d - d.mean(),
    lags=lambda h: h,
    weight=2.0,
    divide=lambda T, k: T,
    variance=lambda total, T: total / T,
    root=torch.sqrt,
):
    """mean(d) / sqrt(V) with other autocovariances, or another variance of the mean."""

    def statistic(first: Tensor, second: Tensor, h: int) -> Tensor:
        d = first - second
        T, c = len(d), centre(d)
        gamma = [c[k:] @ c[: T - k] / divide(T, k) for k in range(lags(h))]
        total = gamma[0] + weight * sum(gamma[1:])
        return d.mean() / root(variance(total, T))

    return statistic


_statistic = _statistic_with()


def _loss_cases():
    yield torch.tensor([1.0, 2.0, 1.0, 3.0]), torch.tensor([2.0, 2.5, 3.0, 3.5]), 1
    for seed, (T, h) in enumerate(((20, 2), (40, 3), (60, 5))):
        noise = normal(T + 2, seed=seed)
        smooth = noise[2:] + noise[1:-1] + noise[:-2]  # neighbours are alike
        yield (smooth + 0.5).abs() + 0.3, normal(T, seed=seed + 7).abs(), h
    yield torch.tensor([3.0, 1.0, 3.0, 1.0, 3.0, 1.0]), torch.ones(6), 2  # V below 0


is_it_luck = Exercise(
    "real-series/is-it-luck",
    _statistic,
    _loss_cases,
    {
        "The neighbours are missing: you use the variance alone, as if overlapping forecasts were "
        "independent.": _statistic_with(lags=lambda h: 1),
        "torch's var divides by T - 1; gamma_0 divides by T. And where h is above 1, neighbours "
        "count too.": lambda first, second, h: (
            (first - second).mean() / ((first - second).var() / len(first)).sqrt()
        ),
        "You divide the autocovariances by T - 1. Here all are divided by T.": _statistic_with(
            divide=lambda T, k: T - 1
        ),
        "You take the absolute value of V under the root. Where V is below 0 there is no "
        "statistic: NaN.": _statistic_with(root=lambda v: v.abs().sqrt()),
        "You count each autocovariance once. It occurs twice: step t with t + k, and t + k with "
        "t.": _statistic_with(weight=1.0),
        "You go one lag too far: the last one is h - 1.": _statistic_with(lags=lambda h: h + 1),
        "You divide the autocovariance of lag k by T - k. Here all are divided by "
        "T.": _statistic_with(divide=lambda T, k: T - k),
        "The differences are not centred: take their mean away before the products.": (
            _statistic_with(centre=lambda d: d)
        ),
        "You divide by the spread of one difference. The *mean* of T differences spreads less: "
        "V has a T below it.": _statistic_with(variance=lambda total, T: total),
        "The root is missing: V is a variance.": _statistic_with(root=lambda v: v),
        "The sign is the other way round: positive means that the first has the larger "
        "loss.": lambda first, second, h: -_statistic(first, second, h),
        "This is the mean difference itself. Divide it by the root of its variance.": (
            lambda first, second, h: (first - second).mean()
        ),
        "You take the absolute value. The sign says which forecast is better.": (
            lambda first, second, h: _statistic(first, second, h).abs()
        ),
    },
    hints=(
        "Three things: differences, how they go together with their neighbours, and the spread of "
        "their mean.",
        "c = d - d.mean(); gamma_k = (c[k:] * c[: T - k]).sum() / T",
        "d = <differences>\ngamma = [<autocovariance of lag k> for k in range(h)]\n"
        "V = (gamma[0] + 2 * <sum of the others>) / T\nreturn <mean of d over root of V>",
    ),
    minutes=14,
    difficulty=3,
)
