"""Exercises of "Cross- and co-attention"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib import attention, attention_weights, masked_softmax
from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- cross-attention


def _cross(x, y, W_q, W_k, W_v):
    return attention(x @ W_q, y @ W_k, y @ W_v)


def _cross_cases():
    eye = torch.eye(2)
    yield torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 2.0]]), eye, eye, eye
    for L, S, F_, D, seed in ((2, 3, 4, 5, 10), (5, 2, 3, 7, 20), (3, 6, 5, 4, 30)):
        yield (
            normal(L, F_, seed=seed),
            normal(S, F_, seed=seed + 1),
            normal(F_, D, seed=seed + 2),
            normal(F_, D, seed=seed + 3),
            normal(F_, D, seed=seed + 4),
        )


cross_context = Exercise(
    "cross-attention/cross-context",
    _cross,
    _cross_cases,
    {
        "The two sequences have changed places: the result has a row for each position of `y`. Who "
        "asks, and who is looked at?": lambda x, y, W_q, W_k, W_v: _cross(y, x, W_q, W_k, W_v),
        "`x` looks at itself and `y` is never read: that is self-attention. Which two of the three "
        "come from the other sequence?": lambda x, y, W_q, W_k, W_v: _cross(x, x, W_q, W_k, W_v),
        "The queries are the right ones, but the matrices of keys and values are swapped: the key "
        "is for comparing, the value is handed over.": lambda x, y, W_q, W_k, W_v: _cross(
            x, y, W_q, W_v, W_k
        ),
        "Queries and keys are projected with each other's matrix.": lambda x, y, W_q, W_k, W_v: (
            _cross(x, y, W_k, W_q, W_v)
        ),
        "The weights are sharper than they should be: divide the scores by the square root of the "
        "width of the projected queries.": lambda x, y, W_q, W_k, W_v: attention(
            x @ W_q, y @ W_k, y @ W_v, scale=1.0
        ),
        "The width in the square root is that of `x`. The dot product adds up as many terms as a "
        "*projected* query has entries.": lambda x, y, W_q, W_k, W_v: attention(
            x @ W_q, y @ W_k, y @ W_v, scale=x.shape[-1] ** -0.5
        ),
        "The values are not projected: `y` itself is averaged. The third matrix is "
        "unused.": lambda x, y, W_q, W_k, W_v: attention(x @ W_q, y @ W_k, y),
        "Each column of your weights sums to one: the softmax runs over those who ask. It must "
        "run over what is looked at.": lambda x, y, W_q, W_k, W_v: (
            (x @ W_q @ (y @ W_k).T * W_q.shape[1] ** -0.5).softmax(0) @ (y @ W_v)
        ),
        "You return the weights. One product is missing: average the values with "
        "them.": lambda x, y, W_q, W_k, W_v: attention_weights(x @ W_q, y @ W_k),
    },
    hints=(
        "Write beside each of the three matrices which sequence it projects.",
        "queries (L, D), keys (S, D), values (S, D)\nweights (L, S), rows sum to one\n"
        "result (L, D)",
        "query = <what asks> @ W_q; key, value = <what is read> @ W_k, ... @ W_v\n"
        "return softmax(<scaled scores>) @ value",
    ),
    minutes=8,
)

# ---------------------------------------------------------------- two maps


def _two_maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return attention_weights(x, y), attention_weights(y, x)


def _affinity(x: Tensor, y: Tensor) -> Tensor:
    return x @ y.T * x.shape[-1] ** -0.5


def _unscaled_maps(x, y):
    C = x @ y.T
    return C.softmax(1), C.T.softmax(1)


def _maps_over_all(x, y):
    A = _affinity(x, y).flatten().softmax(0).view(len(x), len(y))
    return A, A.T


two_maps = Exercise(
    "cross-attention/two-maps",
    _two_maps,
    [
        (torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 0.0]])),
        (normal(2, 3, seed=1), normal(3, 3, seed=2)),
        (normal(5, 4, seed=3), normal(2, 4, seed=4)),
        (normal(3, 7, seed=5), normal(4, 7, seed=6)),
    ],
    {
        "The second map is the first one turned over, so its rows do not sum to one. It needs a "
        "softmax of its own.": lambda x, y: (
            attention_weights(x, y),
            attention_weights(x, y).T,
        ),
        "The second map has its softmax over the right axis, but it stands on its side: its rows "
        "should be positions of `y`.": lambda x, y: (
            attention_weights(x, y),
            attention_weights(y, x).T,
        ),
        "Both softmaxes run over the wrong axis: the columns of your maps sum to one. A row "
        "belongs to the one who asks.": lambda x, y: (
            _affinity(x, y).softmax(0),
            _affinity(x, y).T.softmax(0),
        ),
        "The maps have changed places. The first is how `x` looks at `y`.": lambda x, y: _two_maps(
            x, y
        )[::-1],
        "The scores are not divided by the square root of the width.": _unscaled_maps,
        "All cells of the table together sum to one. Each position shares out a whole of its "
        "own.": _maps_over_all,
        "Each sequence looks at itself. The affinity compares `x` with `y`.": lambda x, y: (
            attention_weights(x, x),
            attention_weights(y, y),
        ),
    },
    hints=(
        "One table of scores, C, of shape (L, S). Who asks in its rows, and who in its columns?",
        "A (L, S): rows sum to one\nB (S, L): rows sum to one",
        "C = <scaled products>\nreturn softmax of C, softmax of C turned over; both over dim 1",
    ),
    minutes=8,
)

# ---------------------------------------------------------------- padded maps


def _padded_maps(C: Tensor, x_real: Tensor, y_real: Tensor) -> tuple[Tensor, Tensor]:
    return (
        masked_softmax(C, y_real.expand_as(C)),
        masked_softmax(C.T, x_real.expand_as(C.T)),
    )


def _multiplied(C, x_real, y_real):
    return C.softmax(1) * y_real, C.T.softmax(1) * x_real


def _zero_scores(C, x_real, y_real):
    return (
        C.masked_fill(~y_real, 0.0).softmax(1),
        C.T.masked_fill(~x_real, 0.0).softmax(1),
    )


def _hide_those_who_ask(C, x_real, y_real):
    return (
        C.masked_fill(~x_real[:, None], -1e9).softmax(1),
        C.T.masked_fill(~y_real[:, None], -1e9).softmax(1),
    )


def _hide_those_who_ask_inf(C, x_real, y_real):
    return (
        C.masked_fill(~x_real[:, None], -torch.inf).softmax(1),
        C.T.masked_fill(~y_real[:, None], -torch.inf).softmax(1),
    )


def _hide_pairs(C, x_real, y_real, low):
    C = C.masked_fill(~(x_real[:, None] & y_real), low)
    return C.softmax(1), C.T.softmax(1)


def _hide_both(C, x_real, y_real):
    A, B = _padded_maps(C, x_real, y_real)
    return A * x_real[:, None], B * y_real[:, None]


def _padded_cases():
    yes = torch.tensor([True])
    yield torch.tensor([[0.0, 0.0]]), yes, torch.tensor([True, False])
    for L, S, l_real, s_real, seed in ((2, 3, 1, 2, 1), (4, 3, 3, 1, 2), (3, 6, 2, 4, 3)):
        yield normal(L, S, seed=seed), torch.arange(L) < l_real, torch.arange(S) < s_real


padded_maps = Exercise(
    "cross-attention/padded-maps",
    _padded_maps,
    _padded_cases,
    {
        "Padding keeps its share: you hide only the padding of `y`, and `B` looks at that of "
        "`x`.": lambda C, x_real, y_real: (
            _padded_maps(C, x_real, y_real)[0],
            C.T.softmax(1),
        ),
        "Padding keeps its share: you hide only the padding of `x`, and `A` looks at that of "
        "`y`.": lambda C, x_real, y_real: (
            C.softmax(1),
            _padded_maps(C, x_real, y_real)[1],
        ),
        "Nothing is hidden. The two masks say which positions are "
        "words.": lambda C, x_real, y_real: (
            C.softmax(1),
            C.T.softmax(1),
        ),
        "The mask comes after the softmax, when padding has taken its share: the rows sum to less "
        "than one.": _multiplied,
        "A score of 0 is not small: exp(0) is 1, and padding keeps a share.": _zero_scores,
        "You hide those who *ask* instead of those who are looked at: each mask is laid along the "
        "wrong axis.": _hide_those_who_ask,
        "The masks are upside down: True means that a word is there and may be "
        "attended.": lambda C, x_real, y_real: _padded_maps(C, ~x_real, ~y_real),
        "You hide those who *ask*: their rows are -inf throughout, and a softmax of nothing but "
        "-inf is nan. Hide what is looked at.": _hide_those_who_ask_inf,
        "Both masks stand in one table: a row of padding that asks is hidden throughout, so it "
        "spreads over padding too. One mask a map.": lambda C, x_real, y_real: _hide_pairs(
            C, x_real, y_real, -1e9
        ),
        "Both masks stand in one table: a row of padding that asks is -inf throughout, and its "
        "softmax is nan. One mask a map.": lambda C, x_real, y_real: _hide_pairs(
            C, x_real, y_real, -torch.inf
        ),
        "The maps have changed places: first `A`, how x looks at y, then `B`.": (
            lambda C, x_real, y_real: _padded_maps(C, x_real, y_real)[::-1]
        ),
        "You also empty the rows of padding that asks. Here only what is *looked at* is hidden; "
        "every row sums to one.": _hide_both,
    },
    hints=(
        "For each of the two maps: whose padding could be looked at?",
        "A is (L, S): its columns are positions of y\nB is (S, L): its columns are positions of x",
        "A = softmax(<C with -inf where y is padding>)\nB = softmax(<C.T with -inf where ...>)",
    ),
    minutes=10,
    difficulty=2,
)

# ---------------------------------------------------------------- mean reciprocal rank


def _reciprocal(scores: Tensor, right: Tensor) -> Tensor:
    own = scores.gather(1, right[:, None])
    rank = (scores >= own).sum(1)
    return (1 / rank).mean()


def _place_in_order(scores, right):
    order = scores.argsort(1, descending=True)
    return (1 / (1 + order.gather(1, right[:, None]))).mean()


def _rank(scores, right):
    return (scores >= scores.gather(1, right[:, None])).sum(1)


mean_reciprocal_rank = Exercise(
    "cross-attention/mean-reciprocal-rank",
    _reciprocal,
    [
        (torch.tensor([[0.2, 0.9, 0.5]]), torch.tensor([2])),
        (torch.tensor([[3.0, 1.0], [1.0, 2.0]]), torch.tensor([0, 0])),
        (torch.tensor([[1.0, 1.0, 0.0, 4.0]]), torch.tensor([0])),
        (normal(6, 5, seed=1), torch.tensor([0, 4, 2, 1, 3, 3])),
        (normal(7, 9, seed=2), torch.tensor([8, 0, 5, 5, 2, 7, 1])),
    ],
    {
        "Ties count for you. Give all candidates the same score and you would be right always: "
        "let a tie count against you.": lambda scores, right: (
            1 / (1 + (scores > scores.gather(1, right[:, None])).sum(1))
        ).mean(),
        "Your ranks count from the lowest score. The best candidate has the highest "
        "one.": lambda scores, right: _reciprocal(-scores, right),
        "One over the mean rank is another number. Take one over each rank first, then the "
        "mean.": lambda scores, right: 1 / _rank(scores, right).float().mean(),
        "This is the mean rank itself: small is good there, and one bad question outweighs "
        "many.": lambda scores, right: _rank(scores, right).float().mean(),
        "This is hit@1: a second place counts for nothing. Here it counts for a "
        "half.": lambda scores, right: (_rank(scores, right) == 1).float().mean(),
        "Your first place counts one half: the right answer is counted twice. Rank 1 is the "
        "best.": lambda scores, right: (1 / (1.0 + _rank(scores, right))).mean(),
        "`right` is ignored: you rank the candidate in column 0.": lambda scores, right: (
            _reciprocal(scores, torch.zeros_like(right))
        ),
        "You look up, in the sorted list, who stands at place `right`. What is asked is at which "
        "place `right` stands.": _place_in_order,
        "You return one number for each question. The mean is missing.": lambda scores, right: (
            1 / _rank(scores, right)
        ),
    },
    hints=(
        "The rank of the right answer: how many candidates score at least as much, itself "
        "included?",
        "scores.gather(1, right[:, None]) is (B, 1): the score of each right answer",
        "rank = <count of scores >= own, over dim 1>\nreturn the mean of 1 / rank",
    ),
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- leak


def _moved(model, words, others, j) -> Tensor:
    changed = torch.cat([words[:, :j], others[:, j:]], dim=1)
    return (model(words) - model(changed)).abs().amax(-1)  # (B, L)


def _moved_before(model, words, others, j):
    return (_moved(model, words, others, j)[:, :j] > 1e-6).any(0)


def _running(words: Tensor) -> Tensor:
    return F.one_hot(words, 7).float().cumsum(1)


def _whole(words: Tensor) -> Tensor:
    return F.one_hot(words, 7).float() - F.one_hot(words, 7).float().mean(1, keepdim=True)


def _next_word(words: Tensor) -> Tensor:
    return F.one_hot(words.roll(-1, dims=1), 7).float()


def _second_example(words: Tensor) -> Tensor:
    return torch.cat([_running(words[:1]), _next_word(words[1:])])


def _far_future(words: Tensor) -> Tensor:
    """Output 0 alone reads ahead, two words."""
    out = _running(words).clone()
    out[:, 0] += F.one_hot(words[:, 2], 7)
    return out


def _two_ahead(words: Tensor) -> Tensor:
    return F.one_hot(words.roll(-2, dims=1), 7).float()


def _adds_next(words: Tensor, factor: float, width: int) -> Tensor:
    """The next word's number, times a factor, in `width` of 50 features."""
    out = torch.zeros(*words.shape, 50)
    out[:, :-1, :width] = factor * words[:, 1:, None].float()
    return out


