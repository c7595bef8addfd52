"""Exercises of "Building and optimising a model"."""

import torch
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- scale by the training part


def _split_with(
    known=lambda series, n, gap: series[:n],
    start=lambda n, gap: n + gap,
    centre=lambda rows: rows.mean(0),
    spread=lambda rows: rows.std(0, correction=0),
    later_known=None,
):
    """(train, later), with another fit, another start of the later part, or another scale."""

    def split(series: Tensor, n: int, gap: int) -> tuple[Tensor, Tensor]:
        train, later = series[:n], series[start(n, gap) :]
        fitted = known(series, n, gap)
        other = fitted if later_known is None else later_known(series, n, gap)
        return (
            (train - centre(fitted)) / spread(fitted),
            (later - centre(other)) / spread(other),
        )

    return split


_split = _split_with()


def _split_by_step(series: Tensor, n: int, gap: int) -> tuple[Tensor, Tensor]:
    scaled = series - series.mean(1, keepdim=True)
    scaled = scaled / series.std(1, keepdim=True, correction=0)
    return scaled[:n], scaled[n + gap :]


def _split_early(series: Tensor, n: int, gap: int) -> tuple[Tensor, Tensor]:
    train, later = series[: n - gap], series[n:]
    mean, spread = train.mean(0), train.std(0, correction=0)
    return (train - mean) / spread, (later - mean) / spread


