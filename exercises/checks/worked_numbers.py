"""Exercises of "Worked numbers, recomputed"."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- feature scores


def _dealt_out(W: Tensor, X: Tensor) -> Tensor:
    """The entries of the first feature's pair, dealt out to all features in turn."""
    pair = W @ X[0]
    return pair[torch.arange(len(X)) % len(pair)][:, None].expand(len(X), len(W))


feature_scores = Exercise(
    "worked-numbers/feature-scores",
    lambda W, X: X @ W.T,
    [
        (
            torch.tensor([[1.0, 0.0, 2.0, 0.0, 3.0], [0.0, 4.0, 0.0, 5.0, 0.0]]),
            torch.arange(1.0, 26.0).reshape(5, 5),
        ),
        (normal(2, 3), normal(5, 3, seed=1)),
        (normal(3, 7, seed=2), normal(2, 7, seed=3)),
        (normal(5, 5, seed=4), normal(5, 5, seed=5)),
    ],
    {
        "These are the right numbers, but turned round: a row should hold the scores of one "
        "feature, so there are as many rows as features.": lambda W, X: W @ X.T,
        "The entries of one feature's pair are dealt out to all the features. Every feature has a "
        "pair of its own: multiply W with each row of X.": _dealt_out,
        "The last term of each sum is missing: 3 times 5 belongs to the first score as much as "
        "1 times 1 does.": lambda W, X: X[:, :-1] @ W[:, :-1].T,
        "X is not turned the way W needs it: that works for a square W only, and gives other "
        "sums. Which two dimensions hold the same five numbers?": lambda W, X: X @ W,
        "The tanh belongs to the next step. The scores of the article are the plain products.": (
            lambda W, X: torch.tanh(X @ W.T)
        ),
    },
    hints=(
        "Write down the two shapes. Which dimension do W and X share?",
        "X (N, F), W (R, F) -> scores (N, R): row k is W x_k",
        "return <X> @ <W turned round>",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- gap of scores


needed_gap = Exercise(
    "worked-numbers/needed-gap",
    lambda weight: math.log(weight / (1 - weight)),
    [(0.8957,), (0.5,), (0.997527,), (0.1,)],
    {
        "That is the logarithm of the weight itself. Two words share one whole: the gap is the "
        "logarithm of the ratio of their weights.": lambda weight: math.log(weight),
        "That is the ratio of the two weights. The gap of the scores is its logarithm, since each "
        "unit of the gap multiplies the ratio by e.": lambda weight: weight / (1 - weight),
        "The sign is wrong: a weight above one half needs the larger score. Which of the two "
        "weights belongs above the line?": lambda weight: math.log((1 - weight) / weight),
        "The size is right. The gap has a sign as well: a weight below one half belongs to the "
        "smaller score.": lambda weight: abs(math.log(weight / (1 - weight))),
        "That goes the other way, from a gap to a weight. Solve it for the gap.": lambda weight: (
            1 / (1 + math.exp(-weight))
        ),
        "The softmax is made with powers of e, so the way back is the natural logarithm, not that "
        "of base 2.": lambda weight: math.log2(weight / (1 - weight)),
        "The softmax is made with powers of e, so the way back is the natural logarithm, not that "
        "of base 10.": lambda weight: math.log10(weight / (1 - weight)),
    },
    hints=(
        "The weights are w and 1 - w. What is their ratio in terms of the two scores?",
        "w / (1 - w) = exp(s_2) / exp(s_1) = exp(s_2 - s_1)",
        "return <natural logarithm of> (<this weight> / <the other one>)",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- standardise


def _standardise_by(statistics_of, center: bool = True, spread=torch.std):
    def standardise(table: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        source = statistics_of(table, asked)
        mean = source.mean(0) if center else 0.0
        deviation = spread(source, 0)
        return (table - mean) / deviation, (asked - mean) / deviation

    return standardise


def _by_the_table(table: Tensor, asked: Tensor) -> Tensor:
    return table


def _each_by_its_own(table: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    return (table - table.mean(0)) / table.std(0), (asked - asked.mean(0)) / asked.std(0)


def _by_rows(table: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    def rows(x: Tensor) -> Tensor:
        return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)

    return rows(table), rows(asked)


def _by_one_number(table: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    return (table - table.mean()) / table.std(), (asked - table.mean()) / table.std()


def _tables():
    units = torch.tensor([1.0, 100.0, 0.01])
    for rows, asked, seed in ((5, 3, 0), (7, 5, 1), (11, 2, 2)):
        yield normal(rows, 3, seed=seed) * units + units, 1 + normal(asked, 3, seed=9) * units


standardise = Exercise(
    "worked-numbers/standardise",
    _standardise_by(_by_the_table),
    _tables,
    {
        "The mean and the deviation are those of both parts together. What is asked must stay "
        "unseen: take them from the table alone.": _standardise_by(
            lambda table, asked: torch.cat([table, asked])
        ),
        "Each part is standardised by itself. Then the same wine gets other numbers in the table "
        "than when it is asked: use the table's mean and deviation for both.": _each_by_its_own,
        "The statistics are those of the wines that are asked about. They are unknown when the "
        "table is made: take them from the table.": _standardise_by(lambda table, asked: asked),
        "You divide by the variance. Its unit is the square of the column's: the deviation is "
        "its root.": _standardise_by(_by_the_table, spread=torch.var),
        "The mean is still there. A column that lies far from zero gives every pair a large "
        "common score.": _standardise_by(_by_the_table, center=False),
        "You work along the rows: that mixes units. A column holds one measurement, in one "
        "unit.": _by_rows,
        "That is the deviation with N below the line. Take torch's own, with N - 1: std as it "
        "is.": lambda table, asked: tuple(
            (x - table.mean(0)) / table.std(0, correction=0) for x in (table, asked)
        ),
        "One mean and one deviation for the whole table: the largest unit still decides. Each "
        "column needs its own.": _by_one_number,
    },
    hints=(
        "Which dimension runs over the wines? The mean of a column is taken along it.",
        "table (N, F) -> mean (F,), deviation (F,); both parts use the same two vectors",
        "mean, deviation = <of each column of the table>\n"
        "return <table>, <asked>, each less the mean and over the deviation",
    ),
    minutes=8,
    difficulty=2,
)


# ---------------------------------------------------------------- is it attention?


def _is_attention(weights: Tensor) -> bool:
    sums = weights.sum(-1)
    return bool((weights >= 0).all() and torch.allclose(sums, torch.ones_like(sums)))


def _candidates():
    symmetric = torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    yield (symmetric,)
    yield (torch.tensor([[0.9, 0.1], [0.4, 0.6]]),)  # rows only
    yield (torch.tensor([[0.9, 0.4], [0.1, 0.6]]),)  # columns only
    yield (torch.tensor([[1.5, -0.5], [0.2, 0.8]]),)  # sums right, a weight negative
    yield (torch.tensor([[0.2, 0.2], [0.8, 0.8]]),)  # right on the average only
    yield (torch.tensor([[0.25, 0.25], [0.25, 0.25]]),)  # one whole in all
    yield (torch.tensor([[0.9, 0.05], [0.5, 0.5]]),)  # nearly
    yield (torch.tensor([[1.0, 0.0], [0.0, 1.0]]),)  # zero is allowed
    yield (torch.tensor([[float("nan"), 1.0], [0.5, 0.5]]),)
    yield (F.softmax(normal(2, 3, 5, 7), dim=-1),)
    yield (F.softmax(normal(2, 3, 5, 7), dim=-2),)
    yield (F.softmax(normal(2, 3, 5, 7), dim=1),)


is_attention = Exercise(
    "worked-numbers/is-attention",
    _is_attention,
    _candidates,
    {
        "You sum along dimension 1. That is the keys for a single matrix only: count from the end, "
        "the last dimension is -1.": lambda weights: bool(
            (weights >= 0).all() and torch.allclose(weights.sum(1), torch.ones_like(weights.sum(1)))
        ),
        "All weights between 0 and 1 is not enough: they must also share out one whole.": (
            lambda weights: bool(((weights >= 0) & (weights <= 1)).all())
        ),
        "You sum the columns. A row holds what one query gives away, and that is what must be "
        "one whole.": lambda weights: _is_attention(weights.mT),
        "A negative weight passes. A share below zero would subtract a value, which no average "
        "does.": lambda weights: bool(
            torch.allclose(weights.sum(-1), torch.ones_like(weights.sum(-1)))
        ),
        "You ask for symmetry as well. Nothing obliges a word to be looked at by those it looks "
        "at.": lambda weights: (
            _is_attention(weights)
            and weights.shape[-1] == weights.shape[-2]
            and bool(torch.allclose(weights, weights.mT))
        ),
        "All rows together are compared with one whole. Each query has a whole of its own.": (
            lambda weights: bool((weights >= 0).all() and math.isclose(weights.sum().item(), 1.0))
        ),
        "You look at the average of the row sums. One row too small and one too large would "
        "pass.": lambda weights: bool(
            (weights >= 0).all() and math.isclose(weights.sum(-1).mean().item(), 1, rel_tol=1e-5)
        ),
        "A weight of exactly 0 is refused. It is rare after a softmax, but a mask makes it all "
        "the time.": lambda weights: _is_attention(weights) and bool((weights > 0).all()),
        "You compare exactly. Sums of rounded numbers miss 1 by a little: use torch.allclose.": (
            lambda weights: bool((weights >= 0).all() and (weights.sum(-1) == 1).all())
        ),
    },
    hints=(
        "Two of the four checks of the take-away decide: which ones must hold for every map?",
        "weights (..., L, S) -> sums (..., L), each near 1; and no weight below 0",
        "return bool(<no weight is negative> and <every row sum is close to 1>)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- the repaired formula


def _copy(numerator: float):
    def weights(query: Tensor, key: Tensor) -> Tensor:
        e = torch.cat([query, key])
        exponentials = (e @ e.T).exp()
        table = (numerator * (e @ e.T)).exp() / (exponentials @ exponentials.T)
        return table[: len(query), len(query) :]

    return weights


cross_weights = Exercise(
    "worked-numbers/cross-weights",
    lambda query, key: F.softmax(query @ key.T / math.sqrt(query.shape[-1]), dim=-1),
    [
        (torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])),
        (normal(3, 2), normal(5, 2, seed=1)),
        (normal(5, 7, seed=2), normal(3, 7, seed=3)),
        (normal(3, 3, seed=4), normal(3, 3, seed=5)),
    ],
    {
        "This is the article's copy A, with the two sequences put into one. Its rows do not sum "
        "to one: the sum below the line must run over the keys of one query alone.": _copy(1.0),
        "This is the article's copy B, with the two sequences put into one. Doubling the "
        "numerator does not make its rows sum to one.": _copy(2.0),
        "The softmax runs over the queries, so that each key shares itself out. It is the query "
        "that shares out its attention.": lambda query, key: F.softmax(
            query @ key.T / math.sqrt(query.shape[-1]), dim=0
        ),
        "The square root is missing: the scores grow with the width of the vectors.": (
            lambda query, key: F.softmax(query @ key.T, dim=-1)
        ),
        "You divide by the width, not by its square root. The products spread like the root of "
        "their number.": lambda query, key: F.softmax(query @ key.T / query.shape[-1], dim=-1),
        "The queries look at themselves. Interactive means that one sequence asks and the other "
        "is asked.": lambda query, key: F.softmax(
            query @ query.T / math.sqrt(query.shape[-1]), dim=-1
        ),
        "You take the number of keys for the width. D is how many entries a vector has, S how "
        "many keys there are.": lambda query, key: F.softmax(
            query @ key.T / math.sqrt(len(key)), dim=-1
        ),
    },
    hints=(
        "The last equation of the chapter has one sum. Over what does it run?",
        "query (L, D), key (S, D) -> scores (L, S) -> weights (L, S), rows sum to one",
        "scores = <query times keys> / <root of D>\nreturn <softmax over the keys>",
    ),
    minutes=8,
)
