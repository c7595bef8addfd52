"""Exercises of "Temporal attention"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- one query


def _context(states: Tensor) -> Tensor:
    scores = (states @ states[:, -1, :, None])[..., 0] * states.shape[-1] ** -0.5
    return (scores.softmax(-1)[:, None] @ states)[:, 0]


def _context_with(
    query=lambda states: states[:, -1],
    scale=lambda states: states.shape[-1] ** -0.5,
    share=lambda scores: scores.softmax(-1),
):
    """The same context with another query (B, D), scale, or way to weights (B, T)."""

    def context(states: Tensor) -> Tensor:
        scores = (states @ query(states)[..., None])[..., 0] * scale(states)
        return (share(scores)[:, None] @ states)[:, 0]

    return context


def _weights(states: Tensor) -> Tensor:
    scores = (states @ states[:, -1, :, None])[..., 0] * states.shape[-1] ** -0.5
    return scores.softmax(-1)


def _without_last(states: Tensor) -> Tensor:
    scores = (states[:, :-1] @ states[:, -1, :, None])[..., 0] * states.shape[-1] ** -0.5
    return (scores.softmax(-1)[:, None] @ states[:, :-1])[:, 0]


last_query = Exercise(
    "temporal-attention/last-query",
    _context,
    [
        (torch.tensor([[[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]]),),
        (normal(2, 3, 5),),
        (normal(3, 5, 2, seed=1),),
        (normal(3, 7, 11, seed=2),),
    ],
    {
        "Your softmax runs over the batch, so examples compete with each other. The rivals are "
        "the steps of one example.": _context_with(share=lambda scores: scores.softmax(0)),
        "Each weight is 1: your softmax sees one score at a time. Its rivals are all steps "
        "together.": _context_with(share=torch.ones_like),
        "The scores are not scaled by the root of the width, so the weights are too "
        "sharp.": _context_with(scale=lambda states: 1),
        "You scale by the root of the number of steps. A longer series adds scores, it does not "
        "make a dot product longer.": _context_with(scale=lambda states: states.shape[1] ** -0.5),
        "You divide by the width itself, not by its root.": _context_with(
            scale=lambda states: 1 / states.shape[-1]
        ),
        "The first state asks. It is the oldest one; the query is the newest.": _context_with(
            query=lambda states: states[:, 0]
        ),
        "The mean state asks, so no step is special. The query is the last state.": _context_with(
            query=lambda states: states.mean(1)
        ),
        "You return the last state itself. It only asks; what is wanted is the average of all "
        "states, with its weights.": lambda states: states[:, -1],
        "This is the plain mean of the states. The scores have no effect on it.": lambda states: (
            states.mean(1)
        ),
        "The last state asks but is not looked at. It is one of the steps: all states have a "
        "share, itself too.": _without_last,
        "You multiply by the scores themselves. They may be negative and sum to anything; make "
        "shares of them first.": _context_with(share=lambda scores: scores),
        "These are the weights. One step is missing: the average of the states with "
        "them.": _weights,
        "You keep a dimension of length 1: there is one query for each example, so the result is "
        "(B, D).": lambda states: _context(states)[:, None],
    },
    hints=(
        "Score, share, sum. Which dimension holds the steps?",
        "states (B, T, D), query (B, D), scores (B, T), weights (B, T), context (B, D)",
        "scores = <states times the last state> / <root of D>\n"
        "weights = softmax(<scores, over time>)\n"
        "return <weighted sum over time>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- unequal lengths


def _padded(states: Tensor, lengths: Tensor) -> Tensor:
    return _padded_with()(states, lengths)


def _padded_with(
    query=lambda states, lengths: states[torch.arange(len(states)), lengths - 1],
    real=lambda steps, lengths: steps < lengths[:, None],
    share=lambda scores, real: scores.masked_fill(~real, -torch.inf).softmax(-1),
):
    """The same context with another query, another mask (B, T), or another use of the mask."""

    def context(states: Tensor, lengths: Tensor) -> Tensor:
        asked = query(states, lengths)
        scores = (states @ asked[..., None])[..., 0] * states.shape[-1] ** -0.5
        mask = real(torch.arange(states.shape[1]), lengths)
        return (share(scores, mask)[:, None] @ states)[:, 0]

    return context


def _padding_cases():
    for seed, (lengths, T, D) in enumerate((([1, 2], 3, 2), ([3, 5, 2], 6, 4), ([7, 4], 8, 3))):
        yield normal(len(lengths), T, D, seed=seed), torch.tensor(lengths)
    states = normal(2, 5, 3, seed=3)
    states[0, 2:] = 1e6 * states[0, 1]  # large padding, much like the query
    states[1, 4:] = 1e6 * states[1, 3]
    yield states, torch.tensor([2, 4])


unequal_lengths = Exercise(
    "temporal-attention/unequal-lengths",
    _padded,
    _padding_cases,
    {
        "The query is a state of the padding: index -1 is the end of the batch, not the end of "
        "the series.": _padded_with(query=lambda states, lengths: states[:, -1]),
        "Your query stands one step after the last real one. A series of length n has the steps 0 "
        "to n - 1.": _padded_with(
            query=lambda states, lengths: states[torch.arange(len(states)), lengths]
        ),
        "All examples ask with the state at one and the same step, that of the longest. Each has "
        "its own last step.": _padded_with(
            query=lambda states, lengths: states[:, lengths.max() - 1]
        ),
        "The padding is attended. The query is right, but nothing hides the steps after the end "
        "from it.": _padded_with(share=lambda scores, real: scores.softmax(-1)),
        "One step of padding is still attended: your mask ends one step too late.": _padded_with(
            real=lambda steps, lengths: steps <= lengths[:, None]
        ),
        "Your mask is upside down: it hides the series and shows the padding.": _padded_with(
            real=lambda steps, lengths: steps >= lengths[:, None]
        ),
        "You multiply the weights by the mask after the softmax. The padding took its share "
        "before, so your weights sum to less than one.": _padded_with(
            share=lambda scores, real: scores.softmax(-1) * real
        ),
        "You set the hidden scores to 0. exp(0) is 1, so the padding keeps a share.": _padded_with(
            share=lambda scores, real: (scores * real).softmax(-1)
        ),
        "You take the softmax over everything and divide what is left by its sum. Padding may be "
        "so large that nothing is left: 0 / 0. Hide it before the softmax.": _padded_with(
            share=lambda scores, real: (
                scores.softmax(-1) * real / (scores.softmax(-1) * real).sum(-1, keepdim=True)
            )
        ),
        "You take a fixed number off the scores of the padding. A larger score gets over it; minus "
        "infinity cannot be got over.": _padded_with(
            share=lambda scores, real: (scores - 1e4 * ~real).softmax(-1)
        ),
        "This is the mean of the real states. The scores have no effect on it.": _padded_with(
            share=lambda scores, real: real / real.sum(-1, keepdim=True)
        ),
    },
    hints=(
        "Two things need the lengths: who asks, and who may be looked at.",
        "torch.arange(T) < lengths[:, None] has the shape (B, T): True = a real step",
        "query = states[torch.arange(B), <the last real step of each>]\n"
        "scores = <as before, minus infinity where the step is padding>\n"
        "return <weighted sum over time>",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- windows


def _windows(series: Tensor, T: int, k: int) -> tuple[Tensor, Tensor]:
    return series[: len(series) - k].unfold(0, T, 1), series[T + k - 1 :]


def _targets_from(offset):
    """As many windows as fit, with targets that start at another place."""

    def windows(series: Tensor, T: int, k: int) -> tuple[Tensor, Tensor]:
        inputs, _ = _windows(series, T, k)
        first = offset(T, k)
        return inputs, series[first : first + len(inputs)]

    return windows


def _windows_all_targets(series, T, k):
    return _windows(series, T, k)[0], series[T:]


def _windows_flipped(series, T, k):
    inputs, targets = _windows(series, T, k)
    return inputs.flip(1), targets


def _windows_short(series, T, k):
    inputs, targets = _windows(series, T, k)
    return inputs[:-1], targets[:-1]


def _windows_apart(series, T, k):
    inputs, targets = _windows(series, T, k)
    return inputs[::T], targets[::T]


def _windows_between(series, T, k):
    inputs = series[: len(series) - k].unfold(0, T, 1)
    return inputs, series[T:].unfold(0, k, 1)


def _windows_too_late(series, T, k):
    return series.unfold(0, T, 1)[: len(series) - T - k], series[T + k :]


cut_windows = Exercise(
    "temporal-attention/cut-windows",
    _windows,
    [
        (torch.arange(5.0), 3, 1),
        (torch.arange(7.0), 4, 2),
        (torch.arange(10.0, 23.0), 3, 5),
        (normal(12), 5, 4),
    ],
    {
        "The target is the last value of its own input: the model sees what it must "
        "forecast.": _targets_from(lambda T, k: T - 1),
        "The target is inside the window, k steps after its *first* input. Count from the last "
        "one.": _targets_from(lambda T, k: k),
        "Your target is always the next value, whatever k is.": _targets_from(lambda T, k: T),
        "The targets start right after the first window, whatever k is, and there are more of them "
        "than windows. The first target lies k steps after its window.": _windows_all_targets,
        "Your target lies one step too far ahead. With k = 1 it is the very next value after the "
        "window.": _windows_too_late,
        "The target lies *before* the window: you forecast the past.": _targets_from(
            lambda T, k: 0
        ),
        "The steps of your windows run backwards. The oldest value stands first.": _windows_flipped,
        "The last window is missing. There are len(series) - T - k + 1 of them.": _windows_short,
        "Your windows do not overlap. The next one starts one step later, not T steps "
        "later.": _windows_apart,
        "You return all k values after the window. The target is one number: the k-th "
        "one.": _windows_between,
    },
    hints=(
        "Write down the first window and its target, then the last ones.",
        "n = len(series) - T - k + 1; inputs (n, T), targets (n,)",
        "inputs[i] = series[i : i + T]\ntargets[i] = series[i + T + <how many more?>]",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- scaling


def _scaled(series: Tensor, train_steps: int) -> Tensor:
    train = series[:train_steps]
    return (series - train.mean(0)) / train.std(0, correction=0)


def _scaled_by(part):
    def scaled(series: Tensor, train_steps: int) -> Tensor:
        seen = part(series, train_steps)
        return (series - seen.mean(0)) / seen.std(0, correction=0)

    return scaled


def _scaled_apart(series, train_steps):
    parts = series[:train_steps], series[train_steps:]
    return torch.cat([(p - p.mean(0)) / p.std(0, correction=0) for p in parts])


def _scaled_together(series, train_steps):
    train = series[:train_steps]
    return (series - train.mean()) / train.std(correction=0)


def _scaled_variance(series, train_steps):
    train = series[:train_steps]
    return (series - train.mean(0)) / train.var(0, correction=0)


def _scaled_range(series, train_steps):
    train = series[:train_steps]
    low, high = train.amin(0), train.amax(0)
    return (series - low) / (high - low)


def _scaled_half(series, train_steps):
    return (series - series[:train_steps].mean(0)) / series.std(0, correction=0)


def _scaled_corrected(series, train_steps):
    train = series[:train_steps]
    return (series - train.mean(0)) / train.std(0)


scale_by_the_past = Exercise(
    "temporal-attention/scale-by-the-past",
    _scaled,
    [
        (torch.tensor([[0.0, 10.0], [2.0, 30.0], [5.0, 60.0], [9.0, 0.0]]), 2),
        (normal(7, 3) * torch.tensor([1.0, 10.0, 0.1]) + 5, 4),
        (normal(11, 2, seed=1).cumsum(0), 8),
    ],
    {
        "Mean and spread come from the whole series, so every scaled value knows the test "
        "part.": _scaled_by(lambda series, n: series),
        "The mean is that of the training part, but the spread comes from the whole series and "
        "knows the test part.": _scaled_half,
        "Your spread divides by the number of steps less one, as `std` does unless it is told "
        "otherwise: correction=0.": _scaled_corrected,
        "You measure the part after the training part. That is the one nobody has seen "
        "yet.": _scaled_by(lambda series, n: series[n:]),
        "Each part is scaled by its own numbers. The test part is then centred by its own future, "
        "and the two parts no longer share a unit.": _scaled_apart,
        "Your training part is one step too long: it holds the first step of the next "
        "part.": lambda series, n: _scaled(series, n + 1),
        "All columns share one mean and one spread. Each column has its own "
        "unit.": _scaled_together,
        "You divide by the variance. Its unit is squared; the standard deviation is its "
        "root.": _scaled_variance,
        "Only the mean is taken away; the columns still have different spreads.": (
            lambda series, n: series - series[:n].mean(0)
        ),
        "Only the spread is divided out; the columns still have different means.": (
            lambda series, n: series / series[:n].std(0, correction=0)
        ),
        "You return the training part only. The whole series is wanted, in the unit of the "
        "training part.": lambda series, n: _scaled(series, n)[:n],
        "You scale to the range from 0 to 1. Wanted are mean 0 and standard deviation 1 on the "
        "training part.": _scaled_range,
    },
    hints=(
        "Measure one part, apply to all.",
        "mean and spread have the shape (F,), one number a column; the spread divides by the "
        "number of steps: std(0, correction=0)",
        "train = <the first steps>\nreturn (series - <mean of train>) / <spread of train>",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- the leak test


def _reached(model, x: Tensor, other: Tensor, j: int) -> bool:
    replaced = torch.cat([x[:, :j], other[:, j:]], dim=1)
    return not torch.allclose(model(x)[:, :j], model(replaced)[:, :j])


def _reached_with(
    replace=lambda x, other, j: torch.cat([x[:, :j], other[:, j:]], dim=1),
    part=lambda y, j: y[:, :j],
):
    def reached(model, x: Tensor, other: Tensor, j: int) -> bool:
        return not torch.allclose(part(model(x), j), part(model(replace(x, other, j)), j))

    return reached


def _replace_one(x, other, j):
    return torch.cat([x[:, :j], other[:, j : j + 1], x[:, j + 1 :]], dim=1)


def _reached_sum(model, x, other, j):
    replaced = torch.cat([x[:, :j], other[:, j:]], dim=1)
    return abs((model(x) - model(replaced))[:, :j].sum().item()) > 1e-5


def _reached_exact(model, x, other, j):
    replaced = torch.cat([x[:, :j], other[:, j:]], dim=1)
    return not torch.equal(model(x)[:, :j], model(replaced)[:, :j])


def _reached_cut(model, x, other, j):
    before, cut = model(x)[:, :j], model(x[:, :j])[:, :j]
    return not torch.allclose(before, cut)


def _reached_larger(model, x, other, j):
    replaced = torch.cat([x[:, :j], other[:, j:]], dim=1)
    return bool(((model(replaced) - model(x))[:, :j] > 1e-5).any())


def _last_step(x: Tensor) -> Tensor:
    return x + x[:, -1:]


def _next_step(x: Tensor) -> Tensor:
    return torch.cat([x[:, 1:], x[:, -1:]], dim=1)


def _second_next(x: Tensor) -> Tensor:
    return torch.cat([x[:, 2:], x[:, :2]], dim=1)


def _backwards(x: Tensor) -> Tensor:
    return x.flip(1)


def _two_ways(x: Tensor) -> Tensor:
    """The mean of all steps, once with each sign, so that the two cancel in a sum."""
    mean = x.mean((1, 2), keepdim=True).expand(len(x), x.shape[1], 1)
    return torch.cat([mean, -mean], dim=-1)


def _past_mean(x: Tensor) -> Tensor:
    return x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]


def _per_length(x: Tensor) -> Tensor:
    """Uses how long the series is, but none of its later steps."""
    return x / x.shape[1]


def _rounds(x: Tensor) -> Tensor:
    """Sums of the past, to which the whole series is added and taken away: rounding differs."""
    total = 3 * x.sum(1, keepdim=True)
    return 1 + x.square().cumsum(1) + total - total


def _leak_cases():
    x, other = normal(1, 5, 2), normal(1, 5, 2, seed=1)
    yield _past_mean, x, other, 3
    yield _past_mean, x, torch.cat([x[:, :3], other[:, 3:]], dim=1), 3
    yield _backwards, x, other, 3
    yield _next_step, x, other, 3
    yield _second_next, x, other, 3
    yield _last_step, x, other, 2
    yield _last_step, x, x + 1, 1
    yield _last_step, x, x - 1, 1
    yield _two_ways, normal(2, 6, 3, seed=2), normal(2, 6, 3, seed=3), 2
    yield F.relu, x, other, 1
    yield _past_mean, x, torch.cat([x[:, :4], other[:, 4:]], dim=1), 3
    yield _backwards, x, torch.cat([x[:, :3], other[:, 3:]], dim=1), 3
    yield _per_length, x, other, 3
    yield _rounds, x, other, 3


future_moves = Exercise(
    "temporal-attention/future-moves",
    _reached,
    _leak_cases,
    {
        "You replace the past. A causal model must react to that; it is the future that may not "
        "reach back.": _reached_with(
            replace=lambda x, other, j: torch.cat([other[:, :j], x[:, j:]], dim=1)
        ),
        "You compare all outputs. Those from step j on may move; only the earlier ones must "
        "stay.": _reached_with(part=lambda y, j: y),
        "You compare one output too many: step j itself was replaced, so output j may move. Look "
        "at those before it.": _reached_with(part=lambda y, j: y[:, : j + 1]),
        "You look at the output just before j only. Each output before j counts.": _reached_with(
            part=lambda y, j: y[:, j - 1 : j]
        ),
        "You run the model on `other` itself, so the past changes too. Only the steps from j on "
        "may be replaced.": _reached_with(replace=lambda x, other, j: other),
        "You cut the series off at j. That changes its length as well, which a model may use "
        "without a look at the future: replace the steps, keep the length.": _reached_cut,
        "You compare bit by bit. Sums round differently when other numbers take part; "
        "`torch.allclose` lets rounding pass.": _reached_exact,
        "You never find a leak. If you wrote the other steps into x, both runs had the same input: "
        "build a new tensor.": lambda model, x, other, j: False,
        "You compare the outputs from step j on. They may move; look at those before "
        "j.": _reached_with(part=lambda y, j: y[:, j:]),
        "You replace step j alone. A later step may leak while step j does not.": _reached_with(
            replace=_replace_one
        ),
        "You begin one step too late: step j itself stays as it was. An output that looks just "
        "one step ahead slips through.": _reached_with(
            replace=lambda x, other, j: torch.cat([x[:, : j + 1], other[:, j + 1 :]], dim=1)
        ),
        "You look at the first output only. Each output before j counts.": _reached_with(
            part=lambda y, j: y[:, :1]
        ),
        "You add up the differences, so that plus and minus cancel. Look at their size, one by "
        "one.": _reached_sum,
        "You count an output only when it grows. It may also shrink.": _reached_larger,
        "The answer is the other way round: True means that the future is "
        "seen.": lambda model, x, other, j: not _reached(model, x, other, j),
    },
    hints=(
        "Run the model twice. What is the same in both inputs, and what must then be the same in "
        "both outputs?",
        "x[:, :j] is the past, (B, j, F); other[:, j:] another future, (B, T - j, F)",
        "replaced = <past of x, then future of other>\n"
        "return not torch.allclose(<outputs before j>, <outputs before j>)",
    ),
    minutes=10,
    difficulty=2,
)