def _rises(words: Tensor) -> Tensor:
    return _adds_next(words, 1.0, 1)


def _falls(words: Tensor) -> Tensor:
    return _adds_next(words, -1.0, 1)


def _just_above(words: Tensor) -> Tensor:
    return _adds_next(words, 1e-6, 1)  # moves one feature by 2e-6 and more


def _just_below(words: Tensor) -> Tensor:
    return _adds_next(words, 1e-7, 50)  # moves each feature by less than 5e-7


def _one_below(words: Tensor) -> Tensor:
    return _adds_next(words, 1e-7, 1)


def _compared(model, words, changed, j, how):
    return (how(model(words) - model(changed))[:, :j] > 1e-6).any(0)


def _changed(words, others, j):
    return torch.cat([words[:, :j], others[:, j:]], dim=1)


def _changes_one(model, words, others, j):
    changed = words.clone()
    changed[:, j] = others[:, j]
    return _compared(model, words, changed, j, lambda d: d.abs().amax(-1))


def _close(model, words, others, j):
    same = torch.isclose(model(words), model(_changed(words, others, j)))
    return (~same)[:, :j].any(-1).any(0)


def _changes_last(model, words, others, j):
    changed = torch.cat([words[:, :-1], others[:, -1:]], dim=1)
    return ((model(words) - model(changed)).abs().amax(-1)[:, :j] > 1e-6).any(0)