scaled_split = Exercise(
    "building/scaled-split",
    _split,
    [
        (torch.tensor([[1.0], [3.0], [9.0], [9.0], [5.0]]), 2, 1),
        (normal(17, 3).cumsum(0), 7, 3),
        (5 + 3 * normal(23, 2, seed=1), 11, 2),
    ],
    {
        "You measure mean and spread on the whole series. The training part alone may be "
        "known.": _split_with(known=lambda series, n, gap: series),
        "The later part is scaled by its own mean and spread. It must be brought to the scale that "
        "the model was trained on.": _split_with(
            later_known=lambda series, n, gap: series[n + gap :]
        ),
        "You measure mean and spread on the gap as well: it belongs to neither part.": _split_with(
            known=lambda series, n, gap: series[: n + gap]
        ),
        "The gap is missing: the later part begins right after the training part.": _split_with(
            start=lambda n, gap: n
        ),
        "Your gap is one step too long.": _split_with(start=lambda n, gap: n + gap + 1),
        "The later part begins at step `gap`, inside the training part. Count from the end of the "
        "training part.": _split_with(start=lambda n, gap: gap),
        "Your training part ends early: the gap comes after its n steps, not out of "
        "them.": _split_early,
        "One mean and one spread for all columns. Each variable has its own unit, so each column "
        "its own scale.": _split_with(
            centre=lambda rows: rows.mean(), spread=lambda rows: rows.std(correction=0)
        ),
        "Your mean and spread run over the columns of each step. Each *column* has its own, over "
        "the training steps.": _split_by_step,
        "Your spread divides by n - 1, which is torch's default. Here it divides by "
        "n.": _split_with(spread=lambda rows: rows.std(0)),
        "You divide by the variance. Its root is the spread.": _split_with(
            spread=lambda rows: rows.var(0, correction=0)
        ),
        "The mean is not taken away: you divide only.": _split_with(
            centre=lambda rows: torch.zeros(rows.shape[1])
        ),
        "You divide by largest minus smallest. Here the spread is the standard "
        "deviation.": _split_with(spread=lambda rows: rows.amax(0) - rows.amin(0)),
        "The two parts are in the wrong order: training first.": (
            lambda series, n, gap: _split(series, n, gap)[::-1]
        ),
        "The later part is not scaled. The model would see other units than in "
        "training.": lambda series, n, gap: (_split(series, n, gap)[0], series[n + gap :]),
    },
    hints=(
        "Which rows may be known when the model is trained? Use nothing else for mean and spread.",
        "series[:n] is the training part, (n, F); series[n + gap :] the later one; a mean over "
        "dim 0 has the shape (F,)",
        "train = <first n rows>\nlater = <rows after the gap>\n"
        "mean, spread = <of train, per column>\nreturn <both scaled by the same two>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- log-uniform


def _log_uniform(u: Tensor, low: float, high: float) -> Tensor:
    return low * (high / low) ** u


log_uniform = Exercise(
    "building/log-uniform",
    _log_uniform,
    [
        (torch.tensor([0.0, 0.5, 1.0]), 0.01, 1.0),
        (torch.linspace(0.1, 0.9, 7), 0.001, 0.1),
        (torch.linspace(0.0, 1.0, 5), 1e-4, 0.5),
    ],
    {
        "This is plainly uniform: nearly all draws are of the size of `high`.": (
            lambda u, low, high: low + (high - low) * u
        ),
        "You return the logarithm of the rate. Go back with exp.": (
            lambda u, low, high: _log_uniform(u, low, high).log()
        ),
        "The ends are swapped: u = 0 must give `low`, and u = 1 `high`.": (
            lambda u, low, high: high * (low / high) ** u
        ),
        "You mix two bases: what is a logarithm to base e must go back by exp, not by a power of "
        "ten.": lambda u, low, high: (
            10 ** (torch.tensor(low).log() + u * torch.tensor(high / low).log())
        ),
        "Your logarithms have base 10, and you go back by exp. Take the power of ten.": (
            lambda u, low, high: torch.exp(
                torch.tensor(low).log10() + u * torch.tensor(high / low).log10()
            )
        ),
        "You take ten to the power of a plainly uniform number. The ends of the exponent must be "
        "logarithms.": lambda u, low, high: 10 ** (low + u * (high - low)),
        "You take the exponential of a plainly uniform number, not of a uniform logarithm.": (
            lambda u, low, high: torch.exp(low + (high - low) * u)
        ),
        "This is right for u = 0 only: the factor from `low` to `high` is high / low, not "
        "high.": lambda u, low, high: low * high**u,
        "This begins at 1. Multiply by `low`.": lambda u, low, high: (high / low) ** u,
        "You take the logarithm of u. The *rate* is to have a uniform logarithm.": (
            lambda u, low, high: low + (high - low) * torch.log1p(u) / torch.log(torch.tensor(2.0))
        ),
    },
    hints=(
        "For 0.01 and 1: which rate lies in the middle, if factors count and not differences?",
        "log(low) + u (log(high) - log(low)) is uniform between the two logarithms",
        "return exp(<number between log low and log high, at share u>)",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- early stopping


def _stop(losses: Tensor, patience: int, better=lambda new, best: new < best, wait=0) -> tuple:
    best, best_at = float("inf"), 0
    for epoch, loss in enumerate(losses.tolist(), 1):
        if better(loss, best):
            best, best_at = loss, epoch
        elif epoch - best_at >= patience + wait:
            return best_at, epoch
    return best_at, len(losses)


def _stop_total(losses: Tensor, patience: int) -> tuple:
    best, best_at, bad = float("inf"), 0, 0
    for epoch, loss in enumerate(losses.tolist(), 1):
        if loss < best:
            best, best_at = loss, epoch
        else:
            bad += 1  # never set back
        if bad >= patience:
            return best_at, epoch
    return best_at, len(losses)


def _stop_last(losses: Tensor, patience: int) -> tuple:
    values, bad = losses.tolist(), 0
    for epoch in range(2, len(values) + 1):
        bad = 0 if values[epoch - 1] < values[epoch - 2] else bad + 1
        if bad >= patience:
            return int(losses[:epoch].argmin()) + 1, epoch
    return int(losses.argmin()) + 1, len(values)


def _stop_equal(losses: Tensor, patience: int) -> tuple:
    best, best_at, bad = float("inf"), 0, 0
    for epoch, loss in enumerate(losses.tolist(), 1):
        bad = 0 if loss <= best else bad + 1  # an equal one sets it back
        if loss < best:
            best, best_at = loss, epoch
        if bad >= patience:
            return best_at, epoch
    return best_at, len(losses)


def _stop_beyond(losses: Tensor, patience: int) -> tuple:
    best_at, _ = _stop(losses, patience)
    return best_at, best_at + patience


def _stop_largest(losses: Tensor, patience: int) -> tuple:
    return _stop(-losses, patience)


early_stop = Exercise(
    "building/early-stop",
    _stop,
    [
        (torch.tensor([5.0, 4.0, 4.5, 4.2, 4.6, 3.0]), 2),
        (torch.tensor([5.0, 4.0, 4.5, 4.1, 3.0, 3.5, 3.2, 3.1, 2.0]), 3),
        (torch.tensor([5.0, 6.0, 4.0, 4.5, 4.2, 3.8]), 2),
        (torch.tensor([5.0, 6.0, 4.0, 5.0, 3.0, 4.0, 2.0]), 2),
        (torch.tensor([3.0, 2.0, 2.0, 2.0, 1.0]), 2),
        (torch.tensor([3.0, 2.0, 2.0, 2.5, 2.6, 1.0]), 2),
        (torch.tensor([4.0, 3.0, 2.0]), 1),
    ],
    {
        "You return the best of *all* epochs. The run stops before it sees the later "
        "ones.": lambda losses, patience: (
            int(losses.argmin()) + 1,
            _stop(losses, patience)[1],
        ),
        "You stop one epoch too late: with patience p, after the p-th epoch without a new "
        "best.": lambda losses, patience: _stop(losses, patience, wait=1),
        "You stop one epoch too early: p epochs without a new best are allowed to pass.": (
            lambda losses, patience: _stop(losses, max(patience - 1, 1))
        ),
        "You count from 0. Epochs count from 1.": lambda losses, patience: tuple(
            e - 1 for e in _stop(losses, patience)
        ),
        "An equal loss counts as a new best here. Only a smaller one does.": (
            lambda losses, patience: _stop(losses, patience, better=lambda a, b: a <= b)
        ),
        "An equal loss sets your count of bad epochs back to 0. Only a smaller one "
        "may.": _stop_equal,
        "You add patience to the best epoch. If the losses end before patience runs out, the last "
        "loss is the last epoch.": _stop_beyond,
        "Your count of bad epochs is never set back to 0. A new best begins it again.": _stop_total,
        "You compare with the epoch before. Compare with the best so far.": _stop_last,
        "You look for the largest. These are losses.": _stop_largest,
        "The two are in the wrong order: the best epoch first, then the last one.": (
            lambda losses, patience: _stop(losses, patience)[::-1]
        ),
        "You return the epoch in which the run stops twice. The model goes back to its *best* "
        "epoch.": lambda losses, patience: (_stop(losses, patience)[1],) * 2,
        "You return the smallest loss. The number of its epoch is wanted.": (
            lambda losses, patience: (
                losses[_stop(losses, patience)[0] - 1].item(),
                _stop(losses, patience)[1],
            )
        ),
    },
    hints=(
        "Go through the first case by hand: which epoch is the best so far, and how many have "
        "passed since?",
        "epoch - best_epoch is the number of epochs in a row without a new best",
        "for epoch, loss in enumerate(losses, 1):\n    if <new best>: <remember both>\n"
        "    elif <patience has run out>: return <best>, <this one>\nreturn <best>, <last>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- ensemble


def _forecasts(x: Tensor, W: Tensor, U: Tensor) -> Tensor:
    return torch.tanh(x @ W) @ U  # (M, B, H)


def _ensemble(x: Tensor, W: Tensor, U: Tensor) -> Tensor:
    return _forecasts(x, W, U).mean(0)


ensemble_forecast = Exercise(
    "building/ensemble-forecast",
    _ensemble,
    [
        (
            torch.tensor([[1.0]]),
            torch.tensor([[[1.0]], [[-1.0]]]),
            torch.tensor([[[2.0]], [[-2.0]]]),
        ),
        (normal(2, 3), normal(5, 3, 7, seed=1), normal(5, 7, 11, seed=2)),
        (normal(7, 5, seed=3), normal(3, 5, 2, seed=4), normal(3, 2, 13, seed=5)),
    ],
    {
        "You average the parameters. Two networks may compute the same with opposite parameters, "
        "and their mean is zero: average the forecasts.": lambda x, W, U: (
            torch.tanh(x @ W.mean(0)) @ U.mean(0)
        ),
        "You average the hidden states and the second matrices. Only finished forecasts may be "
        "averaged.": lambda x, W, U: torch.tanh(x @ W).mean(0) @ U.mean(0),
        "Your mean is over the examples. The first dimension counts the members.": (
            lambda x, W, U: _forecasts(x, W, U).mean(1)
        ),
        "Your mean is over the steps ahead. The first dimension counts the members.": (
            lambda x, W, U: _forecasts(x, W, U).mean(2)
        ),
        "You add the forecasts up. Divide by the number of members.": (
            lambda x, W, U: _forecasts(x, W, U).sum(0)
        ),
        "You take the median. The mean is asked for: the inequality of the chapter speaks of "
        "means.": lambda x, W, U: _forecasts(x, W, U).median(0).values,
        "You return the forecasts of all members. Their mean is wanted.": _forecasts,
        "The tanh is missing: without it each network is one matrix.": lambda x, W, U: (
            x @ W @ U
        ).mean(0),
        "This is the first member alone.": lambda x, W, U: _forecasts(x, W, U)[0],
    },
    hints=(
        "In the first case both members forecast the same. What does their mean have to be?",
        "x @ W has the shape (M, B, K): torch multiplies each member's matrix by itself",
        "hidden = <tanh of x times W>  # (M, B, K)\nforecasts = <hidden times U>  # (M, B, H)\n"
        "return <mean over the members>",
    ),
    minutes=8,
    difficulty=2,
)


# ---------------------------------------------------------------- paired difference


def _paired_with(
    spread=lambda d: d.std(),
    root=lambda n: n**0.5,
    difference=lambda full, ablated: ablated - full,
):
    def paired(full: Tensor, ablated: Tensor, factor: float) -> Tensor:
        d = difference(full, ablated)
        half = factor * spread(d) / root(len(d))
        return torch.stack([d.mean(), d.mean() - half, d.mean() + half])

    return paired


_paired = _paired_with()


def _paired_apart(full: Tensor, ablated: Tensor, factor: float) -> Tensor:
    d = ablated - full
    half = factor * ((full.var() + ablated.var()) / len(d)) ** 0.5
    return torch.stack([d.mean(), d.mean() - half, d.mean() + half])


def _paired_sorted(full: Tensor, ablated: Tensor, factor: float) -> Tensor:
    return _paired(full.sort().values, ablated.sort().values, factor)


def _paired_cases():
    yield torch.tensor([4.0, 5.0, 6.0]), torch.tensor([5.0, 5.0, 8.0]), 4.3
    for seed, n in ((0, 5), (1, 8)):
        full = 5 + normal(n, seed=seed)
        yield full, full + 0.3 + 0.2 * normal(n, seed=seed + 7), 2.5


paired_ablation = Exercise(
    "building/paired-ablation",
    _paired,
    _paired_cases,
    {
        "You treat the two as unrelated: their variances are added. The same seed stands behind "
        "each pair, so form the differences first.": _paired_apart,
        "The sign is the other way round: a part that was useful must give a *rise*.": (
            _paired_with(difference=lambda full, ablated: full - ablated)
        ),
        "You sort before you subtract. A pair is one seed, not one rank.": _paired_sorted,
        "The interval is that of a single run: the *mean* of n differences spreads less. "
        "Where is n?": _paired_with(root=lambda n: 1.0),
        "You divide by n, not by its root.": _paired_with(root=lambda n: n),
        "You divide by the root of n - 1. The n - 1 is inside the standard deviation "
        "already.": _paired_with(root=lambda n: (n - 1) ** 0.5),
        "Your standard deviation divides by n. With few seeds it must be n - 1.": _paired_with(
            spread=lambda d: d.std(correction=0)
        ),
        "You use the variance. Its root is the standard deviation.": _paired_with(
            spread=lambda d: d.var()
        ),
        "You use 1.96 in place of the given factor. For few seeds Student's factor is "
        "larger.": lambda full, ablated, factor: _paired(full, ablated, 1.96),
        "You return the least and the greatest difference. Those are no interval of the "
        "mean.": lambda full, ablated, factor: torch.stack(
            [(ablated - full).mean(), (ablated - full).min(), (ablated - full).max()]
        ),
        "This is a ratio. A difference is asked for.": _paired_with(
            difference=lambda full, ablated: ablated / full
        ),
        "The order is mean, low, high.": lambda full, ablated, factor: _paired(
            full, ablated, factor
        )[[1, 0, 2]],
    },
    hints=(
        "What do the two runs of one seed have in common? Take it away before you look at the "
        "spread.",
        "d = ablated - full has the shape (n,); its mean spreads like d.std() / n ** 0.5",
        "d = <differences>\nhalf = <factor times the standard error of the mean>\n"
        "return torch.stack([<mean>, <low>, <high>])",
    ),
    minutes=10,
    difficulty=2,
)
