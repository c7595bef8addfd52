"""Exercises of "Reading attention"."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal


def _maps(*shape: int, seed: int = 0) -> Tensor:
    return (2 * normal(*shape, seed=seed)).softmax(-1)


# ---------------------------------------------------------------- entropy ratio


def _entropy_ratio(weights: Tensor) -> Tensor:
    return torch.special.entr(weights).sum(-1) / math.log(weights.shape[-1])


def _entropy_cases() -> list[tuple[Tensor]]:
    sparse = _maps(3, 5, seed=3)
    sparse[1] = torch.tensor([0.5, 0.0, 0.5, 0.0, 0.0])
    return [
        (torch.tensor([[0.5, 0.5, 0.0, 0.0]]),),
        (_maps(3, 5, seed=1),),
        (torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]),),
        (sparse,),
        (_maps(2, 3, 5, 7, seed=2),),
    ]


entropy_ratio = Exercise(
    "reading-attention/entropy-ratio",
    _entropy_ratio,
    _entropy_cases,
    {
        "The size is right, the sign is not: logarithms of numbers below one are negative, and "
        "entropy is what they lack to zero.": lambda weights: -_entropy_ratio(weights),
        "This is the entropy in nats. It grows with the number of keys, so a long text looks "
        "broader than a short one: divide by the largest value it can have.": lambda weights: (
            torch.special.entr(weights).sum(-1)
        ),
        "You divide by the logarithm of the number of queries. A row is spread over the "
        "*keys*.": lambda weights: (
            torch.special.entr(weights).sum(-1) / math.log(weights.shape[-2] + 1e-30)
        ),
        "You divide by the number of keys, but even attention has the entropy ln S, not "
        "S.": lambda weights: torch.special.entr(weights).sum(-1) / weights.shape[-1],
        "Right as long as no weight is exactly 0. There 0 times minus infinity gives NaN; a "
        "weight of zero adds nothing.": lambda weights: (
            -(weights * weights.log()).sum(-1) / math.log(weights.shape[-1])
        ),
        "You sum over the queries. Each *row* has an entropy of its own: the sum runs over its "
        "keys.": lambda weights: torch.special.entr(weights).sum(-2) / math.log(weights.shape[-1]),
        "You take the mean over the keys in place of the sum, so that even attention does not "
        "get 1.": lambda weights: (
            torch.special.entr(weights).mean(-1) / math.log(weights.shape[-1])
        ),
        "That is one number for all rows. Return one for each row; who wants a mean can take it "
        "later.": lambda weights: _entropy_ratio(weights).mean(),
        "The numerator is in bits and the denominator in nats. Use one logarithm for "
        "both.": lambda weights: _entropy_ratio(weights) / math.log(2),
    },
    hints=(
        "Which row should get 0, which should get 1? Try both by hand.",
        "weights (..., L, S) -> a * ln a (..., L, S) -> its sum over the keys (..., L), divided by "
        "one number.",
        "torch.special.entr(a) is -a ln a, and 0 where a is 0. The largest entropy of S keys is "
        "that of S weights of 1 / S.",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- contributions


def _contributions(weights: Tensor, value: Tensor, W_o: Tensor) -> Tensor:
    size = weights * (value @ W_o).norm(dim=-1)
    return size / size.sum(-1, keepdim=True)


def _rows(size: Tensor) -> Tensor:
    return size / size.sum(-1, keepdim=True)


contributions = Exercise(
    "reading-attention/contributions",
    _contributions,
    [
        (torch.tensor([[0.9, 0.1]]), torch.tensor([[0.1], [2.0]]), torch.tensor([[3.0, 4.0]])),
        (_maps(2, 3, seed=1), normal(3, 2, seed=2), normal(2, 5, seed=3)),
        (_maps(5, 4, seed=4), normal(4, 3, seed=5), normal(3, 7, seed=6)),
        (_maps(3, 3, seed=7), normal(3, 3, seed=8), normal(3, 3, seed=9)),
    ],
    {
        "You measure the value alone. What reaches the output passes through W_o first, which "
        "makes some directions longer than others.": lambda weights, value, W_o: _rows(
            weights * value.norm(dim=-1)
        ),
        "You return the weights. A contribution is weight *times* the length of what is handed "
        "over.": lambda weights, value, W_o: weights,
        "You return lengths without the weights, the same for every query. How much of each does "
        "a query take?": lambda weights, value, W_o: _rows(
            (value @ W_o).norm(dim=-1).expand_as(weights)
        ),
        "The sizes are right, but rows do not sum to one. To compare with weights we need "
        "shares.": lambda weights, value, W_o: weights * (value @ W_o).norm(dim=-1),
        "You divide by the sum of *all* cells, so that only the whole table sums to one. Each row "
        "is shared out by itself.": lambda weights, value, W_o: (
            weights * (value @ W_o).norm(dim=-1) / (weights * (value @ W_o).norm(dim=-1)).sum()
        ),
        "You squared the lengths. A square exaggerates: twice as long counts four "
        "times.": lambda weights, value, W_o: _rows(weights * (value @ W_o).square().sum(-1)),
        "You add up the entries of a vector instead of taking its length, so that plus and minus "
        "cancel.": lambda weights, value, W_o: _rows(weights * (value @ W_o).sum(-1)),
        "You added up absolute values. The length of a vector is the root of the sum of "
        "squares.": lambda weights, value, W_o: _rows(weights * (value @ W_o).abs().sum(-1)),
        "The columns sum to one. Each *query* shares out what it receives, and a row belongs to "
        "a query.": lambda weights, value, W_o: (
            weights
            * (value @ W_o).norm(dim=-1)
            / (weights * (value @ W_o).norm(dim=-1)).sum(-2, keepdim=True)
        ),
        "You took the length over the wrong dimension: one number for each feature, where there "
        "should be one for each key.": lambda weights, value, W_o: _rows(
            weights * (value @ W_o).norm(dim=0)
        ),
    },
    hints=(
        "One length for each key first; the weights come second, the shares last.",
        "value (S, Dv) @ W_o (Dv, F) -> (S, F) -> lengths (S,) -> times weights (L, S)",
        "size = weights * <lengths>; return size / <row sums, kept as a column>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- rollout


def _rolled(layers: list[Tensor], residual: float) -> Tensor:
    rolled = torch.eye(layers[0].shape[-1])
    for weights in layers:
        mixed = (1 - residual) * weights.mean(0) + residual * torch.eye(len(rolled))
        rolled = mixed @ rolled
    return rolled


def _rollout(layers: list[Tensor], residual: float, place: int) -> Tensor:
    return _rolled(layers, residual)[place]


def _identity_unscaled(layers: list[Tensor], residual: float, place: int) -> Tensor:
    rolled = torch.eye(layers[0].shape[-1])
    for weights in layers:
        rolled = (weights.mean(0) + torch.eye(len(rolled))) @ rolled
    return rolled[place]


def _cell_by_cell(layers: list[Tensor], residual: float, place: int) -> Tensor:
    rolled = _rolled(layers[:1], residual)
    for weights in layers[1:]:
        rolled = rolled * _rolled([weights], residual)
    return rolled[place]


rollout = Exercise(
    "reading-attention/rollout",
    _rollout,
    [
        (
            [
                torch.tensor([[[1.0, 0, 0], [1, 0, 0], [0, 1, 0]]]),
                torch.tensor([[[0, 1.0, 0], [0, 0, 1], [1, 0, 0]]]),
            ],
            0.25,
            2,
        ),
        ([_maps(2, 3, 3, seed=1), _maps(2, 3, 3, seed=2)], 0.5, 1),
        ([_maps(3, 4, 4, seed=s) for s in (3, 4, 5)], 0.3, 3),
        ([_maps(2, 5, 5, seed=6)], 0.0, 0),
    ],
    {
        "You walk from the first layer up. The last layer looks first: it says at which places of "
        "the layer below to look on.": lambda layers, residual, place: _rollout(
            layers[::-1], residual, place
        ),
        "The residual path is missing: each layer also adds its own input, which is the "
        "identity.": lambda layers, residual, place: _rollout(layers, 0.0, place),
        "The two shares are swapped: `residual` is the share of the identity, the rest goes to "
        "the weights.": lambda layers, residual, place: _rollout(layers, 1 - residual, place),
        "You always take one half. The share of the residual path is an argument.": (
            lambda layers, residual, place: _rollout(layers, 0.5, place)
        ),
        "The shares sum to more than one: you add the identity without giving each part its "
        "share.": _identity_unscaled,
        "You look at the last layer alone. Its map points at places, which hold mixtures by "
        "then.": lambda layers, residual, place: _rollout(layers[-1:], residual, place),
        "You multiply cell by cell. A path goes to j over *any* place, so the hops are "
        "summed: that is a matrix product.": _cell_by_cell,
        "You follow the first head only. Average the heads of a layer first.": (
            lambda layers, residual, place: _rollout([w[:1] for w in layers], residual, place)
        ),
        "You sum the heads of a layer, so that a row of three heads hands out three. Average "
        "them.": lambda layers, residual, place: _rollout(
            [w.sum(0, keepdim=True) for w in layers], residual, place
        ),
        "You take the largest weight over the heads. Such rows sum to more than one; average the "
        "heads.": lambda layers, residual, place: _rollout(
            [w.amax(0, keepdim=True) for w in layers], residual, place
        ),
        "You average the layers. Layers come one after the other: their hops multiply.": (
            lambda layers, residual, place: _rollout([torch.stack(layers).mean(0)], residual, place)
        ),
        "You return a column: who looks at the place. A row says where the place itself gets its "
        "content.": lambda layers, residual, place: _rolled(layers, residual)[:, place],
        "You return the rows of all places. Only the row of one place is asked for.": (
            lambda layers, residual, place: _rolled(layers, residual)
        ),
    },
    hints=(
        "Start with all the weight on the place. Where does it lie after one step down?",
        "row (L,) @ mean over heads (L, L) -> (L,); mixed with the row itself, it goes one layer "
        "further down",
        "row = <one at the place>; for each layer, *last* one first: row = <row through the "
        "weights, and the row itself, each with its share>",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- erasure curve


Answer = Callable[[Tensor], Tensor]


def _curve(answer: Answer, x: Tensor, importance: Tensor, replacement: float) -> Tensor:
    x = x.clone()
    answers = [answer(x[None])[0]]
    for position in importance.argsort(descending=True, stable=True):
        x[position] = replacement
        answers.append(answer(x[None])[0])
    return torch.stack(answers)


def _one_at_a_time(answer, x, importance, replacement):
    answers = [answer(x[None])[0]]
    for position in importance.argsort(descending=True):
        other = x.clone()
        other[position] = replacement
        answers.append(answer(other[None])[0])
    return torch.stack(answers)


def _keep_instead(answer, x, importance, replacement):
    order = importance.argsort(descending=True)
    answers = []
    for count in range(len(x) + 1):
        other = torch.full_like(x, replacement)
        other[order[:count]] = x[order[:count]]
        answers.append(answer(other[None])[0])
    return torch.stack(answers)


def _weighted_sum(batch: Tensor) -> Tensor:
    return batch @ torch.arange(1.0, batch.shape[-1] + 1)


def _largest(batch: Tensor) -> Tensor:
    return batch.amax(-1)


def _curve_cases() -> list[tuple]:
    return [
        (_weighted_sum, torch.tensor([5.0, 1.0, 2.0]), torch.tensor([0.2, 0.7, 0.1]), 0.0),
        (_weighted_sum, normal(4, seed=1), normal(4, seed=2), 0.5),
        (_largest, normal(5, seed=3), normal(5, seed=4), -1.0),
        (_weighted_sum, normal(7, seed=5), normal(7, seed=6), 2.0),
    ]


erasure_curve = Exercise(
    "reading-attention/erasure-curve",
    _curve,
    _curve_cases,
    {
        "You begin with the *least* important position. A faithful importance should make the "
        "curve fall at once.": lambda answer, x, importance, replacement: _curve(
            answer, x, -importance, replacement
        ),
        "You erase from the first position to the last, and never look at the "
        "importance.": lambda answer, x, importance, replacement: _curve(
            answer, x, -torch.arange(len(x)), replacement
        ),
        "Every position comes back before the next is erased: that is leave-one-out. In a curve "
        "what is erased stays erased.": _one_at_a_time,
        "The first number is missing: the answer to the whole input, with nothing "
        "erased.": lambda answer, x, importance, replacement: _curve(
            answer, x, importance, replacement
        )[1:],
        "The last number is missing: the answer when everything is "
        "erased.": lambda answer, x, importance, replacement: _curve(
            answer, x, importance, replacement
        )[:-1],
        "You always write a zero. What stands in the place of a position is an "
        "argument.": lambda answer, x, importance, replacement: _curve(answer, x, importance, 0.0),
        "You *keep* the most important positions and erase the others. That curve is useful as "
        "well, but it rises; here they go first.": _keep_instead,
        "You return by how much the answer falls. The curve holds the answers "
        "themselves.": lambda answer, x, importance, replacement: (
            _curve(answer, x, importance, replacement)[0]
            - _curve(answer, x, importance, replacement)
        ),
        "You sort the importance itself, not the positions: `sort` gives numbers, `argsort` gives "
        "places.": lambda answer, x, importance, replacement: torch.stack(
            [answer(x[None])[0]]
            + [
                answer(torch.where(x >= cut, replacement, x)[None])[0]
                for cut in importance.sort(descending=True).values
            ]
        ),
    },
    hints=(
        "Write down by hand which positions are gone after each step.",
        "L positions give L + 1 answers: with 0, 1, ... L of them erased. `answer` wants a batch, "
        "so pass x[None] and take the first number of what comes back.",
        "x = x.clone(); answers = [<of x>]; for position in <places, most important first>: write "
        "the replacement, append the answer",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- mass on truth


def _mass(weights: Tensor, truth: Tensor) -> Tensor:
    rows = truth.any(-1)
    return (weights * truth).sum(-1)[:, rows].mean(-1)


def _mass_cases() -> list[tuple[Tensor, Tensor]]:
    back = torch.arange(5)[:, None] - torch.arange(5)
    wide = torch.zeros(4, 6, dtype=torch.bool)
    wide[1, 5], wide[2, 5], wide[3, 5], wide[3, 0] = True, True, True, True
    return [
        (
            torch.tensor([[[0.1, 0.9], [0.3, 0.7]], [[0.5, 0.5], [1.0, 0.0]]]),
            torch.tensor([[False, True], [False, False]]),
        ),
        (_maps(3, 5, 5, seed=1), back == 1),
        (_maps(2, 4, 6, seed=2), wide),
        (_maps(4, 5, 5, seed=3), back == 2),
    ]


mass_on_truth = Exercise(
    "reading-attention/mass-on-truth",
    _mass,
    _mass_cases,
    {
        "Rows without any right key count as zero in your mean. A query with nothing to find can "
        "neither find it nor miss it: leave its row out.": lambda weights, truth: (
            (weights * truth).sum(-1).mean(-1)
        ),
        "You average the weights of the right cells. Where a row has two of them they belong "
        "together: sum within a row, then average over rows.": lambda weights, truth: weights[
            :, truth
        ].mean(-1),
        "You average over the right keys of a row. They count together: two right keys with 0.3 "
        "each are a mass of 0.6.": lambda weights, truth: (
            (weights * truth).sum(-1) / truth.sum(-1).clamp_min(1)
        )[:, truth.any(-1)].mean(-1),
        "You return sums, which grow with the number of rows. A mass is a share between 0 and "
        "1.": lambda weights, truth: (weights * truth).sum((-1, -2)),
        "You return one number. Each head is marked by itself: a good head would disappear in "
        "the mean.": lambda weights, truth: _mass(weights, truth).mean(),
        "You average over all cells, also over those that are no truth.": lambda weights, truth: (
            weights * truth
        ).mean((-1, -2)),
        "You count how often the largest weight is right. That asks for the order; mass asks for "
        "the amount.": lambda weights, truth: (
            (truth.expand_as(weights).gather(-1, weights.argmax(-1, keepdim=True))[..., 0])[
                :, truth.any(-1)
            ]
            .float()
            .mean(-1)
        ),
        "You took the weight that lies *off* the truth.": lambda weights, truth: (
            1 - _mass(weights, truth)
        ),
        "Queries and keys are swapped: you sum over the queries. A row of the truth says what "
        "one query should find.": lambda weights, truth: (
            (weights * truth).sum(-2)[:, truth.any(-2)].mean(-1)
        ),
        "You return one number for each row. The last step is missing: the mean over the rows "
        "that have a truth.": lambda weights, truth: (weights * truth).sum(-1)[:, truth.any(-1)],
    },
    hints=(
        "How much of one row lies where it should? Then: which rows count?",
        "weights (H, L, S) times truth (L, S) -> summed over keys (H, L) -> the rows with a truth "
        "(H, R) -> mean (H,)",
        "rows = truth.any(-1); mass = <sum over keys of what lies on the truth>; return mass[:, "
        "rows].mean(-1)",
    ),
    minutes=10,
    difficulty=2,
)
