"""Exercises of "Efficient attention"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

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


def _overflow(largest, total, mixed, scores, values):
    higher = torch.maximum(largest, scores.amax())
    back = (-higher).exp()
    total = total * largest.exp() + scores.exp().sum()
    mixed = mixed * largest.exp() + scores.exp() @ values
    return higher, total * back, mixed * back


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
        normal(3, 2, seed=1),
    )
    yield (
        torch.tensor(-torch.inf),
        torch.tensor(0.0),
        torch.zeros(2),
        normal(5, seed=2),
        normal(5, 2, seed=3),
    )
    yield (
        torch.tensor(500.0),
        torch.tensor(3.0),
        normal(3, seed=4),
        torch.tensor([900.0, 898.0]),
        normal(2, 3, seed=5),
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
        "Some results are not a number. You take the exponential of a score without a shift: the "
        "exponential of 900 is infinite. Subtract first, then take the exponential of the "
        "difference.": _overflow,
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
        "You cut the window at the length of the sequence, but still count as if every query had "
        "it full. The first queries have fewer keys.": lambda length, window: (
            length * min(length, window)
        ),
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


# ---------------------------------------------------------------- mask with posts


def _parts(length: int, block: int) -> tuple[Tensor, Tensor, Tensor]:
    places = torch.arange(length)
    own = places[:, None] // block == places // block
    return places[:, None] >= places, own, places % block == block - 1


def _posts(length: int, block: int) -> Tensor:
    past, own, post = _parts(length, block)
    return past & (own | post)


def _no_past(length: int, block: int) -> Tensor:
    _, own, post = _parts(length, block)
    return own | post


def _precedence(length: int, block: int) -> Tensor:
    past, own, post = _parts(length, block)
    return past & own | post


def _other_precedence(length: int, block: int) -> Tensor:
    past, own, post = _parts(length, block)
    return own | post & past


def _first_of_block(length: int, block: int) -> Tensor:
    past, own, _ = _parts(length, block)
    return past & (own | (torch.arange(length) % block == 0))


def _from_query(length: int, block: int) -> Tensor:
    places = torch.arange(length)
    back = places[:, None] - places
    return (back >= 0) & ((back < block) | (back % block == 0))


def _window_not_block(length: int, block: int) -> Tensor:
    places = torch.arange(length)
    past, _, post = _parts(length, block)
    return past & ((places[:, None] - places < block) | post)


posts_mask = Exercise(
    "efficient-attention/posts-mask",
    _posts,
    [(5, 2), (8, 3), (11, 4), (7, 3), (3, 9)],
    {
        "The future is visible, within the own block and at the posts. Both kinds of keys must "
        "also lie in the past.": _no_past,
        "Posts of the future are visible. `&` binds closer than `|`: put the two ways to be seen "
        "in parentheses before you join them with the past.": _precedence,
        "The own block is visible to its end, future included. `&` binds closer than `|`: put the "
        "two ways to be seen in parentheses.": _other_precedence,
        "Your posts are the first positions of the blocks. The post is the last one, which has "
        "seen its whole block.": _first_of_block,
        "This is the strided mask of the chapter: its far keys are counted from the query. Posts "
        "stand at the same places for all queries.": _from_query,
        "The near keys are a window that moves with the query. A block has fixed borders: query "
        "and key are in the same one.": _window_not_block,
        "The posts are missing: nothing ever leaves a block.": lambda length, block: (
            _parts(length, block)[0] & _parts(length, block)[1]
        ),
        "The own block is missing: only the posts are seen.": lambda length, block: (
            _parts(length, block)[0] & _parts(length, block)[2]
        ),
        "The mask is transposed: rows are queries and columns are keys.": lambda length, block: (
            _posts(length, block).T
        ),
        "The mask is upside down. True means *may* attend.": lambda length, block: (
            ~_posts(length, block)
        ),
        "The places are right, but the mask holds numbers. Booleans are wanted: some functions add "
        "a float mask to the scores.": lambda length, block: _posts(length, block).float(),
    },
    hints=(
        "Three questions about a pair: is the key in the past, in the same block, a post?",
        "places // block is the number of a block; places % block the place inside it",
        "<past> & (<same block (length, length)> | <post (length,)>)",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- how many layers


def _needed(mask: Tensor) -> int:
    seen = mask[-1]
    for layers in range(1, len(mask) + 1):
        if seen.all():
            return layers
        seen = mask[seen].any(0)
    return 0


def _needed_squares(mask: Tensor) -> int:
    reach = mask
    for layers in range(1, len(mask) + 1):
        if reach[-1].all():
            return layers
        reach = (reach.float() @ reach.float()) > 0
    return 0


def _needed_all(mask: Tensor) -> int:
    reach = mask
    for layers in range(1, len(mask) + 1):
        if reach.all():
            return layers
        reach = (reach.float() @ mask.float()) > 0
    return 0


def _needed_first(mask: Tensor) -> int:
    seen = mask[-1]
    for layers in range(1, len(mask) + 1):
        if seen[0]:
            return layers
        seen = mask[seen].any(0)
    return 0


def _needed_column(mask: Tensor) -> int:
    return _needed(mask.T)


def _window(length: int, width: int) -> Tensor:
    places = torch.arange(length)
    back = places[:, None] - places
    return (back >= 0) & (back < width)


def _needed_cases():
    yield (_window(4, 2),)
    yield (_window(9, 3),)
    yield (torch.ones(5, 5).tril().bool(),)
    yield (_parts(6, 3)[1],)  # blocks: never
    yield (_window(7, 3) | (torch.arange(7) == 0) & torch.ones(7, 7).tril().bool(),)
    yield (_posts(8, 3),)
    turned = _window(5, 2)
    turned[0, 4] = True  # the first position sees the last one
    yield (turned,)
    yield (torch.tensor([[True, False, True], [True, True, True], [False, True, True]]),)


layers_needed = Exercise(
    "efficient-attention/layers-needed",
    _needed,
    _needed_cases,
    {
        "One too few: you count the products, or the layers after the first. What the mask itself "
        "shows takes one layer.": lambda mask: max(_needed(mask) - 1, 0),
        "One too many: look whether all is seen before you add a layer.": lambda mask: (
            _needed(mask) + 1 if _needed(mask) else 0
        ),
        "You square the result each time, so the number of layers doubles instead of growing by "
        "one.": _needed_squares,
        "You wait until every query has seen everything. Only the last query is asked for; under "
        "a causal mask the others never do.": _needed_all,
        "You wait for the first position only. A mask may reach far and leave holes: all "
        "positions count.": _needed_first,
        "You follow the mask backwards: whom the last position reaches. Rows are queries: ask "
        "what its row can see.": _needed_column,
        "Where no number of layers is enough, 0 is wanted, not the number of layers that you "
        "tried.": lambda mask: _needed(mask) or len(mask),
        "You count the positions that one layer shows. The question is how many layers it takes "
        "until all are seen.": lambda mask: int(mask[-1].sum()),
    },
    hints=(
        "Carry one row: what the last query has seen so far. How does one more layer widen it?",
        "seen (n,) starts as mask[-1]; mask[seen] has the rows of all positions seen so far",
        "for layers in 1 .. n: return it if <all seen>; else seen = <any of these rows>; then 0",
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
            F.elu(normal(L, D, seed=seed)) + 1,
            F.elu(normal(L, D, seed=seed + 10)) + 1,
            normal(L, Dv, seed=seed + 20),
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
