"""Replace matrices by products of two thin ones."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib._checks import check_floating, check_positive
from attnlib.compression._layers import copied, exchange
from attnlib.compression.report import Report, compare
from attnlib.training import LossFn

__all__ = ["LowRankLinear", "low_rank"]


class LowRankLinear(nn.Module):
    """A linear layer through a narrow middle.

    output = up (down x) + bias

    Args:
        down: (R, F), to the middle of width R.
        up: (F', R), from there to the output.
        bias: (F',), or None.

    Raises:
        TypeError: factors that are not floating point.
        ValueError: factors that do not fit.

    >>> LowRankLinear(torch.zeros(2, 7), torch.zeros(5, 2))(torch.zeros(3, 7)).shape
    torch.Size([3, 5])
    """

    def __init__(self, down: Tensor, up: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        for name, factor in (("down", down), ("up", up)):
            check_floating("LowRankLinear", name, factor)
        fits = down.ndim == up.ndim == 2 and up.shape[1] == down.shape[0]
        if not fits or (bias is not None and bias.shape != up.shape[:1]):
            shapes = [tuple(x.shape) for x in (down, up, bias) if x is not None]
            raise ValueError(
                f"LowRankLinear: got shapes {shapes}, expected (R, F), (F', R) and (F',); "
                "pass down first, then up"
            )
        self.down = nn.Parameter(down)
        self.up = nn.Parameter(up)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.in_features, self.out_features = down.shape[1], up.shape[0]

    @property
    def weight(self) -> Tensor:
        """The matrix (F', F) that the two factors stand for."""
        return self.up @ self.down

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by both factors.

        Args:
            x: (..., F).

        Returns:
            (..., F').
        """
        return F.linear(F.linear(x, self.down), self.up, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, rank={len(self.down)}"


def low_rank(
    model: nn.Module,
    loader: Iterable,
    measure: LossFn,
    *,
    rank: int | None = None,
    energy: float | None = None,
) -> tuple[nn.Module, Report]:
    """Replace linear layers by the nearest product of two thin matrices, where that is smaller.

    W = U diag(s) V^T;  up = U_R sqrt(s_R), down = sqrt(s_R) V_R^T with the R largest of s
    With `energy`, R is the least with sum_(i <= R) s_i^2 >= energy sum_i s_i^2, for each layer. A
    layer (F', F) stays whole unless R (F' + F) < F' F, and also when it shares its weight.

    Args:
        model: stays as it is.
        loader: batches to measure on.
        measure: (model, batch) -> (mean, number of items), such as `training.accuracy`.
        rank: R of every layer.
        energy: the share of the squared weight to keep, in (0, 1]; this or `rank`.

    Returns:
        The new model, in the modes of the old one, and the report.

    Raises:
        TypeError: not a module, or a rank that is no int.
        ValueError: both or neither of `rank` and `energy`, one out of range, no linear layer.

    Reference: Eckart and Young 1936, The approximation of one matrix by another of lower rank,
        Psychometrika 1

    >>> from attnlib.training import accuracy
    >>> batch = torch.eye(7), torch.arange(7)
    >>> small, report = low_rank(nn.Linear(7, 7), [batch], accuracy, rank=2)
    >>> report.before.parameters, report.after.parameters
    (56, 35)
    """
    if (rank is None) == (energy is None):
        raise ValueError(
            f"low_rank: got rank={rank} and energy={energy}, expected one of the two; "
            "write energy=0.9, or rank=8"
        )
    if rank is not None:
        check_positive("low_rank", rank=rank)
    if energy is not None and not 0.0 < energy <= 1.0:
        raise ValueError(
            f"low_rank: got energy={energy}, expected a share in (0, 1]; write energy=0.9"
        )

    def factorised(layer: nn.Linear) -> nn.Module:
        weight = layer.weight.detach()
        left, singular, right = torch.linalg.svd(weight.double(), full_matrices=False)
        if energy is None:
            R = rank
        else:
            kept = singular.square().cumsum(0)
            R = int((kept < energy * kept[-1]).sum()) + 1
        if R * sum(weight.shape) >= math.prod(weight.shape):
            return layer
        root = singular[:R].sqrt()
        factors = (root[:, None] * right[:R], left[:, :R] * root)
        thin = LowRankLinear(*(factor.to(weight.dtype) for factor in factors), layer.bias)
        return thin.requires_grad_(layer.weight.requires_grad)

    small = exchange("low_rank", copied("low_rank", model), factorised)
    return small, compare("low_rank", model, small, loader, measure)
