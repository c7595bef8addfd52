"""Exercises of "Spoken digits"."""

import torch
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- real frames


def _real(lengths: Tensor, T: int) -> Tensor:
    return torch.arange(T) < lengths[:, None]


def _attendable(lengths: Tensor, T: int) -> Tensor:
    return _real(lengths, T)[:, None, None]


padding = Exercise(
    "speech/padding",
    _attendable,
    [
        (torch.tensor([1, 3]), 3),
        (torch.tensor([2, 5, 3]), 6),
        (torch.tensor([4, 4, 1, 2]), 5),
    ],
    {
        "The mask is upside down: True marks the padding. In this book True means "
        '"may attend".': lambda lengths, T: ~_attendable(lengths, T),
        "One step of padding is let in: a recording of n frames has the frames 0 to "
        "n - 1.": lambda lengths, T: _attendable(lengths + 1, T),
        "The last real frame is hidden. Frame n - 1 of n belongs to the "
        "recording.": lambda lengths, T: _attendable(lengths - 1, T),
        "The shape is (B, T). Scores have heads and queries between these two: make room for both, "
        "or a batch of T recordings is taken for T queries.": _real,
        "You mark the last frames of each row. The padding stands at the end, not at the "
        "start.": lambda lengths, T: _attendable(lengths, T).flip(-1),
        "All recordings get the length of the longest. Each has its own.": lambda lengths, T: (
            _attendable(torch.full_like(lengths, int(lengths.max())), T)
        ),
        "The mask has as many frames as the longest recording, but the batch is padded to T, which "
        "may be more.": lambda lengths, T: _attendable(lengths, int(lengths.max())),
        "The numbers are right, but the mask holds floats. A float mask is added to the scores "
        "by some functions; use booleans.": lambda lengths, T: _attendable(lengths, T).float(),
        "The dimensions of length one stand at the end. Frames are keys, and keys are the last "
        "dimension of the scores.": lambda lengths, T: _real(lengths, T)[..., None, None],
        "Your mask stands at the queries: it hides who asks. What must be hidden is what is looked "
        "at.": lambda lengths, T: _real(lengths, T)[:, None, :, None],
    },
    hints=(
        "Compare the number of each frame with the length of its recording.",
        "torch.arange(T) is (T,), lengths[:, None] is (B, 1); compared they give (B, T).",
        "real = <frame number> < <length, as a column>; return real[:, None, None]",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- mean and spread


def _pooled(frames: Tensor, lengths: Tensor) -> Tensor:
    return torch.stack(
        [
            torch.cat([one[:n].mean(0), one[:n].std(0, correction=0)])
            for one, n in zip(frames, lengths.tolist(), strict=True)
        ]
    )


def _zeroed(frames: Tensor, lengths: Tensor) -> Tensor:
    return frames.masked_fill(~_real(lengths, frames.shape[1])[..., None], 0.0)


def _both(mean: Tensor, second: Tensor) -> Tensor:
    return torch.cat([mean, second], dim=1)


def _mean(frames: Tensor, lengths: Tensor) -> Tensor:
    return _zeroed(frames, lengths).sum(1) / lengths[:, None]


def _squares_with_padding(frames: Tensor, lengths: Tensor) -> Tensor:
    mean = _mean(frames, lengths)
    off = _zeroed(frames, lengths) - mean[:, None]
    return _both(mean, (off.square().sum(1) / lengths[:, None]).sqrt())


def _squares_less_square(frames: Tensor, lengths: Tensor) -> Tensor:
    mean = _mean(frames, lengths)
    square = _zeroed(frames, lengths).square().sum(1) / lengths[:, None]
    return _both(mean, (square - mean.square()).sqrt())


def _pool_cases():
    for seed, (lengths, T, F) in enumerate((([2, 4], 5, 1), ([3, 7, 2], 7, 3), ([1, 5], 6, 4))):
        yield normal(len(lengths), T, F, seed=seed) + 2, torch.tensor(lengths)
    # Far from 0: (2, 3, 1), where the difference of squares loses the spread in float32.
    far = torch.tensor([[4096.0, 4098.0, 5.0], [-303.0, 9.0, 9.0]])
    yield far[..., None], torch.tensor([2, 1])


pooled = Exercise(
    "speech/pooled",
    _pooled,
    _pool_cases,
    {
        "You average over the padding as well. What stands there is not part of the "
        "recording.": lambda frames, lengths: _both(frames.mean(1), frames.std(1, correction=0)),
        "The padding is out of the sum, but still in the count: you divide by T instead of the "
        "number of real frames.": lambda frames, lengths: _both(
            _zeroed(frames, lengths).mean(1), _zeroed(frames, lengths).std(1, correction=0)
        ),
        "The mean is right. In the spread the padding counts: it is 0 before you subtract the "
        "mean, and is not 0 afterwards. Hide it after the subtraction.": _squares_with_padding,
        "You sum over the frames and never divide. A long recording would look like a loud "
        "one.": lambda frames, lengths: _both(
            _zeroed(frames, lengths).sum(1), _pooled(frames, lengths)[:, frames.shape[-1] :]
        ),
        "This is the variance. Its root is the standard deviation.": lambda frames, lengths: _both(
            _mean(frames, lengths), _pooled(frames, lengths)[:, frames.shape[-1] :].square()
        ),
        "You divide by the number of frames less one. Then a recording of one frame has no spread "
        "at all, not even 0.": lambda frames, lengths: _both(
            _mean(frames, lengths),
            _pooled(frames, lengths)[:, frames.shape[-1] :]
            * (lengths / (lengths - 1)).sqrt()[:, None],
        ),
        "The spread comes first. Means first, then standard deviations.": lambda frames, lengths: (
            _pooled(frames, lengths).roll(frames.shape[-1], 1)
        ),
        "Mean of squares less square of mean is right on paper. Far from 0 it subtracts two large "
        "numbers that are nearly equal, and the spread is lost in rounding, or is the root of a "
        "negative number. Subtract the mean first.": _squares_less_square,
        "Only the means are here. The standard deviations are to follow them.": _mean,
        "You average over the coefficients, not over the frames. Which dimension is "
        "time?": lambda frames, lengths: _both(frames.mean(2), frames.std(2, correction=0)),
    },
    hints=(
        "First a mask of the real frames, then two sums over time, each divided by the lengths.",
        "mask (B, T, 1), frames (B, T, F), sums (B, F), lengths[:, None] (B, 1), result (B, 2 F)",
        "mean = <sum of real frames> / <lengths>\n"
        "off = <frames minus mean, 0 at padding>\n"
        "spread = <root of the sum of squares / lengths>\n"
        "return torch.cat([mean, spread], dim=1)",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- noise


def _noisy_with(
    factor=lambda signal, noise, decibels: (signal / noise) ** 0.5 * 10 ** (-decibels / 20),
    real=_real,
    power=lambda values, mask: (
        (values.square() * mask).sum((1, 2)) / (mask.sum((1, 2)) * values.shape[-1])
    ),
):
    """Noise at a ratio, with another factor, other frames, or another power (B,)."""

    def add(frames: Tensor, lengths: Tensor, noise: Tensor, decibels: float) -> Tensor:
        mask = real(lengths, frames.shape[1])[..., None]
        scale = factor(power(frames, mask), power(noise, mask), decibels)
        return frames + scale.reshape(-1, 1, 1) * noise * mask

    return add


def _noise_cases():
    for seed, (lengths, T, F, ratio) in enumerate(
        (([1, 2], 3, 2, 0.0), ([3, 5, 2], 6, 4, 10.0), ([7, 4], 8, 3, -6.0))
    ):
        lengths = torch.tensor(lengths)
        frames = _zeroed(normal(len(lengths), T, F, seed=seed), lengths)
        size = torch.arange(1.0, len(lengths) + 1)[:, None, None]  # not equally loud
        yield frames * size, lengths, 3 * normal(len(lengths), T, F, seed=seed + 9), ratio


def _noise_on_padding(frames: Tensor, lengths: Tensor, noise: Tensor, decibels: float) -> Tensor:
    mask = _real(lengths, frames.shape[1])[..., None]
    ratio = (frames * mask).square().sum((1, 2)) / (noise * mask).square().sum((1, 2))
    factor = ratio.sqrt() * 10 ** (-decibels / 20)
    return frames + factor[:, None, None] * noise


def _factor_of_frames(frames: Tensor, lengths: Tensor, noise: Tensor, decibels: float) -> Tensor:
    ratio = frames.square().mean(2) / noise.square().mean(2)
    factor = ratio.sqrt() * 10 ** (-decibels / 20)
    return frames + factor[..., None] * noise * _real(lengths, frames.shape[1])[..., None]


def _all_frames(lengths: Tensor, T: int) -> Tensor:
    return torch.ones(len(lengths), T, dtype=torch.bool)


add_noise = Exercise(
    "speech/add-noise",
    _noisy_with(),
    _noise_cases,
    {
        "The padding gets noise as well, and its zeros count in the power of the signal. Noise "
        "belongs to the real frames.": _noisy_with(real=_all_frames),
        "The sign of the decibels is turned: a high ratio of signal to noise means little "
        "noise.": _noisy_with(lambda signal, noise, db: (signal / noise) ** 0.5 * 10 ** (db / 20)),
        "The factor is that of powers. The noise is multiplied by it, and power is a square: take "
        "the root.": _noisy_with(lambda signal, noise, db: signal / noise * 10 ** (-db / 10)),
        "Ten decibels are a factor of ten in power, so of the root of ten in size. You divide the "
        "decibels by 10 after the root is taken.": _noisy_with(
            lambda signal, noise, db: (signal / noise) ** 0.5 * 10 ** (-db / 10)
        ),
        "You take the noise as it comes, as if its power were 1. Measure it on the real frames and "
        "divide by it.": _noisy_with(lambda signal, noise, db: signal**0.5 * 10 ** (-db / 20)),
        "You forget how large the signal is: the noise has the same size for a loud recording as "
        "for a quiet one.": _noisy_with(lambda signal, noise, db: noise**-0.5 * 10 ** (-db / 20)),
        "One factor serves the whole batch. Each recording has a power of its own.": _noisy_with(
            lambda signal, noise, db: (
                (signal.mean() / noise.mean()) ** 0.5 * 10 ** (-db / 20) * torch.ones_like(signal)
            )
        ),
        "You divide signal and noise the wrong way round.": _noisy_with(
            lambda signal, noise, db: (noise / signal) ** 0.5 * 10 ** (-db / 20)
        ),
        "Inside the root stand powers, and for powers decibels are divided by 10. (20 is for the "
        "factor itself, after the root.)": _noisy_with(
            lambda signal, noise, db: (signal / noise * 10 ** (-db / 20)) ** 0.5
        ),
        "The factor is right, but the noise is added to the padding as well. It is to stay as it "
        "is.": _noise_on_padding,
        "Nothing is added to the padding, but it counts in the power: you average over all T "
        "frames.": _noisy_with(power=lambda values, mask: values.square().mean((1, 2))),
        "You measure the power of the whole batch. Each recording has a power of its own, and so "
        "a factor of its own.": _noisy_with(
            power=lambda values, mask: (
                (values.square() * mask).sum()
                / (mask.sum() * values.shape[-1])
                * torch.ones(len(values))
            )
        ),
        "Each frame has a factor of its own. Then quiet frames get quiet noise; one factor serves "
        "a whole recording.": _factor_of_frames,
        "The decibels are used as a plain factor. They are ten times a logarithm of base "
        "ten.": _noisy_with(lambda signal, noise, db: (signal / noise / max(db, 1.0)) ** 0.5),
    },
    hints=(
        "Power is the mean of the squares, for each recording, over its real frames. Which factor "
        "brings the noise to the power that is wanted?",
        "wanted power of the noise = power of the signal / 10 ** (decibels / 10)",
        "factor = sqrt(<wanted power> / <power of the noise>)  (B,)\n"
        "return frames + <factor as (B, 1, 1)> * noise * <real frames>",
    ),
    minutes=12,
    difficulty=3,
)


# ---------------------------------------------------------------- attention pooling


def _attention_pool_with(
    mask=_real,
    scale=lambda frames: frames.shape[-1] ** -0.5,
    share=lambda scores, real: scores.masked_fill(~real, -torch.inf).softmax(-1),
):
    """Pooling with another mask, scale, or way from scores and mask to weights (B, T)."""

    def pool(frames: Tensor, query: Tensor, lengths: Tensor) -> Tensor:
        scores = frames @ query * scale(frames)
        weights = share(scores, mask(lengths, frames.shape[1]))
        return (weights[..., None] * frames).sum(1)

    return pool


def _attention_cases():
    sizes = (([1, 2], 3, 2), ([3, 2], 3, 2), ([3, 5, 2], 6, 4), ([7, 4], 8, 3))
    for seed, (lengths, T, F) in enumerate(sizes):
        lengths = torch.tensor(lengths)
        yield normal(len(lengths), T, F, seed=seed), 2 * normal(F, seed=seed + 5), lengths


attention_pool = Exercise(
    "speech/attention-pool",
    _attention_pool_with(),
    _attention_cases,
    {
        "The padding is attended: nothing hides the frames after the end.": _attention_pool_with(
            mask=_all_frames
        ),
        "The mask comes after the softmax, when the padding has taken its share: the weights sum "
        "to less than 1.": _attention_pool_with(
            share=lambda scores, real: scores.softmax(-1) * real
        ),
        "A score of 0 is not small: its exponential is 1, and the padding keeps a "
        "share.": _attention_pool_with(
            share=lambda scores, real: scores.masked_fill(~real, 0.0).softmax(-1)
        ),
        "Your softmax runs over the batch, so recordings compete. The rivals are the frames of "
        "one.": _attention_pool_with(
            share=lambda scores, real: scores.masked_fill(~real, -torch.inf).softmax(0)
        ),
        "The mask is upside down: only padding is attended.": _attention_pool_with(
            mask=lambda lengths, T: ~_real(lengths, T)
        ),
        "The scores are not divided by the root of the width.": _attention_pool_with(
            scale=lambda frames: 1.0
        ),
        "You divide by the root of the number of frames. The dot product sums over the "
        "coefficients.": _attention_pool_with(scale=lambda frames: frames.shape[1] ** -0.5),
        "This is the plain mean of the real frames: the query has no say.": _attention_pool_with(
            scale=lambda frames: 0.0
        ),
        "These are the weights. The frames are still to be averaged with "
        "them.": lambda frames, query, lengths: (
            (frames @ query * frames.shape[-1] ** -0.5)
            .masked_fill(~_real(lengths, frames.shape[1]), -torch.inf)
            .softmax(-1)
        ),
    },
    hints=(
        "One score a frame, minus infinity at the padding, softmax over the frames, average.",
        "frames (B, T, F) @ query (F,) -> scores (B, T) -> weights (B, T) -> result (B, F)",
        "weights = softmax(<masked scores / root of F>)\nreturn <sum over time of weight * frame>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- erasing frames


def _erase_with(
    choose=lambda weights, count: weights.topk(count).indices,
    value=lambda frames, chosen, replacement: replacement,
):
    """Erasing other frames, or by another value."""

    def erase(frames: Tensor, weights: Tensor, count: int, replacement: Tensor) -> Tensor:
        chosen = choose(weights, count)
        result = frames.clone()
        result[chosen] = value(frames, chosen, replacement)
        return result

    return erase


def _changes_input(frames: Tensor, weights: Tensor, count: int, replacement: Tensor) -> Tensor:
    frames[weights.topk(count).indices] = replacement
    return frames


def _cut_out(frames: Tensor, weights: Tensor, count: int, replacement: Tensor) -> Tensor:
    kept = torch.ones(len(frames), dtype=torch.bool)
    kept[weights.topk(count).indices] = False
    return frames[kept]


def _keep_only(frames: Tensor, weights: Tensor, count: int, replacement: Tensor) -> Tensor:
    return _erase_with(lambda weights, count: (-weights).topk(len(weights) - count).indices)(
        frames, weights, count, replacement
    )


def _erase_cases():
    for seed, (T, F, count) in enumerate(((3, 2, 1), (5, 3, 2), (8, 4, 3))):
        weights = normal(T, seed=seed + 3).softmax(0)
        yield normal(T, F, seed=seed), weights, count, normal(F, seed=seed + 6)


erase = Exercise(
    "speech/erase",
    _erase_with(),
    _erase_cases,
    {
        "You erase the frames that are attended least. The test asks what happens without the "
        "ones attended most.": _erase_with(lambda weights, count: (-weights).topk(count).indices),
        "You erase the first frames of the recording, whatever their weights.": _erase_with(
            lambda weights, count: torch.arange(count)
        ),
        "The values of `topk` are weights; the places are its indices.": _erase_with(
            lambda weights, count: weights.topk(count).values.long()
        ),
        "You write zeros. The frame that stands for nothing is given: `replacement`.": _erase_with(
            value=lambda frames, chosen, replacement: torch.zeros_like(replacement)
        ),
        "You write over the frames you were given, so the next test starts from erased ones. Work "
        "on a copy.": _changes_input,
        "You cut the frames out, and the recording is shorter. Then its length changes as well, "
        "which the model may notice: replace them.": _cut_out,
        "You keep the most attended frames and erase the rest. That is the opposite test, of "
        "sufficiency.": _keep_only,
        "One frame too many is erased.": _erase_with(
            lambda weights, count: weights.topk(count + 1).indices
        ),
        "One frame too few is erased. If you compare weights with the smallest one to be erased, "
        "that one belongs to them.": _erase_with(
            lambda weights, count: weights.topk(count).indices[: count - 1]
        ),
        "Only one frame is erased: the count has no effect.": _erase_with(
            lambda weights, count: weights.topk(1).indices
        ),
    },
    hints=(
        "Find the places of the largest weights, then write into a copy.",
        "weights.topk(count).indices is (count,); indexing frames (T, F) with it gives (count, F).",
        "copy the frames\nwrite the replacement at the places\nreturn the copy",
    ),
    minutes=6,
)
