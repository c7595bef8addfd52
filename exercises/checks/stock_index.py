"""Exercises of "Project 1: an index"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal


def _prices(count: int, seed: int = 0) -> Tensor:
    """(count,) prices that wander, far from 1 and from 100."""
    return 1200 * (normal(count, seed=seed) / 20).cumsum(0).exp()


# ---------------------------------------------------------------- returns


def _returns(prices: Tensor) -> Tensor:
    return 100 * (prices[1:] / prices[:-1]).log()


log_returns = Exercise(
    "stock-index/log-returns",
    _returns,
    [
        (torch.tensor([100.0, 110.0, 99.0]),),
        (_prices(5),),
        (_prices(13, seed=1),),
    ],
    {
        "These are simple returns, the gain over the old price. Wanted is the "
        "logarithm of new over old, so that days add up.": lambda p: 100 * (p[1:] / p[:-1] - 1),
        "You forgot the per cent: your numbers are a hundred times too small.": lambda p: (
            p[1:] / p[:-1]
        ).log(),
        "Your fraction is upside down: a rise must give a number above 0.": lambda p: (
            100 * (p[:-1] / p[1:]).log()
        ),
        "These are differences of prices, in points. A return compares with the price "
        "itself.": lambda p: p[1:] - p[:-1],
        "Each of your returns counts from the first price. It must count from the day "
        "before.": lambda p: 100 * (p[1:] / p[0]).log(),
        "Your result is as long as the prices. Day 0 has no day before it, so it has no return; "
        "a made-up 0 is no return either.": lambda p: F.pad(_returns(p), (1, 0)),
        "`roll` turns the prices round in a circle, so the first day is compared with the last: "
        "a look into the future.": lambda p: 100 * (p / p.roll(1)).log(),
        "This is the logarithm to base 10. Wanted is the natural one, `log`.": lambda p: (
            100 * (p[1:] / p[:-1]).log10()
        ),
        "You divide by the price of the same day, not of the day before.": lambda p: (
            100 * (p[1:] - p[:-1]) / p[1:]
        ),
    },
    hints=(
        "Two prices make one return. Which two, and how many returns do three prices make?",
        "prices[1:] are the new ones, prices[:-1] the old ones; both have the shape (N - 1,)",
        "return 100 * <logarithm of new over old>",
    ),
    minutes=5,
)


# ---------------------------------------------------------------- windows of volatility


def _volatility(returns: Tensor, T: int, k: int) -> tuple[Tensor, Tensor]:
    later = returns[T:].unfold(0, k, 1)
    return returns[: len(returns) - k].unfold(0, T, 1), later.square().mean(1).sqrt()


def _volatility_with(first=lambda T, k: T, of=lambda later: later.square().mean(1).sqrt()):
    """The same windows; the days of the target begin elsewhere, or are measured otherwise."""

    def volatility(returns: Tensor, T: int, k: int) -> tuple[Tensor, Tensor]:
        inputs, _ = _volatility(returns, T, k)
        targets = of(returns[first(T, k) :].unfold(0, k, 1))
        return inputs, targets[: len(inputs)]

    return volatility


def _volatility_too_late(returns, T, k):
    inputs = returns[: len(returns) - k - 1].unfold(0, T, 1)
    return inputs, returns[T + 1 :].unfold(0, k, 1).square().mean(1).sqrt()


def _volatility_apart(returns, T, k):
    inputs, targets = _volatility(returns, T, k)
    return inputs[::T], targets[::T]


def _volatility_wide(returns, T, k):
    return returns.unfold(0, T + k, 1), _volatility(returns, T, k)[1]


def _volatility_short(returns, T, k):
    inputs, targets = _volatility(returns, T, k)
    return inputs[:-1], targets[:-1]


future_volatility = Exercise(
    "stock-index/future-volatility",
    _volatility,
    [
        (torch.tensor([1.0, -2.0, 2.0, -3.0, 4.0, 0.0]), 3, 2),
        (normal(13), 4, 3),
        (normal(17, seed=1) + 0.5, 5, 2),
        (normal(19, seed=2) * 2, 3, 5),
    ],
    {
        "The days of your target begin with the last day of the window: the model is shown a part "
        "of what it must forecast.": _volatility_with(first=lambda T, k: T - 1),
        "Your target is the volatility of the window's own last days: the past, not the "
        "future.": _volatility_with(first=lambda T, k: max(T - k, 0)),
        "Your target is measured at the beginning of the window. It must follow the "
        "window.": _volatility_with(first=lambda T, k: 0),
        "One day between window and target is left out. The target begins on the very next "
        "day.": _volatility_too_late,
        "Your inputs are T + k days long: the days of the target are among them.": _volatility_wide,
        "The root is missing: this is a mean square, in per cent squared.": _volatility_with(
            of=lambda later: later.square().mean(1)
        ),
        "You sum the squares. More days would mean more volatility; take their "
        "mean.": _volatility_with(of=lambda later: later.square().sum(1).sqrt()),
        "You take the mean of the sizes, not the root of the mean square.": _volatility_with(
            of=lambda later: later.abs().mean(1)
        ),
        "You take the mean of the returns: ups and downs cancel.": _volatility_with(
            of=lambda later: later.mean(1)
        ),
        "You take away the mean of the k days first. Here the squares are taken of "
        "the returns as they are.": _volatility_with(of=lambda later: later.std(1, correction=0)),
        "You take `std` of the k days: it takes their mean away and divides by k - 1. Here the "
        "squares of the returns as they are get averaged.": _volatility_with(
            of=lambda later: later.std(1)
        ),
        "The last window is missing. There are len(returns) - T - k + 1 of "
        "them.": _volatility_short,
        "Your windows do not overlap. The next one starts one day later.": _volatility_apart,
    },
    hints=(
        "Write the days of the first window and of its target in two rows. They share none.",
        "n = len(returns) - T - k + 1; inputs (n, T), later days (n, k), targets (n,)",
        "inputs[i] = returns[i : i + T]\n"
        "later[i] = returns[<where the window ends> : <k days on>]\n"
        "targets[i] = <root of the mean square of later[i]>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- direction and base rate


def _direction(forecast: Tensor, returns: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    up = returns > 0
    usual = (train > 0).float().mean() > 0.5
    return ((forecast > 0) == up).float().mean(), (up == usual).float().mean()


def _direction_with(
    hit=lambda forecast, returns: (forecast > 0) == (returns > 0),
    base=lambda returns, train: _direction(train[:1], returns, train)[1],
):
    def direction(forecast: Tensor, returns: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
        return hit(forecast, returns).float().mean(), base(returns, train)

    return direction


def _up_with_zero(forecast, returns, train):
    up, usual = returns >= 0, (train >= 0).float().mean() > 0.5
    return ((forecast > 0) == up).float().mean(), (up == usual).float().mean()


def _both_with_zero(forecast, returns, train):
    base = _up_with_zero(forecast, returns, train)[1]
    return ((forecast >= 0) == (returns >= 0)).float().mean(), base


def _word_of_mean(returns, train):
    return ((returns > 0) == (train.mean() > 0)).float().mean()


def _word_at_half(returns, train):
    return ((returns > 0) == ((train > 0).float().mean() >= 0.5)).float().mean()


def _larger(returns, train):
    share = (returns > 0).float().mean()
    return torch.maximum(share, 1 - share)


def _flipped(forecast, returns, train):
    return _direction(forecast, returns, train)[::-1]


def _direction_cases():
    # In the training part of the second case days fall more often, and the test part rises.
    for seed, (drift_train, drift) in enumerate(((0.4, 0.3), (-0.6, 0.5), (0.5, -0.4))):
        returns, train = normal(31, seed=seed) + drift, normal(47, seed=seed + 10) + drift_train
        yield 0.6 * returns + normal(31, seed=seed + 20), returns, train
    returns = torch.tensor([1.0, 2.0, -1.0, 0.5])
    yield torch.tensor([-1.0, 1.0, 1.0, 1.0]), returns, torch.tensor([1.0, -1.0, 2.0])
    # Zeros everywhere; then exactly half rises; then few rises with a mean above 0.
    forecast = torch.tensor([0.0, 0.0, 1.0, -1.0, 1.0, -1.0, 0.0])
    returns = torch.tensor([0.0, 1.0, 0.0, -1.0, 2.0, 0.0, -1.0])
    yield forecast, returns, torch.tensor([0.0, 1.0, 2.0, -1.0, 1.0])
    for train in ([3.0, -2.0, 1.0, -3.0], [5.0, -1.0, -1.0, 4.0, -1.0]):
        yield normal(9, seed=30), normal(9, seed=31) + 0.4, torch.tensor(train)


hit_and_base = Exercise(
    "stock-index/hit-and-base",
    _direction,
    _direction_cases,
    {
        "Your base rate is 1/2, a fair coin. Days do not rise and fall equally often; count what "
        "one constant answer would reach.": _direction_with(
            base=lambda returns, train: torch.tensor(0.5)
        ),
        "You choose the constant answer by looking at the test days. Choose it on the training "
        "days, then count on the test days.": _direction_with(base=_larger),
        "Your base rate is counted on the training days. They choose the answer; the test days "
        "count how often it is right.": _direction_with(
            base=lambda returns, train: torch.maximum(
                (train > 0).float().mean(), 1 - (train > 0).float().mean()
            )
        ),
        "Your constant answer is always 'up'. Where most training days fell, it is "
        "'down'.": _direction_with(base=lambda returns, train: (returns > 0).float().mean()),
        "You choose the rarer direction of the training days.": _direction_with(
            base=lambda returns, train: 1 - _direction(train[:1], returns, train)[1]
        ),
        "Your hit rate counts only days that rise. A fall that was forecast is right "
        "too.": _direction_with(hit=lambda f, r: (f > 0) & (r > 0)),
        "Your hit rate counts the days on which the forecast is wrong.": _direction_with(
            hit=lambda f, r: (f > 0) != (r > 0)
        ),
        "Your hit rate is the share of forecasts that say 'up'. Compare them with what "
        "happened.": _direction_with(hit=lambda f, r: f > 0),
        "You count among the forecasts that say 'up' alone. Count all days.": _direction_with(
            hit=lambda f, r: (r > 0)[f > 0]
        ),
        "You choose the word by the sign of the *mean* training return. A few large rises lift the "
        "mean although most days fell; count the days.": _direction_with(base=_word_of_mean),
        "At exactly half you say 'up'. 'Up' wants more than half of the training "
        "days.": _direction_with(base=_word_at_half),
        "A forecast of exactly 0 counts as 'up' in your hit rate. 'Up' is above "
        "0.": _direction_with(hit=lambda f, r: (f >= 0) == (r > 0)),
        "A day with a return of exactly 0 counts as 'up' for you. 'Up' is above 0.": _up_with_zero,
        "Zeros count as 'up' for you, in forecasts and in returns. 'Up' is above "
        "0.": _both_with_zero,
        "You ask whether the product of forecast and return is above 0. A zero in either makes it "
        "0, though both may say 'not up'.": _direction_with(hit=lambda f, r: f * r > 0),
        "You compare the signs. `sign` knows three answers, -1, 0 and 1; here a day is 'up' or "
        "not.": _direction_with(hit=lambda f, r: f.sign() == r.sign()),
        "The two numbers are swapped: first the hit rate, then the base rate.": _flipped,
        "You subtract the base rate from the hit rate and so hide both. Give them as they "
        "are.": lambda f, r, train: _direction(f, r, train)[0] - _direction(f, r, train)[1],
    },
    hints=(
        "Two rates of the same test days: of the forecast, and of one word said every day.",
        "the word is 'up' if more than half of the training days rose, else 'down'",
        "up = returns > 0\n"
        "hit = <share of days on which forecast > 0 agrees with up>\n"
        "usual = <did more than half of train rise?>\n"
        "base = <share of test days on which up agrees with usual>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- HAR


def _har(v: Tensor) -> tuple[Tensor, Tensor]:
    return _har_with()(v)


def _har_with(
    spans=(1, 5, 22), first=22, of=lambda w: w.mean(1), newest=True, order=(0, 1, 2), late=0
):
    """The rows of days first - 1 to N - 2, and the value `1 + late` days on."""

    def har(v: Tensor) -> tuple[Tensor, Tensor]:
        w = v.unfold(0, first, 1)[: len(v) - first - max(late, 0)]
        parts = [of(w[:, -n:] if newest else w[:, :n]) for n in spans]
        rows = torch.stack([parts[i] for i in order], dim=1)
        return rows, v[first + late :][: len(rows)]

    return har


def _har_centred(v):
    rows, targets = _har(v)
    w = F.pad(v, (0, 2)).unfold(0, 5, 1)[19:]  # the days t - 2 to t + 2
    rows[:, 1] = w[: len(rows)].mean(1)
    return rows, targets


def _har_seen(v):
    w = v.unfold(0, 22, 1)[1:]  # ends on the day of the target
    return torch.stack([w[:, -n:].mean(1) for n in (1, 5, 22)], dim=1), v[22:]


def _har_week(days):
    """The same rows with another stretch of days for the week."""

    def har(v: Tensor) -> tuple[Tensor, Tensor]:
        rows, targets = _har(v)
        rows[:, 1] = v.unfold(0, 22, 1)[:-1, days].mean(1)
        return rows, targets

    return har


har_rows = Exercise(
    "stock-index/har-rows",
    _har,
    [
        (torch.arange(25.0),),
        (normal(30),),
        (normal(41, seed=1).cumsum(0),),
    ],
    {
        "Your target is the last day itself, which is the first column of the row: the model can "
        "copy it.": _har_with(late=-1),
        "Your rows end on the day of the target, a look ahead: the model is shown what it must "
        "forecast. They end on the day before.": _har_seen,
        "Your week leaves out the last day. All three averages end on it.": _har_week(
            slice(-6, -1)
        ),
        "Your week is the first five days of the month. It is the last five.": _har_week(
            slice(0, 5)
        ),
        "Your target lies one day too late. It is the day right after the last one of the "
        "row.": _har_with(late=1),
        "You average the oldest days of each stretch. Last day, week and month all end on the "
        "newest one.": _har_with(newest=False),
        "Your week has seven days. A week of trading has five.": _har_with(spans=(1, 7, 22)),
        "Your month has 21 days here; take 22, as the chapter does.": _har_with(spans=(1, 5, 21)),
        "You sum where you should average: the columns then have different units.": _har_with(
            of=lambda w: w.sum(1)
        ),
        "The columns stand from month to day. Wanted is day, week, month.": _har_with(
            order=(2, 1, 0)
        ),
        "The column of the last day is missing: you begin with the week.": _har_with(
            spans=(5, 22), order=(0, 1)
        ),
        "Your week is centred on the day: it reaches two days into the future.": _har_centred,
        "The first rows have no full month behind them. Begin with day 21, the first that "
        "has.": _har_with(first=5),
        "The last row has no target yet: its next day is not known. Leave it out.": lambda v: (
            _har_with()(torch.cat([v, v[-1:]]))
        ),
    },
    hints=(
        "Take one day t. Which days make its three averages, and which day is its target?",
        "v.unfold(0, 22, 1) has the shape (N - 21, 22), the newest day last; the last of these "
        "stretches has no target",
        "w = <stretches of 22 days that have a next day>\n"
        "rows = torch.stack([<last day>, <mean of the last 5>, <mean of all>], dim=1)\n"
        "targets = <the day after each stretch>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- profit after costs


def _growth(signal: Tensor, returns: Tensor, cost: float) -> Tensor:
    return _growth_with()(signal, returns, cost)


def _growth_with(
    shift=lambda s: F.pad(s[:-1], (1, 0)),
    gain=lambda r: (r / 100).exp() - 1,
    fee=lambda p, before: (p - before).abs(),
    before=lambda p: F.pad(p[:-1], (1, 0)),
    total=lambda days: days.prod(),
):
    def growth(signal: Tensor, returns: Tensor, cost: float) -> Tensor:
        position = shift(signal.to(returns.dtype))
        trades = fee(position, before(position))
        return total((1 + position * gain(returns)) * (1 - cost * trades))

    return growth


def _growth_paid_early(signal, returns, cost):
    position = F.pad(signal[:-1].to(returns.dtype), (1, 0))
    changes = F.pad(signal.to(returns.dtype).diff().abs(), (1, 0))
    return ((1 + position * ((returns / 100).exp() - 1)) * (1 - cost * changes)).prod()


def _growth_signal_day(signal, returns, cost):
    signal = signal.to(returns.dtype)
    position = F.pad(signal[:-1], (1, 0))
    fee = (signal - position).abs()  # on the day of the signal
    return ((1 + position * ((returns / 100).exp() - 1)) * (1 - cost * fee)).prod()


def _growth_fees(together):
    """together(growth of each day before costs, trades, cost)."""

    def growth(signal: Tensor, returns: Tensor, cost: float) -> Tensor:
        position = F.pad(signal[:-1].to(returns.dtype), (1, 0))
        trades = (position - F.pad(position[:-1], (1, 0))).abs()
        return together(1 + position * ((returns / 100).exp() - 1), trades, cost)

    return growth


def _growth_cases():
    signal = torch.tensor([True, True, False, False, True])
    yield signal, 100 * torch.tensor([1.05, 1.1, 0.9, 1.2, 1.3]).log(), 0.01
    for seed, n in enumerate((11, 23, 30)):
        yield normal(n, seed=seed) > 0, 2 * normal(n, seed=seed + 10), 0.002 * (seed + 1)


growth_after_costs = Exercise(
    "stock-index/growth-after-costs",
    _growth,
    _growth_cases,
    {
        "You earn the return of the very day whose close made the signal: nobody can buy before "
        "knowing. The signal of day t is the position of day t + 1.": _growth_with(
            shift=lambda s: s
        ),
        "Your positions come from the signals of the day *after*: the shift goes the wrong "
        "way.": _growth_with(shift=lambda s: F.pad(s[1:], (0, 1))),
        "`roll` brings the last signal round to the first day. On the first day we hold "
        "cash.": _growth_with(shift=lambda s: s.roll(1)),
        "The costs are missing.": _growth_with(fee=lambda p, before: torch.zeros_like(p)),
        "You pay every day on which you hold. A cost is due when the position "
        "changes.": _growth_with(fee=lambda p, before: p),
        "You pay for buying only. Selling costs too.": _growth_with(
            fee=lambda p, before: (p - before).clamp(min=0)
        ),
        "You pay for selling only. Buying costs too.": _growth_with(
            fee=lambda p, before: (before - p).clamp(min=0)
        ),
        "You pay when the signal changes, a day too early, and nothing for a signal of the first "
        "day. A cost is due when the *position* changes.": _growth_paid_early,
        "You pay on the day of the signal, so a signal of the last day is paid for and never "
        "used. Pay on the first day of the new position.": _growth_signal_day,
        "You subtract the cost from the growth of the day. It multiplies: (growth of the day) "
        "times (1 - cost).": _growth_fees(lambda days, n, cost: (days - cost * n).prod()),
        "You sum the costs and multiply once. Each change multiplies by 1 - cost, on its own "
        "day.": _growth_fees(lambda days, n, cost: days.prod() * (1 - cost * n.sum())),
        "You subtract all costs at the end, as parts of the first 1. Each is a share of the money "
        "of its day.": _growth_fees(lambda days, n, cost: days.prod() - cost * n.sum()),
        "Without a signal you bet on a fall. Wanted is cash: the return of such a day is "
        "0.": _growth_with(shift=lambda s: F.pad(2 * s[:-1] - 1, (1, 0))),
        "You take the log return in per cent for a growth: 1 + r / 100 is not the growth of a day, "
        "exp(r / 100) is.": _growth_with(gain=lambda r: r / 100),
        "The returns are in per cent; you forgot to divide by 100.": _growth_with(
            gain=lambda r: r.exp() - 1
        ),
        "You return the whole curve. Wanted is its last value, one number.": _growth_with(
            total=lambda days: days.cumprod(0)
        ),
        "This is the gain. Wanted is the growth of 1: a gain of nothing is 1.": _growth_with(
            total=lambda days: days.prod() - 1
        ),
        "You add the gains of the days up. What is earned is invested again, so days "
        "multiply.": _growth_with(total=lambda days: 1 + (days - 1).sum()),
    },
    hints=(
        "Go through three days with a pencil: what do I hold, what does it earn, what did the "
        "change cost?",
        "position (n,) is the signal of the day before, and 0 on the first day; F.pad(x, (1, 0)) "
        "puts a 0 in front",
        "position = <signal, one day later>\n"
        "trades = <size of the change of position, from cash>\n"
        "day = (1 + position * <growth of the day - 1>) * (1 - cost * trades)\n"
        "return <all days together>",
    ),
    minutes=12,
    difficulty=3,
)
