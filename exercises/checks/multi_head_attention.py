"""Exercises of "Multi-head attention"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib import attention
from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- one head


def _one_head(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, h: int, H: int) -> Tensor:
    D = W_q.shape[1] // H
    part = slice(h * D, (h + 1) * D)
    return attention(x @ W_q[:, part], x @ W_k[:, part], x @ W_v[:, part])


def _rows_of_matrices(x, W_q, W_k, W_v, h, H):
    D = W_q.shape[1] // H
    part = slice(h * D, (h + 1) * D)
    x = x[:, part]
    return attention(x @ W_q[part], x @ W_k[part], x @ W_v[part])[:, part]


def _rows_transposed(x, W_q, W_k, W_v, h, H):
    D = W_q.shape[1] // H
    part = slice(h * D, (h + 1) * D)
    return attention(x @ W_q[part].T, x @ W_k[part].T, x @ W_v[part].T)


def _cut_features(x, W_q, W_k, W_v, h, H):
    D = W_q.shape[1] // H
    part = slice(h * D, (h + 1) * D)
    return attention(x[:, part] @ W_q[part], x[:, part] @ W_k[part], x[:, part] @ W_v[part])


def _cut_both(x, W_q, W_k, W_v, h, H):
    D = W_q.shape[1] // H
    part = slice(h * D, (h + 1) * D)
    q, k, v = (x[:, part] @ W[part, part] for W in (W_q, W_k, W_v))
    return attention(q, k, v)


def _every_other_feature(x, W_q, W_k, W_v, h, H):
    part = slice(h, None, H)
    return attention(x @ W_q[:, part], x @ W_k[:, part], x @ W_v[:, part])


def _cut_places(x, W_q, W_k, W_v, h, H):
    size = len(x) // H
    x = x[h * size : (h + 1) * size]
    return attention(x @ W_q, x @ W_k, x @ W_v)


def _whole_scores(x, W_q, W_k, W_v, h, H):
    D = W_q.shape[1] // H
    return attention(x @ W_q, x @ W_k, x @ W_v)[:, h * D : (h + 1) * D]


def _whole_value(x, W_q, W_k, W_v, h, H):
    D = W_q.shape[1] // H
    part = slice(h * D, (h + 1) * D)
    return attention(x @ W_q[:, part], x @ W_k[:, part], x @ W_v)


def _slice_of(start):
    def one_head(x, W_q, W_k, W_v, h, H):
        D = W_q.shape[1] // H
        part = slice(start(h, D, H), start(h, D, H) + D)
        return attention(x @ W_q[:, part], x @ W_k[:, part], x @ W_v[:, part])

    return one_head


def _bare_reshape(x, W_q, W_k, W_v, h, H):
    q, k, v = ((x @ W).reshape(H, len(x), -1)[h] for W in (W_q, W_k, W_v))
    return attention(q, k, v)


def _scale_by_width(x, W_q, W_k, W_v, h, H):
    width = W_q.shape[1]
    part = slice(h * width // H, (h + 1) * width // H)
    return attention(x @ W_q[:, part], x @ W_k[:, part], x @ W_v[:, part], scale=width**-0.5)


def _no_scale(x, W_q, W_k, W_v, h, H):
    D = W_q.shape[1] // H
    part = slice(h * D, (h + 1) * D)
    return attention(x @ W_q[:, part], x @ W_k[:, part], x @ W_v[:, part], scale=1.0)


def _head_cases():
    cases = []
    for i, (L, width, h, H) in enumerate(
        ((2, 4, 1, 2), (6, 6, 1, 3), (5, 12, 0, 4), (4, 12, 2, 3))
    ):
        matrices = [normal(width, width, seed=10 * i + j) for j in range(3)]
        cases.append((normal(L, width, seed=10 * i + 9), *matrices, h, H))
    return cases


one_head = Exercise(
    "multi-head-attention/one-head",
    _one_head,
    _head_cases,
    {
        "You cut the input: a head would know a part of the features of each place only. Every "
        "head reads all of x; what is cut is the matrix, by columns.": _rows_of_matrices,
        "You take rows of the matrices and transpose them, as nn.Linear would keep them. Here x "
        "stands on the left of a plain matrix, x @ W: a feature of the result is a "
        "column.": _rows_transposed,
        "You cut the features of x and take the rows of the matrices that fit. The result is as "
        "wide as x; a head reads all of x and makes D features.": _cut_features,
        "You cut twice, the features of x and the matrices: your head reads D features of each "
        "place only. It should read all of them.": _cut_both,
        "Your head takes every H-th column. Head 0 owns the first D columns, head 1 the next "
        "D.": _every_other_feature,
        "You cut the sequence. Every head sees all places; the columns of the matrices are shared "
        "out among the heads.": _cut_places,
        "A bare reshape to (H, L, D) cuts the sequence: your head holds a few places, with their "
        "features mixed up. Cut the columns.": _bare_reshape,
        "The scores are summed over all features, so all heads have the same map, and only the "
        "values are cut. Queries and keys of a head are D wide too.": _whole_scores,
        "Queries and keys are cut, the value is not: each head would hand over the features of all "
        "heads.": _whole_value,
        "You always take the first D columns, whichever head is asked for.": _slice_of(
            lambda h, D, H: 0
        ),
        "You count the heads from the end. Head 0 owns the first columns.": _slice_of(
            lambda h, D, H: (H - 1 - h) * D
        ),
        "Column h is where you begin. Head h begins at column h times D.": _slice_of(
            lambda h, D, H: h
        ),
        "You scale by the root of the whole width. The dot product of a head runs over its own D "
        "features.": _scale_by_width,
        "The scores are not scaled. Every head divides by the root of its width D.": _no_scale,
    },
    hints=(
        "Which columns belong to head h? There are F / H of them.",
        "x (L, F) @ W_q[:, part] (F, D) -> (L, D), and the same for keys and values",
        "D = <width of a head>\npart = slice(<first column>, <one past the last>)\n"
        "return attention(x @ W_q[:, part], ...)",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- parameters


def _count(F: int, H: int, G: int) -> int:
    D = F // H
    return 2 * (F * F + F) + 2 * (F * G * D + G * D)


parameters = Exercise(
    "multi-head-attention/parameters",
    _count,
    [(4, 2, 2), (6, 3, 1), (64, 8, 8), (512, 8, 2)],
    {
        "Your count grows with the number of heads. Each head is F / H wide, so all heads together "
        "are as wide as one.": lambda F, H, G: 2 * H * (F * F + F) + 2 * G * (F * F + F),
        "One output projection for all heads is right, but in your count each head makes queries, "
        "keys and values of the whole width F. They are F / H wide.": lambda F, H, G: (
            (H + 2 * G) * (F * F + F) + F * F + F
        ),
        "The output projection is missing, as in one of the articles: without it heads could not "
        "be mixed.": lambda F, H, G: _count(F, H, G) - (F * F + F),
        "The count is right, but it is a float: F / H makes one. Heads are whole numbers of "
        "features wide: F // H.": lambda F, H, G: float(_count(F, H, G)),
        "The biases are missing: each of the four projections adds one number to every feature it "
        "makes.": lambda F, H, G: 2 * F * F + 2 * F * G * (F // H),
        "You give all heads keys and values of their own. With G groups there are only G of them, "
        "each of width F / H.": lambda F, H, G: 4 * (F * F + F),
        "The keys are shared and the values are not in your count. Both have G heads.": (
            lambda F, H, G: 3 * (F * F + F) + F * G * (F // H) + G * (F // H)
        ),
        "The output projection is as narrow as the keys in your count. It reads the contexts of "
        "all H heads of queries.": lambda F, H, G: (
            F * F + F + 2 * (F * G * (F // H) + G * (F // H)) + F * G * (F // H) + F
        ),
        "A head of keys is F / H wide, not F / G: dividing keys among fewer heads does not make "
        "them wider, since a query of width F / H must fit.": lambda F, H, G: (
            2 * (F * F + F) + 2 * (F * (F // G) + F // G)
        ),
    },
    hints=(
        "Four projections. A projection from a features to b features has a * b + b parameters.",
        "queries F -> F; keys and values F -> G * D each, with D = F / H; output F -> F",
        "return 2 * <projection of width F> + 2 * <projection to G heads>",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- summands


def _summands(context: Tensor, W_o: Tensor) -> Tensor:
    rows = W_o.unflatten(0, (context.shape[1], -1))  # (H, D, F)
    return torch.einsum("bhld,hdf->bhlf", context, rows)


def _with_rows(rows):
    def summands(context: Tensor, W_o: Tensor) -> Tensor:
        return torch.einsum("bhld,hdf->bhlf", context, rows(W_o, context.shape[1]))

    return summands


def _shared_part(context: Tensor, W_o: Tensor) -> Tensor:
    total = _summands(context, W_o).sum(1, keepdim=True)
    return (total / context.shape[1]).expand(-1, context.shape[1], -1, -1)


def _padded(context: Tensor, W_o: Tensor) -> Tensor:
    B, H, L, D = context.shape
    wide = context.new_zeros(B, H, L, H * D)
    for h in range(H):
        wide[:, h, :, h * D : (h + 1) * D] = context[:, h]
    return wide


summands = Exercise(
    "multi-head-attention/summands",
    _summands,
    [
        (torch.tensor([[[[1.0]], [[2.0]]]]), torch.tensor([[1.0, 10.0], [100.0, 1000.0]])),
        (normal(1, 2, 3, 2, seed=1), normal(4, 4, seed=2)),
        (normal(2, 3, 5, 2, seed=3), normal(6, 6, seed=4)),
        (normal(3, 2, 4, 5, seed=5), normal(10, 10, seed=6)),
    ],
    {
        "You take columns of W_o. Here the context stands on the left, x @ W_o, so it is the "
        "*rows* of W_o that belong to its features.": _with_rows(
            lambda W, H: W.T.unflatten(0, (H, -1))
        ),
        "You cut the columns of W_o into heads and transpose each block: your matrices have the "
        "right shape and the wrong numbers. Keep the rows together: (H, D, F) needs no "
        "transposition.": _with_rows(lambda W, H: W.reshape(H, W.shape[1], -1).mT),
        "Every head gets the first D rows. Head h owns the rows h * D to (h + 1) * D.": _with_rows(
            lambda W, H: W.unflatten(0, (H, -1))[:1].expand(H, -1, -1)
        ),
        "Your heads take every H-th row. In the concatenation the features of a head lie side by "
        "side: head 0 owns the first D rows.": _with_rows(
            lambda W, H: W.unflatten(0, (-1, H)).transpose(0, 1)
        ),
        "The heads are in the reverse order: head 0 owns the first D rows.": _with_rows(
            lambda W, H: W.unflatten(0, (H, -1)).flip(0)
        ),
        "You return the sum. Keep the summands apart: the result has an axis of heads.": (
            lambda context, W_o: _summands(context, W_o).sum(1)
        ),
        "All heads get an equal share of the output. A head that hands over nothing must add "
        "nothing.": _shared_part,
        "You put each context into its own features and stop. It has to pass through W_o, which is "
        "what lets a head write anywhere.": _padded,
        "Heads and places have changed places in the result. The order is (B, H, L, F), as in the "
        "context.": lambda context, W_o: _summands(context, W_o).transpose(1, 2),
    },
    hints=(
        "W_o has H times D rows. Which D of them does head h meet?",
        "context[:, h] (B, L, D) @ <rows of head h> (D, F) -> (B, L, F)",
        "parts = [context[:, h] @ W_o[<rows of head h>] for h in range(H)]\n"
        "return torch.stack(parts, dim=<where the heads stand>)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- shared keys


def _share(keys: Tensor, H: int) -> Tensor:
    return keys.repeat_interleave(H // keys.shape[1], dim=1)


def _cut_wide(keys: Tensor, H: int) -> Tensor:
    B, G, S, D = keys.shape
    return keys.reshape(B, G, S, H // G, D * G // H).transpose(2, 3).flatten(1, 2)


share_keys = Exercise(
    "multi-head-attention/share-keys",
    _share,
    [
        (torch.tensor([[[[1.0]], [[2.0]]]]), 4),
        (normal(2, 1, 3, 5, seed=1), 3),
        (normal(2, 3, 3, 2, seed=2), 6),
        (normal(1, 2, 5, 4, seed=3), 2),
        (normal(3, 2, 7, 6, seed=4), 6),
    ],
    {
        "The order is 0, 1, 0, 1. Neighbouring heads of queries share one head of keys: 0, 0, 1, "
        "1. Which function repeats each element before it goes on to the next?": lambda keys, H: (
            keys.repeat(1, H // keys.shape[1], 1, 1)
        ),
        "You repeat H times. Each head of keys serves H / G heads of queries, so that there are H "
        "in all.": lambda keys, H: keys.repeat_interleave(H, dim=1),
        "You repeat the places. It is the axis of heads that has to grow.": lambda keys, H: (
            keys.repeat_interleave(H // keys.shape[1], dim=2)
        ),
        "Everybody gets the first head of keys. That is right for G = 1 only.": lambda keys, H: (
            keys[:, :1].expand(-1, H, -1, -1)
        ),
        "Everybody gets the mean of the heads of keys. Groups keep keys of their "
        "own.": lambda keys, H: keys.mean(1, keepdim=True).expand(-1, H, -1, -1),
        "You cut each head of keys into narrower ones. A query of width D needs a key of width D: "
        "repeat, do not cut.": _cut_wide,
        "You repeat the batch. Examples do not share anything; heads do.": lambda keys, H: (
            keys.repeat_interleave(H // keys.shape[1], dim=0)
        ),
        "The last heads get no keys but zeros. Every head of queries belongs to a "
        "group.": lambda keys, H: F.pad(keys, (0, 0, 0, 0, 0, H - keys.shape[1])),
    },
    hints=(
        "How many heads of queries does one head of keys serve?",
        "keys (B, G, S, D) -> (B, H, S, D): heads 0 to H/G - 1 are all head 0 of the keys",
        "used = [<head of keys> for each of the H heads of queries]\n"
        "return torch.stack([keys[:, g] for g in used], dim=<the axis of heads>)",
    ),
    minutes=6,
    difficulty=1,
)


# ---------------------------------------------------------------- the shuffle test


def _error(shuffled: Tensor, wanted: Tensor) -> Tensor:
    return (shuffled - wanted).abs().max()


def _shuffle_error(layer, x: Tensor, order: Tensor) -> Tensor:
    return _error(layer(x[:, order]), layer(x)[:, order])


class _Layer:
    """A function of x with a name, which is what a learner sees of it."""

    def __init__(self, name: str, function) -> None:
        self.name, self.function = name, function

    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x)

    def __repr__(self) -> str:
        return self.name


def _attend(name: str, split, merge) -> _Layer:
    """A layer without projections, for three heads."""

    def forward(x: Tensor) -> Tensor:
        heads = split(x)
        return merge(attention(heads, heads, heads))

    return _Layer(name, forward)


def _split(x: Tensor) -> Tensor:
    return x.unflatten(-1, (3, -1)).transpose(1, 2)


def _merge(context: Tensor) -> Tensor:
    return context.transpose(1, 2).flatten(2)


def _bad_split(x: Tensor) -> Tensor:
    return x.reshape(len(x), 3, x.shape[1], -1)


def _bad_merge(context: Tensor) -> Tensor:
    return context.reshape(len(context), context.shape[2], -1)


def _shuffle_cases():
    right = _attend("a right layer", _split, _merge)
    wrong = _attend("a layer that mixes places when it splits", _bad_split, _merge)
    late = _attend("a layer that mixes places when it merges", _split, _bad_merge)
    sums = _Layer("running sums over the places", lambda x: x.cumsum(1))
    order = torch.tensor([3, 0, 4, 1, 2])
    return [
        (right, normal(1, 3, 6), torch.tensor([1, 2, 0])),
        (wrong, normal(1, 3, 6), torch.tensor([1, 2, 0])),
        (late, normal(2, 5, 6, seed=2), order),
        (wrong, normal(5, 5, 12, seed=3), order),
        (right, normal(5, 5, 12, seed=4), order),
        (sums, normal(2, 5, 6, seed=5), order),
    ]


def _as_number(function, *arguments):
    """A float and a tensor without dimensions are the same answer."""
    result = function(*arguments)
    if isinstance(result, Tensor) and result.ndim == 0:
        return result.item()
    return result


shuffle_error = Exercise(
    "multi-head-attention/shuffle-error",
    _shuffle_error,
    _shuffle_cases,
    {
        "You expect the output to stay where it was. When the places are shuffled the output must "
        "be shuffled alike: one of your two sides still lacks the order.": lambda layer, x, order: (
            _error(layer(x[:, order]), layer(x))
        ),
        "You shuffle the shuffled output once more instead of undoing it. Put the order on the "
        "output of the plain x.": lambda layer, x, order: _error(
            layer(x[:, order])[:, order], layer(x)
        ),
        "You run the layer on the plain x only. Its output, shuffled, is to be compared with the "
        "output for a shuffled x.": lambda layer, x, order: _error(layer(x)[:, order], layer(x)),
        "You shuffle features. A projection is free to treat features differently; it is the "
        "places, axis 1, that must be treated alike.": lambda layer, x, order: _error(
            layer(x.roll(1, dims=-1)), layer(x).roll(1, dims=-1)
        ),
        "You shuffle the examples of the batch. They never meet, so even a faulty layer gets 0. "
        "Shuffle axis 1.": lambda layer, x, order: _error(layer(x.flip(0)), layer(x).flip(0)),
        "You compare the input with the output. The layer runs on both sides.": (
            lambda layer, x, order: _error(layer(x[:, order]), x[:, order])
        ),
        "You return the mean. A single place that is wrong would hardly show among many: take the "
        "largest difference.": lambda layer, x, order: (
            (layer(x[:, order]) - layer(x)[:, order]).abs().mean()
        ),
        "Differences of both signs are there, and you take the largest without looking at the "
        "negative ones: take absolute values first.": lambda layer, x, order: (
            layer(x[:, order]) - layer(x)[:, order]
        ).max(),
    },
    hints=(
        "Run the layer twice: on x, and on x with its places shuffled. What should agree?",
        "x[:, order] shuffles the places of all examples\nlayer(x) is (B, L, F) like x",
        "shuffled = layer(<shuffled x>)\nwanted = layer(x)<shuffled alike>\n"
        "return (shuffled - wanted)<absolute><largest>",
    ),
    minutes=10,
    difficulty=2,
    call=_as_number,
)
