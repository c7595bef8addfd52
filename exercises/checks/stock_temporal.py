"""Exercises of "Project 3: temporal attention on stocks"."""

import torch
from torch import Tensor

from attnlib.checker import Exercise
from attnlib.data import diebold_mariano
from exercises.checks import normal

# ---------------------------------------------------------------- the target


def _next_days(returns: Tensor, h: int) -> Tensor:
    return returns[1:].unfold(0, h, 1).square().mean(-1).sqrt()


def _next_days_from(first: int):
    """The same over windows that begin `first` days after each day."""
    return lambda returns, h: returns[first:].unfold(0, h, 1).square().mean(-1).sqrt()


def _next_days_std(returns, h):
    days = returns[1:].unfold(0, h, 1)
    return ((days - days.mean(-1, keepdim=True)).square().sum(-1) / (h - 1)).sqrt()


next_days = Exercise(
    "stock-temporal/next-days",
    _next_days,
    [
        (torch.tensor([0.0, 3.0, 4.0, 0.0]), 2),
        (normal(7), 3),
        (normal(9, seed=1), 1),
        (normal(13, seed=2), 5),
    ],
    {
        "Day t itself is in its own target. At its end that move is known: the model would be "
        "asked for what it has seen.": lambda returns, h: _next_days_from(0)(returns[:-1], h),
        "You return one value too many: the first window begins on day 0, so it is the past of "
        "later days, not the future of any.": _next_days_from(0),
        "Your windows begin two days later. The first day of the target is the very next "
        "one.": _next_days_from(2),
        "This is the variance: the mean of the squares. Volatility has the unit of a return, so a "
        "root is missing.": lambda returns, h: _next_days(returns, h).square(),
        "You add the squares up. A target of more days would then be larger for that reason alone: "
        "take their mean.": lambda returns, h: _next_days(returns, h) * h**0.5,
        "You take the mean of the days away first, as a standard deviation does. Then a single "
        "day has no volatility at all.": lambda returns, h: (
            returns[1:].unfold(0, h, 1).std(-1, correction=0)
        ),
        "This is `std`: it takes the mean of the days away and divides by h - 1, so a single day "
        "gives NaN. Neither is wanted.": _next_days_std,
        "You average the absolute returns. The mean is wanted of the squares, and its root after "
        "it.": lambda returns, h: returns[1:].unfold(0, h, 1).abs().mean(-1),
        "You average the returns before the square, so a rise and a fall cancel.": (
            lambda returns, h: returns[1:].unfold(0, h, 1).mean(-1).abs()
        ),
        "This is the size of the last of the h days alone.": lambda returns, h: returns[h:].abs(),
        "Your windows do not overlap. Every day has a target, and neighbours share most of "
        "theirs.": lambda returns, h: _next_days(returns, h)[::h],
    },
    hints=(
        "Which day is the first of the target of day 0? Which one is the last?",
        "returns (T,) -> windows (T - h, h), the first of them days 1 .. h -> result (T - h,)",
        "windows = <returns from day 1 on>.unfold(0, h, 1)\nreturn <root of the mean square>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- smoothing


def _smoothed(returns: Tensor, keep: float) -> Tensor:
    return _smoothed_with()(returns, keep)


def _smoothed_with(
    start=lambda squares: squares[0],
    blend=lambda level, square, keep: keep * level + (1 - keep) * square,
    squares=lambda returns: returns.square(),
):
    """The same with another first level, another step, or another measure of size."""

    def smoothed(returns: Tensor, keep: float) -> Tensor:
        sizes = squares(returns)
        levels = [start(sizes)]
        for size in sizes[1:]:
            levels.append(blend(levels[-1], size, keep))
        return torch.stack(levels)

    return smoothed


def _smoothed_late(returns, keep):
    levels = _smoothed(returns, keep)
    return torch.cat([levels[:1], levels[:-1]])


def _smoothed_raw(returns, keep):
    squares = returns.square()
    return torch.cat([squares[:1], keep * squares[:-1] + (1 - keep) * squares[1:]])


smoothing = Exercise(
    "stock-temporal/smoothing",
    _smoothed,
    [
        (torch.tensor([2.0, 0.0, 4.0]), 0.75),
        (normal(5), 0.94),
        (normal(8, seed=1), 0.5),
        (normal(11, seed=2), 0.8),
    ],
    {
        "Old and new are swapped: you keep little and take over nearly all of the new day, so the "
        "level is hardly smooth.": _smoothed_with(
            blend=lambda level, square, keep: (1 - keep) * level + keep * square
        ),
        "You begin with the mean of all squares. The first levels then know every later "
        "day.": _smoothed_with(start=lambda squares: squares.mean()),
        "You begin at zero, as if there had been a calm day. The first levels are then too "
        "low.": _smoothed_with(start=lambda squares: squares[0] * 0),
        "Your level is 0 before the first day, so day 0 keeps only a share of its square. The "
        "level of day 0 is its whole square.": lambda returns, keep: _smoothed(
            torch.cat([returns[:1] * 0, returns]), keep
        )[1:],
        "Your levels come a day late: the level of day t must already hold the move of day "
        "t.": _smoothed_late,
        "You blend each square with the one before, not with the level. The memory is then a "
        "single day.": _smoothed_raw,
        "You smooth absolute returns. The level is a variance: the squares are "
        "smoothed.": _smoothed_with(squares=torch.abs),
        "You smooth the returns with their signs, so rises and falls cancel.": _smoothed_with(
            squares=lambda returns: returns
        ),
        "You return the root. The level is a variance; the root is for those who want the "
        "volatility.": lambda returns, keep: _smoothed(returns, keep).sqrt(),
        "The new square comes in full, without its share. The level grows and grows.": (
            _smoothed_with(blend=lambda level, square, keep: keep * level + square)
        ),
        "You return the last level alone. There is one for each day.": lambda returns, keep: (
            _smoothed(returns, keep)[-1]
        ),
    },
    hints=(
        "Go from day to day and carry one number along.",
        "level of day 0 = its square; each later level is a share of the old level plus the other "
        "share of the new square",
        "levels = [<first square>]\n"
        "for square in <the others>:\n"
        "    levels.append(<keep> * <last level> + <what is left> * square)\n"
        "return torch.stack(levels)",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- a loss


def _qlike(variance: Tensor, forecast: Tensor) -> Tensor:
    ratio = variance / forecast
    return (ratio - ratio.log() - 1).mean()


def _qlike_of_ratio(ratio, loss=lambda ratio: ratio - ratio.log() - 1):
    return lambda variance, forecast: loss(ratio(variance, forecast)).mean()


def _qlike_cases():
    yield torch.tensor([1.0, 1.0]), torch.tensor([1.0, 2.0])
    for seed, T in enumerate((3, 5, 8)):
        yield normal(T, seed=seed).exp(), normal(T, seed=seed + 10).exp()


qlike = Exercise(
    "stock-temporal/qlike",
    _qlike,
    _qlike_cases,
    {
        "The ratio is upside down, so that a forecast that is too high costs more than one that is "
        "too low. What came stands above, the forecast below.": _qlike_of_ratio(lambda v, f: f / v),
        "A perfect forecast costs 1 with you. Something is missing at the end.": _qlike_of_ratio(
            lambda v, f: v / f, lambda ratio: ratio - ratio.log()
        ),
        "You add the logarithm. Then the loss falls without end as the forecast "
        "grows.": _qlike_of_ratio(lambda v, f: v / f, lambda ratio: ratio + ratio.log() - 1),
        "You take roots first. The ratio is one of variances, and both are variances "
        "already.": _qlike_of_ratio(lambda v, f: (v / f).sqrt()),
        "You square what is squared already: both inputs are variances.": _qlike_of_ratio(
            lambda v, f: (v / f).square()
        ),
        "You add the days up. With more days the loss would grow for that reason alone.": (
            lambda variance, forecast: _qlike(variance, forecast) * len(variance)
        ),
        "You return one loss a day. One number is wanted, their mean.": lambda variance, forecast: (
            variance / forecast - (variance / forecast).log() - 1
        ),
        "You average before you compare. Errors of single days cancel in the two "
        "means.": lambda variance, forecast: _qlike(variance.mean()[None], forecast.mean()[None]),
        "You average the ratios before the loss. A day that was too high and a day that was too "
        "low then cancel: the loss of each day comes first.": _qlike_of_ratio(
            lambda v, f: (v / f).mean()[None]
        ),
        "This is the mean squared error. One wild day decides it.": lambda variance, forecast: (
            (variance - forecast).square().mean()
        ),
        "This is the other likelihood form, log of the forecast plus the ratio. It ranks forecasts "
        "alike, but a perfect one does not cost 0.": lambda variance, forecast: (
            forecast.log() + variance / forecast
        ).mean(),
    },
    hints=(
        "What is the ratio of what came and what was forecast, if the forecast is perfect? What "
        "should that cost?",
        "ratio (T,) = what came / forecast; loss of a day = ratio minus its logarithm minus one",
        "ratio = <...>\nreturn <mean of the daily losses>",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- luck


def _statistic(first: Tensor, second: Tensor, h: int) -> Tensor:
    return _statistic_with()(first, second, h)


def _statistic_with(
    lags=lambda h: h - 1,
    times=2,
    centre=lambda d: d - d.mean(),
    divide=lambda T, k: T,
    end=lambda mean, variance, T: mean / (variance / T).sqrt(),
):
    """The same with another number of lags, or another piece of the formula."""

    def statistic(first: Tensor, second: Tensor, h: int) -> Tensor:
        d = first - second
        c, T = centre(d), len(d)
        covariances = [(c[k:] * c[: T - k]).sum() / divide(T, k) for k in range(lags(h) + 1)]
        variance = covariances[0] + times * sum(covariances[1:])
        return end(d.mean(), variance, T)

    return statistic


def _statistic_rolled(first, second, h):
    c = first - second - (first - second).mean()
    gamma = [(c * c.roll(k)).mean() for k in range(h)]
    return (first - second).mean() / ((gamma[0] + 2 * sum(gamma[1:])) / len(c)).sqrt()


def _loss_cases():
    yield torch.tensor([3.0, 1.0, 4.0, 4.0]), torch.tensor([1.0, 1.0, 2.0, 2.0]), 1
    for seed, (T, h) in enumerate(((9, 2), (14, 3), (20, 4), (11, 1))):
        first, noise = normal(T, seed=seed), normal(T + 3, seed=seed + 20)
        pair = (first + noise.unfold(0, 4, 1).mean(-1)).square(), first.square()
        yield *(pair if seed % 2 else pair[::-1]), h


dm_statistic = Exercise(
    "stock-temporal/dm-statistic",
    _statistic,
    _loss_cases,
    {
        "The sign is turned round: below 0 must mean that the *first* forecast has the smaller "
        "losses.": lambda first, second, h: -_statistic(first, second, h),
        "You treat the days as independent. Losses of horizons that overlap are alike, so the "
        "covariances of h - 1 lags belong to the variance.": _statistic_with(lags=lambda h: 0),
        "You count one lag too many. Horizons of h days overlap for h - 1 lags.": _statistic_with(
            lags=lambda h: h
        ),
        "Each covariance counts once with you. A lag stands for two pairs, before and after: it "
        "counts twice.": _statistic_with(times=1),
        "The differences are not centred: take their mean away before you multiply.": (
            _statistic_with(centre=lambda d: d)
        ),
        "You divide each sum by the number of its own terms. All are divided by "
        "T.": _statistic_with(divide=lambda T, k: T - k),
        "You divide by T - 1. This formula divides by T.": _statistic_with(
            divide=lambda T, k: T - 1
        ),
        "This is the plain t of independent days: `std` divides by T - 1, and the covariances of "
        "h - 1 lags are missing.": _statistic_with(lags=lambda h: 0, divide=lambda T, k: T - 1),
        "This is the library's statistic: it holds a factor for small samples, which this exercise "
        "leaves out.": lambda first, second, h: first.new_tensor(
            diebold_mariano(first, second, horizon=h).statistic
        ),
        "`roll` wraps round: the first days meet the last. Pair only days that are k apart, T - k "
        "of them.": _statistic_rolled,
        "You divide by the spread of a single day. The spread of a *mean* of T days is smaller: "
        "its variance is a T-th.": _statistic_with(
            end=lambda mean, variance, T: mean / variance.sqrt()
        ),
        "You divide by the variance of the mean. Its root is missing.": _statistic_with(
            end=lambda mean, variance, T: mean / (variance / T)
        ),
        "This is the mean difference. It has no unit of luck yet: divide by its standard "
        "error.": _statistic_with(end=lambda mean, variance, T: mean),
        "You drop the sign, so nobody knows who won.": lambda first, second, h: _statistic(
            first, second, h
        ).abs(),
    },
    hints=(
        "One series comes out of two. What is its mean, and how uncertain is that mean?",
        "d = first - second, (T,); c = d minus its mean; gamma_k = sum of c[k:] * c[:T - k] / T",
        "variance = (gamma_0 + 2 * <gamma_1 .. gamma_(h - 1)>) / T\n"
        "return <mean of d> / <root of the variance>",
    ),
    minutes=12,
    difficulty=3,
)


# ---------------------------------------------------------------- many comparisons


def _holm(p: Tensor) -> Tensor:
    return _holm_with()(p)


def _holm_with(
    times=lambda m: m - torch.arange(m),
    rise=lambda raised: raised.cummax(0).values,
    cap=lambda raised: raised.clamp(max=1),
    back=lambda raised, order: raised[order.argsort()],
):
    """The same with other factors, or with a step left out."""

    def holm(p: Tensor) -> Tensor:
        order = p.argsort()
        return back(cap(rise(p[order] * times(len(p)))), order)

    return holm


def _hochberg(p):
    m = len(p)
    order = p.argsort()
    raised = p[order] * m / torch.arange(1, m + 1)
    return raised.flip(0).cummin(0).values.flip(0).clamp(max=1)[order.argsort()]


holm = Exercise(
    "stock-temporal/holm",
    _holm,
    [
        (torch.tensor([0.04, 0.01, 0.03]),),
        (torch.tensor([0.9, 0.002, 0.3, 0.011, 0.02]),),
        (torch.tensor([0.6, 0.012, 0.55, 0.013]),),
        (torch.tensor([0.001, 0.2, 0.04, 0.008, 0.7, 0.03, 0.012]),),
    ],
    {
        "All are multiplied by the number of tests: that is Bonferroni's correction. Holm's "
        "multiplies each by the number of tests that are not yet done.": _holm_with(
            times=lambda m: m
        ),
        "A larger p-value got a smaller corrected one than its neighbour before. Carry the largest "
        "so far along.": _holm_with(rise=lambda raised: raised),
        "A probability above 1? Cut it off there.": _holm_with(cap=lambda raised: raised),
        "You return them in the order of size. Each test must find its own corrected value at its "
        "old place.": _holm_with(back=lambda raised, order: raised),
        "You put them back by the order itself, not by its inverse.": _holm_with(
            back=lambda raised, order: raised[order]
        ),
        "The factors run the wrong way: the smallest p-value faces the most rivals, so it is "
        "multiplied by the largest factor.": _holm_with(times=lambda m: torch.arange(1, m + 1)),
        "The factors begin one too low: before the first test none is done, so all m remain. The "
        "last one is multiplied by 0 with you.": _holm_with(
            times=lambda m: m - 1 - torch.arange(m)
        ),
        "This is the correction of Benjamini and Hochberg. It bounds the share of false alarms, "
        "not the chance of a single one.": _hochberg,
        "You carry the smallest value along, from the end. Holm carries the *largest* so far, from "
        "the front.": _holm_with(rise=lambda raised: raised.flip(0).cummin(0).values.flip(0)),
        "You return which tests pass. The corrected p-values are wanted.": lambda p: (
            _holm(p) < 0.05
        ),
        "You multiply by the place in which they were given. Sort first.": lambda p: (
            (p * (len(p) - torch.arange(len(p)))).cummax(0).values.clamp(max=1)
        ),
    },
    hints=(
        "Sort, multiply, never fall, cap, put back. Which of the five is missing?",
        "order = p.argsort(); the smallest is multiplied by m, the next by m - 1, the last by 1",
        "raised = p[order] * <m, m - 1, .., 1>\n"
        "raised = <largest so far, at most 1>\n"
        "return <raised at the old places>",
    ),
    minutes=10,
    difficulty=2,
)
