"""Exercises of "Scaled dot-product attention"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib import attention, attention_weights, causal_mask, masked_softmax
from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- softmax


def _divide_by_row_sum(numbers: Tensor) -> Tensor:
    return numbers / numbers.sum(-1, keepdim=True)


softmax = Exercise(
    "scaled-dot-product/softmax",
    lambda scores: F.softmax(scores, dim=-1),
    [
        (torch.tensor([[1.0, 3.0]]),),
        (torch.tensor([[0.0, 1.0], [2.0, 5.0]]),),
        (normal(3, 5),),
        (torch.tensor([[1000.0, 1001.0], [3.0, -1.0]]),),
        (normal(2, 3, 7) * 100,),
    ],
    {
        "The rows do not sum to one, the columns do. Look at the dimension over which you sum: "
        "one row holds the scores of one query.": lambda scores: F.softmax(scores, dim=-2),
        "All numbers together sum to one. Every row is a distribution of its own: keep the other "
        "dimensions apart when you sum.": lambda scores: F.softmax(scores.flatten(), dim=0).reshape(
            scores.shape
        ),
        "Right for small scores, but exp(1000) is infinite and infinity divided by infinity is "
        "NaN. What may you subtract from a row without changing the result?": lambda scores: (
            _divide_by_row_sum(scores.exp())
        ),
        "You subtract one number from the whole tensor. A row that lies far below it underflows "
        "to 0 / 0: subtract each row's own maximum.": lambda scores: _divide_by_row_sum(
            (scores - scores.max()).exp()
        ),
        "Right for matrices only: dimension 0 is the batch as soon as there is one. Count from the "
        "end: the last dimension is dim=-1.": lambda scores: F.softmax(
            scores, dim=0 if scores.ndim == 3 else -1
        ),
        "You divide by the sum of the whole tensor. Then all rows together share one whole; each "
        "row should have its own.": lambda scores: scores.exp() / scores.exp().sum(),
        "The sums have lost a dimension, so the division pairs them with columns, or fails. "
        "keepdim=True keeps the sums beside their rows.": lambda scores: (
            scores.exp() / scores.exp().sum(-1)
        ),
        "The shares are taken from the scores themselves, without the exponential. Then a negative "
        "score becomes a negative share.": _divide_by_row_sum,
    },
    hints=(
        "Three steps: exponentials, the sum of each row, a division. Then try a score of 1000.",
        "scores (..., S) -> largest (..., 1) -> exponentials (..., S) -> total (..., 1); "
        "keepdim=True keeps the 1.",
        "shifted = scores - <row maximum>; e = <exponential of shifted>; return e / <row sum of e>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- weights


def _weights(query: Tensor, key: Tensor, factor: float) -> Tensor:
    return F.softmax(query @ key.mT * factor, dim=-1)


weights = Exercise(
    "scaled-dot-product/weights",
    attention_weights,
    [
        (torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])),
        (normal(2, 3, seed=1), normal(5, 3, seed=2)),
        (normal(3, 16, seed=3), normal(5, 16, seed=4)),
        (normal(2, 5, 7, seed=5), normal(2, 3, 7, seed=6)),
    ],
    {
        "The scores are not divided by anything. The wider the vectors, the further the scores "
        "spread, and the softmax is too sure of itself.": lambda query, key: _weights(
            query, key, 1.0
        ),
        "You divide by D. The spread of the scores grows like the square root of D: divided by D "
        "itself, the weights come out too even.": lambda query, key: _weights(
            query, key, 1 / query.shape[-1]
        ),
        "You divide by the square root of a number of positions. It is the width of the vectors, "
        "their last dimension, that the dot product sums over.": lambda query, key: _weights(
            query, key, key.shape[-2] ** -0.5
        ),
        "The columns sum to one: the softmax runs over the queries. Each query shares out its "
        "attention among the keys.": lambda query, key: F.softmax(
            query @ key.mT * query.shape[-1] ** -0.5, dim=-2
        ),
        "Right for matrices. With a batch in front, dimension 1 is the queries: count from the "
        "end, dim=-1 is the keys.": lambda query, key: F.softmax(
            query @ key.mT * query.shape[-1] ** -0.5, dim=1
        ),
        "These are the scores, any real numbers. The softmax over the keys is still to "
        "come.": lambda query, key: query @ key.mT * query.shape[-1] ** -0.5,
        "`key.T` turns all dimensions around, and with a batch the shapes no longer fit. `key.mT` "
        "swaps the last two only.": lambda query, key: F.softmax(
            query @ key.permute(*range(key.ndim)[::-1]) * query.shape[-1] ** -0.5, dim=-1
        ),
        "You divide after the softmax, so the rows sum to less than one. The scores are divided, "
        "not the weights.": lambda query, key: (
            F.softmax(query @ key.mT, dim=-1) * query.shape[-1] ** -0.5
        ),
    },
    hints=(
        "Scores first: one product gives all of them at once.",
        "query (..., L, D) @ key transposed (..., D, S) -> scores (..., L, S); key.mT swaps the "
        "last two dimensions.",
        "scores = <product> / math.sqrt(<width>); return F.softmax(scores, dim=<the keys>)",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- context


def _context_of(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return attention(query, key, value)


context = Exercise(
    "scaled-dot-product/context",
    _context_of,
    [
        (torch.eye(2), torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 2.0]])),
        (normal(5, 3, seed=1), normal(5, 3, seed=2), normal(5, 3, seed=3)),
        (normal(3, 5, seed=4), normal(3, 5, seed=5), normal(3, 5, seed=6)),
        (normal(7, 3, seed=4), normal(7, 3, seed=5), normal(7, 3, seed=6)),
    ],
    {
        "Keys and values are swapped: you compare with the values and average the keys. The key "
        "is for comparing, the value is what is handed over.": lambda query, key, value: (
            _context_of(query, value, key)
        ),
        "You average the keys. The weights are right; what they mix should be the "
        "values.": lambda query, key, value: _context_of(query, key, key),
        "The weights are transposed: each row of your result mixes with the weights that a key "
        "receives, instead of those that a query gives.": lambda query, key, value: (
            attention_weights(query, key).mT @ value
        ),
        "Every value counts the same. The plain mean throws the weights away: multiply by them "
        "before you sum.": lambda query, key, value: value.mean(-2, keepdim=True).expand_as(value),
        "Queries and keys have changed places: the keys ask and the queries "
        "answer.": lambda query, key, value: _context_of(key, query, value),
        "The weights are sharper than they should be: here too the scores are divided by the "
        "square root of the width.": lambda query, key, value: attention(
            query, key, value, scale=1.0
        ),
        "You return the sum of the values times the raw scores. The scores must pass through the "
        "softmax first.": lambda query, key, value: (
            query @ key.mT * query.shape[-1] ** -0.5 @ value
        ),
    },
    hints=(
        "You have the weights from the exercise before. One more product remains.",
        "weights (L, S) @ value (S, Dv) -> context (L, Dv)",
        "return weights(query, key) @ <what is averaged>",
    ),
    minutes=5,
)


# ---------------------------------------------------------------- masked softmax


def _filled(number: float):
    def fill(scores: Tensor, mask: Tensor) -> Tensor:
        return F.softmax(scores.masked_fill(~mask, number), dim=-1)

    return fill


def _mask_cases() -> list[tuple[Tensor, Tensor]]:
    some = torch.tensor([[True, False, True], [True, True, False]])
    none = torch.tensor([[True, False], [False, False]])
    batch = normal(2, 3, 5, seed=3) > 0.3
    batch[1, 2] = False
    return [
        (torch.zeros(1, 2), torch.tensor([[True, False]])),
        (normal(2, 3, seed=1), some),
        (torch.tensor([[-150.0, 5.0]]), torch.tensor([[True, False]])),
        (normal(2, 2, seed=2), none),
        (normal(2, 3, 5, seed=4), batch),
    ]


masked_weights = Exercise(
    "scaled-dot-product/masked-weights",
    lambda scores, mask: masked_softmax(scores, mask),
    _mask_cases,
    {
        "The mask is upside down: you hide what may be seen. In this book True means "
        '"may attend".': lambda scores, mask: masked_softmax(scores, ~mask),
        "The forbidden weights are zero, but the rows sum to less than one: you mask after the "
        "softmax, when their share is already taken.": lambda scores, mask: (
            F.softmax(scores, dim=-1) * mask
        ),
        "A score of 0 is not small: exp(0) is 1, so a hidden key keeps its share. Which score has "
        "the exponential 0?": _filled(0.0),
        "Right, except for a row in which nothing is allowed: there you divide zero by zero and "
        "get NaN. Such a row should be all zeros.": _filled(-torch.inf),
        "Your number is not small enough: a score that is allowed may lie below it, and then the "
        "hidden key wins. No finite number is safe; which one is?": lambda scores, mask: F.softmax(
            scores.masked_fill(~mask, -100.0), dim=-1
        ).masked_fill(~mask.any(-1, keepdim=True), 0.0),
        "In a row in which nothing is allowed all scores become the same large negative number, "
        "and the softmax of equal scores is uniform: the query looks at everything it must not "
        "see.": _filled(-1e9),
    },
    hints=(
        "Minus infinity before the softmax, then look after the empty rows.",
        "mask.any(-1, keepdim=True) is (..., L, 1): True for rows that have something to see.",
        "w = softmax(<scores with -inf where not mask>); "
        "return w.masked_fill(<rows without anything>, 0.0)",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- causal mask


def _triangle(diagonal) -> Tensor:
    def build(L: int, S: int) -> Tensor:
        return torch.ones(L, S, dtype=torch.bool).tril(diagonal(L, S))

    return build


causal = Exercise(
    "scaled-dot-product/causal-mask",
    lambda L, S: causal_mask(L, S),
    [(2, 2), (3, 3), (2, 3), (3, 7), (1, 5)],
    {
        "Right for L = S. With more keys than queries the last query must see all keys: the "
        "queries are the newest positions, so the triangle sits at the bottom right.": _triangle(
            lambda L, S: 0
        ),
        "The mask is upside down: True marks the future. True should mark what may be "
        "seen.": lambda L, S: ~causal_mask(L, S),
        "A position does not see itself. The first query of a square mask would have nothing to "
        "look at: the diagonal belongs to the past.": _triangle(lambda L, S: S - L - 1),
        "One position of the future is visible: the diagonal is shifted by one too "
        "many.": _triangle(lambda L, S: S - L + 1),
        "`triu` keeps the upper triangle: the diagonal and the future. The past is the "
        "other one.": lambda L, S: torch.ones(L, S, dtype=torch.bool).triu(),
        "The shape is (S, L). Rows are queries and columns are keys.": lambda L, S: (
            causal_mask(L, S).T
        ),
        "The numbers are right, but the mask holds floats. A float mask is added to the scores "
        "by some functions; use booleans.": lambda L, S: causal_mask(L, S).float(),
    },
    hints=(
        "Query number i stands at position i + (S - L) of the sequence of keys.",
        "torch.ones(L, S, dtype=torch.bool) and .tril(diagonal=...) build it in one line.",
        "for L = 2, S = 3 the rows are [True, True, False] and [True, True, True]",
    ),
    minutes=8,
    difficulty=2,
)


# ---------------------------------------------------------------- cost

operations = Exercise(
    "scaled-dot-product/operations",
    lambda L, S, D, Dv: 2 * L * S * D + 2 * L * S * Dv,
    [(1, 1, 2, 3), (2, 3, 5, 7), (256, 256, 64, 64), (1, 1000, 64, 32)],
    {
        "You count multiplications only. Every product of two matrices multiplies and adds: two "
        "operations for each term.": lambda L, S, D, Dv: L * S * (D + Dv),
        "You count the scores, and forget the weighted sum of the values.": lambda L, S, D, Dv: (
            2 * L * S * D
        ),
        "You count the weighted sum, and forget the scores.": lambda L, S, D, Dv: 2 * L * S * Dv,
        "You count as if the values were as wide as the keys. They need not be: look at the second "
        "product again.": lambda L, S, D, Dv: 4 * L * S * D,
        "You count as if there were as many keys as queries.": lambda L, S, D, Dv: (
            2 * L * L * (D + Dv)
        ),
        "Cubic in the length, as one article says. No product here has three lengths in it: what "
        "is summed over is D once and S once.": lambda L, S, D, Dv: 2 * L * S * S * D,
    },
    hints=(
        "A product of an (a, b) and a (b, c) matrix has a x c results, each a sum of b products.",
        "Scores: (L, D) with (D, S). Context: (L, S) with (S, Dv).",
        "two times (first product) plus two times (second product); ignore the softmax",
    ),
    minutes=6,
)
