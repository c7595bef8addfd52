"""Exercises of "Five architectures, one task"."""

import math

import torch
from torch import Tensor

from attnlib.checker import Exercise
from exercises.checks import normal

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
        "You multiply the widths. Each layer adds to what is seen, on both sides; it multiplies "
        "nothing, and its dilation counts as well.": lambda kernels, dilations: math.prod(kernels),
        "You add up the widths and leave the dilations out. Each layer adds its width less one, "
        "times its dilation.": lambda kernels, dilations: sum(kernels),
        "A dilated kernel has k - 1 gaps, not k: between its first and its last input lie (k - 1) "
        "times d steps.": lambda kernels, dilations: (
            1 + sum(k * d - 1 for k, d in zip(kernels, dilations, strict=True))
        ),
        "That is the reach to one side, without the position itself. Count both sides and the "
        "middle.": lambda kernels, dilations: sum(
            (k - 1) // 2 * d for k, d in zip(kernels, dilations, strict=True)
        ),
        "Only the first layer's width is used for all of them. Each layer adds its own.": (
            lambda kernels, dilations: 1 + (kernels[0] - 1) * sum(dilations)
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


def _outside(x: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    h = torch.zeros(U.shape[0])
    rows = []
    for step in x:
        h = torch.tanh(step @ W + b) + h @ U
        rows.append(h)
    return torch.stack(rows)


rnn_states = Exercise(
    "architectures/rnn-states",
    _states,
    [
        (torch.tensor([[1.0], [0.0], [0.0]]), torch.eye(1), torch.eye(1), torch.zeros(1)),
        (normal(5, 2), normal(2, 3, seed=1), normal(3, 3, seed=2), normal(3, seed=3)),
        (normal(7, 3, seed=4), normal(3, 3, seed=5), normal(3, 3, seed=6), normal(3, seed=7)),
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
        "The bias is missing: every step adds b before the bend.": lambda x, W, U, b: _states(
            x, W, U, torch.zeros_like(b)
        ),
        "The old state is added outside the bend. Input, old state and bias are summed first, and "
        "tanh takes the sum.": _outside,
        "Your states come one step late: the zero state before the first step is none of them, "
        "and the last one is missing.": lambda x, W, U, b: torch.cat(
            [torch.zeros(1, len(b)), _states(x, W, U, b)[:-1]]
        ),
        "U is turned round. States are rows here, so U stands on the right, h @ U; PyTorch keeps "
        "the transpose and has it on the left.": lambda x, W, U, b: _states(x, W, U.T, b),
        "W and U are both turned round. Inputs and states are rows here, x_t @ W and h @ U; "
        "PyTorch keeps the transposes and has them on the left.": lambda x, W, U, b: _states(
            x, W.T, U.T, b
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
    c: Tensor,
    gates: Tensor,
    *,
    forget=True,
    swap=False,
    bend=torch.tanh,
    open_=True,
    order="ifgo",
    content=torch.tanh,
    gate=torch.sigmoid,
    old=False,
    split=lambda gates: gates.chunk(4),
) -> tuple[Tensor, Tensor]:
    parts = dict(zip(order, split(gates), strict=True))
    i, f, o = (gate(parts[name]) for name in "ifo")
    g = content(parts["g"])
    if swap:
        i, f = f, i
    new = (f if forget else 1.0) * c + i * g
    return (o if open_ else 1.0) * bend(c if old else new), new


def _plain(z: Tensor) -> Tensor:
    return z


def _cell_bent(c: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
    h, c = _lstm_step(c, gates)
    return h, torch.tanh(c)


def _tied(c: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
    i, _, g, o = gates.chunk(4)
    i = torch.sigmoid(i)
    c = (1 - i) * c + i * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _wrong(**departure):
    return lambda c, gates: _lstm_step(c, gates, **departure)


lstm_step = Exercise(
    "architectures/lstm-step",
    _lstm_step,
    [
        (torch.tensor([2.0]), torch.tensor([0.0, 5.0, 1.0, 0.0])),
        (normal(3), normal(12, seed=1)),
        (normal(5, seed=2), normal(20, seed=3) * 3),
    ],
    {
        "Nothing is ever forgotten: the old cell must be multiplied by the forget gate.": _wrong(
            forget=False
        ),
        "The input gate and the forget gate are swapped: one scales what is new, the other what "
        "was there.": _wrong(swap=True),
        "The cell leaves without a bend: the state is the output gate times tanh of the cell.": (
            _wrong(bend=_plain)
        ),
        "The output gate is missing: it decides how much of the cell others may see.": _wrong(
            open_=False
        ),
        "The four parts are taken in another order. Here they are input, forget, content, "
        "output.": _wrong(order="ifog"),
        "The content is bent by the sigmoid, so nothing negative can be written into the cell. It "
        "takes tanh; only the gates take the sigmoid.": _wrong(content=torch.sigmoid),
        "Gates and content come without their bends: the sums must go through the sigmoid, the "
        "content's through tanh.": _wrong(gate=_plain, content=_plain),
        "The state is made from the old cell. The cell is renewed first, then it is shown.": (
            _wrong(old=True)
        ),
        "You hand on the cell after its tanh. The state gets the bent copy; the cell itself goes "
        "on unbent, and so its gradient survives.": _cell_bent,
        "The four parts lie one after the other, all of one part first. You take every fourth "
        "number.": _wrong(split=lambda gates: gates.reshape(-1, 4).T),
        "The forget gate has sums of its own, the second quarter. It is not one minus the input "
        "gate.": _tied,
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
        "The biases are missing: each part has two, of H numbers each.": lambda D, H: (
            4 * (D * H + H * H)
        ),
        "The two biases are counted once. Each of the four parts has its own pair.": lambda D, H: (
            4 * (D * H + H * H) + 2 * H
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
        ([normal(3, 2), normal(5, seed=1) * 10], 2.0),
        ([normal(2, seed=2) * 0.1, normal(3, 3, seed=3) * 0.1], 5.0),
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
        "The largest of the norms is not the norm of the whole: add the squares of all, then take "
        "the root.": lambda gradients, limit: [
            g * min(1.0, limit / max(x.norm().item() for x in gradients)) for g in gradients
        ],
        "You add up absolute values. The norm adds squares, then takes the root.": (
            lambda gradients, limit: [
                g * min(1.0, limit / sum(x.abs().sum().item() for x in gradients))
                for g in gradients
            ]
        ),
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
