"""Steps, time stamps and masks, which the layers of this package read in the same way."""

import torch
from torch import Tensor, nn

from attnlib._checks import check_mask, check_sequence, check_tensor


def check_steps(owner: str, x: Tensor, layer: nn.Module) -> None:
    """Raise unless `x` is (B, T, F) with at least one step, and fits the layer that reads it."""
    # A layer that was replaced, by a low-rank pair for instance, is not looked into.
    check_sequence(owner, "x", x, layer if isinstance(layer, nn.Linear) else None)


def time_stamps(owner: str, times: Tensor | None, x: Tensor) -> Tensor:
    """The stamps (B, T) of the steps of `x` (B, T, F): 0, 1, 2, ... when there are none."""
    B, T = x.shape[:2]
    if times is None:
        return torch.arange(T, device=x.device).expand(B, T)
    check_tensor(owner, "times", times)
    if times.shape != (B, T) or times.is_complex() or times.dtype == torch.bool:
        raise ValueError(
            f"{owner}: times is {times.dtype} of shape {tuple(times.shape)}, expected numbers of "
            f"shape ({B}, {T}), one for each step; write times.expand(B, T) to share them"
        )
    if times.device != x.device:
        raise ValueError(
            f"{owner}: times on {times.device} and x on {x.device}, expected one device; "
            f"write times.to(x.device)"
        )
    return times


def observed_steps(owner: str, mask: Tensor | None, x: Tensor) -> Tensor:
    """(B, T) bool from a mask that is the same for all queries: True where a step is there."""
    B, T = x.shape[:2]
    check_mask(owner, mask, (B, 1, 1, T))
    if mask is None:
        return torch.ones(B, T, dtype=torch.bool, device=x.device)
    return mask.expand(B, 1, 1, T).flatten(1)
