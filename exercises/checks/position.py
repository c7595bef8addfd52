"""Exercises of "Position"."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from attnlib import attention
from attnlib.checker import Exercise
from exercises.checks import normal


def _frequencies(width: int) -> Tensor:
    return 10000.0 ** (-torch.arange(0, width, 2) / width)


# ---------------------------------------------------------------- waves


def _table(angles: Tensor) -> Tensor:
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _waves(length: int, width: int) -> Tensor:
    return _table(torch.arange(length)[:, None] * _frequencies(width))


def _waves_with(start: int, steps: Callable[[int], Tensor]):
    def waves(length: int, width: int) -> Tensor:
        return _table((torch.arange(length) + start)[:, None] * steps(width))

    return waves


def _waves_in_halves(length: int, width: int) -> Tensor:
    angles = torch.arange(length)[:, None] * _frequencies(width)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _waves_cosine_first(length: int, width: int) -> Tensor:
    angles = torch.arange(length)[:, None] * _frequencies(width)
    return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1)


def _waves_each_its_own(length: int, width: int) -> Tensor:
    angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(width) / width)
    even = torch.arange(width) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos())


waves = Exercise(
    "position/waves",
    _waves,
    [(2, 2), (3, 4), (5, 6), (17, 8)],
    {
        "All sines stand first and all cosines after them. In the formula they take turns: feature "
        "2f is the sine and 2f + 1 the cosine of one hand.": _waves_in_halves,
        "Sine and cosine are exchanged: place 0 begins with sin(0) = 0, not with "
        "1.": _waves_cosine_first,
        "You count places from 1. Place 0 is the first one, and all its angles are 0.": _waves_with(
            1, _frequencies
        ),
        "Sine and cosine of a pair turn at different speeds, because the exponent runs over all "
        "features. A hand has one frequency: the exponent steps once a pair.": _waves_each_its_own,
        "The exponent is positive, so the hands get faster and faster. The first hand is the "
        "fastest, with frequency 1.": _waves_with(
            0, lambda width: 10000.0 ** (torch.arange(0, width, 2) / width)
        ),
        "The exponent is only half of what it should be: it is 2f / F for the pair f, and you "
        "divide f by F.": _waves_with(0, lambda width: _half_exponents(width)),
        "You spread the frequencies up to 1/10000 itself. The last exponent is 2f / F with "
        "f = F / 2 - 1, which is less than 1.": _waves_with(
            0, lambda width: torch.logspace(0, -4, width // 2)
        ),
        "You read the angles in degrees. Sine and cosine want radians, and that is how the formula "
        "means them: no factor.": _waves_with(0, lambda width: _frequencies(width) * math.pi / 180),
    },
    hints=(
        "One angle for each place and each pair: that is an outer product.",
        "places (L, 1) * frequencies (F / 2) -> angles (L, F / 2) -> sine and cosine (L, F / 2, 2)",
        "frequencies = 10000 ** (-<0, 2, 4, ...> / F)\n"
        "angles = <places as a column> * frequencies\n"
        "return stack([sin, cos], dim=-1).flatten(1)",
    ),
    minutes=8,
    difficulty=1,
)


# ---------------------------------------------------------------- turning


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    a, b = x[:, 0::2], x[:, 1::2]
    c, s = angles.cos(), angles.sin()
    return torch.stack([a * c - b * s, a * s + b * c], dim=-1).flatten(1)


def _half_exponents(width: int) -> Tensor:
    return 10000.0 ** (-torch.arange(width // 2) / width)


def _angles(x: Tensor, start: int) -> Tensor:
    return (torch.arange(len(x)) + start)[:, None] * _frequencies(x.shape[1])


def _turn(x: Tensor, start: int) -> Tensor:
    return _turned(x, _angles(x, start))


def _turn_halves(x: Tensor, start: int) -> Tensor:
    a, b = x.chunk(2, dim=1)
    c, s = _angles(x, start).cos(), _angles(x, start).sin()
    return torch.cat([a * c - b * s, a * s + b * c], dim=-1)


def _turn_without_minus(x: Tensor, start: int) -> Tensor:
    a, b = x[:, 0::2], x[:, 1::2]
    c, s = _angles(x, start).cos(), _angles(x, start).sin()
    return torch.stack([a * c + b * s, a * s + b * c], dim=-1).flatten(1)


def _turn_in_halves_order(x: Tensor, start: int) -> Tensor:
    turned = _turn(x, start)
    return torch.cat([turned[:, 0::2], turned[:, 1::2]], dim=-1)


turn = Exercise(
    "position/turn",
    _turn,
    lambda: [
        (torch.tensor([[1.0, 0.0], [1.0, 0.0]]), 0),
        (normal(3, 4, seed=1), 0),
        (normal(2, 4, seed=2), 5),
        (normal(7, 6, seed=3), 3),
    ],
    {
        "You turn the other way. With queries and keys both turned so, the scores would be right, "
        "but they would not fit keys that others have turned: multiply by exp(+i angle).": (
            lambda x, start: _turned(x, -_angles(x, start))
        ),
        "Your frequencies are those of 10000 ** (-f / D). The exponent is 2f / D for pair f, so "
        "the hands of yours are too fast.": lambda x, start: _turned(
            x, (torch.arange(len(x)) + start)[:, None] * _half_exponents(x.shape[1])
        ),
        "You pair feature f with feature f + D/2. Some models do, and their projections are sorted "
        "accordingly; here the pairs are neighbours, 2f and 2f + 1.": _turn_halves,
        "The parts are turned rightly, but come back in another order: first parts, then second "
        "parts. Put each pair back side by side.": _turn_in_halves_order,
        "The first row counts as place 0. It stands at place `start`, for example behind keys that "
        "are cached.": lambda x, start: _turn(x, 0),
        "Every row gets the angle of the first one. The angle grows by one step from row to row.": (
            lambda x, start: _turned(x, _angles(x, start)[:1].expand(len(x), -1))
        ),
        "All pairs turn at the speed of the first. Each pair has its own frequency, from fast to "
        "slow.": lambda x, start: _turned(x, _angles(x, start)[:, :1].expand(-1, x.shape[1] // 2)),
        "A minus is missing: (a + bi)(c + si) = (ac - bs) + (as + bc)i, because i times i is "
        "-1.": _turn_without_minus,
        "You add the waves, as a sinusoidal encoding does. A rotary embedding multiplies, and "
        "leaves the length of every vector as it is.": lambda x, start: (
            x + _table(_angles(x, start))
        ),
        "You multiply by sines and cosines without mixing the two parts of a pair. That stretches "
        "the vector; a rotation needs both parts in both results.": lambda x, start: (
            x * _table(_angles(x, start))
        ),
    },
    hints=(
        "x[:, 0::2] and x[:, 1::2] are the two parts of all pairs. A rotation mixes them.",
        "a, b (L, D / 2); angles (L, D / 2); results (L, D / 2) twice, stacked to (L, D / 2, 2), "
        "flattened to (L, D)",
        "angles = <places from start on, as a column> * <frequencies>\n"
        "return stack([a cos - b sin, a sin + b cos], dim=-1).flatten(1)",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- penalty


def _distances(length: int, size: int) -> Tensor:
    queries = torch.arange(size - length, size)
    return queries[:, None] - torch.arange(size)


def _penalty(slopes: Tensor, length: int, size: int) -> Tensor:
    return -slopes[:, None, None] * _distances(length, size).abs()


def _top_left(slopes: Tensor, length: int, size: int) -> Tensor:
    distance = torch.arange(length)[:, None] - torch.arange(size)
    return -slopes[:, None, None] * distance.abs()


def _future_is_free(slopes: Tensor, length: int, size: int) -> Tensor:
    return -slopes[:, None, None] * _distances(length, size).clamp(min=0)


penalty = Exercise(
    "position/penalty",
    _penalty,
    lambda: [
        (torch.tensor([1.0]), 2, 2),
        (torch.tensor([0.5, 0.25]), 3, 3),
        (torch.tensor([0.5]), 1, 4),
        (torch.tensor([0.5, 0.25, 0.125]), 2, 5),
    ],
    {
        "The sign is wrong: your heads prefer what is far. A penalty is taken away.": (
            lambda slopes, length, size: -_penalty(slopes, length, size)
        ),
        "With fewer queries than keys the first query is not at place 0: it stands at place "
        "size - length, because the last query is at the last key.": _top_left,
        "Later keys get a reward instead of a penalty: the distance must not become negative. Take "
        "its absolute value.": lambda slopes, length, size: (
            -slopes[:, None, None] * _distances(length, size)
        ),
        "Later keys get no penalty at all. Here they get the same as earlier ones: take the "
        "absolute value of the distance instead of cutting it off at 0.": _future_is_free,
        "All heads have the slope of the first. The slopes differ, so that some heads look near "
        "and some far.": lambda slopes, length, size: _penalty(
            slopes[:1].expand(len(slopes)), length, size
        ),
        "The penalty grows with the square of the distance. ALiBi is linear; that is what the L "
        "stands for.": lambda slopes, length, size: (
            -slopes[:, None, None] * _distances(length, size) ** 2
        ),
        "You return the factor exp(bias). The bias is added to the scores before the softmax, "
        "which takes the exponential itself.": lambda slopes, length, size: _penalty(
            slopes, length, size
        ).exp(),
        "Later keys are set to minus infinity. Hiding the future is the work of the causal mask; "
        "here they get the same penalty as earlier ones.": lambda slopes, length, size: _penalty(
            slopes, length, size
        ).masked_fill(_distances(length, size) < 0, -torch.inf),
        "You divide by the slope. A steep head has a large slope and a large "
        "penalty.": lambda slopes, length, size: _penalty(1 / slopes, length, size),
        "Queries and keys are exchanged: the result has shape (H, size, length).": (
            lambda slopes, length, size: _penalty(slopes, length, size).mT
        ),
    },
    hints=(
        "Give every query its place first. Which place does the last one have?",
        "slopes (H, 1, 1) * distances (L, S) -> (H, L, S)",
        "places = arange(<first>, <last + 1>)\n"
        "distances = |<places as a column> - arange(size)|\n"
        "return - <slopes with two more axes> * distances",
    ),
    minutes=8,
    difficulty=2,
)


# ---------------------------------------------------------------- buckets


def _bucket(distance: int, buckets: int, farthest: int) -> int:
    exact = buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(farthest / exact)
    return min(exact + int(share * (buckets - exact)), buckets - 1)


def _buckets_by(rule: Callable[[int, int, int], int]):
    return lambda distances, buckets, farthest: [rule(d, buckets, farthest) for d in distances]


def _no_last(distance: int, buckets: int, farthest: int) -> int:
    exact = buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(farthest / exact)
    return exact + int(share * (buckets - exact))


def _linear(distance: int, buckets: int, farthest: int) -> int:
    exact = buckets // 2
    share = (distance - exact) / (farthest - exact)
    far = min(exact + int(share * (buckets - exact)), buckets - 1)
    return distance if distance < exact else far


def _from_zero(distance: int, buckets: int, farthest: int) -> int:
    if distance < buckets // 2:
        return distance
    share = math.log(distance) / math.log(farthest)
    return min(buckets // 2 + int(share * (buckets - buckets // 2)), buckets - 1)


def _rounded(distance: int, buckets: int, farthest: int) -> int:
    exact = buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(farthest / exact)
    return min(exact + round(share * (buckets - exact)), buckets - 1)


def _starts_again(distance: int, buckets: int, farthest: int) -> int:
    exact = buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(farthest / exact)
    return min(int(share * (buckets - exact)), buckets - 1)


bucket_of = Exercise(
    "position/bucket",
    _buckets_by(_bucket),
    [
        ([0, 1], 4, 8),
        ([0, 1, 2, 3, 4, 5, 7, 9, 12, 20], 8, 16),
        ([0, 6, 9, 11, 13, 30, 63, 64, 65, 1000], 16, 64),
        (list(range(0, 300, 7)), 32, 128),
    ],
    {
        "Far distances get numbers that no bucket has. The last bucket, number buckets - 1, holds "
        "everything beyond.": _buckets_by(_no_last),
        "Each distance has a bucket of its own, up to the last. Then 32 buckets end at distance "
        "31; the upper half is to be shared out by the logarithm.": _buckets_by(
            lambda d, buckets, farthest: min(d, buckets - 1)
        ),
        "All distances from the middle on share one bucket. The upper half of the buckets widens "
        "step by step up to `farthest`.": _buckets_by(
            lambda d, buckets, farthest: min(d, buckets // 2)
        ),
        "Your wide buckets are all equally wide. They should widen in equal *ratios*, so the share "
        "is one of logarithms.": _buckets_by(_linear),
        "The logarithm begins at distance 1. The wide buckets begin at `exact`: divide both "
        "distances by it first.": _buckets_by(_from_zero),
        "You round to the nearest bucket. A bucket holds what lies between two borders, so cut "
        "the fraction off.": _buckets_by(_rounded),
        "The wide buckets are counted from 0 again, and near and far distances share numbers. They "
        "come after the near ones: add `exact`.": _buckets_by(_starts_again),
        "A quarter of the buckets is exact in your answer. That is so when another half is kept "
        "for later keys; here all buckets are for distances from 0 up.": _buckets_by(
            lambda d, buckets, farthest: (
                d
                if d < buckets // 4
                else min(
                    buckets // 4
                    + int(
                        math.log(d / (buckets // 4))
                        / math.log(farthest / (buckets // 4))
                        * (buckets - buckets // 4)
                    ),
                    buckets - 1,
                )
            )
        ),
    },
    hints=(
        "Near distances are their own bucket. For the rest: how far along is log(distance) between "
        "log(exact) and log(farthest)?",
        "share 0 at distance `exact`, 1 at `farthest`\n"
        "bucket = exact + whole part of share * (buckets - exact), at most buckets - 1",
        "if distance < exact: the distance\n"
        "else: min(exact + int(<share> * (buckets - exact)), <the last bucket>)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- memory


def _attend(query: Tensor, context: Tensor) -> Tensor:
    """Causal attention whose last query stands at the last key; shorter contexts cut it."""
    return attention(query, context, context, causal=len(context) >= len(query))


def _read_with(keep: Callable[[Tensor, Tensor, Tensor, int], Tensor], join=None):
    """keep(context, part, output, M) is the memory after a segment."""

    def read(attend: Callable, x: Tensor, segment: int, M: int) -> Tensor:
        memory, outputs = x[:0], []
        for part in x.split(segment):
            parts = [memory, part] if join is None else join(memory, part)
            context = torch.cat(parts)
            outputs.append(attend(part, context))
            memory = keep(context, part, outputs[-1], M)
        return torch.cat(outputs)

    return read


_read = _read_with(lambda context, part, output, M: context[-M:].detach())


def _read_call(read: Callable, x: Tensor, segment: int, M: int) -> tuple[Tensor, Tensor]:
    """What is read, and how much each row counts in the gradient of the last one."""
    x = x.clone().requires_grad_()
    result = read(_attend, x, segment, M)
    if not isinstance(result, Tensor) or not result.requires_grad:
        return result, torch.zeros(len(x))
    [gradient] = torch.autograd.grad(result[-1].sum(), x)
    return result.detach(), gradient


def _drop_rest(attend: Callable, x: Tensor, segment: int, M: int) -> Tensor:
    return _read(attend, x[: len(x) // segment * segment], segment, M)


def _read_from_zeros(attend: Callable, x: Tensor, segment: int, M: int) -> Tensor:
    memory, outputs = x.new_zeros(M, x.shape[1]), []
    for part in x.split(segment):
        context = torch.cat([memory, part])
        outputs.append(attend(part, context))
        memory = context[-M:].detach()
    return torch.cat(outputs)


def _read_detached(attend: Callable, x: Tensor, segment: int, M: int) -> Tensor:
    return _read(lambda query, context: attend(query, context.detach()), x, segment, M)


segments = Exercise(
    "position/segments",
    _read,
    lambda: [
        (normal(4, 2, seed=1), 2, 2),
        (normal(6, 3, seed=2), 2, 1),
        (normal(9, 3, seed=3), 3, 5),
        (normal(8, 4, seed=4), 3, 4),
    ],
    {
        "There is no memory: every segment starts with an empty past.": _read_with(
            lambda context, part, output, M: context[:0]
        ),
        "The memory holds the last segment only, however large M is. It keeps the last M rows of "
        "everything in view: memory and segment together.": _read_with(
            lambda context, part, output, M: part[-M:].detach()
        ),
        "The memory grows without end: M is ignored. Keep the last M rows and drop the rest.": (
            _read_with(lambda context, part, output, M: context.detach())
        ),
        "You keep the first M rows. What is nearest is needed next: keep the last ones.": (
            _read_with(lambda context, part, output, M: context[:M].detach())
        ),
        "You keep the outputs. The memory of a layer holds its *inputs*, from which it makes keys "
        "and values.": _read_with(lambda context, part, output, M: output[-M:].detach()),
        "The values are right, but a gradient flows through the memory into earlier segments. "
        "Then their activations must be kept as well, which is what the memory is to save: detach "
        "it.": _read_with(lambda context, part, output, M: context[-M:]),
        "The memory begins as rows of zeros. A row of zeros is a place too and takes its share of "
        "the softmax: begin with no rows at all.": _read_from_zeros,
        "You detach the whole context, so the segment cannot learn from its own keys and values. "
        "Only the memory is to be detached.": _read_detached,
        "The memory stands behind the segment. It is older: put it in front, or the causal mask "
        "counts the wrong places.": _read_with(
            lambda context, part, output, M: context[-M:].detach(),
            join=lambda memory, part: [part, memory],
        ),
        "The last segment is lost when the length is no multiple of the segment. It is shorter, "
        "but it must be read as well.": _drop_rest,
        "You let the memory ask as well, so the result has more rows than x. Only the segment "
        "asks; the memory is looked at.": lambda attend, x, segment, M: torch.cat(
            [
                attend(x[max(0, i - M) : i + segment], x[max(0, i - M) : i + segment])
                for i in range(0, len(x), segment)
            ]
        ),
    },
    hints=(
        "x.split(segment) gives the segments, the last one shorter. x[:0] is an empty memory.",
        "memory (up to M, D), part (up to segment, D) -> context (up to M + segment, D)\n"
        "attend(part, context) -> (rows of part, D)",
        "for part in x.split(segment):\n"
        "    context = <memory, then part>\n"
        "    outputs.append(attend(part, context))\n"
        "    memory = <the last M rows of context, without a gradient>",
    ),
    minutes=14,
    difficulty=3,
    call=_read_call,
    needs_grad=True,
)
