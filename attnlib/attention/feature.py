"""Attention over features instead of positions."""

import torch
from torch import Tensor, nn

from attnlib._checks import check_floating, check_positive, check_sequence, check_tensor

__all__ = ["FeatureAttention"]


class FeatureAttention(nn.Module):
    """Scale each feature by how much it matters in this example (squeeze and excitation).

    gate = sigmoid(W_2 relu(W_1 mean over positions of x + b_1) + b_2);  output = gate x
    A gate lies in (0, 1) for each feature alone: gates do not compete and do not sum to 1. It is
    no attention map between positions, so `record_attention` does not record it; ask for it with
    need_weights=True. An example without any position counts as all zeros.

    Args:
        num_features: F.
        reduction: the hidden layer has F / reduction units, at least one.

    Raises:
        ValueError: sizes below 1.

    Reference: Hu et al. 2018, section 3, arXiv:1709.01507

    >>> output, gate = FeatureAttention(6)(torch.zeros(2, 3, 5, 6), need_weights=True)
    >>> output.shape, gate.shape
    (torch.Size([2, 3, 5, 6]), torch.Size([2, 6]))
    """

    def __init__(self, num_features: int, *, reduction: int = 4) -> None:
        super().__init__()
        check_positive("FeatureAttention", num_features=num_features, reduction=reduction)
        hidden = max(num_features // reduction, 1)
        self.squeeze = nn.Linear(num_features, hidden)
        self.excite = nn.Linear(hidden, num_features)

    def forward(
        self, x: Tensor, *, mask: Tensor | None = None, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Weigh the features.

        Args:
            x: (B, ..., F), any number of dimensions of positions.
            mask: bool, (B, ...): which positions count in the mean; all when omitted.
            need_weights: also return the gate.

        Returns:
            (B, ..., F), or that and the gate (B, F).

        Raises:
            TypeError: an input not in floating point, or a mask that is not bool.
            ValueError: another number of features, or a mask of another shape.
        """
        owner = "FeatureAttention"
        check_floating(owner, "x", x)
        if x.ndim < 2:
            raise ValueError(
                f"{owner}: x has shape {tuple(x.shape)}, expected (B, ..., F); "
                f"write x.unsqueeze(0) for one example"
            )
        positions = x.flatten(1, -2) if x.ndim > 2 else x[:, None]  # (B, N, F)
        check_sequence(owner, "x", positions, self.squeeze)
        if mask is not None:
            _check_positions(owner, mask, x.shape[:-1])
        if mask is None:
            mean = positions.mean(1)
        else:
            counts = mask.reshape(*positions.shape[:2], 1)
            # where, not a product: what is hidden may be NaN.
            total = positions.where(counts, 0.0).sum(1)
            mean = total / counts.sum(1).clamp(min=1)
        gate = self.excite(self.squeeze(mean).relu()).sigmoid()
        output = (positions * gate[:, None]).view_as(x)
        return (output, gate) if need_weights else output


def _check_positions(owner: str, mask: Tensor, shape: tuple[int, ...]) -> None:
    check_tensor(owner, "mask", mask)
    if mask.dtype != torch.bool:
        raise TypeError(
            f"{owner}: mask is {mask.dtype}, expected bool with True = counts; write mask.bool()"
        )
    if mask.shape != shape:
        raise ValueError(
            f"{owner}: mask has shape {tuple(mask.shape)}, expected {tuple(shape)}; "
            f"pass one value a position, without the features"
        )
