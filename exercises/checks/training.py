"""Exercises of "Training that can be trusted"."""

import numpy as np

from attnlib.checker import Exercise

Array = np.ndarray


def _normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


# ---------------------------------------------------------------- standardise


def _standardise(
    train: Array,
    test: Array,
    *,
    on_all: bool = False,
    own: bool = False,
    axis: int | None = 0,
    shift: bool = True,
    spread: bool = True,
    ddof: int = 0,
    power: int = 1,
    one_spread: bool = False,
) -> tuple[Array, Array]:
    def scaled(part: Array, seen: Array) -> Array:
        mean = seen.mean(axis, keepdims=True) if shift else 0.0
        unit = seen.std(None if one_spread else axis, keepdims=True, ddof=ddof) ** power
        return (part - mean) / (unit if spread else 1.0)

    seen = np.concatenate([train, test]) if on_all else train
    return scaled(train, seen), scaled(test, test if own else seen)


def _standardise_departs(**departure):
    return lambda train, test: _standardise(train, test, **departure)


standardise = Exercise(
    "training/standardise",
    _standardise,
    [
        (np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([[5.0, 20.0], [2.0, 40.0]])),
        (_normal(5, 3) * [1, 10, 100] + 4, _normal(2, 3, seed=1) * [1, 10, 100] + 9),
        (_normal(7, 2, seed=2) - 3, 2 * _normal(11, 2, seed=3)),
    ],
    {
        "The mean and the spread are measured on both parts together. The test part then reaches "
        "the training: a leak, even if often a small one.": _standardise_departs(on_all=True),
        "The test part is scaled by its own mean and spread. The model would be shown other units "
        "than it has learned from, and a single new row could not be scaled at all.": (
            _standardise_departs(own=True)
        ),
        "One mean and one spread serve all columns. Each feature has a unit of its own: measure "
        "along the rows.": _standardise_departs(axis=None),
        "The mean is taken by column, but one spread serves all of them. Give both the axis of the "
        "rows.": _standardise_departs(one_spread=True),
        "Each row is scaled by itself. A row holds different features in different units: measure "
        "down the columns, along axis 0.": lambda train, test: (
            _standardise(train, train, axis=1, own=True)[0],
            _standardise(test, test, axis=1, own=True)[0],
        ),
        "You divide by the variance. Its root, the standard deviation, has the column's unit.": (
            _standardise_departs(power=2)
        ),
        "Your spread divides by N - 1. Here it is NumPy's `std` as it stands, which divides by "
        "N.": _standardise_departs(ddof=1),
        "The test part loses its own mean. Then nobody sees that it lies elsewhere: subtract the "
        "mean of the training part.": lambda train, test: (
            _standardise(train, test)[0],
            (test - test.mean(0)) / train.std(0),
        ),
        "The test part has been left as it was, or was scaled by a training part that was scaled "
        "already, which changes nothing. Measure first, then scale both.": lambda train, test: (
            _standardise(train, test)[0],
            test,
        ),
        "The mean is not taken away, so the columns are not centred.": _standardise_departs(
            shift=False
        ),
        "The spread is missing: a column in large units still outweighs the others.": (
            _standardise_departs(spread=False)
        ),
    },
    hints=(
        "Which numbers would you have on the day before the test part arrives?",
        "train (N, F), test (M, F) -> mean (F,), spread (F,) -> two arrays of the same shapes",
        "mean, spread = <of the columns of train>\nreturn <train, scaled>, <test, scaled alike>",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- seen before


def _clean(text: str) -> str:
    return " ".join(text.lower().split())


def _seen_before(train: list[str], test: list[str], clean=_clean, clean_test=None) -> float:
    known = {clean(text) for text in train}
    return sum((clean_test or clean)(text) in known for text in test) / len(test)


def _raw(text: str) -> str:
    return text


seen_before = Exercise(
    "training/seen-before",
    _seen_before,
    [
        (["good film", "bad"], ["Good  film", "fine"]),
        (["a", "b", "c"], ["b ", "d", "e", "f", "B"]),
        (["so so", "so so", "not so good", "fun"], ["so", "fun", "FUN", "So so", "sun"]),
        (["one\ttwo", "three"], ["one two", "three", "four", "One two", "onetwo", "five", "six"]),
        (["the good film", "not so"], ["film good the", "good film the", "so", "the good film"]),
        (
            ["Three   spaces", "a tab\there", "so  far"],
            ["three spaces", "a tab here", "so far", "no"],
        ),
    ],
    {
        "Case and white space hide copies: 'Good  film' and 'good film' are the same text to a "
        "reader. Clean both sides first.": lambda train, test: _seen_before(
            train, test, clean=_raw
        ),
        "Only the training texts are cleaned. A test text with a capital or two spaces is then not "
        "found: clean it as well.": lambda train, test: _seen_before(train, test, clean_test=_raw),
        "Only the test texts are cleaned. A training text with a capital or two spaces is then "
        "never found: clean it as well.": lambda train, test: _seen_before(
            train, test, clean=_raw, clean_test=_clean
        ),
        "Only the case is taken care of. Spaces at the end, two spaces or a tab hide a copy as "
        "well.": lambda train, test: _seen_before(train, test, clean=str.lower),
        "Only the ends are stripped. White space inside a text needs care too: each stretch of it "
        "becomes one space.": lambda train, test: _seen_before(
            train, test, clean=lambda text: text.lower().strip()
        ),
        "Two spaces become one, but three do not, nor does a tab. `split()` without an argument "
        "cuts at every stretch of white space.": lambda train, test: _seen_before(
            train, test, clean=lambda text: text.lower().strip().replace("  ", " ")
        ),
        "You split at the space alone, so a tab stays. `split()` without an argument cuts at every "
        "stretch of white space, whatever it is.": lambda train, test: _seen_before(
            train, test, clean=lambda text: " ".join(filter(None, text.lower().split(" ")))
        ),
        "All white space is taken out. 'onetwo' is another text than 'one two': make each stretch "
        "of it a single space.": lambda train, test: _seen_before(
            train, test, clean=lambda text: "".join(text.lower().split())
        ),
        "You divide by the training texts. The question is which share of the *test* was seen.": (
            lambda train, test: _seen_before(train, test) * len(test) / len(train)
        ),
        "This is the share of the training texts that stand in the test. The question is asked the "
        "other way round.": lambda train, test: _seen_before(test, train),
        "You count and do not divide: that is a number, not a share.": lambda train, test: round(
            _seen_before(train, test) * len(test)
        ),
        "You divide different texts by different texts. Each test text counts, also a repeated "
        "one: it is marked each time.": lambda train, test: (
            len({_clean(t) for t in train} & {_clean(t) for t in test})
            / len({_clean(t) for t in test})
        ),
        "You count different texts. A copy that stands twice in the test part is marked twice.": (
            lambda train, test: (
                len({_clean(t) for t in train} & {_clean(t) for t in test}) / len(test)
            )
        ),
        "You look for the test text *inside* the training texts, so that a short word is found in "
        "a longer text. Compare whole texts.": lambda train, test: (
            sum(any(_clean(t) in _clean(known) for known in train) for t in test) / len(test)
        ),
        "You compare sets of words. The same words in another order, or one of them twice, are "
        "another text: compare whole texts, in their order.": lambda train, test: (
            sum(
                any(set(_clean(t).split()) == set(_clean(known).split()) for known in train)
                for t in test
            )
            / len(test)
        ),
    },
    hints=(
        "Make both parts look alike first, then ask for each test text whether it is known.",
        "train: list of N texts, test: list of M texts -> a number from 0 to 1",
        "known = <set of the cleaned training texts>\nreturn <number of test texts in it> / "
        "<number of test texts>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- early stopping


def _early_stopping(
    losses: list[float],
    patience: int,
    *,
    tie: bool = False,
    late: int = 0,
    in_all: bool = False,
    previous: bool = False,
    answer: str = "best",
    start: float = float("inf"),
) -> tuple[int, int]:
    best, best_at, without, epoch = start, 0, 0, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best or (tie and loss == best):
            best, best_at = loss, epoch
            without = without if in_all else 0
        elif previous and loss < losses[epoch - 2]:
            without = 0
        else:
            without += 1
        if without >= patience + late:
            break
    first = {"best": best_at, "last": epoch, "index": best_at - 1, "loss": best}
    return first[answer], epoch


def _both_from_zero(losses: list[float], patience: int, whole: int = 0) -> tuple[int, int]:
    best_at, last = _early_stopping(losses, patience)
    stopped = last - best_at >= patience
    return best_at - 1, last - 1 if stopped else last - 1 + whole


def _stopping_departs(**departure):
    return lambda losses, patience: _early_stopping(losses, patience, **departure)


early_stopping = Exercise(
    "training/early-stopping",
    _early_stopping,
    [
        ([3.0, 2.0, 2.5, 2.6, 1.0], 2),
        ([3.0, 2.0, 1.0], 2),
        ([5.0, 4.0, 4.5, 3.0, 3.5, 2.0, 2.5, 2.4, 2.6, 2.7, 1.0], 3),
        ([2.0, 1.0, 1.0, 1.0, 0.5], 2),
        ([1.0, 3.0, 2.0, 4.0, 3.0], 2),
        ([900.0, 500.0, 600.0, 700.0, 400.0], 2),
    ],
    {
        "An equal loss counts as progress for you. The first of equals wins: nothing has become "
        "better.": _stopping_departs(tie=True),
        "You stop one epoch late: patience 2 means to stop *at* the second epoch in a row without "
        "a new best.": _stopping_departs(late=1),
        "All epochs without progress are added up. Only those since the last best one count.": (
            _stopping_departs(in_all=True)
        ),
        "You compare with the epoch before. A loss that falls a little after a jump is no new "
        "best: compare with the best so far.": _stopping_departs(previous=True),
        "You return the epoch at which training stops as the best. The weights of the best epoch "
        "were kept, patience epochs earlier.": _stopping_departs(answer="last"),
        "The best epoch is counted from 0, the last from 1. Both begin at 1 here.": (
            _stopping_departs(answer="index")
        ),
        "Both epochs are counted from 0. Here they begin at 1: `enumerate(losses, 1)`.": (
            _both_from_zero
        ),
        "Epochs are counted from 0, except for a run to the end, which counts all. They begin at 1 "
        "here: `enumerate(losses, 1)`.": lambda losses, patience: _both_from_zero(
            losses, patience, whole=1
        ),
        "You return the best loss. The question is *when* it came: return its epoch.": (
            _stopping_departs(answer="loss")
        ),
        "Your best loss begins with a number that a loss can exceed, so nothing is ever better "
        "than it. Begin with infinity.": _stopping_departs(start=100.0),
        "You stop at the right epoch but name one later: the last epoch that is run is the one at "
        "which patience is used up.": lambda losses, patience: (
            _early_stopping(losses, patience)[0],
            min(len(losses), _early_stopping(losses, patience)[1] + 1),
        ),
        "You stop at the right epoch, but take the best from the whole list. The losses after it "
        "are never measured.": lambda losses, patience: (
            losses.index(min(losses)) + 1,
            _early_stopping(losses, patience)[1],
        ),
        "You look through the whole list. Training cannot know the losses of epochs that it does "
        "not run: walk from epoch to epoch and stop.": lambda losses, patience: (
            losses.index(min(losses)) + 1,
            len(losses),
        ),
    },
    hints=(
        "Keep two things: the best loss so far, and the epoch it came from.",
        "losses [3, 2, 2.5, 2.6, 1], patience 2: best is epoch 2, stop after epoch 4",
        "for epoch, loss in enumerate(losses, 1):\n    if <a new best>: remember it\n"
        "    elif <patience epochs have passed since>: break\nreturn <best epoch>, epoch",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- step


def _step(
    theta: Array,
    gradients: Array,
    counts: Array,
    lr: float,
    decay: float,
    *,
    weighted: str = "items",
    sign: int = -1,
    decay_part: str = "inside",
) -> Array:
    gradient = {
        "items": (counts[:, None] * gradients).sum(0) / counts.sum(),
        "parts": gradients.mean(0),
        "sum": gradients.sum(0),
        "total": (counts[:, None] * gradients).sum(0),
        "by parts": (counts[:, None] * gradients).mean(0),
    }[weighted]
    pulls = {"inside": 1.0, "minus": -1.0, "each": len(counts)}
    pull = pulls.get(decay_part, 0.0) * decay * theta
    moved = theta + sign * lr * (gradient + pull)
    return moved - decay * theta if decay_part == "outside" else moved


def _step_departs(**departure):
    return lambda theta, gradients, counts, lr, decay: _step(
        theta, gradients, counts, lr, decay, **departure
    )


def _steps_in_turn(theta: Array, gradients: Array, counts: Array, lr: float, decay: float) -> Array:
    for count, gradient in zip(counts, gradients, strict=True):
        theta = theta - lr * (count / counts.sum() * gradient + decay * theta)
    return theta


step = Exercise(
    "training/step",
    _step,
    [
        (np.array([2.0]), np.array([[2.0], [6.0]]), np.array([3, 1]), 0.1, 0.5),
        (_normal(3), _normal(2, 3, seed=1), np.array([5, 2]), 0.3, 0.2),
        (_normal(5, seed=2), _normal(3, 5, seed=3), np.array([7, 7, 1]), 0.01, 1.0),
    ],
    {
        "You take the plain mean of the parts. A part of one example then counts as much as one of "
        "fifty: weigh each by its examples.": _step_departs(weighted="parts"),
        "You add up the parts, so the step grows with their number. One large batch would give a "
        "mean.": _step_departs(weighted="sum"),
        "You weigh the parts but do not divide by all examples, so the step grows with the "
        "batch.": _step_departs(weighted="total"),
        "You weigh the parts by their examples but divide by the number of parts. Divide by the "
        "number of all examples.": _step_departs(weighted="by parts"),
        "The decay is taken once for each part. One large batch makes one step, and so one "
        "decay.": _step_departs(decay_part="each"),
        "You make a step after each part. One large batch makes a single step: first the gradient "
        "of all, then theta moves.": _steps_in_turn,
        "You walk uphill: the step goes *against* the gradient.": _step_departs(sign=1),
        "The decay pushes parameters away from zero. It is there to shrink them.": _step_departs(
            decay_part="minus"
        ),
        "The decay is missing.": _step_departs(decay_part="none"),
        "The decay is not multiplied by the learning rate. In the chapter's formula it stands "
        "inside the bracket.": _step_departs(decay_part="outside"),
    },
    hints=(
        "First the gradient of the large batch, then one step of descent with decay.",
        "theta (D,), gradients (parts, D), counts (parts,) -> gradient (D,) -> theta (D,)",
        "gradient = <sum of counts times gradients> / <all examples>\n"
        "return theta - lr * (gradient + <decay's pull>)",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- paired interval


def _paired_interval(
    one: Array,
    other: Array,
    t: float,
    *,
    pair: bool = True,
    ddof: int = 1,
    root: bool = True,
    factor: float | None = None,
    sign: int = 1,
    power: float = 0.5,
    fewer: int = 0,
    variance: bool = False,
    absolute: bool = False,
) -> tuple[float, float, float]:
    n = len(one)
    difference = np.abs(one - other) if absolute else sign * (one - other)
    spread = difference.std(ddof=ddof)
    if not pair:
        spread = np.sqrt(one.var(ddof=ddof) + other.var(ddof=ddof))
    spread = spread**2 if variance else spread
    margin = (factor or t) * spread / ((n - fewer) ** power if root else 1.0)
    mean = difference.mean()
    return mean, mean - margin, mean + margin


def _interval_departs(**departure):
    return lambda one, other, t: _paired_interval(one, other, t, **departure)


paired_interval = Exercise(
    "training/paired-interval",
    _paired_interval,
    [
        (np.array([0.8, 0.9, 0.7]), np.array([0.7, 0.6, 0.8]), 4.303),
        (0.9 + 0.03 * _normal(3), 0.88 + 0.03 * _normal(3, seed=1), 4.303),
        (0.8 + 0.1 * _normal(5, seed=2), 0.7 + 0.1 * _normal(5, seed=3), 2.776),
    ],
    {
        "Each model's own spread has gone into it. Runs of one seed share their luck: subtract "
        "first, then measure the spread of the differences.": _interval_departs(pair=False),
        "The spread divides by n. With the mean estimated from the same few runs it must divide by "
        "n - 1 (`ddof=1`), or the interval is too narrow.": _interval_departs(ddof=0),
        "The root of n is missing: that is how far single runs spread. The mean of n runs spreads "
        "less.": _interval_departs(root=False),
        "You divide by n. The mean of n runs spreads less by the *root* of n: divide by that.": (
            _interval_departs(power=1.0)
        ),
        "You divide by the root of n - 1 as well. The 1 is taken away once, inside the standard "
        "deviation (`ddof=1`).": _interval_departs(fewer=1),
        "You use the variance. Its root, the standard deviation, has the unit of the results.": (
            _interval_departs(variance=True)
        ),
        "The differences have lost their signs. A model that wins and loses by the same amount is "
        "then never equal: keep them.": _interval_departs(absolute=True),
        "You return low, mean, high. Wanted is the mean first: mean, low, high.": (
            lambda one, other, t: tuple(np.sort(_paired_interval(one, other, t)))
        ),
        "You return the mean and the margin. Wanted are the two ends: mean, mean less margin, mean "
        "plus margin.": lambda one, other, t: (
            (one - other).mean(),
            t * (one - other).std(ddof=1) / np.sqrt(len(one)),
        ),
        "You use 1.96, which needs many runs. For a handful the right factor is t, and it is much "
        "larger.": _interval_departs(factor=1.96),
        "The sign is turned round: positive should mean that the first model is better.": (
            _interval_departs(sign=-1)
        ),
    },
    hints=(
        "One number a seed: the difference. Everything else is the interval of those numbers.",
        "one (n,), other (n,) -> differences (n,) -> mean, low, high",
        "d = one - other\nmargin = t * <spread of d, with n - 1> / <root of n>\n"
        "return <mean>, <mean less margin>, <mean plus margin>",
    ),
    minutes=10,
    difficulty=3,
)
