"""Exercises of "Attention over a recurrent encoder"."""

from itertools import pairwise

import torch
import torch.nn.functional as F

from attnlib import masked_softmax
from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- additive scores


def _additive(query, key, W_q, W_k, b, w):
    return torch.tanh((query @ W_q)[:, None] + (key @ W_k)[None] + b) @ w


def _additive_cases():
    one = torch.ones(1, 1)
    cases = [(one, torch.tensor([[0.0], [2.0]]), one, one, torch.tensor([-1.0]), torch.ones(1))]
    for i, (L, S, Dq, Dk, hidden) in enumerate(((2, 3, 4, 5, 6), (3, 3, 2, 2, 2), (4, 2, 3, 3, 5))):
        shapes = (L, Dq), (S, Dk), (Dq, hidden), (Dk, hidden), (hidden,), (hidden,)
        cases.append(tuple(normal(*s, seed=10 * i + j) for j, s in enumerate(shapes)))
    return cases


additive_scores = Exercise(
    "recurrent-attention/additive-scores",
    _additive,
    _additive_cases,
    {
        "The tanh is missing. Without the bend the score is what the query adds plus what the key "
        "adds: every query then prefers the same keys.": lambda query, key, W_q, W_k, b, w: (
            ((query @ W_q)[:, None] + (key @ W_k)[None] + b) @ w
        ),
        "Query and key are bent apart and added afterwards. Then what the query adds is the same "
        "for all keys. The bend must see both at once.": lambda query, key, W_q, W_k, b, w: (
            (torch.tanh(query @ W_q)[:, None] + torch.tanh(key @ W_k + b)[None]) @ w
        ),
        "You add query i to key i only, or every key to one query. Each query must meet each key: "
        "give the queries a dimension of size 1 for the keys.": lambda query, key, W_q, W_k, b, w: (
            torch.tanh(query @ W_q + key @ W_k + b) @ w
        ),
        "Query and key are bent apart, each with its bias. Add the two hidden vectors and the bias "
        "first, once, and bend the sum.": lambda query, key, W_q, W_k, b, w: (
            (torch.tanh(query @ W_q + b)[:, None] + torch.tanh(key @ W_k + b)[None]) @ w
        ),
        "Each side goes through the tanh by itself, the bias with the query. Only one tanh stands "
        "in the formula, around the sum.": lambda query, key, W_q, W_k, b, w: (
            (torch.tanh(query @ W_q + b)[:, None] + torch.tanh(key @ W_k)[None]) @ w
        ),
        "The bias is in your sum twice, once with the query and once with the key. The formula has "
        "it once.": lambda query, key, W_q, W_k, b, w: _additive(query, key, W_q, W_k, 2 * b, w),
        "You multiply the two hidden vectors. This score adds them; the product is the other "
        "family of scores.": lambda query, key, W_q, W_k, b, w: (
            torch.tanh((query @ W_q)[:, None] * (key @ W_k)[None] + b) @ w
        ),
        "Your table is (S, L). Queries are rows and keys are columns: which of the two needs the "
        "new dimension in front?": lambda query, key, W_q, W_k, b, w: (
            _additive(query, key, W_q, W_k, b, w).T
        ),
        "The bias b is missing inside the tanh.": lambda query, key, W_q, W_k, b, w: _additive(
            query, key, W_q, W_k, torch.zeros_like(b), w
        ),
        "These are weights already. The exercise asks for the scores, any real "
        "numbers.": lambda query, key, W_q, W_k, b, w: F.softmax(
            _additive(query, key, W_q, W_k, b, w), dim=-1
        ),
        "The vector w comes too early: it belongs outside the tanh, so that the hidden units are "
        "bent one by one and then weighed.": lambda query, key, W_q, W_k, b, w: torch.tanh(
            ((query @ W_q)[:, None] + (key @ W_k)[None] + b) @ w
        ),
        "You add up the hidden units evenly. The learned vector w says how much each of them "
        "counts.": lambda query, key, W_q, W_k, b, w: _additive(
            query, key, W_q, W_k, b, torch.ones_like(w)
        ),
    },
    hints=(
        "Every query meets every key, so somewhere there is a table of vectors.",
        "query @ W_q is (L, hidden), key @ W_k is (S, hidden); with a dimension of size 1 in the "
        "right place their sum is (L, S, hidden).",
        "table = <queries>[:, None] + <keys>[None] + b\nreturn <bend of the table> @ w",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- multiplicative context


def _multiplicative(query, key, W, mask):
    return masked_softmax(query @ W @ key.mT, mask[:, None]) @ key


def _multiplicative_cases():
    cases = []
    for i, (B, L, S, Dq, Dk, lengths) in enumerate(
        (
            (1, 1, 2, 2, 2, [2]),
            (2, 2, 3, 2, 2, [3, 1]),  # L = B: a mask without a dimension for queries still fits
            (2, 3, 4, 2, 5, [4, 2]),
            (3, 2, 5, 3, 3, [1, 5, 3]),
            (2, 3, 3, 4, 4, [2, 3]),
        )
    ):
        shapes = (B, L, Dq), (B, S, Dk), (Dq, Dk)
        tensors = [normal(*s, seed=20 + 10 * i + j) for j, s in enumerate(shapes)]
        cases.append((*tensors, torch.arange(S) < torch.tensor(lengths)[:, None]))
    return cases


multiplicative_context = Exercise(
    "recurrent-attention/multiplicative-context",
    _multiplicative,
    _multiplicative_cases,
    {
        "The mask is not used: padded places get a share too, and the result depends on how long "
        "the other sources of the batch are.": lambda query, key, W, mask: _multiplicative(
            query, key, W, torch.ones_like(mask)
        ),
        "The mask is upside down: True means that a place may be "
        "attended.": lambda query, key, W, mask: _multiplicative(query, key, W, ~mask),
        "The mask is turned round before minus infinity is filled in, so real places are hidden; a "
        "row with nothing left becomes NaN. Fill where the mask is *False*.": (
            lambda query, key, W, mask: (
                F.softmax((query @ W @ key.mT).masked_fill(mask[:, None], -torch.inf), dim=-1) @ key
            )
        ),
        "The mask (B, S) lacks a dimension for the queries: against scores (B, L, S) its B falls "
        "on L. It must hold for all queries of a source.": lambda query, key, W, mask: (
            F.softmax((query @ W @ key.mT).masked_fill(~mask, -torch.inf), dim=-1) @ key
        ),
        "You mask after the softmax, so that rows with padding sum to less than "
        "one.": lambda query, key, W, mask: (
            F.softmax(query @ W @ key.mT, dim=-1) * mask[:, None] @ key
        ),
        "A score of 0 does not hide anything: exp(0) is 1. Padded places need the score minus "
        "infinity.": lambda query, key, W, mask: (
            F.softmax((query @ W @ key.mT) * mask[:, None], dim=-1) @ key
        ),
        "These are the weights. One product is left: mix the annotations with "
        "them.": lambda query, key, W, mask: masked_softmax(query @ W @ key.mT, mask[:, None]),
        "The scores are divided by a square root. Here W is learned and takes care of the size; "
        "the formula has no root.": lambda query, key, W, mask: (
            masked_softmax(query @ W @ key.mT * key.shape[-1] ** -0.5, mask[:, None]) @ key
        ),
        "The matrix W is left out: that is the plain dot score, which needs equal widths and "
        "learns nothing of its own.": lambda query, key, W, mask: (
            masked_softmax(query @ key.mT, mask[:, None]) @ key
        ),
        "W is turned round. It stands behind the query, (Dq, Dk), and makes it as wide as a "
        "key.": lambda query, key, W, mask: (
            masked_softmax(query @ W.T @ key.mT, mask[:, None]) @ key
        ),
        "The softmax runs over the queries: dimension 1. Each query shares out its attention among "
        "the keys, the last dimension.": lambda query, key, W, mask: (
            F.softmax(
                (query @ W @ key.mT).masked_fill(~mask[:, None], -torch.inf), dim=1
            ).nan_to_num()
            @ key
        ),
    },
    hints=(
        "Four steps: scores, mask, softmax, weighted sum. The annotations are key and value.",
        "query (B, L, Dq) @ W (Dq, Dk) @ key.mT (B, Dk, S) -> scores (B, L, S); the mask (B, S) "
        "needs a dimension for the queries.",
        "scores = <product>.masked_fill(~mask[:, None], -torch.inf)\n"
        "return <softmax over the keys> @ <what is mixed>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- what the decoder reads


def _inputs(target, start):
    return torch.cat([torch.full_like(target[:, :1], start), target[:, :-1]], dim=1)


decoder_inputs = Exercise(
    "recurrent-attention/decoder-inputs",
    _inputs,
    [
        (torch.tensor([[5, 6, 7]]), 1),
        (torch.tensor([[1, 9, 8, 7], [2, 0, 2, 6]]), 11),
        (torch.tensor([[3], [4]]), 2),
        (torch.tensor([[4, 4, 2], [5, 6, 2], [7, 2, 0]]), 9),
    ],
    {
        "The decoder reads the very token that it must write. The loss will be nearly 0, and the "
        "model has learned to repeat.": lambda target, start: target.clone(),
        "You shift to the left: at each place the decoder reads the token after next. It should "
        "read the one before.": lambda target, start: torch.cat(
            [target[:, 1:], torch.full_like(target[:, :1], start)], dim=1
        ),
        "One column too many: the last token is never read, since nothing is written after "
        "it.": lambda target, start: torch.cat(
            [torch.full_like(target[:, :1], start), target], dim=1
        ),
        "You turn the row round in a ring: the first step reads the last token of the answer. It "
        "should read the start token.": lambda target, start: target.roll(1, dims=1),
        "The first token is overwritten and nothing is moved: from the second place on the decoder "
        "reads what it must write.": lambda target, start: torch.cat(
            [torch.full_like(target[:, :1], start), target[:, 1:]], dim=1
        ),
        "You shift the batch: each sentence reads the one before it. Places are dimension "
        "1.": lambda target, start: torch.cat(
            [torch.full_like(target[:1], start), target[:-1]], dim=0
        ),
        "The start token is missing, and the inputs are one place short. What does the decoder "
        "read before the first token?": lambda target, start: target[:, :-1],
        "The first place holds 0. The start token has a number of its own, "
        "`start`.": lambda target, start: _inputs(target, 0),
    },
    hints=(
        "At place i the decoder reads token i - 1. What does it read at place 0?",
        "target (B, L) -> inputs (B, L): a column of start, then all but the last column",
        "first = torch.full_like(target[:, :1], start)\n"
        "return torch.cat([first, <the rest>], dim=1)",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- backwards within the length


def _turn(x, lengths):
    places = torch.arange(x.shape[1])
    last = lengths[:, None] - 1
    index = torch.where(places <= last, last - places, places)
    return torch.stack([row[i] for row, i in zip(x, index, strict=True)])


def _rolled(x, lengths):
    return torch.stack(
        [
            torch.cat([row[: n - 1].flip(0), row[n - 1 :]]) if n > 1 else row
            for row, n in zip(x, lengths.tolist(), strict=True)
        ]
    )


def _padding_first(x, lengths):
    return x.flip(1)


def _emptied(x, lengths):
    return _turn(x, lengths) * (torch.arange(x.shape[1]) < lengths[:, None])[..., None]


def _longest(x, lengths):
    return _turn(x, lengths.amax().expand_as(lengths))


def _first_length(x, lengths):
    return _turn(x, lengths[:1].expand_as(lengths))


def _padding_too(x, lengths):
    return torch.stack(
        [
            torch.cat([row[:n].flip(0), row[n:].flip(0)])
            for row, n in zip(x, lengths.tolist(), strict=True)
        ]
    )


turn_around = Exercise(
    "recurrent-attention/turn-around",
    _turn,
    [
        (torch.tensor([[[1.0], [2.0], [9.0]]]), torch.tensor([2])),
        (normal(2, 4, 3, seed=1), torch.tensor([4, 2])),
        (normal(3, 5, 3, seed=2), torch.tensor([1, 3, 2])),
        (normal(2, 6, 2, seed=3), torch.tensor([3, 5])),
    ],
    {
        "You turn round the whole row, padding included: the backward network would begin with "
        "padding. Turn each row within its own length.": _padding_first,
        "You turn round the features of each place. Places are dimension 1.": lambda x, lengths: (
            x.flip(2)
        ),
        "You turn round the batch: sentence 0 becomes the last. Places are dimension "
        "1.": lambda x, lengths: x.flip(0),
        "One place too few: the last token stays where it is. The last one of a row of length n "
        "has the number n - 1.": _rolled,
        "All rows are turned within the same length, the longest one. Each has a length of its "
        "own.": _longest,
        "All rows are turned within the length of the first one. Each has its own.": _first_length,
        "The tokens are right, but the padding behind them is turned round as well. It should stay "
        "as it is.": _padding_too,
        "The tokens are right, but you set what stands behind them to zero. It should stay as it "
        "is.": _emptied,
        "Nothing has changed: this is the forward order.": lambda x, lengths: x.clone(),
    },
    hints=(
        "For one row of length n: the first n places in reverse order, then the rest.",
        "x (B, S, F), lengths (B,) -> (B, S, F); a loop over the rows is fine.",
        "for row, n in zip(x, lengths): <the first n reversed with flip(0)> joined with row[n:]",
    ),
    minutes=8,
    difficulty=2,
)


# ---------------------------------------------------------------- free running


def _greedy(step, state, start, end, max_len):
    said, token = [], start
    while len(said) < max_len:
        logits, state = step(token, state)
        token = int(logits.argmax())
        if token == end:
            break
        said.append(token)
    return said


def _variant(*, feed=True, carry=True, stop=True, show_end=False, least=False, extra=0):
    def run(step, state, start, end, max_len):
        said, token = [], start
        while len(said) < max_len + extra:
            logits, after = step(token if feed else start, state)
            state = after if carry else state
            token = int(logits.argmin() if least else logits.argmax())
            if token == end and stop:
                return said + [end] * show_end
            said.append(token)
        return said

    return run


def _with_start(step, state, start, end, max_len):
    return [start, *_greedy(step, state, start, end, max_len)]


def _call(answer, table, start, end, max_len):
    """The model is a table: (steps, V, V) logits by step and by the token read."""

    def step(token, state):
        return table[state % len(table), token], state + 1

    return answer(step, 0, start, end, max_len)


def _tensors(step, state, start, end, max_len):
    said, token = [], torch.tensor(start)
    while len(said) < max_len:
        logits, state = step(token, state)
        token = logits.argmax()
        if token == end:
            break
        said.append(token)
    return said


def _sampled(step, state, start, end, max_len):
    said, token = [], start
    while len(said) < max_len:
        logits, state = step(token, state)
        token = int(torch.multinomial(logits.softmax(-1), 1))
        if token == end:
            break
        said.append(token)
    return said


def _paths():
    def table(steps, V, path, seed, flat=1.0):
        logits = flat * normal(steps, V, V, seed=seed)
        for i, (token, following) in enumerate(pairwise(path)):
            logits[i % steps, token, following] = 9.0 * flat
        return logits

    return [
        (table(4, 4, [0, 2, 3, 1], 1), 0, 1, 5),
        (table(5, 6, [5, 3, 3, 2, 4, 0], 2), 5, 0, 8),
        (table(6, 5, [4, 1, 2, 1, 3, 2, 1], 3), 4, 0, 4),
        (table(3, 4, [2, 1], 4), 2, 1, 3),
        (table(9, 9, [0, 5, 2, 7, 3, 6, 4, 8, 2, 1], 5, flat=0.01), 0, 1, 12),  # nearly even
    ]


greedy = Exercise(
    "recurrent-attention/greedy",
    _greedy,
    _paths,
    {
        "Every step reads the start token. Free running reads what was said last: hand it to the "
        "next step.": _variant(feed=False),
        "The new state is thrown away, so the decoder is always at its first step. `step` returns "
        "two things.": _variant(carry=False),
        "You go on after the end token until the longest length. The end token says that the "
        "translation is done.": _variant(stop=False),
        "The end token is part of your answer. It ends the translation and is not said.": _variant(
            show_end=True
        ),
        "Your answer begins with the start token. That is what the decoder reads first, not what "
        "it says.": _with_start,
        "You say one token more than max_len allows.": _variant(extra=1),
        "You stop one token before max_len.": _variant(extra=-1),
        "The tokens are right, but your list holds tensors. int() makes a number of each.": (
            _tensors
        ),
        "You draw the next token by chance. Say the likeliest one, also when it is hardly likelier "
        "than the others.": _sampled,
        "You choose the least likely token. The largest logit is the likeliest.": _variant(
            least=True
        ),
    },
    hints=(
        "Two things go from step to step: the token said last, and the state.",
        "step(token, state) -> (logits of V numbers, new state); the next token is the place of "
        "the largest logit, as an int.",
        "token = start\nwhile <fewer than max_len said>:\n    logits, state = step(token, state)\n"
        "    token = <the likeliest>\n    <stop at end, else keep it>",
    ),
    minutes=10,
    difficulty=2,
    call=_call,
)
