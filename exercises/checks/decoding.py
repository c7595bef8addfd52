"""Exercises of "Decoding"."""

import torch
from torch import Tensor

from attnlib import attention
from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- perplexity


def _perplexity(log_p: Tensor, real: Tensor) -> Tensor:
    return (-log_p[real].mean()).exp()


def _mean_of_texts(log_p: Tensor, real: Tensor) -> Tensor:
    return (-(log_p * real).sum(1) / real.sum(1)).exp().mean()


def _perplexity_cases() -> list[tuple[Tensor, Tensor]]:
    def case(lengths: list[int], seed: int) -> tuple[Tensor, Tensor]:
        lengths = torch.tensor(lengths)
        log_p = -normal(len(lengths), int(lengths.max()), seed=seed).abs()
        return log_p, torch.arange(log_p.shape[1]) < lengths[:, None]

    small = torch.tensor([[0.5, 0.25], [0.25, 0.9]]).log()
    return [
        (small, torch.tensor([[True, True], [True, False]])),
        case([3, 5], seed=1),
        case([7, 2, 4], seed=2),
        case([1, 11], seed=3),
    ]


perplexity = Exercise(
    "decoding/perplexity",
    _perplexity,
    _perplexity_cases,
    {
        "You count the padding. What stands behind the end of a text was never predicted: keep "
        "the tokens where `real` is True.": lambda log_p, real: (-log_p.mean()).exp(),
        "You set the padding to 0 and still divide by all places. A 0 in the sum does not change "
        "the sum, but it must not be counted either.": lambda log_p, real: (
            -(log_p * real).mean()
        ).exp(),
        "The minus is missing: log-probabilities are negative, and a perplexity is at least "
        "1.": lambda log_p, real: log_p[real].mean().exp(),
        "That is the cross-entropy, a number of nats. One step is left to the "
        "perplexity.": lambda log_p, real: -log_p[real].mean(),
        "You average 1/p over the tokens. One very unlikely token then rules the result: average "
        "the logarithms first, and take the exponential last.": lambda log_p, real: (
            (-log_p[real]).exp().mean()
        ),
        "You average over the texts, each with its own perplexity, so a token of a short text "
        "counts more than one of a long text. All tokens count alike.": _mean_of_texts,
        "You add the logarithms up and do not divide by their number: the result grows with the "
        "amount of text.": lambda log_p, real: (-log_p[real].sum()).exp(),
        "The mask is upside down: you measure the padding.": lambda log_p, real: (
            -log_p[~real].mean()
        ).exp(),
        "The logarithms are natural ones, so the power that undoes them is one of e, not of "
        "2.": lambda log_p, real: 2 ** (-log_p[real].mean()),
    },
    hints=(
        "The perplexity is 1/p for a typical token, where typical means: averaged in logarithms.",
        "log_p (B, L), real (B, L) -> log_p[real] is a line of all real tokens -> one number",
        "mean of the log-probabilities of the real tokens, then minus, then exp",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- top-p


def _top_p(p: Tensor, share: float) -> Tensor:
    ordered, order = p.sort(descending=True)
    before = ordered.cumsum(0) - ordered
    kept = torch.zeros_like(p)
    kept[order] = ordered * (before < share)
    return kept / kept.sum()


def _keep(rule, *, rescale: bool = True, descending: bool = True):
    def top_p(p: Tensor, share: float) -> Tensor:
        ordered, order = p.sort(descending=descending)
        kept = torch.zeros_like(p)
        kept[order] = ordered * rule(ordered, share)
        return kept / kept.sum() if rescale else kept

    return top_p


def _in_order_of_size(p: Tensor, share: float) -> Tensor:
    ordered = p.sort(descending=True).values
    kept = ordered * (ordered.cumsum(0) - ordered < share)
    return kept / kept.sum()


def _not_sorted(p: Tensor, share: float) -> Tensor:
    kept = p * (p.cumsum(0) - p < share)
    return kept / kept.sum()


def _soft_again(p: Tensor, share: float) -> Tensor:
    return _top_p(p, share).masked_fill(_top_p(p, share) == 0, -torch.inf).softmax(0)


def _count_of_share(p: Tensor, share: float) -> Tensor:
    k = max(1, int(share * len(p)))
    kept = torch.where(p >= p.topk(k).values[-1], p, 0)
    return kept / kept.sum()


top_p = Exercise(
    "decoding/top-p",
    _top_p,
    [
        (torch.tensor([0.1, 0.5, 0.15, 0.25]), 0.7),
        (torch.tensor([0.05, 0.6, 0.35]), 0.5),
        (normal(7, seed=1).softmax(0), 0.8),
        ((2 * normal(11, seed=2)).softmax(0), 0.95),
        ((2 * normal(13, seed=3)).softmax(0), 0.3),
        (torch.tensor([0.5, 0.25, 0.25]), 0.5),
    ],
    {
        "The token that crosses the border is missing. The kept ones must sum to *at least* the "
        "share: look at what stands before a token, without the token itself.": _keep(
            lambda p, share: p.cumsum(0) <= share
        ),
        "The right tokens are left, but they sum to less than one: share the whole among "
        "them.": _keep(lambda p, share: p.cumsum(0) - p < share, rescale=False),
        "The probabilities stand in order of size. Entry 0 must stay the probability of token 0: "
        "put them back where they came from.": _in_order_of_size,
        "You add up in the order of the vocabulary, in which a token stands by chance. Begin with "
        "the most likely one.": _not_sorted,
        "You begin with the least likely tokens and cut the head off; the tail is what should "
        "go.": _keep(lambda p, share: p.cumsum(0) - p < share, descending=False),
        "You keep each token whose own probability reaches the share. The share is one of the "
        "sum, not of a single token.": _keep(lambda p, share: p >= min(share, float(p.max()))),
        "One token too many stays: those before it reach the share without it.": _keep(
            lambda p, share: p.cumsum(0) - 2 * p < share
        ),
        "Your rule is right but at the border itself: tokens that sum to *exactly* the share are "
        "enough, and you keep one more.": _keep(lambda p, share: p.cumsum(0) - p <= share),
        "You keep the tokens whose own probability reaches the share. Where none does nothing is "
        "left, and 0 / 0 is not a number: it is the sum that has to reach the share.": _keep(
            lambda p, share: p >= share
        ),
        "The numbers are probabilities already. A second softmax flattens what is left: divide by "
        "the sum instead.": _soft_again,
        "You keep a share of the *tokens*. Top-p keeps a share of the probability, so their "
        "number changes from step to step.": _count_of_share,
    },
    hints=(
        "Sort, add up, cut, put back, rescale: five small steps.",
        "ordered, order = p.sort(descending=True)\nbefore = <sum of the more likely ones>",
        "kept = zeros like p; kept[order] = <ordered, 0 where before has reached the share>; "
        "return kept divided by its sum",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- beam step


def _beam_step(total: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    K, V = log_p.shape
    best, index = (total[:, None] + log_p).flatten().topk(K)
    return index // V, index % V, best


def _step(joint, *, divide=None, largest=True):
    def beam_step(total: Tensor, log_p: Tensor):
        K, V = log_p.shape
        best, index = joint(total, log_p).flatten().topk(K, largest=largest)
        n = V if divide is None else divide(K, V)
        return index // n, index % n, best

    return beam_step


def _one_child_each(total: Tensor, log_p: Tensor):
    best, token = log_p.max(dim=1)
    return torch.arange(len(total)), token, total + best


def _one_child_each_sorted(total: Tensor, log_p: Tensor):
    parent, token, best = _one_child_each(total, log_p)
    order = best.argsort(descending=True)
    return parent[order], token[order], best[order]


def _in_order_of_index(total: Tensor, log_p: Tensor):
    parent, token, best = _beam_step(total, log_p)
    order = (parent * log_p.shape[1] + token).argsort()
    return parent[order], token[order], best[order]


def _no_floor(total: Tensor, log_p: Tensor):
    K, V = log_p.shape
    best, index = (total[:, None] + log_p).flatten().topk(K)
    return index / V, index % V, best


def _swapped(total: Tensor, log_p: Tensor):
    parent, token, best = _beam_step(total, log_p)
    return token, parent, best


def _last_term(total: Tensor, log_p: Tensor):
    parent, token, _ = _beam_step(total, log_p)
    return parent, token, log_p[parent, token]


def _best_parent_only(total: Tensor, log_p: Tensor):
    b = int(total.argmax())
    best, token = (total[b] + log_p[b]).topk(len(total))
    return torch.full_like(token, b), token, best


def _beam_cases() -> list[tuple[Tensor, Tensor]]:
    def case(K: int, V: int, seed: int) -> tuple[Tensor, Tensor]:
        total = 3 * normal(K, seed=seed) - 5
        return total, (2 * normal(K, V, seed=seed + 1)).log_softmax(-1)

    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.0, 0.9]])
    return [
        (torch.tensor([0.6, 0.4]).log(), p.log()),
        case(2, 5, seed=10),
        case(3, 7, seed=20),
        case(5, 11, seed=30),
    ]


beam_step = Exercise(
    "decoding/beam-step",
    _beam_step,
    _beam_cases,
    {
        "The beginnings count nothing: you compare the last tokens alone. A text's log-probability "
        "is the sum along its whole way.": _step(lambda total, log_p: log_p),
        "Each beginning keeps its own best child, so a bad beginning can never drop out. All "
        "children of all beginnings compete for the K places.": _one_child_each,
        "One child of each beginning, put in order: the order is right, but a bad beginning still "
        "holds its place. Let all K x V children compete before you cut.": _one_child_each_sorted,
        "The right texts in the order of the beginnings. They are asked for best first, which is "
        "how `topk` gives them.": _in_order_of_index,
        "`parent` is the number of a beginning, a whole one: a plain division leaves the fraction "
        "in.": _no_floor,
        "`parent` and `token` have changed places: V tokens lie side by side in a row, so the row "
        "is the quotient by V.": _swapped,
        "You divide by K. In the flattened table a row has V entries, one a token.": _step(
            lambda total, log_p: total[:, None] + log_p, divide=lambda K, V: K
        ),
        "You multiply logarithms. Probabilities multiply, and so their logarithms add up.": _step(
            lambda total, log_p: total[:, None] * log_p
        ),
        "You return the log-probability of the last token. The next step needs that of the whole "
        "text.": _last_term,
        "You keep the least likely texts. Log-probabilities are negative: the best is the one "
        "closest to 0, the largest.": _step(
            lambda total, log_p: total[:, None] + log_p, largest=False
        ),
        "Only the children of the best beginning are kept. That is what beam search is there to "
        "avoid: the second best may have the better child.": _best_parent_only,
        "You return probabilities; the sums are to stay logarithms, or long texts become "
        "0.": lambda total, log_p: (
            *_beam_step(total, log_p)[:2],
            _beam_step(total, log_p)[2].exp(),
        ),
    },
    hints=(
        "K beginnings with V children each are K x V candidates; the K best of them all go on.",
        "total (K) -> (K, 1); log_p (K, V); joint (K, V); flattened (K * V); kept (K)",
        "best, index = <joint, flattened>.topk(K)\nindex = parent * V + token",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- length penalty


def _penalised(total: Tensor, length: Tensor, penalty: float) -> Tensor:
    return total / ((5 + length) / 6) ** penalty


length_penalty = Exercise(
    "decoding/length-penalty",
    _penalised,
    [
        (torch.tensor([-2.0, -4.0]), torch.tensor([1, 7]), 1.0),
        (torch.tensor([-2.0, -3.0, -4.0]), torch.tensor([2, 4, 9]), 0.6),
        (-normal(5, seed=1).abs() - 1, torch.tensor([3, 1, 8, 15, 6]), 0.0),
        (-normal(7, seed=2).abs() - 1, torch.arange(2, 9), 1.5),
    ],
    {
        "You multiply. The scores are negative, so a larger factor pushes long texts further "
        "down; they are to come closer to 0.": lambda total, length, penalty: (
            total * ((5 + length) / 6) ** penalty
        ),
        "You divide by the length. That is the plain mean; the formula's 5 and 6 soften it for "
        "short texts.": lambda total, length, penalty: total / length**penalty,
        "The power is missing: with a penalty of 0 nothing may change.": (
            lambda total, length, penalty: total / ((5 + length) / 6)
        ),
        "The power belongs to the whole fraction, 6 included.": lambda total, length, penalty: (
            total / ((5 + length) ** penalty / 6)
        ),
        "Only the length is divided by 6: brackets round the 5 + length are "
        "missing.": lambda total, length, penalty: total / (5 + length / 6) ** penalty,
        "You multiply by the penalty instead of taking a power of it.": (
            lambda total, length, penalty: total / ((5 + length) / 6 * penalty)
        ),
        "You add a bonus for each token. That is another correction; here the log-probability is "
        "divided.": lambda total, length, penalty: total + penalty * length,
        "You turn the log-probability into a probability first; it is the logarithm that is "
        "divided.": lambda total, length, penalty: total.exp() / ((5 + length) / 6) ** penalty,
    },
    hints=(
        "Write the divisor alone first: for a length of 1 it is 1, whatever the penalty.",
        "total (N), length (N) -> divisor (N) -> scores (N)",
        "divisor = (<5 plus length, over 6>) ** penalty; return total / divisor",
    ),
    minutes=5,
)


# ---------------------------------------------------------------- cached step


def _cached_step(query, key, value, keys, values):
    keys, values = torch.cat([keys, key], dim=1), torch.cat([values, value], dim=1)
    return attention(query, keys, values), keys, values


def _before_appending(query, key, value, keys, values):
    context = attention(query, keys, values)
    return context, torch.cat([keys, key], dim=1), torch.cat([values, value], dim=1)


def _old_cache(query, key, value, keys, values):
    return _cached_step(query, key, value, keys, values)[0], keys, values


def _in_front(query, key, value, keys, values):
    keys, values = torch.cat([key, keys], dim=1), torch.cat([value, values], dim=1)
    return attention(query, keys, values), keys, values


def _swapped_cache(query, key, value, keys, values):
    keys, values = torch.cat([keys, value], dim=1), torch.cat([values, key], dim=1)
    return attention(query, keys, values), keys, values


def _keys_for_values(query, key, value, keys, values):
    keys, values = torch.cat([keys, key], dim=1), torch.cat([values, value], dim=1)
    return attention(query, keys, keys), keys, values


def _triangle(query, key, value, keys, values):
    _, keys, values = _cached_step(query, key, value, keys, values)
    return values[:, :1].clone(), keys, values


def _own_only(query, key, value, keys, values):
    _, keys, values = _cached_step(query, key, value, keys, values)
    return value, keys, values


def _no_scale(query, key, value, keys, values):
    keys, values = torch.cat([keys, key], dim=1), torch.cat([values, value], dim=1)
    return attention(query, keys, values, scale=1.0), keys, values


def _along_the_heads(query, key, value, keys, values):
    keys, values = torch.cat([keys, key], dim=0), torch.cat([values, value], dim=0)
    return attention(query, keys, values), keys, values


def _scaled_again(query, key, value, keys, values):
    _, keys, values = _cached_step(query, key, value, keys, values)
    return attention(query / query.shape[-1] ** 0.5, keys, values), keys, values


def _overwritten(query, key, value, keys, values):
    keys, values = torch.cat([keys[:, 1:], key], dim=1), torch.cat([values[:, 1:], value], dim=1)
    return attention(query, keys, values), keys, values


def _step_case(H: int, S: int, D: int, seed: int) -> tuple[Tensor, ...]:
    new = (normal(H, 1, D, seed=seed + i) for i in range(3))
    old = (normal(H, S, D, seed=seed + 3 + i) for i in range(2))
    return (*new, *old)


cached_step = Exercise(
    "decoding/cached-step",
    _cached_step,
    [
        _step_case(1, 1, 2, seed=10),
        _step_case(2, 3, 5, seed=20),
        _step_case(3, 7, 4, seed=30),
        _step_case(2, 5, 7, seed=40),
    ],
    {
        "The new token does not see itself: you attend before its key and value are in the "
        "cache. One pass over the text lets every position see itself.": _before_appending,
        "The context is right, but you return the old cache: the next step will never know of "
        "this token.": _old_cache,
        "The new key stands in front of the old ones. This context does not mind, since attention "
        "does not care for order; the cache is to be in the order of the text.": _in_front,
        "Key and value have changed places as they went into the cache.": _swapped_cache,
        "You average the keys. They are for comparing; what is handed over are the "
        "values.": _keys_for_values,
        "Your token sees the first position only. A causal mask for one query and many keys is "
        "not the corner of a square one: the newest query may see all.": _triangle,
        "Your token sees itself alone, as if the cache were empty.": _own_only,
        "The weights are too sharp: the scores are divided by the square root of the "
        "width.": _no_scale,
        "You join along the first dimension, which counts the heads. A new token makes the text "
        "longer: join along the positions.": _along_the_heads,
        "The weights are too flat: `attention` divides by the square root of the width already, "
        "and you scale the query once more.": _scaled_again,
        "The cache has not grown: the oldest position is gone. Nothing may be "
        "forgotten.": _overwritten,
    },
    hints=(
        "Two things grow by one position, and then one query looks at all of it.",
        "key (H, 1, D), keys (H, S, D) -> (H, S + 1, D): joined along the positions",
        "keys = <old, then new>; values = <old, then new>; "
        "return attention(query, keys, values), keys, values",
    ),
    minutes=10,
    difficulty=2,
)
