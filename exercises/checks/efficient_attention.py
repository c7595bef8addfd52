"""Exercises of "Efficient attention"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- online softmax


def _step(largest: Tensor, total: Tensor, mixed: Tensor, scores: Tensor, values: Tensor):
    higher = torch.maximum(largest, scores.amax())
    r, shares = (largest - higher).exp(), (scores - higher).exp()
    return higher, r * total + shares.sum(), r * mixed + shares @ values


def _no_rescale(largest, total, mixed, scores, values):
    higher = torch.maximum(largest, scores.amax())
    shares = (scores - higher).exp()
    return higher, total + shares.sum(), mixed + shares @ values


def _total_only(largest, total, mixed, scores, values):
    higher = torch.maximum(largest, scores.amax())
    r, shares = (largest - higher).exp(), (scores - higher).exp()
    return higher, r * total + shares.sum(), mixed + shares @ values


def _inverse(largest, total, mixed, scores, values):
    higher = torch.maximum(largest, scores.amax())
    r, shares = (higher - largest).exp(), (scores - higher).exp()
    return higher, r * total + shares.sum(), r * mixed + shares @ values


def _block_maximum(largest, total, mixed, scores, values):
    own = scores.amax()
    r, shares = (largest - own).exp(), (scores - own).exp()
    return own, r * total + shares.sum(), r * mixed + shares @ values


def _old_shift(largest, total, mixed, scores, values):
    higher = torch.maximum(largest, scores.amax())
    shares = (scores - largest).exp()
    r = (largest - higher).exp()
    return higher, r * total + shares.sum(), r * mixed + shares @ values


def _divided(largest, total, mixed, scores, values):
    higher, total, mixed = _step(largest, total, mixed, scores, values)
    return higher, total, mixed / total


def _old_largest(largest, total, mixed, scores, values):
    return (largest, *_step(largest, total, mixed, scores, values)[1:])


def _step_cases():
    yield (
        torch.tensor(1.0),
        torch.tensor(1.0),
        torch.tensor([10.0]),
        torch.tensor([3.0]),
        torch.tensor([[20.0]]),
    )
    yield (
        torch.tensor(4.0),
        torch.tensor(2.0),
        torch.tensor([1.0, 3.0]),
        torch.tensor([2.0, 3.0, 1.0]),
        _random(3, 2, seed=1),
    )
    yield (
        torch.tensor(-torch.inf),
        torch.tensor(0.0),
        torch.zeros(2),
        _random(5, seed=2),
        _random(5, 2, seed=3),
    )
    yield (
        torch.tensor(500.0),
        torch.tensor(3.0),
        _random(3, seed=4),
        torch.tensor([900.0, 898.0]),
        _random(2, 3, seed=5),
    )


online_step = Exercise(
    "efficient-attention/online-step",
    _step,
    _step_cases,
    {
        "The past is not rescaled. Its sums were made with the old largest score as shift; the new "
        "ones with another.": _no_rescale,
        "The total is rescaled and the mix is not. Both were summed under the old shift, so both "
        "need the same factor.": _total_only,
        "The rescaling factor is upside down. The largest score can only grow, so the past can "
        "only shrink: the factor is never above one.": _inverse,
        "You shift by the largest score of the block alone. When an older score is larger, the "
        "largest score so far has gone down.": _block_maximum,
        "The new exponentials use the old shift. Past and present must stand under the same shift "
        "before they are added.": _old_shift,
        "The mix is already divided by the total. The next step would divide it again: divide "
        "once, after the last block.": _divided,
        "The sums are right, but you hand back the old largest score. The next step would rescale "
        "from the wrong shift.": _old_largest,
    },
    hints=(
        "Three lines: the new largest score, the factor for the past, the shares of the block.",
        "scores (K,) and values (K, Dv): shares (K,) @ values (K, Dv) -> (Dv,)",
        "r = exp(<old largest> - <new largest>); total = r * total + <sum of the shares>; "
        "the same for the mix",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- pairs of a window


def _pairs(length: int, window: int) -> int:
    window = min(window, length)
    return length * window - window * (window - 1) // 2


window_pairs = Exercise(
    "efficient-attention/window-pairs",
    _pairs,
    [(1, 1), (5, 1), (5, 2), (7, 3), (3, 10), (4096, 128)],
    {
        "You count as if every query had a full window. The first queries have fewer keys before "
        "them.": lambda length, window: length * window,
        "Nothing is wrong for long sequences, but a window longer than the sequence is causal "
        "attention and no more.": lambda length, window: (
            length * window - window * (window - 1) // 2
        ),
        "Your window does not contain the query's own position. Here it counts as one of the "
        "window's keys.": lambda length, window: sum(min(i, window) for i in range(length)),
        "Your window has one key too many: its own position is one of the keys, not an extra "
        "one.": lambda length, window: _pairs(length, window + 1),
        "You count keys on both sides. This window looks back only.": lambda length, window: sum(
            min(length, i + window) - max(0, i - window + 1) for i in range(length)
        ),
        "You count all pairs of the past, whatever the window is.": lambda length, window: (
            length * (length + 1) // 2
        ),
        "You leave out the first queries altogether. Their window is not full, but they do see "
        "something.": lambda length, window: length * window - window * window,
    },
    hints=(
        "How many keys has the first query? The second? From which query on is the window full?",
        "for length 5 and window 2 the queries have 1, 2, 2, 2, 2 keys: 9 pairs",
        "add min(i + 1, window) for i = 0 .. length - 1, as a loop or as a formula",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- strided mask


def _strided(length: int, stride: int) -> Tensor:
    places = torch.arange(length)
    back = places[:, None] - places
    return (back >= 0) & ((back < stride) | (back % stride == 0))


def _differences(length: int) -> Tensor:
    places = torch.arange(length)
    return places[:, None] - places


strided_mask = Exercise(
    "efficient-attention/strided-mask",
    _strided,
    [(3, 2), (5, 2), (7, 3), (11, 4), (4, 9)],
    {
        "The future is visible: multiples of the stride lie ahead of a query as well as "
        "behind it.": lambda length, stride: (
            (_differences(length).abs() < stride) | (_differences(length) % stride == 0)
        ),
        "The near keys are missing: besides every stride-th key, a query sees the last few keys "
        "one by one.": lambda length, stride: (
            (_differences(length) >= 0) & (_differences(length) % stride == 0)
        ),
        "The far keys are missing: this is a window. Every stride-th key further back is to be "
        "seen too.": lambda length, stride: (
            (_differences(length) >= 0) & (_differences(length) < stride)
        ),
        "The far keys are those at fixed places, the same for all queries. The stride is counted "
        "from the query: its distance is what must divide.": lambda length, stride: (
            (_differences(length) >= 0)
            & ((_differences(length) < stride) | (torch.arange(length) % stride == 0))
        ),
        "The conditions are joined by *and*. A far key is never near: one of the two is "
        "enough.": lambda length, stride: (
            (_differences(length) >= 0)
            & (_differences(length) < stride)
            & (_differences(length) % stride == 0)
        ),
        "The mask is transposed: rows are queries and columns are keys.": lambda length, stride: (
            _strided(length, stride).T
        ),
        "The mask is upside down. True means *may* attend.": lambda length, stride: (
            ~_strided(length, stride)
        ),
        "The places are right, but the mask holds numbers. Booleans are wanted: some functions add "
        "a float mask to the scores.": lambda length, stride: _strided(length, stride).float(),
    },
    hints=(
        "Everything here depends on how far back a key lies: build that table first.",
        "back = places[:, None] - places is (length, length); negative means future",
        "<not in the future> & (<nearer than the stride> | <distance divides by the stride>)",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- reach of several layers


def _reachable(mask: Tensor, layers: int) -> Tensor:
    reach = mask
    for _ in range(layers - 1):
        reach = (reach.float() @ mask.float()) > 0
    return reach


def _reach_cases():
    chain = torch.tensor([[True, False, False], [True, True, False], [False, True, True]])
    loose = torch.tensor([[False, True, False], [False, False, True], [False, False, False]])
    yield chain, 1
    yield chain, 2
    yield loose, 2
    yield _strided(9, 3), 2
    yield (_differences(7) >= 0) & (_differences(7) < 2), 4
    yield _random(5, 5, seed=2) > 0.6, 3


reachable = Exercise(
    "efficient-attention/reachable",
    _reachable,
    _reach_cases,
    {
        "You return the mask of a single layer. What layer two reads was already mixed by layer "
        "one.": lambda mask, layers: mask,
        "One layer too many: with layers = 1 the reach is the mask itself.": lambda mask, layers: (
            _reachable(mask, layers + 1)
        ),
        "You square the result each time, so the number of steps doubles instead of growing by "
        "one.": lambda mask, layers: _reachable(mask, 2 ** (layers - 1)),
        "These are numbers of paths. The question is only whether there is one: a boolean "
        "mask.": lambda mask, layers: torch.linalg.matrix_power(mask.float(), layers),
        "One factor of the product is turned around. From i to l and from l to j: both masks are "
        "read from row to column.": lambda mask, layers: (
            mask if layers == 1 else (_reachable(mask, layers - 1).float() @ mask.T.float()) > 0
        ),
        "You keep what fewer layers could see. Without a residual path information passes through "
        "every layer: exactly that many steps.": lambda mask, layers: torch.stack(
            [_reachable(mask, step + 1) for step in range(layers)]
        ).any(0),
        "The result is transposed: who is reached stands in the rows.": lambda mask, layers: (
            _reachable(mask, layers).T
        ),
    },
    hints=(
        "Two steps lead from i to j if some l exists with mask[i, l] and mask[l, j].",
        "torch has no product of boolean matrices: use floats, and compare with 0 afterwards.",
        "reach = mask; then layers - 1 times: reach = (<reach times mask>) > 0",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- causal linear attention


def _causal_linear(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    memory = (key[:, :, None] * value[:, None, :]).cumsum(0)
    norm = key.cumsum(0)
    mixed = (query[:, :, None] * memory).sum(1)
    return mixed / (query * norm).sum(1, keepdim=True)


def _no_norm(query, key, value):
    return (query @ key.T).tril() @ value


def _cases_linear():
    yield torch.ones(2, 1), torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [6.0]])
    for L, D, Dv, seed in ((3, 2, 2, 1), (5, 3, 2, 2), (7, 4, 3, 3)):
        yield (
            F.elu(_random(L, D, seed=seed)) + 1,
            F.elu(_random(L, D, seed=seed + 10)) + 1,
            _random(L, Dv, seed=seed + 20),
        )


causal_linear = Exercise(
    "efficient-attention/causal-linear",
    _causal_linear,
    _cases_linear,
    {
        "Every position sees the whole sequence: the memory holds the future too. It must grow "
        "position by position.": lambda query, key, value: (
            query @ (key.T @ value) / (query @ key.sum(0)[:, None])
        ),
        "The result is not divided by anything. The shares of a query must sum to one: divide by "
        "its product with the sum of the keys so far.": _no_norm,
        "The memory is causal, and the normaliser sums all keys. Both must stop at the query's own "
        "position.": lambda query, key, value: (
            _no_norm(query, key, value) / (query @ key.sum(0)[:, None])
        ),
        "The position does not see itself: update the memory before you ask it.": (
            lambda query, key, value: (
                (query @ key.T).tril(-1)
                @ value
                / (query @ key.T).tril(-1).sum(1, keepdim=True).clamp(min=1e-6)
            )
        ),
        "This is the softmax. Here the features are given, and their plain product is the "
        "weight.": lambda query, key, value: (
            (query @ key.T)
            .masked_fill(torch.ones(len(query), len(key)).triu(1).bool(), -torch.inf)
            .softmax(-1)
            @ value
        ),
        "You divide by how many positions were seen. That is a mean over positions; the shares "
        "must sum to one by their own weights.": lambda query, key, value: (
            _no_norm(query, key, value) / torch.arange(1, len(query) + 1)[:, None]
        ),
        "Queries and keys have changed places. The memory is made of keys and values; the query "
        "only reads it.": lambda query, key, value: _causal_linear(key, query, value),
        "The features are mapped twice: the inputs of this function are positive features "
        "already.": lambda query, key, value: _causal_linear(
            F.elu(query) + 1, F.elu(key) + 1, value
        ),
    },
    hints=(
        "Carry two things from position to position: a (D, Dv) memory and a (D,) sum of keys.",
        "memory + outer(key[i], value[i]) -> (D, Dv); query[i] (D,) @ memory (D, Dv) -> (Dv,)",
        "for each i: <update memory and norm>; context = query[i] @ memory / (query[i] @ norm)",
    ),
    minutes=12,
    difficulty=3,
)