def _moved_by(model, words, others, start, j):
    changed = _changed(words, others, start)
    return _compared(model, words, changed, j, lambda d: d.abs().amax(-1))


def _changes_past(model, words, others, j):
    changed = torch.cat([others[:, :j], words[:, j:]], dim=1)
    return ((model(words) - model(changed)).abs().amax(-1)[:, :j] > 1e-6).any(0)


WORDS = torch.tensor([[1, 2, 3, 4, 5], [2, 4, 6, 1, 3]])
OTHERS = torch.tensor([[6, 3, 1, 2, 6], [5, 1, 2, 3, 4]])

moved_before = Exercise(
    "cross-attention/moved-before",
    _moved_before,
    [
        (_next_word, WORDS, OTHERS, 2),
        (_running, WORDS, OTHERS, 2),
        (_whole, WORDS, OTHERS, 3),
        (_second_example, WORDS, OTHERS, 1),
        (_next_word, WORDS[:1], OTHERS[:1], 3),
        (_far_future, WORDS, OTHERS, 2),
        (_running, WORDS, OTHERS, 4),
        (_two_ahead, WORDS, OTHERS, 2),
        (_rises, WORDS, OTHERS, 2),
        (_falls, WORDS, OTHERS, 2),
        (_just_above, WORDS, OTHERS, 2),
        (_just_below, WORDS, OTHERS, 2),
        (_one_below, WORDS, OTHERS, 2),
    ],
    {
        "You report all outputs. Output j and later ones *should* move when word j changes: only "
        "earlier ones betray a leak.": lambda model, words, others, j: (
            _moved(model, words, others, j) > 1e-6
        ).any(0),
        "You report the outputs from j on. They may move. Which outputs must "
        "not?": lambda model, words, others, j: (_moved(model, words, others, j)[:, j:] > 1e-6).any(
            0
        ),
        "Off by one: output j itself may read word j, so it is no leak when it "
        "moves.": lambda model, words, others, j: (
            _moved(model, words, others, j)[:, : j + 1] > 1e-6
        ).any(0),
        "Off by one: output j - 1 comes before word j too, and it is the one that reads the next "
        "word.": lambda model, words, others, j: (
            _moved(model, words, others, j)[:, : j - 1] > 1e-6
        ).any(0),
        "The answer is upside down: True should mean that an output moved.": (
            lambda model, words, others, j: ~_moved_before(model, words, others, j)
        ),
        "Only the first example of the batch is looked at.": lambda model, words, others, j: (
            _moved(model, words, others, j)[0, :j] > 1e-6
        ),
        "One answer for each example: an output counts as moved if it moves in *any* example. A "
        "dimension is left over.": lambda model, words, others, j: (
            _moved(model, words, others, j)[:, :j] > 1e-6
        ),
        "You change the last word alone. A model that reads one word ahead hides from that: change "
        "all words from j on.": _changes_last,
        "You change word j alone. A model that reads two words ahead also has later ones: change "
        "all words from j on.": _changes_one,
        "Off by one: you replace the words from j + 1 on, so that word j stays as it "
        "was.": lambda model, words, others, j: _moved_by(model, words, others, j + 1, j),
        "You compare with the outputs for `others` as a whole: there the words before j differ "
        "too, and may move everything.": lambda model, words, others, j: _compared(
            model, words, others, j, lambda d: d.abs().amax(-1)
        ),
        "The difference keeps its sign: an output that is lower for `words` counts as not moved. "
        "Take its size.": lambda model, words, others, j: _compared(
            model, words, _changed(words, others, j), j, lambda d: d.amax(-1)
        ),
        "The difference keeps its sign: an output that is higher for `words` counts as not moved. "
        "Take its size.": lambda model, words, others, j: _compared(
            model, words, _changed(words, others, j), j, lambda d: (-d).amax(-1)
        ),
        "The mean over the features makes a leak in one of many too small to see: ask for "
        "*any* feature.": lambda model, words, others, j: _compared(
            model, words, _changed(words, others, j), j, lambda d: d.abs().mean(-1)
        ),
        "The sum over the features adds up many differences that are each too small: compare "
        "each feature with 1e-6.": lambda model, words, others, j: _compared(
            model, words, _changed(words, others, j), j, lambda d: d.abs().sum(-1)
        ),
        "The bound is another one: `isclose` and `!=` also report differences below 1e-6.": _close,
        "You change the *past* and watch the past. Keep the words before j and replace those from "
        "j on.": _changes_past,
    },
    hints=(
        "Run the model twice: on the words, and on words that are the same before j and other ones "
        "from j on. Which outputs must be the same?",
        "changed (B, L)\nmodel(words), model(changed) (B, L, V)\nresult (j,), booleans",
        "changed = torch.cat([<words before j>, <others from j on>], dim=1)\n"
        "difference = (model(words) - model(changed)).abs()\n"
        "return (<largest over the features, before j> > 1e-6).any(dim=0)",
    ),
    minutes=10,
    difficulty=2,
)
