"""Exercises of "The Transformer and machine translation"."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal


def _numbers(low: int, high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- shifted targets


def _shifted(target: Tensor, start: int) -> Tensor:
    first = torch.full((len(target), 1), start)
    return torch.cat([first, target[:, :-1]], dim=1)


def _starts(target: Tensor, start: int) -> Tensor:
    return torch.full((len(target), 1), start)


def _overwritten(target: Tensor, start: int) -> Tensor:
    result = target.clone()
    result[:, 0] = start
    return result


def _down(target: Tensor, start: int) -> Tensor:
    first = torch.full((1, target.shape[1]), start)
    return torch.cat([first, target[:-1]], dim=0)


decoder_input = Exercise(
    "transformer/decoder-input",
    _shifted,
    [
        (torch.tensor([[7, 8, 9]]), 1),
        (torch.tensor([[5, 6, 2, 0], [4, 2, 0, 0]]), 1),
        (_numbers(3, 20, 3, 5), 2),
        (_numbers(3, 20, 2, 1), 1),
    ],
    {
        "You put the start in front and keep the last token, so there is one place too many. The "
        "decoder must read as many tokens as it writes: which one is never read?": (
            lambda target, start: torch.cat([_starts(target, start), target], dim=1)
        ),
        "You moved the target to the left: the decoder reads the token *after* the one that it has "
        "to write, and never sees the start. It should read the one before.": (
            lambda target, start: torch.cat([target[:, 1:], _starts(target, start)], dim=1)
        ),
        "The target is not moved: each place reads the very token that it has to write. Training "
        "would look perfect and teach nothing.": lambda target, start: target.clone(),
        "The first token is overwritten, the others are not moved: from the second place on the "
        "decoder reads what it has to write.": _overwritten,
        "`roll` brings the last token round to the front. There should stand the start.": (
            lambda target, start: target.roll(1, dims=1)
        ),
        "You dropped the last token, and put no start in front: the first place has nothing to "
        "read.": lambda target, start: target[:, :-1],
        "You moved the targets down, into the next example of the batch. Places are dimension 1, "
        "examples are dimension 0.": _down,
    },
    hints=(
        "At place i the decoder reads what stood at place i - 1. What does the first place read?",
        "start (B, 1) beside all but the last column of target (B, L - 1) -> (B, L)",
        "first = torch.full(<one column>, start); return torch.cat([first, <columns>], dim=1)",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- layer norm


def _norm(x: Tensor, g: Tensor, b: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], g, b, eps)


def _by_hand(dims, unbiased=False, root=True, inside=True):
    def norm(x, g, b, eps):
        dim = tuple(range(x.ndim)) if dims == "all" else dims
        mu = x.mean(dim, keepdim=True)
        variance = ((x - mu) ** 2).mean(dim, keepdim=True)
        if unbiased:
            n = x.shape[-1]
            variance = variance * n / (n - 1)
        if not root:
            spread = variance + eps
        else:
            spread = (variance + eps).sqrt() if inside else variance.sqrt() + eps
        return g * (x - mu) / spread + b

    return norm


layer_norm = Exercise(
    "transformer/layer-norm",
    _norm,
    [
        (torch.tensor([[1.0, 2.0, 3.0, 6.0]]), torch.ones(4), torch.zeros(4), 1e-5),
        (normal(3, 5, seed=1), normal(5, seed=2), normal(5, seed=3), 1e-5),
        (normal(2, 3, 6, seed=4), normal(6, seed=5), normal(6, seed=6), 1e-5),
        (normal(2, 3, 4, seed=7) * 0.1, normal(4, seed=8), normal(4, seed=9), 0.1),
    ],
    {
        "Mean and variance run over the examples: that is batch norm. Here each position is normed "
        "by its own features, the last dimension.": _by_hand(0),
        "One mean and one variance for the whole tensor: then the positions know of each "
        "other. Each row has its own.": _by_hand("all"),
        "Your variance divides by F - 1, as `torch.var` does unless told otherwise. Layer norm "
        "divides by F.": _by_hand(-1, unbiased=True),
        "You divide by the variance. What has the unit of x is its square root.": _by_hand(
            -1, root=False
        ),
        "Epsilon is added to the root. It belongs under it, beside the variance.": _by_hand(
            -1, inside=False
        ),
        "The mean is not taken away.": lambda x, g, b, eps: (
            g * x / (x.var(-1, unbiased=False, keepdim=True) + eps).sqrt() + b
        ),
        "The scale g is missing.": lambda x, g, b, eps: _norm(x, torch.ones_like(g), b, eps),
        "The shift b is scaled too. It is added at the very end, behind the scale.": (
            lambda x, g, b, eps: _norm(x, g, g * b, eps)
        ),
        "The shift b is missing.": lambda x, g, b, eps: _norm(x, g, torch.zeros_like(b), eps),
        "Scale and shift have changed places: g multiplies, b is added.": lambda x, g, b, eps: (
            _norm(x, b, g, eps)
        ),
        "You divide by the root of the mean square of x itself: that is RMS norm. Measure the "
        "spread around the mean.": lambda x, g, b, eps: (
            g * (x - x.mean(-1, keepdim=True)) / (x.square().mean(-1, keepdim=True) + eps).sqrt()
            + b
        ),
    },
    hints=(
        "Three steps for each row: mean, mean squared distance from it, division by the root.",
        "x (..., F) -> mean (..., 1) and variance (..., 1); keepdim=True keeps the 1.",
        "mu = <mean of the last dimension>; variance = <mean of (x - mu) squared>; "
        "return g * (x - mu) / <root of variance and eps> + b",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- label smoothing


def _smoothed(logits: Tensor, target: Tensor, epsilon: float) -> Tensor:
    return F.cross_entropy(logits, target, label_smoothing=epsilon)


def _mixed(logits, target, on, off, total="mean"):
    log_p = logits.log_softmax(-1)
    right = log_p[torch.arange(len(target)), target]
    rows = -(on * right + off * log_p.sum(-1))
    return rows.sum() if total == "sum" else rows.mean()


def _others_only(logits, target, epsilon):
    share = epsilon / (logits.shape[-1] - 1)
    return _mixed(logits, target, 1 - epsilon - share, share)


def _underflowed(logits: Tensor, target: Tensor, epsilon: float) -> Tensor:
    log_p = logits.softmax(-1).log()
    right = log_p[torch.arange(len(target)), target]
    return -((1 - epsilon) * right + epsilon * log_p.mean(-1)).mean()


smoothed_loss = Exercise(
    "transformer/smoothed-loss",
    _smoothed,
    [
        (torch.tensor([[2.0, 0.0]]), torch.tensor([0]), 0.1),
        (torch.tensor([[0.0, 200.0]]), torch.tensor([0]), 0.1),
        (normal(3, 5, seed=1), torch.tensor([4, 0, 2]), 0.1),
        (normal(4, 7, seed=2) * 3, torch.tensor([1, 1, 6, 0]), 0.4),
        (normal(4, 7, seed=3), torch.tensor([1, 5, 3, 0]), 0.0),
    ],
    {
        "This is the plain cross-entropy: nothing is spread. Give epsilon to all tokens.": (
            lambda logits, target, epsilon: F.cross_entropy(logits, target)
        ),
        "You spread epsilon over the *other* tokens, V - 1 of them. In the chapter's formula all V "
        "take part, the right one too.": _others_only,
        "The right token keeps its whole weight of 1, and the rest is added on top: the shares sum "
        "to more than one.": lambda logits, target, epsilon: _mixed(
            logits, target, 1.0, epsilon / logits.shape[-1]
        ),
        "The right token has its share, the rest is lost: the shares sum to less than "
        "one.": lambda logits, target, epsilon: _mixed(logits, target, 1 - epsilon, 0.0),
        "Each of the V tokens gets all of epsilon. They have to share it.": (
            lambda logits, target, epsilon: _mixed(logits, target, 1 - epsilon, epsilon)
        ),
        "Epsilon and its rest have changed places: the right token gets epsilon, the others all "
        "that is left.": lambda logits, target, epsilon: _mixed(
            logits, target, epsilon, (1 - epsilon) / logits.shape[-1]
        ),
        "You return the sum over the places. The loss is their mean.": (
            lambda logits, target, epsilon: _mixed(
                logits, target, 1 - epsilon, epsilon / logits.shape[-1], total="sum"
            )
        ),
        "The sign is wrong: a loss is large where the probability is small.": (
            lambda logits, target, epsilon: -_smoothed(logits, target, epsilon)
        ),
        "The log of a softmax is infinite where the softmax has underflowed to 0. One function "
        "does both steps without passing through 0.": _underflowed,
        "`log_p[:, target]` picks all targets in every row: a table of n times n. Each row has one "
        "target: give row numbers too.": lambda logits, target, epsilon: (
            -(
                (1 - epsilon) * logits.log_softmax(-1)[:, target].mean()
                + epsilon * logits.log_softmax(-1).mean()
            )
        ),
        "The logits are used as if they were log-probabilities. The log-softmax is still to "
        "come.": lambda logits, target, epsilon: (
            -(
                (1 - epsilon) * logits[torch.arange(len(target)), target]
                + epsilon * logits.mean(-1)
            ).mean()
        ),
        "The softmax runs over the places instead of the tokens: V is the last dimension.": (
            lambda logits, target, epsilon: _mixed_columns(logits, target, epsilon)
        ),
    },
    hints=(
        "Two terms for each place: log p of the right token, and the mean of log p over all V.",
        "logits (n, V) -> log_p (n, V); log_p[torch.arange(n), target] is (n,)",
        "rows = (1 - epsilon) * <right one> + epsilon * <mean over V>; return -<mean of rows>",
    ),
    minutes=12,
    difficulty=2,
)


def _mixed_columns(logits: Tensor, target: Tensor, epsilon: float) -> Tensor:
    log_p = logits.log_softmax(0)
    right = log_p[torch.arange(len(target)), target]
    return -((1 - epsilon) * right + epsilon * log_p.mean(-1)).mean()


# ---------------------------------------------------------------- accuracy


def _accuracy(logits: Tensor, target: Tensor, pad: int) -> float:
    right, real = logits.argmax(-1) == target, target != pad
    return (right & real).sum().item() / real.sum().item()


def _share(right: Tensor) -> float:
    return right.float().mean().item()


def _per_text(logits: Tensor, target: Tensor, pad: int) -> float:
    right, real = logits.argmax(-1) == target, target != pad
    return ((right & real).sum(1) / real.sum(1)).mean().item()


def _by_said(logits: Tensor, target: Tensor, pad: int) -> float:
    said = logits.argmax(-1)
    right, real = said == target, said != pad
    return (right & real).sum().item() / real.sum().item()


def _accuracy_cases():
    said = F.one_hot(torch.tensor([[3, 1, 0]]), 4).float()
    yield said, torch.tensor([[3, 2, 0]]), 0  # the example of the text
    for i, (B, L, V) in enumerate(((1, 3, 4), (2, 4, 5), (4, 6, 5))):
        target = _numbers(1, V, B, L, seed=i)
        lengths = torch.tensor([2, 4, 1, 6])[:B] if B > 1 else torch.tensor([2])
        target[torch.arange(L) >= lengths[:, None]] = 0
        logits = normal(B, L, V, seed=10 + i)
        wanted = F.one_hot(target, V).float()
        # Half of the real places are right, and all of the padding of the first text.
        yield logits + 9 * wanted * (normal(B, L, 1, seed=20 + i) > 0), target, 0
    target = _numbers(0, 4, 3, 5, seed=5)
    target[:, -2:] = 4
    target[0, -3] = 4
    logits = normal(3, 5, 5, seed=6) + 2 * F.one_hot(target, 5)
    yield logits, target, 4


token_accuracy = Exercise(
    "transformer/token-accuracy",
    _accuracy,
    _accuracy_cases,
    {
        "Padding is counted: whoever learns to say padding is praised for it. Leave these places "
        "out, above and below the line.": lambda logits, target, pad: _share(
            logits.argmax(-1) == target
        ),
        "Above the line padding is left out, below it is counted: you divide by all "
        "places.": lambda logits, target, pad: _share(
            (logits.argmax(-1) == target) & (target != pad)
        ),
        "Below the line padding is left out, above it is counted: padding that is guessed can "
        "bring the share above its due, even above 1.": lambda logits, target, pad: (
            (logits.argmax(-1) == target).sum().item() / (target != pad).sum().item()
        ),
        "You leave out the places where the *model* says padding. A model may not choose its own "
        "questions: ask the target.": _by_said,
        "You take the mean of each text and then of the texts, so a token of a short text counts "
        "more. Here all real tokens count alike.": _per_text,
        "The mask is upside down: you mark the padding alone.": lambda logits, target, pad: (
            ((logits.argmax(-1) == target) & (target == pad)).sum().item()
            / (target == pad).sum().item()
        ),
        "This is the share of wrong tokens.": lambda logits, target, pad: (
            1 - _accuracy(logits, target, pad)
        ),
        "You count texts that are wholly right. That is exact match; asked for are "
        "tokens.": lambda logits, target, pad: _share(
            ((logits.argmax(-1) == target) | (target == pad)).all(1)
        ),
        "You return how many are right, not which share.": lambda logits, target, pad: float(
            ((logits.argmax(-1) == target) & (target != pad)).sum()
        ),
        "The padding token is taken to be 0. It has a number of its own, which you are "
        "given.": lambda logits, target, pad: _accuracy(logits, target, 0),
    },
    hints=(
        "Two tables of True and False: where the model is right, and where there is a real token.",
        "logits (B, L, V) -> said (B, L); right = said == target; real = target != pad",
        "return <number of places both right and real> / <number of real places>, as a float",
    ),
    minutes=8,
    difficulty=1,
)


# ---------------------------------------------------------------- parameters


def _count(F_: int, M: int, N: int, V: int, attentions=1, norms=2, last=2, head=0) -> int:
    A, W = 4 * F_ * F_ + 4 * F_, 2 * F_ * M + M + F_
    return N * (attentions * A + W + norms * 2 * F_) + last * F_ + V * F_ + head


def _with_encoder(F_: int, M: int, N: int, V: int) -> int:
    A, W = 4 * F_ * F_ + 4 * F_, 2 * F_ * M + M + F_
    return N * (3 * A + 2 * W + 10 * F_) + 4 * F_ + 2 * V * F_ + (F_ + 1) * V


parameters = Exercise(
    "transformer/parameters",
    lambda F, M, N, V: _count(F, M, N, V),
    [(2, 3, 1, 5), (4, 16, 2, 7), (12, 48, 3, 13), (512, 2048, 6, 37_000)],
    {
        "This is the chapter's model, with an encoder. Here there is no source, so nothing reads "
        "it and nothing asks it.": _with_encoder,
        "You count a cross-attention and its norm. There is no source to be asked: two branches a "
        "layer are left.": lambda F, M, N, V: _count(F, M, N, V, attentions=2, norms=3),
        "You count two attentions a layer. Without a source a layer has self-attention "
        "alone.": lambda F, M, N, V: _count(F, M, N, V, attentions=2),
        "You count layer norms as if each had F numbers. A norm has a scale and a "
        "shift.": lambda F, M, N, V: _count(F, M, N, V, norms=1, last=1),
        "One norm in a layer is one too few: each of its two branches has its own.": (
            lambda F, M, N, V: _count(F, M, N, V, norms=1)
        ),
        "Three norms in a layer are one too many: there is no third branch.": (
            lambda F, M, N, V: _count(F, M, N, V, norms=3)
        ),
        "The last norm is missing: with pre-norm no layer ends in one, so it stands at the end of "
        "the stack.": lambda F, M, N, V: _count(F, M, N, V, last=0),
        "You count a matrix of its own for the logits. It is tied: the embedding's table is used "
        "again.": lambda F, M, N, V: _count(F, M, N, V, head=F * V),
        "You count a whole linear layer for the logits. Its matrix is tied to the embedding, and "
        "it has no bias.": lambda F, M, N, V: _count(F, M, N, V, head=(F + 1) * V),
        "The logits have no bias here: the embedding's table is all that makes them.": (
            lambda F, M, N, V: _count(F, M, N, V, head=V)
        ),
        "The embedding is missing. That its table is used twice does not make it free.": (
            lambda F, M, N, V: _count(F, M, N, V) - V * F
        ),
        "An attention has four projections: the last one mixes what the heads have collected.": (
            lambda F, M, N, V: _count(F, M, N, V) - N * (F * F + F)
        ),
        "The biases of attention are missing: each of its four projections has F.": (
            lambda F, M, N, V: _count(F, M, N, V) - N * 4 * F
        ),
        "The biases of the feed-forward networks are missing: M in the first layer, F in the "
        "second.": lambda F, M, N, V: _count(F, M, N, V) - N * (M + F),
        "The layers are counted once. There are N of them, and none is shared.": (
            lambda F, M, N, V: _count(F, M, 1, V)
        ),
    },
    hints=(
        "Count one attention, one feed-forward network and one norm first, biases included.",
        "a layer: 1 attention, 1 network, 2 norms; outside: 1 norm and 1 table",
        "N * (<attention> + <network> + 2 * <norm>) + <norm> + <table>",
    ),
    minutes=12,
    difficulty=2,
)
