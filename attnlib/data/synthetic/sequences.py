"""Sequences of tokens in which each answer comes from one known position."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnlib._checks import check_positive
from attnlib.data.synthetic._lengths import random_lengths

__all__ = [
    "MarkedTask",
    "alignment_task",
    "copy_task",
    "lookup_task",
    "reverse_task",
]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MarkedTask:
    """Examples of a task, with the one position that each answer must come from.

    Row i of the truth marks where the token lies that position i must produce. Applied to the
    one-hot inputs the truth gives the one-hot targets; where there is nothing to produce the
    target is 0 and the row is empty. L = S except in `alignment_task`.

    Args:
        inputs: (B, S) int64, tokens from 1, padded with 0.
        targets: (B, L) int64, tokens to produce, 0 = none; pass ignore_index=0 to the loss.
        truth: (B, L, S) bool, the right map: row = query, column = key, at most one True a row.
        lengths: (B,) int64, tokens of each input.
        vocab_size: number of tokens, padding included.
        description: what has to be done.
    """

    inputs: Tensor
    targets: Tensor
    truth: Tensor
    lengths: Tensor
    vocab_size: int
    description: str

    @property
    def uniform_mass(self) -> float:
        """The share of attention on the truth when every token is attended to evenly."""
        wanted = self.truth.any(dim=-1)
        return ((1 / self.lengths)[:, None] * wanted).sum().item() / wanted.sum().item()

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        return (
            f"MarkedTask({self.description}: {len(self):,} examples, L = {self.targets.shape[1]})"
        )


def copy_task(
    num_examples: int,
    length: int,
    vocab_size: int,
    *,
    min_length: int | None = None,
    generator: torch.Generator | None = None,
) -> MarkedTask:
    """Random sequences to be given back as they are: position i attends to position i.

    Args:
        num_examples: B
        length: L, tokens of the longest sequence.
        vocab_size: number of tokens, the padding 0 included, so at least 2.
        min_length: tokens of the shortest sequence; None makes all equally long.
        generator: source of the sequences; None uses torch's global one.

    Returns:
        MarkedTask

    Raises:
        TypeError, ValueError: a size that is no int, below its least value, or above `length`.

    >>> copy_task(3, 5, 7).truth.shape
    torch.Size([3, 5, 5])
    """
    lengths = random_lengths("copy_task", num_examples, length, min_length, generator)
    inputs = _random_tokens("copy_task", lengths, length, vocab_size, generator)
    source = torch.arange(length).expand(num_examples, length)
    return _marked(inputs, source, lengths, vocab_size, "give the sequence back as it is")


def reverse_task(
    num_examples: int,
    length: int,
    vocab_size: int,
    *,
    min_length: int | None = None,
    generator: torch.Generator | None = None,
) -> MarkedTask:
    """Random sequences to be given back in reverse: position i of n attends to n - 1 - i.

    The place alone decides, never the token, so a model without positions cannot solve it.

    Args:
        num_examples: B
        length: L, tokens of the longest sequence.
        vocab_size: number of tokens, the padding 0 included, so at least 2.
        min_length: tokens of the shortest sequence; None makes all equally long.
        generator: source of the sequences; None uses torch's global one.

    Returns:
        MarkedTask

    Raises:
        TypeError, ValueError: a size that is no int, below its least value, or above `length`.

    >>> task = reverse_task(1, 3, 100, generator=torch.Generator().manual_seed(0))
    >>> task.truth[0].int()
    tensor([[0, 0, 1],
            [0, 1, 0],
            [1, 0, 0]], dtype=torch.int32)
    """
    lengths = random_lengths("reverse_task", num_examples, length, min_length, generator)
    inputs = _random_tokens("reverse_task", lengths, length, vocab_size, generator)
    source = lengths[:, None] - 1 - torch.arange(length)
    return _marked(inputs, source, lengths, vocab_size, "give the sequence back in reverse")


def lookup_task(
    num_examples: int,
    num_pairs: int,
    vocab_size: int,
    *,
    min_pairs: int | None = None,
    generator: torch.Generator | None = None,
) -> MarkedTask:
    """Pairs of a key and a value, then one of the keys: its value must be produced.

    An example reads k1 v1 k2 v2 ... kn vn q, so L = 2 num_pairs + 1. The answer is wanted at q
    alone, and its truth is the position of the value beside the matching key. The keys of an
    example differ; keys and values are different tokens. The place tells nothing: only the content
    does. For one layer of cross-attention take keys `inputs[:, :-1:2]`, values
    `inputs[:, 1::2]`, query `inputs[:, -1]` and truth `truth[:, -1, 1::2]` (all pairs used).

    Args:
        num_examples: B
        num_pairs: n, pairs of the longest example.
        vocab_size: number of tokens: 0, then the keys, then the values, half each; at least
            2 num_pairs + 1.
        min_pairs: pairs of the shortest example; None makes all equally long.
        generator: source of the examples; None uses torch's global one.

    Returns:
        MarkedTask

    Raises:
        TypeError, ValueError: a size that is no int, below its least value, or above `num_pairs`.

    >>> task = lookup_task(1, 2, 9, generator=torch.Generator().manual_seed(0))
    >>> task.inputs.shape, task.truth[0, -1].nonzero().item() in (1, 3)
    (torch.Size([1, 5]), True)
    """
    pairs = random_lengths("lookup_task", num_examples, num_pairs, min_pairs, generator, "pairs")
    check_positive("lookup_task", vocab_size=vocab_size)
    num_keys = (vocab_size - 1) // 2
    if num_keys < num_pairs:
        raise ValueError(
            f"lookup_task: got vocab_size={vocab_size} with {num_keys} keys, expected one for each "
            f"of {num_pairs} pairs; write vocab_size={2 * num_pairs + 1} or more"
        )
    order = torch.rand(num_examples, num_keys, generator=generator).argsort(dim=1)
    keys = 1 + order[:, :num_pairs]  # without repetition
    values = torch.randint(1 + num_keys, vocab_size, keys.shape, generator=generator)
    asked = (torch.rand(num_examples, generator=generator) * pairs).long()
    L = 2 * num_pairs + 1
    inputs = torch.zeros(num_examples, L, dtype=torch.int64)
    inputs[:, 0:-1:2], inputs[:, 1::2] = keys, values
    examples, last = torch.arange(num_examples), 2 * pairs
    inputs[torch.arange(L) > last[:, None]] = 0
    inputs[examples, last] = keys[examples, asked]
    source = torch.full((num_examples, L), -1)
    source[examples, last] = 2 * asked + 1
    return _marked(inputs, source, last + 1, vocab_size, "give the value of the last key")


def alignment_task(
    num_examples: int,
    length: int,
    vocab_size: int,
    *,
    permuted: bool = False,
    min_length: int | None = None,
    generator: torch.Generator | None = None,
) -> MarkedTask:
    """A toy translation with a known alignment: even tokens are written twice, odd ones once.

    Source and target differ in length, so the alignment is no diagonal: how far it has come
    depends on the tokens. With `permuted`, each pair of neighbours is also told in reverse order,
    like adjective and noun between two languages.

    Args:
        num_examples: B
        length: S, tokens of the longest source; the targets have L = 2 S positions.
        vocab_size: number of tokens, the padding 0 included, so at least 2.
        permuted: swap the first and second source token, the third and fourth, and so on.
        min_length: tokens of the shortest source; None makes all equally long.
        generator: source of the sequences; None uses torch's global one.

    Returns:
        MarkedTask, with targets (B, L) and truth (B, L, S).

    Raises:
        TypeError, ValueError: a size that is no int, below its least value, or above `length`.

    >>> task = alignment_task(1, 3, 9, generator=torch.Generator().manual_seed(0))
    >>> task.inputs.tolist(), task.targets.tolist()
    ([[5, 8, 6]], [[5, 8, 8, 6, 6, 0]])
    """
    lengths = random_lengths("alignment_task", num_examples, length, min_length, generator)
    inputs = _random_tokens("alignment_task", lengths, length, vocab_size, generator)
    order = torch.arange(length).expand(num_examples, length)
    if permuted:
        paired = order < lengths[:, None] // 2 * 2  # the last of an odd number stays
        order = torch.where(paired, order ^ 1, order)
    tokens = inputs.gather(1, order)
    times = (1 + (tokens % 2 == 0)) * (tokens > 0)
    ends = times.cumsum(1)
    written = torch.arange(2 * length).repeat(num_examples, 1)
    turn = torch.searchsorted(ends, written, right=True)  # which token of the order is written
    source = order.gather(1, turn.clamp(max=length - 1))
    source = source.masked_fill(written >= ends[:, -1:], -1)
    how = "in pairs told in reverse" if permuted else "in order"
    description = f"give even tokens twice and odd ones once, {how}"
    return _marked(inputs, source, lengths, vocab_size, description)


def _random_tokens(
    owner: str, lengths: Tensor, length: int, vocab_size: int, generator: torch.Generator | None
) -> Tensor:
    """(B, L) int64 tokens from 1, padded with 0."""
    check_positive(owner, vocab_size=vocab_size)
    if vocab_size < 2:
        raise ValueError(
            f"{owner}: got vocab_size={vocab_size}, expected at least 2, as token 0 is padding; "
            f"write vocab_size=2 or more"
        )
    tokens = torch.randint(1, vocab_size, (len(lengths), length), generator=generator)
    return tokens.masked_fill(torch.arange(length) >= lengths[:, None], 0)


def _marked(
    inputs: Tensor, source: Tensor, lengths: Tensor, vocab_size: int, description: str
) -> MarkedTask:
    """Task in which position i must produce the token at `source[i]`; -1 where there is none."""
    S = inputs.shape[1]
    wanted = (source >= 0) & (source < lengths[:, None])
    truth = (source[:, :, None] == torch.arange(S)) & wanted[:, :, None]
    targets = inputs.gather(1, source.clamp(0, S - 1)) * wanted
    return MarkedTask(inputs, targets, truth, lengths, vocab_size, description)
