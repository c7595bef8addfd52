"""Exercises of "Five architectures, one task"."""

import math

import torch
from torch import Tensor

from attnlib.checker import Exercise


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- receptive field


receptive_field = Exercise(
    "architectures/receptive-field",
    lambda kernels, dilations: (
        1 + sum((k - 1) * d for k, d in zip(kernels, dilations, strict=True))
    ),
    [
        ([3], [1]),
        ([5, 5, 5, 5], [1, 1, 1, 1]),
        ([3, 5, 7], [1, 1, 1]),
        ([3, 3, 3], [1, 2, 4]),
    ],
    {
        "You add up the widths. Neighbouring layers overlap in the middle: each adds its width "
        "less one.": lambda kernels, dilations: sum(
            k * d for k, d in zip(kernels, dilations, strict=True)
        ),
        "You multiply the widths. Layers reach farther by steps, not by factors.": (
            lambda kernels, dilations: math.prod(
                k * d for k, d in zip(kernels, dilations, strict=True)
            )
        ),
        "The position itself is missing: without any layer a state sees one input.": (
            lambda kernels, dilations: sum(
                (k - 1) * d for k, d in zip(kernels, dilations, strict=True)
            )
        ),
        "That is the reach to one side. The receptive field counts both sides and the middle.": (
            lambda kernels, dilations: (
                1 + sum((k - 1) * d // 2 for k, d in zip(kernels, dilations, strict=True))
            )
        ),
        "The dilation is ignored. A kernel of width 3 with dilation 4 looks 4 steps to each "
        "side.": lambda kernels, dilations: 1 + sum(k - 1 for k in kernels),
    },
    hints=(
        "By how many inputs does one more layer widen what a state sees?",
        "one layer of width k and dilation d: (k - 1) d more; no layer: 1",
        "return 1 + <sum over the layers of (k - 1) times d>",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- recurrent states


def _states(
    x: Tensor, W: Tensor, U: Tensor, b: Tensor, *, bend=torch.tanh, carry="state"
) -> Tensor:
    h = torch.zeros(U.shape[0])
    rows = []
    for step in x:
        z = step @ W + h @ U + b
        rows.append(bend(z))
        h = {"state": rows[-1], "nothing": torch.zeros_like(h), "sum": z, "all": h + rows[-1]}[
            carry
        ]
    return torch.stack(rows)


rnn_states = Exercise(
    "architectures/rnn-states",
    _states,
    [
        (torch.tensor([[1.0], [0.0], [0.0]]), torch.eye(1), torch.eye(1), torch.zeros(1)),
        (_random(5, 2), _random(2, 3, seed=1), _random(3, 3, seed=2), _random(3, seed=3)),
        (_random(7, 3, seed=4), _random(3, 3, seed=5), _random(3, 3, seed=6), _random(3, seed=7)),
    ],
    {
        "Nothing is carried on: every step begins with an empty state. That is a layer, applied "
        "to each step alone.": lambda x, W, U, b: _states(x, W, U, b, carry="nothing"),
        "The state is handed on before it is bent. What returns is the state, after tanh.": (
            lambda x, W, U, b: _states(x, W, U, b, carry="sum")
        ),
        "The bend is missing, so the state can grow without limit.": lambda x, W, U, b: _states(
            x, W, U, b, bend=lambda z: z
        ),
        "The states are added up on the way. The new state replaces the old one, which lives on "
        "only through U.": lambda x, W, U, b: _states(x, W, U, b, carry="all"),
        "You return the last state alone. All of them are wanted, one a step.": lambda x, W, U, b: (
            _states(x, W, U, b)[-1]
        ),
        "You go through the sequence from its end. A state knows what came *before* it.": (
            lambda x, W, U, b: _states(x.flip(0), W, U, b).flip(0)
        ),
    },
    hints=(
        "A loop over the steps, with a variable that survives from one to the next.",
        "h (H,) starts at zero; each step makes a new h (H,); collect them into (T, H)",
        "for step in x:\n    h = torch.tanh(<step times W> + <h times U> + b)\n    <keep h>",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- one step of an LSTM


def _lstm_step(
    c: Tensor, gates: Tensor, *, forget=True, swap=False, bend=True, open_=True, order="ifgo"
) -> tuple[Tensor, Tensor]:
    parts = dict(zip(order, gates.chunk(4), strict=True))
    i, f, o = (torch.sigmoid(parts[name]) for name in "ifo")
    g = torch.tanh(parts["g"])
    if swap:
        i, f = f, i
    c = (f if forget else 1.0) * c + i * g
    h = torch.tanh(c) if bend else c
    return (o if open_ else 1.0) * h, c


def _wrong(**departure):
    return lambda c, gates: _lstm_step(c, gates, **departure)


lstm_step = Exercise(
    "architectures/lstm-step",
    _lstm_step,
    [
        (torch.tensor([2.0]), torch.tensor([0.0, 5.0, 1.0, 0.0])),
        (_random(3), _random(12, seed=1)),
        (_random(5, seed=2), _random(20, seed=3) * 3),
    ],
    {
        "Nothing is ever forgotten: the old cell must be multiplied by the forget gate.": _wrong(
            forget=False
        ),
        "The input gate and the forget gate are swapped: one scales what is new, the other what "
        "was there.": _wrong(swap=True),
        "The cell leaves without a bend: the state is the output gate times tanh of the cell.": (
            _wrong(bend=False)
        ),
        "The output gate is missing: it decides how much of the cell others may see.": _wrong(
            open_=False
        ),
        "The four parts are taken in another order. Here they are input, forget, content, "
        "output.": _wrong(order="ifog"),
        "The results are swapped: first the state, then the cell.": lambda c, gates: _lstm_step(
            c, gates
        )[::-1],
    },
    hints=(
        "Three of the four parts are gates between 0 and 1; the third part, the content, is bent "
        "by tanh.",
        "gates (4 H,) -> i, f, g, o (H,) each; new cell (H,), new state (H,)",
        "c = <forget gate> * c + <input gate> * <content>\nh = <output gate> * torch.tanh(c)",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- size of an LSTM


lstm_parameters = Exercise(
    "architectures/lstm-parameters",
    lambda D, H: 4 * (D * H + H * H + 2 * H),
    [(1, 1), (8, 32), (2, 5), (7, 3)],
    {
        "One of the four parts is counted. Three gates and the content each have weights of their "
        "own.": lambda D, H: D * H + H * H + 2 * H,
        "PyTorch keeps two biases a part, one with each matrix.": lambda D, H: (
            4 * (D * H + H * H + H)
        ),
        "The matrix that takes the state back in is missing: H times H for each part.": (
            lambda D, H: 4 * (D * H + 2 * H)
        ),
        "The matrix for the input is missing: D times H for each part.": lambda D, H: (
            4 * (H * H + 2 * H)
        ),
        "Only the three gates are counted. The content has weights as well.": lambda D, H: (
            3 * (D * H + H * H + 2 * H)
        ),
    },
    hints=(
        "Count one of the four parts: two matrices and two biases.",
        "one part: D times H, H times H, H, H",
        "return 4 * (<one part>)",
    ),
    minutes=6,
)


# ---------------------------------------------------------------- clipping


def _clip(gradients: list[Tensor], limit: float) -> list[Tensor]:
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    return [g * min(1.0, limit / norm.item()) for g in gradients]


clip = Exercise(
    "architectures/clip",
    _clip,
    [
        ([torch.tensor([3.0, 4.0])], 1.0),
        ([torch.tensor([0.3, 0.4])], 1.0),
        ([_random(3, 2), _random(5, seed=1) * 10], 2.0),
        ([_random(2, seed=2) * 0.1, _random(3, 3, seed=3) * 0.1], 5.0),
    ],
    {
        "Small gradients are blown up to the limit. Clipping only ever makes a gradient smaller.": (
            lambda gradients, limit: [
                g * limit / torch.cat([x.flatten() for x in gradients]).norm() for g in gradients
            ]
        ),
        "Each tensor is clipped by its own norm. That changes the direction of the whole "
        "gradient: take one norm over all.": lambda gradients, limit: [
            g * min(1.0, limit / g.norm().item()) for g in gradients
        ],
        "Each entry is cut off at the limit. That changes the direction; scale the whole "
        "instead.": lambda gradients, limit: [g.clamp(-limit, limit) for g in gradients],
        "Nothing is clipped: the norm of all gradients together is above the limit.": (
            lambda gradients, limit: list(gradients)
        ),
        "The sum of the norms is not the norm of the whole: add the squares, then take the "
        "root.": lambda gradients, limit: [
            g * min(1.0, limit / sum(x.norm().item() for x in gradients)) for g in gradients
        ],
        "You divide by the square of the norm: its root is missing.": lambda gradients, limit: [
            g * min(1.0, limit / sum((x**2).sum().item() for x in gradients)) for g in gradients
        ],
    },
    hints=(
        "How long is the gradient as one vector? By which factor must it shrink?",
        "norm of all tensors together, one number -> one factor, at most 1 -> the same for all",
        "factor = min(1, limit / <the norm over all>)\nreturn [g * factor for g in gradients]",
    ),
    minutes=8,
    difficulty=2,
)
