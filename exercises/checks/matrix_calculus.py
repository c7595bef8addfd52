"""Exercises of "Matrix calculus that is true"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- the Jacobian of a product


def _product_jacobian(A: Tensor, B: Tensor) -> Tensor:
    return torch.einsum("ik,lj->ijkl", torch.eye(len(A)), B)


product_jacobian = Exercise(
    "matrix-calculus/product-jacobian",
    _product_jacobian,
    [
        (torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]])),
        (normal(2, 3), normal(3, 5, seed=1)),
        (normal(3, 2, seed=2), normal(2, 4, seed=3)),
    ],
    {
        "That is the article's line: B has one number for each pair (l, j). The derivative has "
        "one for each pair of an entry of C and an entry of A.": lambda A, B: B,
        "Every row of C answers to every row of A here. Row i of C is made from row i of A "
        "alone: where is the delta?": lambda A, B: B.T[None, :, None, :].expand(
            len(A), B.shape[1], len(A), B.shape[0]
        ),
        "The right numbers, with the entry of A first. Order the indices (i, j, k, l): entry of "
        "C, then entry of A.": lambda A, B: _product_jacobian(A, B).permute(2, 3, 0, 1),
        "The last two indices are swapped: k counts rows of A and l its columns.": lambda A, B: (
            _product_jacobian(A, B).transpose(2, 3)
        ),
        "B stands the wrong way round: C[i, j] sums over l the products A[i, l] B[l, j], so the "
        "first index of B goes with l.": lambda A, B: torch.einsum(
            "ik,jl->ijkl", torch.eye(len(A)), B if B.shape[0] == B.shape[1] else B.T
        ),
        "This is the derivative with respect to B. Which of the two factors is moved here?": (
            lambda A, B: torch.einsum("ik,jl->ijkl", A, torch.eye(B.shape[1]))
        ),
    },
    hints=(
        "Move one entry A[k, l]. Which row of C moves, and by which row of B?",
        "A (N, M), B (M, P) -> (N, P, N, M), and entry [i, j, k, l] is 0 unless i = k",
        "return torch.einsum('ik,lj->ijkl', <identity>, <B>)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- gradients of a product


product_gradients = Exercise(
    "matrix-calculus/product-gradients",
    lambda A, B, G: (G @ B.T, A.T @ G),
    [
        (
            torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
            torch.tensor([[5.0, 6.0], [7.0, 8.0]]),
            torch.tensor([[1.0, 0.0], [2.0, -1.0]]),
        ),
        (normal(3, 3), normal(3, 3, seed=1), normal(3, 3, seed=2)),
        (normal(2, 3, seed=3), normal(3, 5, seed=4), normal(2, 5, seed=5)),
    ],
    {
        "The two results are swapped: first the gradient of A, with the shape of A.": (
            lambda A, B, G: (A.T @ G, G @ B.T)
        ),
        "B is not transposed. It fits as long as the matrices are square, and is wrong even "
        "then.": lambda A, B, G: (G @ B, A.T @ G),
        "A is not transposed. It fits as long as the matrices are square, and is wrong even "
        "then.": lambda A, B, G: (G @ B.T, A @ G),
        "The order of the factors is turned round. For C = AB the gradient of A keeps G on the "
        "left, where A stood.": lambda A, B, G: (B.T @ G, G @ A.T),
        "That is the article's rule: the gradient of A is not B, it depends on G, the gradient of "
        "the result.": lambda A, B, G: (B, A),
        "G is turned round instead of its partner. The shape of A tells which one must be.": (
            lambda A, B, G: (G.T @ B if len(A) == A.shape[1] == B.shape[1] else B @ G.T, A.T @ G)
        ),
        "Both factors are transposed and swapped: that is the transpose of what is wanted, and "
        "has the wrong shape as soon as sizes differ.": lambda A, B, G: (B @ G.T, G.T @ A),
    },
    hints=(
        "Write down three shapes that all differ. Which product of G and B has the shape of A?",
        "A (N, M), B (M, P), G (N, P) -> (N, M) and (M, P)",
        "return <G> @ <B turned round>, <A turned round> @ <G>",
    ),
    minutes=8,
    call=lambda answer, A, B, G: tuple(answer(A, B, G)),
)


# ---------------------------------------------------------------- backward through a softmax


softmax_backward = Exercise(
    "matrix-calculus/softmax-backward",
    lambda weights, g: weights * (g - (g * weights).sum(-1, keepdim=True)),
    [
        (torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])),
        (F.softmax(normal(5), dim=-1), normal(5, seed=1)),
        (F.softmax(normal(3, 7, seed=2), dim=-1), normal(3, 7, seed=3)),
        (F.softmax(normal(2, 3, 3, seed=4), dim=-1), normal(2, 3, 3, seed=5)),
    ],
    {
        "Only the diagonal of the table is there, as if every weight depended on its own score "
        "alone. The others move too: they share one whole.": lambda weights, g: (
            weights * (1 - weights) * g
        ),
        "The average is missing. A constant added to g must change nothing, because it moves all "
        "weights alike.": lambda weights, g: weights * g,
        "The average is a plain mean. Each key counts by its weight: it is the weighted average "
        "that a key is compared with.": lambda weights, g: weights * (g - g.mean(-1, keepdim=True)),
        "The average is taken over everything. Each row is a softmax of its own: keep the rows "
        "apart.": lambda weights, g: weights * (g - (g * weights).sum()),
        "The factor in front is missing: the push on a score is proportional to its weight.": (
            lambda weights, g: g - (g * weights).sum(-1, keepdim=True)
        ),
        "The sign is turned round. This is a gradient: it is positive where g lies above the "
        "average, and descent then lowers that score.": (
            lambda weights, g: weights * ((g * weights).sum(-1, keepdim=True) - g)
        ),
    },
    hints=(
        "Equation by equation: the table is diag(a) minus a times a. What is it times g?",
        "weights (..., S), g (..., S) -> average (..., 1) -> result (..., S)",
        "average = <sum of g times weights, kept as a column>\nreturn weights * (<g less that>)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- backward through attention


def _attention_gradients(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    G: Tensor,
    *,
    scaled: str = "both",
    average: bool = True,
    turned: bool = True,
    of_value_by_scores: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    scale = query.shape[-1] ** -0.5
    scores = scale * query @ key.T
    weights = F.softmax(scores, dim=-1)
    of_weights = G @ value.T
    of_scores = weights * of_weights
    if average:
        of_scores = of_scores - weights * of_scores.sum(-1, keepdim=True)
    of_query_scale = scale if scaled in ("both", "query") else 1.0
    back = scale if scaled == "both" else 1.0
    of_key = (of_scores.T if turned else of_scores) @ query
    of_value = (scores if of_value_by_scores else weights).T @ G
    return of_query_scale * of_scores @ key, back * of_key, of_value


def _wrong(**departure):
    return lambda query, key, value, G: _attention_gradients(query, key, value, G, **departure)


attention_gradients = Exercise(
    "matrix-calculus/attention-gradients",
    _attention_gradients,
    [
        (normal(2, 2), normal(2, 2, seed=1), normal(2, 2, seed=2), normal(2, 2, seed=3)),
        (normal(3, 5), normal(3, 5, seed=4), normal(3, 2, seed=5), normal(3, 2, seed=6)),
        (normal(3, 7), normal(5, 7, seed=7), normal(5, 2, seed=8), normal(3, 2, seed=9)),
    ],
    {
        "The gradients of query and key are too large by the root of D: the scale stands between "
        "them and the scores, going back as going forth.": _wrong(scaled="none"),
        "The gradient of the keys lacks the scale. It stood at the product of both, so both "
        "gradients pass through it.": _wrong(scaled="query"),
        "The softmax is left by the weights alone. Take the weighted average of its gradient "
        "away, row by row.": _wrong(average=False),
        "The gradient of the keys needs the scores' gradient turned round: a key collects from "
        "all queries. With as many queries as keys the shapes hide it.": _wrong(turned=False),
        "The gradient of the values is made with the scores. The values are averaged with the "
        "weights.": _wrong(of_value_by_scores=True),
        "The gradients of query and key are swapped.": lambda query, key, value, G: (
            lambda q, k, v: (k, q, v)
        )(*_attention_gradients(query, key, value, G)),
    },
    hints=(
        "Go backwards: the last product, the softmax, the first product. Two of them you have "
        "written already.",
        "G (L, Dv) -> of_weights (L, S) -> of_scores (L, S) -> of_query (L, D), of_key (S, D)",
        "of_value = <weights turned round> @ G\nof_weights = G @ <values turned round>\n"
        "of_scores = <exercise 3>\nreturn <scale times ...>, <scale times ...>, of_value",
    ),
    minutes=15,
    difficulty=3,
)


# ---------------------------------------------------------------- the largest learning rate


def _largest_rate(X: Tensor) -> Tensor:
    return 2 / torch.linalg.eigvalsh(2 / len(X) * X.T @ X).max()


def _curvature(X: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(2 / len(X) * X.T @ X).max()


largest_rate = Exercise(
    "matrix-calculus/largest-rate",
    _largest_rate,
    [
        (torch.tensor([[1.0], [1.0]]),),
        (torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),),
        (normal(7, 3),),
        (normal(11, 5, seed=1) * torch.tensor([1.0, 2.0, 3.0, 5.0, 7.0]),),
    ],
    {
        "That is 1 over the curvature: still safe, but twice as large a rate converges too.": (
            lambda X: _largest_rate(X) / 2
        ),
        "That is the curvature itself. The steeper the loss, the smaller the rate: the limit is 2 "
        "over it.": _curvature,
        "You take the smallest curvature. The steepest direction is the first to be overshot.": (
            lambda X: 2 / torch.linalg.eigvalsh(2 / len(X) * X.T @ X).min()
        ),
        "The mean over the examples is missing: the loss is divided by N, and so is its "
        "curvature.": lambda X: _largest_rate(X) / len(X),
        "The 2 of the square is missing in the curvature: the second derivative of a square "
        "is 2.": lambda X: 2 * _largest_rate(X),
        "You sum up all curvatures, which is the trace. They act in different directions; the "
        "largest one alone sets the limit.": lambda X: 2 / (2 / len(X) * X.T @ X).trace(),
        "That is the limit for the root of the curvature: a singular value of X must be "
        "squared.": lambda X: 2 / (2 / len(X) * torch.linalg.matrix_norm(X, 2)),
    },
    hints=(
        "What is the second derivative of the mean squared error of X w?",
        "X (N, F) -> second derivative (F, F) -> its largest eigenvalue, one number",
        "curvatures = torch.linalg.eigvalsh(<2 / N times X turned round times X>)\n"
        "return 2 / <the largest>",
    ),
    minutes=8,
    difficulty=2,
    call=lambda answer, X: float(answer(X)),
)
