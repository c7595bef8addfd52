"""Exercises of "Self-attention"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib import attention, attention_weights, causal_mask, padding_mask
from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- project and attend


def _self_attention(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> Tensor:
    return attention(x @ W_q, x @ W_k, x @ W_v)


def _scaled_by(width):
    def self_attention(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> Tensor:
        return attention(x @ W_q, x @ W_k, x @ W_v, scale=width(x, W_q) ** -0.5)

    return self_attention


def _projection_cases() -> list[tuple[Tensor, ...]]:
    sizes = [(2, 2, 1, 1), (3, 3, 3, 3), (5, 7, 3, 2), (2, 5, 3, 11)]  # L, width, D, Dv
    cases = []
    for seed, (L, width, D, Dv) in enumerate(sizes):
        shapes = ((L, width), (width, D), (width, D), (width, Dv))
        cases.append(tuple(normal(*s, seed=10 * seed + i) for i, s in enumerate(shapes)))
    return cases


project_and_attend = Exercise(
    "self-attention/project-and-attend",
    _self_attention,
    _projection_cases,
    {
        "The weights are right, but you average the rows of x. What is handed over is the value: "
        "x has a third projection.": lambda x, W_q, W_k, W_v: attention(x @ W_q, x @ W_k, x),
        "Queries and keys come from the same matrix, so place i wants j exactly as much as j wants "
        "i. There are two matrices for two roles.": lambda x, W_q, W_k, W_v: attention(
            x @ W_q, x @ W_q, x @ W_v
        ),
        "The two roles are exchanged: your rows are made from W_k and compared with W_q. Who asks "
        "stands in the rows.": lambda x, W_q, W_k, W_v: attention(x @ W_k, x @ W_q, x @ W_v),
        "You scale by the width of x. The dot product runs over the width of queries and keys, and "
        "that is what the root is about.": _scaled_by(lambda x, W_q: x.shape[-1]),
        "The scores are not scaled. With wide queries the softmax becomes too sure of "
        "itself.": _scaled_by(lambda x, W_q: 1),
        "You divide by the root of L, the number of places. The root belongs to the width of "
        "queries and keys: a longer sequence adds rows, not summands.": _scaled_by(
            lambda x, W_q: len(x)
        ),
        "You average the keys. They only say where to look; what is handed over is the value, "
        "which has a projection of its own.": lambda x, W_q, W_k, W_v: attention(
            x @ W_q, x @ W_k, x @ W_k
        ),
        "You multiply the values by the scores themselves. Scores may be negative and sum to "
        "anything; the softmax makes shares of them.": lambda x, W_q, W_k, W_v: (
            x @ W_q @ (x @ W_k).mT * W_q.shape[-1] ** -0.5 @ (x @ W_v)
        ),
        "You multiply from the left, which mixes the rows: that projects the sequence. A "
        "projection works on the features of one row and leaves the rows "
        "apart.": lambda x, W_q, W_k, W_v: attention(W_q @ x, W_k @ x, W_v @ x),
        "The columns of your weights sum to one. Each place shares out its attention among the "
        "keys, so the softmax runs along a row.": lambda x, W_q, W_k, W_v: (
            F.softmax(x @ W_q @ (x @ W_k).mT * W_q.shape[-1] ** -0.5, dim=-2) @ (x @ W_v)
        ),
    },
    hints=(
        "Three products make three matrices of L rows. The rest is the last chapter.",
        "x (L, width) @ W_q (width, D) -> query (L, D); key (L, D); value (L, Dv); weights (L, L)",
        "query, key, value = <three products>\n"
        "weights = softmax(<scores over the root of D>, dim=-1)\n"
        "return weights @ <what is handed over>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- positions


def _add_positions(numbers: Tensor, letters: Tensor, places: Tensor) -> Tensor:
    return letters[numbers] + places[: numbers.shape[1]]


def _position_cases() -> list[tuple[Tensor, ...]]:
    ones = torch.tensor([[1, 1]]), torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [2.0], [3.0]])
    cases = [ones]
    for seed, (B, L, V, P, width) in enumerate(((2, 3, 5, 7, 2), (3, 5, 7, 11, 4))):
        generator = torch.Generator().manual_seed(seed)
        numbers = torch.randint(V, (B, L), generator=generator)
        cases.append((numbers, normal(V, width, seed=seed + 5), normal(P, width, seed=seed + 7)))
    return cases


add_positions = Exercise(
    "self-attention/add-positions",
    _add_positions,
    _position_cases,
    {
        "The same letter gets the same vector at every place: the positions are missing, and with "
        "them the order.": lambda numbers, letters, places: letters[numbers],
        "You look up the place by the number of the letter. Equal letters then get equal "
        "positions; it is the column of `numbers` that says where a letter "
        "stands.": lambda numbers, letters, places: letters[numbers] + places[numbers],
        "The positions run along the batch: a whole word gets one position. They belong to the "
        "second dimension of the result, the one of length "
        "L.": lambda numbers, letters, places: letters[numbers] + places[: len(numbers), None],
        "Every place gets the first row of the table, so all places look "
        "alike.": lambda numbers, letters, places: letters[numbers] + places[0],
        "You take the last rows of the table. Place 0 is row 0, however long the table "
        "is.": lambda numbers, letters, places: (
            letters[numbers] + places[len(places) - numbers.shape[1] :]
        ),
        "You multiply. A place where the position is near 0 would then forget its letter; add the "
        "two.": lambda numbers, letters, places: letters[numbers] * places[: numbers.shape[1]],
        "You put the two side by side, so the width doubles and no longer fits the layer. Add "
        "them.": lambda numbers, letters, places: torch.cat(
            [letters[numbers], places[: numbers.shape[1]].expand(*numbers.shape, -1)], dim=-1
        ),
        "You add the number of the place itself to every feature. The table holds a vector for "
        "each place.": lambda numbers, letters, places: (
            letters[numbers] + torch.arange(numbers.shape[1])[:, None]
        ),
    },
    hints=(
        "letters[numbers] looks up a whole (B, L) of letters at once.",
        "letters[numbers] (B, L, width) + a part of places (L, width): broadcasting repeats it for "
        "every word of the batch.",
        "return letters[numbers] + places[<the first L rows>]",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- heads


def _split(x: Tensor, H: int) -> Tensor:
    return x.unflatten(-1, (H, -1)).transpose(1, 2)


def _numbered(B: int, L: int, width: int) -> Tensor:
    """Every element tells where it stands: 100 times the example, 10 the place, 1 the feature."""
    b, place, feature = torch.arange(B), torch.arange(L), torch.arange(width)
    return (100 * b[:, None, None] + 10 * place[:, None] + feature).float()


split_heads = Exercise(
    "self-attention/split-heads",
    _split,
    [
        (_numbered(1, 3, 4), 2),
        (_numbered(1, 3, 6), 3),
        (_numbered(2, 4, 6), 2),
        (normal(2, 5, 9), 3),
    ],
    {
        "The shape is right, the contents are not: a bare reshape cuts the sequence, so a head "
        "sees only some places. Look at the tens in the wanted head: every place is there. Cut the "
        "features first, then move the axis.": lambda x, H: x.reshape(
            len(x), H, x.shape[1], x.shape[2] // H
        ),
        "Your heads take every H-th feature. Head 0 gets the first D features, head 1 the next D: "
        "look at the order of the two sizes into which you cut.": lambda x, H: x.unflatten(
            -1, (-1, H)
        ).permute(0, 3, 1, 2),
        "The features are cut well, but heads and places still stand the wrong way round. Which "
        "two axes have to change places?": lambda x, H: x.unflatten(-1, (H, -1)),
        "The last two axes are exchanged: each head should be a table with one row for each "
        "place.": lambda x, H: _split(x, H).mT,
        "Heads and batch have become one axis. Keep them apart: masks and maps have a dimension of "
        "their own for heads.": lambda x, H: _split(x, H).flatten(0, 1),
        "The heads come before the batch. The batch stays first.": lambda x, H: _split(
            x, H
        ).transpose(0, 1),
        "You deal out the places among the heads and leave the features whole. It is the other way "
        "round: every head sees every place.": lambda x, H: x.unflatten(1, (H, -1)),
    },
    hints=(
        "Two steps: cut one axis in two, then exchange two axes.",
        "(B, L, width) -> (B, L, H, D) -> (B, H, L, D), with D = width / H",
        "cut = x.reshape(B, L, <heads>, <width of a head>)\nreturn cut.transpose(<two axes>)",
    ),
    minutes=8,
    difficulty=2,
)


def _merge(context: Tensor) -> Tensor:
    return context.transpose(1, 2).flatten(2)


def _view(context: Tensor) -> Tensor:
    B, H, L, D = context.shape
    return context.transpose(1, 2).view(B, L, H * D)


merge_heads = Exercise(
    "self-attention/merge-heads",
    _merge,
    [
        (_split(_numbered(1, 3, 4), 2).contiguous(),),
        (_split(_numbered(1, 3, 6), 3).contiguous(),),
        (_split(_numbered(2, 3, 4), 1).contiguous(),),
        (normal(2, 3, 5, 7),),
    ],
    {
        "The shape is right, but a row mixes several places: you joined axes that do not stand "
        "side by side. Bring heads and features together first.": lambda context: context.reshape(
            len(context), context.shape[2], -1
        ),
        "The features of the heads are shuffled together like two halves of a pack of cards. Head "
        "0 comes first as a whole, then head 1: which axis must stand "
        "last?": lambda context: context.permute(0, 2, 3, 1).flatten(2),
        "You average the heads. They answered different questions; keep all their features, side "
        "by side.": lambda context: context.mean(1),
        "You add the heads up. Mixing them is the work of the output projection; here they are put "
        "side by side.": lambda context: context.sum(1),
        "The heads follow one another along the sequence, which is now H times as long. Join along "
        "the features.": lambda context: context.flatten(1, 2),
        "You stop one step early: the last two axes are not joined yet.": lambda context: (
            context.transpose(1, 2)
        ),
        "`view` refuses, because after a transpose the numbers no longer lie in memory in this "
        "order. `reshape` and `flatten` copy them when they must.": _view,
    },
    hints=(
        "The way back of the exercise before: exchange two axes, then join two.",
        "(B, H, L, D) -> (B, L, H, D) -> (B, L, H * D)",
        "return context.transpose(<two axes>).flatten(<from which axis>)",
    ),
    minutes=5,
    difficulty=2,
)


# ---------------------------------------------------------------- padding


def _padded_weights(query: Tensor, key: Tensor, lengths: Tensor) -> Tensor:
    return attention_weights(query, key, padding_mask(lengths, key.shape[-2]))


def _with_mask(mask):
    """The weights under another boolean mask (B, S) -> anything that broadcasts."""

    def weights(query: Tensor, key: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(key.shape[-2]) < lengths[:, None]
        scores = query @ key.mT * query.shape[-1] ** -0.5
        return F.softmax(scores.masked_fill(~mask(real), -torch.inf), dim=-1)

    return weights


def _mask_late(query: Tensor, key: Tensor, lengths: Tensor) -> Tensor:
    return attention_weights(query, key) * padding_mask(lengths, key.shape[-2])


def _mask_with_zero(query: Tensor, key: Tensor, lengths: Tensor) -> Tensor:
    scores = query @ key.mT * query.shape[-1] ** -0.5
    return F.softmax(scores * padding_mask(lengths, key.shape[-2]), dim=-1)


def _mask_rows_with_billion(query: Tensor, key: Tensor, lengths: Tensor) -> Tensor:
    scores = query @ key.mT * query.shape[-1] ** -0.5
    return F.softmax(scores.masked_fill(~padding_mask(lengths, key.shape[-2]).mT, -1e9), dim=-1)


def _mask_with_hundred(query: Tensor, key: Tensor, lengths: Tensor) -> Tensor:
    scores = query @ key.mT * query.shape[-1] ** -0.5
    return F.softmax(scores.masked_fill(~padding_mask(lengths, key.shape[-2]), -100), dim=-1)


def _zero_rows(query: Tensor, key: Tensor, lengths: Tensor) -> Tensor:
    return _padded_weights(query, key, lengths) * padding_mask(lengths, key.shape[-2]).mT


def _padding_cases() -> list[tuple[Tensor, Tensor, Tensor]]:
    sizes = [
        (1, 1, 3, 2, [2]),
        (2, 2, 3, 5, [3, 1]),  # as many heads as examples: a lost axis goes unnoticed
        (3, 2, 3, 5, [1, 3, 2]),  # as many places as examples: likewise
        (2, 3, 5, 7, [4, 2]),
    ]
    cases = [
        (
            normal(B, H, L, D, seed=2 * i),
            normal(B, H, L, D, seed=2 * i + 1),
            torch.tensor(lengths),
        )
        for i, (B, H, L, D, lengths) in enumerate(sizes)
    ]
    # Scores near -2000, -8 and 2000, all exact in float32: nothing but -inf is surely smaller.
    query, key = torch.zeros(2, 1, 1, 3, 4)
    query[..., 0] = torch.tensor([1000.0, 4.0, -1000.0])
    key[..., 0] = torch.tensor([-4.0, -4.0 - 2**-9, 3.0])
    return [*cases, (query, key, torch.tensor([2]))]


padded_weights = Exercise(
    "self-attention/padded-weights",
    _padded_weights,
    _padding_cases,
    {
        'You hide the real keys and show the padding. In this book True means "may attend": '
        "check which side of the comparison you fill.": _with_mask(
            lambda real: ~real[:, None, None, :]
        ),
        "The padded rows are masked, the padded columns are not. Padding must not be looked "
        "at, so the mask belongs to the keys. Padded queries look at the real keys like all "
        "others; masked they become NaN, which poisons every gradient.": _with_mask(
            lambda real: real[:, None, :, None]
        ),
        "You fill the rows of the padded queries, not the columns of the padded keys. A row of "
        "equal scores is shared out evenly, and the real places still look at "
        "padding.": _mask_rows_with_billion,
        "Padded rows and padded columns are both masked. Then a padded row has nothing left to "
        "look at and becomes NaN. Masking the keys is enough.": _with_mask(
            lambda real: real[:, None, :, None] & real[:, None, None, :]
        ),
        "The rows of the padded queries are 0. They too share out one among the real keys: hide "
        "the keys and nothing else. It is the loss that leaves such rows out.": _zero_rows,
        "You hide the future as well. That is another mask, for writing one letter after the "
        "other; here a place may look at all real letters.": lambda query, key, lengths: (
            attention_weights(
                query, key, padding_mask(lengths, key.shape[-2]) & causal_mask(key.shape[-2])
            )
        ),
        "The padded weights are 0, but the rows sum to less than one. The padding took its share "
        "in the softmax; it must be hidden before.": _mask_late,
        "A score of 0 is not small: exp(0) is 1, and the padding keeps a share. Which score has "
        "the exponential 0?": _mask_with_zero,
        "Padding is filled with a number such as -100, and here real scores lie below it: the "
        "padding wins. Which score is smaller than every other?": _mask_with_hundred,
        "The scores are not divided by the root of D; the mask is right.": (
            lambda query, key, lengths: attention_weights(
                query, key, padding_mask(lengths, key.shape[-2]), scale=1.0
            )
        ),
        "Every word gets the length of the longest one. Each has its own: compare before you take "
        "a maximum.": lambda query, key, lengths: _padded_weights(
            query, key, lengths.max().expand(len(lengths))
        ),
        "One padded key is still visible: a word of length n has the places 0 to n - 1.": (
            lambda query, key, lengths: _padded_weights(
                query, key, (lengths + 1).clamp(max=key.shape[-2])
            )
        ),
        "A mask of shape (B, S) is read as (L, S): the last axes are matched first. It fits by "
        "accident when B equals L, and then each place gets the mask of another word. Add the "
        "axes of heads and queries.": _with_mask(lambda real: real),
        "A mask of shape (B, 1, S) is read as (H, 1, S). It fits by accident when there are as "
        "many heads as words, and then each head gets the mask of another word. One axis is "
        "missing.": _with_mask(lambda real: real[:, None, :]),
        "The mask is missing: the padding gets attention like any other "
        "key.": lambda query, key, lengths: attention_weights(query, key),
    },
    hints=(
        "Which keys are real? Compare torch.arange(S) with the lengths.",
        "torch.arange(S) < lengths[:, None] is (B, S), True = real\n"
        "scores are (B, H, L, S)\n"
        "Which axes does the mask lack, and where do they stand? Indexing with None adds an axis.",
        "mask = (<comparison>)[<the axes that are there, None where one is missing>]\n"
        "scores = scores.masked_fill(<where it is not allowed>, <minus infinity>)\n"
        "return softmax(scores, dim=<the keys>)",
    ),
    minutes=14,
    difficulty=3,
)


# ---------------------------------------------------------------- marking


def _mass(weights: Tensor, truth: Tensor) -> Tensor:
    on_truth = (weights * truth[:, None]).sum(-1)  # (B, H, L)
    return on_truth.sum((0, 2)) / truth.any(-1).sum()


def _hits(weights: Tensor, truth: Tensor) -> Tensor:
    chosen = F.one_hot(weights.argmax(-1), weights.shape[-1])
    return _mass(chosen.to(weights.dtype), truth)


def _by_word(weights: Tensor, truth: Tensor) -> Tensor:
    words = [_mass(w[None], t[None]) for w, t in zip(weights, truth, strict=True)]
    return torch.stack(words).mean(0)


def _without_head_axis(weights: Tensor, truth: Tensor) -> Tensor:
    return (weights * truth).sum((0, 2, 3)) / truth.any(-1).sum()


def _mark_cases() -> list[tuple[Tensor, Tensor]]:
    """Maps of words that look one place ahead; the last real place has nothing to look at.

    In two cases a row has two right keys, so that rows, cells and columns differ in number.
    """
    small = torch.tensor([[[[0.2, 0.8], [0.6, 0.4]]]]), torch.tensor([[[0, 1], [0, 0]]]).bool()
    weights = torch.tensor([[[[0.25, 0.25, 0.5], [0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]]])
    cases = [
        small,
        (weights, torch.tensor([[[0, 1, 1], [0, 0, 0], [0, 0, 0]]]).bool()),
        (weights, torch.tensor([[[1, 1, 0], [0, 1, 0], [0, 0, 0]]]).bool()),
    ]
    for seed, (H, L, lengths) in enumerate(((2, 3, [3]), (2, 5, [5, 3]), (3, 7, [4, 7]))):
        place = torch.arange(L)
        ahead = place[:, None] + 1 == place  # (L, L)
        truth = torch.stack([ahead & (place < n) for n in lengths])
        scores = 2 * normal(len(lengths), H, L, L, seed=seed)
        cases.append((F.softmax(scores, dim=-1), truth))
    return cases


mark_map = Exercise(
    "self-attention/mark-map",
    _mass,
    _mark_cases,
    {
        "You count how often the largest weight is on the truth. A weight of 0.4 may be the "
        "largest and still leave 0.6 elsewhere: add up the weights themselves.": _hits,
        "You average over all rows. A row without a truth (padding, or nothing to look at) cannot "
        "score, and drags the mark down: divide by the rows that have one.": (
            lambda weights, truth: (weights * truth[:, None]).sum(-1).mean((0, 2))
        ),
        "You divide by the number of Trues. A row may have several right keys, whose weights add "
        "up to one mark: count rows, not cells.": lambda weights, truth: (
            (weights * truth[:, None]).sum((0, 2, 3)) / truth.sum()
        ),
        "You count the columns that hold a True. Rows ask and get the mark: over which axis does "
        "`any` run?": lambda weights, truth: (
            (weights * truth[:, None]).sum((0, 2, 3)) / truth.any(-2).sum()
        ),
        "You average over all cells of the table, and most of them are not meant to hold anything. "
        "Sum along a row first.": lambda weights, truth: (weights * truth[:, None]).mean((0, 2, 3)),
        "You average over the heads as well. One head may be right while another is not: give each "
        "its own mark.": lambda weights, truth: _mass(weights, truth).mean(),
        "You add up the mass of all heads. Each gets its own mark, so the axis of heads must "
        "survive the sum.": lambda weights, truth: _mass(weights, truth).sum(),
        "truth (B, L, L) has no axis for heads, so its B is matched with H. It fits by accident "
        "when they agree, or when there is one word; add an axis.": _without_head_axis,
        "You add up the mass and forget to divide. A mark lies between 0 and 1.": (
            lambda weights, truth: (weights * truth[:, None]).sum((0, 2, 3))
        ),
        "Rows and columns are exchanged: the row of the truth is who asks, its column is who "
        "should be looked at.": lambda weights, truth: _mass(weights, truth.mT),
        "Each word counts the same in your mean, so the rows of a short word weigh more. All rows "
        "with a truth count alike: one sum, one division.": _by_word,
    },
    hints=(
        "truth has no axis for heads yet; truth[:, None] adds one.",
        "weights * truth[:, None] is (B, H, L, L)\n"
        "summed over the keys (B, H, L)\n"
        "summed over words and rows (H,)",
        "rows = truth.any(-1).sum()\nreturn <mass of each head> / rows",
    ),
    minutes=10,
    difficulty=2,
)
